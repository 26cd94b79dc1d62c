//! RequestEnvironmentInfo and RetrieveEnvironmentInfo: the last lines of each instance.

use crate::local::control::query::{Answer, ApiError, members, text, time};
use crate::local::control::state::State;

use super::model::{Instance, Kind, LogSample, Operation, Severity, Status};
use super::operations::{self, Next, fail, say};
use super::work::{Lines, TailWork, Work};
use super::{Ask, environments};

fn kind<'a>(ask: &Ask<'a>) -> Result<&'a str, ApiError> {
    match ask.form.required("InfoType")? {
        kind @ ("tail" | "bundle") => Ok(kind),
        other => Err(ApiError::constraint(other, "InfoType", "Member must satisfy enum value set: [bundle, tail]")),
    }
}

/// `RequestEnvironmentInfo`. The environment stays as it is meanwhile.
pub fn request(state: &mut State, ask: &Ask<'_>) -> Answer {
    let kind = kind(ask)?.to_owned();
    let environment = environments::named(state, ask.form, "")?;
    let (id, status, abortable) = (environment.id.clone(), environment.status, environment.abortable);
    if !matches!(status, Status::Ready | Status::Updating) {
        return Err(environments::must_be_ready(&environment.name));
    }
    operations::begin(state, ask, &id, Kind::Logs { kind }, status);
    if let Some(environment) = state.environment_mut(&id) {
        environment.abortable = abortable;
    }
    state.tell(&id, Some(ask.id), Severity::Info, "requestEnvironmentInfo is starting.");
    Ok(None)
}

/// How the fetching goes on.
pub fn step(state: &mut State, operation: &Operation) -> Next {
    let Some(environment) = state.environment(&operation.environment) else { return Next::Done };
    if operation.step > 0 {
        return Next::Done;
    }
    let lines = |instance: &Instance| match &instance.container {
        Some(container) => Lines::Container(container.id.clone()),
        None => Lines::Engine(engine_log(state, &environment.id)),
    };
    let instances = environment.instances.iter().map(|instance| (instance.id.clone(), lines(instance))).collect();
    Next::Work(Work::Tail(TailWork { environment: environment.id.clone(), instances }))
}

/// What the engine on an instance writes of a deployment that failed, as far as we tell of it.
fn engine_log(state: &State, environment: &str) -> Vec<String> {
    let errors = state.events.iter().filter(|event| {
        event.environment_id.as_deref() == Some(environment)
            && event.severity == Severity::Error
            && event.message.starts_with("Instance deployment")
    });
    errors.map(|event| format!("{} [ERROR] {}", event.date.format("%Y/%m/%d %H:%M:%S%.6f"), event.message)).collect()
}

/// Takes what was fetched: instances, and where their lines can be read.
pub fn take(state: &mut State, operation: &Operation, links: Vec<(String, String)>) {
    if links.is_empty() {
        fail(state, operation, "Failed to pull logs for environment instances.");
        return;
    }
    let Kind::Logs { kind } = &operation.kind else { return };
    for (instance, url) in links {
        say(state, operation, &format!("[Instance: {instance}] Successfully finished tailing 1 log(s)"));
        let sample = LogSample { kind: kind.clone(), instance, time: state.now(), url };
        if let Some(environment) = state.environment_mut(&operation.environment) {
            environment.samples.push(sample);
        }
    }
    say(state, operation, "Pulled logs for environment instances.");
}

/// `RetrieveEnvironmentInfo`: every sample that was ever asked for.
pub fn retrieve(state: &State, ask: &Ask<'_>) -> Answer {
    let kind = kind(ask)?;
    let environment = environments::named(state, ask.form, "")?;
    let samples = environment.samples.iter().filter(|sample| sample.kind == kind).map(|sample| {
        vec![
            text("InfoType", kind),
            text("Ec2InstanceId", &sample.instance),
            time("SampleTimestamp", sample.time),
            text("Message", &sample.url),
        ]
    });
    Ok(Some(vec![members("EnvironmentInfo", samples)]))
}
