//! Live and a candidate that is to follow it.

use super::super::call::again;
use super::super::environment::NAMES;
use super::super::platform::{Environment, Status};
use super::super::{Beanstalk, live, names, settings};
use super::{Live, Survey, Surveyor};
use crate::engine::event::Fact;
use crate::fault::Fault;
use crate::inputs::BeanstalkPlan;

impl Beanstalk {
    pub(super) async fn survey_blue_green(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        application_exists: bool,
    ) -> Result<Survey, Fault> {
        match live::find(environments, &self.plan.application, &self.plan.live, &self.region)? {
            Some(live) => self.survey_live(by, environments, live).await,
            None if self.plan.create => self.survey_first(by, environments, application_exists).await,
            None => Err(live::missing(environments, &self.plan.application, &self.plan.live)),
        }
    }

    async fn survey_live(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        live: &Environment,
    ) -> Result<Survey, Fault> {
        live::check_tier(live)?;
        if self.has_waited_for(by, live).await? {
            // The name may have moved meanwhile.
            let environments = self.all_environments(by).await?;
            return Box::pin(self.survey_blue_green(by, &environments, true)).await;
        }
        let ask = async || self.api.settings(&live.application, &live.name).await;
        let settings = again(Some(by.cx), "DescribeConfigurationSettings", ask).await?;
        live::refuse_database(&live.name, &settings)?;
        settings::fit(&live.name, &settings, &self.plan)?;
        if !live.is_enhanced() {
            by.note(format!("{} has basic health: its instances cannot be asked one by one", live.name));
        }
        if let Some(warning) = without_effect(&live.name, &self.plan) {
            by.warn(warning);
        }
        let stem = names::candidate_stem(&live.name);
        let (candidate_name, attempt) = self.free_name(by, environments, &stem, true).await?;
        by.cx.fact(Fact::Previous { name: live.name.clone(), version: live.version_label.clone() });
        Ok(Survey {
            region: self.region.clone(),
            application_exists: true,
            live_prefix: names::prefix_of(&live.cname, &self.region).to_owned(),
            live: Some(Live::of(live)),
            live_cname: live.cname.clone(),
            candidate_name,
            solution_stack: None,
            attempt,
            update: None,
            architectures: self.architectures(&settings),
        })
    }

    /// The first of the candidate's possible names that nobody has, whose CNAME is free too if it is to have it.
    pub(super) async fn free_name(
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
}

/// What is set and does nothing because `live` is there: a candidate takes live's settings.
pub(super) fn without_effect(live: &str, plan: &BeanstalkPlan) -> Option<String> {
    let inputs = [
        ("solution_stack", plan.solution_stack.is_some()),
        ("instance_profile", plan.instance_profile.is_some()),
        ("service_role", plan.service_role.is_some()),
        ("key_pair", plan.key_pair.is_some()),
    ];
    let set: Vec<&str> = inputs.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    (!set.is_empty()).then(|| {
        format!(
            "only a first environment takes {}; live is there, and what gets the version has the settings of {live}: \
             change them there",
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
            service_role: Some("beanstalk".into()),
            key_pair: Some("night".into()),
            ..plain
        };
        let warning = without_effect("shop-blue", &set).unwrap();
        assert!(warning.starts_with("only a first environment takes service_role, key_pair; "), "{warning}");
        assert!(warning.contains("settings of shop-blue") && !warning.contains("obvious-fake"));
    }
}
