//! Waiting for an operation: what the watcher sees goes to the reader and to the verdict.

use std::time::Duration;

use tokio::time::Instant;

use super::call::{Told, while_doing};
use super::events::Reader;
use super::operation::{Kind, Operation};
use super::platform::{Environment, PlatformEvent, Status};
use super::verdict::{Demand, Fleet, Held, Proof, Verdict, judge};
use super::watcher::{Sight, Tick, Watcher};
use crate::cloud::code::session_is_over;
use crate::engine::event::Fact;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::Health;

/// An operation that is over as wanted.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// How we know.
    pub proof: Proof,
    /// The environment as it was seen last; `None` when it is gone.
    pub environment: Option<Environment>,
}

/// When each state began to hold, in time since the operation began.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    ready: Option<Duration>,
    on_target: Option<Duration>,
    off_target: Option<Duration>,
    healthy: Option<Duration>,
    missing: Option<Duration>,
}

impl Since {
    /// Takes what is seen at `now` and gives how long everything has held.
    fn see(&mut self, now: Duration, kind: &Kind, environment: Option<&Environment>, minimum_health: Health) -> Held {
        let ready = environment.filter(|environment| environment.status == Status::Ready);
        let on_target = ready.is_some_and(|environment| match kind {
            Kind::Create { label } | Kind::Update { label } => environment.version_label == *label,
            Kind::Swap { cname } => environment.cname == *cname,
            Kind::Terminate => false,
        });
        let healthy = ready.is_some_and(|environment| environment.health >= minimum_health);
        let step = |since: &mut Option<Duration>, holds: bool| {
            *since = holds.then(|| since.unwrap_or(now));
            since.map(|since| now.saturating_sub(since))
        };
        Held {
            ready: step(&mut self.ready, ready.is_some()),
            on_target: step(&mut self.on_target, on_target),
            off_target: step(&mut self.off_target, ready.is_some() && !on_target),
            healthy: step(&mut self.healthy, healthy),
            missing: step(&mut self.missing, environment.is_none()),
        }
    }
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
    let with_instances = matches!(operation.kind, Kind::Create { .. } | Kind::Update { .. });
    let reader = Reader::from(operation.anchor.as_ref());
    let mut ticks = watcher.watch(&operation.environment_id, reader, with_instances);
    let began = Instant::now();
    let mut since = Since::default();
    let mut events: Vec<PlatformEvent> = Vec::new();
    let mut doing = "nothing was heard of it".to_owned();
    let mut skipped = None;
    let mut time_out = std::pin::pin!(pause(limit));
    loop {
        let tick = tokio::select! {
            tick = ticks.recv() => tick,
            () = &mut time_out => return Err(too_late(operation, limit, &doing, skipped)),
        };
        let Sight { environment, events: new, instances } = match tick {
            Some(Tick::Seen(sight)) => *sight,
            Some(Tick::Skipped(why)) => {
                skipped = Some(why);
                continue;
            }
            Some(Tick::Expired(why)) => {
                let what = format!("Elastic Beanstalk goes on to {operation} without us");
                return Err(while_doing(what, session_is_over(&why)));
            }
            None => return Err(Fault::new(format!("could not {operation}")).cause("the watcher stopped")),
        };
        skipped = None;
        new.iter().for_each(|event| tell(told, event));
        events.extend(new);
        let held = since.see(began.elapsed(), &operation.kind, environment.as_ref(), demand.minimum_health);
        let fleet = match &instances {
            None => Fleet::Unknown,
            Some(None) => Fleet::Basic,
            Some(Some(instances)) => Fleet::Listed(instances),
        };
        match judge(operation, &events, environment.as_ref(), fleet, held, demand) {
            Verdict::Moving(text) => doing = text,
            Verdict::Succeeded(proof) => return Ok(Concluded { proof, environment }),
            Verdict::Failed { what, causes } => {
                let fault = Fault::new(format!("could not {operation}: it {what}"));
                return Err(causes.into_iter().fold(fault, Fault::cause));
            }
        }
    }
}

fn tell(told: Told<'_>, event: &PlatformEvent) {
    let (at, severity) = (event.at.to_string(), event.severity.to_string());
    if let Some(cx) = told {
        cx.fact(Fact::Platform { at, severity, message: event.message.trim_end().to_owned() });
    }
}

fn too_late(operation: &Operation, limit: Duration, doing: &str, skipped: Option<String>) -> Fault {
    let time = crate::engine::in_words(limit);
    let fault = Fault::timed_out(format!("could not {operation} within {time}")).cause(format!("waited for: {doing}"));
    match skipped {
        Some(why) => fault.cause(format!("and Elastic Beanstalk did not answer the last question: {why}")),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_breaks_off_is_counted_anew() {
        let kind = Kind::Update { label: "2".into() };
        let mut environment = super::super::verdict::tests::environment(Status::Ready, "2", Health::Green);
        let mut since = Since::default();
        let second = Duration::from_secs;
        let mut see = |at, environment: &Environment| since.see(second(at), &kind, Some(environment), Health::Green);
        assert_eq!(see(10, &environment).healthy, Some(Duration::ZERO));
        assert_eq!(see(15, &environment).healthy, Some(second(5)));
        environment.health = Health::Yellow;
        let held = see(20, &environment);
        assert_eq!((held.healthy, held.on_target), (None, Some(second(10))));
        environment.health = Health::Green;
        environment.version_label = "1".into();
        let held = see(25, &environment);
        assert_eq!((held.healthy, held.on_target, held.off_target), (Some(second(0)), None, Some(second(0))));
        assert_eq!(held.ready, Some(second(15)));
    }
}
