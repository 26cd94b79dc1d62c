//! Undo as data: what puts the world back, written down before the thing it undoes is asked for.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
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
    /// Gives an environment that was updated in place the version back that it ran before, unless somebody has given it
    /// yet another one than `instead_of`, the run's own.
    Redeploy {
        application: String,
        environment: String,
        environment_id: String,
        label: String,
        instead_of: String,
        region: String,
    },
    /// Deletes a configuration template that was only needed to make a candidate.
    RemoveTemplate { application: String, template: String, region: String },
    /// Puts an environment's settings back to those of a template that was made before they were changed, and takes off
    /// options (namespace and name) that it did not have then.
    RestoreSettings {
        application: String,
        environment: String,
        environment_id: String,
        template: String,
        remove: Vec<(String, String)>,
        region: String,
    },
    /// Gives an environment that holds the live CNAME the minimum size of its settings back, if it still has the one that
    /// it was made with to be as large as its predecessor.
    GiveSizeBack { environment: String, live_cname: String, raised: u32, min: u32, region: String },
    /// Deletes an application that the run made, when nothing is in it but what the run made.
    RemoveApplication { application: String, region: String },
    /// Takes a tag of ours from an image in ECR, unless a version names it.
    RemoveTag { repository: String, registry_id: Option<String>, tag: String, region: String },
}

impl Undo {
    /// The command that a person would type to do the same.
    pub fn command(&self) -> String {
        self.while_local(self.bare_command())
    }

    fn while_local(&self, command: String) -> String {
        match self.region() {
            // The local cloud's APIs answer while somebody serves them.
            Some("local") => format!("{command}  # while `beanline local` runs, with what it prints"),
            _ => command,
        }
    }

    fn region(&self) -> Option<&str> {
        match self {
            Undo::EndEnvironment { region, .. }
            | Undo::SwapBack { region, .. }
            | Undo::Redeploy { region, .. }
            | Undo::RemoveTemplate { region, .. }
            | Undo::RestoreSettings { region, .. }
            | Undo::GiveSizeBack { region, .. }
            | Undo::RemoveApplication { region, .. }
            | Undo::RemoveTag { region, .. } => Some(region),
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
            Undo::Redeploy { environment_id, label, region, .. } => format!(
                "aws elasticbeanstalk update-environment --region {region} --environment-id {environment_id} \
                 --version-label {label}"
            ),
            Undo::RemoveTemplate { application, template, region } => format!(
                "aws elasticbeanstalk delete-configuration-template --region {region} --application-name {application} \
                 --template-name {template}"
            ),
            Undo::RestoreSettings { environment_id, template, remove, region, .. } => {
                let one =
                    |(namespace, option): &(String, String)| format!(" Namespace={namespace},OptionName={option}");
                let remove: String = remove.iter().map(one).collect();
                let remove = if remove.is_empty() { remove } else { format!(" --options-to-remove{remove}") };
                format!(
                    "aws elasticbeanstalk update-environment --region {region} --environment-id {environment_id} \
                     --template-name {template}{remove}"
                )
            }
            Undo::GiveSizeBack { environment, min, region, .. } => format!(
                "aws elasticbeanstalk update-environment --region {region} --environment-name {environment} \
                 --option-settings Namespace=aws:autoscaling:asg,OptionName=MinSize,Value={min}"
            ),
            Undo::RemoveApplication { application, region } => {
                format!("aws elasticbeanstalk delete-application --region {region} --application-name {application}")
            }
            Undo::RemoveTag { repository, registry_id, tag, region } => {
                let registry = registry_id.as_ref().map(|id| format!(" --registry-id {id}")).unwrap_or_default();
                format!(
                    "aws ecr batch-delete-image --region {region}{registry} --repository-name {repository} --image-ids \
                     imageTag={tag}"
                )
            }
        }
    }

    /// The command that shows whether it is done, for what goes on by itself once it was asked for.
    pub fn look(&self) -> String {
        match self {
            Undo::EndEnvironment { environment, region, .. }
            | Undo::RestoreSettings { environment, region, .. }
            | Undo::GiveSizeBack { environment, region, .. } => self.while_local(format!(
                "aws elasticbeanstalk describe-environments --region {region} --environment-names {environment}"
            )),
            Undo::Redeploy { environment_id, region, .. } => self.while_local(format!(
                "aws elasticbeanstalk describe-environments --region {region} --environment-ids {environment_id}"
            )),
            // The others are over when they are answered; to do one twice changes nothing.
            _ => self.command(),
        }
    }

    /// What a person has to know before typing the command.
    pub fn caution(&self) -> Option<String> {
        match self {
            Undo::SwapBack { cname, from, .. } => {
                Some(format!("but only while environment {from} holds {cname}: a second swap would undo the first"))
            }
            Undo::Redeploy { environment, instead_of, label, .. } => Some(format!(
                "but only when {environment} is Ready, and runs {instead_of} or not {label} alone; an update that is \
                 under way ends first, or is aborted with abort-environment-update"
            )),
            Undo::EndEnvironment { live_cname: Some(live), .. } => {
                Some(format!("but only while it does not hold {live}: that would be live"))
            }
            Undo::RemoveTag { .. } => Some("but only while no application version names the tag".to_owned()),
            _ => None,
        }
    }

