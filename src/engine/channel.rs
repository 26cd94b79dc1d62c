//! The way of events from the pipeline to the report. Lines may be dropped on it, and that is told; nothing else ever is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::event::{Event, EventKind};

/// Lines that may wait for a slow reporter before further ones are dropped.
const LINES_IN_FLIGHT: usize = 10_000;

/// Where events go. Cheap to clone; the receiving end is the report.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::UnboundedSender<Event>,
    lines: Arc<AtomicUsize>,
    left_out: Arc<AtomicUsize>,
    began: Instant,
}

/// The receiving end of [`Events`].
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::UnboundedReceiver<Event>,
    lines: Arc<AtomicUsize>,
}

impl EventReceiver {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.receiver.recv().await?;
        if matches!(event.kind, EventKind::StageLine { .. }) {
            self.lines.fetch_sub(1, Ordering::Relaxed);
        }
        Some(event)
    }
}

/// A new channel for events; the run's clock starts now.
pub fn events() -> (Events, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let lines = Arc::new(AtomicUsize::new(0));
    let left_out = Arc::default();
    (Events { sender, lines: lines.clone(), left_out, began: Instant::now() }, EventReceiver { receiver, lines })
}

impl Events {
    /// Sends an event. A line is dropped when too many are waiting; nothing else ever is.
    pub fn emit(&self, kind: EventKind) {
        if let EventKind::StageLine { key, .. }
        | EventKind::StageNote { key, .. }
        | EventKind::StageFinished { key, .. } = &kind
        {
            let is_line = matches!(kind, EventKind::StageLine { .. });
            if is_line && self.lines.load(Ordering::Relaxed) >= LINES_IN_FLIGHT {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                return;
            }
            match self.left_out.swap(0, Ordering::Relaxed) {
                0 => {}
                count => self.send(EventKind::StageNote {
                    key: key.clone(),
                    text: format!("… {count} lines are left out here: they came faster than the log takes them"),
                }),
            }
            self.lines.fetch_add(usize::from(is_line), Ordering::Relaxed);
        }
        self.send(kind);
    }

    fn send(&self, kind: EventKind) {
        // A report that is gone must not stop the run.
        let _ = self.sender.send(Event { elapsed: self.began.elapsed(), kind });
    }
}
