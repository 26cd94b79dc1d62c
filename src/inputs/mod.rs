//! [`Plan`]: everything this run will do, fully typed. After it is made nobody reads the environment again.

mod acceptance;
mod build;
mod build_session;
pub mod ci;
pub mod definition;
pub mod docker_config;
pub mod files;
mod git;
pub mod help;
pub mod http_check;
pub mod problem;
pub mod raw;
mod registry;
pub mod resolve;
pub mod secret;
mod services;
mod site;
mod unit_test;
mod values;

use std::path::PathBuf;
use std::time::Duration;

pub use acceptance::{AcceptancePlan, TestsIn};
pub use build::{BuildPlan, Origin, Recipe};
pub use build_session::SessionPlan;
pub use ci::CiFacts;
pub use http_check::HttpCheck;
pub use problem::Problem;
pub use raw::RawInputs;
pub use registry::{JobLogin, ProxyPlan, RegistryPlan};
pub use secret::Secret;
pub use services::{Condition, HealthCheck, PullPolicy, ServicePlan};
pub use site::{
    BeanstalkPlan, FETCHED, Health, KeepPrevious, MOST_PROPERTY_BYTES, OnBusy, OptionSetting, PROPERTIES, Promotion,
    SitePlan, Strategy,
};
pub use unit_test::{Elsewhere, OtherImage, UnitTestPlan};

use crate::image::{Repository, Tag};

/// Which part of the story a run tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// All of it.
    Pipeline,
    /// Up to the tests.
    Test,
    /// Up to push.
    Push,
    /// An existing tag is deployed: no build, no daemon.
    Deploy,
    /// The check stage alone.
    Check,
    /// A candidate that passed in an earlier run becomes live.
    Promote,
    /// What was live before is live again.
    Rollback,
    /// What earlier runs left or kept is removed, as far as its time is over.
    Cleanup,
    /// Settings of the environment, and nothing else.
    Configure,
}

impl RunKind {
    /// The word in `run`.
    pub fn word(self) -> &'static str {
        match self {
            RunKind::Pipeline => "pipeline",
            RunKind::Test => "test",
            RunKind::Push => "push",
            RunKind::Deploy => "deploy",
            RunKind::Check => "check",
            RunKind::Promote => "promote",
            RunKind::Rollback => "rollback",
            RunKind::Cleanup => "cleanup",
            RunKind::Configure => "configure",
        }
    }

    /// Whether an image is made.
    pub fn makes_image(self) -> bool {
        matches!(self, RunKind::Pipeline | RunKind::Test | RunKind::Push | RunKind::Check)
    }

    /// Whether the run is about what stands already: no image is made or looked for.
    pub fn is_about_what_stands(self) -> bool {
        matches!(self, RunKind::Promote | RunKind::Rollback | RunKind::Cleanup | RunKind::Configure)
    }
}

/// Where the APIs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudKind {
    /// Amazon's.
    Aws,
    /// The embedded one.
    Local,
}

/// Everything this run will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which part of the story.
    pub run: RunKind,
    /// Where the APIs are.
    pub cloud: CloudKind,
    /// The application's name in check runs: `shop / build`.
    pub name: String,
    /// This attempt. Names of containers, networks and templates end in it.
    pub run_id: String,
    /// What the run is about: a hash of application, live CNAME, revision and settings.
    pub run_key: String,
    /// The run's own time limit.
    pub timeout: Duration,
    /// Whether every change is only named, in order.
    pub dry_run: bool,
    /// What the CI told us unasked.
    pub ci: CiFacts,
    /// The commit that is built; it names the tag.
    pub revision: String,
    /// The image's name.
    pub image: ImagePlan,
    /// How it is built.
    pub build: BuildPlan,
    /// Unit tests, if there are any.
    pub unit_test: Option<UnitTestPlan>,
    /// Containers that the tests need beside the image.
    pub services: Vec<ServicePlan>,
    /// Acceptance tests.
    pub acceptance: AcceptancePlan,
    /// How the application is started and probed.
    pub app: AppPlan,
    /// How to log in to the registry.
    pub registry: RegistryPlan,
    /// Where the image is deployed to. Today the list has at most one.
    pub sites: Vec<SitePlan>,
    /// How AWS is reached.
    pub aws: AwsPlan,
    /// How the run is reported.
    pub report: ReportPlan,
    /// Sentences for the check stage: what was decided for the user and may surprise.
    pub notes: Vec<String>,
}

