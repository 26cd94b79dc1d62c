//! Events: told as they happen, described newest first.

use crate::local::control::query::{Answer, ApiError, Element, members, text, time};
use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::model::{Event, Severity};
use super::{Ask, environments};

/// How the texts begin that say that an operation succeeded.
const SUCCESS: [&str; 4] = [
    "Environment update completed successfully.",
    "Successfully launched environment: ",
    "Completed swapping CNAMEs for environments ",
    "terminateEnvironment completed successfully.",
];

/// Events that are kept; the oldest are dropped.
const KEPT: usize = 20_000;

impl State {
    /// Something happened to an environment. `request_id` is the call that caused it, if one did.
    pub fn tell(&mut self, environment: &str, request_id: Option<&str>, severity: Severity, message: &str) {
        let Some(found) = self.environment(environment) else { return };
        let target = Target::Environment { id: &found.id, name: &found.name };
        if self.fault(FaultName::NoSuccessEvent, target).is_some() && SUCCESS.iter().any(|s| message.starts_with(s)) {
            return;
        }
        let request_id = request_id.filter(|_| self.fault(FaultName::NoRequestId, target).is_none());
        let shuffled = self.fault(FaultName::ShuffledEvents, target).is_some();
        let tenth = if shuffled { i64::from(self.now().timestamp_subsec_millis() % 100) } else { 0 };
        let delay = self.fault(FaultName::LateEvents, target).map_or(0, |fault| fault.millis);
        let event = Event {
            number: 0,
            date: self.now() - chrono::Duration::milliseconds(tenth),
            visible: self.now() + chrono::Duration::milliseconds(delay.into()),
            severity,
            message: message.to_owned(),
            request_id: request_id.map(str::to_owned),
            application: found.application.clone(),
            environment_id: Some(found.id.clone()),
            environment: Some(found.name.clone()),
            version_label: None,
        };
        self.keep(event);
        if shuffled {
            self.shuffle();
        }
    }

    /// Every other event changes places with the one before, if both bear the same time.
    fn shuffle(&mut self) {
        if let [.., before, last] = self.events.as_mut_slice()
            && before.date == last.date
            && last.number.is_multiple_of(2)
        {
            std::mem::swap(before, last);
            std::mem::swap(&mut before.number, &mut last.number);
        }
    }

    /// Something happened to an application or one of its versions.
    pub fn tell_application(
        &mut self,
        application: &str,
        version: Option<&str>,
        request_id: &str,
        severity: Severity,
        message: &str,
    ) {
        self.keep(Event {
            number: 0,
            date: self.now(),
            visible: self.now(),
            severity,
            message: message.to_owned(),
            request_id: Some(request_id.to_owned()),
            application: application.to_owned(),
            environment_id: None,
            environment: None,
            version_label: version.map(str::to_owned),
        });
    }

    fn keep(&mut self, event: Event) {
        let number = self.next_number();
        self.events.push(Event { number, ..event });
        let surplus = self.events.len().saturating_sub(KEPT);
        self.events.drain(..surplus);
    }
}

/// `DescribeEvents`.
pub fn describe(state: &State, ask: &Ask<'_>) -> Answer {
    let form = ask.form;
    let least = match form.text("Severity") {
        None | Some("TRACE" | "DEBUG" | "INFO") => Severity::Info,
        Some("WARN") => Severity::Warn,
        // Nothing here is FATAL, but who asks for that gets no ERROR.
        Some("ERROR") => Severity::Error,
        Some("FATAL") => return Ok(Some(vec![members("Events", [])])),
        Some(other) => {
            let rule = "Member must satisfy enum value set: [TRACE, DEBUG, INFO, WARN, ERROR, FATAL]";
            return Err(ApiError::constraint(other, "Severity", rule));
        }
    };
    if let Some(id) = form.text("EnvironmentId") {
        state.environment(id).ok_or_else(|| environments::no_such_id(id))?;
    }
    let (start, end) = (form.time("StartTime")?, form.time("EndTime")?);
    let most = form.number("MaxRecords", 1..=1000)?.unwrap_or(1000);
    let before = match form.text("NextToken") {
        None => u64::MAX,
        Some(token) => token.parse().map_err(|_| ApiError::invalid(format!("Invalid NextToken: {token}")))?,
    };
    let is = |field: &str, value: Option<&str>| form.text(field).is_none_or(|wanted| value == Some(wanted));
    let mut found = state.events.iter().rev().filter(|event| {
        event.number < before
            && event.visible <= ask.now
            && event.severity >= least
            && start.is_none_or(|start| event.date >= start)
            && end.is_none_or(|end| event.date < end)
            && is("ApplicationName", Some(&event.application))
            && is("EnvironmentId", event.environment_id.as_deref())
            && is("EnvironmentName", event.environment.as_deref())
            && is("VersionLabel", event.version_label.as_deref())
            && is("RequestId", event.request_id.as_deref())
    });
    let page: Vec<&Event> = found.by_ref().take(most).collect();
    let token = found.next().and(page.last()).map(|last| text("NextToken", last.number));
    let mut result = vec![members("Events", page.into_iter().map(element))];
    result.extend(token);
    Ok(Some(result))
}

fn element(event: &Event) -> Vec<Element> {
    let severity = match event.severity {
        Severity::Info => "INFO",
        Severity::Warn => "WARN",
        Severity::Error => "ERROR",
    };
    let mut children = vec![
        time("EventDate", event.date),
        text("Message", &event.message),
        text("ApplicationName", &event.application),
        text("Severity", severity),
    ];
    let optional = [
        ("EnvironmentName", &event.environment),
        ("VersionLabel", &event.version_label),
        ("RequestId", &event.request_id),
    ];
    children.extend(optional.into_iter().filter_map(|(name, value)| Some(text(name, value.as_ref()?))));
    children
}
