//! UpdateEnvironment and AbortEnvironmentUpdate.

use crate::local::control::query::{Answer, ApiError};
use crate::local::control::state::State;
use crate::local::control::{ACCOUNT, REGION};

use super::faults::{FaultName, Target};
use super::model::{Environment, Kind, Operation, Settings, Severity, Status};
use super::operations::{self, Next, fail, say};
use super::policy::Policy;
use super::rollout::{self, Phase};
use super::{
    Ask, deployment, environments, immutable, managed, platforms, processing, rolling, scale, settings, templates,
    versions,
};

/// `UpdateEnvironment`: a version, settings, or both.
pub fn update(state: &mut State, ask: &Ask<'_>) -> Answer {
    let form = ask.form;
    managed::come_between(state, ask, "");
    let environment = environments::ready(state, form, "")?;
    let (id, application) = (environment.id.clone(), environment.application.clone());
    let label = form.sized_if_given("VersionLabel", 1..=100)?;
    if let Some(label) = label {
        processing::deployable(versions::must_exist(state, &application, label)?)?;
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
    let policy = if version { Policy::of(&environment.settings) } else { Policy::AllAtOnce };
    // What has begun to remove the old instances is not given up any more.
    if let Some(request) = operation.abort.clone()
        && !matches!(operation.rollout.phase, Phase::Remove | Phase::Succeeded)
    {
        return aborted(state, operation, policy, &request);
    }
    match operation.step {
        0 if scale::is_under_way(state, &environment.id) => Next::Again,
        0 => {
            if settings_before.is_some() {
                let message = format!("Updating environment {}'s configuration settings.", environment.name);
                say(state, operation, &message);
            }
            if version && policy == Policy::AllAtOnce {
                say(state, operation, "Deploying new version to instance(s).");
            }
            // An update without any change goes through the motions.
            if !version && settings_before.is_none() { done(state, operation) } else { Next::Step }
        }
        1 => {
            let target = Target::Environment { id: &environment.id, name: &environment.name };
            if state.fault(FaultName::StackStuck, target).is_some() {
                return stack_stuck(state, operation);
            }
            if state.fault(FaultName::Stuck, target).is_some() {
                return Next::Again;
            }
            operation.rollout.waits = None;
            let surplus = deployment::surplus(&environment);
            if surplus.is_empty() {
                return Next::Step;
            }
            deployment::tell_removed(state, operation, &surplus);
            rollout::remove(state, operation, &surplus)
        }
        2 => {
            deployment::fill(state, operation);
            match policy {
                Policy::AllAtOnce => everywhere(state, operation, version, settings_before.as_ref()),
                _ => Next::Step,
            }
        }
        _ => match (policy, operation.rollout.phase) {
            (_, Phase::Succeeded) => succeeded(state, operation),
            (_, Phase::Failed) => rolled_back(state, operation),
            (Policy::AllAtOnce, _) if deployment::tell(state, operation) => succeeded(state, operation),
            (Policy::AllAtOnce, _) => rolled_back(state, operation),
            (Policy::Rolling { additional }, _) => rolling::step(state, operation, &environment, additional),
            (Policy::Immutable, _) => immutable::step(state, operation, &environment, false),
            (Policy::TrafficSplitting, _) => immutable::step(state, operation, &environment, true),
        },
    }
}

/// The stack behind an environment can be neither updated nor rolled back; it is told once.
fn stack_stuck(state: &mut State, operation: &mut Operation) -> Next {
    if operation.rollout.waits.is_none() {
        let id = operation.environment.clone();
        let stack =
            format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/awseb-{id}-stack/{}", operation.request_id);
        let message = format!("The stack {stack} associated with environment {id} is in UPDATE_ROLLBACK_FAILED state.");
        fail(state, operation, &message);
        operation.rollout.waits = Some(state.now());
    }
    Next::Again
}

/// All at once. Options that instances do not notice restart nothing; only what was launched meanwhile is new to them.
fn everywhere(state: &mut State, operation: &mut Operation, version: bool, before: Option<&Settings>) -> Next {
    let Some(environment) = state.environment(&operation.environment) else { return Next::Done };
    if version || before.is_some_and(|before| settings::reaches_instances(before, &environment.settings)) {
        return deployment::begin(state, operation);
    }
    let new = environment.instances.iter().filter(|instance| instance.deployment.is_none());
    let new: Vec<String> = new.map(|instance| instance.id.clone()).collect();
    if new.is_empty() { Next::Step } else { deployment::begin_on(state, operation, &new) }
}

fn succeeded(state: &mut State, operation: &Operation) -> Next {
    let Kind::Update { version, settings_before } = &operation.kind else { return Next::Done };
    if *version {
        say(state, operation, "New application version was deployed to running EC2 instances.");
    }
    if settings_before.is_some() {
        say(state, operation, "Successfully deployed new configuration to environment.");
    }
    done(state, operation)
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
    if has_new_instances(state, operation) {
        fail(state, operation, MIXED);
    }
    Next::Done
}

/// Whether instances run the version that was given up.
fn has_new_instances(state: &State, operation: &Operation) -> bool {
    let Some(environment) = state.environment(&operation.environment) else { return false };
    environment.instances.iter().filter_map(|instance| instance.deployment.as_ref()).any(|deployment| {
        deployment.number == environment.deployment
            && deployment.status == "Deployed"
            && Some(&deployment.label) != environment.version_label.as_ref()
    })
}

const MIXED: &str = "During an aborted deployment, some instances may have deployed the new application version. To \
                     ensure all instances are running the same version, re-deploy the appropriate application version.";

/// A deployment that was given up: on old instances it stays where it arrived, and new ones go.
fn aborted(state: &mut State, operation: &mut Operation, policy: Policy, request: &str) -> Next {
    let (launched, before) = (operation.rollout.launched.clone(), operation.rollout.before.clone());
    rollout::serve(state, &operation.environment, &before, true);
    let is_there = |environment: &Environment| environment.instances.iter().any(|it| launched.contains(&it.id));
    if state.environment(&operation.environment).is_some_and(is_there) {
        deployment::tell_removed(state, operation, &launched);
        return rollout::remove(state, operation, &launched);
    }
    if let Some(environment) = state.environment_mut(&operation.environment) {
        environment.new_share = None;
    }
    restore(state, operation);
    let replaces = matches!(policy, Policy::Immutable | Policy::TrafficSplitting);
    if !replaces && (launched.is_empty() || has_new_instances(state, operation)) {
        state.tell(&operation.environment, Some(request), Severity::Error, MIXED);
    }
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
