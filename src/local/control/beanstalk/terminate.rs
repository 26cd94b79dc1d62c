//! TerminateEnvironment.

use crate::local::control::query::{Answer, ApiError};
use crate::local::control::state::State;

use super::model::{Kind, Operation, Severity, Status};
use super::operations::{self, Next, say};
use super::work::{RemoveWork, Work};
use super::{Ask, deployment, environments};

/// `TerminateEnvironment`. While an operation is under way it is refused, as people have reported of the real one;
/// terminating twice is fine.
pub fn terminate(state: &mut State, ask: &Ask<'_>) -> Answer {
    let environment = environments::named(state, ask.form, "")?;
    let (id, name) = (environment.id.clone(), environment.name.clone());
    match environment.status {
        Status::Ready => begin(state, ask, &id),
        Status::Terminating => {}
        _ => {
            let message = format!("Cannot terminate environment named {name}. It is currently pending deployment.");
            return Err(ApiError::invalid(message));
        }
    }
    Ok(state.environment(&id).map(environments::element))
}

/// Begins to terminate an environment that nothing else is being done to.
pub fn begin(state: &mut State, ask: &Ask<'_>, id: &str) {
    state.tell(id, Some(ask.id), Severity::Info, "terminateEnvironment is starting.");
    operations::begin(state, ask, id, Kind::Terminate, Status::Terminating);
}

/// How a termination goes on, in the words of published logs.
pub fn step(state: &mut State, operation: &Operation) -> Next {
    let Some(environment) = state.environment(&operation.environment).cloned() else { return Next::Done };
    let stack = format!("awseb-{}-stack", environment.id);
    match operation.step {
        0 => {
            let what = "environment's EC2 instances";
            let message =
                format!("Validating {what} have termination protection disabled before performing termination.");
            say(state, operation, &message);
            say(state, operation, &format!("Finished validating {what} for termination protection."));
            Next::Step
        }
        1 => {
            say(state, operation, "Waiting for EC2 instances to terminate. This may take a few minutes.");
            let images = deployment::images(&environment.instances);
            Next::Work(Work::Remove(RemoveWork { environment: environment.id, instances: Vec::new(), images }))
        }
        2 => {
            say(state, operation, &format!("Deleted Auto Scaling group named: {stack}-AWSEBAutoScalingGroup"));
            say(state, operation, &format!("Deleted security group named: {stack}-AWSEBSecurityGroup"));
            Next::Step
        }
        _ => {
            say(state, operation, &format!("Deleting SNS topic for environment {}.", environment.name));
            say(state, operation, "terminateEnvironment completed successfully.");
            if let Some(environment) = state.environment_mut(&operation.environment) {
                environment.status = Status::Terminated;
                environment.samples.clear();
            }
            Next::Done
        }
    }
}
