//! What a run asked the docker daemon to make.

use bytes::Bytes;
use http::Method;
use http::request::Parts;

use super::call::{engine_path, in_query};
use super::support::docker;

/// A docker object by the name that it was asked for under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// A container.
    Container(String),
    /// A network.
    Network(String),
    /// A volume.
    Volume(String),
    /// A name of an image.
    Image(String),
}

impl Made {
    /// What a request would make.
    pub fn by(parts: &Parts, body: &Bytes) -> Option<Self> {
        if parts.method != Method::POST {
            return None;
        }
        let named = || {
            let json: serde_json::Value = serde_json::from_slice(body).ok()?;
            json["Name"].as_str().map(str::to_owned)
        };
        match engine_path(parts.uri.path()) {
            "/containers/create" => in_query(parts, "name").map(Made::Container),
            "/networks/create" => named().map(Made::Network),
            "/volumes/create" => named().map(Made::Volume),
            "/build" => in_query(parts, "t").map(Made::Image),
            "/images/create" => Some(Made::Image(reference(in_query(parts, "fromImage")?, in_query(parts, "tag")))),
            path if path.starts_with("/images/") && path.ends_with("/tag") => {
                Some(Made::Image(reference(in_query(parts, "repo")?, in_query(parts, "tag"))))
            }
            _ => None,
        }
    }

    /// All that the daemon has, with the CI job on the label of each.
    pub fn all_there() -> Vec<(Self, String)> {
        let list = |kind: &str, name: &str, more: &[&str], made: fn(String) -> Self| {
            let format = format!("{name}\t{{{{.Label \"io.beanline.job\"}}}}");
            let listed = docker(&[&[kind, "ls", "--format", &format], more].concat()).expect("the daemon answers");
            let split = |line: &str| line.split_once('\t').map(|(name, job)| (name.to_owned(), job.to_owned()));
            listed.lines().filter_map(split).map(|(name, job)| (made(name), job)).collect::<Vec<_>>()
        };
        let images = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).expect("the daemon answers");
        let containers = list("container", "{{.Names}}", &["--all"], Self::Container);
        let networks = list("network", "{{.Name}}", &[], Self::Network);
        let volumes = list("volume", "{{.Name}}", &[], Self::Volume);
        let images = images.lines().map(|name| (Self::Image(name.to_owned()), String::new()));
        containers.into_iter().chain(networks).chain(volumes).chain(images).collect()
    }

    /// Removes it.
    pub fn remove(&self) {
        let words = self.words();
        let force: &[&str] = if matches!(self, Made::Network(_)) { &[] } else { &["--force"] };
        // What is gone by now is as it should be.
        let _ = docker(&[&words[..1], &["rm"], force, &words[1..]].concat());
    }

    fn words(&self) -> [&str; 2] {
        match self {
            Made::Container(name) => ["container", name],
            Made::Network(name) => ["network", name],
            Made::Volume(name) => ["volume", name],
            Made::Image(name) => ["image", name],
        }
    }

    /// In words.
    pub fn shown(&self) -> String {
        self.words().join(" ")
    }
}

fn reference(name: String, tag: Option<String>) -> String {
    match tag.filter(|tag| !tag.is_empty()) {
        Some(tag) => format!("{name}:{tag}"),
        None => name,
    }
}
