//! What of a directory the daemon asks for: it says so in the metadata of its call.

use std::io;
use std::path::Path;

use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::docker::context::follow::follow;
use crate::docker::context::walk::Selection;
use crate::docker::ignore::Ignore;

/// The names under which BuildKit's Dockerfile frontend asks for a build context and for what is beside a Dockerfile.
const KNOWN: [&str; 2] = ["context", "dockerfile"];

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The name of the directory.
    pub(super) directory: String,
    include: Vec<String>,
    exclude: Vec<String>,
    follow: Vec<String>,
}

impl Wanted {
    /// Reads the metadata.
    ///
    /// # Errors
    /// A value is not UTF-8.
    pub(super) fn read(metadata: &MetadataMap) -> Result<Self, Status> {
        Ok(Self {
            directory: values(metadata, "dir-name")?.into_iter().next().unwrap_or_default(),
            include: values(metadata, "include-patterns")?,
            exclude: values(metadata, "exclude-patterns")?,
            follow: values(metadata, "followpaths")?,
        })
    }

    /// Whether there is a directory of that name.
    pub(super) fn is_known(&self) -> bool {
        KNOWN.contains(&self.directory.as_str())
    }

    /// Whether it is the context itself, and not one of the files that say how to build.
    pub(super) fn is_context(&self) -> bool {
        self.directory == "context" && self.follow != [".dockerignore"]
    }

    /// The rules for walking the directory.
    ///
    /// # Errors
    /// A pattern is none, or a link among the paths to follow cannot be read.
    pub(super) fn selection(&self, root: &Path) -> io::Result<Selection> {
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut only = (!self.include.is_empty()).then(|| self.include.clone());
        if !self.follow.is_empty() {
            let followed = follow(root, &self.follow)?;
            only = match (only, followed) {
                (Some(include), Some(followed)) => Some([include, followed].concat()),
                (only, followed) => followed.or(only),
            };
        }
        let only = only.map(|only| Ignore::all_but(&only).map_err(wrong)).transpose()?;
        Ok(Selection { ignore: Ignore::of(&self.exclude).map_err(wrong)?, only, ..Selection::default() })
    }
}

/// The values of one key. Newer daemons escape what is not ASCII, and say so under a second key.
fn values(metadata: &MetadataMap, key: &str) -> Result<Vec<String>, Status> {
    let escaped = metadata.get(format!("{key}-encoded")).is_some_and(|value| value.as_encoded_bytes() == b"1");
    let text = |bytes: &[u8]| match escaped {
        // As a form escapes it, which a list of pairs with one nameless value is.
        true => serde_urlencoded::from_bytes::<Vec<(String, String)>>(&[b"=", bytes].concat())
            .ok()
            .and_then(|pairs| pairs.into_iter().next())
            .map(|(_, value)| value),
        false => String::from_utf8(bytes.to_vec()).ok(),
    };
    let values = metadata.get_all(key).iter().map(|value| text(value.as_encoded_bytes()));
    values.collect::<Option<_>>().ok_or_else(|| Status::invalid_argument(format!("{key} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(pairs: &[(&'static str, &[u8])]) -> Wanted {
        let mut headers = http::HeaderMap::new();
        for (key, value) in pairs {
            headers.append(*key, HeaderValue::from_bytes(value).unwrap());
        }
        Wanted::read(&MetadataMap::from_headers(headers)).unwrap()
    }

    #[test]
    fn lists_are_read_plain_and_escaped() {
        let plain =
            asked(&[("dir-name", b"context"), ("exclude-patterns", b"a"), ("exclude-patterns", "é,*".as_bytes())]);
        assert_eq!(plain.exclude, ["a", "é,*"]);
        let escaped = [("dir-name", &b"context"[..]), ("followpaths", b"%C3%A9+%26"), ("followpaths-encoded", b"1")];
        assert_eq!(asked(&escaped).follow, ["é &"]);
        assert!(plain.is_known() && plain.is_context() && !asked(&[("dir-name", b"other")]).is_known());
        assert!(!asked(&[("dir-name", b"context"), ("followpaths", b".dockerignore")]).is_context());
    }
}
