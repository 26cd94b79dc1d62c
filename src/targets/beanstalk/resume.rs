//! The begin of a deployment: the site is this run's now. What an earlier run left is taken over when it is the same
//! deployment, and undone when it is another; what stands already is not made again.

use std::time::Duration;

use tokio::time::timeout;

use super::call::again;
use super::journal::{Progress, SiteJournal};
use super::platform::{Environment, Status, colour_word};
use super::undo::of_this_run;
use super::{Beanstalk, ImageToDeploy, Live, Survey};
use crate::engine::StageCx;
use crate::engine::journal::{Previous, Work};
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::inputs::OnBusy;

/// How long one thing that an earlier run left is waited for before the deployment begins. What takes longer is left to
/// the next run.
const LEFT_LIMIT: Duration = Duration::from_secs(60);

/// Where a deployment begins.
#[derive(Debug)]
pub enum Start {
    /// From nothing.
    New(Survey),
    /// In the middle: an earlier run with the same key and digest asked for this environment.
    Resumed(Survey, Box<Environment>),
    /// Before the promotion: the candidate of an earlier run of the same deployment has passed and waits.
    Attached(Survey, Box<Environment>),
    /// At the end: live runs this very deployment.
    Standing(Survey, Box<Environment>),
}

impl Beanstalk {
    /// Waits for the site, puts right what others left there, and finds out where to begin.
    ///
    /// # Errors
    /// The site is busy, or not as it must be.
    pub(super) async fn begin(&self, cx: &StageCx, survey: &Survey, image: &ImageToDeploy) -> Result<Start, Fault> {
        let Some(journal) = self.own(cx, survey.site_name()).await? else {
            self.must_remember()?;
            return self.survey_anew(cx).await.map(Start::New);
        };
        self.remove_left(cx, &journal, &survey.live_cname).await;
        if let Some(work) = &journal.work {
            match self.made_by(cx, work, image).await? {
                Some(environment) => return self.resume(cx, work, environment).await,
                None => self.undo_work(cx, work).await?,
            }
        }
        let survey = self.survey_anew(cx).await?;
        if let Some(standing) = self.standing(cx, &survey, &journal, image).await? {
            return Ok(standing);
        }
        if let Some(waiting) = &journal.waiting {
            match self.attach(cx, &survey, waiting, image).await? {
                Some(environment) => return Ok(Start::Attached(survey, Box::new(environment))),
                None => self.end_waiting(cx, waiting).await?,
            }
        }
        self.begin_work(&survey, &image.digest).await?;
        Ok(Start::New(survey))
    }

    /// The survey that counts: nobody else changes the site any more, so that live is waited for if it is busy.
    async fn survey_anew(&self, cx: &StageCx) -> Result<Survey, Fault> {
        let patience = match self.plan.on_busy {
            OnBusy::Wait | OnBusy::Abort => self.plan.deploy_timeout,
            OnBusy::Fail => Duration::ZERO,
        };
        self.survey_within(cx, patience).await
    }

    /// The environment that an earlier run of the same deployment asked for, if it stands.
    async fn made_by(
        &self,
        cx: &StageCx,
        work: &Work<Progress>,
        image: &ImageToDeploy,
    ) -> Result<Option<Environment>, Fault> {
        let begun = work.url.as_deref().map(|url| format!(" ({url})")).unwrap_or_default();
        let run = work.runs.last().map_or("", String::as_str);
        cx.note(format!("run {run}{begun} ended in the middle of a deployment"));
        self.adopted.borrow_mut().extend(work.runs.iter().cloned());
        // It may have been killed right after asking: a no is believed only when it lasts.
        self.asked_for.replace(work.site.asked.clone());
        if work.key != self.context.run_key || work.site.digest != image.digest {
            return Ok(None);
        }
        if let Some(update) = &work.site.update {
            let found = self.look(Some(cx), &update.environment_id).await?;
            return Ok(found.filter(|environment| !environment.status.is_ending()));
        }
        let Some(name) = &work.site.asked else { return Ok(None) };
        let found = of_this_run(self, name).await?;
        Ok(found.filter(|environment| !environment.status.is_ending()))
    }

    async fn resume(&self, cx: &StageCx, work: &Work<Progress>, environment: Environment) -> Result<Start, Fault> {
        cx.note(format!("it was the same deployment: this run goes on with environment {}", environment.name));
        work.undo.iter().filter(|undo| is_way_back(undo)).for_each(|undo| cx.undo(undo.clone()));
        self.go_on_with(work).await?;
        self.sent_swap.replace(work.site.swap.clone());
        self.sent_update.replace(work.site.update.clone());
        self.accepted.set(work.site.accepted);
        for undo in &work.undo {
            // It has served: the environment is made.
            if let Undo::RemoveTemplate { template, .. } = undo {
                self.drop_template(cx, template.clone()).await?;
            }
        }
        self.sent_swap_was_awaited().await?;
        let environment = self.look(Some(cx), &environment.id).await?.unwrap_or(environment);
        Ok(Start::Resumed(work.site.survey.clone(), Box::new(environment)))
    }

