//! Settings of an environment that stands: read, compared, changed, waited for.

use aws_sdk_elasticbeanstalk::operation::RequestId;
use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;
use tokio::time::Instant;

use super::super::call::{again, looked_up, refused, while_doing};
use super::super::events::Anchor;
use super::super::operation::{Kind, Operation};
use super::super::platform::{Environment, Status};
use super::super::{Beanstalk, Live, Survey, hints, wait};
use super::{Change, diff, fit, wanted, wire};
use crate::engine::retry::{Failure, pause};
use crate::engine::undo::Undo;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::{OnBusy, PROPERTIES};

/// What a run that only configures has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The environment's id.
    pub environment_id: String,
    /// Its name.
    pub name: String,
    /// What is otherwise now; empty when everything was as wanted.
    pub changes: Vec<Change>,
}

impl Beanstalk {
    /// What the inputs would change of an environment's settings. Changes nothing.
    ///
    /// # Errors
    /// The settings could not be read.
    pub async fn settings_diff(&self, cx: &StageCx, environment: &str) -> Result<Vec<Change>, Fault> {
        Ok(diff(&self.settings_of(cx, environment).await?, &wanted(&self.plan)))
    }

    pub(in super::super) async fn settings_of(
        &self,
        cx: &StageCx,
        environment: &str,
    ) -> Result<Vec<ConfigurationOptionSetting>, Fault> {
        let ask = async || self.api.settings(&self.plan.application, environment).await;
        again(Some(cx), "DescribeConfigurationSettings", ask).await
    }

    /// Gives live the settings of the inputs and nothing else, once it is this run's turn.
    ///
    /// # Errors
    /// The site is busy, or the settings were not taken; the platform has put the old ones back then.
    pub async fn configure(&self, cx: &StageCx, survey: &Survey) -> Result<Configured, Fault> {
        let Some(live) = &survey.live else {
            return Err(Fault::new(format!("nothing answers to {}: there is nothing to configure", survey.live_cname))
                .hint("deploy first; option_settings shape a first environment too"));
        };
        self.take_turn(cx, survey).await?;
        let environment = self.waited_for(cx, live).await?;
        // No image has this digest: no deployment takes this work for its own and goes on with it.
        self.begin_work(survey, &Digest::of(b"settings alone")).await?;
        let changes = self.apply_settings(cx, &environment).await?;
        Ok(Configured { environment_id: environment.id, name: environment.name, changes })
    }

    /// The environment when it is Ready, by `on_busy`.
    async fn waited_for(&self, cx: &StageCx, live: &Live) -> Result<Environment, Fault> {
        let (began, limit) = (Instant::now(), self.plan.deploy_timeout);
        let mut is_told = false;
        loop {
            let found = self.look(Some(cx), &live.environment_id).await?;
            let found = found.filter(|environment| !environment.status.is_ending());
            let Some(environment) = found else { return Err(Fault::new(format!("environment {} is gone", live.name))) };
            if environment.cname != live.cname {
                return Err(Fault::new(format!("{} does not hold {} any more", live.name, live.cname))
                    .cause(format!("it answers to {}: somebody else swapped since this run began", environment.cname))
                    .hint("run again, for the environment that is live now"));
            }
            if environment.status == Status::Ready {
                return Ok(environment);
            }
            let busy = format!("{} is {}", live.name, environment.status);
            if self.plan.on_busy == OnBusy::Fail {
                return Err(Fault::new(busy).hint("run again when it is Ready, or set on_busy to wait"));
            }
            if began.elapsed() >= limit {
                return Err(Fault::timed_out(format!(
                    "{busy} after {}: its settings are as they were",
                    in_words(limit)
                )));
            }
            if !is_told {
                cx.note(format!("{busy}; waiting at most {}", in_words(limit)));
                is_told = true;
            }
            pause(self.pace.interval(began.elapsed())).await;
        }
    }

