//! A version whose configuration files are looked at before it may be deployed (`Process` of CreateApplicationVersion).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::local::control::query::ApiError;
use crate::local::control::state::State;

use super::model::{Severity, Version};

/// Where the look at a version's files is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Processing {
    /// The call that asked for it.
    pub request_id: String,
    /// When its next step is due.
    pub due: DateTime<Utc>,
    /// What is wrong with the files.
    pub flaw: Option<String>,
}

/// Whether a version has come further by now.
pub fn is_due(state: &State, now: DateTime<Utc>) -> bool {
    state.versions.iter().any(|version| version.processing.as_ref().is_some_and(|it| it.due <= now))
}

/// Takes every step that is due: UNPROCESSED, PROCESSING, PROCESSED or FAILED.
pub fn advance(state: &mut State, step: Duration, now: DateTime<Utc>) {
    let mut told = Vec::new();
    for version in &mut state.versions {
        while let Some(processing) = version.processing.as_mut().filter(|it| it.due <= now) {
            if version.status == "UNPROCESSED" {
                "PROCESSING".clone_into(&mut version.status);
                processing.due += step;
                continue;
            }
            let Some(processing) = version.processing.take() else { break };
            let status = if processing.flaw.is_some() { "FAILED" } else { "PROCESSED" };
            status.clone_into(&mut version.status);
            told.push((version.application.clone(), version.label.clone(), processing));
        }
    }
    for (application, label, processing) in told {
        let mut tell = |severity, message: &str| {
            state.tell_application(&application, Some(&label), &processing.request_id, severity, message);
        };
        if let Some(flaw) = &processing.flaw {
            tell(Severity::Error, flaw);
        }
        tell(Severity::Info, &format!("Finished processing application version {label}"));
    }
}

/// Refuses to deploy a version that failed, or that is being looked at. The words are not published.
///
/// # Errors
/// `InvalidParameterValue`.
pub fn deployable(version: &Version) -> Result<(), ApiError> {
    let label = &version.label;
    match (version.status.as_str(), &version.processing) {
        ("FAILED", _) => Err(ApiError::invalid(format!("Application Version {label} failed to be processed."))),
        (_, Some(_)) => Err(ApiError::invalid(format!("Application Version {label} is being processed."))),
        (_, None) => Ok(()),
    }
}
