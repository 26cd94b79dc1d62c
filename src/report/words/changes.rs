//! What a run would change, or is about to, in words.

use crate::engine::change::Change;

/// One change, as a command is written: lower case, without a full stop.
pub fn change(change: &Change) -> String {
    match change {
        Change::MakeRepository { repository } => format!("create repository {repository}, if it is missing"),
        Change::Push { image, digest } => format!("push {image} ({digest})"),
        Change::Tag { image } => format!("give the image the further name {image}"),
        Change::MakeApplication { application } => format!("create application {application}"),
        Change::MakeVersion { application, label, bundle } => {
            format!("create version {label} of application {application} from bundle {bundle}")
        }
        Change::ReuseVersion { label } => format!("use version {label}, which is there already"),
        Change::MakeTemplate { of } => {
            format!("create a configuration template with the settings of {of}, and delete it when it has served")
        }
        Change::MakeEnvironment { name, cname, label } => {
            format!("create environment {name} ({{id}}) at {cname} with version {label}")
        }
        Change::Update { environment, label } => format!("update environment {environment} to version {label}"),
        Change::Configure { environment, settings } => {
            format!("change settings of environment {environment}: {}", settings.join("; "))
        }
        Change::Swap { cname, from, to } => format!("swap: {cname} goes from {from} to {to}"),
        Change::Wait { environment } => format!("leave environment {environment} to wait for run=promote"),
        Change::Remove { undo, why } => format!("{undo}: {why}"),
        Change::DeleteVersion { application, label } => {
            format!("delete version {label} of application {application}, with its bundle and its tag")
        }
        Change::Sweep => "remove what runs left on the docker engine, as far as it has expired".to_owned(),
    }
}
