//! Where an image is deployed to, as far as the inputs say it.

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// One place the image is deployed to: a closed set of kinds.
#[derive(Clone, Debug)]
pub enum SitePlan {
    /// AWS Elastic Beanstalk.
    Beanstalk(BeanstalkPlan),
}

/// How previous environments are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepPrevious {
    /// The next deployment ends it.
    UntilNextDeploy,
    /// Ended at once, by this run.
    No,
    /// Kept so long after the swap; the first run after that ends it.
    For(Duration),
}

/// How an image gets to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// A fresh candidate takes the live CNAME over.
    BlueGreen,
    /// Of two standing environments the idle one is updated and takes the live CNAME over.
    Pair,
    /// The environment itself is updated.
    InPlace,
    /// The application version is made, and no environment told.
    VersionOnly,
}

impl Strategy {
    /// The word in `strategy`.
    pub fn word(self) -> &'static str {
        match self {
            Strategy::BlueGreen => "blue-green",
            Strategy::Pair => "pair",
            Strategy::InPlace => "in-place",
            Strategy::VersionOnly => "version-only",
        }
    }

    /// Whether live changes hands by a swap of CNAMEs.
    pub fn swaps(self) -> bool {
        matches!(self, Strategy::BlueGreen | Strategy::Pair)
    }
}

/// When a candidate that passed becomes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// In the same run.
    Auto,
    /// When somebody runs `run=promote`.
    Manual,
}

/// The namespace of environment properties: what the application's containers get as variables.
pub const PROPERTIES: &str = "aws:elasticbeanstalk:application:environment";

/// The namespace of environment properties whose values the instances fetch by themselves.
pub const FETCHED: &str = "aws:elasticbeanstalk:application:environmentsecrets";

/// How long all environment properties may be together, as `KEY=VALUE`, in bytes (Developer Guide, "Environment
/// properties and other software settings").
pub const MOST_PROPERTY_BYTES: usize = 4096;

/// One option setting (API reference, `ConfigurationOptionSetting`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSetting {
    /// Its namespace, such as `aws:autoscaling:asg`.
    pub namespace: String,
    /// Its name.
    pub option: String,
    /// The resource of a time-based scaling action, and nothing else.
    pub resource: Option<String>,
    /// Its value; a secret when it came out of the environment.
    pub value: Secret,
}

/// What a run does when another run or operation is under way at its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// It waits for its turn.
    Wait,
    /// It fails at once.
    Fail,
    /// It aborts the update that is under way, where that can be; another run is waited for.
    Abort,
}

/// An environment's colour (Elastic Beanstalk Developer Guide, "Health colors and statuses").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// No data, or an operation is under way.
    Grey,
    /// Failing.
    Red,
    /// Some requests or checks fail.
    Yellow,
    /// Well.
    Green,
}

/// A site on Elastic Beanstalk.
#[derive(Clone, Debug)]
pub struct BeanstalkPlan {
    /// The application.
    pub application: String,
    /// The live CNAME or its prefix; the environment's name, in place.
    pub live: String,
    /// How the image gets there.
    pub strategy: Strategy,
    /// The application version's label.
    pub version_label: String,
    /// Container port that the platform's proxy talks to; the image's one `EXPOSE`d port, if absent.
    pub port: Option<u16>,
    /// Whether application and first environment are made when missing.
    pub create: bool,
    /// Platform of a first environment; the newest Docker on Amazon Linux 2023, if absent.
    pub solution_stack: Option<String>,
    /// Instance profile of a first environment.
    pub instance_profile: Option<String>,
    /// Service role of a first environment.
    pub service_role: Option<String>,
    /// EC2 key pair of a first environment.
    pub key_pair: Option<String>,
    /// Time limit of a deployment.
    pub deploy_timeout: Duration,
    /// Health that counts as well.
    pub minimum_health: Health,
    /// How long it must stay so.
    pub healthy_for: Duration,
    /// How long it may take to get there after `Ready`.
    pub health_timeout: Duration,
    /// Whether a failed candidate is kept for a look.
    pub keep_failed: bool,
    /// What happens to the previous environment.
    pub keep_previous: KeepPrevious,
    /// When a candidate that passed becomes live.
    pub promote: Promotion,
    /// How many application versions are kept; all of them, if absent.
    pub keep_versions: Option<u32>,
    /// A directory with what the bundle has besides the image's name.
    pub bundle: Option<PathBuf>,
    /// Bucket for bundles; Beanstalk's own, if absent.
    pub bucket: Option<String>,
    /// What happens when something else is under way there.
    pub on_busy: OnBusy,
    /// Path for the load balancer's health check in a first environment.
    pub ready_path: String,
    /// Option settings, in the order in which they were written.
    pub option_settings: Vec<OptionSetting>,
    /// Environment properties. Values of bare names are secrets.
    pub environment_variables: Vec<(String, Secret)>,
    /// Environment properties that the instances fetch: name, and ARN of the secret or parameter.
    pub environment_secrets: Vec<(String, String)>,
}

impl BeanstalkPlan {
    /// Environment properties with their values, wherever they were written.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let options = self.option_settings.iter().filter(|setting| setting.namespace == PROPERTIES);
        let options = options.map(|setting| (setting.option.as_str(), &setting.value));
        self.environment_variables.iter().map(|(name, value)| (name.as_str(), value)).chain(options)
    }

    /// The value that `option_settings` has for an option.
    pub fn option(&self, namespace: &str, option: &str) -> Option<&str> {
        let found = self.option_settings.iter().find(|set| set.namespace == namespace && set.option == option);
        found.map(|setting| setting.value.reveal())
    }
}
