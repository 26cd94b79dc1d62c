//! push: `TestedImage` → [`PushedImage`]. The tag appears in the registry only now; the digest is the registry's answer.

use super::acceptance::AcceptanceVerdict;
use super::build::BuiltImage;
use super::check::Checked;
use super::extra_tags;
use super::unit_test::UnitTestVerdict;
use crate::docker::Docker;
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::{Digest, Tag, TaggedRef};
use crate::inputs::{CloudKind, Plan};
use crate::registry::{Home, IMMUTABLE, Look, REVISION_LABEL, Registry};

/// An image with both verdicts: the only kind that can be published.
#[derive(Debug)]
pub struct TestedImage {
    id: Digest,
    ports: Vec<u16>,
    architecture: String,
}

impl TestedImage {
    /// Joins the image with its verdicts.
    pub fn new(built: &BuiltImage, _: UnitTestVerdict, _: AcceptanceVerdict) -> Self {
        let facts = built.facts();
        Self { id: built.id().clone(), ports: facts.ports.clone(), architecture: facts.architecture.clone() }
    }
}

/// Proof that the image's layers may be sent. Today docker's push sends layers and manifest in one go, so that nothing
/// travels before [`publish`].
#[derive(Debug)]
pub struct Uploaded {
    id: Digest,
}

/// An image in the registry, under its tag, with the registry's digest.
#[derive(Clone, Debug)]
pub struct PushedImage {
    /// The name that people and bundles use.
    pub reference: TaggedRef,
    /// The manifest's digest.
    pub digest: Digest,
    /// The image id: the digest of the configuration that the manifest names; where the image was made with docker's
    /// containerd image store, the manifest's own.
    pub image_id: Option<Digest>,
    /// The ports it exposes, as far as they are known.
    pub ports: Vec<u16>,
    /// The processor architectures that it is for, as far as they are known.
    pub architectures: Vec<String>,
    /// Where it lives.
    pub home: Home,
}

impl PushedImage {
    /// Whether an image id of a daemon means this image: the id is the configuration's digest, or, with docker's
    /// containerd image store, the manifest's.
    pub fn is(&self, id: &str) -> bool {
        id == self.digest.as_str() || self.image_id.as_ref().is_some_and(|known| known.as_str() == id)
    }
}

/// Prepares the layers for the registry.
pub fn upload(built: &BuiltImage) -> Uploaded {
    Uploaded { id: built.id().clone() }
}

/// Gives the tested image its tag in the registry, and makes sure that what the registry holds is what was tested.
///
/// A pushed tag is handed over, so there is no undo: an image that passed its tests harms nobody.
///
/// # Errors
/// When the registry refuses it, or holds something else afterwards; when the tag is that of another image that is
/// `released`.
pub async fn publish(
    cx: &StageCx,
    plan: &Plan,
    checked: &Checked,
    reference: &TaggedRef,
    tested: TestedImage,
    uploaded: Uploaded,
    released: Option<Digest>,
) -> Result<PushedImage, Fault> {
    if tested.id != uploaded.id {
        return Err(Fault::new("another image was uploaded than was tested"));
    }
    // Hours of tests may lie behind the login.
    let renewed = checked.registry()?.renewed().await?;
    let (docker, registry) = (checked.docker()?, renewed.as_ref().map_or_else(|| checked.registry(), Ok)?);
    if let Some(login) = registry.login() {
        cx.secret(&login.password);
    }
    if plan.registry.create_repository {
        // A repository is handed over with the tags in it: no undo.
        registry.check(true).await?.into_iter().for_each(|note| cx.note(note));
    }
    if let Some(released) = released {
        keep_released(registry, reference, &released, &tested).await?;
    }
    extra_tags::check(registry, reference, &plan.image.extra_tags, &tested.id).await?;
    // On the local cloud a node may have pulled it under this very name, after an earlier run of this commit: not where the
    // version has a tag of its own. A run that was killed in its push left the name too, which goes, also when there is
    // nothing to push any more.
    let may_be_a_nodes = plan.cloud == CloudKind::Local && registry.home().ecr.is_none();
    let is_a_nodes = may_be_a_nodes && docker.image(&reference.to_string()).await?.is_some();
    if !is_a_nodes {
        cx.cleanup(Undo::RemoveImage { reference: reference.to_string() });
    }
    let pushed = match already(registry, reference, &tested.id).await? {
        Some(held) => {
            cx.note(format!("{reference} is this very image in the registry already: nothing has to be sent"));
            held
        }
        None => push(cx, docker, registry, reference, &tested.id).await?,
    };
    still_holds(registry, reference, &pushed).await?;
    let config = registry.config_digest(&pushed).await?;
    if !docker.image_store().await?.proves(&tested.id, &pushed, &config) {
        return Err(Fault::new(format!("{reference} in the registry is not the image that was tested"))
            .cause(format!("tested image id: {}", tested.id))
            .cause(format!("in the registry: {pushed}, with the configuration {config}")));
    }
    cx.fact(Fact::Pushed { image: reference.to_string(), tag: reference.tag.to_string(), digest: pushed.to_string() });
    extra_tags::give(cx, registry, reference, &pushed, &plan.image.extra_tags).await?;
    let architectures = Some(tested.architecture).into_iter().filter(|known| !known.is_empty()).collect();
    Ok(PushedImage {
        reference: reference.clone(),
        digest: pushed,
        image_id: Some(tested.id),
        ports: tested.ports,
        architectures,
        home: registry.home(),
    })
}

