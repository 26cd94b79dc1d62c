//! What the local cloud was told to do wrong. Data: a fault is set, used up, and cleared like anything else.

use chrono::TimeDelta;
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
    /// The environment's health is Red whatever its instances answer; with `millis` only for so long after the last
    /// operation on it.
    HealthRed,
    /// The environment's health is Red and Green in turn, each for `millis`, from the end of the last operation on.
    HealthFlaps,
    /// Events show up `millis` later than they happen.
    LateEvents,
    /// The events that say that an operation succeeded are missing.
    NoSuccessEvent,
    /// Events bear no request id.
    NoRequestId,
    /// Events fall on the same tenth of a second, and every other one changes places with the one before.
    ShuffledEvents,
    /// Calls are refused with `Throttling`.
    Throttle,
    /// Calls are refused with status 503.
    #[serde(alias = "unavailable")]
    ServerError,
    /// Calls are refused with status 500.
    InternalError,
    /// Calls are refused since the caller has no right to them.
    Denied,
    /// Calls are refused since the caller's session is over.
    ExpiredToken,
    /// The connection breaks before the call takes effect.
    Reset,
    /// The call takes effect, its answer does not arrive.
    #[serde(alias = "lose")]
    AnswerLost,
    /// The answer arrives `millis` later.
    Slow,
    /// A deployment fails on all instances and leaves them as they were.
    Rollback,
    /// A deployment fails on the last instance alone.
    LastFails,
    /// An update does not go on while this is set.
    Stuck,
    /// The same, and an event says that a stack could not be rolled back.
    StackStuck,
    /// A label turns out to be taken when a version of it is made.
    LabelTaken,
    /// A CNAME turns out to be taken when an environment that is to have it is made.
    CnameTaken,
    /// The account may have no more than `most` of what the action makes.
    Quota,
    /// Swaps are refused as if an environment was busy.
    SwapRefused,
    /// The platform begins an update of its own, of `millis`, just before an environment is to be changed.
    ManagedUpdate,
    /// A deployment leaves the last instance on the old version and reports success.
    MixedFleet,
    /// The world's clock is `seconds` ahead of this machine's, or behind it.
    Skew,
}

/// A fault that is set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetFault {
    /// What goes wrong.
    pub name: FaultName,
    /// Only for calls of this service, by its signing name.
    #[serde(default)]
    pub service: Option<String>,
    /// So many calls, or whatever else it is for, are left alone before.
    #[serde(default)]
    pub skip: u32,
    /// Only for calls of this action.
    pub action: Option<String>,
    /// Only for this environment, by name or id.
    pub environment: Option<String>,
    /// How often it happens yet; `None`: until it is cleared.
    pub times: Option<u32>,
    /// A length in milliseconds, for faults that have one.
    pub millis: u32,
    /// A difference in seconds, for faults that have one.
    #[serde(default)]
    pub seconds: i64,
    /// How probable it is each time, in percent; `None`: it is certain.
    #[serde(default)]
    pub percent: Option<u8>,
    /// A number of things, for faults that have one.
    #[serde(default)]
    pub most: u32,
}

impl SetFault {
    /// A fault everywhere, until it is cleared.
    pub fn new(name: FaultName) -> Self {
        let (service, action, environment, times, percent) = (None, None, None, None, None);
        Self { name, service, skip: 0, action, environment, times, millis: 0, seconds: 0, percent, most: 0 }
    }

    fn is_for(&self, name: FaultName, target: &Target<'_>) -> bool {
        self.name == name && self.is_at(target)
    }

    /// Whether it is for `target`, or may be.
    pub(in crate::local::control) fn is_at(&self, target: &Target<'_>) -> bool {
        let is = |only: &Option<String>, it: &str| only.as_deref().is_none_or(|only| only == it);
        match target {
            Target::Call { service, action } => is(&self.service, service) && is(&self.action, action),
            Target::Environment { id, name } => is(&self.environment, id) || is(&self.environment, name),
        }
    }
}

/// What a fault may be limited to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A call.
    Call {
        /// The service's signing name.
        service: &'a str,
        /// The action.
        action: &'a str,
    },
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

    /// How far the world's clock is ahead of this machine's.
    pub fn skew(&self) -> TimeDelta {
        let set = self.faults.iter().find(|fault| fault.name == FaultName::Skew);
        set.and_then(|fault| TimeDelta::try_seconds(fault.seconds)).unwrap_or_default()
    }

    /// Whether such a fault happens now; one that happens a number of times happens once less from now on.
    pub fn use_fault(&mut self, name: FaultName, target: Target<'_>) -> bool {
        self.take_fault(name, target).is_some()
    }

    /// The same, with what is set about it.
    pub fn take_fault(&mut self, name: FaultName, target: Target<'_>) -> Option<SetFault> {
        let index = self.faults.iter().position(|fault| fault.is_for(name, &target))?;
        let fault = &mut self.faults[index];
        if fault.percent.is_some_and(|percent| self.chance.percent() >= percent) {
            return None;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                return Some(self.faults.remove(index));
            }
        }
        Some(fault.clone())
    }
}

/// The largest number that a fault may be given: an hour in milliseconds.
const MOST: usize = 3_600_000;

/// `BeanlineSetFault(Name, Service?, ForAction?, Environment?, Skip?, Times?, Millis?, Seconds?, Percent?, Most?)`: a call
/// of our own, for tests from outside.
pub fn set(state: &mut State, form: &Form) -> Answer {
    let name = form.required("Name")?;
    let known = serde_json::from_value(serde_json::Value::from(name));
    let name = known.map_err(|error| ApiError::invalid(format!("`{name}` is no fault: {error}")))?;
    let number = |field, least| {
        let number = form.number(field, least..=MOST)?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    };
    state.faults.push(SetFault {
        name,
        service: form.text("Service").map(str::to_owned),
        skip: number("Skip", 0)?.unwrap_or_default(),
        action: form.text("ForAction").map(str::to_owned),
        environment: form.text("Environment").map(str::to_owned),
        times: number("Times", 1)?,
        seconds: form.text("Seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or_default(),
        millis: number("Millis", 0)?.unwrap_or_default(),
        percent: number("Percent", 0)?.and_then(|percent| u8::try_from(percent).ok()),
        most: number("Most", 0)?.unwrap_or_default(),
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
        let call = |action| Target::Call { service: "elasticbeanstalk", action };
        let events = call("DescribeEvents");
        assert!(!state.use_fault(FaultName::Throttle, call("CreateApplication")));
        assert!(state.use_fault(FaultName::Throttle, events) && state.use_fault(FaultName::Throttle, events));
        assert!(!state.use_fault(FaultName::Throttle, events));
        set(&mut state, &Form::parse("Name=lose&Service=s3&Skip=1&Times=1")).unwrap();
        assert!(!state.use_fault(FaultName::AnswerLost, events), "another service");
        let put = Target::Call { service: "s3", action: "PutObject" };
        let met = [(); 3].map(|()| state.use_fault(FaultName::AnswerLost, put));
        assert_eq!(met, [false, true, false], "the second call");
        assert!(set(&mut state, &Form::parse("Name=bad-weather")).is_err());
        set(&mut state, &Form::parse("Name=throttle&Service=sts&Percent=30")).unwrap();
        let ask = Target::Call { service: "sts", action: "GetCallerIdentity" };
        let met = (0..1000).filter(|_| state.use_fault(FaultName::Throttle, ask)).count();
        assert!((200..400).contains(&met), "{met} of a thousand");
    }
}
