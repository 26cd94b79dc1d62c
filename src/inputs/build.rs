//! How the image is built.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::{Secret, SessionPlan};

/// How the image is built, and when.
#[derive(Clone, Debug, Default)]
pub struct BuildPlan {
    /// Whether an image that the registry has under the tag, with the same revision, is taken instead.
    pub if_missing: bool,
    /// What it is made of.
    pub recipe: Recipe,
    /// The file that carries the cache between runs.
    pub cache_archive: Option<PathBuf>,
    /// Labels put on the image; they win over those that it gets by default.
    pub labels: Vec<(String, String)>,
    /// What the labels that it gets by default say; absent when it gets none.
    pub origin: Option<Origin>,
}

/// Where an image comes from, besides its revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The page of the repository, without credentials.
    pub source: Option<String>,
    /// When its commit was made: the time of a build would make each build of a commit another image.
    pub created: Option<DateTime<Utc>>,
}

/// What an image is made of: everything that a build takes from the inputs as it stands there. Another image of the same
/// Dockerfile is made of a copy with another target.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// Directory that is sent to the daemon.
    pub context: PathBuf,
    /// The Dockerfile's path inside the context.
    pub dockerfile: String,
    /// The stage to build; the last one, if absent.
    pub target: Option<String>,
    /// Build arguments.
    pub args: Vec<(String, String)>,
    /// Secrets that a `RUN --mount=type=secret` may read, by id.
    pub secrets: Vec<(String, Secret)>,
    /// Platform, such as `linux/amd64`; the daemon's, if absent.
    pub platform: Option<String>,
    /// Whether base images are asked for anew.
    pub pull: bool,
    /// Whether the cache is left aside.
    pub no_cache: bool,
    /// SSH agents and caches.
    pub session: SessionPlan,
}