    /// Lets new settings stand, whatever becomes of the run: what would put the old ones back is removed.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn keep_settings(&self, cx: &StageCx) -> Result<(), Fault> {
        let Some(undo) = self.restoring.take() else { return Ok(()) };
        self.unregister(cx, &undo).await?;
        match undo {
            Undo::RestoreSettings { template, .. } => self.drop_template(cx, template).await,
            _ => Ok(()),
        }
    }

    /// Gives an environment that is Ready the settings of the inputs, as a step of its own, and waits for the verdict. A
    /// failed one is put back by the platform itself; what stands is put back by the undo, until
    /// [`Beanstalk::keep_settings`] or the hand-over.
    ///
    /// # Errors
    /// The settings were refused, or did not work.
    pub async fn apply_settings(&self, cx: &StageCx, environment: &Environment) -> Result<Vec<Change>, Fault> {
        let name = &environment.name;
        let wanted = wanted(&self.plan);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let current = self.settings_of(cx, name).await?;
        let changes = diff(&current, &wanted);
        if changes.is_empty() {
            cx.note(format!("{name} has the wanted settings already"));
            return Ok(changes);
        }
        fit(name, &current, &self.plan)?;
        say(cx, name, &changes);
        self.save_settings(cx, environment, &changes).await?;
        let operation = self.send_settings(cx, environment, &changes).await?;
        let limit = self.plan.deploy_timeout;
        let concluded = wait::conclude(&self.watcher, Some(cx), &operation, &self.demand(), limit).await;
        concluded.map_err(|fault| hints::with_hints(naming(fault, &changes)))?;
        self.were_taken(cx, &operation, &changes).await?;
        Ok(changes)
    }

    async fn send_settings(
        &self,
        cx: &StageCx,
        environment: &Environment,
        changes: &[Change],
    ) -> Result<Operation, Fault> {
        let id = &environment.id;
        let before = again(Some(cx), "DescribeEvents", async || self.api.newest_events(id).await).await?;
        let mut operation = Operation {
            kind: Kind::Configure { label: environment.version_label.clone() },
            environment_id: id.clone(),
            environment: environment.name.clone(),
            request_id: None,
            anchor: Anchor::after(&before),
        };
        let sent = looked_up(Some(cx), "UpdateEnvironment", async |attempt| {
            // Never blind: a second update would follow the first.
            if attempt > 1 && self.deployment_has_begun(&operation).await? {
                return Ok(None);
            }
            let settings = changes.iter().map(|change| wire(&change.wanted)).collect();
            let request = self.api.beanstalk.update_environment().environment_id(id);
            self.hold().await?;
            // Before it is sent: this may be dropped at any await, and the settings are taken nevertheless.
            self.sent_settings.set(true);
            match request.set_option_settings(Some(settings)).send().await.map_err(|e| refused("UpdateEnvironment", e))
            {
                Ok(answer) => Ok(answer.request_id().map(str::to_owned)),
                // Something has begun since it was seen to be Ready, which ends.
                Err(error) if error.is_busy() => Err(error.into_passing()),
                Err(error) => Err::<_, Failure>(error.into()),
            }
        });
        let what = format!("could not change the settings of {}", environment.name);
        operation.request_id = sent.await.map_err(|fault| naming(while_doing(what, fault), changes))?;
        self.sent_settings.set(false);
        Ok(operation)
    }

    /// The update that was waited for may have been another's, when its answer was lost.
    async fn were_taken(&self, cx: &StageCx, operation: &Operation, changes: &[Change]) -> Result<(), Fault> {
        let wanted: Vec<_> = changes.iter().map(|change| change.wanted.clone()).collect();
        let name = &operation.environment;
        let left = diff(&self.settings_of(cx, name).await?, &wanted);
        if operation.request_id.is_none() && left.len() == changes.len() {
            return Err(Fault::new(format!("the settings of {name} are as they were"))
                .cause("an update took place, but it was another's: the answer to ours was lost")
                .hint("run again"));
        }
        for change in left {
            cx.warn(format!("{name} was updated, but Elastic Beanstalk shows another value for {}", change.option()));
        }
        Ok(())
    }
}

/// Prints what changes, a line for each.
pub(in super::super) fn say(cx: &StageCx, name: &str, changes: &[Change]) {
    cx.note(match changes.len() {
        1 => format!("1 setting of {name} changes:"),
        count => format!("{count} settings of {name} change:"),
    });
    changes.iter().for_each(|change| cx.note(format!("  {change}")));
}

/// Says which options a failure is about: those that the platform names, else all that were changed.
fn naming(fault: Fault, changes: &[Change]) -> Fault {
    let said: String = fault.causes().iter().map(String::as_str).chain([fault.what()]).collect::<Vec<_>>().join("\n");
    let named: Vec<&Change> = changes.iter().filter(|change| said.contains(&change.wanted.option)).collect();
    let suspects = if named.is_empty() { changes.iter().collect() } else { named };
    let options = suspects.iter().map(|change| change.option()).collect::<Vec<_>>().join(", ");
    let is_property = suspects.iter().all(|change| change.wanted.namespace == PROPERTIES);
    let input = if is_property { "environment_variables or option_settings" } else { "option_settings" };
    fault.hint(format!("correct {options} in {input}"))
}
