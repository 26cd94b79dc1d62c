//! Tags of an image that the registry holds: asked for, given by putting the same bytes again, taken back.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use super::opening::Amazon;
use super::{EcrTags, Registry, client};
use crate::fault::Fault;
use crate::image::{Digest, Tag};

/// A manifest, byte for byte.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its digest.
    pub digest: Digest,
    kind: String,
    body: Bytes,
}

/// The field in which a manifest says what it is.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

impl Registry {
    /// The manifest behind a tag or a digest; `None` when there is none.
    ///
    /// # Errors
    /// When the registry cannot be asked or refuses the answer.
    pub async fn held(&self, reference: &str) -> Result<Option<Held>, Fault> {
        let what = || format!("could not read the manifest {reference} in {}", self.repository);
        let answer = self.client.get(&self.manifest_path(reference), client::MANIFESTS).await?;
        match answer.status.as_u16() {
            404 => return Ok(None),
            200 => {}
            _ => return Err(answer.fault(what())),
        }
        let told = serde_json::from_slice::<Kind>(&answer.body).ok().and_then(|kind| kind.media_type);
        let header = || answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let kind = told.or_else(header).ok_or_else(|| Fault::new(what()).cause("nothing says what kind it is of"))?;
        Ok(Some(Held { digest: Digest::of(&answer.body), kind, body: answer.body }))
    }

    /// Gives a manifest that the registry holds a tag, and makes sure that the tag names it.
    ///
    /// # Errors
    /// When the registry refuses, or names something else afterwards.
    pub async fn give_tag(&self, held: &Held, tag: &Tag) -> Result<(), Fault> {
        let what = || format!("could not give {}@{} the tag {tag}", self.repository, held.digest);
        let answer = self.client.put(&self.manifest_path(tag.as_str()), &held.kind, held.body.clone()).await?;
        if !answer.status.is_success() {
            // Where tags are immutable, some refuse even what changes nothing.
            if self.digest(tag).await?.as_ref() == Some(&held.digest) {
                return Ok(());
            }
            let fault = answer.fault(what());
            return Err(match answer.says("immutable") {
                true => fault.hint(IMMUTABLE),
                false => fault,
            });
        }
        match self.digest(tag).await? {
            Some(named) if named == held.digest => Ok(()),
            named => Err(Fault::new(what())
                .cause(format!("the tag names {} now", named.as_ref().map_or("nothing", Digest::as_str)))
                .hint("something else pushes to this tag")),
        }
    }

    /// Takes a tag away where that leaves the image itself alone, and says whether it did. That is ECR: elsewhere the same
    /// request removes the image, or is refused.
    ///
    /// # Errors
    /// When ECR cannot be asked, or refuses.
    pub async fn take_tag(&self, tag: &Tag) -> Result<bool, Fault> {
        let (Some(Amazon::Private(ecr)), Some(sdk)) = (&self.amazon, &self.sdk) else { return Ok(false) };
        EcrTags::new(sdk).remove(&ecr.repository(), tag.as_str(), async || Ok(())).await?;
        Ok(true)
    }

    /// Whether the registry is known to keep a tag for the image that has it. Only ECR tells.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn keeps(&self, tag: &Tag) -> Result<bool, Fault> {
        match &self.amazon {
            Some(Amazon::Private(ecr)) => ecr.keeps(tag.as_str()).await,
            _ => Ok(false),
        }
    }
}

/// What to do about a tag that another image keeps.
pub const IMMUTABLE: &str = "tags in this repository are immutable: use a tag that belongs to one commit, such as the \
                             default {sha}, or take this one out of the rule";

/// Whether a rule's filter, in which `*` stands for any letters, is about a tag (Amazon ECR's page on exclusion filters).
pub(super) fn is_about(filter: &str, tag: &str) -> bool {
    let Some((begin, rest)) = filter.split_once('*') else { return filter == tag };
    let Some(mut tag) = tag.strip_prefix(begin) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = tag.split_once(part) else { return false };
        tag = after;
    }
    tag.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn a_filter_s_star_stands_for_any_letters() {
        for (filter, tag) in
            [("latest", "latest"), ("dev-*", "dev-1"), ("*", ""), ("*-rc*", "1.0-rc2"), ("a*b*c", "abbc")]
        {
            assert!(is_about(filter, tag), "{filter} {tag}");
        }
        for (filter, tag) in [("latest", "latest2"), ("dev-*", "dev"), ("a*b*c", "acb"), ("a*a", "a"), ("", "x")] {
            assert!(!is_about(filter, tag), "{filter} {tag}");
        }
    }
}
