//! The questions that are asked before anything is changed.

use super::call::{again, refused, while_doing};
use super::environment::NAMES;
use super::platform::{Environment, Status};
use super::{Beanstalk, Live, Survey, live, names};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::fault::Fault;
use crate::inputs::BeanstalkPlan;

impl Beanstalk {
    /// Finds out what is there and whether a deployment can begin. Changes nothing.
    ///
    /// # Errors
    /// The first reason why it cannot.
    pub async fn survey(&self, cx: &StageCx) -> Result<Survey, Fault> {
        let plan = &self.plan;
        names::legal_label(&plan.version_label).map_err(Fault::new)?;
        if self.region.is_empty() {
            return Err(Fault::new("no AWS region is known").hint("set aws_region, or AWS_REGION"));
        }
        let environments = again(Some(cx), "DescribeEnvironments", async || self.api.environments(None, &[]).await);
        let environments = environments.await.map_err(|fault| {
            while_doing(format!("could not ask Elastic Beanstalk in region {}", self.region), fault)
        })?;
        let application_exists = self.survey_application(cx).await?;
        let found = live::find(&environments, &plan.application, &plan.live, &self.region)?;
        if application_exists {
            self.survey_version(cx).await?;
        }
        let survey = match found {
            Some(live) => self.survey_live(cx, &environments, live).await?,
            None if plan.create => self.survey_first(cx, &environments, application_exists).await?,
            None => return Err(live::missing(&environments, &plan.application, &plan.live)),
        };
        self.survey_quotas(cx, &environments).await?;
        Ok(survey)
    }

    async fn survey_application(&self, cx: &StageCx) -> Result<bool, Fault> {
        let name = &self.plan.application;
        let known = again(Some(cx), "DescribeApplications", async || self.api.applications().await).await?;
        if known.contains(name) {
            return Ok(true);
        }
        if self.plan.create {
            cx.note(format!("application {name} is not there and will be made"));
            return Ok(false);
        }
        let fault = Fault::new(format!("there is no application {name} in region {}", self.region));
        let fault = match known.is_empty() {
            true => fault.cause("there are no applications that these credentials may see"),
            false => fault.cause(format!("there are: {}", known.join(", "))),
        };
        Err(fault.hint("correct application or aws_region; or set create=true to make it with its first environment"))
    }

    /// Whether the label is taken is not the end: the same image may have it. That is compared once the image is known.
    async fn survey_version(&self, cx: &StageCx) -> Result<(), Fault> {
        let (application, label) = (&self.plan.application, &self.plan.version_label);
        let ask = async || self.api.version(application, label).await;
        if let Some(version) = again(Some(cx), "DescribeApplicationVersions", ask).await? {
            let (bucket, key) = (version.bucket, version.key);
            cx.note(format!("version {label} is there already (s3://{bucket}/{key}); it must name the same image"));
        }
        Ok(())
    }

    async fn survey_live(
        &self,
        cx: &StageCx,
        environments: &[Environment],
        live: &Environment,
    ) -> Result<Survey, Fault> {
        // Asked for in any case: without the right to read events no deployment could be judged.
        let events = again(Some(cx), "DescribeEvents", async || self.api.newest_events(&live.id).await).await?;
        live::check(live, events.first())?;
        let ask = async || self.api.settings(&live.application, &live.name).await;
        let settings = again(Some(cx), "DescribeConfigurationSettings", ask).await?;
        live::refuse_database(&live.name, &settings)?;
        if !live.is_enhanced() {
            cx.note(format!("{} has basic health: its instances cannot be asked one by one", live.name));
        }
        if let Some(warning) = without_effect(&live.name, &self.plan) {
            cx.warn(warning);
        }
        let stem = names::candidate_stem(&live.name);
        let (candidate_name, attempt) = self.free_name(cx, environments, &stem, true).await?;
        let (name, version) = (live.name.clone(), live.version_label.clone());
        cx.fact(Fact::Previous { name: name.clone(), version: version.clone() });
        let live_cname = live.cname.clone();
        Ok(Survey {
            region: self.region.clone(),
            application_exists: true,
            live_prefix: names::prefix_of(&live_cname, &self.region).to_owned(),
            live: Some(Live {
                environment_id: live.id.clone(),
                name,
                version_label: version,
                cname: live_cname.clone(),
            }),
            live_cname,
            candidate_name,
            solution_stack: None,
            attempt,
        })
    }

    async fn survey_first(
        &self,
        cx: &StageCx,
        environments: &[Environment],
        application_exists: bool,
    ) -> Result<Survey, Fault> {
        let tidy = names::tidy_cname(&self.plan.live);
        let live_prefix = names::prefix_of(&tidy, &self.region).to_owned();
        names::legal_prefix(&live_prefix).map_err(Fault::new)?;
        let ask = async || self.api.dns(&live_prefix).await;
        let (free, live_cname) = again(Some(cx), "CheckDNSAvailability", ask).await?;
        if !free {
            return Err(Fault::new(format!("{live_cname} belongs to somebody else"))
                .cause("no environment that these credentials may see in this region answers to it")
                .hint(
                    "choose another environment; a name that was ours is free a while after its environment is gone",
                ));
        }
        if self.plan.instance_profile.is_none() {
            return Err(Fault::new("a first environment needs instance_profile")
                .cause("without one no instance can be launched, nor pull from ECR")
                .hint("set instance_profile, usually to aws-elasticbeanstalk-ec2-role, which the console makes"));
        }
        let solution_stack = Some(self.platform(cx).await?);
        let stem = names::candidate_stem(&live_prefix);
        let (candidate_name, attempt) = self.free_name(cx, environments, &stem, false).await?;
        cx.note(format!("nothing answers to {live_cname} yet: {candidate_name} will be made and be live at once"));
        Ok(Survey {
            region: self.region.clone(),
            application_exists,
            live: None,
            live_prefix,
            live_cname,
            candidate_name,
            solution_stack,
            attempt,
        })
    }

