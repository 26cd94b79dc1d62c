//! Undoing at the end of a stage and of a run: what at the same time, for how long, and what a signal changes about it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::cancel::CancelReason;
use super::event::EventKind;
use super::undo::{Done, Receipt, Undo, in_turns};
use super::{Engine, StageCx, in_words, retry};
use crate::fault::Fault;

/// How long undoing may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// One undo: an environment needs minutes to end.
    pub undo: Duration,
    /// One removal after a stage, or of what was only needed during the run.
    pub cleanup: Duration,
    /// The same of a container: a busy daemon takes its time over those.
    pub container: Duration,
    /// All of it after a signal. GitHub's runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that
    /// (actions/runner, `ProcessInvoker.cs`).
    pub after_a_signal: Duration,
    /// All of it after a signal, when the stage could only be stopped long after it.
    pub at_least: Duration,
    /// A request that was on its way when its stage was dropped may still take effect for this long.
    pub in_flight: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            undo: Duration::from_secs(900),
            cleanup: Duration::from_secs(30),
            container: Duration::from_secs(120),
            after_a_signal: Duration::from_secs(7),
            at_least: Duration::from_secs(3),
            in_flight: Duration::from_millis(500),
        }
    }
}

impl Limits {
    /// How long this removal may take, where there was no signal.
    fn removal(&self, undo: &Undo) -> Duration {
        match undo {
            Undo::RemoveContainer { .. } => self.container,
            _ => self.cleanup,
        }
    }
}

/// How much is done for one undo.
#[derive(Clone, Copy)]
struct Effort {
    limit: Duration,
    /// When a stage was dropped in mid-request, what it had asked for may appear a moment later, so that it is removed
    /// once more; what is gone already counts as removed.
    twice: bool,
    /// One signal more than these ends the waiting.
    signals: usize,
}

impl Engine {
    /// Undoes everything that is still on the stack, and beside that removes what was only needed during the run: at the
    /// same time, but for what has to wait for another ([`Undo::rank`]). Returned is what could not be undone, or was not
    /// seen to be; it does not stop the others.
    pub async fn unwind(&self) -> Vec<Undo> {
        self.cancel.heard().into_iter().for_each(|reason| self.say_cancelling(reason));
        if let Some((reason, until)) = self.cancelling.get() {
            self.cancelling.set(Some((reason, until.max(Instant::now() + self.limits.at_least))));
        }
        let (told, cut_off) = (self.undo.take(), self.cut_off.take());
        let mut all = told.clone();
        for undo in cut_off.iter().cloned().chain(self.at_end.take()) {
            if !all.contains(&undo) {
                all.push(undo);
            }
        }
        let signals = self.cancel.signals().max(1);
        in_order(all, async |undo| {
            let is_told = told.contains(undo);
            let limit = if is_told { self.limits.undo } else { self.limits.removal(undo) };
            let effort = Effort { limit, twice: cut_off.contains(undo), signals };
            if is_told {
                self.events.emit(EventKind::Undoing { undo: undo.clone() });
            }
            self.undo_and_tell(undo, effort, is_told).await
        })
        .await
    }

    /// Whether the thing is gone. What was only needed during the run is no news, unless it could not be removed.
    async fn undo_and_tell(&self, undo: &Undo, effort: Effort, is_told: bool) -> bool {
        let undo = undo.clone();
        match self.undo_one(&undo, effort).await {
            Ok(Done::Gone) if is_told => self.events.emit(EventKind::Undone { undo, error: None }),
            Ok(Done::Gone) => {}
            Ok(Done::Asked) => {
                self.events.emit(EventKind::UndoUnderWay { undo });
                return false;
            }
            Err(fault) => {
                self.events.emit(EventKind::Undone { undo, error: Some(fault) });
                return false;
            }
        }
        true
    }

    /// Removes what a stage registered. After a signal there is no time to do that before the rest is undone: it is left
    /// to [`Engine::unwind`], as is what could not be removed.
    pub(super) async fn clean_up_after(&self, cx: &StageCx, dropped: bool) {
        let undos = cx.cleanup.take();
        let clean_up = in_order(undos.clone(), async |undo| {
            let effort = Effort { limit: self.limits.removal(undo), twice: dropped, signals: 1 };
            let removed = self.undo_one(undo, effort).await;
            if let Err(fault) = &removed {
                cx.warn(format!(
                    "could not {undo}: {fault}; it is tried once more at the end, or do it with: {}",
                    undo.command()
                ));
            }
            removed.is_ok()
        });
        tokio::select! {
            biased;
            reason = self.cancel.outranking(Some(CancelReason::RunTimeout)) => {
                self.say_cancelling(reason);
                self.cut_off.extend(undos.into_iter().rev());
            }
            left = clean_up => self.cut_off.extend(left.into_iter().rev()),
        }
    }

    async fn undo_one(&self, undo: &Undo, effort: Effort) -> Result<Done, Fault> {
        let mut undone = self.attempt(undo, effort).await;
        if effort.twice {
            retry::pause(self.limits.in_flight).await;
            undone = self.attempt(undo, effort).await;
        }
        undone
    }

    /// Carries out one undo. The run's own time limit does not hurry it; a signal does, and a second one ends it.
    async fn attempt(&self, undo: &Undo, effort: Effort) -> Result<Done, Fault> {
        let receipt = Receipt::default();
        let mut work = std::pin::pin!((self.perform)(undo.clone(), receipt.clone()));
        let began = Instant::now();
        let mut known = self.cancel.signals();
        let cut_off = loop {
            let hurried = self.cancelling.get().filter(|(reason, _)| reason.is_signal());
            let until = hurried.map_or(began + effort.limit, |(_, until)| until.min(began + effort.limit));
            tokio::select! {
                // First, so that what can be done at once is done even when time is up.
                biased;
                result = &mut work => return result.map(|()| Done::Gone),
                reason = self.cancel.more_signals_than(known.min(effort.signals)) => {
                    self.say_cancelling(reason);
                    known = self.cancel.signals();
                    if known > effort.signals {
                        break Fault::timed_out("a second signal came before it was done");
                    }
                }
                () = retry::pause(until.saturating_duration_since(Instant::now())) => {
                    let time = in_words(began.elapsed());
                    let why = if hurried.is_some() { ", and after a signal there is no more time" } else { "" };
                    break Fault::timed_out(format!("it was not done within {time}{why}"));
                }
            }
        };
        if receipt.is_taken() { Ok(Done::Asked) } else { Err(cut_off) }
    }
}

/// Does `one` to every undo: those of one turn together, the next turn after them, daemon and cloud side by side. Returned
/// are those for which it answered `false`.
async fn in_order(undos: Vec<Undo>, one: impl AsyncFn(&Undo) -> bool) -> Vec<Undo> {
    let (daemon, cloud): (Vec<Undo>, Vec<Undo>) = undos.into_iter().partition(Undo::is_on_the_daemon);
    let side = async |undos: Vec<Undo>| {
        let mut left = Vec::new();
        for turn in in_turns(undos) {
            let done = join_all(turn.iter().map(|undo| one(undo))).await;
            left.extend(turn.into_iter().zip(done).filter(|(_, done)| !done).map(|(undo, _)| undo));
        }
        left
    };
    let (cloud, daemon) = tokio::join!(side(cloud), side(daemon));
    [cloud, daemon].concat()
}
