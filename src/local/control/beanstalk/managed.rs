//! Managed platform updates: the platform changes an environment by itself, and nobody else may meanwhile (developer
//! guide, "Managed platform updates").

use std::time::Duration;

use chrono::TimeDelta;

use crate::local::control::query::{Answer, members, text, time};
use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::model::{Kind, Operation, Severity, Status};
use super::operations::{self, Next, say};
use super::{Ask, environments, platforms};

/// How long one takes when nobody says.
const USUAL: Duration = Duration::from_secs(3);

/// `BeanlineManagedUpdate(EnvironmentName | EnvironmentId, Millis?)`: a call of our own, by which one begins now.
pub fn start(state: &mut State, ask: &Ask<'_>) -> Answer {
    let id = environments::ready(state, ask.form, "")?.id.clone();
    let millis = ask.form.number("Millis", 0..=3_600_000)?.unwrap_or_default();
    begin(state, ask, &id, u32::try_from(millis).unwrap_or_default());
    Ok(None)
}

/// With the fault `managed-update` one begins just before a change is asked for, which then comes too late.
pub fn come_between(state: &mut State, ask: &Ask<'_>, prefix: &str) {
    let Ok(environment) = environments::ready(state, ask.form, prefix) else { return };
    let (id, name) = (environment.id.clone(), environment.name.clone());
    if let Some(fault) = state.take_fault(FaultName::ManagedUpdate, Target::Environment { id: &id, name: &name }) {
        begin(state, ask, &id, fault.millis);
    }
}

fn begin(state: &mut State, ask: &Ask<'_>, id: &str, millis: u32) {
    let length = if millis == 0 { USUAL } else { Duration::from_millis(millis.into()) };
    let until = ask.now + TimeDelta::from_std(length).unwrap_or_default();
    // It is nobody's request: its events have an id that no caller was given.
    let own = state.chance.uuid().to_string();
    let ask = Ask { id: &own, ..*ask };
    operations::begin(state, &ask, id, Kind::Managed { until }, Status::Updating);
    state.tell(id, Some(&own), Severity::Info, "Environment update is starting.");
}

/// How it goes on.
pub fn step(state: &mut State, operation: &Operation) -> Next {
    let Kind::Managed { until } = operation.kind else { return Next::Done };
    if state.now() < until {
        return Next::Again;
    }
    if let Some(environment) = state.environment_mut(&operation.environment) {
        platforms::newest().clone_into(&mut environment.stack);
    }
    say(state, operation, "Environment update completed successfully.");
    Next::Done
}

/// `DescribeEnvironmentManagedActions`: those that run.
pub fn describe(state: &State, ask: &Ask<'_>) -> Answer {
    let environment = environments::named(state, ask.form, "")?;
    let wanted = ask.form.text("Status").is_none_or(|status| status == "Running");
    let running = state.operations.iter().filter(|operation| {
        wanted && operation.environment == environment.id && matches!(operation.kind, Kind::Managed { .. })
    });
    let actions = running.map(|operation| {
        vec![
            text("ActionId", &operation.request_id),
            text("ActionDescription", "Platform update"),
            text("ActionType", "PlatformUpdate"),
            text("Status", "Running"),
            time("WindowStartTime", operation.began),
        ]
    });
    Ok(Some(vec![members("ManagedActions", actions)]))
}
