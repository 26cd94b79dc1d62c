//! deploy: `PushedImage` → candidate, or live where that is given the image itself; or the application version alone.

use super::port_of;
use super::push::{PushedImage, still_holds};
use crate::docker::Docker;
use crate::engine::StageCx;
use crate::fault::Fault;
use crate::registry::Registry;
use crate::targets::beanstalk::{Beanstalk, Candidate, Deployed, ImageToDeploy, Survey};

/// Deploys the image, and makes sure that the name in the bundle named the tested image before the environment was told and
/// after its last instance reported.
///
/// # Errors
/// When the environment did not come up with this very image.
pub async fn deploy(
    cx: &StageCx,
    target: &Beanstalk,
    survey: &Survey,
    registry: &Registry,
    docker: Option<&Docker>,
    image: &PushedImage,
) -> Result<Deployed, Fault> {
    target.check_architecture(survey, &image.architectures)?;
    holds_before(registry, image).await?;
    let deployed = target.deploy(cx, survey, &to_deploy(target, image)?).await?;
    holds_after(registry, target, image).await?;
    if let Some(docker) = docker.filter(|_| image.image_id.is_some()) {
        instances_run(cx, docker, &deployed.candidate, image).await?;
    }
    Ok(deployed)
}

/// Makes the image's application version, and makes sure that the tag in its bundle names the tested image.
///
/// # Errors
/// When the version could not be made, or names another image.
pub async fn make_version(
    cx: &StageCx,
    target: &Beanstalk,
    survey: &Survey,
    registry: &Registry,
    image: &PushedImage,
) -> Result<(), Fault> {
    holds_before(registry, image).await?;
    target.make_version_alone(cx, survey, &to_deploy(target, image)?).await?;
    holds_after(registry, target, image).await
}

/// On ECR the name in the bundle may be another than the human tag, and only then is the target the first to ask.
async fn holds_before(registry: &Registry, image: &PushedImage) -> Result<(), Fault> {
    match image.home.ecr {
        None => still_holds(registry, &image.reference, &image.digest).await,
        Some(_) => Ok(()),
    }
}

/// The name that instances pull.
async fn holds_after(registry: &Registry, target: &Beanstalk, image: &PushedImage) -> Result<(), Fault> {
    let pulled_as = target.pulled_as().unwrap_or_else(|| image.reference.clone());
    still_holds(registry, &pulled_as, &image.digest).await
}

/// What a target must know of an image.
///
/// # Errors
/// When the port is not known.
pub fn to_deploy(target: &Beanstalk, image: &PushedImage) -> Result<ImageToDeploy, Fault> {
    Ok(ImageToDeploy {
        image: image.reference.clone(),
        digest: image.digest.clone(),
        image_id: image.image_id.clone(),
        port: port_of(&image.ports, target.plan().port)?,
        home: image.home.clone(),
    })
}

/// Asks the daemon what each instance runs: on the local cloud it can be asked.
async fn instances_run(cx: &StageCx, docker: &Docker, candidate: &Candidate, image: &PushedImage) -> Result<(), Fault> {
    let label = format!("io.beanline.environment={}", candidate.environment_id);
    let instances = docker.containers_labelled(&label).await?;
    if instances.is_empty() {
        return Err(Fault::new(format!("the docker daemon knows no instance of {}", candidate.name)));
    }
    if let Some(other) = instances.iter().find(|instance| !image.is(&instance.image_id)) {
        return Err(Fault::new(format!("instance {} does not run the tested image", other.name))
            .cause(format!("tested: {}", image.digest))
            .cause(format!("it runs: {}", other.image_id)));
    }
    let (count, digest) = (instances.len(), image.digest.short());
    cx.note(format!("{count} of {count} instances run the tested image, {digest}"));
    Ok(())
}