    async fn platform(&self, cx: &StageCx) -> Result<String, Fault> {
        let ask = async || self.api.solution_stacks().await;
        let stacks = again(Some(cx), "ListAvailableSolutionStacks", ask).await?;
        let wanted = match &self.plan.solution_stack {
            Some(wanted) => stacks.iter().find(|stack| *stack == wanted),
            None => names::newest_docker(&stacks),
        };
        if let Some(stack) = wanted {
            cx.note(format!("platform: {stack}"));
            return Ok(stack.clone());
        }
        let docker: Vec<&str> = stacks.iter().map(String::as_str).filter(|s| s.ends_with("running Docker")).collect();
        let what = self.plan.solution_stack.as_deref().unwrap_or("64bit Amazon Linux 2023 … running Docker");
        Err(Fault::new(format!("there is no platform `{what}` in region {}", self.region))
            .cause(format!("there are: {}", docker.join(", ")))
            .hint("set solution_stack to one of them"))
    }

    /// The first of the candidate's possible names that nobody has, whose CNAME is free too if it is to have it.
    async fn free_name(
        &self,
        cx: &StageCx,
        environments: &[Environment],
        stem: &str,
        with_cname: bool,
    ) -> Result<(String, u32), Fault> {
        for attempt in 1..=NAMES {
            let name = names::candidate(stem, &self.context.run_key, attempt);
            if environments.iter().any(|e| e.name == name && e.status != Status::Terminated) {
                continue;
            }
            if !with_cname || again(Some(cx), "CheckDNSAvailability", async || self.api.dns(&name).await).await?.0 {
                return Ok((name, attempt));
            }
        }
        Err(Fault::new(format!("no name for a candidate of {stem} is free"))
            .cause(format!("{NAMES} were tried; earlier runs of the same commit and settings hold them"))
            .hint("terminate the environments that are not needed any more"))
    }

    /// Quotas are a courtesy: who may not ask for them is told so, and the platform refuses in its own time.
    async fn survey_quotas(&self, cx: &StageCx, environments: &[Environment]) -> Result<(), Fault> {
        let answer = self.api.beanstalk.describe_account_attributes().send().await;
        let quotas = match answer.map_err(|e| refused("DescribeAccountAttributes", e)) {
            Ok(answer) => answer.resource_quotas,
            Err(error) => {
                cx.note(format!("quotas were not checked: {}", error.into_fault()));
                return Ok(());
            }
        };
        let Some(quotas) = quotas else { return Ok(()) };
        let maximum = |quota: Option<&aws_sdk_elasticbeanstalk::types::ResourceQuota>| {
            usize::try_from(quota?.maximum()?).ok().filter(|maximum| *maximum > 0)
        };
        let standing = environments.iter().filter(|e| e.status != Status::Terminated).count();
        if let Some(most) = maximum(quotas.environment_quota()).filter(|most| standing >= *most) {
            return Err(Fault::new(format!(
                "the account has {standing} environments in this region, and {most} is its quota"
            ))
            .hint("terminate environments that are not needed, or have the quota raised"));
        }
        let Some(most) = maximum(quotas.application_version_quota()) else { return Ok(()) };
        let Ok(count) = self.api.count_versions(None).await else { return Ok(()) };
        if count >= most {
            return Err(Fault::new(format!(
                "the account has {count} application versions in this region; {most} is its quota"
            ))
            .hint("delete versions that no environment runs, or have the quota raised"));
        }
        Ok(())
    }

    /// Asks again just before something is changed: building and testing took time.
    pub(super) async fn still_as_surveyed(&self, cx: &StageCx, survey: &Survey) -> Result<(), Fault> {
        let Some(live) = &survey.live else { return Ok(()) };
        match self.look(Some(cx), &live.environment_id).await? {
            Some(now) if now.cname == survey.live_cname && !now.status.is_ending() => live::check(&now, None),
            _ => Err(Fault::new(format!("{} does not hold {} any more", live.name, survey.live_cname))
                .cause("somebody else has swapped or terminated it since this run began")
                .hint("run again, so that the candidate is made from the environment that is live now")),
        }
    }
}

/// What is set and does nothing because `live` is there: a candidate takes live's settings.
fn without_effect(live: &str, plan: &BeanstalkPlan) -> Option<String> {
    let inputs = [
        ("environment_variables", !plan.environment_variables.is_empty()),
        ("solution_stack", plan.solution_stack.is_some()),
        ("instance_profile", plan.instance_profile.is_some()),
        ("service_role", plan.service_role.is_some()),
        ("key_pair", plan.key_pair.is_some()),
    ];
    let set: Vec<&str> = inputs.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    (!set.is_empty()).then(|| {
        format!(
            "only a first environment takes {}; live is there, and the candidate gets the settings of {live}: change \
             them there",
            set.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Secret;

    #[test]
    fn inputs_of_a_first_environment_are_named_when_there_is_one_already() {
        let plain = live::tests::plan();
        assert_eq!(without_effect("shop-blue", &plain), None);
        let set = BeanstalkPlan {
            environment_variables: vec![("TOKEN".into(), Secret::open("obvious-fake"))],
            key_pair: Some("night".into()),
            ..plain
        };
        let warning = without_effect("shop-blue", &set).unwrap();
        assert!(warning.starts_with("only a first environment takes environment_variables, key_pair; "), "{warning}");
        assert!(warning.contains("settings of shop-blue") && !warning.contains("obvious-fake"));
    }
}
