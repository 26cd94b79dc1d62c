//! What the platform says about itself, in our own words: environments, events and instances.

use std::fmt;

use aws_sdk_elasticbeanstalk::types;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};

use crate::inputs::Health;

/// What an environment is doing (DescribeEnvironments, `Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its first deployment is under way.
    Launching,
    /// An update or a swap is under way.
    Updating,
    /// An update is being abandoned.
    Aborting,
    /// Nothing is under way.
    Ready,
    /// It is going away.
    Terminating,
    /// It is gone, though still listed for up to an hour and a half.
    Terminated,
    /// Any other word; something is under way.
    Other,
}

impl Status {
    fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "launching" => Self::Launching,
            "updating" => Self::Updating,
            "aborting" => Self::Aborting,
            "ready" => Self::Ready,
            "terminating" => Self::Terminating,
            "terminated" => Self::Terminated,
            _ => Self::Other,
        }
    }

    /// Whether it is doing something that will end.
    pub fn is_busy(self) -> bool {
        self != Self::Ready && !self.is_ending()
    }

    /// Whether it is going or gone: such an environment holds no CNAME that counts.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::Terminating | Self::Terminated)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launching => "Launching",
            Self::Updating => "Updating",
            Self::Aborting => "Aborting",
            Self::Ready => "Ready",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            Self::Other => "busy",
        })
    }
}

/// An environment as DescribeEnvironments describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `e-` and ten characters; never used again.
    pub id: String,
    /// Its name, which a later environment may take over.
    pub name: String,
    /// The application it belongs to.
    pub application: String,
    /// The version it is said to run.
    pub version_label: String,
    /// What it is doing.
    pub status: Status,
    /// Its colour.
    pub health: Health,
    /// Word of enhanced health; absent with basic health.
    pub health_status: Option<String>,
    /// Its name in DNS, lower case; empty right after creation in some regions.
    pub cname: String,
    /// The load balancer's name, or an address.
    pub endpoint: String,
    /// `WebServer`, `Worker` or `Cluster`.
    pub tier: String,
    /// What somebody wrote about it; an environment of ours names its run there.
    pub description: String,
    /// Amazon resource name, for its tags.
    pub arn: String,
    /// Whether what is under way there can be aborted (`AbortableOperationInProgress`).
    pub abortable: bool,
}

impl Environment {
    /// Reads the platform's description; what is missing is empty, `Grey` or `busy`.
    pub fn read(wire: &types::EnvironmentDescription) -> Self {
        let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
        Self {
            id: text(wire.environment_id()),
            name: text(wire.environment_name()),
            application: text(wire.application_name()),
            version_label: text(wire.version_label()),
            status: wire.status().map_or(Status::Other, |status| Status::parse(status.as_str())),
            health: wire.health().map_or(Health::Grey, |health| colour(health.as_str())),
            health_status: wire.health_status().map(|status| status.as_str().to_owned()),
            cname: wire.cname().unwrap_or_default().to_ascii_lowercase(),
            endpoint: text(wire.endpoint_url()),
            tier: text(wire.tier().and_then(types::EnvironmentTier::name)),
            description: text(wire.description()),
            arn: text(wire.environment_arn()),
            abortable: wire.abortable_operation_in_progress().unwrap_or_default(),
        }
    }

    /// Whether it reports enhanced health, and with it each instance's deployment.
    pub fn is_enhanced(&self) -> bool {
        self.health_status.is_some()
    }
}

fn colour(word: &str) -> Health {
    match word.to_ascii_lowercase().as_str() {
        "green" => Health::Green,
        "yellow" => Health::Yellow,
        "red" => Health::Red,
        _ => Health::Grey,
    }
}

/// A colour as the platform writes it.
pub fn colour_word(health: Health) -> &'static str {
    match health {
        Health::Grey => "Grey",
        Health::Red => "Red",
        Health::Yellow => "Yellow",
        Health::Green => "Green",
    }
}

/// How bad an event is, in the platform's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// TRACE, DEBUG, INFO, or a word we do not know.
    Info,
    /// WARN.
    Warn,
    /// ERROR.
    Error,
    /// FATAL.
    Fatal,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        })
    }
}

/// Milliseconds since 1970 by the platform's clock. Never compared with ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerTime(pub i64);

impl ServerTime {
    /// From the SDK's time; a missing or absurd one is the beginning of time.
    pub fn of(time: Option<&DateTime>) -> Self {
        Self(time.and_then(|time| time.to_millis().ok()).unwrap_or_default())
    }

