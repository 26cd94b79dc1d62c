//! Work on containers, as data: what an operation needs done, and what came of it.

use serde::{Deserialize, Serialize};

use super::model::Container;

/// What an operation needs done before it can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Run a version on instances.
    Deploy(DeployWork),
    /// Remove containers of an environment, and images that nobody else uses.
    Remove(RemoveWork),
    /// Fetch the last lines of each instance.
    Tail(TailWork),
}

/// Run a version on instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployWork {
    /// The environment's id.
    pub environment: String,
    /// The request id that the deployment's log is named after.
    pub request_id: String,
    /// The environment's number for this deployment.
    pub number: u64,
    /// The bundle's bucket.
    pub bucket: String,
    /// The bundle's key.
    pub key: String,
    /// The instances and the containers that they run now.
    pub instances: Vec<(String, Option<Container>)>,
    /// The application's environment variables.
    pub variables: Vec<(String, String)>,
    /// The registry refuses us.
    pub pull_refused: bool,
    /// Secrets are asked for, which the local cloud cannot give.
    pub wants_secrets: bool,
}

/// Remove containers of an environment, and images that nobody else uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveWork {
    /// The environment's id.
    pub environment: String,
    /// Only the containers of these instances; all when empty.
    pub instances: Vec<String>,
    /// The images, by name, that they ran.
    pub images: Vec<String>,
}

/// Fetch the last lines of each instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailWork {
    /// The environment's id.
    pub environment: String,
    /// Instances by id, and where their lines are.
    pub instances: Vec<(String, Lines)>,
}

/// Where an instance's last lines are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lines {
    /// In the container of this id.
    Container(String),
    /// Here: nothing was ever started on the instance, and what its engine wrote is all there is.
    Engine(Vec<String>),
}

/// What came of a piece of work.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of a [`DeployWork`].
    Placed(Vec<Placed>),
    /// Of a [`RemoveWork`].
    Removed,
    /// Of a [`TailWork`]: instances and where their lines can be read.
    Tailed(Vec<(String, String)>),
}

/// What came of a deployment on one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The instance's id.
    pub instance: String,
    /// The container that runs there now, if one does.
    pub container: Option<Container>,
    /// Why the version does not run there.
    pub failed: Option<Cause>,
}

/// Why a version does not run on an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The registry refused the login.
    RegistryRefused,
    /// The image could not be pulled.
    NotPulled,
    /// There is something to build, which never works here.
    NotBuilt,
    /// The container ended.
    Ended,
    /// The bundle cannot be read.
    BadBundle,
    /// The bundle has neither of the two files.
    NothingInBundle,
    /// Secrets could not be had.
    NoSecrets,
    /// It was told to fail.
    Unnamed,
}

impl Cause {
    /// The event's text, as published logs of Docker on Amazon Linux 2 and 2023 show it; `None` when only the general
    /// texts tell of it.
    pub fn message(self) -> Option<&'static str> {
        Some(match self {
            Self::RegistryRefused => {
                "Instance deployment: The ECR service failed to authenticate your private repository. \
                 The deployment failed."
            }
            Self::NotPulled => "Instance deployment failed to download the Docker image. The deployment failed.",
            Self::NotBuilt => "Instance deployment failed to build the Docker image. The deployment failed.",
            Self::Ended => "Instance deployment: The Docker container unexpectedly ended after it was started.",
            Self::BadBundle => "Instance deployment: Your source bundle has issues that caused the deployment to fail.",
            Self::NothingInBundle => {
                "Instance deployment: Both 'Dockerfile' and 'Dockerrun.aws.json' are missing in your source bundle. \
                 Include at least one of them. The deployment failed."
            }
            Self::NoSecrets => "Instance deployment failed to get one or more secrets",
            Self::Unnamed => return None,
        })
    }
}
