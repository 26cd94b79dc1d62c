//! What is left of earlier deployments: the previous environment by its retention, and those before it.

use super::call::again;
use super::names::{prefix_of, stem_of};
use super::platform::{Environment, Status};
use super::{Beanstalk, Candidate, Live, Survey};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::retry::pause;
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::inputs::KeepPrevious;

/// The tag that says which run made an environment.
pub const RUN_TAG: &str = "beanline:run";

/// The tag that says when others may remove it; Unix seconds.
pub const EXPIRES_TAG: &str = "beanline:expires";

/// The tag that says whose candidate an environment was: the live CNAME of its site. Names alone do not tell sites of
/// one application apart, since stems are cut and one site's live may be named as another's CNAME.
pub const LIVE_TAG: &str = "beanline:live";

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
        let mut failures = Vec::new();
        if let Some(previous) = &survey.live {
            match self.plan.keep_previous {
                KeepPrevious::UntilNextDeploy => self.keep(cx, previous),
                KeepPrevious::No => failures.extend(self.end_previous(cx, survey, previous).await.err()),
            }
        }
        for environment in self.left_behind(cx, survey, candidate).await? {
            cx.note(format!("{} is left from an earlier run and will be terminated", environment.name));
            failures
                .extend(self.end(Some(cx), &environment, Some(&survey.live_cname), &Receipt::default()).await.err());
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failures.into_iter().fold(Fault::new("could not end every environment"), Fault::because)),
        }
    }

    fn keep(&self, cx: &StageCx, previous: &Live) {
        let undo = Undo::EndEnvironment {
            application: self.plan.application.clone(),
            environment: previous.name.clone(),
            region: self.region.clone(),
            live_cname: None,
        };
        cx.fact(Fact::Kept {
            what: format!(
                "environment {} ({}) with version {}",
                previous.name, previous.environment_id, previous.version_label
            ),
            why: "it was live before and is there to roll back to; the next deployment ends it, if beanline made it"
                .into(),
            command: Some(undo.command()),
        });
    }

    async fn end_previous(&self, cx: &StageCx, survey: &Survey, previous: &Live) -> Result<(), Fault> {
        let since = self.swapped.get().map(|swapped| swapped.elapsed()).unwrap_or_default();
        if let Some(rest) = self.pace.dns_ttl.checked_sub(since) {
            pause(rest).await;
        }
        match self.look(Some(cx), &previous.environment_id).await? {
            Some(environment) => self.end(Some(cx), &environment, Some(&survey.live_cname), &Receipt::default()).await,
            None => Ok(()),
        }
    }

    /// Environments that earlier runs made here and nobody needs: not live, not the one just replaced, and either past
    /// their expiry or live once before.
    async fn left_behind(
        &self,
        cx: &StageCx,
        survey: &Survey,
        candidate: &Candidate,
    ) -> Result<Vec<Environment>, Fault> {
        let ask = async || self.api.environments(Some(&self.plan.application), &[]).await;
        let all = again(Some(cx), "DescribeEnvironments", ask).await?;
        let mut left = Vec::new();
        for environment in all.into_iter().filter(|environment| is_of_our_line(environment, survey, candidate)) {
            let tags = match self.api.tags(&environment.arn).await {
                Ok(tags) => tags,
                Err(error) => {
                    let why = error.into_fault();
                    cx.note(format!(
                        "{} may be left from an earlier run, but its tags cannot be read: {why}",
                        environment.name
                    ));
                    continue;
                }
            };
            match expiry(&tags, &survey.live_cname) {
                Some(expiry) if expiry <= self.context.clock.unix() || self.was_live(&environment).await => {
                    left.push(environment)
                }
                _ => {}
            }
        }
        Ok(left)
    }

    /// Whether it took part in a swap: it is not live, so it was.
    async fn was_live(&self, environment: &Environment) -> bool {
        let Ok(events) = self.api.newest_events(&environment.id).await else { return false };
        events.iter().any(|event| event.message.starts_with("Completed swapping CNAMEs for environments "))
    }
}

