//! The test program: `acceptance_command` in the application's image, or in another one.

use std::path::Path;

use super::Bench;
use crate::docker::{ContainerSpec, Docker};
use crate::engine::StageCx;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::{Command, Place, Plan, TestsIn};
use crate::probe::client::Standpoint;
use crate::stages::build::build_other;
use crate::stages::check::Checked;
use crate::stages::{TimeLimit, app_environment, argv, owner, run_tests_in, services};

/// Builds the image that the tests run in, where that is another one of the same context.
///
/// # Errors
/// The step that failed, with its last lines.
pub async fn build(cx: &StageCx, plan: &Plan, checked: &Checked) -> Result<(), Fault> {
    if let (TestsIn::Other(other), true) = (&plan.acceptance.runs_in, has_tests(plan)) {
        let facts = build_other(cx, plan, checked, other, "acceptance").await?;
        // It is built once.
        let _ = checked.tests_in.set(facts.id.to_string());
    }
    Ok(())
}

/// Sees to it that the daemon has the image that the tests run in, where that is any other one. What is pulled stays, as
/// base images do.
///
/// # Errors
/// Its registry refuses, or it takes too long.
pub async fn fetch(cx: &StageCx, plan: &Plan, checked: &Checked) -> Result<(), Fault> {
    if let (TestsIn::Image(image), true) = (&plan.acceptance.runs_in, has_tests(plan)) {
        let (docker, image) = (checked.docker()?, image.as_str());
        if docker.image(image).await?.is_none() {
            services::pull(cx, docker, &checked.logins, image, "the image of the acceptance tests").await?;
        }
        // It is fetched once.
        let _ = checked.tests_in.set(image.to_owned());
    }
    Ok(())
}

fn has_tests(plan: &Plan) -> bool {
    Place::ALL.iter().any(|place| plan.acceptance.has_tests_on(*place))
}

impl Bench<'_> {
    pub(super) async fn run_program(
        &self,
        cx: &StageCx,
        docker: &Docker,
        (command, limit): (&Command, TimeLimit),
        place: Place,
        standpoint: &Standpoint,
        (app_image, url): (&str, &str),
    ) -> Result<(), Fault> {
        let image = self.tests_in.unwrap_or(app_image);
        let name = self.name("test", place);
        let (entrypoint, arguments) = argv(command);
        let spec = ContainerSpec {
            name: name.clone(),
            image: image.to_owned(),
            entrypoint,
            command: arguments,
            env: app_environment(url, place),
            labels: self.labels.clone(),
            network: standpoint.network.clone(),
            dns: standpoint.dns.iter().map(std::net::IpAddr::to_string).collect(),
            unlogged: true,
            ..ContainerSpec::default()
        };
        cx.cleanup(Undo::RemoveContainer { name: name.clone() });
        let prepared = tokio::time::timeout_at(limit.until, self.prepare(cx, docker, &spec));
        prepared.await.unwrap_or_else(|_| Err(limit.exceeded().cause("their container was not made by then")))?;
        run_tests_in(cx, docker, &name, command, limit, |fault| {
            let fault = match self.tests_in {
                Some(image) => fault.cause(format!("they ran in {image}")),
                None => fault,
            };
            fault.cause(format!("they asked {url} (BEANLINE_PLACE={})", place.word()))
        })
        .await
    }

    /// Makes the container, with the files that the tests need.
    async fn prepare(&self, cx: &StageCx, docker: &Docker, spec: &ContainerSpec) -> Result<(), Fault> {
        docker.create(spec).await?;
        let files = &self.plan.acceptance.files;
        if files.is_empty() {
            return Ok(());
        }
        let image = &spec.image;
        let facts = docker.image(image).await?;
        let facts = facts.ok_or_else(|| Fault::new(format!("the docker engine has no image {image} any more")))?;
        let owner = owner::of_processes(cx, docker, &spec.name, &facts).await?;
        docker.put_files(&spec.name, &facts.working_dir, Path::new("."), files, owner).await
    }
}
