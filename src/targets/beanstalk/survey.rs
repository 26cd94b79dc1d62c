//! The questions that are asked before anything is changed.

use std::time::Duration;

use tokio::time::Instant;

use super::call::{again, refused, while_doing};
use super::environment::{NAMES, is_of_a_run};
use super::platform::{Environment, Status};
use super::{Beanstalk, Live, Survey, live, names};
use crate::engine::event::Fact;
use crate::engine::retry::pause;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::inputs::{BeanstalkPlan, OnBusy};

/// Who asks, and when.
struct Surveyor<'a> {
    cx: &'a StageCx,
    /// How long a busy live environment is waited for; absent in the check stage, which only looks.
    patience: Option<Duration>,
}

impl Surveyor<'_> {
    /// Says something, unless the check stage said it.
    fn note(&self, text: impl Into<String>) {
        if self.patience.is_none() {
            self.cx.note(text);
        }
    }

    fn warn(&self, text: impl Into<String>) {
        if self.patience.is_none() {
            self.cx.warn(text);
        }
    }
}

impl Beanstalk {
    /// Finds out what is there and whether a deployment can begin. Changes nothing.
    ///
    /// # Errors
    /// The first reason why it cannot.
    pub async fn survey(&self, cx: &StageCx) -> Result<Survey, Fault> {
        self.survey_by(&Surveyor { cx, patience: None }).await
    }

    /// The same for a run that has the site to itself by now: it waits that long for a live environment that is busy, and
    /// does not say again what the check stage said.
    pub(super) async fn survey_within(&self, cx: &StageCx, patience: Duration) -> Result<Survey, Fault> {
        self.survey_by(&Surveyor { cx, patience: Some(patience) }).await
    }

    async fn survey_by(&self, by: &Surveyor<'_>) -> Result<Survey, Fault> {
        let plan = &self.plan;
        names::legal_label(&plan.version_label).map_err(Fault::new)?;
        if self.region.is_empty() {
            return Err(Fault::new("no AWS region is known").hint("set aws_region, or AWS_REGION"));
        }
        let environments = again(Some(by.cx), "DescribeEnvironments", async || self.api.environments(None, &[]).await);
        let environments = environments.await.map_err(|fault| {
            while_doing(format!("could not ask Elastic Beanstalk in region {}", self.region), fault)
        })?;
        let application_exists = self.survey_application(by).await?;
        let found = live::find(&environments, &plan.application, &plan.live, &self.region)?;
        if application_exists {
            self.survey_version(by).await?;
        }
        let survey = match found {
            Some(live) => self.survey_live(by, &environments, live).await?,
            None if plan.create => self.survey_first(by, &environments, application_exists).await?,
            None => return Err(live::missing(&environments, &plan.application, &plan.live)),
        };
        self.survey_quotas(by, &environments).await?;
        Ok(survey)
    }

