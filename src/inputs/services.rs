//! The containers that tests need beside the image, as far as `services` says it.

use std::time::Duration;

use super::Secret;

/// One service: a database, a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlan {
    /// Its name, which it has on the network too.
    pub name: String,
    /// The image, by any name that docker understands.
    pub image: String,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// Replaces the image's entrypoint; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment. Values of bare names, and of variables that are filled in, are secrets.
    pub env: Vec<(String, Secret)>,
    /// TCP ports that it listens on when it is ready: of `expose` and `ports`.
    pub ports: Vec<u16>,
    /// Replaces the image's health check, or parts of it.
    pub health_check: Option<HealthCheck>,
    /// Which services it needs, and how far they must have come.
    pub depends_on: Vec<(String, Condition)>,
    /// Whether another service waits for its end: then it is meant to end, with 0.
    pub is_to_end: bool,
    /// Directories in memory, each with its mount options.
    pub tmpfs: Vec<(String, String)>,
    /// Further names it has on the network.
    pub aliases: Vec<String>,
    /// What it takes for its host's name.
    pub hostname: Option<String>,
    /// User of its process.
    pub user: Option<String>,
    /// Working directory of its process.
    pub working_dir: Option<String>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<i64>,
    /// Memory limit in bytes.
    pub memory: Option<i64>,
    /// Whether an init process runs above its own; the daemon decides, if absent.
    pub init: Option<bool>,
    /// Further labels of its container.
    pub labels: Vec<(String, String)>,
}

/// When a service's image is pulled (Compose specification, `pull_policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// When the daemon does not have it.
    #[default]
    Missing,
    /// In each run.
    Always,
    /// Never: the daemon must have it.
    Never,
}

/// How far a service must have come before another starts (Compose specification, `depends_on`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Its container runs.
    Started,
    /// It is ready.
    Healthy,
    /// It has ended with 0.
    Completed,
}

/// A health check; what is absent is the image's, else docker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// `["CMD", …]`, `["CMD-SHELL", "…"]`, or `["NONE"]` for none at all; empty for the image's.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: Option<Duration>,
    /// How long one may take.
    pub timeout: Option<Duration>,
    /// How many in a row must fail.
    pub retries: Option<i64>,
    /// How long failures do not count at the beginning.
    pub start_period: Option<Duration>,
}

impl HealthCheck {
    /// How long docker takes at most until it has a verdict, with docker's own defaults (Dockerfile reference,
    /// `HEALTHCHECK`).
    pub fn longest(&self) -> Duration {
        const DEFAULT: Duration = Duration::from_secs(30);
        let once = self.interval.unwrap_or(DEFAULT) + self.timeout.unwrap_or(DEFAULT);
        let times = u32::try_from(self.retries.unwrap_or(3)).unwrap_or(u32::MAX);
        self.start_period.unwrap_or_default().saturating_add(once.saturating_mul(times))
    }
}