/// The image's name.
#[derive(Clone, Debug)]
pub struct ImagePlan {
    /// Where it lives.
    pub repository: Repository,
    /// Its tag.
    pub tag: Tag,
    /// Further tags for the same digest, given after the push; none of them twice, none the tag itself.
    pub extra_tags: Vec<Tag>,
}

/// A command as in a Dockerfile's CMD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A JSON array: run as it is, no shell.
    Exec(Vec<String>),
    /// Anything else: `sh -c` with the entrypoint cleared.
    Shell(String),
}

/// Where acceptance tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Against the image as a container.
    Container,
    /// Against the candidate environment.
    Candidate,
    /// Against live.
    Live,
}

impl Place {
    /// All places, in the order in which they come.
    pub const ALL: [Place; 3] = [Place::Container, Place::Candidate, Place::Live];

    /// The value of `BEANLINE_PLACE`, and the word in `acceptance_on`.
    pub fn word(self) -> &'static str {
        match self {
            Place::Container => "container",
            Place::Candidate => "candidate",
            Place::Live => "live",
        }
    }
}

/// How the application is started and probed.
#[derive(Clone, Debug)]
pub struct AppPlan {
    /// The port it listens on; the image's one `EXPOSE`d port, if absent.
    pub port: Option<u16>,
    /// Its environment in container acceptance.
    pub env: Vec<(String, Secret)>,
    /// Path that answers with a status under 400 when it is ready.
    pub ready_path: String,
    /// How long it may take to become ready.
    pub ready_timeout: Duration,
}

/// How AWS is reached.
#[derive(Clone, Debug)]
pub struct AwsPlan {
    /// Region; from the ambient configuration, if absent.
    pub region: Option<String>,
    /// The role that the run takes on, if it is not to act as who it is.
    pub role: Option<RolePlan>,
}

/// A role that the run takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePlan {
    /// Its ARN.
    pub arn: String,
    /// The name of its sessions, which AWS's own log of calls shows.
    pub session: String,
    /// Where the CI gives tokens that stand for the job; without it, the ambient credentials assume the role.
    pub token: Option<TokenSource>,
}

/// Where GitHub gives a job tokens for others (`ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The address.
    pub url: String,
    /// What is shown there.
    pub bearer: Secret,
}

/// What kind of report GitHub gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// Check runs where that is possible, else commit statuses, else the log.
    Auto,
    /// Check runs.
    Checks,
    /// Commit statuses.
    Statuses,
    /// The log alone.
    Log,
    /// Nothing but the log, and no step summary.
    None,
}

/// How the run is reported.
#[derive(Clone, Debug)]
pub struct ReportPlan {
    /// What kind.
    pub kind: ReportKind,
    /// Where check runs go; absent without a token, a repository or a commit.
    pub github: Option<GithubPlan>,
    /// The GitHub environment that gets a deployment record.
    pub deployment: Option<String>,
    /// `GITHUB_STEP_SUMMARY`.
    pub summary_file: Option<PathBuf>,
    /// `GITHUB_OUTPUT`.
    pub output_file: Option<PathBuf>,
    /// The directory that gets the report as files.
    pub report_dir: Option<PathBuf>,
    /// Texts that must never be shown.
    pub masks: Vec<Secret>,
}

/// Where check runs go.
#[derive(Clone, Debug)]
pub struct GithubPlan {
    /// `https://api.github.com`, or `GITHUB_API_URL`.
    pub api_url: String,
    /// The token.
    pub token: Secret,
    /// `owner/name`.
    pub repository: String,
    /// The commit that is reported on.
    pub sha: String,
}
