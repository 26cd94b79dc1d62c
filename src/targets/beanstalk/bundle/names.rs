//! What a template may ask for: our placeholders, and those that are customary.

use crate::image::{Digest, Repository, TaggedRef};

/// The names that are filled in.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The name by which the nodes pull the image.
    pub image: &'a TaggedRef,
    /// The name that people know it by; often the same.
    pub known_as: &'a TaggedRef,
    /// Its digest.
    pub digest: &'a Digest,
    /// The port that it listens on.
    pub port: u16,
    /// The version's label.
    pub version_label: &'a str,
    /// The bucket that the bundle goes to.
    pub bucket: &'a str,
}

impl Names<'_> {
    /// The text with every placeholder filled. `<IMAGE>`, the repository, `<TAG>` and `<BUCKET>` are those of older deploy
    /// scripts, whose templates say `"Name": "<IMAGE>:<TAG>"`.
    pub(super) fn fill(&self, text: &str) -> String {
        let repository = self.image.repository.to_string();
        let known = [
            ("{image}", self.image.to_string()),
            ("{repository}", repository.clone()),
            ("{tag}", self.image.tag.to_string()),
            ("{digest}", self.digest.to_string()),
            ("{port}", self.port.to_string()),
            ("{version_label}", self.version_label.to_owned()),
            ("<IMAGE>", repository),
            ("<TAG>", self.image.tag.to_string()),
            ("<BUCKET>", self.bucket.to_owned()),
        ];
        known.iter().fold(text.to_owned(), |text, (mark, value)| put(&text, mark, value))
    }

    /// Whether a name in a file is the image, and nothing else may come of it: the name that nodes pull it by, or the
    /// digest.
    pub(super) fn are_of(&self, name: &str) -> bool {
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (name, None),
        };
        let tag_at = name.rfind(':').filter(|at| !name[*at..].contains('/'));
        let (repository, tag) = tag_at.map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])));
        let is_tag = tag.is_none_or(|tag| tag == self.image.tag.as_str());
        let is_digest = digest.is_none_or(|digest| digest == self.digest.as_str());
        // Without either it would be `latest`.
        (tag.is_some() || digest.is_some()) && is_tag && is_digest && self.is_repository(repository)
    }

    /// Whether a name in a file is of the image's repository, whatever its tag.
    pub(super) fn are_of_repository(&self, name: &str) -> bool {
        let name = name.split('@').next().unwrap_or_default();
        let tag_at = name.rfind(':').filter(|at| !name[*at..].contains('/'));
        self.is_repository(tag_at.map_or(name, |at| &name[..at]))
    }

    fn is_repository(&self, text: &str) -> bool {
        Repository::parse(text, Repository::DOCKER_HUB).is_ok_and(|known| known == self.image.repository)
    }
}

/// The text with `value` for every `mark`. `${tag}` is compose's own and stays.
fn put(text: &str, mark: &str, value: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        out.push_str(if before.ends_with('$') { mark } else { value });
        rest = after;
    }
    out + rest
}
