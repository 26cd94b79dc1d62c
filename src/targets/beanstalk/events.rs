//! Reading an environment's events without loss and without repetition.
//!
//! The platform answers newest first, its start time is inclusive, several events may share a millisecond, and some
//! arrive up to ten seconds late. So every reading begins well before the newest event seen, follows all pages, and is
//! freed of what was seen before by a hash of the whole event. Times are the platform's own.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::history::Usual;
use super::platform::{PlatformEvent, ServerTime};
use crate::image::Digest;

/// How far before the newest event each reading begins, in milliseconds: late events appear in the past.
const LOOK_BACK: i64 = 60_000;

/// The newest events before an operation: where reading for it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// When they happened; they share the millisecond.
    pub at: ServerTime,
    /// What tells each of them from others.
    pub seen: Vec<String>,
    /// How long the operations took that the events tell of.
    #[serde(default)]
    pub usual: Usual,
}

impl Anchor {
    /// The anchor after these events, in any order; `None` when there are none.
    pub fn after(events: &[PlatformEvent]) -> Option<Self> {
        let at = events.iter().map(|event| event.at).max()?;
        let seen = events.iter().filter(|event| event.at == at).map(mark).collect();
        Some(Self { at, seen, usual: Usual::of(events) })
    }
}

/// What tells one event from another.
fn mark(event: &PlatformEvent) -> String {
    let request = event.request_id.as_deref().unwrap_or_default();
    Digest::of(format!("{}\n{}\n{request}", event.at.0, event.message).as_bytes()).short().to_owned()
}

/// What has been read of one environment's events since an anchor.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    floor: Option<ServerTime>,
    newest: Option<ServerTime>,
    seen: HashSet<String>,
}

impl Reader {
    /// Begins after `anchor`; without one, with the environment's first event.
    pub fn from(anchor: Option<&Anchor>) -> Self {
        Self {
            floor: anchor.map(|anchor| anchor.at),
            newest: None,
            seen: anchor.map(|anchor| anchor.seen.iter().cloned().collect()).unwrap_or_default(),
        }
    }

    /// The start time of the next reading, inclusive; `None` asks for everything.
    pub fn start(&self) -> Option<ServerTime> {
        let back = self.newest.map(|newest| ServerTime(newest.0.saturating_sub(LOOK_BACK)));
        back.max(self.floor)
    }

    /// Takes what a reading returned, newest first, and gives what is new, oldest first.
    pub fn take(&mut self, newest_first: Vec<PlatformEvent>) -> Vec<PlatformEvent> {
        let mut new: Vec<PlatformEvent> = newest_first
            .into_iter()
            .rev()
            .filter(|event| self.floor.is_none_or(|floor| event.at >= floor))
            .filter(|event| self.seen.insert(mark(event)))
            .collect();
        // Stable: within a millisecond the platform's own order stays.
        new.sort_by_key(|event| event.at);
        self.newest = self.newest.max(new.last().map(|event| event.at));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::super::platform::Severity;
    use super::*;

    fn event(at: i64, message: &str) -> PlatformEvent {
        PlatformEvent { at: ServerTime(at), severity: Severity::Info, message: message.into(), request_id: None }
    }

    fn texts(events: &[PlatformEvent]) -> Vec<&str> {
        events.iter().map(|event| event.message.as_str()).collect()
    }

    #[test]
    fn siblings_in_the_anchors_millisecond_are_not_lost_and_the_anchor_is_not_repeated() {
        let before = [event(5, "old"), event(9, "anchor"), event(9, "its sibling")];
        let anchor = Anchor::after(&before);
        let mut reader = Reader::from(anchor.as_ref());
        assert_eq!(reader.start(), Some(ServerTime(9)));
        let answer = vec![event(12, "c"), event(9, "b, same millisecond"), event(9, "anchor"), event(9, "its sibling")];
        assert_eq!(texts(&reader.take(answer.clone())), ["b, same millisecond", "c"]);
        assert!(reader.take(answer).is_empty());
    }

    #[test]
    fn late_events_are_still_read() {
        let mut reader = Reader::from(None);
        assert_eq!(reader.start(), None);
        reader.take(vec![event(200_000, "second"), event(100_000, "first")]);
        assert_eq!(reader.start(), Some(ServerTime(140_000)));
        assert_eq!(texts(&reader.take(vec![event(200_000, "second"), event(195_000, "late")])), ["late"]);
    }

    #[test]
    fn events_of_one_millisecond_keep_the_platforms_order() {
        let mut reader = Reader::from(None);
        assert_eq!(texts(&reader.take(vec![event(2, "c"), event(2, "b"), event(1, "a")])), ["a", "b", "c"]);
    }
}
