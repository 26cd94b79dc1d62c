//! What a Beanstalk consists of: applications, versions, environments, instances, events, operations.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::processing::Processing;
use super::rollout::Rollout;
use super::work::Placed;
use crate::local::control::{ACCOUNT, REGION};

/// Option values by namespace and option name.
pub type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// An application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Application {
    /// Its description; may be empty.
    pub description: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Its tags.
    pub tags: Tags,
}

/// An application version: a label and the bundle it stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// The application's name.
    pub application: String,
    /// Unique in its application.
    pub label: String,
    /// Its description; may be empty.
    pub description: String,
    /// The bundle's bucket.
    pub bucket: String,
    /// The bundle's key.
    pub key: String,
    /// `UNPROCESSED`, `PROCESSING`, `PROCESSED` or `FAILED`, as on the wire.
    pub status: String,
    /// The look at its files, until it ends.
    #[serde(default)]
    pub processing: Option<Processing>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Its tags.
    pub tags: Tags,
}

/// A saved configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Template {
    /// The application's name.
    pub application: String,
    /// Unique in its application.
    pub name: String,
    /// Its description; may be empty.
    pub description: String,
    /// The name of the environment it was saved from.
    pub environment: Option<String>,
    /// The platform's name.
    pub stack: String,
    /// The saved options.
    pub settings: Settings,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// What an environment is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Being created.
    Launching,
    /// At rest.
    Ready,
    /// Being changed.
    Updating,
    /// A change is being given up.
    Aborting,
    /// Being removed.
    Terminating,
    /// Gone, but still listed for a while.
    Terminated,
}

impl Status {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Launching => "Launching",
            Self::Ready => "Ready",
            Self::Updating => "Updating",
            Self::Aborting => "Aborting",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
        }
    }
}

/// Health as enhanced reporting words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    /// Nothing is known.
    NoData,
    /// Being created.
    Pending,
    /// All is well.
    Ok,
    /// All is well and something is under way.
    Info,
    /// Some instances have trouble, or run another version.
    Degraded,
    /// All instances have trouble.
    Severe,
    /// No longer watched.
    Suspended,
}

impl HealthStatus {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoData => "NoData",
            Self::Pending => "Pending",
            Self::Ok => "Ok",
            Self::Info => "Info",
            Self::Degraded => "Degraded",
            Self::Severe => "Severe",
            Self::Suspended => "Suspended",
        }
    }

    /// The colour it is shown as (developer guide, "Health colors and statuses": Info is green).
    pub fn color(self) -> &'static str {
        match self {
            Self::Ok | Self::Info => "Green",
            Self::Degraded | Self::Severe => "Red",
            Self::NoData | Self::Pending | Self::Suspended => "Grey",
        }
    }
}

/// An environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// `e-` and ten letters or digits.
    pub id: String,
    /// Its name; free again when it is terminated.
    pub name: String,
    /// The application's name.
    pub application: String,
    /// Its description; may be empty.
    pub description: String,
    /// The label it shows: during an update already the new one.
    pub version_label: Option<String>,
    /// The last label whose deployment succeeded.
    pub deployed_label: Option<String>,
    /// The number of the last deployment.
    pub deployment: u64,
    /// The platform's name.
    pub stack: String,
    /// The tier's name: `WebServer` or `Worker`.
    pub tier: String,
    /// What it is doing.
    pub status: Status,
    /// Its colour.
    pub color: String,
    /// Its health in enhanced reporting's words; kept up with basic reporting too, but not shown then.
    pub health: HealthStatus,
    /// Why it is not well.
    pub causes: Vec<String>,
    /// Health stays as it is until then: it recovers later than an operation ends.
    pub health_held_until: DateTime<Utc>,
    /// The last operation on instances: began and ended.
    pub last_operation: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether the operation under way can be aborted.
    pub abortable: bool,
    /// The name its users know. A swap exchanges these and nothing else.
    pub cname: String,
    /// Its load balancer's name, or its address when it has a single instance.
    pub endpoint: String,
    /// The options that were set.
    pub settings: Settings,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub updated: DateTime<Utc>,
    /// Its instances.
    pub instances: Vec<Instance>,
    /// The share of requests, in percent, that goes to the instances with its label while traffic is split.
    #[serde(default)]
    pub new_share: Option<u8>,
    /// Logs that were asked for.
    pub samples: Vec<LogSample>,
}

