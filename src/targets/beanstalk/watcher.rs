//! One task per account and region asks the platform for everybody who waits: one DescribeEnvironments a look, whatever
//! the number of environments. When the next look is due, those who wait say; what else is asked for, the answer decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::api::Api;
use super::call::ApiError;
use super::events::Reader;
use super::operation::Operation;
use super::pace::Pace;
use super::platform::{Environment, Instance, PlatformEvent, ServerTime, Status};
use crate::clock::Clock;
use crate::engine::retry::pause;
use crate::fault::Fault;

/// What one look brought of one environment.
#[derive(Debug)]
pub enum Tick {
    /// The platform answered.
    Seen(Box<Sight>),
    /// The question was not answered; the next look asks again.
    Skipped(String),
    /// The credentials have expired: no question will be answered any more.
    Expired(String),
    /// A policy forbids the question: no later one will be answered either.
    Denied(Fault),
}

/// What was seen of one environment in one look.
#[derive(Debug)]
pub struct Sight {
    /// When, by the platform's clock.
    pub at: ServerTime,
    /// `None` when the platform does not list the environment.
    pub environment: Option<Environment>,
    /// Events not seen before, oldest first.
    pub events: Answer<Vec<PlatformEvent>>,
    /// Instances; `None` is basic health.
    pub instances: Answer<Option<Vec<Instance>>>,
}

/// What became of one question of a look.
#[derive(Debug)]
pub enum Answer<T> {
    /// It was not worth asking.
    NotAsked,
    /// It was answered.
    Heard(T),
    /// It was not answered, or not in time; the next look asks again.
    Unheard,
    /// A policy forbids it.
    Denied(Fault),
}

impl<T> Answer<T> {
    /// The answer, if there is one.
    pub fn heard(self) -> Option<T> {
        match self {
            Answer::Heard(answer) => Some(answer),
            Answer::NotAsked | Answer::Unheard | Answer::Denied(_) => None,
        }
    }
}

/// An environment to be watched.
struct Watch {
    number: u64,
    environment_id: String,
    reader: Reader,
    /// The version on which instances are asked for, while they are.
    label: Option<String>,
    with_instances: bool,
    due: Instant,
    /// What it was doing at the last look.
    status: Option<Status>,
    /// When events were read last.
    read: Option<Instant>,
    ticks: mpsc::UnboundedSender<Tick>,
}

enum Order {
    Watch(Watch),
    Look { number: u64, due: Instant, with_instances: bool },
}

/// The sending end of the task. The task ends with it and with the last who waits.
#[derive(Clone, Debug)]
pub struct Watcher {
    orders: mpsc::UnboundedSender<Order>,
    pace: Pace,
    numbers: Arc<AtomicU64>,
}

/// One environment that is being watched, until this is dropped.
#[derive(Debug)]
pub struct Watching {
    number: u64,
    ticks: mpsc::UnboundedReceiver<Tick>,
    orders: mpsc::UnboundedSender<Order>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Order::Watch(watch) => write!(f, "watch {}", watch.environment_id),
            Order::Look { number, .. } => write!(f, "look at {number}"),
        }
    }
}

impl Watching {
    /// What the next look brings; `None` when the task is gone.
    pub async fn next(&mut self) -> Option<Tick> {
        self.ticks.recv().await
    }

    /// Says when the next look can tell something new, and whether instances are to be asked for then.
    pub fn look_in(&self, time: Duration, with_instances: bool) {
        // The task lives as long as its senders, of which this has one.
        let _ = self.orders.send(Order::Look { number: self.number, due: Instant::now() + time, with_instances });
    }
}

impl Watcher {
    /// Starts the task. `clock` is the platform's time.
    pub fn start(api: Api, pace: Pace, clock: Clock) -> Self {
        let (orders, receiver) = mpsc::unbounded_channel();
        let task = Task { api, pace, clock, watches: Vec::new(), slowness: 1 };
        tokio::spawn(task.run(receiver));
        Self { orders, pace, numbers: Arc::default() }
    }

    /// How fast it asks.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Watches an operation's environment from its anchor on; the first look is due after `first`.
    pub fn watch(&self, operation: &Operation, first: Duration) -> Watching {
        let (ticks, receiver) = mpsc::unbounded_channel();
        let now = Instant::now();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let watch = Watch {
            number,
            environment_id: operation.environment_id.clone(),
            reader: Reader::from(operation.anchor.as_ref()),
            label: operation.kind.label().map(str::to_owned),
            with_instances: true,
            due: now + first,
            status: None,
            // What is just beginning has nothing to tell yet; what began before us may have.
            read: operation.request_id.is_some().then_some(now),
            ticks,
        };
        // The task lives as long as its senders, of which this is one.
        let _ = self.orders.send(Order::Watch(watch));
        Watching { number, ticks: receiver, orders: self.orders.clone() }
    }
}

