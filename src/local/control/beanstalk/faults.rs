//! What the local Beanstalk was told to do wrong. Data: a fault is set, used up, and cleared like anything else.

use serde::{Deserialize, Serialize};

use crate::local::control::query::{Answer, ApiError, Form};
use crate::local::control::state::State;

/// What can go wrong on request. What goes wrong by itself (an image that is not there, a container that exits) needs
/// no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultName {
    /// The registry refuses the instances, as when the instance profile may not read from ECR.
    PullRefused,
    /// The environment's health is Red whatever its instances answer.
    HealthRed,
    /// Events show up `millis` later than they happen.
    LateEvents,
    /// The events that say that an operation succeeded are missing.
    NoSuccessEvent,
    /// Calls are refused with `Throttling`.
    Throttle,
    /// Calls are refused with status 500.
    ServerError,
    /// The call takes effect, its answer does not arrive.
    AnswerLost,
    /// A deployment fails on all instances and leaves them as they were.
    Rollback,
    /// An update does not go on while this is set.
    Stuck,
    /// Swaps are refused as if an environment was busy.
    SwapRefused,
    /// A deployment leaves the last instance on the old version and reports success.
    MixedFleet,
}

/// A fault that is set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetFault {
    /// What goes wrong.
    pub name: FaultName,
    /// Only for calls of this action.
    pub action: Option<String>,
    /// Only for this environment, by name or id.
    pub environment: Option<String>,
    /// How often it happens yet; `None`: until it is cleared.
    pub times: Option<u32>,
    /// A length in milliseconds, for faults that have one.
    pub millis: u32,
}

impl SetFault {
    /// A fault everywhere, until it is cleared.
    pub fn new(name: FaultName) -> Self {
        Self { name, action: None, environment: None, times: None, millis: 0 }
    }

    fn is_for(&self, name: FaultName, target: &Target<'_>) -> bool {
        self.name == name
            && match target {
                Target::Action(action) => self.action.as_deref().is_none_or(|only| only == *action),
                Target::Environment { id, name } => {
                    self.environment.as_deref().is_none_or(|only| only == *id || only == *name)
                }
            }
    }
}

/// What a fault may be limited to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A call.
    Action(&'a str),
    /// An environment.
    Environment {
        /// Its id.
        id: &'a str,
        /// Its name.
        name: &'a str,
    },
}

impl State {
    /// Whether such a fault is set for `target`; it is not used up by this.
    pub fn fault(&self, name: FaultName, target: Target<'_>) -> Option<&SetFault> {
        self.faults.iter().find(|fault| fault.is_for(name, &target))
    }

    /// Whether such a fault happens now; one that happens a number of times happens once less from now on.
    pub fn use_fault(&mut self, name: FaultName, target: Target<'_>) -> bool {
        let Some(index) = self.faults.iter().position(|fault| fault.is_for(name, &target)) else { return false };
        if let Some(times) = &mut self.faults[index].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(index);
            }
        }
        true
    }
}

/// `BeanlineSetFault(Name, ForAction?, Environment?, Times?, Millis?)`: a call of our own, for tests from outside.
pub fn set(state: &mut State, form: &Form) -> Answer {
    let name = form.required("Name")?;
    let known = serde_json::from_value(serde_json::Value::from(name));
    let name = known.map_err(|error| ApiError::invalid(format!("`{name}` is no fault: {error}")))?;
    state.faults.push(SetFault {
        name,
        action: form.text("ForAction").map(str::to_owned),
        environment: form.text("Environment").map(str::to_owned),
        times: form.number("Times", 1..=1_000_000)?.and_then(|times| u32::try_from(times).ok()),
        millis: form.number("Millis", 0..=3_600_000)?.and_then(|millis| u32::try_from(millis).ok()).unwrap_or(0),
    });
    Ok(None)
}

/// `BeanlineClearFaults`: nothing goes wrong any more, of what was set.
pub fn clear(state: &mut State) -> Answer {
    state.faults.clear();
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_was_told_and_only_where_it_was_told() {
        let mut state = State::new("w");
        set(&mut state, &Form::parse("Name=throttle&ForAction=DescribeEvents&Times=2")).unwrap();
        let events = Target::Action("DescribeEvents");
        assert!(!state.use_fault(FaultName::Throttle, Target::Action("CreateApplication")));
        assert!(state.use_fault(FaultName::Throttle, events) && state.use_fault(FaultName::Throttle, events));
        assert!(!state.use_fault(FaultName::Throttle, events));
        assert!(set(&mut state, &Form::parse("Name=bad-weather")).is_err());
    }
}
