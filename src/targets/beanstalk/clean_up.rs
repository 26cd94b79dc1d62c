//! Ending what nobody needs any more: after a deployment, and in a run of its own.

use super::journal::SiteJournal;
use super::platform::Environment;
use super::retention::{Fate, Ground};
use super::{Beanstalk, Candidate, Survey};
use crate::engine::StageCx;
use crate::engine::change::Change;
use crate::engine::event::Fact;
use crate::engine::retry::pause;
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::inputs::Strategy;

pub use super::retention::{EXPIRES_TAG, LIVE_TAG, RUN_TAG};

impl Beanstalk {
    /// Ends the previous environment or keeps it, by its retention; ends what earlier runs left. Waits until it is
    /// gone.
    ///
    /// # Errors
    /// What could not be ended, after everything else was.
    pub async fn clean_up(&self, cx: &StageCx, survey: &Survey, candidate: &Candidate) -> Result<(), Fault> {
        let ours = self.look(Some(cx), &candidate.environment_id).await?;
        if ours.is_none_or(|ours| ours.cname != survey.live_cname) {
            cx.warn(format!("{} is not live any more: nothing is cleaned up", candidate.name));
            return Ok(());
        }
        self.pay_what_is_owed(cx).await;
        // In place there is no other environment.
        if self.plan.strategy.swaps() {
            let journal = self.what_is_written().await;
            let live = (candidate.environment_id.as_str(), candidate.name.as_str());
            let ground = Ground::deployed(survey, live, journal.as_ref(), self.context.clock.unix());
            self.carry_out(cx, survey, self.fates(cx, &ground).await?).await?;
        }
        // A deployment that stands does not fail because of versions that cost next to nothing.
        if let Err(fault) = self.drop_old_versions(cx).await {
            cx.warn(format!("old versions stay: {fault}"));
        }
        Ok(())
    }

    /// The same between deployments: what is past its time, and what runs left. First says what it will do.
    ///
    /// # Errors
    /// The site is another run's; or what could not be removed, after everything else was.
    pub async fn tidy(&self, cx: &StageCx, surveyed: &Survey) -> Result<(), Fault> {
        let journal = self.own(cx, surveyed.site_name()).await?;
        let changes = self.would_tidy(cx, surveyed, journal.as_ref()).await?;
        changes.into_iter().for_each(|change| cx.fact(Fact::Planned(change)));
        // Who is live may change when a dead run's swap is taken back.
        let journal = match journal {
            Some(journal) => Some(self.put_right(cx, journal, &surveyed.live_cname).await?),
            None => None,
        };
        let survey = self.survey_what_is_there(cx).await?;
        let ground = Ground::standing(&survey, journal.as_ref());
        let ended = self.carry_out(cx, &survey, self.fates(cx, &ground).await?).await;
        self.forget_previous().await?;
        let dropped = self.drop_old_versions(cx).await;
        ended.and(dropped)
    }

    /// Deletes the versions beyond those that are kept, and says which.
    async fn drop_old_versions(&self, cx: &StageCx) -> Result<(), Fault> {
        let Some(keep) = self.plan.keep_versions else { return Ok(()) };
        let gone = self.prune_versions(cx, keep, false).await?;
        if !gone.is_empty() {
            cx.note(format!("deleted with bundle and tag, since keep_versions is {keep}: {}", gone.join(", ")));
        }
        Ok(())
    }

    /// What [`Beanstalk::tidy`] would remove, in order.
    pub(super) async fn would_tidy(
        &self,
        cx: &StageCx,
        survey: &Survey,
        journal: Option<&SiteJournal>,
    ) -> Result<Vec<Change>, Fault> {
        let remove = |undo: &Undo, why: &str| Change::Remove { undo: undo.clone(), why: why.to_owned() };
        let mut changes: Vec<Change> = Vec::new();
        if let Some(journal) = journal {
            changes.extend(journal.left.iter().map(|left| remove(&left.undo, "an earlier run could not")));
            let (me, now) = (&self.context.run_id, self.context.clock.unix());
            let is_under_way = journal.owner().is_some_and(|owner| owner.run != *me && owner.expires > now);
            let dead = journal.work.iter().filter(|_| !is_under_way).flat_map(|work| work.undo.iter().rev());
            changes.extend(dead.map(|undo| remove(undo, "the run that made it ended in the middle")));
        }
        for (environment, fate) in self.fates(cx, &Ground::standing(survey, journal)).await? {
            if let Fate::End(why) = fate {
                let undo = end_of_kept(&self.plan.application, &environment.name, &self.region);
                let is_it = |change: &Change| matches!(change, Change::Remove { undo: it, .. } if ends_same(it, &undo));
                if !changes.iter().any(is_it) {
                    changes.push(Change::Remove { undo, why });
                }
            }
        }
        changes.extend(self.would_drop_versions(cx).await?);
        Ok(changes)
    }

