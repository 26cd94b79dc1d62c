//! Logins for images of others: base images, caches, services, what tests run in. Each is looked for when it is wanted.

use std::collections::BTreeMap;

use crate::docker::{Keys, Login, Wish};
use crate::engine::StageCx;
use crate::fault::Fault;
use crate::image::Repository;
use crate::inputs::{Plan, RegistryPlan};
use crate::registry::{self, EcrRepository};

/// Where logins are found.
#[derive(Clone)]
pub struct Logins {
    registry: RegistryPlan,
    /// The host of the run's own image, which the login of the inputs is for.
    ours: String,
    sdk: Option<aws_config::SdkConfig>,
}

impl Logins {
    /// Those of a plan; ECR's where there is an AWS configuration.
    pub fn of(plan: &Plan, sdk: Option<&aws_config::SdkConfig>) -> Self {
        let ours = plan.image.repository.host().to_owned();
        Self { registry: plan.registry.clone(), ours, sdk: sdk.cloned() }
    }

    /// The login for an image's registry, if there is one; what it holds is shown nowhere from then on. That of the inputs
    /// is for the registry of the run's own image.
    ///
    /// # Errors
    /// ECR gives no token, or docker's configuration names a login that cannot be used.
    pub async fn find(&self, cx: &StageCx, repository: &Repository) -> Result<Option<Login>, Fault> {
        let is_ours = repository.host() == self.ours;
        let plan = match is_ours {
            true => self.registry.clone(),
            false => RegistryPlan { login: None, ..self.registry.clone() },
        };
        // Nobody else is asked for ECR's sake: without credentials for AWS that takes a while.
        let is_ecrs = EcrRepository::of(repository, "").is_some_and(|ecr| ecr.registry_id.is_some());
        let login = registry::login(repository, &plan, self.sdk.as_ref().filter(|_| is_ours || is_ecrs)).await?;
        login.iter().for_each(|login| cx.secret(&login.password));
        Ok(login)
    }

    /// Lends keys to a build as long as it lasts. A registry whose login cannot be had is asked without one, with a
    /// warning: what lies there may be public.
    pub async fn lend<T>(&self, cx: &StageCx, build: impl AsyncFnOnce(Keys) -> T) -> T {
        let (keys, mut wishes) = Keys::pair();
        let answering = async {
            // A build asks for a host more than once.
            let mut known: BTreeMap<String, Option<Login>> = BTreeMap::new();
            while let Some(Wish { host, answer }) = wishes.next().await {
                let login = match known.get(&host) {
                    Some(login) => login.clone(),
                    None => self.for_build(cx, &host).await,
                };
                known.insert(host, login.clone());
                // Who asked may have gone.
                let _ = answer.send(login);
            }
            std::future::pending().await
        };
        tokio::select! {
            built = build(keys) => built,
            never = answering => never,
        }
    }

    async fn for_build(&self, cx: &StageCx, host: &str) -> Option<Login> {
        // Who may log in there is a question of the host; any repository will do.
        let repository = Repository::parse(&format!("{host}/any"), Repository::DOCKER_HUB).ok()?;
        self.find(cx, &repository).await.unwrap_or_else(|fault| {
            cx.warn(format!("{host} is asked for images without a login: {fault}"));
            None
        })
    }
}

#[cfg(test)]
mod tests;
