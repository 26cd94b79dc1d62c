//! The environment that is updated itself.

use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;

use super::super::call::again;
use super::super::platform::Environment;
use super::super::{Beanstalk, live, names, settings};
use super::blue_green::without_effect;
use super::{Live, Survey, Surveyor};
use crate::engine::event::Fact;
use crate::fault::Fault;

/// What the platform does when nothing is set (developer guide, `aws:elasticbeanstalk:command`).
const DEFAULT_POLICY: &str = "AllAtOnce";

impl Beanstalk {
    pub(super) async fn survey_in_place(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        application_exists: bool,
    ) -> Result<Survey, Fault> {
        let (application, name) = (&self.plan.application, &self.plan.live);
        match live::find_named(environments, application, name, &self.region)? {
            Some(found) if self.has_waited_for(by, found).await? => {
                // Its version may be another by now.
                let environments = self.all_environments(by).await?;
                Box::pin(self.survey_in_place(by, &environments, application_exists)).await
            }
            Some(found) => self.survey_updated(by, found).await,
            None if self.plan.create => self.survey_first(by, environments, application_exists).await,
            None => Err(live::missing_named(environments, application, name)),
        }
    }

    async fn survey_updated(&self, by: &Surveyor<'_>, environment: &Environment) -> Result<Survey, Fault> {
        let name = &environment.name;
        if !environment.is_enhanced() {
            by.note(format!("{name} has basic health: its instances cannot be asked one by one"));
        }
        if let Some(warning) = without_effect(name, &self.plan) {
            by.warn(warning);
        }
        let ask = async || self.api.settings(&environment.application, name).await;
        let settings = again(Some(by.cx), "DescribeConfigurationSettings", ask).await?;
        settings::fit(name, &settings, &self.plan)?;
        let policy = policy_in(&settings);
        by.note(format!(
            "{name} is updated in place by its own deployment policy, {policy}; {}",
            after_a_failure(policy)
        ));
        if environment.version_label.is_empty() {
            by.warn(format!(
                "{name} runs no application version, such as the platform's sample: if this deployment fails, there is \
                 nothing to go back to"
            ));
        }
        by.cx.fact(Fact::Previous { name: name.clone(), version: environment.version_label.clone() });
        let live = Some(Live::of(environment));
        Ok(Survey {
            region: self.region.clone(),
            application_exists: true,
            live_prefix: names::prefix_of(&environment.cname, &self.region).to_owned(),
            live_cname: environment.cname.clone(),
            candidate_name: name.clone(),
            update: live.clone(),
            live,
            solution_stack: None,
            attempt: 1,
            architectures: self.architectures(&settings),
        })
    }
}

/// How an environment spreads a version over its instances.
fn policy_in(settings: &[ConfigurationOptionSetting]) -> &str {
    let policy = settings::value(settings, "aws:elasticbeanstalk:command", "DeploymentPolicy");
    policy.filter(|policy| !policy.is_empty()).unwrap_or(DEFAULT_POLICY)
}

/// What a failed deployment by that policy leaves behind (developer guide, "Deployment policies and settings").
fn after_a_failure(policy: &str) -> &'static str {
    match policy {
        "Immutable" | "TrafficSplitting" => "if it fails, the platform ends the new instances and keeps the old ones",
        _ => "if it fails, instances may run different versions, and the version before is redeployed to all of them",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_what_its_failure_leaves() {
        for policy in ["AllAtOnce", "Rolling", "RollingWithAdditionalBatch"] {
            assert!(after_a_failure(policy).contains("is redeployed"), "{policy}");
        }
        for policy in ["Immutable", "TrafficSplitting"] {
            assert!(after_a_failure(policy).contains("keeps the old ones"), "{policy}");
        }
    }
}