/// An instance: a container, and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// `i-` and seventeen hex digits.
    pub id: String,
    /// When it was launched.
    pub launched: DateTime<Utc>,
    /// Its container, once something was deployed to it.
    pub container: Option<Container>,
    /// The last deployment to it.
    pub deployment: Option<Deployment>,
    /// What it answered last.
    pub reading: Reading,
    /// The load balancer sends it nothing, however well it is.
    #[serde(default)]
    pub out_of_service: bool,
}

/// A container that runs on an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Docker's id.
    pub id: String,
    /// The image, by the name in the bundle.
    pub image: String,
    /// `ip:port` on the world's network; empty when it ended as soon as it was started.
    pub address: String,
}

/// A deployment to an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// The version's label.
    pub label: String,
    /// The environment's number for it.
    pub number: u64,
    /// `In Progress`, `Deployed` or `Failed`, as on the wire.
    pub status: String,
    /// When it reached that status.
    pub time: DateTime<Utc>,
}

/// What an instance answered to its health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// It was not asked yet.
    Unasked,
    /// The status of its answer.
    Answered(u16),
    /// It does not answer.
    Silent,
    /// Its container has ended.
    Ended,
}

impl Reading {
    /// Whether the load balancer would send it requests: a status of 2xx or 3xx.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Answered(200..=399))
    }
}

/// A log that was fetched from an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogSample {
    /// `tail` or `bundle`.
    pub kind: String,
    /// The instance's id.
    pub instance: String,
    /// When it was taken.
    pub time: DateTime<Utc>,
    /// Where it can be read.
    pub url: String,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Something happened.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the order in which events happened.
    pub number: u64,
    /// When it happened.
    pub date: DateTime<Utc>,
    /// When it shows up in answers: never before `date`, later with the fault `late-events`.
    pub visible: DateTime<Utc>,
    /// How grave it is.
    pub severity: Severity,
    /// What happened.
    pub message: String,
    /// The call that caused it; transitions of health have none.
    pub request_id: Option<String>,
    /// The application's name.
    pub application: String,
    /// The environment's id.
    pub environment_id: Option<String>,
    /// The environment's name.
    pub environment: Option<String>,
    /// The version's label.
    pub version_label: Option<String>,
}

/// Something that takes its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub number: u64,
    /// The call that began it.
    pub request_id: String,
    /// The environment's id.
    pub environment: String,
    /// What it does.
    pub kind: Kind,
    /// Its next step.
    pub step: u32,
    /// When that is due.
    pub due: DateTime<Utc>,
    /// When it began.
    pub began: DateTime<Utc>,
    /// Work on containers is under way. Not written down: after a restart the work is done again.
    #[serde(skip)]
    pub at_work: bool,
    /// What the work brought, instance by instance.
    pub placed: Vec<Placed>,
    /// The call that asked to give it up.
    pub abort: Option<String>,
    /// The instance that a deployment was told to fail on.
    #[serde(default)]
    pub fails: Option<String>,
    /// How far a deployment is that reaches the instances bit by bit.
    #[serde(default)]
    pub rollout: Rollout,
}

/// What an operation does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Creates an environment.
    Create,
    /// Deploys a version, changes settings, or both.
    Update {
        /// A version is deployed; else only settings change.
        version: bool,
        /// The settings before, when they change.
        settings_before: Option<Settings>,
    },
    /// Exchanges CNAMEs with another environment.
    Swap {
        /// The other environment's id.
        other: String,
    },
    /// Removes an environment.
    Terminate,
    /// Fetches logs.
    Logs {
        /// `tail` or `bundle`.
        kind: String,
    },
    /// Changes tags.
    Tags,
    /// Updates the platform, as it does by itself.
    Managed {
        /// When it ends.
        until: DateTime<Utc>,
    },
    /// Launches instances or removes some, as autoscaling does.
    Scale {
        /// How many there are to be.
        count: usize,
    },
}

/// The ARN of something in an application: `environment/shop/shop-1`.
pub fn arn(resource: &str) -> String {
    format!("arn:aws:elasticbeanstalk:{REGION}:{ACCOUNT}:{resource}")
}
