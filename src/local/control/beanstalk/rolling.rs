//! Rolling deployments: one batch after the other leaves the load balancer, gets the version, and comes back.

use crate::local::control::state::State;

use super::model::{Environment, Operation};
use super::operations::{Next, say};
use super::rollout::{self, Health, Phase, then};
use super::{deployment, policy, settings};

/// How a rolling deployment goes on, until [`Phase::Succeeded`] or [`Phase::Failed`].
pub fn step(state: &mut State, operation: &mut Operation, environment: &Environment, additional: bool) -> Next {
    let number = operation.rollout.batch + 1;
    let batch = operation.rollout.batches.get(operation.rollout.batch).cloned().unwrap_or_default();
    let tell = |state: &mut State, operation: &Operation, what: &str| {
        say(state, operation, &format!("Batch {number}: {what}"));
    };
    match operation.rollout.phase {
        Phase::Begin => begin(state, operation, environment, additional),
        Phase::Leave if operation.rollout.launched == batch => {
            let (count, label) = (batch.len(), environment.version_label.as_deref().unwrap_or_default());
            let launched = format!("{count} EC2 instance(s) [{}] launched.", batch.join(", "));
            tell(state, operation, &format!("{launched} Deploying application version '{label}'."));
            then(operation, Phase::Deploy)
        }
        Phase::Leave => {
            let ids = batch.join(", ");
            tell(state, operation, &format!("Starting application deployment on instance(s) [{ids}]."));
            if settings::is_load_balanced(environment) {
                let leaving =
                    "De-registering instance(s) from the load balancer and waiting for them to go out of service.";
                tell(state, operation, leaving);
            }
            rollout::serve(state, &operation.environment, &batch, false);
            operation.rollout.phase = Phase::Deploy;
            Next::Drain
        }
        Phase::Deploy => {
            tell(state, operation, "Starting application deployment command execution.");
            operation.rollout.phase = Phase::Judge;
            deployment::begin_on(state, operation, &batch)
        }
        Phase::Judge => {
            let good = deployment::tell(state, operation);
            rollout::serve(state, &operation.environment, &batch, true);
            if !good {
                return then(operation, Phase::Undo);
            }
            tell(state, operation, "Completed application deployment command execution.");
            let done: usize = operation.rollout.batches.iter().take(number).map(Vec::len).sum();
            let all = environment.instances.len();
            say(state, operation, &format!("Command execution completed on {done} of {all} instances in environment."));
            let waits = "Registering instance(s) with the load balancer and waiting for them to be healthy. ";
            tell(state, operation, waits);
            then(operation, Phase::Health)
        }
        Phase::Health => match rollout::health(state, operation, environment, &batch) {
            Health::Awaited => Next::Again,
            Health::Missed => {
                rollout::tell_missed(state, operation, &batch);
                then(operation, Phase::Undo)
            }
            Health::Good => {
                tell(state, operation, "Completed application deployment.");
                operation.rollout.batch += 1;
                let is_last = number == operation.rollout.batches.len();
                then(operation, if is_last { Phase::Remove } else { Phase::Leave })
            }
        },
        Phase::Remove => end(state, operation, Phase::Succeeded),
        _ => end(state, operation, Phase::Failed),
    }
}

fn begin(state: &mut State, operation: &mut Operation, environment: &Environment, additional: bool) -> Next {
    let before: Vec<String> = environment.instances.iter().map(|instance| instance.id.clone()).collect();
    let size = policy::batch_size(&environment.settings, before.len());
    let mut batches: Vec<Vec<String>> = before.chunks(size).map(<[String]>::to_vec).collect();
    deployment::count(state, &operation.environment);
    if additional {
        // Two spaces, as in the published log.
        let launching = format!("Launching  a new batch of {size} additional instance(s).");
        say(state, operation, &format!("Rolling with Additional Batch deployment policy enabled. {launching}"));
        operation.rollout.launched = deployment::add(state, operation, size);
        batches.insert(0, operation.rollout.launched.clone());
    }
    (operation.rollout.before, operation.rollout.batches) = (before, batches);
    then(operation, Phase::Leave)
}

/// The additional batch goes at the end, whatever came of it: there are as many instances as before.
fn end(state: &mut State, operation: &mut Operation, phase: Phase) -> Next {
    operation.rollout.phase = phase;
    let launched = operation.rollout.launched.clone();
    if !launched.is_empty() {
        deployment::tell_removed(state, operation, &launched);
    }
    rollout::remove(state, operation, &launched)
}