struct Task {
    api: Api,
    pace: Pace,
    clock: Clock,
    watches: Vec<Watch>,
    /// Doubled by each throttled look, halved by each other one.
    slowness: u32,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            self.watches.retain(|watch| !watch.ticks.is_closed());
            let due = self.watches.iter().map(|watch| watch.due).min();
            let order = match due {
                None => match orders.recv().await {
                    None => return,
                    order => order,
                },
                Some(due) => {
                    let wait = due.saturating_duration_since(Instant::now()) * self.slowness;
                    tokio::select! {
                        biased;
                        Some(order) = orders.recv() => Some(order),
                        () = pause(wait) => None,
                    }
                }
            };
            match order {
                Some(order) => self.take(order),
                None => {
                    let throttled = self.look().await;
                    self.slowness = if throttled { (self.slowness * 2).min(8) } else { (self.slowness / 2).max(1) };
                }
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Watch(watch) => self.watches.push(watch),
            Order::Look { number, due, with_instances } => {
                if let Some(watch) = self.watches.iter_mut().find(|watch| watch.number == number) {
                    (watch.due, watch.with_instances) = (due, with_instances);
                }
            }
        }
    }

    /// Asks once for everybody; `true` when the platform says that we ask too often.
    async fn look(&mut self) -> bool {
        let mut ids: Vec<String> = self.watches.iter().map(|watch| watch.environment_id.clone()).collect();
        ids.sort();
        ids.dedup();
        let now = Instant::now();
        let environments = match self.api.environments(None, &ids).await {
            Ok(environments) => environments,
            Err(error) => return self.skip(&error),
        };
        let at = ServerTime(self.clock.now().timestamp_millis());
        let mut throttled = false;
        for watch in &mut self.watches {
            let environment = environments.iter().find(|environment| environment.id == watch.environment_id);
            // The answer is there anyway: who waits for something else hears when something happens.
            if watch.due <= now || environment.map(|environment| environment.status) != watch.status {
                throttled |= watch.look(&self.api, &self.pace, at, environment.cloned()).await;
            }
        }
        throttled
    }

    fn skip(&mut self, error: &ApiError) -> bool {
        for watch in &mut self.watches {
            watch.due = Instant::now() + self.pace.first;
            let tick = match (error.expired, error.is_denied()) {
                (true, _) => Tick::Expired(format!("{}: {}", error.code, error.message)),
                (_, true) => Tick::Denied(error.fault().clone()),
                _ => Tick::Skipped(error.fault().to_string()),
            };
            // Nobody may listen any more: it is forgotten before the next look.
            drop(watch.ticks.send(tick));
        }
        error.throttled
    }
}

impl Watch {
    /// The state first, the events after it: what led to the state is among them, but for what the platform tells late.
    /// `true` when the platform says that we ask too often.
    async fn look(&mut self, api: &Api, pace: &Pace, at: ServerTime, environment: Option<Environment>) -> bool {
        let status = environment.as_ref().map(|environment| environment.status);
        let is_news = self.status.is_some() && self.status != status;
        self.status = status;
        // Until somebody says when: long enough for them to say it.
        self.due = Instant::now() + pace.longest;
        let mut throttled = false;
        let moves = status.is_some_and(|status| status.is_busy() || status == Status::Terminating);
        let events = match !moves || is_news || self.read.is_none_or(|read| read.elapsed() >= pace.progress) {
            true => ask(pace, &mut throttled, api.events(&self.environment_id, &mut self.reader)).await,
            false => Answer::NotAsked,
        };
        if !matches!(events, Answer::NotAsked) {
            self.read = Some(Instant::now());
        }
        let ours = environment.as_ref().filter(|environment| {
            self.with_instances
                && environment.status == Status::Ready
                && self.label.as_ref() == Some(&environment.version_label)
        });
        let instances = match ours {
            Some(ours) if ours.is_enhanced() => ask(pace, &mut throttled, api.instances(&ours.id)).await,
            Some(_) => Answer::Heard(None),
            None => Answer::NotAsked,
        };
        // Nobody may listen any more: it is forgotten before the next look.
        drop(self.ticks.send(Tick::Seen(Box::new(Sight { at, environment, events, instances }))));
        throttled
    }
}

/// One question of a look. That it is not answered must not swallow what the others brought, nor hold them up.
async fn ask<T>(pace: &Pace, throttled: &mut bool, question: impl Future<Output = Result<T, ApiError>>) -> Answer<T> {
    tokio::select! {
        answer = question => match answer {
            Ok(answer) => Answer::Heard(answer),
            Err(error) if error.is_denied() => Answer::Denied(error.into_fault()),
            Err(error) => {
                *throttled |= error.throttled;
                Answer::Unheard
            }
        },
        () = pause(pace.answer) => Answer::Unheard,
    }
}
