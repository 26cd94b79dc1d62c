//! Versions onto instances: what creating and updating have in common.

use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::ids::instance_id;
use super::model::{Deployment, Environment, Instance, Operation, Reading};
use super::operations::{Next, fail, say};
use super::settings;
use super::work::{Cause, DeployWork, Placed, Work};

/// Launches instances until there are as many as the settings want.
pub fn fill(state: &mut State, operation: &Operation) {
    let Some(environment) = state.environment(&operation.environment) else { return };
    let count = environment.instances.len();
    let missing = settings::fleet(&environment.settings, count).saturating_sub(count);
    add(state, operation, missing);
}

/// Launches so many instances; their ids.
pub fn add(state: &mut State, operation: &Operation, count: usize) -> Vec<String> {
    let (now, chance) = (state.now(), state.chance.clone());
    let Some(environment) = state.environment_mut(&operation.environment) else { return Vec::new() };
    let launched = |_| Instance {
        id: instance_id(&chance),
        launched: now,
        container: None,
        deployment: None,
        reading: Reading::Unasked,
        out_of_service: false,
    };
    let new: Vec<Instance> = (0..count).map(launched).collect();
    let ids: Vec<String> = new.iter().map(|instance| instance.id.clone()).collect();
    environment.instances.extend(new);
    match ids.len() {
        0 => {}
        1 => say(state, operation, &format!("Added instance [{}] to your environment.", ids[0])),
        _ => say(state, operation, &format!("Added instances [{}] to your environment.", ids.join(", "))),
    }
    ids
}

/// Tells that instances are removed.
pub fn tell_removed(state: &mut State, operation: &Operation, ids: &[String]) {
    let plural = if ids.len() == 1 { "" } else { "s" };
    say(state, operation, &format!("Removed instance{plural} [{}] from your environment.", ids.join(", ")));
}

/// Counts one more deployment of an environment.
pub fn count(state: &mut State, environment: &str) {
    if let Some(environment) = state.environment_mut(environment) {
        environment.deployment += 1;
    }
}

/// The work that runs the environment's version on all its instances.
pub fn begin(state: &mut State, operation: &mut Operation) -> Next {
    count(state, &operation.environment);
    let Some(environment) = state.environment(&operation.environment) else { return Next::Done };
    let all: Vec<String> = environment.instances.iter().map(|instance| instance.id.clone()).collect();
    begin_on(state, operation, &all)
}

/// The work that runs the environment's version on some of its instances. A version that was deleted meanwhile, or that
/// was told to fail, needs no work: it has failed on all of them.
pub fn begin_on(state: &mut State, operation: &mut Operation, ids: &[String]) -> Next {
    let Some(environment) = state.environment(&operation.environment).cloned() else { return Next::Done };
    let target = Target::Environment { id: &environment.id, name: &environment.name };
    let label = environment.version_label.clone().unwrap_or_default();
    let version = state.version(&environment.application, &label).cloned();
    // The last instance stays as it is in a mixed fleet; a new one has nothing to stay at.
    let last = environment.instances.last().filter(|last| last.container.is_some());
    let left_out = state.fault(FaultName::MixedFleet, target).and(last).map(|last| &last.id);
    let chosen = environment.instances.iter().filter(|it| ids.contains(&it.id) && Some(&it.id) != left_out);
    let mut instances: Vec<_> = chosen.map(|instance| (instance.id.clone(), instance.container.clone())).collect();
    let last = environment.instances.last().filter(|last| ids.contains(&last.id));
    if let Some(last) = last.filter(|_| state.use_fault(FaultName::LastFails, target)) {
        instances.retain(|(id, _)| *id != last.id);
        operation.fails = Some(last.id.clone());
    }
    let version = if state.use_fault(FaultName::Rollback, target) { None } else { version };
    let Some(version) = version else {
        let failed = Some(Cause::Unnamed);
        let placed = instances.into_iter().map(|(instance, container)| Placed { instance, container, failed });
        take(state, operation, placed.collect());
        return Next::Step;
    };
    let variables = environment.settings.get(settings::VARIABLES).cloned().unwrap_or_default();
    let secrets = environment.settings.get(settings::SECRETS);
    let work = DeployWork {
        environment: environment.id.clone(),
        request_id: operation.request_id.clone(),
        number: environment.deployment,
        bucket: version.bucket,
        key: version.key,
        instances,
        variables: variables.into_iter().collect(),
        pull_refused: state.use_fault(FaultName::PullRefused, target),
        wants_secrets: secrets.is_some_and(|secrets| !secrets.is_empty()),
    };
    for (id, _) in &work.instances {
        record(state, &operation.environment, id, "In Progress");
    }
    Next::Work(Work::Deploy(work))
}

