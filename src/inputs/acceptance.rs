//! What acceptance tests are, and where they run.

use std::path::PathBuf;
use std::time::Duration;

use super::{Command, HttpCheck, OtherImage, Place};
use crate::image::ImageRef;

/// Acceptance tests.
#[derive(Clone, Debug)]
pub struct AcceptancePlan {
    /// What runs them.
    pub command: Option<Command>,
    /// The image that it runs in.
    pub runs_in: TestsIn,
    /// Paths copied from the repository into the test container's working directory.
    pub files: Vec<PathBuf>,
    /// Built-in checks.
    pub http: Vec<HttpCheck>,
    /// Where they run.
    pub on: Vec<Place>,
    /// Whether TLS certificates are verified.
    pub verify_tls: bool,
    /// Time limit in each place.
    pub timeout: Duration,
    /// URL of the candidate; `{cname}` in it is not yet filled; `http://{cname}/` if absent.
    pub candidate_url: Option<String>,
    /// URL of live, likewise.
    pub live_url: Option<String>,
}

/// The image that a test program runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TestsIn {
    /// The application's own.
    #[default]
    App,
    /// Another image of the same context.
    Other(OtherImage),
    /// Any image, by a name that docker understands.
    Image(ImageRef),
}

impl AcceptancePlan {
    /// Whether there is a test to run in `place`. Readiness is probed in a container whether or not there is one.
    pub fn has_tests_on(&self, place: Place) -> bool {
        self.on.contains(&place) && (self.command.is_some() || !self.http.is_empty())
    }

    /// Whether a test program needs the application's image on the daemon, besides the application itself.
    pub fn runs_in_the_app(&self) -> bool {
        self.command.is_some() && self.runs_in == TestsIn::App
    }
}
