//! [`Operation`]: what was asked of an environment, as a value. One verdict judges all of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::events::Anchor;
use super::platform::{Environment, PlatformEvent};

/// What was asked, and what the environment must show in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new environment that runs this version.
    Create { label: String },
    /// An environment that is there gets this version.
    Update { label: String },
    /// The environment gets other settings and keeps the version that it runs, which is this one.
    Configure { label: String },
    /// The environment gets this CNAME.
    Swap { cname: String },
    /// The environment goes away.
    Terminate,
}

/// An operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What was asked.
    pub kind: Kind,
    /// Whose events are read.
    pub environment_id: String,
    /// The same environment's name, for people.
    pub environment: String,
    /// The request id of the call's answer; absent when the answer was lost or another run sent it.
    pub request_id: Option<String>,
    /// The newest event before it; absent for an environment that was not there before.
    pub anchor: Option<Anchor>,
}

impl Operation {
    /// The request id by which its events are known: the call's, or that of the first event that begins such an
    /// operation.
    pub fn request<'a>(&'a self, events: &'a [PlatformEvent]) -> Option<&'a str> {
        self.request_id.as_deref().or_else(|| {
            let first = events.iter().find(|event| event.message.starts_with(self.kind.beginning()))?;
            first.request_id.as_deref()
        })
    }

    /// The events that belong to it, oldest first.
    pub fn own<'a>(&'a self, events: &'a [PlatformEvent]) -> Vec<&'a PlatformEvent> {
        let Some(request) = self.request(events) else { return Vec::new() };
        events.iter().filter(|event| event.request_id.as_deref() == Some(request)).collect()
    }
}

impl Kind {
    /// The version that every instance must run in the end; `None` where versions are not touched.
    pub fn label(&self) -> Option<&str> {
        match self {
            Kind::Create { label } | Kind::Update { label } | Kind::Configure { label } => Some(label),
            Kind::Swap { .. } | Kind::Terminate => None,
        }
    }

    /// Whether a Ready environment shows what was asked for.
    pub fn is_reached(&self, environment: &Environment) -> bool {
        match self {
            Kind::Create { label } | Kind::Update { label } | Kind::Configure { label } => {
                environment.version_label == *label
            }
            Kind::Swap { cname } => environment.cname == *cname,
            Kind::Terminate => false,
        }
    }

    /// The event with which such an operation begins. AWS lists no event texts: these, and those of success, are what
    /// published logs of environments and the EB CLI's `ebcli/resources/strings.py` have.
    pub fn beginning(&self) -> &'static str {
        match self {
            Kind::Create { .. } => "createEnvironment is starting.",
            Kind::Update { .. } | Kind::Configure { .. } => "Environment update is starting.",
            Kind::Swap { .. } => "swapEnvironmentCNAMEs is starting.",
            Kind::Terminate => "terminateEnvironment is starting.",
        }
    }

    /// The text with which the platform says that it succeeded.
    pub fn success(&self) -> &'static str {
        match self {
            Kind::Create { .. } => "Successfully launched environment: ",
            Kind::Update { .. } | Kind::Configure { .. } => "Environment update completed successfully.",
            Kind::Swap { .. } => "Completed swapping CNAMEs for environments ",
            Kind::Terminate => "terminateEnvironment completed successfully.",
        }
    }
}

impl fmt::Display for Operation {
    /// What is being done, as a fragment: `launch shop-1 with version 1.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.environment;
        match &self.kind {
            Kind::Create { label } => write!(f, "launch environment {name} with version {label}"),
            Kind::Update { label } => write!(f, "update environment {name} to version {label}"),
            Kind::Configure { .. } => write!(f, "change the settings of environment {name}"),
            Kind::Swap { cname } => write!(f, "give {cname} to environment {name}"),
            Kind::Terminate => write!(f, "terminate environment {name}"),
        }
    }
}
