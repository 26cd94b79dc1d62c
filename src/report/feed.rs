//! The channel in front of a sink. Nobody waits for a slow sink; only lines of output are dropped when too many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::engine::event::{Event, EventKind};
use crate::inputs::Secret;

/// Lines that may wait for one sink.
const LINES_IN_FLIGHT: usize = 10_000;

/// What a sink is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened in the run.
    Event(Arc<Event>),
    /// Something is wrong with the reporting itself.
    Trouble(String),
    /// A text that must never be shown; for the log alone, which tells it to the CI.
    Secret(Secret),
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Feed {
    sender: mpsc::UnboundedSender<Told>,
    lines: Arc<AtomicUsize>,
}

/// The receiving end, owned by one sink.
#[derive(Debug)]
pub struct Feeding {
    receiver: mpsc::UnboundedReceiver<Told>,
    lines: Arc<AtomicUsize>,
}

/// A new channel for one sink.
pub fn feed() -> (Feed, Feeding) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let lines = Arc::new(AtomicUsize::new(0));
    (Feed { sender, lines: lines.clone() }, Feeding { receiver, lines })
}

impl Feed {
    /// Passes an event on. A sink that is gone hears nothing.
    pub fn event(&self, event: &Arc<Event>) {
        if is_line(event) {
            if self.lines.load(Ordering::Relaxed) >= LINES_IN_FLIGHT {
                return;
            }
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
        let _ = self.sender.send(Told::Event(event.clone()));
    }

    /// Tells of a text that the CI must hide, too.
    pub fn secret(&self, secret: &Secret) {
        let _ = self.sender.send(Told::Secret(secret.clone()));
    }

    /// Tells of trouble with the reporting.
    pub fn trouble(&self, text: impl Into<String>) {
        let _ = self.sender.send(Told::Trouble(text.into()));
    }
}

impl Feeding {
    /// What happened next; `None` when nothing more will.
    pub async fn next(&mut self) -> Option<Told> {
        let told = self.receiver.recv().await?;
        if matches!(&told, Told::Event(event) if is_line(event)) {
            self.lines.fetch_sub(1, Ordering::Relaxed);
        }
        Some(told)
    }

    /// The next event, for a sink that is not told of trouble.
    pub async fn next_event(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Told::Event(event) = self.next().await? {
                return Some(event);
            }
        }
    }
}

fn is_line(event: &Event) -> bool {
    matches!(event.kind, EventKind::StageLine { .. })
}
