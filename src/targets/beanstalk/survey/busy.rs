//! An environment that is busy with something else: it is waited for, its update aborted, or that is the end of the run.

use tokio::time::Instant;

use super::super::call::again;
use super::super::platform::{Environment, Status};
use super::super::{Beanstalk, live};
use super::Surveyor;
use crate::engine::in_words;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::OnBusy;

impl Beanstalk {
    /// Sees to it that an environment is Ready, in the way of `on_busy`, and says whether that took a wait.
    pub(super) async fn has_waited_for(&self, by: &Surveyor<'_>, environment: &Environment) -> Result<bool, Fault> {
        let began = Instant::now();
        let mut environment = environment.clone();
        let (mut waited, mut aborted) = (false, false);
        loop {
            // Asked for in any case: without the right to read events no deployment could be judged.
            let ask = async || self.api.newest_events(&environment.id).await;
            let events = again(Some(by.cx), "DescribeEvents", ask).await?;
            let Err(busy) = live::check_ready(&environment, events.first()) else { return Ok(waited) };
            if !environment.status.is_busy() {
                return Err(busy);
            }
            match by.patience {
                None if self.plan.on_busy != OnBusy::Fail => {
                    by.note(format!("{}; the deployment will {}", busy.what(), self.mends(&environment)));
                    return Ok(false);
                }
                Some(patience) if began.elapsed() < patience => {
                    if !waited {
                        by.cx.note(format!("{}; waiting at most {}", busy.what(), in_words(patience)));
                        waited = true;
                    }
                    if self.may_abort(&environment) && !aborted {
                        by.cx.warn(format!(
                            "on_busy is abort: the update of {} is aborted; its instances may run different versions \
                             until this deployment has put one version on all of them, or another in its place",
                            environment.name
                        ));
                        self.abort_update(Some(by.cx), &environment.id).await?;
                        aborted = true;
                    }
                }
                _ => {
                    return Err(
                        busy.hint("set on_busy to wait, or raise deploy_timeout, which is how long a run waits")
                    );
                }
            }
            pause(self.pace.interval(began.elapsed())).await;
            let ask = self.look(Some(by.cx), &environment.id).await?;
            environment = ask.ok_or_else(|| Fault::new(format!("environment {} is gone", environment.name)))?;
        }
    }

    /// Whether what is under way is an update that can be aborted, and that is wanted. What another run does there is
    /// waited for by its journal, long before this is asked.
    fn may_abort(&self, environment: &Environment) -> bool {
        self.plan.on_busy == OnBusy::Abort && environment.status == Status::Updating && environment.abortable
    }

    /// What the deployment will do about it, as a fragment.
    fn mends(&self, environment: &Environment) -> &'static str {
        match (self.plan.on_busy, self.may_abort(environment)) {
            (_, true) => "abort that",
            (OnBusy::Abort, false) => "wait for it, since that cannot be aborted",
            _ => "wait for it",
        }
    }
}
