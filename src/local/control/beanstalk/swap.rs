//! SwapEnvironmentCNAMEs: two names change their environments, and nothing else changes.

use crate::local::control::query::{Answer, ApiError};
use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::model::{Kind, Operation, Severity, Status};
use super::operations::{self, Next};
use super::{Ask, environments, managed};

/// `SwapEnvironmentCNAMEs`.
pub fn swap(state: &mut State, ask: &Ask<'_>) -> Answer {
    managed::come_between(state, ask, "Source");
    let source = environments::ready(state, ask.form, "Source")?.clone();
    let destination = environments::ready(state, ask.form, "Destination")?.clone();
    let target = Target::Environment { id: &source.id, name: &source.name };
    for environment in [&source, &destination] {
        if environment.tier == "Worker" {
            // Its words are not published.
            let name = &environment.name;
            let message = format!("Environment {name} is of the Worker tier and has no CNAME to swap.");
            return Err(ApiError::invalid(message));
        }
    }
    if source.id == destination.id || state.use_fault(FaultName::SwapRefused, target) {
        return Err(environments::must_be_ready(&source.name));
    }
    let kind = Kind::Swap { other: destination.id.clone() };
    operations::begin(state, ask, &source.id, kind, Status::Updating);
    if let Some(destination) = state.environment_mut(&destination.id) {
        destination.status = Status::Updating;
        destination.updated = ask.now;
    }
    for id in [&source.id, &destination.id] {
        state.tell(id, Some(ask.id), Severity::Info, "swapEnvironmentCNAMEs is starting.");
    }
    Ok(None)
}

/// How a swap goes on.
pub fn step(state: &mut State, operation: &Operation, other: &str) -> Next {
    let (source, destination) = (state.environment(&operation.environment), state.environment(other));
    let (Some(source), Some(destination)) = (source.cloned(), destination.cloned()) else { return Next::Done };
    let names = format!("'{}' and '{}'", source.name, destination.name);
    let say = |state: &mut State, message: String| {
        for id in [&source.id, &destination.id] {
            state.tell(id, Some(&operation.request_id), Severity::Info, &message);
        }
    };
    if operation.step == 0 {
        say(state, format!("Swapping CNAMEs for environments {names}."));
        return Next::Step;
    }
    for (environment, cname) in [(&source, &destination.cname), (&destination, &source.cname)] {
        if let Some(found) = state.environment_mut(&environment.id) {
            found.cname.clone_from(cname);
        }
        say(state, format!("'{cname}' now points to '{}'.", environment.endpoint));
    }
    say(state, format!("Completed swapping CNAMEs for environments {names}."));
    Next::Done
}
