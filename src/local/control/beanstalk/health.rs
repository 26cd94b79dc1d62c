//! Health: what instances answer, what that makes of an environment, and the events when it changes.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::model::{Environment, HealthStatus, Kind, Reading, Severity, Status};
use super::settings;

/// An environment's health and the reasons for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    health: HealthStatus,
    causes: Vec<String>,
}

/// The containers to be asked: id, `ip:port`, path.
pub fn questions(state: &State) -> Vec<(String, String, String)> {
    let mut questions = Vec::new();
    for environment in &state.environments {
        let path = settings::health_path(&environment.settings);
        let containers = environment.instances.iter().filter_map(|instance| instance.container.as_ref());
        let containers = containers.filter(|container| !container.address.is_empty());
        questions.extend(containers.map(|c| (c.id.clone(), c.address.clone(), path.clone())));
    }
    questions
}

/// Whether an answer is another than the last one.
pub fn is_news(state: &State, answers: &[(String, Reading)]) -> bool {
    let instances = state.environments.iter().flat_map(|environment| &environment.instances);
    instances
        .filter_map(|i| Some((i.container.as_ref()?, i.reading)))
        .any(|(container, reading)| answers.iter().any(|(id, answer)| *id == container.id && *answer != reading))
}

/// Takes answers, by container id.
pub fn hear(state: &mut State, answers: &[(String, Reading)], now: DateTime<Utc>) {
    for instance in state.environments.iter_mut().flat_map(|environment| &mut environment.instances) {
        let Some(container) = &instance.container else { continue };
        if let Some((_, reading)) = answers.iter().find(|(id, _)| *id == container.id) {
            instance.reading = *reading;
        }
    }
    refresh_all(state, now);
}

/// Whether [`refresh_all`] would change anything.
pub fn is_due(state: &State, now: DateTime<Utc>) -> bool {
    state.environments.iter().any(|environment| change(state, environment, now).is_some())
}

/// Judges every environment again and tells of transitions. They are nobody's request: their events have no request id.
pub fn refresh_all(state: &mut State, now: DateTime<Utc>) {
    for index in 0..state.environments.len() {
        let Some((judgement, color)) = change(state, &state.environments[index], now) else { continue };
        let environment = &mut state.environments[index];
        let before = environment.clone();
        environment.health = judgement.health;
        environment.causes = judgement.causes;
        environment.color = color.to_owned();
        let after = environment.clone();
        let message = match settings::is_enhanced(&after) {
            true if before.health != after.health => Some(enhanced_message(&before, &after, now)),
            false if before.color != after.color => basic_message(&before, &after),
            _ => None,
        };
        let silent = matches!(after.status, Status::Terminating | Status::Terminated);
        if let Some(message) = message.filter(|_| !silent) {
            let severity = if after.color == "Red" { Severity::Warn } else { Severity::Info };
            state.tell(&after.id, None, severity, &message);
        }
    }
}

fn change(state: &State, environment: &Environment, now: DateTime<Utc>) -> Option<(Judgement, &'static str)> {
    let judgement = judge(state, environment, now)?;
    let color = color(state, environment, &judgement);
    let same = judgement.health == environment.health && color == environment.color;
    // Causes count seconds; they are not a change by themselves while an operation runs.
    let settled = environment.status != Status::Ready || judgement.causes == environment.causes;
    (!(same && settled)).then_some((judgement, color))
}

/// The colour. Basic reporting knows nothing but what the load balancer sees, and nothing at all while it is busy.
fn color(state: &State, environment: &Environment, judgement: &Judgement) -> &'static str {
    if settings::is_enhanced(environment) || is_told_red(state, environment) || environment.status == Status::Terminated
    {
        return judgement.health.color();
    }
    let good = environment.instances.iter().filter(|instance| instance.reading.is_good()).count();
    match (environment.status, operates(state, environment)) {
        (Status::Ready, _) | (Status::Updating, None) if good == 0 && !environment.instances.is_empty() => "Red",
        (Status::Ready, _) | (Status::Updating, None) if good == environment.instances.len() && good > 0 => "Green",
        (Status::Ready, _) | (Status::Updating, None) if good > 0 => "Yellow",
        _ => "Grey",
    }
}

fn is_told_red(state: &State, environment: &Environment) -> bool {
    let target = Target::Environment { id: &environment.id, name: &environment.name };
    let rests = (state.now() - environment.updated).num_milliseconds();
    let red = state.fault(FaultName::HealthRed, target);
    let red = red.is_some_and(|fault| fault.millis == 0 || rests < i64::from(fault.millis));
    let flaps = state.fault(FaultName::HealthFlaps, target);
    let flaps = flaps.is_some_and(|fault| (rests / i64::from(fault.millis.max(1))) % 2 == 0);
    environment.status == Status::Ready && (red || flaps)
}

