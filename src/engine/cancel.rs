//! Signals and the run's own time limit become one ordered reason to stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::fault::Fault;

/// Why a run stops early; a later one outranks an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// The run's time limit.
    RunTimeout,
    /// SIGINT: Ctrl-C, or the first signal of the Actions runner.
    Interrupt,
    /// SIGTERM: most CIs, or the second signal of the Actions runner, which kills 2.5 s later.
    Terminate,
}

impl CancelReason {
    /// Whether somebody wants the process to end, as opposed to the run's own time limit.
    pub fn is_signal(self) -> bool {
        self > CancelReason::RunTimeout
    }
}

/// Nobody is more impatient than this many signals can say.
const SIGNALS: usize = 8;

/// The receiving end: what stages and the engine look at. Everything that wanted the run to stop, in order.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<Vec<CancelReason>>);

impl Cancel {
    /// Listens to SIGINT, SIGTERM and the run's time limit, from now to the end of the process.
    ///
    /// # Errors
    /// When the operating system does not let us install a handler.
    pub fn listen(limit: Duration) -> Result<Self, Fault> {
        let refused = |error: std::io::Error| Fault::new("could not install a signal handler").because(error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let (sender, receiver) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut time_out = std::pin::pin!(super::retry::pause(limit));
            let mut timed_out = false;
            loop {
                let reason = tokio::select! {
                    Some(()) = interrupt.recv() => CancelReason::Interrupt,
                    Some(()) = terminate.recv() => CancelReason::Terminate,
                    () = &mut time_out, if !timed_out => { timed_out = true; CancelReason::RunTimeout }
                    () = sender.closed() => return,
                };
                // The same signal twice is a second signal: somebody is impatient.
                sender.send_if_modified(|heard| {
                    let is_news = heard.len() < SIGNALS;
                    if is_news {
                        heard.push(reason);
                    }
                    is_news
                });
            }
        });
        Ok(Self(receiver))
    }

    /// Cancels for whatever `reasons` holds: for those who have no process to be signalled.
    pub fn by(reasons: watch::Receiver<Vec<CancelReason>>) -> Self {
        Self(reasons)
    }

    /// Never cancels: for what runs outside a pipeline.
    pub fn never() -> Self {
        // A receiver whose sender is gone keeps its last value, which is "no reason".
        Self(watch::channel(Vec::new()).1)
    }

    /// The first reason, once there is one: what stops the run, whatever follows.
    pub fn reason(&self) -> Option<CancelReason> {
        self.0.borrow().first().copied()
    }

    /// Every reason so far, in order.
    pub fn heard(&self) -> Vec<CancelReason> {
        self.0.borrow().clone()
    }

    /// How many signals have come.
    pub fn signals(&self) -> usize {
        count(&self.0.borrow())
    }

    /// Waits for a reason that outranks `known`; for ever, if none comes.
    pub async fn outranking(&self, known: Option<CancelReason>) -> CancelReason {
        let first = |heard: &[CancelReason]| heard.iter().copied().find(|reason| Some(*reason) > known);
        self.once(first).await
    }

    /// Waits until more signals than `known` have come, and returns the newest; for ever, if none comes.
    pub async fn more_signals_than(&self, known: usize) -> CancelReason {
        self.once(|heard| heard.iter().copied().rfind(|reason| reason.is_signal() && count(heard) > known)).await
    }

    async fn once(&self, find: impl Fn(&[CancelReason]) -> Option<CancelReason>) -> CancelReason {
        let mut receiver = self.0.clone();
        let found = match receiver.wait_for(|heard| find(heard).is_some()).await {
            Ok(heard) => find(&heard),
            Err(_) => None,
        };
        match found {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

fn count(heard: &[CancelReason]) -> usize {
    heard.iter().filter(|reason| reason.is_signal()).count()
}
