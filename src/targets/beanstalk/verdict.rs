//! The verdict on an operation: one pure function over what the platform shows. `Ready` and `Green` alone prove
//! nothing.

use std::time::Duration;

use super::operation::{Kind, Operation};
use super::platform::{Environment, Instance, PlatformEvent, Severity, Status, colour_word, transition};
use crate::inputs::Health;

/// What an operation has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not over; what is being waited for, as a fragment.
    Moving(String),
    /// Done, and how we know.
    Succeeded(Proof),
    /// Over, and not as wanted.
    Failed {
        /// What went wrong, as a clause about the environment.
        what: String,
        /// The platform's own words, oldest first.
        causes: Vec<String>,
    },
}

/// What success is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// What says so.
    pub by: Witness,
    /// How many instances there are; each has said that it runs the version. `None` with basic health, and where no
    /// version was deployed.
    pub instances: Option<usize>,
}

/// What says that an operation succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The operation's own success event.
    Event,
    /// No event came, but the state asked of the API is the wanted one: every instance, the CNAME, or that it is gone.
    State,
}

/// What the instances say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fleet<'a> {
    /// Not asked, or not answered.
    Unknown,
    /// Basic health: instances report no deployment.
    Basic,
    /// A policy forbids the question: no later one will be answered either.
    Denied,
    /// Enhanced health.
    Listed(&'a [Instance]),
}

/// When something counts.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Health that counts as well.
    pub minimum_health: Health,
    /// How long it must stay so.
    pub healthy_for: Duration,
    /// How long after `Ready` it may take to get there.
    pub health_timeout: Duration,
    /// How long after `Ready` events may still arrive: up to ten seconds in published logs.
    pub late_events: Duration,
    /// How long `Ready` on another version lasts before it is a roll-back.
    pub rolled_back_after: Duration,
    /// How long after `Ready` the instances' word counts when no success event came.
    pub unconfirmed_after: Duration,
}

/// How long each state has been seen without a break; `None` when it does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// `Ready`, whatever else.
    pub ready: Option<Duration>,
    /// `Ready` with the wanted version or CNAME.
    pub on_target: Option<Duration>,
    /// `Ready` with another one.
    pub off_target: Option<Duration>,
    /// At or above the minimum health.
    pub healthy: Option<Duration>,
    /// Not listed by the platform.
    pub missing: Option<Duration>,
}

impl Held {
    /// What it will be after `time` if nothing changes.
    pub fn later(&self, time: Duration) -> Self {
        let later = |held: Option<Duration>| held.map(|held| held + time);
        Self {
            ready: later(self.ready),
            on_target: later(self.on_target),
            off_target: later(self.off_target),
            healthy: later(self.healthy),
            missing: later(self.missing),
        }
    }
}

/// Texts that mean failure whatever their severity, as published logs and the EB CLI (`ebcli/resources/strings.py`) have
/// them: AWS lists no event texts.
const FAILURES: [&str; 7] = [
    "Failed to launch environment.",
    "Failed to deploy application.",
    "Failed to deploy configuration.",
    "The environment was reverted",
    "Update environment operation is complete, but with",
    "Create environment operation is complete, but with",
    "The environment termination step failed",
];

/// Judges an operation. `events` are all of the environment's since the operation's anchor, oldest first;
/// `environment` is `None` when the platform does not list it.
pub fn judge(
    operation: &Operation,
    events: &[PlatformEvent],
    environment: Option<&Environment>,
    fleet: Fleet,
    held: Held,
    demand: &Demand,
) -> Verdict {
    let own = operation.own(events);
    let troubles: Vec<String> = own.iter().filter(|event| is_trouble(event)).map(|e| e.message.clone()).collect();
    let strays = events.iter().filter(|event| event.request_id.is_none() && is_trouble(event));
    let strays =
        strays.filter(|event| transition(&event.message).is_none()).map(|event| event.message.clone()).collect();
    let succeeded = own.iter().any(|event| is_success(&operation.kind, &event.message));
    let seen = Seen { operation, troubles, strays, succeeded, held, demand };
    match &operation.kind {
        Kind::Terminate => seen.terminate(environment),
        Kind::Swap { .. } => seen.swap(environment),
        Kind::Create { label } | Kind::Update { label } | Kind::Configure { label } => {
            seen.deployment(label, environment, fleet)
        }
    }
}

