//! Operations: what takes its time, one step after the other. An operation is data, so it goes on after a restart.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::local::control::state::State;

use super::model::{Kind, Operation, Severity, Status};
use super::rollout::Rollout;
use super::work::{Outcome, Work};
use super::{Ask, Pace, create, deployment, logs, managed, scale, swap, terminate, update};

/// An operation that waits for a fault to be cleared looks again after this, at the soonest.
const LEAST_WAIT: Duration = Duration::from_millis(20);

/// What an operation does after a step.
#[derive(Debug)]
pub enum Next {
    /// Its next step comes after a pause.
    Step,
    /// Its next step comes when the load balancer has heard which instances serve.
    Drain,
    /// Its next step comes when so many minutes have passed on the real platform, each a pause here.
    Minutes(u32),
    /// The same step again, after a pause.
    Again,
    /// Its next step comes when this is done.
    Work(Work),
    /// Nothing: it has ended.
    Done,
}

/// Begins an operation on an environment, which has `status` from now on.
pub fn begin(state: &mut State, ask: &Ask<'_>, environment: &str, kind: Kind, status: Status) {
    let number = state.next_number();
    if let Some(environment) = state.environment_mut(environment) {
        environment.status = status;
        environment.updated = ask.now;
        environment.abortable = matches!(kind, Kind::Update { .. });
    }
    state.operations.push(Operation {
        number,
        request_id: ask.id.to_owned(),
        environment: environment.to_owned(),
        kind,
        step: 0,
        due: ask.now + ask.pace.step,
        began: ask.now,
        at_work: false,
        placed: Vec::new(),
        abort: None,
        fails: None,
        rollout: Rollout::default(),
    });
}

/// Whether [`advance_all`] would do anything.
pub fn is_due(state: &State, now: DateTime<Utc>) -> bool {
    state.operations.iter().any(|operation| !operation.at_work && operation.due <= now)
}

/// Takes every step that is due, and returns the work that must be done before further ones.
pub fn advance_all(state: &mut State, pace: &Pace, now: DateTime<Utc>) -> Vec<(u64, Work)> {
    let mut work = Vec::new();
    while let Some(index) = state.operations.iter().position(|o| !o.at_work && o.due <= now) {
        let mut operation = state.operations.remove(index);
        match step(state, &mut operation) {
            Next::Step => {
                operation.step += 1;
                operation.due = now + pace.step;
            }
            Next::Drain => {
                operation.step += 1;
                operation.due = now + pace.step.max(pace.ask_every * 2);
            }
            Next::Minutes(minutes) => operation.due = now + pace.step * minutes,
            Next::Again => operation.due = now + pace.step.max(LEAST_WAIT),
            Next::Work(piece) => {
                operation.at_work = true;
                work.push((operation.number, piece));
            }
            Next::Done => {
                end(state, pace, &operation);
                continue;
            }
        }
        state.operations.push(operation);
    }
    work
}

fn step(state: &mut State, operation: &mut Operation) -> Next {
    match &operation.kind {
        Kind::Create => create::step(state, operation),
        Kind::Update { .. } => update::step(state, operation),
        Kind::Swap { other } => swap::step(state, operation, &other.clone()),
        Kind::Terminate => terminate::step(state, operation),
        Kind::Managed { .. } => managed::step(state, operation),
        Kind::Scale { count } => scale::step(state, operation, *count),
        Kind::Logs { .. } => logs::step(state, operation),
        Kind::Tags => {
            say(state, operation, "Environment tag update completed successfully.");
            Next::Done
        }
    }
}

/// The environment is at rest again, unless it has ended, and its health may recover in a moment.
fn end(state: &mut State, pace: &Pace, operation: &Operation) {
    let now = state.now();
    let ids = match &operation.kind {
        Kind::Logs { .. } | Kind::Scale { .. } => return,
        Kind::Swap { other } => vec![&operation.environment, other],
        _ => vec![&operation.environment],
    };
    for id in ids {
        let Some(environment) = state.environment_mut(id) else { continue };
        environment.abortable = false;
        environment.updated = now;
        if !matches!(environment.status, Status::Terminated | Status::Terminating) {
            environment.status = Status::Ready;
        }
        if matches!(operation.kind, Kind::Create | Kind::Update { .. }) {
            environment.health_held_until = now + pace.step * 2;
            environment.last_operation = Some((operation.began, now));
        }
    }
}

/// Takes the outcome of an operation's work. Work of an operation that is no longer there came too late and is dropped.
pub fn finish(state: &mut State, pace: &Pace, number: u64, outcome: Outcome) {
    let Some(index) = state.operations.iter().position(|operation| operation.number == number) else { return };
    let mut operation = state.operations.remove(index);
    match outcome {
        Outcome::Placed(placed) => deployment::take(state, &mut operation, placed),
        Outcome::Removed => removed(state, &operation),
        Outcome::Tailed(links) => logs::take(state, &operation, links),
    }
    operation.at_work = false;
    operation.step += 1;
    operation.due = state.now() + pace.step;
    state.operations.push(operation);
}

fn removed(state: &mut State, operation: &Operation) {
    let environment = state.environment_mut(&operation.environment);
    if let Some(environment) = environment.filter(|environment| environment.status == Status::Terminating) {
        environment.instances.clear();
    }
}

/// Tells of something good or neutral that an operation did.
pub fn say(state: &mut State, operation: &Operation, message: &str) {
    state.tell(&operation.environment, Some(&operation.request_id), Severity::Info, message);
}

/// Tells of something that failed in an operation.
pub fn fail(state: &mut State, operation: &Operation, message: &str) {
    state.tell(&operation.environment, Some(&operation.request_id), Severity::Error, message);
}
