//! Waiting for an operation: what the watcher sees goes to the reader and to the verdict, and the verdict says when the
//! next look is due.

use std::time::Duration;

use tokio::time::Instant;

use super::call::{Told, while_doing};
use super::operation::Operation;
use super::pace::Pace;
use super::platform::{Environment, Instance, PlatformEvent, Status};
use super::since::{Dated, Since, moments};
use super::verdict::{Demand, Fleet, Held, Proof, Verdict, Witness, judge};
use super::watcher::{Answer, Sight, Tick, Watcher};
use crate::cloud::code::session_is_over;
use crate::engine::event::Fact;
use crate::engine::retry::pause;
use crate::fault::Fault;

/// An operation that is over as wanted.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// How we know.
    pub proof: Proof,
    /// The environment as it was seen last; `None` when it is gone.
    pub environment: Option<Environment>,
}

/// Waits until the verdict on `operation` is in, at most for `limit`. Every event is told once, in order.
///
/// # Errors
/// What the verdict says, with the platform's causes; or that the time is up, and what the environment is doing.
pub async fn conclude(
    watcher: &Watcher,
    told: Told<'_>,
    operation: &Operation,
    demand: &Demand,
    limit: Duration,
) -> Result<Concluded, Fault> {
    let mut waiting = Waiting::new(watcher.pace(), told, operation, demand);
    // What was begun by another, or without an answer, may be over already.
    let first = match operation.request_id {
        Some(_) => waiting.while_busy(Duration::ZERO),
        None => Duration::ZERO,
    };
    let mut watching = watcher.watch(operation, first);
    let mut time_out = std::pin::pin!(pause(limit));
    loop {
        let tick = tokio::select! {
            tick = watching.next() => tick,
            () = &mut time_out => return Err(waiting.too_late(limit)),
        };
        let alone = || format!("Elastic Beanstalk goes on to {operation} without us");
        match tick {
            Some(Tick::Seen(sight)) => match waiting.take(*sight) {
                Step::Look { after, with_instances } => watching.look_in(after, with_instances),
                Step::Over(result) => return *result,
            },
            Some(Tick::Skipped(why)) => waiting.skipped = Some(why),
            Some(Tick::Expired(why)) => return Err(while_doing(alone(), session_is_over(&why))),
            Some(Tick::Denied(fault)) => return Err(while_doing(alone(), fault)),
            None => return Err(Fault::new(format!("could not {operation}")).cause("the watcher stopped")),
        }
    }
}

/// What comes after a look.
enum Step {
    /// Another one.
    Look { after: Duration, with_instances: bool },
    /// The verdict.
    Over(Box<Result<Concluded, Fault>>),
}

/// What the instances said last, since the environment was Ready on the version.
#[derive(Debug)]
enum Known {
    Nothing,
    Basic,
    Denied,
    Listed(Vec<Instance>),
}

/// One operation that is waited for, and what is known of it.
struct Waiting<'a> {
    pace: Pace,
    told: Told<'a>,
    operation: &'a Operation,
    demand: &'a Demand,
    began: Instant,
    since: Since,
    events: Vec<PlatformEvent>,
    fleet: Known,
    /// Questions that a policy forbids.
    denied: Vec<Fault>,
    doing: String,
    skipped: Option<String>,
}

impl<'a> Waiting<'a> {
    fn new(pace: Pace, told: Told<'a>, operation: &'a Operation, demand: &'a Demand) -> Self {
        Self {
            pace,
            told,
            operation,
            demand,
            began: Instant::now(),
            since: Since::default(),
            events: Vec::new(),
            fleet: Known::Nothing,
            denied: Vec::new(),
            doing: "nothing was heard of it".to_owned(),
            skipped: None,
        }
    }

    fn take(&mut self, sight: Sight) -> Step {
        let Sight { at, environment, events, instances } = sight;
        self.skipped = None;
        let unheard = matches!(events, Answer::Unheard) || matches!(instances, Answer::Unheard);
        self.hear(events);
        self.muster(environment.as_ref(), instances);
        let now = self.began.elapsed();
        let minimum = self.demand.minimum_health;
        let dated = Dated::of(self.operation, &self.events, minimum, (now, at));
        let held = self.since.see(now, self.operation, environment.as_ref(), minimum, dated);
        match self.judge(environment.as_ref(), held) {
            Verdict::Moving(text) => self.doing = text,
            // An error may be among the events that were not read.
            Verdict::Succeeded(_) if unheard => self.doing = "the last events".to_owned(),
            Verdict::Succeeded(proof) => return Step::Over(Box::new(Ok(Concluded { proof, environment }))),
            Verdict::Failed { what, causes } => {
                let fault = Fault::new(format!("could not {}: it {what}", self.operation));
                let fault = causes.into_iter().fold(fault, Fault::cause);
                return Step::Over(Box::new(Err(self.with_denials(fault))));
            }
        }
        let after = match &environment {
            _ if unheard => self.pace.first,
            Some(environment) if environment.status != Status::Ready => self.while_busy(now),
            environment => self.when_settled(environment.as_ref(), held),
        };
        Step::Look { after, with_instances: !self.is_complete() }
    }

