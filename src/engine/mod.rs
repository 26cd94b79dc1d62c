//! Runs stages: events, time limit, cancellation, undo and cleanup. Knows no stage, no cloud and no daemon.

pub mod cancel;
mod channel;
pub mod event;
pub mod journal;
pub mod retry;
pub mod undo;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::fault::Fault;
use cancel::{Cancel, CancelReason};
pub use channel::{EventReceiver, Events, events};
use event::{EventKind, Fact, Outcome, StageKey};
use undo::{Undo, UndoStack};

/// How long one undo may take: an environment needs minutes to end.
const UNDO_LIMIT: Duration = Duration::from_secs(900);

/// How long one removal after a stage may take: it is always something on the docker daemon.
const CLEANUP_LIMIT: Duration = Duration::from_secs(30);

/// How long all of that may go on after a signal. GitHub's runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s
/// after that (actions/runner, `ProcessInvoker.cs`).
const AFTER_A_SIGNAL: Duration = Duration::from_secs(6);

/// A request that was on its way when its stage was dropped may still take effect for this long.
const IN_FLIGHT: Duration = Duration::from_millis(500);

/// Carries out an [`Undo`]. Given to the engine by those who know the daemon and the cloud.
pub type Perform = Rc<dyn Fn(Undo) -> Pin<Box<dyn Future<Output = Result<(), Fault>>>>>;

/// Why a run did not reach its end.
#[derive(Debug)]
pub struct Stopped {
    /// Where.
    pub key: StageKey,
    /// `None` when it was cancelled; the fault itself went out with the stage's last event.
    pub timed_out: bool,
    /// Set when it was cancelled.
    pub cancelled: Option<CancelReason>,
}

/// Runs stages one by one or side by side, and undoes what must be undone.
pub struct Engine {
    events: Events,
    cancel: Cancel,
    undo: UndoStack,
    at_end: UndoStack,
    perform: Perform,
    ended: RefCell<Vec<StageKey>>,
    cancelling: Cell<Option<(CancelReason, Instant)>>,
}

/// What a stage holds while it runs. Not `Clone`: it dies with its stage.
pub struct StageCx {
    key: StageKey,
    events: Events,
    undo: UndoStack,
    at_end: UndoStack,
    cleanup: UndoStack,
}

impl Engine {
    /// An engine that reports to `events`, obeys `cancel` and undoes with `perform`.
    pub fn new(events: Events, cancel: Cancel, perform: Perform) -> Self {
        let (undo, at_end) = (UndoStack::default(), UndoStack::default());
        Self { events, cancel, undo, at_end, perform, ended: RefCell::default(), cancelling: Cell::new(None) }
    }

    /// Where events go, for those who report between stages.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What would be undone now, newest first.
    pub fn pending(&self) -> Vec<Undo> {
        self.undo.pending()
    }

    /// What the run has made so far stands from now on, whatever comes after.
    pub fn hand_over(&self) {
        self.undo.take();
    }

    /// Runs one stage: emits its events, races it against `limit` and cancellation, and cleans up after it.
    ///
    /// # Errors
    /// [`Stopped`] when it failed, ran out of time or was cancelled; what happened has been reported by then.
    pub async fn stage<T>(
        &self,
        key: impl Into<StageKey>,
        limit: Duration,
        work: impl AsyncFnOnce(&StageCx) -> Result<T, Fault>,
    ) -> Result<T, Stopped> {
        let key = key.into();
        let began = Instant::now();
        let cx = StageCx {
            key: key.clone(),
            events: self.events.clone(),
            undo: self.undo.clone(),
            at_end: self.at_end.clone(),
            cleanup: UndoStack::default(),
        };
        if let Some(reason) = self.cancel.reason() {
            self.say_cancelling(reason);
            self.ended(key.clone(), Outcome::Cancelled, Duration::ZERO);
            return Err(Stopped { key, timed_out: false, cancelled: Some(reason) });
        }
        self.events.emit(EventKind::StageStarted { key: key.clone() });
        let (result, dropped) = tokio::select! {
            result = work(&cx) => (result.map_err(Ok), false),
            () = retry::pause(limit) => {
                (Err(Ok(Fault::timed_out(format!("{key} did not end within {}", in_words(limit))))), true)
            }
            reason = self.cancel.outranking(None) => (Err(Err(reason)), true),
        };
        if let Err(Err(reason)) = result {
            self.say_cancelling(reason);
        }
        self.clean_up_after(&cx, dropped).await;
        let took = began.elapsed();
        let stopped = |timed_out, cancelled| Stopped { key: key.clone(), timed_out, cancelled };
        let (result, outcome) = match result {
            Ok(value) => (Ok(value), Outcome::Passed),
            Err(Ok(fault)) => (Err(stopped(fault.is_time_out(), None)), Outcome::Failed(fault)),
            Err(Err(reason)) => (Err(stopped(false, Some(reason))), Outcome::Cancelled),
        };
        self.ended(key, outcome, took);
        result
    }

    /// Removes what a stage registered. When the stage was dropped in mid-request, what it had asked for may appear a
    /// moment later, so everything is removed once more; what is gone already counts as removed.
    async fn clean_up_after(&self, cx: &StageCx, dropped: bool) {
        let undos = cx.cleanup.take();
        for again in [false, true] {
            if again && (!dropped || undos.is_empty()) {
                return;
            }
            if again {
                retry::pause(IN_FLIGHT).await;
            }
            for undo in &undos {
                if let Err(fault) = self.undo_one(undo, CLEANUP_LIMIT).await {
                    cx.warn(format!("could not {undo}: {fault}; do it with: {}", undo.command()));
                }
            }
        }
    }