/// Whether an event of an operation says that it succeeded.
pub fn is_success(kind: &Kind, message: &str) -> bool {
    message.starts_with(kind.success()) && !message.contains("However, there were issues")
}

/// Whether an event of an operation means that it fails.
pub fn is_trouble(event: &PlatformEvent) -> bool {
    let text = &event.message;
    event.severity >= Severity::Error
        || FAILURES.iter().any(|failure| text.starts_with(failure))
        || text.contains("However, there were issues")
        || text.contains("Summary: [") && ["Failed: ", "TimedOut: "].iter().any(|word| counts(text, word))
}

/// Whether `word` is followed by a number other than zero.
fn counts(text: &str, word: &str) -> bool {
    let Some((_, rest)) = text.split_once(word) else { return false };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().is_ok_and(|number| number > 0)
}

struct Seen<'a> {
    operation: &'a Operation,
    troubles: Vec<String>,
    /// Errors that name no request: they prove nothing, but may be the reason for what is seen.
    strays: Vec<String>,
    succeeded: bool,
    held: Held,
    demand: &'a Demand,
}

impl Seen<'_> {
    fn moving(text: impl Into<String>) -> Verdict {
        Verdict::Moving(text.into())
    }

    fn failed(self, what: impl Into<String>, more: impl IntoIterator<Item = String>) -> Verdict {
        let mut causes = self.troubles;
        if causes.is_empty() {
            causes = self.strays;
        }
        causes.extend(more);
        let mut known = std::collections::HashSet::new();
        causes.retain(|cause| known.insert(cause.clone()));
        Verdict::Failed { what: what.into(), causes }
    }

    /// `fleet` has been found to run the version, if a version was deployed.
    fn proof(&self, fleet: Fleet) -> Proof {
        let instances = match fleet {
            Fleet::Listed(instances) => Some(instances.len()),
            Fleet::Basic | Fleet::Unknown | Fleet::Denied => None,
        };
        Proof { by: if self.succeeded { Witness::Event } else { Witness::State }, instances }
    }

    fn terminate(self, environment: Option<&Environment>) -> Verdict {
        match environment.map(|environment| environment.status) {
            None | Some(Status::Terminated) => Verdict::Succeeded(self.proof(Fleet::Unknown)),
            Some(Status::Ready) if lasts(self.held.ready, self.demand.rolled_back_after) => {
                self.failed("is Ready again instead of gone", [])
            }
            Some(Status::Ready) if !self.troubles.is_empty() => self.failed("could not be terminated", []),
            Some(status) => Self::moving(format!("it is {status}")),
        }
    }

    fn swap(self, environment: Option<&Environment>) -> Verdict {
        let Some(environment) = environment else { return self.not_listed() };
        if environment.status.is_ending() {
            return self.failed(format!("is {} in the middle of the swap", environment.status), []);
        }
        if environment.status != Status::Ready {
            return Self::moving(format!("it is {}", environment.status));
        }
        if self.held.on_target.is_some() {
            if self.succeeded || lasts(self.held.on_target, self.demand.late_events) {
                return Verdict::Succeeded(self.proof(Fleet::Unknown));
            }
            return Self::moving("it holds the name; its event is awaited");
        }
        if !self.troubles.is_empty() && lasts(self.held.ready, self.demand.late_events) {
            return self.failed("did not get the name", []);
        }
        if lasts(self.held.off_target, self.demand.rolled_back_after) {
            return self.failed(format!("is Ready and still answers to {}", environment.cname), []);
        }
        Self::moving("the name has not moved yet")
    }

    fn not_listed(self) -> Verdict {
        if lasts(self.held.missing, self.demand.unconfirmed_after) {
            return self.failed("is not listed by Elastic Beanstalk any more", [EMPTY.to_owned()]);
        }
        Self::moving("it is not listed yet")
    }

    fn deployment(self, label: &str, environment: Option<&Environment>, fleet: Fleet) -> Verdict {
        let Some(environment) = environment else { return self.not_listed() };
        match environment.status {
            Status::Terminated => return self.failed("was terminated", []),
            Status::Ready => {}
            // After the first error reading goes on, so that the cause is known and shown.
            status => return Self::moving(format!("it is {status}")),
        }
        let running = &environment.version_label;
        let settled = lasts(self.held.ready, self.demand.late_events);
        if !self.troubles.is_empty() {
            let what = match running == label {
                true => "came back with errors".to_owned(),
                false => format!("failed and runs version {running}"),
            };
            return if settled { self.failed(what, []) } else { Self::moving("the events of a failure") };
        }
        if running != label {
            if lasts(self.held.off_target, self.demand.rolled_back_after) {
                return self.failed(format!("was rolled back by Elastic Beanstalk and runs version {running}"), []);
            }
            return Self::moving(format!("it is Ready on version {running}"));
        }
        if let Fleet::Listed(instances) = fleet
            && let Some(broken) = instances.iter().find(|instance| instance.has_failed())
            && settled
        {
            return self.failed("has an instance whose deployment failed", told(broken));
        }
        if matches!(self.operation.kind, Kind::Create { .. })
            && environment.health == Health::Red
            && self.demand.minimum_health > Health::Red
            && settled
        {
            return self.failed("came up Red", causes_of(fleet));
        }
        self.confirmed(label, environment, fleet)
    }

    /// `Ready` on our version, without an error.
    fn confirmed(self, label: &str, environment: &Environment, fleet: Fleet) -> Verdict {
        let late = lasts(self.held.on_target, self.demand.unconfirmed_after);
        let overdue = lasts(self.held.on_target, self.demand.health_timeout);
        let settled = lasts(self.held.ready, self.demand.late_events);
        if !self.succeeded && late && fleet == Fleet::Basic {
            return self.failed(
                "is Ready on the version, but no success event came and with basic health no instance can be asked",
                [],
            );
        }
        if !self.succeeded && !late {
            return Self::moving("its success event");
        }
        if !self.succeeded && matches!(self.operation.kind, Kind::Configure { .. }) {
            return self.failed("is Ready, but no event says that its settings were changed", []);
        }
        let missing = match fleet {
            Fleet::Basic => None,
            Fleet::Denied if settled => {
                return self.failed("has instances that may not be asked for their version", []);
            }
            Fleet::Denied => Some(("has instances that may not be asked for their version".to_owned(), Vec::new())),
            Fleet::Unknown => Some(("has instances that could not be asked for their version".to_owned(), Vec::new())),
            Fleet::Listed([]) => Some(("has no instances".to_owned(), Vec::new())),
            Fleet::Listed(instances) => {
                let others: Vec<&Instance> = instances.iter().filter(|instance| !instance.runs(label)).collect();
                let (count, all) = (others.len(), instances.len());
                (count > 0).then(|| {
                    let what = format!("has {count} of {all} instances that do not run version {label}");
                    (what, others.into_iter().flat_map(told).collect())
                })
            }
        };
        if let Some((what, causes)) = missing {
            return if overdue { self.failed(what, causes) } else { Self::moving(format!("it {what}")) };
        }
        let enough = lasts(self.held.healthy, self.demand.healthy_for);
        if enough && settled {
            return Verdict::Succeeded(self.proof(fleet));
        }
        let (is, wanted) = (colour_word(environment.health), colour_word(self.demand.minimum_health));
        if overdue && self.held.healthy.is_none() {
            return self.failed(format!("runs the version, but its health is {is}, not {wanted}"), causes_of(fleet));
        }
        Self::moving(format!("its health is {is}; {wanted} must last"))
    }
}

/// What an empty answer may mean as well ("Actions, resources, and condition keys", Elastic Beanstalk's developer guide:
/// describing leaves out what the caller may not see).
pub const EMPTY: &str = "what a role may not see is left out of the platform's lists without an error: \
                         elasticbeanstalk:DescribeEnvironments must be allowed on it";

fn lasts(held: Option<Duration>, long_enough: Duration) -> bool {
    held.is_some_and(|time| time >= long_enough)
}

fn told(instance: &Instance) -> Vec<String> {
    std::iter::once(instance.to_string()).chain(instance.causes.iter().cloned()).collect()
}

fn causes_of(fleet: Fleet) -> Vec<String> {
    match fleet {
        Fleet::Listed(instances) => instances.iter().flat_map(|instance| instance.causes.clone()).collect(),
        Fleet::Basic | Fleet::Unknown | Fleet::Denied => Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests;
