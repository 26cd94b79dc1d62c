//! How long updates took on an environment before, as its own events tell.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::operation::Kind;
use super::platform::PlatformEvent;

/// Medians of what is known; empty where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usual {
    /// Of deployments, in milliseconds.
    deployment: Option<u64>,
    /// Of changes of settings, in milliseconds.
    settings: Option<u64>,
}

impl Usual {
    /// From an environment's events, in any order: of each update that succeeded, the time between its first text and its
    /// last.
    pub fn of(events: &[PlatformEvent]) -> Self {
        let kind = Kind::Update { label: String::new() };
        let (mut deployments, mut settings) = (Vec::new(), Vec::new());
        for begin in events.iter().filter(|event| event.message.starts_with(kind.beginning())) {
            let Some(request) = begin.request_id.as_deref() else { continue };
            let mut own = events.iter().filter(|event| event.request_id.as_deref() == Some(request));
            let Some(end) = own.clone().find(|event| event.message.starts_with(kind.success())) else { continue };
            let Ok(took) = u64::try_from(end.at.0.saturating_sub(begin.at.0)) else { continue };
            match own.any(|event| event.message.starts_with("New application version was deployed")) {
                true => deployments.push(took),
                false => settings.push(took),
            }
        }
        Self { deployment: median(deployments), settings: median(settings) }
    }

    /// How long an operation of this kind takes; `None` when there was none before.
    pub fn time(&self, kind: &Kind) -> Option<Duration> {
        let milliseconds = match kind {
            Kind::Update { .. } => self.deployment,
            Kind::Configure { .. } => self.settings,
            Kind::Create { .. } | Kind::Swap { .. } | Kind::Terminate => None,
        };
        milliseconds.map(Duration::from_millis)
    }
}

fn median(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::platform::{ServerTime, Severity};
    use super::*;

    fn event(seconds: i64, message: &str, request: &str) -> PlatformEvent {
        let request_id = Some(request.to_owned());
        PlatformEvent { at: ServerTime(seconds * 1000), severity: Severity::Info, message: message.into(), request_id }
    }

    #[test]
    fn the_median_of_each_kind_counts_and_failures_do_not() {
        let (begin, end) = ("Environment update is starting.", "Environment update completed successfully.");
        let deployed = "New application version was deployed to running EC2 instances.";
        let mut events = Vec::new();
        for (request, at, took) in [("a", 0, 40), ("b", 100, 30), ("c", 200, 300)] {
            events.extend([event(at, begin, request), event(at + took, deployed, request)]);
            events.push(event(at + took, end, request));
        }
        events.extend([event(600, begin, "settings"), event(690, end, "settings")]);
        events.extend([event(700, begin, "failed"), event(701, "Failed to deploy application.", "failed")]);
        events.reverse();
        let usual = Usual::of(&events);
        let time = |kind| usual.time(&kind).map(|time| time.as_secs());
        assert_eq!(time(Kind::Update { label: "2".into() }), Some(40));
        assert_eq!(time(Kind::Configure { label: "2".into() }), Some(90));
        assert_eq!(time(Kind::Terminate), None);
        assert_eq!(Usual::of(&events[..2]), Usual::default());
    }
}