    async fn survey_application(&self, by: &Surveyor<'_>) -> Result<bool, Fault> {
        let name = &self.plan.application;
        let known = again(Some(by.cx), "DescribeApplications", async || self.api.applications().await).await?;
        if known.contains(name) {
            return Ok(true);
        }
        if self.plan.create {
            by.note(format!("application {name} is not there and will be made"));
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
    async fn survey_version(&self, by: &Surveyor<'_>) -> Result<(), Fault> {
        let (application, label) = (&self.plan.application, &self.plan.version_label);
        let ask = async || self.api.version(application, label).await;
        if let Some(version) = again(Some(by.cx), "DescribeApplicationVersions", ask).await? {
            let (bucket, key) = (version.bucket, version.key);
            by.note(format!("version {label} is there already (s3://{bucket}/{key}); it must name the same image"));
        }
        Ok(())
    }

    async fn survey_live(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        live: &Environment,
    ) -> Result<Survey, Fault> {
        if self.has_waited_for(by, live).await? {
            // The name may have moved meanwhile.
            return Box::pin(self.survey_by(by)).await;
        }
        let ask = async || self.api.settings(&live.application, &live.name).await;
        let settings = again(Some(by.cx), "DescribeConfigurationSettings", ask).await?;
        live::refuse_database(&live.name, &settings)?;
        if !live.is_enhanced() {
            by.note(format!("{} has basic health: its instances cannot be asked one by one", live.name));
        }
        if let Some(warning) = without_effect(&live.name, &self.plan) {
            by.warn(warning);
        }
        let stem = names::candidate_stem(&live.name);
        let (candidate_name, attempt) = self.free_name(by, environments, &stem, true).await?;
        let (name, version) = (live.name.clone(), live.version_label.clone());
        by.cx.fact(Fact::Previous { name: name.clone(), version: version.clone() });
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

    /// Sees to it that live can be followed by a candidate, and says whether that took a wait.
    async fn has_waited_for(&self, by: &Surveyor<'_>, live: &Environment) -> Result<bool, Fault> {
        let began = Instant::now();
        let mut live = live.clone();
        let mut waited = false;
        loop {
            // Asked for in any case: without the right to read events no deployment could be judged.
            let ask = async || self.api.newest_events(&live.id).await;
            let events = again(Some(by.cx), "DescribeEvents", ask).await?;
            let busy = match live::check(&live, events.first()) {
                Err(fault) if live.status.is_busy() => fault,
                checked => return checked.map(|()| waited),
            };
            match by.patience {
                None if self.plan.on_busy == OnBusy::Wait => {
                    by.note(format!("{}; the deployment will wait for it", busy.what()));
                    return Ok(false);
                }
                Some(patience) if began.elapsed() < patience => {
                    if !waited {
                        by.cx.note(format!("{}; waiting at most {}", busy.what(), in_words(patience)));
                        waited = true;
                    }
                }
                _ => {
                    return Err(
                        busy.hint("set on_busy to wait, or raise deploy_timeout, which is how long a run waits")
                    );
                }
            }
            pause(self.pace.interval(began.elapsed())).await;
            let ask = self.look(Some(by.cx), &live.id).await?;
            live = ask.ok_or_else(|| Fault::new(format!("environment {} is gone", live.name)))?;
        }
    }

    async fn survey_first(
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
        if self.plan.instance_profile.is_none() {
            return Err(Fault::new("a first environment needs instance_profile")
                .cause("without one no instance can be launched, nor pull from ECR")
                .hint("set instance_profile, usually to aws-elasticbeanstalk-ec2-role, which the console makes"));
        }
        let solution_stack = Some(self.platform(by).await?);
        let stem = names::candidate_stem(&live_prefix);
        let (candidate_name, attempt) = self.free_name(by, environments, &stem, false).await?;
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

    /// The first of the candidate's possible names that nobody has, whose CNAME is free too if it is to have it.
    async fn free_name(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        stem: &str,
        with_cname: bool,
    ) -> Result<(String, u32), Fault> {
        for attempt in 1..=NAMES {
            let name = names::candidate(stem, &self.context.run_key, attempt);
            if environments.iter().any(|e| e.name == name && e.status != Status::Terminated) {
                continue;
            }
            if !with_cname || again(Some(by.cx), "CheckDNSAvailability", async || self.api.dns(&name).await).await?.0 {
                return Ok((name, attempt));
            }
        }
        Err(Fault::new(format!("no name for a candidate of {stem} is free"))
            .cause(format!("{NAMES} were tried; earlier runs of the same commit and settings hold them"))
            .hint("terminate the environments that are not needed any more"))
    }

    /// Quotas are a courtesy: who may not ask for them is told so, and the platform refuses in its own time.
    async fn survey_quotas(&self, by: &Surveyor<'_>, environments: &[Environment]) -> Result<(), Fault> {
        let answer = self.api.beanstalk.describe_account_attributes().send().await;
        let quotas = match answer.map_err(|e| refused("DescribeAccountAttributes", e)) {
            Ok(answer) => answer.resource_quotas,
            Err(error) => {
                by.note(format!("quotas were not checked: {}", error.into_fault()));
                return Ok(());
            }
        };
        let Some(quotas) = quotas else { return Ok(()) };
        let maximum = |quota: Option<&aws_sdk_elasticbeanstalk::types::ResourceQuota>| {
            usize::try_from(quota?.maximum()?).ok().filter(|maximum| *maximum > 0)
        };
        let standing = environments.iter().filter(|e| e.status != Status::Terminated).count();
        let is_left = |e: &Environment| e.application == self.plan.application && is_of_a_run(e);
        if let Some(most) = maximum(quotas.environment_quota()).filter(|most| standing >= *most) {
            if by.patience.is_none() && environments.iter().any(is_left) {
                by.note(format!(
                    "the account has all {most} environments of its quota: what earlier runs left must go first"
                ));
                return Ok(());
            }
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
