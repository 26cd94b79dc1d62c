//! build: `Plan` → [`BuiltImage`], once, by the daemon's BuildKit.

mod cache;
mod dockerfile;
#[cfg(test)]
mod fuzz_tests;
mod here_document;
mod mounts;
mod place;
mod source;

use chrono::{SecondsFormat, Utc};

use super::check::Checked;
use super::push::PushedImage;
use super::sweep::{Temporary, sweep};
use crate::docker::{BuildRequest, ImageFacts};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::{Elsewhere, OtherImage, Plan, Recipe, TestsIn};
use crate::registry::REVISION_LABEL;
use cache::Cache;
use source::Source;

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

/// Where the image comes from, in the words of the OCI image specification (`annotations.md`).
fn default_labels(plan: &Plan) -> Vec<(String, String)> {
    let Some(origin) = &plan.build.origin else { return Vec::new() };
    let created = origin.created.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    let labels = [
        // A revision that nobody told is not made up.
        (REVISION_LABEL, plan.ci.revision.as_ref().map(|_| plan.revision.clone())),
        ("org.opencontainers.image.source", origin.source.clone()),
        ("org.opencontainers.image.created", created),
        ("org.opencontainers.image.version", Some(plan.image.tag.to_string())),
    ];
    labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What is asked of the daemon; no I/O. The run's own labels stay off the image: containers inherit an image's labels, and
/// an instance must not look like something that a run left behind.
fn request(plan: &Plan) -> BuildRequest {
    let build = &plan.build;
    let labels = default_labels(plan).into_iter().chain(build.labels.iter().cloned()).collect();
    BuildRequest {
        recipe: build.recipe.clone(),
        labels,
        reference: Temporary::of(plan, Utc::now().timestamp()).to_string(),
        ..BuildRequest::default()
    }
}

/// Asks of the Dockerfile what can be known before it is built.
///
/// # Errors
/// When a step needs a secret that is not given, or the build's own cache would be a part of what is built.
pub fn check_recipe(cx: &StageCx, plan: &Plan) -> Result<(), Fault> {
    let recipes = recipes(plan);
    for recipe in &recipes {
        plan.build.cache_archive.iter().try_for_each(|path| cache::check(recipe, path))?;
    }
    let mut unused: Option<Vec<String>> = None;
    for recipe in &recipes {
        let here = Source::of(recipe).check_secrets(cx, recipe)?;
        // What one of them mounts is used.
        unused = Some(match unused {
            Some(before) => before.into_iter().filter(|id| here.contains(id)).collect(),
            None => here,
        });
    }
    for id in unused.unwrap_or_default() {
        cx.note(format!("the secret {id} is in `build_secrets`, and no step that is built mounts it"));
    }
    Ok(())
}

/// What is built: the image that is shipped, and those that tests run in.
fn recipes(plan: &Plan) -> Vec<Recipe> {
    let shipped = &plan.build.recipe;
    let unit = plan.unit_test.as_ref().and_then(|tests| tests.elsewhere.as_ref()).map(Elsewhere::image);
    let acceptance = match (&plan.acceptance.runs_in, &plan.acceptance.command) {
        (TestsIn::Other(other), Some(_)) => Some(other),
        _ => None,
    };
    std::iter::once(shipped.clone())
        .chain([unit, acceptance].into_iter().flatten().map(|o| o.recipe(shipped)))
        .collect()
}

/// Has the daemon build, and lends it the logins that it asks for.
async fn run(cx: &StageCx, checked: &Checked, request: &mut BuildRequest) -> Result<Digest, Fault> {
    let (docker, source) = (checked.docker()?, Source::of(&request.recipe));
    request.hosts = source.hosts();
    let build = async |keys| {
        request.keys = keys;
        docker.build(request, &|line| cx.line(line)).await
    };
    checked.logins.lend(cx, build).await.map_err(|fault| source.located(cx, fault))
}

/// Builds the image.
///
/// # Errors
/// The step that failed, with its last lines.
pub async fn build(cx: &StageCx, plan: &Plan, checked: &Checked) -> Result<BuiltImage, Fault> {
    let docker = checked.docker()?;
    // By this machine's clock, which also wrote the labels.
    sweep(cx, docker, plan, Utc::now().timestamp()).await;
    let mut request = request(plan);
    cx.note(format!("building {} from {}", plan.revision, request.recipe.dockerfile));
    // The temporary name keeps the image while the run needs it.
    cx.at_end(Undo::RemoveImage { reference: request.reference.clone() });
    let cache = match &plan.build.cache_archive {
        Some(path) => Some(Cache::load(cx, docker, plan, path).await),
        None => None,
    };
    cache.iter().for_each(|cache| cache.apply(&mut request));
    let id = run(cx, checked, &mut request).await?;
    let facts = docker.image(id.as_str()).await?.ok_or_else(|| {
        Fault::new(format!("the image {id} is gone right after it was built"))
            .hint("is something pruning images on this daemon?")
    })?;
    if let Some(cache) = &cache {
        cache.save(cx, docker, plan, &request).await;
    }
    cx.fact(Fact::ImageBuilt { id: id.to_string(), bytes: facts.bytes });
    Ok(BuiltImage { facts })
}

/// Builds another image of the same context, arguments and secrets, for tests; `what` it is for, in a word. It goes with
/// the run's end.
///
/// # Errors
/// The step that failed, with its last lines.
pub async fn build_other(
    cx: &StageCx,
    plan: &Plan,
    checked: &Checked,
    other: &OtherImage,
    what: &str,
) -> Result<ImageFacts, Fault> {
    let docker = checked.docker()?;
    let recipe = other.recipe(&plan.build.recipe);
    let reference = Temporary::of(plan, Utc::now().timestamp()).with(what).to_string();
    let mut request = BuildRequest { recipe, reference, ..request(plan) };
    cx.note(format!("building the image for the {what} tests from {other}"));
    cx.at_end(Undo::RemoveImage { reference: request.reference.clone() });
    let id = run(cx, checked, &mut request).await?;
    docker.image(id.as_str()).await?.ok_or_else(|| {
        Fault::new(format!("the image {id} for the {what} tests is gone right after it was built"))
            .hint("is something pruning images on this daemon?")
    })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inputs::resolve::{Surroundings, resolve};
    use crate::inputs::{CiFacts, RawInputs};

    const SHA: &str = "1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5";

    fn labels_of(more: &[(&str, &str)]) -> Vec<String> {
        let set = [&[("RUN", "test"), ("CONTEXT", "/nowhere")], more].concat();
        let raw = RawInputs::read(
            set.iter()
                .map(|(name, text)| (format!("BEANLINE_{name}").into(), text.into()))
                .chain([("SOURCE_DATE_EPOCH".into(), "1700000000".into())]),
        );
        let read_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let around = Surroundings { ci: &CiFacts::default(), local_registry: "127.0.0.1:5000", read_file: &read_file };
        let plan = resolve(&raw, &around).unwrap_or_else(|problems| panic!("{problems:?}"));
        request(&plan).labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn an_image_says_where_it_comes_from_as_far_as_that_is_known() {
        let created = "org.opencontainers.image.created=2023-11-14T22:13:20Z";
        let of_commit = labels_of(&[("REVISION", SHA), ("LABELS", "team=shop\norg.opencontainers.image.version=7")]);
        let expected = [
            format!("{REVISION_LABEL}={SHA}"),
            created.to_owned(),
            format!("org.opencontainers.image.version={SHA}"),
            "team=shop".to_owned(),
            // The last of a name counts.
            "org.opencontainers.image.version=7".to_owned(),
        ];
        assert_eq!(of_commit, expected);
        assert_eq!(labels_of(&[]), [created, "org.opencontainers.image.version=untagged"]);
        assert_eq!(labels_of(&[("REVISION", SHA), ("LABELS", "none")]), Vec::<String>::new());
    }
}