/// Whether a manifest in the registry is the image with this id.
pub async fn is_image(registry: &Registry, manifest: &Digest, id: &Digest) -> bool {
    manifest == id || registry.config_digest(manifest).await.is_ok_and(|config| config == *id)
}

/// The digest under the tag, if it is this very image: pushed by an earlier run. A registry with immutable tags refuses it
/// a second time, though nothing would change.
async fn already(registry: &Registry, reference: &TaggedRef, id: &Digest) -> Result<Option<Digest>, Fault> {
    let Some(held) = registry.digest_if_seen(&reference.tag).await? else { return Ok(None) };
    if is_image(registry, &held, id).await {
        return Ok(Some(held));
    }
    if registry.keeps(&reference.tag).await? {
        return Err(extra_tags::is_kept(reference, &held)
            .hint("with build set to if-missing, the image that was tested and pushed is taken"));
    }
    Ok(None)
}

/// Has the daemon push, under a name that goes when the stage ends: the caller has registered that.
async fn push(
    cx: &StageCx,
    docker: &Docker,
    registry: &Registry,
    reference: &TaggedRef,
    id: &Digest,
) -> Result<Digest, Fault> {
    docker.tag(id.as_str(), reference).await?;
    let fault = match docker.push(reference, registry.login(), &|line| cx.line(line)).await {
        Ok(pushed) => return Ok(pushed),
        Err(fault) => fault,
    };
    let says = |text: &str| fault.causes().iter().any(|cause| cause.contains(text));
    if says("immutable") || says("cannot be overwritten") {
        // Another run of this commit may have been faster.
        return match already(registry, reference, id).await {
            Ok(Some(held)) => Ok(held),
            _ => Err(fault.hint(IMMUTABLE)),
        };
    }
    Err(match says("does not exist") && registry.is_ecr() {
        true => fault.hint("set create_repository=true, and the repository is made in ECR"),
        false => fault,
    })
}

/// Refuses to move the tag of a version that is released: another image could not be deployed under its label, and where
/// the version has no tag of its own, nodes pull this one whenever they are replaced.
async fn keep_released(
    registry: &Registry,
    reference: &TaggedRef,
    released: &Digest,
    tested: &TestedImage,
) -> Result<(), Fault> {
    if registry.digest(&reference.tag).await?.as_ref() != Some(released) {
        return Ok(());
    }
    let config = registry.config_digest(released).await?;
    if config == tested.id || *released == tested.id {
        return Ok(());
    }
    Err(Fault::new(format!("{reference} is deployed already, and this run built another image"))
        .cause(format!("deployed: {released}, built now: image {}", tested.id))
        .cause("a commit that is built again seldom gives the same bytes; the tag was not moved")
        .hint("set build to if-missing: then the image that was tested and deployed is taken")
        .hint("or set tag and version_label to others"))
}

