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

/// The receiving end: what stages and the engine look at.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<Option<CancelReason>>);

impl Cancel {
    /// Listens to SIGINT, SIGTERM and the run's time limit, from now to the end of the process.
    ///
    /// # Errors
    /// When the operating system does not let us install a handler.
    pub fn listen(limit: Duration) -> Result<Self, Fault> {
        let refused = |error: std::io::Error| Fault::new("could not install a signal handler").because(error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let (sender, receiver) = watch::channel(None);
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
                sender.send_if_modified(|known| {
                    let outranks = known.is_none_or(|known| reason > known);
                    if outranks {
                        *known = Some(reason);
                    }
                    outranks
                });
            }
        });
        Ok(Self(receiver))
    }

    /// Cancels for whatever `reasons` holds: for those who have no process to be signalled.
    pub fn by(reasons: watch::Receiver<Option<CancelReason>>) -> Self {
        Self(reasons)
    }

    /// Never cancels: for what runs outside a pipeline.
    pub fn never() -> Self {
        // A receiver whose sender is gone keeps its last value, which is "no reason".
        Self(watch::channel(None).1)
    }

    /// The reason, once there is one.
    pub fn reason(&self) -> Option<CancelReason> {
        *self.0.borrow()
    }

    /// Waits for a reason that outranks `known`; for ever, if none comes.
    pub async fn outranking(&self, known: Option<CancelReason>) -> CancelReason {
        let mut receiver = self.0.clone();
        let reason = match receiver.wait_for(|reason| *reason > known).await {
            Ok(reason) => *reason,
            Err(_) => None,
        };
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}
