//! Images of services: pulled before they are needed, while the image is built.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::docker::Docker;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::image::Repository;
use crate::inputs::{Place, Plan, PullPolicy, ServicePlan};
use crate::stages::logins::Logins;

/// How long one image may take to arrive.
const LIMIT: Duration = Duration::from_secs(600);

/// Sees to it that the daemon has every service's image. What is pulled stays on the daemon, as base images do.
///
/// # Errors
/// An image is not there and may not be pulled, or its registry refuses, or takes too long.
pub async fn fetch(cx: &StageCx, docker: &Docker, plan: &Plan, logins: &Logins) -> Result<(), Fault> {
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
    try_join_all(wanted.into_iter().map(|service| fetch_one(cx, docker, logins, service))).await.map(drop)
}

async fn fetch_one(cx: &StageCx, docker: &Docker, logins: &Logins, service: &ServicePlan) -> Result<(), Fault> {
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
    pull(cx, docker, logins, image, &format!("the image of service {}", service.name)).await
}

/// Pulls an image with the login for its registry; `what` it is, in words.
///
/// # Errors
/// Its registry refuses, or it takes too long.
pub async fn pull(cx: &StageCx, docker: &Docker, logins: &Logins, image: &str, what: &str) -> Result<(), Fault> {
    let began = Instant::now();
    cx.note(format!("pulling {image}, {what}"));
    let repository = Repository::of_image(image)
        .map_err(|wrong| Fault::new(format!("could not read the image's name {image}")).cause(format!("it {wrong}")))?;
    let login = logins.find(cx, &repository).await?;
    let Ok(pulled) = tokio::time::timeout(LIMIT, docker.pull(image, login.as_ref())).await else {
        let late = format!("{image}, {what}, was not there within {}", in_words(LIMIT));
        return Err(Fault::timed_out(late).hint("pull it before the run, in a step that may take longer"));
    };
    pulled
        .map_err(|fault| fault.hint(format!("is the name of {what} right, and is there a login for its registry?")))?;
    cx.note(format!("{image} is there, after {}", in_words(began.elapsed())));
    Ok(())
}