    fn hear(&mut self, events: Answer<Vec<PlatformEvent>>) {
        match events {
            Answer::Heard(new) => {
                new.iter().for_each(|event| self.tell(event));
                self.events.extend(new);
                // Late ones belong where they happened.
                self.events.sort_by_key(|event| event.at);
            }
            Answer::Denied(fault) => self.deny(fault, "whether it succeeded is asked of the instances alone"),
            Answer::NotAsked | Answer::Unheard => {}
        }
    }

    /// Takes what the instances say. It counts until the environment leaves its state.
    fn muster(&mut self, environment: Option<&Environment>, instances: Answer<Option<Vec<Instance>>>) {
        let stands =
            environment.is_some_and(|seen| seen.status == Status::Ready && self.operation.kind.is_reached(seen));
        if !stands {
            self.fleet = Known::Nothing;
        }
        match instances {
            Answer::Heard(None) => self.fleet = Known::Basic,
            Answer::Heard(Some(instances)) => self.fleet = Known::Listed(instances),
            Answer::Denied(fault) => {
                self.fleet = Known::Denied;
                self.deny(fault, "no instance can be asked which version it runs");
            }
            Answer::NotAsked | Answer::Unheard => {}
        }
    }

    /// Says once that a question is forbidden, and what follows from it.
    fn deny(&mut self, fault: Fault, therefore: &str) {
        if self.denied.iter().any(|known| known.what() == fault.what()) {
            return;
        }
        if let Some(cx) = self.told {
            cx.warn(format!("{}: {therefore}", fault.what()));
        }
        self.denied.push(fault);
    }

    fn judge(&self, environment: Option<&Environment>, held: Held) -> Verdict {
        let fleet = match &self.fleet {
            Known::Nothing => Fleet::Unknown,
            Known::Basic => Fleet::Basic,
            Known::Denied => Fleet::Denied,
            Known::Listed(instances) => Fleet::Listed(instances),
        };
        judge(self.operation, &self.events, environment, fleet, held, self.demand)
    }

    /// Whether all instances have reported what is wanted.
    fn is_complete(&self) -> bool {
        match (&self.fleet, self.operation.kind.label()) {
            (Known::Listed(instances), Some(label)) => {
                !instances.is_empty() && instances.iter().all(|instance| instance.runs(label))
            }
            (Known::Denied | Known::Basic, _) | (_, None) => true,
            (Known::Nothing, Some(_)) => false,
        }
    }

    fn while_busy(&self, age: Duration) -> Duration {
        let usual = self.operation.anchor.as_ref().and_then(|anchor| anchor.usual.time(&self.operation.kind));
        self.pace.while_busy(&self.operation.kind, age, usual)
    }

    /// Until the moment at which the verdict will be in if nothing changes; sooner where something must change for it.
    fn when_settled(&self, environment: Option<&Environment>, held: Held) -> Duration {
        let moments = moments(&held, self.demand);
        for moment in &moments {
            match self.judge(environment, held.later(*moment)) {
                Verdict::Moving(_) => {}
                Verdict::Succeeded(Proof { by: Witness::Event, .. }) => return (*moment).min(self.pace.longest * 2),
                // The event that would spare the wait may come at any time.
                Verdict::Succeeded(_) | Verdict::Failed { .. } => break,
            }
        }
        moments.first().copied().unwrap_or(self.pace.longest).clamp(self.pace.first, self.pace.longest)
    }

    fn tell(&self, event: &PlatformEvent) {
        let (at, severity) = (event.at.to_string(), event.severity.to_string());
        if let Some(cx) = self.told {
            cx.fact(Fact::Platform { at, severity, message: event.message.trim_end().to_owned() });
        }
    }

    fn too_late(&self, limit: Duration) -> Fault {
        let (operation, time) = (self.operation, crate::engine::in_words(limit));
        let fault = Fault::timed_out(format!("could not {operation} within {time}"));
        let fault = self.with_denials(fault.cause(format!("waited for: {}", self.doing)));
        match &self.skipped {
            Some(why) => fault.cause(format!("and Elastic Beanstalk did not answer the last question: {why}")),
            None => fault,
        }
    }

    fn with_denials(&self, fault: Fault) -> Fault {
        self.denied.iter().fold(fault, |fault, denied| {
            denied.hints().iter().fold(fault.cause(denied.what()), |fault, hint| fault.hint(hint))
        })
    }
}
