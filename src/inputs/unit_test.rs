//! Unit tests, and the image that they run in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{AcceptancePlan, Command, Place, Recipe, Secret};

/// Unit tests inside an image.
#[derive(Clone, Debug)]
pub struct UnitTestPlan {
    /// What runs them.
    pub command: Command,
    /// The image that they run in, when it is not the one that is shipped.
    pub elsewhere: Option<Elsewhere>,
    /// Paths copied from the repository into the container's working directory.
    pub files: Vec<PathBuf>,
    /// Their environment. Values of bare names are secrets.
    pub env: Vec<(String, Secret)>,
    /// Where in the container they leave JUnit XML: files, directories and patterns, relative to the working directory.
    pub reports: Vec<String>,
    /// Memory limit in bytes.
    pub memory: Option<i64>,
    /// Time limit.
    pub timeout: Duration,
}

/// Another image than the shipped one, for the unit tests. Tests in it prove nothing about the shipped bytes, so there is
/// none without an acceptance test that runs against those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere(OtherImage);

impl Elsewhere {
    /// Lets unit tests run elsewhere; `None` when no acceptance test runs against a container of the image.
    pub fn backed_by(acceptance: &AcceptancePlan, other: OtherImage) -> Option<Self> {
        acceptance.has_tests_on(Place::Container).then_some(Self(other))
    }

    /// The image.
    pub fn image(&self) -> &OtherImage {
        &self.0
    }
}

/// Another image of the same context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherImage {
    /// Another stage of the Dockerfile.
    Target(String),
    /// Another Dockerfile, up to its last stage; its path inside the context.
    Dockerfile(String),
}

impl OtherImage {
    /// What it is made of, where the shipped image is made of `shipped`. What that one has just built is taken from the
    /// cache, so that both share their layers.
    pub fn recipe(&self, shipped: &Recipe) -> Recipe {
        let recipe = Recipe { pull: false, no_cache: false, ..shipped.clone() };
        match self {
            OtherImage::Target(target) => Recipe { target: Some(target.clone()), ..recipe },
            OtherImage::Dockerfile(path) => Recipe { dockerfile: path.clone(), target: None, ..recipe },
        }
    }
}

impl fmt::Display for OtherImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OtherImage::Target(target) => write!(f, "the stage `{target}`"),
            OtherImage::Dockerfile(path) => write!(f, "`{path}`"),
        }
    }
}
