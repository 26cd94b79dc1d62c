//! Which registry it is, and who we are there.

use super::advice::ECR_PUBLIC;
use super::basic::{self, Found};
use super::ecr::{Ecr, EcrHost};
use super::public::EcrPublic;
use crate::fault::Fault;
use crate::image::Repository;
use crate::inputs::RegistryPlan;

/// A repository whose registry has an API of Amazon's beside.
pub(super) enum Amazon {
    Private(Ecr),
    Public(EcrPublic),
}

/// What was found out.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) amazon: Option<Amazon>,
    pub(super) found: Option<Found>,
    /// Why the AWS credentials gave no login, where that was no reason to stop.
    pub(super) without_aws: Option<String>,
}

impl Opened {
    /// Looks for a login. One that is an input wins; else Amazon's, where the host has ECR's shape or the authorization
    /// token names it; else docker's configuration; else the CI's; else nobody's. On a loopback host ECR is asked first: the
    /// local cloud's registry lives there.
    ///
    /// # Errors
    /// When ECR gives no token, or when docker's configuration names a login that cannot be used.
    pub(super) async fn by(
        repository: &Repository,
        plan: &RegistryPlan,
        sdk: Option<&aws_config::SdkConfig>,
    ) -> Result<Self, Fault> {
        let host = repository.host();
        let (is_ecrs, is_here) = (EcrHost::parse(host).is_some(), repository.is_loopback());
        let is_amazons = is_ecrs || host == ECR_PUBLIC;
        let mut opened = Self { found: basic::input(host, plan), ..Self::default() };
        // Elsewhere ECR is asked only if there is no other login, so that who has none with AWS is not held up.
        if opened.found.is_none() && !is_amazons && !is_here {
            opened.found = basic::ambient(host, plan).await?;
        }
        let mut refused = None;
        if let Some(sdk) = sdk.filter(|_| is_here || opened.found.is_none()) {
            match amazon(repository, sdk).await {
                Ok(Some((amazon, found))) => {
                    (opened.amazon, opened.found) = (Some(amazon), Some(found));
                    return Ok(opened);
                }
                Ok(None) => {}
                Err(fault) => refused = Some(fault),
            }
        }
        if opened.found.is_none() && (is_amazons || is_here) {
            opened.found = basic::ambient(host, plan).await?;
        }
        match refused {
            // No other registry can be meant; a public one may be read by anybody.
            Some(fault) if is_ecrs && opened.found.is_none() => return Err(fault),
            refused => opened.without_aws = refused.map(|fault| fault.to_string()),
        }
        Ok(opened)
    }
}

async fn amazon(repository: &Repository, sdk: &aws_config::SdkConfig) -> Result<Option<(Amazon, Found)>, Fault> {
    let (amazon, login) = match repository.host() {
        ECR_PUBLIC => {
            let public = EcrPublic::new(repository, sdk)?;
            let login = public.login().await?;
            (Amazon::Public(public), login)
        }
        _ => match Ecr::authorize(repository, sdk).await? {
            Some((ecr, login)) => (Amazon::Private(ecr), login),
            None => return Ok(None),
        },
    };
    // Instances need none of it: they log in by their own rights, or pull as anybody may.
    Ok(Some((amazon, Found { login, is_renewable: true, is_short: true })))
}
