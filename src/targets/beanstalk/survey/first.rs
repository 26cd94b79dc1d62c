//! The first environment: nothing answers to its name yet, and its platform is to be chosen.

use tokio::time::Instant;

use super::super::call::again;
use super::super::platform::{Environment, Status};
use super::super::{Beanstalk, names, settings};
use super::{Survey, Surveyor};
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::{OnBusy, Strategy};

impl Beanstalk {
    pub(super) async fn survey_first(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        application_exists: bool,
    ) -> Result<Survey, Fault> {
        let tidy = names::tidy_cname(&self.plan.live);
        let live_prefix = names::prefix_of(&tidy, &self.region).to_owned();
        names::legal_prefix(&live_prefix).map_err(Fault::new)?;
        let (free, live_cname) = self.free_cname(by, environments, &live_prefix).await?;
        if !free {
            return Err(Fault::new(format!("{live_cname} belongs to somebody else"))
                .cause("no environment that these credentials may see in this region answers to it")
                .hint(
                    "choose another environment; a name that was ours is free a while after its environment is gone",
                ));
        }
        let profile = self.plan.option(settings::LAUNCH, "IamInstanceProfile");
        if self.plan.instance_profile.as_deref().or(profile).is_none() {
            return Err(Fault::new("a first environment needs instance_profile")
                .cause("without one no instance can be launched, nor pull from ECR")
                .hint("set instance_profile, usually to aws-elasticbeanstalk-ec2-role, which the console makes"));
        }
        let solution_stack = Some(self.platform(by).await?);
        let (candidate_name, attempt) = match self.plan.strategy {
            Strategy::InPlace => (self.plan.live.clone(), 1),
            _ => self.free_name(by, environments, &names::candidate_stem(&live_prefix), false).await?,
        };
        by.note(format!("nothing answers to {live_cname} yet: {candidate_name} will be made and be live at once"));
        Ok(Survey {
            region: self.region.clone(),
            application_exists,
            live: None,
            live_prefix,
            live_cname,
            candidate_name,
            solution_stack,
            attempt,
            update: None,
            architectures: self.architectures(&[]),
        })
    }

    /// Whether a first environment can have its CNAME, and the whole name. An environment that is on its way out keeps its
    /// name for a while, which is waited for.
    async fn free_cname(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        prefix: &str,
    ) -> Result<(bool, String), Fault> {
        let began = Instant::now();
        loop {
            let ask = async || self.api.dns(prefix).await;
            let (free, cname) = again(Some(by.cx), "CheckDNSAvailability", ask).await?;
            let is_going = environments.iter().any(|e| e.cname == cname && e.status == Status::Terminating);
            if free || !is_going || self.plan.on_busy == OnBusy::Fail {
                return Ok((free, cname));
            }
            match by.patience {
                None => {
                    by.note(format!(
                        "{cname} is held by an environment that is being terminated: it will be waited for"
                    ));
                    return Ok((true, cname));
                }
                Some(patience) if began.elapsed() >= patience => return Ok((false, cname)),
                Some(_) => pause(self.pace.interval(began.elapsed())).await,
            }
        }
    }

    async fn platform(&self, by: &Surveyor<'_>) -> Result<String, Fault> {
        let ask = async || self.api.solution_stacks().await;
        let stacks = again(Some(by.cx), "ListAvailableSolutionStacks", ask).await?;
        let wanted = match &self.plan.solution_stack {
            Some(wanted) => stacks.iter().find(|stack| *stack == wanted),
            None => names::newest_docker(&stacks),
        };
        if let Some(stack) = wanted {
            by.note(format!("platform: {stack}"));
            return Ok(stack.clone());
        }
        let docker: Vec<&str> = stacks.iter().map(String::as_str).filter(|s| s.ends_with("running Docker")).collect();
        let what = self.plan.solution_stack.as_deref().unwrap_or("64bit Amazon Linux 2023 … running Docker");
        Err(Fault::new(format!("there is no platform `{what}` in region {}", self.region))
            .cause(format!("there are: {}", docker.join(", ")))
            .hint("set solution_stack to one of them"))
    }
}