    /// Undoes what an earlier run left in the middle; what cannot be undone is left for the next one.
    pub(super) async fn undo_work(&self, cx: &StageCx, work: &Work<Progress>) -> Result<(), Fault> {
        cx.note("what it had made is undone first");
        self.sent_swap.replace(work.site.swap.clone());
        self.sent_update.replace(work.site.update.clone());
        let mut left = Vec::new();
        for undo in work.undo.iter().rev().filter(|undo| is_way_back(undo)) {
            match self.perform(undo, &Receipt::default()).await {
                Ok(()) => cx.note(format!("done: {undo}")),
                Err(fault) => {
                    cx.warn(format!("could not {undo}: {fault}; do it with: {}", undo.command()));
                    left.push(undo.clone());
                }
            }
        }
        self.sent_swap.replace(None);
        self.sent_update.replace(None);
        self.asked_for.replace(None);
        let Some(book) = self.book.get() else { return Ok(()) };
        let is_open = left.iter().any(|undo| matches!(undo, Undo::Redeploy { .. }));
        book.change(|journal| match &mut journal.work {
            // Live has neither version for sure: the next run tries again.
            Some(work) if is_open => work.undo = left.iter().rev().cloned().collect(),
            _ => {
                journal.work = None;
                journal.leave_behind(&left, &work.runs);
            }
        })
        .await
    }

    /// Removes what earlier runs could not. It is no concern of this deployment, and does not stop it.
    pub(super) async fn remove_left(&self, cx: &StageCx, journal: &SiteJournal, live_cname: &str) {
        for left in &journal.left {
            self.adopted.borrow_mut().extend(left.runs.iter().cloned());
            let (undo, guarded) = (&left.undo, unless_live(&left.undo, live_cname));
            match timeout(LEFT_LIMIT, self.perform(&guarded, &Receipt::default())).await {
                Ok(Ok(())) => {
                    cx.note(format!("an earlier run left it: {undo}: done"));
                    if let Some(book) = self.book.get() {
                        // If it is not written, the next run finds that there is nothing left to do.
                        let _ = book.change(|journal| journal.left.retain(|left| left.undo != *undo)).await;
                    }
                }
                Ok(Err(fault)) => {
                    cx.warn(format!(
                        "an earlier run left it: could not {undo}: {fault}; do it with: {}",
                        undo.command()
                    ));
                }
                Err(_) => cx.note(format!("an earlier run left it: {undo}: under way")),
            }
        }
    }

    /// Whether live runs this very deployment, and well: then there is nothing to deploy.
    async fn standing(
        &self,
        cx: &StageCx,
        survey: &Survey,
        journal: &SiteJournal,
        image: &ImageToDeploy,
    ) -> Result<Option<Start>, Fault> {
        let (Some(live), Some(good)) = (&survey.live, journal.good.first()) else { return Ok(None) };
        let is_ours = good.key == self.context.run_key
            && good.digest == image.digest.as_str()
            && good.environment_id == live.environment_id
            && good.version_label == live.version_label
            && good.version_label == self.label();
        if !is_ours {
            return Ok(None);
        }
        let Some(environment) = self.look(Some(cx), &live.environment_id).await? else { return Ok(None) };
        let name = &environment.name;
        if environment.status != Status::Ready || environment.health < self.plan.minimum_health {
            let (status, health) = (environment.status, colour_word(environment.health));
            cx.note(format!("{name} runs this version already, but is {status} and {health}: it is deployed again"));
            return Ok(None);
        }
        let instances = match environment.is_enhanced() {
            true => {
                again(Some(cx), "DescribeInstancesHealth", async || self.api.instances(&environment.id).await).await?
            }
            false => None,
        };
        if instances.is_some_and(|all| all.iter().any(|instance| !instance.runs(&live.version_label))) {
            cx.note(format!("{name} shows this version, but not every instance runs it: it is deployed again"));
            return Ok(None);
        }
        if !self.settings_diff(cx, name).await?.is_empty() {
            cx.note(format!("{name} runs this version already, with other settings: it is deployed again"));
            return Ok(None);
        }
        cx.note(format!("{} runs this version already, deployed by run {}", environment.name, good.run));
        let live = match survey.is_in_place() {
            // What was live before a swap was not live before this version.
            true => survey.live.clone(),
            false => journal.previous.as_ref().map(|previous| self.as_live(previous)),
        };
        Ok(Some(Start::Standing(Survey { live, ..survey.clone() }, Box::new(environment))))
    }

    fn as_live(&self, previous: &Previous) -> Live {
        Live {
            environment_id: previous.environment_id.clone(),
            name: previous.name.clone(),
            version_label: previous.version_label.clone(),
            cname: String::new(),
        }
    }
}

/// Whether it undoes something: a size is given back to what is live in the end.
pub(super) fn is_way_back(undo: &Undo) -> bool {
    !matches!(undo, Undo::GiveSizeBack { .. })
}

/// What was a first environment when it was left may be kept, and live, by now.
fn unless_live(undo: &Undo, live_cname: &str) -> Undo {
    match undo.clone() {
        Undo::EndEnvironment { application, environment, region, live_cname: None } => {
            Undo::EndEnvironment { application, environment, region, live_cname: Some(live_cname.to_owned()) }
        }
        other => other,
    }
}
