//! What a run would change at a site, in order. Nothing is changed, and the site is not taken.

use super::call::again;
use super::clean_up::end_of_kept;
use super::journal::SiteJournal;
use super::retention::{Fate, Ground};
use super::rollback::live_of;
use super::{Beanstalk, Survey};
use crate::engine::StageCx;
use crate::engine::change::Change;
use crate::fault::Fault;
use crate::inputs::{Promotion, RunKind, Strategy};

/// Stands for the id of an environment that is not there yet.
const UNKNOWN: &str = "{id}";

impl Beanstalk {
    /// What a run of this kind would change.
    ///
    /// # Errors
    /// Something that was asked for was not answered, or there is nothing that the run could do.
    pub async fn would_change(&self, cx: &StageCx, run: RunKind, survey: &Survey) -> Result<Vec<Change>, Fault> {
        match run {
            RunKind::Pipeline | RunKind::Deploy => self.would_deploy(cx, survey).await,
            RunKind::Promote => self.would_promote(cx, survey).await,
            RunKind::Rollback => {
                let journal = self.glance(cx, survey).await;
                let way = self.way_back(cx, survey, journal.as_ref(), false).await?;
                Ok(way.change(survey, live_of(survey)?).into_iter().collect())
            }
            RunKind::Cleanup => {
                let journal = self.glance(cx, survey).await;
                self.would_tidy(cx, survey, journal.as_ref()).await
            }
            RunKind::Configure => Ok(self.would_configure(cx, &live_of(survey)?.name).await?.into_iter().collect()),
            RunKind::Test | RunKind::Push | RunKind::Check => Ok(Vec::new()),
        }
    }

    async fn would_deploy(&self, cx: &StageCx, survey: &Survey) -> Result<Vec<Change>, Fault> {
        let (application, label) = (self.plan.application.clone(), self.label().to_owned());
        let journal = match self.plan.strategy {
            Strategy::VersionOnly => None,
            // Without an application there is no journal; to look for it would make Beanstalk's bucket.
            _ if !survey.application_exists => None,
            _ => self.glance(cx, survey).await,
        };
        let mut changes = Vec::new();
        if !survey.application_exists {
            changes.push(Change::MakeApplication { application: application.clone() });
        }
        changes.push(self.would_make_version(cx, survey).await?);
        changes.extend(self.would_replace(journal.as_ref()));
        let live = survey.live.as_ref().map(|live| live.name.clone());
        match (self.plan.strategy, live) {
            (Strategy::VersionOnly, _) => return Ok(changes),
            (Strategy::InPlace, live) => {
                match live {
                    Some(environment) => {
                        changes.extend(self.would_configure(cx, &environment).await?);
                        changes.push(Change::Update { environment, label });
                    }
                    None => {
                        let (name, cname) = (self.plan.live.clone(), survey.live_cname.clone());
                        changes.push(Change::MakeEnvironment { name, cname, label });
                    }
                }
                changes.extend(self.would_drop_versions(cx).await?);
                return Ok(changes);
            }
            (_, None) => {
                let (name, cname) = (survey.candidate_name.clone(), survey.live_cname.clone());
                changes.push(Change::MakeEnvironment { name, cname, label });
                return Ok(changes);
            }
            (_, Some(live)) => match &survey.update {
                Some(idle) => {
                    changes.extend(self.would_configure(cx, &idle.name).await?);
                    changes.push(Change::Update { environment: idle.name.clone(), label });
                }
                None => {
                    let name = survey.candidate_name.clone();
                    let cname = format!("{name}.{}", survey.live_cname.split_once('.').map_or("", |(_, rest)| rest));
                    changes.push(Change::MakeTemplate { of: live });
                    changes.push(Change::MakeEnvironment { name, cname, label });
                }
            },
        }
        let candidate = survey.update.as_ref().map_or(&survey.candidate_name, |idle| &idle.name);
        if self.plan.promote == Promotion::Manual {
            changes.push(Change::Wait { environment: candidate.clone() });
            return Ok(changes);
        }
        changes.extend(self.would_swap(cx, survey, (UNKNOWN, candidate), journal.as_ref()).await?);
        Ok(changes)
    }

    /// The settings that differ from what the inputs want; `None` when none does.
    async fn would_configure(&self, cx: &StageCx, environment: &str) -> Result<Option<Change>, Fault> {
        if super::settings::wanted(&self.plan).is_empty() {
            return Ok(None);
        }
        let settings: Vec<String> =
            self.settings_diff(cx, environment).await?.iter().map(ToString::to_string).collect();
        Ok((!settings.is_empty()).then(|| Change::Configure { environment: environment.to_owned(), settings }))
    }

    /// The version, from a bundle whose hash and place are known when it is packed.
    async fn would_make_version(&self, cx: &StageCx, survey: &Survey) -> Result<Change, Fault> {
        let (application, label) = (self.plan.application.clone(), self.label().to_owned());
        if survey.application_exists && !label.contains('{') {
            let ask = async || self.api.version(&application, &label).await;
            if again(Some(cx), "DescribeApplicationVersions", ask).await?.is_some() {
                return Ok(Change::ReuseVersion { label });
            }
        }
        let bucket = self.plan.bucket.as_deref().unwrap_or("{bucket}");
        let bundle = format!("s3://{bucket}/{application}/{label}-{{bundle}}.zip");
        Ok(Change::MakeVersion { application, label, bundle })
    }

    /// A candidate that waits makes room, unless it turns out to be of the same image.
    fn would_replace(&self, journal: Option<&SiteJournal>) -> Option<Change> {
        let waiting = journal?.waiting.as_ref().filter(|waiting| waiting.good.key != self.context.run_key)?;
        let undo = end_of_kept(&self.plan.application, &waiting.name, &self.region);
        let why = format!("it waited to be promoted, with version {}", waiting.good.version_label);
        Some(Change::Remove { undo, why })
    }

    async fn would_promote(&self, cx: &StageCx, survey: &Survey) -> Result<Vec<Change>, Fault> {
        let candidate = self.check_waiting(cx, survey).await?;
        let journal = self.glance(cx, survey).await;
        self.would_swap(cx, survey, (&candidate.environment_id, &candidate.name), journal.as_ref()).await
    }

    /// The swap, and what goes after it.
    pub(super) async fn would_swap(
        &self,
        cx: &StageCx,
        survey: &Survey,
        candidate: (&str, &str),
        journal: Option<&SiteJournal>,
    ) -> Result<Vec<Change>, Fault> {
        let live = live_of(survey)?;
        let from = format!("{} with version {}", live.name, live.version_label);
        let swap = Change::Swap { cname: survey.live_cname.clone(), from, to: candidate.1.to_owned() };
        let mut changes = vec![swap];
        let ground = Ground::ahead(survey, candidate, journal, self.context.clock.unix());
        for (environment, fate) in self.fates(cx, &ground).await? {
            if let Fate::End(why) = fate {
                let undo = end_of_kept(&self.plan.application, &environment.name, &self.region);
                changes.push(Change::Remove { undo, why });
            }
        }
        changes.extend(self.would_drop_versions(cx).await?);
        Ok(changes)
    }
}