/// When the operation on its instances that is under way began.
fn operates(state: &State, environment: &Environment) -> Option<DateTime<Utc>> {
    let mut own = state.operations.iter().filter(|operation| operation.environment == environment.id);
    own.find(|operation| matches!(operation.kind, Kind::Update { .. })).map(|operation| operation.began)
}

/// What an environment's health is. `None`: as before, until more is known.
fn judge(state: &State, environment: &Environment, now: DateTime<Utc>) -> Option<Judgement> {
    let because = |health, causes| Some(Judgement { health, causes });
    let count = environment.instances.len();
    let ran = |began: DateTime<Utc>| in_words((now - began).to_std().unwrap_or_default());
    match (environment.status, operates(state, environment)) {
        (Status::Terminating | Status::Terminated, _) => return because(HealthStatus::Suspended, Vec::new()),
        (Status::Launching, _) => {
            let mut causes = vec![format!("Initialization in progress (running for {}).", ran(environment.created))];
            causes.extend((count == 0).then(|| "There are no instances.".to_owned()));
            return because(HealthStatus::Pending, causes);
        }
        (_, Some(began)) => {
            let done = environment.instances.iter().filter(|i| {
                i.deployment.as_ref().is_some_and(|d| d.number == environment.deployment && d.status == "Deployed")
            });
            let (plural, done) = (if count == 1 { "" } else { "s" }, done.count());
            let progress = format!("{done} out of {count} instance{plural} completed (running for {}).", ran(began));
            let cause = format!("Application update in progress on {count} instance{plural}. {progress}");
            return because(HealthStatus::Info, vec![cause]);
        }
        _ => {}
    }
    if is_told_red(state, environment) {
        return because(HealthStatus::Severe, vec!["100.0 % of the requests are failing with HTTP 5xx.".to_owned()]);
    }
    if count == 0 {
        return because(HealthStatus::NoData, vec!["There are no instances.".to_owned()]);
    }
    if environment.health_held_until > now || environment.instances.iter().any(|i| i.reading == Reading::Unasked) {
        return None;
    }
    let (health, causes) = at_rest(environment);
    because(health, causes)
}

fn at_rest(environment: &Environment) -> (HealthStatus, Vec<String>) {
    let all = environment.instances.len();
    let count = |is: &dyn Fn(&super::model::Instance) -> bool| environment.instances.iter().filter(|i| is(i)).count();
    let bad = count(&|instance| !instance.reading.is_good());
    let failed = count(&|instance| instance.deployment.as_ref().is_some_and(|d| d.status == "Failed"));
    let expected = environment.deployed_label.as_ref().or(environment.version_label.as_ref());
    let other = count(&|i| i.deployment.as_ref().is_some_and(|d| d.status == "Deployed" && Some(&d.label) != expected));
    let mut causes = Vec::new();
    if failed > 0 {
        let instances =
            if failed == all { "all instances".to_owned() } else { format!("{failed} out of {all} instances") };
        causes.push(format!("Command failed on {instances}."));
    }
    if other > 0 {
        let (label, number) = (expected.map_or("", String::as_str), environment.deployment);
        let found = format!("Incorrect application version found on {other} out of {all} instances.");
        causes.push(format!("{found} Expected version \"{label}\" (deployment {number})."));
    }
    if bad > 0 {
        causes.push(format!("{bad} out of {all} instances do not pass their health check."));
    }
    let health = match (bad, failed + other) {
        (0, 0) => HealthStatus::Ok,
        (bad, _) if bad == all => HealthStatus::Severe,
        _ => HealthStatus::Degraded,
    };
    (health, causes)
}

fn enhanced_message(before: &Environment, after: &Environment, now: DateTime<Utc>) -> String {
    let from = match before.health {
        HealthStatus::NoData => String::new(),
        health => format!(" from {}", health.word()),
    };
    let mut sentences = vec![format!("Environment health has transitioned{from} to {}.", after.health.word())];
    sentences.extend(after.causes.iter().cloned());
    let recent = matches!(before.health, HealthStatus::Info | HealthStatus::Pending);
    if let Some((began, ended)) = after.last_operation.filter(|_| recent && after.status == Status::Ready) {
        let what = if before.health == HealthStatus::Pending { "Initialization" } else { "Application update" };
        let [ago, took] = [now - ended, ended - began].map(|time| in_words(time.to_std().unwrap_or_default()));
        sentences.push(format!("{what} completed {ago} ago and took {took}."));
    }
    sentences.join(" ")
}

fn basic_message(before: &Environment, after: &Environment) -> Option<String> {
    let [from, to] = [&before.color, &after.color].map(|color| color.to_ascii_uppercase());
    match (from.as_str(), to.as_str()) {
        (_, "GREY") => None,
        ("GREY", to) => Some(format!("Environment health has been set to {to}")),
        (from, to) => Some(format!("Environment health has transitioned from {from} to {to}")),
    }
}

/// A time as health's sentences put it.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        1 => "1 second".to_owned(),
        seconds @ 0..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