    /// Tells once for each rank that the run is being cancelled. The first signal starts the clock.
    fn say_cancelling(&self, reason: CancelReason) {
        let known = self.cancelling.get();
        if known.is_some_and(|(known, _)| known >= reason) {
            return;
        }
        let since = known.filter(|(known, _)| is_signal(*known)).map_or_else(Instant::now, |(_, since)| since);
        self.cancelling.set(Some((reason, since)));
        self.events.emit(EventKind::Cancelling { reason });
    }

    fn ended(&self, key: StageKey, outcome: Outcome, took: Duration) {
        self.ended.borrow_mut().push(key.clone());
        self.events.emit(EventKind::StageFinished { key, outcome, took });
    }

    /// Says that a stage has nothing to do, and why.
    pub fn skip(&self, key: impl Into<StageKey>, because: impl Into<String>) {
        self.ended(key.into(), Outcome::Skipped(because.into()), Duration::ZERO);
    }

    /// Skips every stage of `stages` that has not ended yet.
    pub fn skip_rest(&self, stages: &[StageKey], because: &str) {
        for key in stages {
            if !self.ended.borrow().contains(key) {
                self.skip(key.clone(), because);
            }
        }
    }

    /// Takes off the stack what is kept on purpose: `keeps` says so with a fact, which is told as the stopped stage's.
    /// A signal ends the asking.
    pub async fn keep(&self, stopped: &Stopped, keeps: impl AsyncFn(&Undo) -> Option<Fact>) {
        let asking = async {
            for undo in self.undo.pending() {
                if let Some(fact) = keeps(&undo).await {
                    self.undo.settle(&undo);
                    self.events.emit(EventKind::StageFact { key: stopped.key.clone(), fact });
                }
            }
        };
        tokio::select! {
            () = asking => {}
            reason = self.cancel.outranking(Some(CancelReason::RunTimeout)) => self.say_cancelling(reason),
        }
    }

    /// Undoes everything that is still on the stack, newest first, and beside that removes what was only needed during the
    /// run. What cannot be undone is returned and does not stop the others.
    pub async fn unwind(&self) -> Vec<Undo> {
        let (mut left, tools) = tokio::join!(self.undo_all(self.undo.take()), self.put_away());
        left.extend(tools);
        left
    }

    /// Removes what was only needed during the run. That is no news, unless it cannot be done.
    async fn put_away(&self) -> Vec<Undo> {
        let mut left = Vec::new();
        for undo in self.at_end.take() {
            if let Err(fault) = self.undo_one(&undo, CLEANUP_LIMIT).await {
                left.push(undo.clone());
                self.events.emit(EventKind::Undone { undo, error: Some(fault) });
            }
        }
        left
    }

    async fn undo_all(&self, undos: Vec<Undo>) -> Vec<Undo> {
        let mut left = Vec::new();
        for undo in undos {
            self.events.emit(EventKind::Undoing { undo: undo.clone() });
            let error = self.undo_one(&undo, UNDO_LIMIT).await.err();
            if error.is_some() {
                left.push(undo.clone());
            }
            self.events.emit(EventKind::Undone { undo, error });
        }
        left
    }

    /// Carries out one undo. The run's own time limit does not hurry it; a signal does, and a second one ends it.
    async fn undo_one(&self, undo: &Undo, limit: Duration) -> Result<(), Fault> {
        let mut work = std::pin::pin!((self.perform)(undo.clone()));
        let began = Instant::now();
        loop {
            let signalled = self.cancelling.get().filter(|(reason, _)| is_signal(*reason));
            let deadline = match signalled {
                Some((_, since)) => (since + AFTER_A_SIGNAL).min(began + limit),
                None => began + limit,
            };
            let known = signalled.map_or(CancelReason::RunTimeout, |(reason, _)| reason);
            tokio::select! {
                // First, so that what can be done at once is done even when time is up.
                biased;
                result = &mut work => return result,
                reason = self.cancel.outranking(Some(known)) => {
                    let is_second = signalled.is_some();
                    self.say_cancelling(reason);
                    if is_second {
                        return Err(Fault::new("a second signal came before it was done"));
                    }
                }
                () = retry::pause(deadline.saturating_duration_since(Instant::now())) => {
                    return Err(Fault::timed_out(format!("it was not done within {}", in_words(began.elapsed()))));
                }
            }
        }
    }
}

/// Whether somebody wants the process to end, as opposed to the run's own time limit.
fn is_signal(reason: CancelReason) -> bool {
    reason > CancelReason::RunTimeout
}

impl StageCx {
    /// The stage's key.
    pub fn key(&self) -> &StageKey {
        &self.key
    }

    /// A line of output from what the stage runs.
    pub fn line(&self, line: impl Into<String>) {
        self.events.emit(EventKind::StageLine { key: self.key.clone(), line: line.into() });
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
}

/// A time as people say it: `250 ms`, `8 s`, `2 min 5 s`, `1 h 5 min`.
pub fn in_words(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{} s", time.as_secs()),
        60..3600 if time.as_secs().is_multiple_of(60) => format!("{} min", time.as_secs() / 60),
        60..3600 => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
        _ if time.as_secs() % 3600 < 60 => format!("{} h", time.as_secs() / 3600),
        _ => format!("{} h {} min", time.as_secs() / 3600, time.as_secs() / 60 % 60),
    }
}
