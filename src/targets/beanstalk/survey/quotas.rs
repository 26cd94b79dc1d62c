//! Quotas: what the platform would refuse when much is made already.

use super::super::Beanstalk;
use super::super::call::refused;
use super::super::environment::is_of_a_run;
use super::super::platform::{Environment, Status};
use super::Surveyor;
use crate::fault::Fault;

/// How many versions are kept when the quota is reached and nobody said how many.
const NEWEST: u32 = 50;

impl Beanstalk {
    /// Quotas are a courtesy: who may not ask for them is told so, and the platform refuses in its own time.
    pub(super) async fn survey_quotas(&self, by: &Surveyor<'_>, environments: &[Environment]) -> Result<(), Fault> {
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
            let fault =
                Fault::new(format!("the account has {count} application versions in this region; {most} is its quota"));
            let keep = self.plan.keep_versions.unwrap_or(NEWEST);
            return Err(match self.prunable(keep, environments).await {
                0 => fault.hint("delete versions that no environment runs, or have the quota raised"),
                old => fault.hint(format!(
                    "run once with run=cleanup and keep_versions={keep}: {old} versions of application {} can go, or as \
                     many of them as no deployment calls good",
                    self.plan.application
                )),
            });
        }
        Ok(())
    }
}
