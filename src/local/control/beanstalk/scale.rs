//! What autoscaling does: an environment that is Ready runs more instances, or fewer, and stays Ready.

use crate::local::control::query::{Answer, ApiError};
use crate::local::control::state::State;

use super::model::{Kind, Operation, Status};
use super::operations::{self, Next};
use super::{Ask, deployment, environments, rollout, settings};

/// `BeanlineScale(EnvironmentName | EnvironmentId, Instances)`: a call of our own. New instances get the version that
/// was deployed last, as it is pulled now.
///
/// # Errors
/// `InvalidParameterValue` for fewer than `MinSize`, or for more than `MaxSize`.
pub fn scale(state: &mut State, ask: &Ask<'_>) -> Answer {
    let environment = environments::ready(state, ask.form, "")?;
    let (least, most) = settings::sizes(&environment.settings);
    let count = ask.form.number("Instances", least..=most)?;
    let count = count.ok_or_else(|| ApiError::missing("The request must contain the parameter Instances."))?;
    let id = environment.id.clone();
    operations::begin(state, ask, &id, Kind::Scale { count }, Status::Ready);
    Ok(None)
}

/// Whether instances come or go: nothing is deployed meanwhile.
pub fn is_under_way(state: &State, environment: &str) -> bool {
    let mut own = state.operations.iter().filter(|operation| operation.environment == environment);
    own.any(|operation| matches!(operation.kind, Kind::Scale { .. }))
}

/// How it goes on.
pub fn step(state: &mut State, operation: &mut Operation, count: usize) -> Next {
    let Some(environment) = state.environment(&operation.environment).cloned() else { return Next::Done };
    let has = environment.instances.len();
    match operation.step {
        0 if has < count => {
            let new = deployment::add(state, operation, count - has);
            deployment::begin_on(state, operation, &new)
        }
        0 if has > count => {
            let gone: Vec<String> = environment.instances.iter().skip(count).map(|it| it.id.clone()).collect();
            deployment::tell_removed(state, operation, &gone);
            rollout::remove(state, operation, &gone)
        }
        1 if !operation.placed.is_empty() => {
            deployment::tell(state, operation);
            Next::Done
        }
        _ => Next::Done,
    }
}
