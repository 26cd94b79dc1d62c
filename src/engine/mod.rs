//! Runs stages: events, time limit, cancellation, undo and cleanup. Knows no stage, no cloud and no daemon.

pub mod cancel;
pub mod change;
mod channel;
pub mod event;
pub mod first_process;
pub mod journal;
mod output;
pub mod retry;
mod stage_cx;
mod test_counts;
pub mod undo;
mod unwind;

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
pub use stage_cx::StageCx;
use undo::{Receipt, Undo, UndoStack};
use unwind::Limits;

/// Carries out an [`Undo`], and notes on the [`Receipt`] when it goes on by itself. Given to the engine by those who know
/// the daemon and the cloud.
pub type Perform = Rc<dyn Fn(Undo, Receipt) -> Pin<Box<dyn Future<Output = Result<(), Fault>>>>>;

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
    cut_off: UndoStack,
    perform: Perform,
    limits: Limits,
    ended: RefCell<Vec<StageKey>>,
    cancelling: Cell<Option<(CancelReason, Instant)>>,
}

impl Engine {
    /// An engine that reports to `events`, obeys `cancel` and undoes with `perform`.
    pub fn new(events: Events, cancel: Cancel, perform: Perform) -> Self {
        Self {
            events,
            cancel,
            undo: UndoStack::default(),
            at_end: UndoStack::default(),
            cut_off: UndoStack::default(),
            perform,
            limits: Limits::default(),
            ended: RefCell::default(),
            cancelling: Cell::new(None),
        }
    }

    /// Where events go, for those who report between stages.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Takes off the stack what somebody else will see to.
    pub fn forget(&self, is_theirs: impl Fn(&Undo) -> bool) {
        self.undo.pending().iter().filter(|undo| is_theirs(undo)).for_each(|undo| self.undo.settle(undo));
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
        let cx = StageCx::new(key.clone(), self, began + limit);
        if let Some(reason) = self.cancel.reason() {
            self.say_cancelling(reason);
            self.ended(key.clone(), Outcome::Cancelled, Duration::ZERO);
            return Err(Stopped { key, timed_out: false, cancelled: Some(reason) });
        }
        self.events.emit(EventKind::StageStarted { key: key.clone() });
        let (result, dropped) = tokio::select! {
            result = work(&cx) => (result.map_err(Ok), false),
            () = cx.free_after(retry::pause(limit)) => {
                (Err(Ok(Fault::timed_out(format!("{key} did not end within {}", in_words(limit))))), true)
            }
            reason = self.cancelled(&cx) => (Err(Err(reason)), true),
        };
        cx.end_output();
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

    /// Waits for a reason to stop the stage, tells of it at once, and waits on while the stage may not be stopped.
    async fn cancelled(&self, cx: &StageCx) -> CancelReason {
        let reason = self.cancel.outranking(None).await;
        self.say_cancelling(reason);
        if let Some(time) = cx.is_held_for() {
            cx.note(format!(
                "what was asked for last is confirmed first; that is waited for, at most {}",
                in_words(time)
            ));
            cx.free_after(std::future::ready(())).await;
        }
        reason
    }

    /// Tells once for each rank that the run is being cancelled. The first signal starts the clock.
    fn say_cancelling(&self, reason: CancelReason) {
        let known = self.cancelling.get();
        if known.is_some_and(|(known, _)| known >= reason) {
            return;
        }
        let begins = || Instant::now() + self.limits.after_a_signal;
        let until = known.filter(|(known, _)| known.is_signal()).map_or_else(begins, |(_, until)| until);
        self.cancelling.set(Some((reason, until)));
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
