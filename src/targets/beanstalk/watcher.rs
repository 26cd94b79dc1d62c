//! One task per account and region asks the platform for everybody who waits: one DescribeEnvironments a tick.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::api::Api;
use super::call::ApiError;
use super::events::Reader;
use super::platform::{Environment, Instance, PlatformEvent, Status};
use crate::engine::journal::book::Lease;
use crate::engine::retry::pause;

/// How fast things are asked for, and how long they take to show. The embedded cloud is faster than Amazon's.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two questions at the beginning of an operation.
    pub first: Duration,
    /// Between two questions when it has been going on for minutes.
    pub longest: Duration,
    /// How late events may arrive.
    pub late_events: Duration,
    /// How long resolvers keep the old address after a swap.
    pub dns_ttl: Duration,
    /// How long a run that is not heard of keeps a site.
    pub lease: Lease,
}

impl Pace {
    /// For a region; `local` is the embedded cloud.
    pub fn of(region: &str) -> Self {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        match region {
            "local" => {
                let lease = Lease { length: s(10), renewal: s(2), look: ms(300), patience: s(10) };
                Self { first: ms(200), longest: ms(200), late_events: ms(500), dns_ttl: ms(0), lease }
            }
            _ => {
                let lease = Lease { length: s(60), renewal: s(15), look: s(5), patience: s(60) };
                Self { first: s(2), longest: s(12), late_events: s(10), dns_ttl: s(60), lease }
            }
        }
    }

    /// Between two questions about an operation of this age: the first wait for a minute, then a minute's worth more
    /// for every further minute.
    pub fn interval(&self, age: Duration) -> Duration {
        let minutes = u32::try_from(age.as_secs() / 60).unwrap_or(u32::MAX);
        self.first.saturating_mul(minutes.saturating_add(1)).min(self.longest)
    }
}

/// What one tick brought of one environment.
#[derive(Clone, Debug)]
pub enum Tick {
    /// The platform answered.
    Seen(Box<Sight>),
    /// A question was not answered; the next tick asks again.
    Skipped(String),
    /// The credentials have expired: no question will be answered any more.
    Expired(String),
}

/// What was seen of one environment in one tick.
#[derive(Clone, Debug)]
pub struct Sight {
    /// `None` when the platform does not list the environment.
    pub environment: Option<Environment>,
    /// Events not seen before, oldest first.
    pub events: Vec<PlatformEvent>,
    /// Instances, once it is Ready and where they were asked for; the inner `None` is basic health.
    pub instances: Option<Option<Vec<Instance>>>,
}

/// An environment to be watched.
struct Watch {
    environment_id: String,
    reader: Reader,
    with_instances: bool,
    since: Instant,
    ticks: mpsc::UnboundedSender<Tick>,
}

/// The sending end of the task. The task ends with it and with the last who waits.
#[derive(Clone, Debug)]
pub struct Watcher(mpsc::UnboundedSender<Watch>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.environment_id)
    }
}

impl Watcher {
    /// Starts the task.
    pub fn start(api: Api, pace: Pace) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(run(api, pace, receiver));
        Self(sender)
    }

    /// Watches an environment from `reader`'s anchor on, until the receiver is dropped.
    pub fn watch(&self, environment_id: &str, reader: Reader, with_instances: bool) -> mpsc::UnboundedReceiver<Tick> {
        let (ticks, receiver) = mpsc::unbounded_channel();
        let environment_id = environment_id.to_owned();
        // The task lives as long as its sender, which is ours.
        let _ = self.0.send(Watch { environment_id, reader, with_instances, since: Instant::now(), ticks });
        receiver
    }
}

async fn run(api: Api, pace: Pace, mut requests: mpsc::UnboundedReceiver<Watch>) {
    let mut watches: Vec<Watch> = Vec::new();
    // Doubled by each throttled tick, halved by each other one.
    let mut slowness = 1;
    loop {
        watches.retain(|watch| !watch.ticks.is_closed());
        if watches.is_empty() {
            let Some(watch) = requests.recv().await else { return };
            watches.push(watch);
        }
        while let Ok(watch) = requests.try_recv() {
            watches.push(watch);
        }
        let throttled = tick(&api, &mut watches).await;
        slowness = if throttled { (slowness * 2).min(8) } else { (slowness / 2).max(1) };
        let youngest = watches.iter().map(|watch| watch.since.elapsed()).min().unwrap_or_default();
        tokio::select! {
            () = pause(pace.interval(youngest) * slowness) => {}
            Some(watch) = requests.recv() => watches.push(watch),
        }
    }
}

/// Asks once for everybody; `true` when the platform says that we ask too often.
async fn tick(api: &Api, watches: &mut [Watch]) -> bool {
    let mut ids: Vec<String> = watches.iter().map(|watch| watch.environment_id.clone()).collect();
    ids.sort();
    ids.dedup();
    let environments = match api.environments(None, &ids).await {
        Ok(environments) => environments,
        Err(error) => return skip(watches.iter(), error),
    };
    let mut throttled = false;
    for watch in watches.iter_mut() {
        let environment = environments.iter().find(|environment| environment.id == watch.environment_id).cloned();
        match look(api, watch, environment).await {
            // Nobody listens any more: it is forgotten before the next tick.
            Ok(seen) => drop(watch.ticks.send(seen)),
            Err(error) => throttled |= skip(std::iter::once(&*watch), error),
        }
    }
    throttled
}

fn skip<'a>(watches: impl Iterator<Item = &'a Watch>, error: ApiError) -> bool {
    let throttled = error.throttled;
    let tick = match error.expired {
        true => Tick::Expired(format!("{}: {}", error.code, error.message)),
        false => Tick::Skipped(error.into_fault().to_string()),
    };
    watches.for_each(|watch| drop(watch.ticks.send(tick.clone())));
    throttled
}

/// The state first, the events after it: what led to the state is among them, but for what the platform tells late.
async fn look(api: &Api, watch: &mut Watch, environment: Option<Environment>) -> Result<Tick, ApiError> {
    // A reader that is dropped half-way has not swallowed anything: `events` takes all pages or none.
    let events = api.events(&watch.environment_id, &mut watch.reader).await?;
    let ready = environment.as_ref().filter(|environment| environment.status == Status::Ready);
    let instances = match ready {
        Some(environment) if watch.with_instances && environment.is_enhanced() => {
            // Its failure must not swallow the events that were read.
            api.instances(&environment.id).await.ok()
        }
        Some(_) if watch.with_instances => Some(None),
        _ => None,
    };
    Ok(Tick::Seen(Box::new(Sight { environment, events, instances })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_rarer_on_long_operations() {
        let pace = Pace::of("eu-west-1");
        let seconds = |age| pace.interval(Duration::from_secs(age)).as_secs();
        assert_eq!([0, 59, 60, 180, 3600].map(seconds), [2, 2, 4, 8, 12]);
        assert_eq!(Pace::of("local").interval(Duration::from_secs(3600)), Duration::from_millis(200));
    }
}