/// Finds an image that was tested and pushed earlier.
///
/// # Errors
/// When the tag is not in the registry.
pub async fn find_pushed(cx: &StageCx, registry: &Registry, reference: &TaggedRef) -> Result<PushedImage, Fault> {
    let digest = registry.digest(&reference.tag).await?.ok_or_else(|| {
        Fault::new(format!("{reference} is not in the registry"))
            .hint("set `tag` to one that was pushed, or run with `run: push` first")
    })?;
    // An index of several images has no one configuration; then the inputs must say what it would have said.
    let image_id = registry.config_digest(&digest).await;
    let image_id =
        image_id.map_err(|fault| cx.warn(format!("what the instances run cannot be compared: {fault}"))).ok();
    let (ports, architectures) = match &image_id {
        Some(id) => {
            let configuration = registry.configuration(id).await?;
            (configuration.ports, configuration.architecture.into_iter().collect())
        }
        None => (Vec::new(), registry.architectures(&digest).await?),
    };
    cx.fact(Fact::Pushed { image: reference.to_string(), tag: reference.tag.to_string(), digest: digest.to_string() });
    let home = registry.home();
    Ok(PushedImage { reference: reference.clone(), digest, image_id, ports, architectures, home })
}

/// Finds the image of this revision, if the registry has it under the tag: it passed its tests before it got the tag.
///
/// # Errors
/// When the registry cannot be asked, or has an image of another commit under a tag that is made of this one.
pub async fn find_tested(
    cx: &StageCx,
    registry: &Registry,
    reference: &TaggedRef,
    revision: &str,
    platform: Option<&str>,
) -> Result<Option<PushedImage>, Fault> {
    let digest = match registry.look(&reference.tag).await? {
        Look::Names(digest) => digest,
        Look::Missing => {
            cx.note(format!("{reference} is not in the registry yet: it will be built"));
            return Ok(None);
        }
        Look::Refused(fault) => {
            cx.note(format!("{reference} may not be seen, if it is in the registry: it will be built ({fault})"));
            return Ok(None);
        }
    };
    if registry.is_of_several(&digest).await? {
        cx.note(format!("{reference} is in the registry as an index of several images: one will be built"));
        return Ok(None);
    }
    let image_id = registry.config_digest(&digest).await?;
    let configuration = registry.configuration(&image_id).await?;
    match configuration.revision {
        Some(known) if known == revision => {}
        Some(known) if names(&reference.tag, revision) => return Err(of_another_commit(reference, &known, revision)),
        known => {
            let known = known.as_deref().unwrap_or("none that it names");
            cx.note(format!("{reference} is in the registry with revision {known}, not {revision}: it will be built"));
            return Ok(None);
        }
    }
    let asked = platform.and_then(|platform| platform.split('/').nth(1));
    if let (Some(asked), Some(known)) = (asked, &configuration.architecture)
        && asked != known
    {
        cx.note(format!("{reference} is in the registry for {known}, not {asked}: it will be built"));
        return Ok(None);
    }
    cx.note(format!("{reference} is in the registry with this revision: {digest} is taken and not built again"));
    cx.fact(Fact::Pushed { image: reference.to_string(), tag: reference.tag.to_string(), digest: digest.to_string() });
    Ok(Some(PushedImage {
        reference: reference.clone(),
        digest,
        image_id: Some(image_id),
        ports: configuration.ports,
        architectures: configuration.architecture.into_iter().collect(),
        home: registry.home(),
    }))
}

/// Whether a tag is made of a commit, whole or short.
fn names(tag: &Tag, revision: &str) -> bool {
    revision.get(..7).is_some_and(|short| tag.as_str().contains(short))
}

fn of_another_commit(reference: &TaggedRef, known: &str, revision: &str) -> Fault {
    Fault::new(format!("{reference} is in the registry, and is not of this commit"))
        .cause(format!("its label {REVISION_LABEL} says {known}; this run is about {revision}"))
        .cause("the tag is made of this commit, so that somebody else pushed under it")
        .hint("find out who did, and delete the tag or set `tag` to another; build=always would move it")
}

/// Makes sure that the name still means what was tested.
///
/// # Errors
/// When somebody moved it.
pub async fn still_holds(registry: &Registry, name: &TaggedRef, digest: &Digest) -> Result<(), Fault> {
    let held = registry.digest(&name.tag).await?;
    if held.as_ref() == Some(digest) { Ok(()) } else { Err(tag_moved(name, digest, held.as_ref())) }
}

fn tag_moved(reference: &TaggedRef, ours: &Digest, held: Option<&Digest>) -> Fault {
    Fault::new(format!("{reference} no longer names the tested image"))
        .cause(format!("tested: {ours}"))
        .cause(format!("in the registry now: {}", held.map_or("nothing", Digest::as_str)))
        .hint("something else pushes to this tag; use a tag that belongs to one commit, such as the default {sha}")
}
