//! Images of services: pulled before they are needed, while the image is built.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::docker::{Docker, Login};
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::image::Repository;
use crate::inputs::{Place, Plan, PullPolicy, RegistryPlan, ServicePlan};
use crate::registry::{EcrRepository, Registry};

/// How long one image may take to arrive.
const LIMIT: Duration = Duration::from_secs(600);

/// Sees to it that the daemon has every service's image. What is pulled stays on the daemon, as base images do.
///
/// # Errors
/// An image is not there and may not be pulled, or its registry refuses, or takes too long.
pub async fn fetch(
    cx: &StageCx,
    docker: &Docker,
    plan: &Plan,
    sdk: Option<&aws_config::SdkConfig>,
) -> Result<(), Fault> {
    if plan.services.is_empty() {
        return Ok(());
    }
    if plan.unit_test.is_none() && !plan.acceptance.on.contains(&Place::Container) {
        cx.warn("`services` are not started: there is no `test_command`, and `acceptance_on` leaves the container out");
        return Ok(());
    }
    let mut wanted: Vec<&ServicePlan> = Vec::new();
    for service in &plan.services {
        if !wanted.iter().any(|known| (&known.image, known.pull) == (&service.image, service.pull)) {
            wanted.push(service);
        }
    }
    try_join_all(wanted.into_iter().map(|service| fetch_one(cx, docker, plan, sdk, service))).await.map(drop)
}

async fn fetch_one(
    cx: &StageCx,
    docker: &Docker,
    plan: &Plan,
    sdk: Option<&aws_config::SdkConfig>,
    service: &ServicePlan,
) -> Result<(), Fault> {
    let image = &service.image;
    let is_there = docker.image(image).await?.is_some();
    match service.pull {
        PullPolicy::Missing | PullPolicy::Never if is_there => return Ok(()),
        PullPolicy::Never => {
            return Err(Fault::new(format!(
                "the docker engine does not have {image}, the image of service {}",
                service.name
            ))
            .cause("its `pull_policy` is never")
            .hint("pull or load it before, or leave `pull_policy` out"));
        }
        PullPolicy::Missing | PullPolicy::Always => {}
    }
    pull(cx, docker, plan, sdk, image, &format!("the image of service {}", service.name)).await
}

/// Pulls an image with the login for its registry; `what` it is, in words.
///
/// # Errors
/// Its registry refuses, or it takes too long.
pub async fn pull(
    cx: &StageCx,
    docker: &Docker,
    plan: &Plan,
    sdk: Option<&aws_config::SdkConfig>,
    image: &str,
    what: &str,
) -> Result<(), Fault> {
    let began = Instant::now();
    cx.note(format!("pulling {image}, {what}"));
    let login = login(cx, plan, sdk, image).await?;
    let Ok(pulled) = tokio::time::timeout(LIMIT, docker.pull(image, login.as_ref())).await else {
        let late = format!("{image}, {what}, was not there within {}", in_words(LIMIT));
        return Err(Fault::timed_out(late).hint("pull it before the run, in a step that may take longer"));
    };
    pulled
        .map_err(|fault| fault.hint(format!("is the name of {what} right, and is there a login for its registry?")))?;
    cx.note(format!("{image} is there, after {}", in_words(began.elapsed())));
    Ok(())
}

/// The login for an image's registry, if there is one. That of the inputs is for the registry of the run's own image.
async fn login(
    cx: &StageCx,
    plan: &Plan,
    sdk: Option<&aws_config::SdkConfig>,
    image: &str,
) -> Result<Option<Login>, Fault> {
    let repository = Repository::parse(repository_of(image), Repository::DOCKER_HUB)
        .map_err(|wrong| Fault::new(format!("could not read the image's name {image}")).cause(format!("it {wrong}")))?;
    let is_ours = repository.host() == plan.image.repository.host();
    let registry = match is_ours {
        true => plan.registry.clone(),
        false => RegistryPlan { login: None, ..plan.registry.clone() },
    };
    // Nobody else is asked for ECR's sake: without credentials for AWS that takes a while.
    let is_ecrs = EcrRepository::of(&repository, "").is_some_and(|ecr| ecr.registry_id.is_some());
    let registry = Registry::open(&repository, &registry, sdk.filter(|_| is_ours || is_ecrs)).await?;
    let login = registry.login().cloned();
    login.iter().for_each(|login| cx.secret(&login.password));
    Ok(login)
}

/// An image's name without tag and digest.
fn repository_of(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find(':') {
        Some(colon) => &name[..last + colon],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::repository_of;

    #[test]
    fn a_name_is_told_from_its_tag_and_digest() {
        let cases = [
            ("postgres", "postgres"),
            ("postgres:16", "postgres"),
            ("127.0.0.1:5000/db", "127.0.0.1:5000/db"),
            ("127.0.0.1:5000/team/db:1@sha256:00", "127.0.0.1:5000/team/db"),
        ];
        cases.iter().for_each(|(image, name)| assert_eq!(repository_of(image), *name));
    }
}
