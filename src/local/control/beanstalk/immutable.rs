//! Immutable deployments: new instances take the place of the old ones when they are well, and a failure leaves nothing
//! behind. With traffic splitting they serve a part of the requests for a while before.

use crate::local::control::state::State;

use super::model::{Environment, Operation};
use super::operations::{Next, fail, say};
use super::rollout::{self, Health, Phase, then};
use super::{deployment, policy, settings};

/// How such a deployment goes on, until [`Phase::Succeeded`] or [`Phase::Failed`].
pub fn step(state: &mut State, operation: &mut Operation, environment: &Environment, splits: bool) -> Next {
    let launched = operation.rollout.launched.clone();
    match operation.rollout.phase {
        Phase::Begin => begin(state, operation, environment, splits),
        Phase::Deploy => {
            operation.rollout.phase = Phase::Judge;
            let bare = |id: &&String| environment.instances.iter().any(|i| i.id == **id && i.deployment.is_none());
            let bare: Vec<String> = launched.iter().filter(bare).cloned().collect();
            deployment::begin_on(state, operation, &bare)
        }
        Phase::Judge if !deployment::tell(state, operation) => then(operation, Phase::Undo),
        Phase::Judge => {
            let ids = launched.join(", ");
            if settings::is_load_balanced(environment) {
                say(state, operation, &format!("Adding new instance(s) ({ids}) to the load balancer."));
                // Only traffic splitting holds requests back from instances that are well.
                rollout::serve(state, &operation.environment, &launched, !splits);
            }
            say(state, operation, &format!("Waiting for instance(s) ({ids}) to pass health checks. "));
            then(operation, Phase::Health)
        }
        Phase::Health => match rollout::health(state, operation, environment, &launched) {
            Health::Awaited => Next::Again,
            Health::Missed => {
                rollout::tell_missed(state, operation, &launched);
                then(operation, Phase::Undo)
            }
            Health::Good => healthy(state, operation, splits),
        },
        Phase::Split => split(state, operation, environment),
        Phase::Replace => replace(state, operation, environment),
        Phase::Remove => {
            operation.rollout.phase = Phase::Succeeded;
            let before = operation.rollout.before.clone();
            say(state, operation, "Deployment succeeded. Terminating old instances and temporary Auto Scaling group.");
            deployment::tell_removed(state, operation, &before);
            rollout::remove(state, operation, &before)
        }
        _ => {
            operation.rollout.phase = Phase::Failed;
            stop_splitting(state, operation);
            // No published log shows how a failed one ends; these words follow those of a good end.
            fail(state, operation, "Deployment failed. Terminating new instances and temporary Auto Scaling group.");
            deployment::tell_removed(state, operation, &launched);
            rollout::remove(state, operation, &launched)
        }
    }
}

fn begin(state: &mut State, operation: &mut Operation, environment: &Environment, splits: bool) -> Next {
    operation.rollout.before = environment.instances.iter().map(|instance| instance.id.clone()).collect();
    // Nothing of traffic splitting is in a published log.
    let message = if splits {
        "Traffic splitting deployment policy enabled. Launching new instances with the new settings."
    } else {
        "Immutable deployment policy enabled. Launching one instance with the new settings to verify health."
    };
    say(state, operation, message);
    say(state, operation, &format!("Created temporary auto scaling group {}.", temporary(environment)));
    deployment::count(state, &operation.environment);
    let count = if splits { operation.rollout.before.len() } else { 1 };
    launch(state, operation, count);
    then(operation, Phase::Deploy)
}

fn launch(state: &mut State, operation: &mut Operation, count: usize) {
    let new = deployment::add(state, operation, count);
    rollout::serve(state, &operation.environment, &new, false);
    operation.rollout.launched.extend(new);
}

fn healthy(state: &mut State, operation: &mut Operation, splits: bool) -> Next {
    let missing = operation.rollout.before.len().saturating_sub(operation.rollout.launched.len());
    if missing > 0 {
        say(state, operation, "Test instance passed health checks. Launching remaining new instances.");
        launch(state, operation, missing);
        return then(operation, Phase::Deploy);
    }
    say(state, operation, "Successfully launched all instances.");
    then(operation, if splits { Phase::Split } else { Phase::Replace })
}

/// A part of the requests goes to the new instances for so many steps as it is minutes on the real platform. If one of
/// them is not well meanwhile, the deployment has failed.
fn split(state: &mut State, operation: &mut Operation, environment: &Environment) -> Next {
    let (percent, minutes) = policy::split(&environment.settings);
    let launched = operation.rollout.launched.clone();
    if environment.new_share.is_none() {
        let message =
            format!("Sending {percent} percent of client traffic to the new instances for {minutes} minute(s).");
        say(state, operation, &message);
        rollout::serve(state, &operation.environment, &launched, true);
        if let Some(environment) = state.environment_mut(&operation.environment) {
            environment.new_share = Some(percent);
        }
        return Next::Minutes(minutes);
    }
    let good = |id: &String| environment.instances.iter().any(|i| i.id == *id && i.reading.is_good());
    if !policy::ignores_health(environment) && !launched.iter().all(good) {
        rollout::tell_missed(state, operation, &launched);
        return then(operation, Phase::Undo);
    }
    stop_splitting(state, operation);
    then(operation, Phase::Replace)
}

fn stop_splitting(state: &mut State, operation: &Operation) {
    if let Some(environment) = state.environment_mut(&operation.environment) {
        environment.new_share = None;
    }
}

fn replace(state: &mut State, operation: &mut Operation, environment: &Environment) -> Next {
    let stack = format!("awseb-{}-stack-AWSEBAutoScalingGroup", environment.id);
    say(
        state,
        operation,
        &format!("Detached new instance(s) from temporary auto scaling group {}.", temporary(environment)),
    );
    say(state, operation, &format!("Attached new instance(s) to the permanent auto scaling group {stack}."));
    say(state, operation, "Starting post-deployment configuration on new instances.");
    say(state, operation, "Instance deployment completed successfully.");
    say(state, operation, "Waiting for post-deployment configuration to complete.");
    let (launched, before) = (operation.rollout.launched.clone(), operation.rollout.before.clone());
    rollout::serve(state, &operation.environment, &launched, true);
    rollout::serve(state, &operation.environment, &before, false);
    operation.rollout.phase = Phase::Remove;
    Next::Drain
}

fn temporary(environment: &Environment) -> String {
    format!("awseb-{}-immutable-stack-AWSEBAutoScalingGroup", environment.id)
}
