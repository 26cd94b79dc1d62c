//! build: `Plan` → [`BuiltImage`], once, by the daemon's BuildKit.

use chrono::Utc;

use super::check::Checked;
use super::push::PushedImage;
use super::sweep::{Temporary, sweep};
use crate::docker::{BuildRequest, ImageFacts, Login};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::Plan;
use crate::registry::REVISION_LABEL;

/// The image, on the daemon, under its id. Everything after is about this one; nothing else makes one.
#[derive(Debug)]
pub struct BuiltImage {
    facts: ImageFacts,
}

impl BuiltImage {
    /// The image's id: the digest of its configuration.
    pub fn id(&self) -> &Digest {
        &self.facts.id
    }

    /// What the image says of itself.
    pub fn facts(&self) -> &ImageFacts {
        &self.facts
    }
}

/// What is asked of the daemon; no I/O. The run's own labels stay off the image: containers inherit an image's labels, and
/// an instance must not look like something that a run left behind.
fn request(plan: &Plan, logins: Vec<Login>) -> BuildRequest {
    let build = &plan.build;
    let mut all_labels = vec![
        (REVISION_LABEL.to_owned(), plan.revision.clone()),
        ("org.opencontainers.image.version".to_owned(), plan.image.tag.to_string()),
    ];
    all_labels.extend(build.labels.iter().cloned());
    BuildRequest {
        context: build.context.clone(),
        dockerfile: build.dockerfile.clone(),
        target: build.target.clone(),
        args: build.args.clone(),
        secrets: build.secrets.clone(),
        labels: all_labels,
        platform: build.platform.clone(),
        pull: build.pull,
        no_cache: build.no_cache,
        logins,
        reference: Temporary::of(plan, Utc::now().timestamp()).to_string(),
    }
}

/// Builds the image.
///
/// # Errors
/// The step that failed, with its last lines.
pub async fn build(cx: &StageCx, plan: &Plan, checked: &Checked) -> Result<BuiltImage, Fault> {
    let docker = checked.docker()?;
    // By this machine's clock, which also wrote the labels.
    sweep(cx, docker, plan, Utc::now().timestamp()).await;
    let logins = checked.registry.iter().filter_map(|registry| registry.login().cloned()).collect();
    let request = request(plan, logins);
    cx.note(format!("building {} from {}", plan.revision, request.dockerfile));
    // The temporary name keeps the image while the run needs it.
    cx.at_end(Undo::RemoveImage { reference: request.reference.clone() });
    let id = docker.build(&request, &|line| cx.line(line)).await?;
    let facts = docker.image(id.as_str()).await?.ok_or_else(|| {
        Fault::new(format!("the image {id} is gone right after it was built"))
            .hint("is something pruning images on this daemon?")
    })?;
    cx.fact(Fact::ImageBuilt { id: id.to_string(), bytes: facts.bytes });
    Ok(BuiltImage { facts })
}

/// Has the daemon pull an image that was built, tested and pushed before, for the tests that run in it.
///
/// # Errors
/// When it cannot be pulled, or is another image than the registry says.
pub async fn take(cx: &StageCx, plan: &Plan, checked: &Checked, image: &PushedImage) -> Result<(), Fault> {
    let (docker, login) = (checked.docker()?, checked.registry()?.login());
    let by_digest = format!("{}@{}", plan.image.repository, image.digest);
    if docker.image(&by_digest).await?.is_none() {
        cx.at_end(Undo::RemoveImage { reference: by_digest.clone() });
    }
    cx.note(format!("pulling {by_digest}"));
    let id = docker.pull(&by_digest, login).await?;
    match image.is(id.as_str()) {
        true => Ok(()),
        false => Err(Fault::new(format!("{by_digest} is not the image that was pulled"))
            .cause(format!("the daemon has {id}, the registry's manifest names another configuration"))),
    }
}