/// Takes what came of the deployment.
pub fn take(state: &mut State, operation: &mut Operation, mut placed: Vec<Placed>) {
    if let Some(instance) = operation.fails.take() {
        let environment = state.environment(&operation.environment);
        let found = environment.and_then(|environment| environment.instances.iter().find(|it| it.id == instance));
        let container = found.and_then(|instance| instance.container.clone());
        placed.push(Placed { instance, container, failed: Some(Cause::Unnamed) });
    }
    for one in &placed {
        let status = if one.failed.is_some() { "Failed" } else { "Deployed" };
        record(state, &operation.environment, &one.instance, status);
        let environment = state.environment_mut(&operation.environment);
        let instance = environment.and_then(|e| e.instances.iter_mut().find(|i| i.id == one.instance));
        // Where nothing could be started there was and is no container, and nobody will ever ask one.
        if let Some(instance) = instance
            && (instance.container != one.container || one.container.is_none())
        {
            let runs = one.container.as_ref().is_some_and(|container| !container.address.is_empty());
            instance.reading = if runs { Reading::Unasked } else { Reading::Ended };
            instance.container.clone_from(&one.container);
        }
    }
    operation.placed = placed;
}

fn record(state: &mut State, environment: &str, instance: &str, status: &str) {
    let now = state.now();
    let Some(environment) = state.environment_mut(environment) else { return };
    let deployment = Deployment {
        label: environment.version_label.clone().unwrap_or_default(),
        number: environment.deployment,
        status: status.to_owned(),
        time: now,
    };
    if let Some(instance) = environment.instances.iter_mut().find(|one| one.id == instance) {
        instance.deployment = Some(deployment);
    }
}

/// Tells of the deployment's end on each instance, in the order of a published log. True: on all of them it went well.
pub fn tell(state: &mut State, operation: &Operation) -> bool {
    let failed: Vec<(&str, Cause)> =
        operation.placed.iter().filter_map(|one| Some((one.instance.as_str(), one.failed?))).collect();
    let good = operation.placed.len() - failed.len();
    for _ in 0..good {
        say(state, operation, "Instance deployment completed successfully.");
    }
    if failed.is_empty() {
        return true;
    }
    for (_, cause) in &failed {
        if let Some(message) = cause.message() {
            fail(state, operation, message);
        }
        fail(state, operation, "Instance deployment failed. For details, see 'eb-engine.log'.");
    }
    for (instance, _) in &failed {
        let output = "Return code: 1 Output: Engine execution has encountered an error..";
        fail(state, operation, &format!("[Instance: {instance}] Command failed on instance. {output}"));
    }
    let count = failed.len();
    let summary = format!("Summary: [Successful: {good}, Failed: {count}].");
    say(state, operation, &format!("Command execution completed on all instances. {summary}"));
    let ids: Vec<&str> = failed.iter().map(|(instance, _)| *instance).collect();
    let ids = ids.join(", ");
    let message = format!("Unsuccessful command execution on instance id(s) '{ids}'. Aborting the operation.");
    fail(state, operation, &message);
    false
}

/// The images, by name, that instances run.
pub fn images(instances: &[Instance]) -> Vec<String> {
    instances.iter().filter_map(|instance| Some(instance.container.as_ref()?.image.clone())).collect()
}

/// The instances that are more than the settings allow: the newest.
pub fn surplus(environment: &Environment) -> Vec<String> {
    let wanted = settings::fleet(&environment.settings, environment.instances.len());
    environment.instances.iter().skip(wanted).map(|instance| instance.id.clone()).collect()
}