    /// The versions beyond those that are kept.
    pub(super) async fn would_drop_versions(&self, cx: &StageCx) -> Result<Vec<Change>, Fault> {
        let Some(keep) = self.plan.keep_versions else { return Ok(Vec::new()) };
        let application = &self.plan.application;
        let old = self.prune_versions(cx, keep, true).await?.into_iter();
        Ok(old.map(|label| Change::DeleteVersion { application: application.clone(), label }).collect())
    }

    /// Ends what is to be ended, and says what stays and costs money.
    async fn carry_out(&self, cx: &StageCx, survey: &Survey, fates: Vec<(Environment, Fate)>) -> Result<(), Fault> {
        let mut failures = Vec::new();
        for (environment, fate) in fates {
            match fate {
                Fate::Keep(why) => self.say_kept(cx, &environment, why).await,
                Fate::End(why) => {
                    cx.note(format!("{} will be terminated: {why}", environment.name));
                    self.wait_for_resolvers(survey, &environment).await;
                    let receipt = Receipt::default();
                    let ended = self.end(Some(cx), &environment, Some(&survey.live_cname), &receipt).await;
                    failures.extend(ended.err());
                }
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failures.into_iter().fold(Fault::new("could not end every environment"), Fault::because)),
        }
    }

    pub(super) async fn say_kept(&self, cx: &StageCx, environment: &Environment, why: String) {
        let Environment { name, id, version_label, .. } = environment;
        let bill = self.bill(id).await;
        cx.fact(Fact::Kept {
            what: format!("environment {name} ({id}) with version {version_label}: {bill}"),
            why,
            // Neither of a pair is ever ended.
            command: (self.plan.strategy != Strategy::Pair)
                .then(|| end_of_kept(&self.plan.application, name, &self.region).command()),
        });
    }

    /// Resolvers may hold the address of what was live a moment ago.
    async fn wait_for_resolvers(&self, survey: &Survey, environment: &Environment) {
        let was_live = survey.live.as_ref().is_some_and(|live| live.environment_id == environment.id);
        let since = self.swapped.get().map(|swapped| swapped.elapsed()).unwrap_or_default();
        if let Some(rest) = self.pace.dns_ttl.checked_sub(since).filter(|_| was_live) {
            pause(rest).await;
        }
    }

    /// The journal as this run has it; `None` without one.
    pub(super) async fn what_is_written(&self) -> Option<SiteJournal> {
        self.book()?.change(|journal| journal.clone()).await.ok()
    }

    /// Takes the previous environment out of the journal when it is gone.
    async fn forget_previous(&self) -> Result<(), Fault> {
        let Some(journal) = self.what_is_written().await else { return Ok(()) };
        let (Some(previous), Some(book)) = (&journal.previous, self.book()) else { return Ok(()) };
        let found = self.look(None, &previous.environment_id).await?;
        if found.is_none_or(|environment| environment.status.is_ending()) {
            book.change(|journal| journal.previous = None).await?;
        }
        Ok(())
    }
}

fn ends_same(one: &Undo, other: &Undo) -> bool {
    let name = |undo: &Undo| match undo {
        Undo::EndEnvironment { environment, .. } => Some(environment.clone()),
        _ => None,
    };
    name(one).is_some() && name(one) == name(other)
}

/// What ends an environment that is kept on purpose.
pub(super) fn end_of_kept(application: &str, name: &str, region: &str) -> Undo {
    Undo::EndEnvironment {
        application: application.to_owned(),
        environment: name.to_owned(),
        region: region.to_owned(),
        live_cname: None,
    }
}
