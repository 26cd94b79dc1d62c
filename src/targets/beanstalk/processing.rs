//! The platform reads a version's `.ebextensions` before anything is deployed, if it is asked to (API reference,
//! `CreateApplicationVersion`, `Process`).

use std::time::Duration;

use tokio::time::Instant;

use super::Beanstalk;
use super::call::again;
use super::platform::Severity;
use crate::engine::retry::pause;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;

/// How long the platform may take: it is a matter of seconds.
const LIMIT: Duration = Duration::from_secs(300);

impl Beanstalk {
    /// Waits until the platform has read the version of our label.
    ///
    /// # Errors
    /// It refuses the bundle; the version, which nobody could deploy, is deleted then.
    pub(super) async fn processed(&self, cx: &StageCx) -> Result<(), Fault> {
        let (application, label, began) = (&self.plan.application, self.label(), Instant::now());
        loop {
            let ask = async || self.api.version(application, label).await;
            let version = again(Some(cx), "DescribeApplicationVersions", ask).await?;
            let version = version.ok_or_else(|| Fault::new(format!("version {label} is gone")))?;
            match version.status.to_ascii_uppercase().as_str() {
                "PROCESSED" => return Ok(()),
                "FAILED" => break,
                _ if began.elapsed() < LIMIT => pause(self.pace.interval(began.elapsed())).await,
                status => {
                    let time = in_words(LIMIT);
                    return Err(Fault::timed_out(format!("the bundle was not read within {time}: it is {status}")));
                }
            }
        }
        let fault = self.refusal(cx).await;
        // It has no undo: it is made anew when its bundle is better, and of no use until then.
        match self.delete_version(cx, label, true).await {
            Ok(()) => Err(fault),
            Err(why) => Err(fault.cause(format!("the version is there and cannot be deployed: {why}"))),
        }
    }

    /// Why the bundle was refused, in the platform's words.
    async fn refusal(&self, cx: &StageCx) -> Fault {
        let fault = Fault::new("Elastic Beanstalk refused the bundle");
        let ask = async || self.api.events_of_version(&self.plan.application, self.label()).await;
        let fault = match again(Some(cx), "DescribeEvents", ask).await {
            Ok(events) => {
                let bad = events.into_iter().rev().filter(|event| event.severity >= Severity::Warn);
                bad.fold(fault, |fault, event| fault.cause(event.message))
            }
            Err(denied) => fault.cause(format!("its events cannot be read: {denied}")),
        };
        fault.hint("check the files in .ebextensions: YAML or JSON, each ending in .config")
    }
}
