//! What a stage holds while it runs.

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::event::{EventKind, Fact, StageKey};
use super::output::{Output, Taken};
use super::undo::{Undo, UndoStack};
use super::{Engine, Events, retry};
use crate::fault::Fault;
use crate::inputs::Secret;

/// What a stage holds while it runs. Not `Clone`: it dies with its stage.
pub struct StageCx {
    key: StageKey,
    deadline: Instant,
    events: Events,
    undo: UndoStack,
    at_end: UndoStack,
    pub(super) cleanup: UndoStack,
    output: RefCell<Output>,
    /// Until when the stage may not be stopped.
    held: watch::Sender<Option<Instant>>,
}

/// Ends a section that may not be interrupted, also when it is dropped.
struct Section<'a>(&'a watch::Sender<Option<Instant>>);

impl Drop for Section<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

impl StageCx {
    pub(super) fn new(key: StageKey, engine: &Engine, deadline: Instant) -> Self {
        Self {
            key,
            deadline,
            events: engine.events.clone(),
            undo: engine.undo.clone(),
            at_end: engine.at_end.clone(),
            cleanup: UndoStack::default(),
            output: RefCell::default(),
            held: watch::channel(None).0,
        }
    }

    /// The stage's key.
    pub fn key(&self) -> &StageKey {
        &self.key
    }

    /// How long the stage may still take.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A line of output from what the stage runs. Of very much output the middle is left out, and its end comes when the
    /// stage is over.
    pub fn line(&self, line: impl Into<String>) {
        let taken = self.output.borrow_mut().take(line.into());
        match taken {
            Taken::Shown(line) => self.emit_line(line),
            Taken::First => self.note("there is very much output: from here on only its end is shown, when it is over"),
            Taken::Kept => {}
        }
    }

    /// The end of an output of which not everything was shown.
    pub(super) fn end_output(&self) {
        let (left_out, tail) = self.output.borrow_mut().end();
        if left_out.lines > 0 {
            self.note(format!("… {} lines ({} KiB) are left out here", left_out.lines, left_out.bytes >> 10));
        }
        tail.into_iter().for_each(|line| self.emit_line(line));
    }

    fn emit_line(&self, line: String) {
        self.events.emit(EventKind::StageLine { key: self.key.clone(), line });
    }

    /// A sentence from the stage itself.
    pub fn note(&self, text: impl Into<String>) {
        self.events.emit(EventKind::StageNote { key: self.key.clone(), text: text.into() });
    }

    /// Something the user should know although the stage goes on.
    pub fn warn(&self, text: impl Into<String>) {
        self.events.emit(EventKind::StageWarning { key: self.key.clone(), text: text.into() });
    }

    /// Something found out.
    pub fn fact(&self, fact: Fact) {
        self.events.emit(EventKind::StageFact { key: self.key.clone(), fact });
    }

    /// A secret that no input holds, such as a login that was asked for. Tell it before anything that might show it.
    pub fn secret(&self, secret: &Secret) {
        self.events.emit(EventKind::SecretLearnt { secret: secret.clone() });
    }

    /// A call failed and will be repeated.
    pub fn retrying(&self, call: impl Into<String>, fault: &Fault) {
        let (key, call, because) = (self.key.clone(), call.into(), fault.to_string());
        self.events.emit(EventKind::StageRetrying { key, call, because });
    }

    /// Registers what happens when this stage ends, however it ends. Register before creating the thing.
    pub fn cleanup(&self, undo: Undo) {
        self.cleanup.push(undo);
    }

    /// Registers what happens when the run ends, however it ends: for what several stages use.
    pub fn at_end(&self, undo: Undo) {
        self.at_end.push(undo);
    }

    /// Registers what happens if the run does not reach its end. Register before creating the thing.
    pub fn undo(&self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Takes an undo off: what it would have undone is handed over or gone.
    pub fn settle(&self, undo: &Undo) {
        self.undo.settle(undo);
        self.cleanup.settle(undo);
    }

    /// Does something that is not to be broken off in the middle, because nobody could tell afterwards what came of it:
    /// signals and time limits that come meanwhile wait for its end, but no longer than `limit` from its beginning.
    pub async fn until_confirmed<T>(&self, limit: Duration, section: impl Future<Output = T>) -> T {
        self.held.send_replace(Some(Instant::now() + limit));
        let _section = Section(&self.held);
        section.await
    }

    /// For how much longer the stage may not be stopped; `None` when it may be stopped now.
    pub(super) fn is_held_for(&self) -> Option<Duration> {
        let left = (*self.held.borrow())?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Waits for `what`, and then until the stage may be stopped.
    pub(super) async fn free_after(&self, what: impl Future<Output = ()>) {
        what.await;
        let mut held = self.held.subscribe();
        loop {
            // The value is seen from here on, so that no change after it is missed.
            let _ = held.borrow_and_update();
            let Some(left) = self.is_held_for() else { return };
            tokio::select! {
                () = retry::pause(left) => return,
                // It cannot fail: we hold the sender.
                _ = held.changed() => {}
            }
        }
    }
}