    /// Its place in the order of undoing. One of a higher rank waits for those of a lower rank on the same side, the
    /// daemon or the cloud; those of one rank need nothing of each other and are asked for at the same time.
    pub fn rank(&self) -> u8 {
        match self {
            // It updates an environment: what else changes that one comes when it is at rest.
            Undo::Redeploy { .. } => 0,
            // The candidate may not be ended while it holds the live CNAME.
            Undo::SwapBack { .. } => 1,
            // Whoever is to be live again is not to wait for an environment whose settings change.
            Undo::RestoreSettings { .. } => 2,
            Undo::EndEnvironment { .. } | Undo::RemoveTemplate { .. } | Undo::GiveSizeBack { .. } => 2,
            // Its environments and templates are in the way.
            Undo::RemoveApplication { .. } => 3,
            // Nothing waits for it.
            Undo::RemoveTag { .. } => 2,
            // A container holds its network and its image.
            Undo::RemoveContainer { .. } => 0,
            Undo::RemoveNetwork { .. } | Undo::RemoveImage { .. } => 1,
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
            Undo::Redeploy { environment, label, .. } => write!(f, "redeploy version {label} to {environment}"),
            Undo::RemoveTemplate { template, .. } => write!(f, "delete configuration template {template}"),
            Undo::RestoreSettings { environment, .. } => write!(f, "put the settings of {environment} back"),
            Undo::GiveSizeBack { environment, min, .. } => write!(f, "give MinSize {min} back to {environment}"),
            Undo::RemoveApplication { application, .. } => write!(f, "delete application {application}"),
            Undo::RemoveTag { repository, tag, .. } => write!(f, "remove tag {tag} in ECR repository {repository}"),
        }
    }
}

/// How an undo ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// What it removes is not there any more.
    Gone,
    /// It was asked for and taken; the rest goes on by itself, and nobody saw its end.
    Asked,
}

/// Goes with an undo to whoever carries it out, who notes on it that the request was taken: when time runs out after
/// that, only the waiting was cut off. Clones are the same receipt.
#[derive(Clone, Debug, Default)]
pub struct Receipt(Rc<Cell<bool>>);

impl Receipt {
    /// Notes that what was asked for goes on by itself from now on.
    pub fn taken(&self) {
        self.0.set(true);
    }

    /// Whether that was noted.
    pub fn is_taken(&self) -> bool {
        self.0.get()
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

    /// Writes all of these down, oldest first.
    pub fn extend(&self, undos: impl IntoIterator<Item = Undo>) {
        undos.into_iter().for_each(|undo| self.push(undo));
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

/// The undos in groups: a group begins when the one before has ended, those in a group do not wait for each other. Their
/// order in a group stays.
pub fn in_turns(undos: Vec<Undo>) -> Vec<Vec<Undo>> {
    let mut turns: Vec<Vec<Undo>> = Vec::new();
    for undo in undos {
        let at = turns.partition_point(|turn| turn[0].rank() < undo.rank());
        match turns.get_mut(at).filter(|turn| turn[0].rank() == undo.rank()) {
            Some(turn) => turn.push(undo),
            None => turns.insert(at, vec![undo]),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_another_thing_is_undone_before_it_and_the_rest_at_once() {
        let text = |text: &str| text.to_owned();
        let end = |name| Undo::EndEnvironment {
            application: text("shop"),
            environment: text(name),
            region: text("eu-central-1"),
            live_cname: None,
        };
        let application = Undo::RemoveApplication { application: text("shop"), region: text("eu-central-1") };
        let [from, back, cname] = ["e-2", "e-1", "shop"].map(text);
        let swap = Undo::SwapBack { cname, from, back, region: text("eu-central-1") };
        let turns = in_turns(vec![application.clone(), end("b"), swap.clone(), end("a")]);
        assert_eq!(turns, [vec![swap.clone()], vec![end("b"), end("a")], vec![application]]);
        let redeploy = Undo::Redeploy {
            application: text("shop"),
            environment: text("a"),
            environment_id: text("e-1"),
            label: text("41"),
            instead_of: text("42"),
            region: text("eu-central-1"),
        };
        let template =
            Undo::RemoveTemplate { application: text("shop"), template: text("t"), region: text("eu-central-1") };
        assert_eq!(in_turns(vec![template.clone(), redeploy.clone()]), [vec![redeploy.clone()], vec![template]]);
        assert_eq!(redeploy.to_string(), "redeploy version 41 to a");
        assert!(redeploy.command().ends_with("--environment-id e-1 --version-label 41"));
        let (container, network) = (Undo::RemoveContainer { name: text("c") }, Undo::RemoveNetwork { name: text("n") });
        let image = Undo::RemoveImage { reference: text("i") };
        let turns = in_turns(vec![network.clone(), image.clone(), container.clone()]);
        assert_eq!(turns, [vec![container], vec![network, image]]);
        assert!(in_turns(Vec::new()).is_empty());
        let settings = Undo::RestoreSettings {
            application: text("shop"),
            environment: text("a"),
            environment_id: text("e-1"),
            template: text("saved"),
            remove: vec![(text("aws:autoscaling:asg"), text("Cooldown"))],
            region: text("eu-central-1"),
        };
        assert_eq!(in_turns(vec![settings.clone(), swap.clone()]), [vec![swap], vec![settings.clone()]]);
        assert_eq!(
            settings.command(),
            "aws elasticbeanstalk update-environment --region eu-central-1 --environment-id e-1 --template-name saved \
             --options-to-remove Namespace=aws:autoscaling:asg,OptionName=Cooldown"
        );
        assert!(end("a").look().ends_with("describe-environments --region eu-central-1 --environment-names a"));
    }
}
