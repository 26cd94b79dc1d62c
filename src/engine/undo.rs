//! Undo as data: what puts the world back, written down before the thing it undoes is asked for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One way to put a piece of the world back. Doing it twice changes nothing the second time: "not there" is undone.
///
/// The same value is executed, and printed as a command for a human.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
pub enum Undo {
    /// Removes a container that the run started, with its anonymous volumes.
    RemoveContainer { name: String },
    /// Removes a network that the run made.
    RemoveNetwork { name: String },
    /// Takes a name off an image on the daemon; the image goes when it was the last one.
    RemoveImage { reference: String },
    /// Terminates an environment, found by its name, unless it holds the live CNAME.
    EndEnvironment { application: String, environment: String, region: String, live_cname: Option<String> },
    /// Makes `back` live again, if `cname` is held by `from`. Ids, not names.
    SwapBack { cname: String, from: String, back: String, region: String },
    /// Deletes a configuration template that was only needed to make a candidate.
    RemoveTemplate { application: String, template: String, region: String },
    /// Deletes an application that the run made, when nothing is in it but what the run made.
    RemoveApplication { application: String, region: String },
}

impl Undo {
    /// The command that a person would type to do the same.
    pub fn command(&self) -> String {
        match self.region() {
            // The local cloud's APIs answer while somebody serves them.
            Some("local") => format!("{}  # while `beanline local` runs, with what it prints", self.bare_command()),
            _ => self.bare_command(),
        }
    }

    fn region(&self) -> Option<&str> {
        match self {
            Undo::EndEnvironment { region, .. }
            | Undo::SwapBack { region, .. }
            | Undo::RemoveTemplate { region, .. }
            | Undo::RemoveApplication { region, .. } => Some(region),
            Undo::RemoveContainer { .. } | Undo::RemoveNetwork { .. } | Undo::RemoveImage { .. } => None,
        }
    }

    fn bare_command(&self) -> String {
        match self {
            Undo::RemoveContainer { name } => format!("docker rm --force --volumes {name}"),
            Undo::RemoveNetwork { name } => format!("docker network rm {name}"),
            Undo::RemoveImage { reference } => format!("docker rmi {reference}"),
            Undo::EndEnvironment { environment, region, .. } => {
                format!("aws elasticbeanstalk terminate-environment --region {region} --environment-name {environment}")
            }
            Undo::SwapBack { from, back, region, .. } => format!(
                "aws elasticbeanstalk swap-environment-cnames --region {region} --source-environment-id {from} \
                 --destination-environment-id {back}"
            ),
            Undo::RemoveTemplate { application, template, region } => format!(
                "aws elasticbeanstalk delete-configuration-template --region {region} --application-name {application} \
                 --template-name {template}"
            ),
            Undo::RemoveApplication { application, region } => {
                format!("aws elasticbeanstalk delete-application --region {region} --application-name {application}")
            }
        }
    }

    /// Whether it concerns only this machine's docker daemon, not the cloud.
    pub fn is_on_the_daemon(&self) -> bool {
        matches!(self, Undo::RemoveContainer { .. } | Undo::RemoveNetwork { .. } | Undo::RemoveImage { .. })
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undo::RemoveContainer { name } => write!(f, "remove container {name}"),
            Undo::RemoveNetwork { name } => write!(f, "remove network {name}"),
            Undo::RemoveImage { reference } => write!(f, "remove image {reference}"),
            Undo::EndEnvironment { environment, .. } => write!(f, "terminate environment {environment}"),
            Undo::SwapBack { cname, back, .. } => write!(f, "give {cname} back to {back}"),
            Undo::RemoveTemplate { template, .. } => write!(f, "delete configuration template {template}"),
            Undo::RemoveApplication { application, .. } => write!(f, "delete application {application}"),
        }
    }
}

/// Undos in the order they were registered; executed newest first.
#[derive(Clone, Debug, Default)]
pub struct UndoStack(Arc<Mutex<Vec<Undo>>>);

impl UndoStack {
    /// Writes one down. Registered twice, it is executed once, at its first place.
    pub fn push(&self, undo: Undo) {
        let mut stack = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !stack.contains(&undo) {
            stack.push(undo);
        }
    }

    /// Takes one off: what it would have undone is handed over, or gone already.
    pub fn settle(&self, undo: &Undo) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != undo);
    }

    /// A copy, newest first.
    pub fn pending(&self) -> Vec<Undo> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Empties the stack, newest first.
    pub fn take(&self) -> Vec<Undo> {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        taken.reverse();
        taken
    }
}
