//! UpdateEnvironment and AbortEnvironmentUpdate. Deployments are AllAtOnce, whatever policy is set.

use crate::local::control::query::{Answer, ApiError};
use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::model::{Kind, Operation, Severity, Status};
use super::operations::{self, Next, fail, say};
use super::work::{RemoveWork, Work};
use super::{Ask, deployment, environments, platforms, settings, templates, versions};

/// `UpdateEnvironment`: a version, settings, or both.
pub fn update(state: &mut State, ask: &Ask<'_>) -> Answer {
    let form = ask.form;
    let environment = environments::ready(state, form, "")?;
    let (id, application) = (environment.id.clone(), environment.application.clone());
    let label = form.sized_if_given("VersionLabel", 1..=100)?;
    if let Some(label) = label {
        versions::must_exist(state, &application, label)?;
    }
    let description = form.sized_if_given("Description", 0..=200)?;
    let mut options = environment.settings.clone();
    let mut stack = platforms::named(ask)?.map(str::to_owned);
    if let Some(name) = form.text("TemplateName") {
        let template = templates::must_exist(state, &application, name)?;
        options.clone_from(&template.settings);
        stack = Some(template.stack.clone());
    }
    settings::apply(&mut options, form)?;
    let settings_before = (options != environment.settings || stack.is_some()).then(|| environment.settings.clone());
    let kind = Kind::Update { version: label.is_some(), settings_before };
    operations::begin(state, ask, &id, kind, Status::Updating);
    state.tell(&id, Some(ask.id), Severity::Info, "Environment update is starting.");
    let Some(environment) = state.environment_mut(&id) else { return Err(environments::no_such_id(&id)) };
    environment.settings = options;
    environment.color = "Grey".to_owned();
    if let Some(label) = label {
        environment.version_label = Some(label.to_owned());
    }
    if let Some(stack) = stack {
        environment.stack = stack;
    }
    if let Some(description) = description {
        description.clone_into(&mut environment.description);
    }
    Ok(Some(environments::element(environment)))
}

/// `AbortEnvironmentUpdate`.
pub fn abort(state: &mut State, ask: &Ask<'_>) -> Answer {
    let environment = environments::named(state, ask.form, "")?;
    let (id, name) = (environment.id.clone(), environment.name.clone());
    let under_way =
        state.operations.iter_mut().find(|operation| operation.environment == id && is_abortable(operation));
    match under_way {
        Some(operation) => {
            operation.abort = Some(ask.id.to_owned());
            operation.due = ask.now + ask.pace.step;
        }
        None => {
            let rule = "is in an invalid state for this operation. Must be pending deployment.";
            return Err(ApiError::invalid(format!("Environment named {name} {rule}")));
        }
    }
    if let Some(environment) = state.environment_mut(&id) {
        environment.status = Status::Aborting;
        environment.abortable = false;
    }
    // No published log shows an abort; this text follows those of the other operations.
    state.tell(&id, Some(ask.id), Severity::Info, "abortEnvironmentUpdate is starting.");
    Ok(None)
}

fn is_abortable(operation: &Operation) -> bool {
    matches!(operation.kind, Kind::Update { .. }) && operation.abort.is_none()
}

/// How an update goes on.
pub fn step(state: &mut State, operation: &mut Operation) -> Next {
    let Some(environment) = state.environment(&operation.environment).cloned() else { return Next::Done };
    let Kind::Update { version, settings_before } = operation.kind.clone() else { return Next::Done };
    if let Some(request) = &operation.abort {
        return aborted(state, operation, request);
    }
    match operation.step {
        0 => {
            if settings_before.is_some() {
                let message = format!("Updating environment {}'s configuration settings.", environment.name);
                say(state, operation, &message);
            }
            if version {
                say(state, operation, "Deploying new version to instance(s).");
            }
            // An update without any change goes through the motions.
            if !version && settings_before.is_none() { done(state, operation) } else { Next::Step }
        }
        1 => {
            let target = Target::Environment { id: &environment.id, name: &environment.name };
            if state.fault(FaultName::Stuck, target).is_some() {
                return Next::Again;
            }
            let surplus = deployment::surplus(&environment);
            if surplus.is_empty() {
                return Next::Step;
            }
            let message = format!("Removed instance [{}] from your environment.", surplus.join(", "));
            say(state, operation, &message);
            let gone = state.environment_mut(&operation.environment).map(|environment| {
                environment.instances.extract_if(.., |instance| surplus.contains(&instance.id)).collect::<Vec<_>>()
            });
            let images = deployment::images(&gone.unwrap_or_default());
            Next::Work(Work::Remove(RemoveWork { environment: environment.id, instances: surplus, images }))
        }
        2 => {
            deployment::launch(state, operation);
            deployment::begin(state, operation)
        }
        _ if deployment::tell(state, operation) => {
            if version {
                say(state, operation, "New application version was deployed to running EC2 instances.");
            }
            if settings_before.is_some() {
                say(state, operation, "Successfully deployed new configuration to environment.");
            }
            done(state, operation)
        }
        _ => rolled_back(state, operation),
    }
}

fn done(state: &mut State, operation: &Operation) -> Next {
    if let Some(environment) = state.environment_mut(&operation.environment) {
        environment.deployed_label.clone_from(&environment.version_label);
    }
    say(state, operation, "Environment update completed successfully.");
    Next::Done
}

/// A failed update: Ready again, on the label and the settings before; what runs on the instances stays as it is.
fn rolled_back(state: &mut State, operation: &Operation) -> Next {
    restore(state, operation);
    let Kind::Update { version, settings_before } = &operation.kind else { return Next::Done };
    if *version {
        fail(state, operation, "Failed to deploy application.");
    }
    if settings_before.is_some() {
        fail(state, operation, "Failed to deploy configuration.");
        fail(state, operation, "The environment was reverted to the previous configuration setting.");
        let see = "For more information, see troubleshooting documentation.";
        fail(state, operation, &format!("Update environment operation is complete, but with errors. {see}"));
    }
    if operation.placed.iter().any(|one| one.failed.is_none()) {
        fail(state, operation, MIXED);
    }
    Next::Done
}

const MIXED: &str = "During an aborted deployment, some instances may have deployed the new application version. To \
                     ensure all instances are running the same version, re-deploy the appropriate application version.";

fn aborted(state: &mut State, operation: &Operation, request: &str) -> Next {
    restore(state, operation);
    state.tell(&operation.environment, Some(request), Severity::Error, MIXED);
    let message = "abortEnvironmentUpdate completed successfully.";
    state.tell(&operation.environment, Some(request), Severity::Info, message);
    Next::Done
}

fn restore(state: &mut State, operation: &Operation) {
    let Some(environment) = state.environment_mut(&operation.environment) else { return };
    // Before its first success an environment has no other label to go back to.
    if environment.deployed_label.is_some() {
        environment.version_label.clone_from(&environment.deployed_label);
    }
    if let Kind::Update { settings_before: Some(before), .. } = &operation.kind {
        environment.settings.clone_from(before);
    }
}
