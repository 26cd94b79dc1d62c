//! What deployments that reach the instances bit by bit have in common.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::local::control::state::State;

use super::model::{Environment, Operation};
use super::operations::{Next, fail};
use super::work::{RemoveWork, Work};
use super::{deployment, policy};

/// How far such a deployment is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// What comes next.
    pub phase: Phase,
    /// Instances that it launched.
    pub launched: Vec<String>,
    /// Instances that were there before.
    pub before: Vec<String>,
    /// The batches of a rolling deployment, by instance.
    pub batches: Vec<Vec<String>>,
    /// The batch at hand, counted from 0.
    pub batch: usize,
    /// Since when it waits for health, or splits traffic.
    pub waits: Option<DateTime<Utc>>,
}

/// What comes next in a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// All of it.
    #[default]
    Begin,
    /// A batch leaves the load balancer.
    Leave,
    /// The version onto the instances at hand.
    Deploy,
    /// A look at what came of it.
    Judge,
    /// A wait for their health.
    Health,
    /// A part of the requests to the new instances.
    Split,
    /// The new instances take the place of the old ones.
    Replace,
    /// Instances that are not needed any more are removed.
    Remove,
    /// It went well.
    Succeeded,
    /// It did not, and what it launched is to be removed.
    Undo,
    /// It did not, and nothing is left to do.
    Failed,
}

/// Whether the instances at hand are well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are, or nobody wants to know.
    Good,
    /// Not yet.
    Awaited,
    /// They were not in all the time that they had.
    Missed,
}

/// Goes on with `phase` after a pause.
pub fn then(operation: &mut Operation, phase: Phase) -> Next {
    operation.rollout.phase = phase;
    Next::Step
}

/// How the instances of these ids are. They have the command timeout to become well.
pub fn health(state: &State, operation: &mut Operation, environment: &Environment, ids: &[String]) -> Health {
    let now = state.now();
    let since = *operation.rollout.waits.get_or_insert(now);
    let mut own = environment.instances.iter().filter(|instance| ids.contains(&instance.id));
    let health = if policy::ignores_health(environment) || own.all(|instance| instance.reading.is_good()) {
        Health::Good
    } else if (now - since).to_std().unwrap_or_default() >= policy::patience(&environment.settings) {
        Health::Missed
    } else {
        return Health::Awaited;
    };
    operation.rollout.waits = None;
    health
}

/// Takes instances out of service, or puts them back.
pub fn serve(state: &mut State, environment: &str, ids: &[String], serves: bool) {
    let Some(environment) = state.environment_mut(environment) else { return };
    for instance in environment.instances.iter_mut().filter(|instance| ids.contains(&instance.id)) {
        instance.out_of_service = !serves;
    }
}

/// Removes instances with their containers.
pub fn remove(state: &mut State, operation: &Operation, ids: &[String]) -> Next {
    let Some(environment) = state.environment_mut(&operation.environment) else { return Next::Done };
    let gone: Vec<_> = environment.instances.extract_if(.., |instance| ids.contains(&instance.id)).collect();
    if gone.is_empty() {
        return Next::Step;
    }
    let images = deployment::images(&gone);
    Next::Work(Work::Remove(RemoveWork { environment: operation.environment.clone(), instances: ids.to_vec(), images }))
}

/// Instances that did not become well in time. No published log shows the text.
pub fn tell_missed(state: &mut State, operation: &Operation, ids: &[String]) {
    let ids = ids.join(", ");
    let message = format!("Instance(s) [{ids}] did not pass health checks within the command timeout.");
    fail(state, operation, &format!("{message} Aborting the operation."));
}