/// Named as our candidates are, standing still, with a CNAME that only a candidate was given, and neither live, nor the
/// one just replaced, nor the one that is live now.
fn is_of_our_line(environment: &Environment, survey: &Survey, candidate: &Candidate) -> bool {
    let (stem, mark) = stem_of(&environment.name);
    mark.is_some()
        && stem == stem_of(&candidate.name).0
        && environment.status == Status::Ready
        && environment.cname != survey.live_cname
        && stem_of(prefix_of(&environment.cname, &survey.region)).1.is_some()
        && environment.id != candidate.environment_id
        && survey.live.as_ref().is_none_or(|live| live.environment_id != environment.id)
}

/// When what a run made for the site with this live CNAME may be removed; `None` when no such run made it.
fn expiry(tags: &[(String, String)], live_cname: &str) -> Option<i64> {
    let value = |key: &str| tags.iter().find(|tag| tag.0 == key).map(|tag| tag.1.as_str());
    value(RUN_TAG)?;
    value(LIVE_TAG).filter(|live| *live == live_cname)?;
    value(EXPIRES_TAG)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::super::verdict::tests::environment;
    use super::*;
    use crate::inputs::Health;

    fn seen(id: &str, name: &str, cname: &str, status: Status) -> Environment {
        Environment { id: id.into(), name: name.into(), cname: cname.into(), ..environment(status, "1", Health::Green) }
    }

    #[test]
    fn only_environments_of_our_line_are_considered() {
        let live = Live {
            environment_id: "e-blue".into(),
            name: "shop-0a0a0a0a".into(),
            version_label: "1".into(),
            cname: "live".into(),
        };
        let survey = Survey {
            region: "eu-west-1".into(),
            application_exists: true,
            live: Some(live),
            live_prefix: "shop".into(),
            live_cname: "live".into(),
            candidate_name: "shop-0b0b0b0b".into(),
            solution_stack: None,
            attempt: 1,
        };
        let candidate = Candidate {
            environment_id: "e-green".into(),
            name: "shop-0b0b0b0b".into(),
            cname: "x".into(),
            version_label: "2".into(),
            standing: Standing::Apart,
        };
        let ours = "shop-0d0d0d0d.eu-west-1.elasticbeanstalk.com";
        let theirs = "shop-prod.eu-west-1.elasticbeanstalk.com";
        let cases = [
            (seen("e-1", "shop-0c0c0c0c", ours, Status::Ready), true),
            (seen("e-1", "shop-0c0c0c0c", "live", Status::Ready), false),
            (seen("e-1", "shop-0c0c0c0c", theirs, Status::Ready), false),
            (seen("e-1", "shop-0c0c0c0c", "", Status::Ready), false),
            (seen("e-1", "shop-0c0c0c0c", ours, Status::Updating), false),
            (seen("e-1", "shop-0c0c0c0c", ours, Status::Terminated), false),
            (seen("e-1", "shop-staging", ours, Status::Ready), false),
            (seen("e-1", "shop-admin-0c0c0c0c", ours, Status::Ready), false),
            (seen("e-blue", "shop-0a0a0a0a", ours, Status::Ready), false),
            (seen("e-green", "shop-0b0b0b0b", ours, Status::Ready), false),
        ];
        for (environment, ours) in cases {
            let (name, cname) = (&environment.name, &environment.cname);
            assert_eq!(is_of_our_line(&environment, &survey, &candidate), ours, "{name} {cname}");
        }
    }

    #[test]
    fn only_what_a_run_made_for_this_live_cname_expires() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let (run, live, expires) = (tag(RUN_TAG, "r"), tag(LIVE_TAG, "live"), tag(EXPIRES_TAG, "12"));
        let cases = [
            (vec![run.clone(), live.clone(), expires.clone()], Some(12)),
            (vec![live.clone(), expires.clone()], None),
            (vec![run.clone(), expires.clone()], None),
            (vec![run.clone(), tag(LIVE_TAG, "another site's"), expires], None),
            (vec![run, live, tag(EXPIRES_TAG, "soon")], None),
        ];
        for (tags, wanted) in cases {
            assert_eq!(expiry(&tags, "live"), wanted, "{tags:?}");
        }
    }
}
