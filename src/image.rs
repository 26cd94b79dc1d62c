//! How an image is named: repository, tag and digest, parsed and printed here and nowhere else.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A registry and a path in it, without tag or digest: `123.dkr.ecr.eu-west-1.amazonaws.com/shop`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Docker Hub's name in references; its API answers at [`Repository::api_host`].
    pub const DOCKER_HUB: &str = "docker.io";

    /// Reads a repository. Text without a registry host belongs to `default_host`.
    ///
    /// As docker does, the first part is a host when it has a dot or a colon or is `localhost`
    /// (distribution's reference grammar).
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str, default_host: &str) -> Result<Self, String> {
        if text.contains('@') {
            return Err("must not have a digest; the digest is the registry's answer".into());
        }
        let (host, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => (default_host, text),
        };
        if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)) {
            return Err(
                "must begin with the registry's host, such as `registry.example.com` or `127.0.0.1:5000`".into()
            );
        }
        let host = &Self::usual_host(&host.to_ascii_lowercase());
        if path.contains(':') {
            return Err("must not have a tag; write the tag in the input `tag`".into());
        }
        let part = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        if !path.split('/').all(part) {
            return Err("must be lower-case words joined by `/`, such as `registry.example.com/team/shop`".into());
        }
        let path =
            if host == Self::DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path.into() };
        Ok(Self { host: host.clone(), path })
    }

    /// The repository of an image that is named as docker names images, with or without tag and digest.
    ///
    /// # Errors
    /// As [`Repository::parse`].
    pub fn of_image(image: &str) -> Result<Self, String> {
        let name = image.split('@').next().unwrap_or(image);
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let name = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
        Self::parse(name, Self::DOCKER_HUB)
    }

    /// The name that a registry's host has in references: Docker Hub answers to several.
    pub fn usual_host(host: &str) -> String {
        const HUB: [&str; 4] = ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"];
        if HUB.contains(&host) { Self::DOCKER_HUB.to_owned() } else { host.to_owned() }
    }

    /// The registry's host, with its port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where the registry's API answers.
    pub fn api_host(&self) -> &str {
        if self.host == Self::DOCKER_HUB { "registry-1.docker.io" } else { &self.host }
    }

    /// The path inside the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether docker speaks plain HTTP to it, which it does for `127.0.0.0/8` and `localhost` alone.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Whether a host, with its port if it has one, is this machine itself.
pub fn is_loopback(host: &str) -> bool {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let name = host.split(':').next().unwrap_or_default();
    // A name that only begins like an address is anybody's.
    name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// A tag: at most 128 of letters, digits, `_`, `.` and `-`, not starting with `.` or `-` (distribution's grammar).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tag(String);

impl Tag {
    /// Reads a tag.
    ///
    /// # Errors
    /// A sentence that says what a tag may be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if text.is_empty() || text.len() > 128 || !text.bytes().all(legal) || text.starts_with(['.', '-']) {
            return Err(
                "must be 1 to 128 letters, digits, `_`, `.` or `-`, and start with a letter, digit or `_`".into()
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `sha256:` and 64 hex digits: a manifest's digest, or an image id (the digest of its configuration).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    /// Reads a digest.
    ///
    /// # Errors
    /// A sentence that shows the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Self(text.to_owned())),
            _ => Err(format!("`{text}` is no sha256 digest")),
        }
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(bytes);
        Self(format!("sha256:{}", hash.iter().map(|b| format!("{b:02x}")).collect::<String>()))
    }

    /// The digest with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hex digits, as docker prints an id.
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `repository:tag`, the name that people and bundles use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaggedRef {
    /// The repository.
    pub repository: Repository,
    /// The tag in it.
    pub tag: Tag,
}

impl fmt::Display for TaggedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// An image by any name that docker understands: `python:3.13-slim`, `quay.io/team/tests@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef {
    repository: Repository,
    text: String,
}

impl ImageRef {
    /// Reads a name. Without a registry's host it belongs to Docker Hub, without a tag it means `latest`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before a slash is that of a port.
        let (name, tag) = match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((name, tag)) => (name, Some(tag)),
            None => (name, None),
        };
        tag.map(Tag::parse).transpose()?;
        digest.map(Digest::parse).transpose()?;
        Ok(Self { repository: Repository::parse(name, Repository::DOCKER_HUB)?, text: text.to_owned() })
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, ImageRef, Repository, Tag, is_loopback};

    #[test]
    fn an_images_repository_is_told_from_its_tag_and_digest() {
        let cases = [
            ("postgres", "docker.io/library/postgres"),
            ("postgres:16", "docker.io/library/postgres"),
            ("127.0.0.1:5000/db", "127.0.0.1:5000/db"),
            ("127.0.0.1:5000/team/db:1@sha256:00", "127.0.0.1:5000/team/db"),
        ];
        for (image, name) in cases {
            assert_eq!(Repository::of_image(image).unwrap().to_string(), name, "{image}");
        }
    }

    #[test]
    fn the_host_is_told_from_the_path_as_docker_does() {
        let cases = [
            ("shop", "docker.io", "docker.io/library/shop"),
            ("team/shop", "docker.io", "docker.io/team/shop"),
            ("localhost/shop", "docker.io", "localhost/shop"),
            ("127.0.0.1:5000/shop", "docker.io", "127.0.0.1:5000/shop"),
            ("shop", "127.0.0.1:5000", "127.0.0.1:5000/shop"),
            ("quay.io/team/shop", "docker.io", "quay.io/team/shop"),
        ];
        for (text, host, printed) in cases {
            assert_eq!(Repository::parse(text, host).map(|r| r.to_string()), Ok(printed.to_owned()));
        }
        for hub in ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "Docker.io"]
        {
            let named = Repository::parse(&format!("{hub}/team/shop"), "quay.io").map(|r| r.to_string());
            assert_eq!(named.as_deref(), Ok("docker.io/team/shop"));
        }
        for bad in ["", "Shop", "shop:1", "shop@sha256:00", "a//b", "-shop", "reg istry.example.com/shop", "a?b.c/d"] {
            assert!(Repository::parse(bad, "docker.io").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_only_begins_like_loopback_is_not_spoken_to_in_the_clear() {
        for here in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(here), "{here}");
        }
        for there in
            ["127.example.com", "127.0.0.1.example.com:5000", "localhost.example.com", "10.0.0.1", "[::2]:1", ""]
        {
            assert!(!is_loopback(there), "{there}");
        }
    }

    #[test]
    fn tags_and_digests_are_checked() {
        assert!(Tag::parse("1.0_rc-2").is_ok());
        assert!(Tag::parse(".x").is_err() && Tag::parse("").is_err() && Tag::parse("a b").is_err());
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
        assert!(Digest::parse("sha256:12").is_err());
    }

    #[test]
    fn an_image_may_be_named_in_every_way_that_docker_knows() {
        let digest = Digest::of(b"");
        let repository = |text: &str| ImageRef::parse(text).map(|image| image.repository().to_string());
        for (text, printed) in [
            ("python:3.13-slim", "docker.io/library/python"),
            ("127.0.0.1:5000/tests", "127.0.0.1:5000/tests"),
            ("localhost:5000/a/tests:1", "localhost:5000/a/tests"),
            (&format!("quay.io/team/tests:1@{digest}"), "quay.io/team/tests"),
        ] {
            assert_eq!(repository(text).as_deref(), Ok(printed), "{text}");
        }
        for bad in ["", "Tests", "tests:", "tests: 1", "tests@sha256:12", "-it tests", "a b", ":1"] {
            assert!(ImageRef::parse(bad).is_err(), "{bad}");
        }
    }
}