    /// For a request.
    pub fn wire(self) -> DateTime {
        DateTime::from_millis(self.0)
    }
}

impl fmt::Display for ServerTime {
    /// ISO 8601 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wire().fmt(Format::DateTime).unwrap_or_default())
    }
}

/// One event of an environment (DescribeEvents).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlatformEvent {
    /// When, by the platform's clock; several events may share a millisecond.
    pub at: ServerTime,
    /// How bad.
    pub severity: Severity,
    /// What happened, in the platform's words.
    pub message: String,
    /// The API call that caused it; absent on changes of health.
    pub request_id: Option<String>,
}

impl PlatformEvent {
    /// Reads one event.
    pub fn read(wire: &types::EventDescription) -> Self {
        let severity = match wire.severity().map_or("", types::EventSeverity::as_str) {
            "FATAL" => Severity::Fatal,
            "ERROR" => Severity::Error,
            "WARN" => Severity::Warn,
            _ => Severity::Info,
        };
        Self {
            at: ServerTime::of(wire.event_date()),
            severity,
            message: wire.message().unwrap_or_default().to_owned(),
            request_id: wire.request_id().filter(|id| !id.is_empty()).map(str::to_owned),
        }
    }
}

/// What an event says about the environment's health: before and now, in colours. The texts are those of published logs:
/// "Environment health has transitioned from Info to Ok. …" with enhanced health, "… from YELLOW to RED" and "… has been
/// set to GREEN" with basic health.
pub fn transition(message: &str) -> Option<(Health, Health)> {
    let told = message.strip_prefix("Environment health has ")?;
    let word = |text: &str| text.split(['.', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    let health = |text: &str| match word(text).as_str() {
        "ok" | "info" => Health::Green,
        "warning" => Health::Yellow,
        "degraded" | "severe" => Health::Red,
        other => colour(other),
    };
    match told.strip_prefix("transitioned from ") {
        Some(change) => change.split_once(" to ").map(|(from, to)| (health(from), health(to))),
        None => {
            let now = told.strip_prefix("transitioned to ").or_else(|| told.strip_prefix("been set to "))?;
            Some((Health::Grey, health(now)))
        }
    }
}

/// One instance of an environment with enhanced health (DescribeInstancesHealth).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// The version of its latest deployment.
    pub version_label: String,
    /// How far that deployment is: `In Progress`, `Deployed` or `Failed`.
    pub deployment: String,
    /// Why it is not well.
    pub causes: Vec<String>,
}

impl Instance {
    /// Reads one instance.
    pub fn read(wire: &types::SingleInstanceHealth) -> Self {
        let deployment = wire.deployment();
        Self {
            id: wire.instance_id().unwrap_or_default().to_owned(),
            version_label: deployment.and_then(types::Deployment::version_label).unwrap_or_default().to_owned(),
            deployment: deployment.and_then(types::Deployment::status).unwrap_or_default().to_owned(),
            causes: wire.causes().to_vec(),
        }
    }

    /// Whether its latest deployment is finished and is of this version.
    pub fn runs(&self, label: &str) -> bool {
        self.deployment.eq_ignore_ascii_case("Deployed") && self.version_label == label
    }

    /// Whether its latest deployment failed.
    pub fn has_failed(&self) -> bool {
        self.deployment.eq_ignore_ascii_case("Failed")
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.version_label.as_str(), self.deployment.as_str()) {
            ("", _) => write!(f, "instance {} reports no deployment", self.id),
            (label, "") => write!(f, "instance {} has version {label}", self.id),
            (label, word) => write!(f, "instance {} has version {label}, {}", self.id, word.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_health_are_read_in_both_kinds_of_reporting() {
        use Health::{Green, Grey, Red, Yellow};
        let cases = [
            (
                "Environment health has transitioned from Info to Ok. Application update completed 75 seconds ago.",
                (Green, Green),
            ),
            (
                "Environment health has transitioned from Ok to Severe. 100.0 % of the requests to it fail.",
                (Green, Red),
            ),
            ("Environment health has transitioned from YELLOW to RED", (Yellow, Red)),
            ("Environment health has transitioned to Pending. There are no instances.", (Grey, Grey)),
            ("Environment health has been set to GREEN", (Grey, Green)),
        ];
        for (text, wanted) in cases {
            assert_eq!(transition(text), Some(wanted), "{text}");
        }
        assert_eq!(transition("Environment update completed successfully."), None);
    }
}
