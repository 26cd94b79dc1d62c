//! An environment that stands is given a version: asked for once, and looked for where the answer was lost.

use std::cell::Cell;

use aws_sdk_elasticbeanstalk::operation::RequestId;
use tokio::time::Instant;

use super::call::{ApiError, Told, again, looked_up, refused, while_doing};
use super::events::{Anchor, Reader};
use super::operation::{Kind, Operation};
use super::platform::Status;
use super::{Beanstalk, Live};
use crate::engine::in_words;
use crate::engine::retry::{Failure, pause};
use crate::fault::Fault;
use crate::inputs::OnBusy;

impl Beanstalk {
    /// Asks an environment for a version; the caller has registered what puts it back. The same label once more is a
    /// redeployment, which the platform does.
    pub(super) async fn ask_for_version(
        &self,
        told: Told<'_>,
        environment: &Live,
        label: &str,
    ) -> Result<Operation, Fault> {
        let (id, name) = (&environment.environment_id, &environment.name);
        let before = again(told, "DescribeEvents", async || self.api.newest_events(id).await).await?;
        let mut operation = Operation {
            kind: Kind::Update { label: label.to_owned() },
            environment_id: id.clone(),
            environment: name.clone(),
            request_id: None,
            anchor: Anchor::after(&before),
        };
        if told.is_some() {
            // A later run must know of it: an update goes on although nobody waits for it any more.
            self.write(|work| work.site.update = Some(operation.clone())).await?;
        }
        let (may_be_ours, was_busy) = (Cell::new(false), Cell::new(false));
        let sent = looked_up(told, "UpdateEnvironment", async |_| {
            if may_be_ours.get() && self.deployment_has_begun(&operation).await? {
                return Ok(None);
            }
            if was_busy.take() {
                self.is_as_surveyed(told, environment).await?;
            }
            let request = self.api.beanstalk.update_environment().environment_id(id).version_label(label);
            self.hold().await?;
            // Before it is sent: this may be dropped at any await, and the update takes place nevertheless.
            self.sent_update.replace(Some(operation.clone()));
            match request.send().await.map_err(|e| refused("UpdateEnvironment", e)) {
                Ok(answer) => Ok::<_, Failure>(answer.request_id().map(str::to_owned)),
                Err(error) => {
                    may_be_ours.set(may_be_ours.get() || error.passing);
                    was_busy.set(was_busy.get() || error.is_busy());
                    if !may_be_ours.get() {
                        self.sent_update.replace(None);
                    }
                    Err(self.unless_it_waits(error))
                }
            }
        });
        let sent = sent.await;
        operation.request_id = sent.map_err(|fault| while_doing(format!("could not {operation}"), fault))?;
        Ok(operation)
    }

    /// Somebody may have been faster since the survey: that is waited for as any environment that is busy.
    fn unless_it_waits(&self, error: ApiError) -> Failure {
        match (error.is_busy(), self.plan.on_busy) {
            (true, OnBusy::Wait | OnBusy::Abort) => Failure::Busy(error.into_fault()),
            (true, OnBusy::Fail) => {
                Failure::Final(error.into_fault().hint("set on_busy to wait, or run again when that is over"))
            }
            (false, _) => error.into(),
        }
    }

    /// Waits until nothing is under way there any more. Who had to wait must find what it was about to replace: else it
    /// would take somebody's version away unseen.
    async fn is_as_surveyed(&self, told: Told<'_>, environment: &Live) -> Result<(), Failure> {
        let (began, limit) = (Instant::now(), self.plan.deploy_timeout);
        told.iter().for_each(|cx| {
            cx.note(format!("{} has become busy; waiting at most {}", environment.name, in_words(limit)));
        });
        loop {
            let now = self.api.environment(&environment.environment_id).await?;
            let Some(now) = now.filter(|now| !now.status.is_ending()) else {
                return Err(Failure::Final(Fault::new(format!("environment {} is gone", environment.name))));
            };
            if now.status == Status::Ready && now.version_label == environment.version_label {
                return Ok(());
            }
            if now.status == Status::Ready {
                let what = format!("{} runs version {} by now", now.name, now.version_label);
                let fault = Fault::new(what).cause("somebody else deployed it while this run waited");
                return Err(Failure::Final(fault.hint("run again, if this version is to replace that one")));
            }
            if began.elapsed() >= limit {
                let what = format!("{} has been {} for {}", now.name, now.status, in_words(limit));
                return Err(Failure::Final(Fault::timed_out(what)));
            }
            pause(self.pace.interval(began.elapsed())).await;
        }
    }

    /// Whether an update that was sent is done or under way. A state may be told late, so a no is believed only when it
    /// lasts as long as an event may take.
    pub(super) async fn deployment_has_begun(&self, operation: &Operation) -> Result<bool, Failure> {
        let began = Instant::now();
        let mut reader = Reader::from(operation.anchor.as_ref());
        let id = &operation.environment_id;
        loop {
            let seen = self.api.environment(id).await?;
            let is_busy = seen.is_some_and(|seen| seen.status.is_busy());
            let events = self.api.events(id, &mut reader).await?;
            let is_told = events.iter().any(|event| event.message.starts_with(operation.kind.beginning()));
            if is_busy || is_told || began.elapsed() >= self.pace.late_events {
                return Ok(is_busy || is_told);
            }
            pause(self.pace.first).await;
        }
    }

    /// Asks for the end of an update that is under way. One that has ended by itself is no error.
    ///
    /// It has no undo: only who began the update can begin it again.
    pub(super) async fn abort_update(&self, told: Told<'_>, id: &str) -> Result<(), Fault> {
        again(told, "AbortEnvironmentUpdate", async || {
            self.hold().await?;
            let answer = self.api.beanstalk.abort_environment_update().environment_id(id).send().await;
            match answer.map(drop).map_err(|e| refused("AbortEnvironmentUpdate", e)) {
                Err(error) if error.is_busy() => Ok(()),
                answer => answer,
            }
        })
        .await
    }
}
