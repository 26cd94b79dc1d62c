//! A standing environment is given the version: live itself in place, or the idle one of a pair.

use super::bundle::Bundle;
use super::call::looked_up;
use super::environment::Request;
use super::operation::Operation;
use super::platform::{Environment, Status};
use super::{Beanstalk, Candidate, ImageToDeploy, Live, Survey};
use crate::engine::StageCx;
use crate::engine::event::Role;
use crate::engine::undo::Undo;
use crate::fault::Fault;

impl Beanstalk {
    /// Makes the version, gives it to `environment` and waits for the verdict on it.
    pub(super) async fn update(
        &self,
        cx: &StageCx,
        survey: &Survey,
        environment: &Live,
        image: &ImageToDeploy,
        bundle: &Bundle,
    ) -> Result<Candidate, Fault> {
        self.make_version(cx, image, bundle).await?;
        let operation = match self.update_of_an_earlier_run(cx).await? {
            Some(operation) => operation,
            None => {
                let now = self.is_still_meant(cx, survey, environment).await?;
                // A step of its own, before the version: a version and settings in one request are not taken everywhere,
                // and one that fails would not tell which of them it was.
                self.apply_settings(cx, &now).await?;
                self.begin_update(cx, survey, &Live::of(&now)).await?
            }
        };
        if survey.is_in_place() {
            // Live changes from here on, whatever the verdict.
            let known = (environment.environment_id.as_str(), environment.name.as_str());
            self.tell_of(cx, Role::Updated, known, &environment.cname);
        }
        let made = Request {
            name: operation.environment.clone(),
            environment_id: operation.environment_id.clone(),
            request_id: operation.request_id.clone(),
        };
        self.verdict_on(cx, survey, &made, &operation).await
    }

    /// Nothing may have come between since the survey: in place no other version, and an idle one must not have become
    /// live, which is not touched before the swap.
    async fn is_still_meant(&self, cx: &StageCx, survey: &Survey, environment: &Live) -> Result<Environment, Fault> {
        let Some(now) = self.look(Some(cx), &environment.environment_id).await? else {
            return Err(Fault::new(format!("environment {} is not there any more", environment.name)));
        };
        if !survey.is_in_place() && now.cname == survey.live_cname {
            return Err(Fault::new(format!("{} holds {} by now", now.name, now.cname))
                .cause("somebody else swapped since this run looked")
                .hint("run again, so that the other one of the pair is updated"));
        }
        if survey.is_in_place() && now.status == Status::Ready && now.version_label != environment.version_label {
            return Err(Fault::new(format!("{} runs version {} by now", now.name, now.version_label))
                .cause("somebody else deployed it since this run looked")
                .hint("run again, if this version is to replace that one"));
        }
        Ok(now)
    }

    /// The update that the run asked for whose work this one goes on with, if it has begun.
    async fn update_of_an_earlier_run(&self, cx: &StageCx) -> Result<Option<Operation>, Fault> {
        let Some(sent) = self.sent_update.borrow().clone() else { return Ok(None) };
        let has_begun = async |_| self.deployment_has_begun(&sent).await;
        match looked_up(Some(cx), "DescribeEvents", has_begun).await? {
            true => Ok(Some(sent)),
            false => Ok(None),
        }
    }

    /// Asks for the update, after what puts live back is registered.
    async fn begin_update(&self, cx: &StageCx, survey: &Survey, environment: &Live) -> Result<Operation, Fault> {
        let label = self.label();
        let undo = survey.is_in_place().then(|| self.redeployment_of(environment)).flatten();
        match &undo {
            Some(undo) => self.register(cx, undo).await?,
            // Nobody is served by the idle one: it has no undo, and whatever it runs, the next run gives it another
            // version before it becomes live.
            None if !survey.is_in_place() => cx.note(format!(
                "version {label} goes to {}, which serves nobody: if this run is stopped meanwhile, the update goes on \
                 to its end by itself, and the next run updates it again",
                environment.name
            )),
            None => cx.note(format!(
                "{} has no other version to go back to: what this deployment leaves there stays",
                environment.name
            )),
        }
        let asked = self.ask_for_version(Some(cx), environment, label).await;
        let is_refused = asked.is_err() && self.sent_update.borrow().is_none();
        if let Some(undo) = undo.filter(|_| is_refused) {
            // There is nothing to undo.
            self.unregister(cx, &undo).await?;
        }
        asked
    }

    /// What puts live back; `None` when it runs no version, or this very one.
    fn redeployment_of(&self, live: &Live) -> Option<Undo> {
        let (back, ours) = (&live.version_label, self.label());
        (!back.is_empty() && back != ours).then(|| Undo::Redeploy {
            application: self.plan.application.clone(),
            environment: live.name.clone(),
            environment_id: live.environment_id.clone(),
            label: back.clone(),
            instead_of: ours.to_owned(),
            region: self.region.clone(),
        })
    }
}
