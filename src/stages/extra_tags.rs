//! Further tags for an image that the registry holds. They are part of push: the image has passed its tests, and as with its
//! own tag, what is given stands whatever becomes of the deployment. Either all of them name it, or as few as can be.

use super::push::is_image;
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::fault::Fault;
use crate::image::{Digest, Tag, TaggedRef};
use crate::inputs::Plan;
use crate::registry::{Held, IMMUTABLE, Registry};
use crate::targets::Site;
use crate::targets::beanstalk::Survey;

/// What a tag named before.
enum Before {
    Nothing,
    /// Another image; its manifest, if it could be read, to give it the tag back.
    Other(Digest, Option<Held>),
}

/// Makes sure that no tag is kept for another image than `id`, as far as that is known. Asked before anything is pushed.
///
/// # Errors
/// When one is.
pub async fn check(registry: &Registry, image: &TaggedRef, tags: &[Tag], id: &Digest) -> Result<(), Fault> {
    for tag in tags {
        let Some(held) = registry.digest_if_seen(tag).await? else { continue };
        if registry.keeps(tag).await? && !is_image(registry, &held, id).await {
            return Err(is_kept(&TaggedRef { tag: tag.clone(), ..image.clone() }, &held));
        }
    }
    Ok(())
}

/// Makes sure that no tag is the name by which live's instances pull another image than `id`: live is not to change before
/// the candidate has passed.
///
/// # Errors
/// When one is, or when the site cannot be asked.
pub async fn spare_live(
    cx: &StageCx,
    plan: &Plan,
    registry: &Registry,
    sites: &[(Site, Survey)],
    id: &Digest,
) -> Result<(), Fault> {
    for (Site::Beanstalk(target), survey) in sites {
        for tag in &plan.image.extra_tags {
            let name = TaggedRef { repository: plan.image.repository.clone(), tag: tag.clone() };
            let Some(pulled) = target.pulled_by_live(cx, survey, &name).await? else { continue };
            if !is_image(registry, &pulled, id).await {
                return Err(Fault::new(format!("could not give the tested image the name {name}"))
                    .cause(format!("the instances of live pull {pulled} by it whenever they are launched"))
                    .hint("leave it out of extra_tags until live was deployed by another tag"));
            }
        }
    }
    Ok(())
}

/// The fault of a tag that another image keeps.
pub fn is_kept(name: &TaggedRef, held: &Digest) -> Fault {
    Fault::new(format!("could not give the tested image the name {name}"))
        .cause(format!("it names {held} already, which is another image"))
        .hint(IMMUTABLE)
}

/// Gives the image further tags, each confirmed by its digest. When one cannot be given, those before it name again what
/// they named.
///
/// # Errors
/// The first tag that could not be given, and what the others name now.
pub async fn give(
    cx: &StageCx,
    registry: &Registry,
    image: &TaggedRef,
    digest: &Digest,
    tags: &[Tag],
) -> Result<(), Fault> {
    if tags.is_empty() {
        return Ok(());
    }
    let ours = registry.held(digest.as_str()).await?.filter(|held| held.digest == *digest).ok_or_else(|| {
        Fault::new(format!("could not give {image} further tags"))
            .cause(format!("the registry does not hold {digest} any more"))
    })?;
    let mut given = Vec::new();
    for tag in tags {
        if let Err(fault) = give_one(cx, registry, &ours, tag, &mut given).await {
            return Err(take_back(registry, digest, given, fault).await);
        }
    }
    for tag in tags {
        let image = image.repository.to_string();
        cx.fact(Fact::Tagged { image, tag: tag.to_string(), digest: digest.to_string() });
    }
    Ok(())
}

async fn give_one(
    cx: &StageCx,
    registry: &Registry,
    ours: &Held,
    tag: &Tag,
    given: &mut Vec<(Tag, Before)>,
) -> Result<(), Fault> {
    let before = match registry.digest(tag).await? {
        Some(held) if held == ours.digest => return Ok(()),
        Some(held) => {
            cx.note(format!("the tag {tag} named {held} until now"));
            let manifest = registry.held(held.as_str()).await.ok().flatten();
            Before::Other(held, manifest)
        }
        None => Before::Nothing,
    };
    // Written down first: a request whose answer was lost may have been taken.
    given.push((tag.clone(), before));
    registry.give_tag(ours, tag).await
}

/// Puts back what was given, newest first, and adds to the fault what each tag names now.
async fn take_back(registry: &Registry, ours: &Digest, given: Vec<(Tag, Before)>, fault: Fault) -> Fault {
    let mut fault = fault;
    for (tag, before) in given.into_iter().rev() {
        // Somebody may have moved it since, and then it is theirs.
        match registry.digest(&tag).await {
            Ok(Some(named)) if named == *ours => {}
            Ok(_) => continue,
            Err(why) => {
                fault = fault.cause(format!("the tag {tag} may name the tested image now: {why}"));
                continue;
            }
        }
        fault = match put_back(registry, &tag, &before).await {
            Ok(Some(now)) => fault.cause(format!("the tag {tag} {now}")),
            Ok(None) => fault.cause(format!("the tag {tag} names the tested image from now on")),
            Err(why) => fault.cause(format!("the tag {tag} names the tested image, and could not be put back: {why}")),
        };
        if let Before::Other(was, _) = before {
            fault = fault.cause(format!("before this run {tag} named {was}"));
        }
    }
    fault
}

/// What the tag is again; `None` when it stays, since taking it away could take the image with it.
async fn put_back(registry: &Registry, tag: &Tag, before: &Before) -> Result<Option<&'static str>, Fault> {
    match before {
        Before::Other(_, Some(manifest)) => {
            registry.give_tag(manifest, tag).await.map(|()| Some("names again what it named before"))
        }
        Before::Other(_, None) => Ok(None),
        Before::Nothing => Ok(registry.take_tag(tag).await?.then_some("is taken away again")),
    }
}

#[cfg(test)]
mod tests;
