//! What a run finds that makes nothing new: who is live, what the journal says, what each environment costs.

use super::call::{again, refused, while_doing};
use super::journal::SiteJournal;
use super::platform::Environment;
use super::{Beanstalk, Live, Survey, live, names};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::journal::book::Book;
use crate::fault::Fault;
use crate::inputs::Strategy;

impl Beanstalk {
    /// Finds out who is live, for a run about what stands. Changes nothing.
    ///
    /// # Errors
    /// Elastic Beanstalk cannot be asked, or nobody is live.
    pub async fn survey_standing(&self, cx: &StageCx) -> Result<Survey, Fault> {
        let survey = self.survey_what_is_there(cx).await?;
        if survey.live.is_some() {
            return Ok(survey);
        }
        let all = self.environments_of_ours(cx).await?;
        Err(match self.plan.strategy {
            Strategy::InPlace => live::missing_named(&all, &self.plan.application, &self.plan.live),
            _ => live::missing(&all, &self.plan.application, &self.plan.live),
        })
    }

    /// The same, where nobody has to be live.
    ///
    /// # Errors
    /// Elastic Beanstalk cannot be asked, or there is no such application.
    pub async fn survey_what_is_there(&self, cx: &StageCx) -> Result<Survey, Fault> {
        let plan = &self.plan;
        if self.region.is_empty() {
            return Err(Fault::new("no AWS region is known").hint("set aws_region, or AWS_REGION"));
        }
        if plan.strategy == Strategy::VersionOnly {
            return Err(Fault::new("strategy is version-only: there is no environment that this run could be about")
                .hint("set strategy and environment to those that the environment is deployed with"));
        }
        let all = again(Some(cx), "DescribeEnvironments", async || self.api.environments(None, &[]).await);
        let all = all.await.map_err(|fault| {
            while_doing(format!("could not ask Elastic Beanstalk in region {}", self.region), fault)
        })?;
        let found = match plan.strategy {
            Strategy::InPlace => live::find_named(&all, &plan.application, &plan.live, &self.region)?,
            _ => live::find(&all, &plan.application, &plan.live, &self.region)?,
        };
        let known = again(Some(cx), "DescribeApplications", async || self.api.applications().await).await?;
        if !known.contains(&plan.application) {
            return Err(Fault::new(format!("there is no application {} in region {}", plan.application, self.region))
                .hint("correct application or aws_region"));
        }
        let live = found.map(Live::of);
        if let Some(live) = &live {
            cx.fact(Fact::Previous { name: live.name.clone(), version: live.version_label.clone() });
        }
        let live_cname = match &live {
            Some(live) => live.cname.clone(),
            None => {
                let prefix = names::tidy_cname(&plan.live);
                let prefix = names::prefix_of(&prefix, &self.region).to_owned();
                again(Some(cx), "CheckDNSAvailability", async || self.api.dns(&prefix).await).await?.1
            }
        };
        Ok(Survey {
            region: self.region.clone(),
            application_exists: true,
            live_prefix: names::prefix_of(&live_cname, &self.region).to_owned(),
            live,
            live_cname,
            candidate_name: String::new(),
            solution_stack: None,
            attempt: 1,
            update: None,
            architectures: Vec::new(),
        })
    }

    /// Takes the site for a run that changes live itself, and finds out who is live then.
    ///
    /// # Errors
    /// The site is another run's, or nobody is live.
    pub async fn take_site(&self, cx: &StageCx, surveyed: &Survey) -> Result<Survey, Fault> {
        self.take_turn(cx, surveyed).await?;
        self.survey_standing(cx).await
    }

    /// The application's environments.
    pub(super) async fn environments_of_ours(&self, cx: &StageCx) -> Result<Vec<Environment>, Fault> {
        let ask = async || self.api.environments(Some(&self.plan.application), &[]).await;
        again(Some(cx), "DescribeEnvironments", ask).await
    }

    /// What the journal says, without taking the site. `None` when it cannot be read, which is said.
    pub(super) async fn glance(&self, cx: &StageCx, survey: &Survey) -> Option<SiteJournal> {
        let store = match (&self.context.journals, &self.plan.bucket) {
            (Some(journals), _) => Ok(journals(&self.plan.application, survey.site_name())),
            (None, Some(bucket)) => Ok(self.object(bucket, survey.site_name())),
            // Every account has this bucket, or is given it by the question.
            (None, None) => {
                self.storage_location(Some(cx)).await.map(|bucket| self.object(&bucket, survey.site_name()))
            }
        };
        let journal = match store {
            Ok(store) => Book::new(store, self.me(), self.pace.lease).look().await,
            Err(fault) => Err(fault),
        };
        journal.map_err(|fault| cx.warn(format!("the journal cannot be read: {fault}"))).ok()
    }

    /// Waits for the run's turn at the site, and puts right what dead runs left there in the middle. `None` when it may
    /// not use the journal.
    ///
    /// # Errors
    /// The site is another run's.
    pub(super) async fn take_turn(&self, cx: &StageCx, surveyed: &Survey) -> Result<Option<SiteJournal>, Fault> {
        match self.own(cx, surveyed.site_name()).await? {
            Some(journal) => self.put_right(cx, journal, &surveyed.live_cname).await.map(Some),
            None => Ok(None),
        }
    }

    /// Removes what earlier runs left, and undoes what one that died had made.
    ///
    /// # Errors
    /// The site is another run's by now.
    pub(super) async fn put_right(
        &self,
        cx: &StageCx,
        mut journal: SiteJournal,
        live_cname: &str,
    ) -> Result<SiteJournal, Fault> {
        self.remove_left(cx, &journal, live_cname).await;
        if let Some(work) = journal.work.take() {
            let run = work.runs.last().map_or("", String::as_str);
            cx.note(format!("run {run} ended in the middle of a deployment"));
            self.adopted.borrow_mut().extend(work.runs.iter().cloned());
            self.asked_for.replace(work.site.asked.clone());
            self.undo_work(cx, &work).await?;
        }
        Ok(journal)
    }

    /// What an environment keeps running, in words: `2 instances and a load balancer`.
    pub(super) async fn bill(&self, environment_id: &str) -> String {
        let request = self.api.beanstalk.describe_environment_resources().environment_id(environment_id);
        let answer = request.send().await.map_err(|error| refused("DescribeEnvironmentResources", error));
        let resources = answer.ok().and_then(|answer| answer.environment_resources);
        let counts = resources.map(|found| (found.instances().len(), found.load_balancers().len()));
        bill_in_words(counts)
    }
}

fn bill_in_words(counts: Option<(usize, usize)>) -> String {
    let Some((instances, balancers)) = counts else { return "its instances and load balancer".to_owned() };
    let instances = match instances {
        1 => "1 instance".to_owned(),
        more => format!("{more} instances"),
    };
    match balancers {
        0 => instances,
        1 => format!("{instances} and a load balancer"),
        more => format!("{instances} and {more} load balancers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_counts_what_runs() {
        assert_eq!(bill_in_words(Some((1, 0))), "1 instance");
        assert_eq!(bill_in_words(Some((2, 1))), "2 instances and a load balancer");
        assert_eq!(bill_in_words(Some((0, 2))), "0 instances and 2 load balancers");
        assert_eq!(bill_in_words(None), "its instances and load balancer");
    }
}
