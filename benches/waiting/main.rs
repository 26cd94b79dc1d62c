//! What waiting costs, against the local cloud in this process and in simulated time, at the pace of a real region.
//!
//! For many seeds: the Beanstalk calls of an operation, from the call that begins it to the verdict, and how long after
//! the environment was Ready and well the verdict was in. It ends with an error when a target is missed.
//! `cargo bench --bench waiting`; `BEANLINE_BENCH_SEEDS=1000` for more of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench ends at its first surprise, and says what it saw"
)]

mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_elasticbeanstalk::operation::RequestId;
use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;
use beanline::engine::retry::{JITTER, pause};
use beanline::inputs::Health;
use beanline::targets::beanstalk::api::Api;
use beanline::targets::beanstalk::events::Anchor;
use beanline::targets::beanstalk::operation::{Kind, Operation};
use beanline::targets::beanstalk::pace::Pace;
use beanline::targets::beanstalk::verdict::Demand;
use beanline::targets::beanstalk::wait::conclude;
use beanline::targets::beanstalk::watcher::Watcher;
use tokio::time::Instant;
use world::World;

/// How long health must stay: the default of the input.
const HEALTHY_FOR: Duration = Duration::from_secs(15);

/// What the verdict may take longer than that, in the median.
const MOST_LAG: Duration = Duration::from_secs(1);

/// Worlds of each kind.
const SEEDS: u64 = 100;

/// One kind of operation.
struct Case {
    name: &'static str,
    /// Between two steps of an operation.
    step: Duration,
    /// How long instances take for their part, in milliseconds: the least, and the most.
    work: (u64, u64),
    /// Earlier updates of the environment; `None`: it is created.
    history: Option<u64>,
    /// The calls that it may cost.
    most_calls: usize,
}

const CASES: [Case; 3] = [
    Case {
        name: "an update of 30 s, like those before it",
        step: Duration::from_secs(4),
        work: (12_000, 16_000),
        history: Some(3),
        most_calls: 8,
    },
    Case {
        name: "an update of 30 s, the first",
        step: Duration::from_secs(4),
        work: (12_000, 16_000),
        history: Some(0),
        most_calls: 8,
    },
    Case {
        name: "a creation of 5 minutes",
        step: Duration::from_secs(5),
        work: (255_000, 275_000),
        history: None,
        most_calls: 40,
    },
];

/// What one operation cost.
struct Cost {
    took: Duration,
    calls: usize,
    lag: Duration,
}

fn main() -> ExitCode {
    let seeds = std::env::vars().find(|(name, _)| name == "BEANLINE_BENCH_SEEDS");
    let seeds = seeds.map_or(SEEDS, |(_, seeds)| seeds.parse().unwrap());
    let missed = CASES.iter().filter(|case| !report(case, seeds)).count();
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what a case costs; `false` when a target is missed.
fn report(case: &Case, seeds: u64) -> bool {
    let costs: Vec<Cost> = (0..seeds).map(|seed| play(case, seed)).collect();
    let median = |mut numbers: Vec<u128>| {
        numbers.sort_unstable();
        numbers[numbers.len() / 2]
    };
    let calls = costs.iter().map(|cost| cost.calls as u128);
    let (most, usual) = (costs.iter().map(|cost| cost.calls).max().unwrap_or_default(), median(calls.collect()));
    let lag = median(costs.iter().map(|cost| cost.lag.as_millis()).collect());
    let took = median(costs.iter().map(|cost| cost.took.as_millis()).collect());
    let limit = (HEALTHY_FOR + MOST_LAG).as_millis();
    println!("{} ({seeds} seeds, median {took} ms)", case.name);
    println!("  calls: median {usual}, most {most}; at most {}", case.most_calls);
    println!("  lag from Ready and well to the verdict: median {lag} ms; at most {limit} ms");
    most <= case.most_calls && lag <= limit
}

fn play(case: &Case, seed: u64) -> Cost {
    JITTER.set(Some(seed as u32));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(seed, case.step).await;
        let nodes = tokio::spawn(world.clone().run());
        let cost = match case.history {
            Some(updates) => update(&world, case, seed, updates).await,
            None => create(&world, case, seed).await,
        };
        nodes.abort();
        cost
    })
}

/// A time between the case's bounds that follows from the seed.
fn work(case: &Case, seed: u64, number: u64) -> Duration {
    let mixed = (seed * 1000 + number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let (least, most) = case.work;
    Duration::from_millis(least + mixed % (most - least))
}

const SETTINGS: [(&str, &str, &str); 2] = [
    ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", "web"),
    ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"),
];

const STACK: &str = "64bit Amazon Linux 2023 v4.13.5 running Docker";

async fn create(world: &Arc<World>, case: &Case, seed: u64) -> Cost {
    let api = Api::new(&world.sdk(), true);
    world.begin(work(case, seed, 0));
    let began = Instant::now();
    let options = SETTINGS.map(|(namespace, name, value)| {
        ConfigurationOptionSetting::builder().namespace(namespace).option_name(name).value(value).build()
    });
    let request = api.beanstalk.create_environment().application_name("shop").environment_name("shop-a");
    let request = request.version_label("1").solution_stack_name(STACK).set_option_settings(Some(options.to_vec()));
    let made = request.send().await.unwrap();
    let operation = Operation {
        kind: Kind::Create { label: "1".into() },
        environment_id: made.environment_id().unwrap().to_owned(),
        environment: "shop-a".into(),
        request_id: made.request_id().map(str::to_owned),
        anchor: None,
    };
    cost(world, &api, &operation, began).await
}

async fn update(world: &Arc<World>, case: &Case, seed: u64, before: u64) -> Cost {
    let options: String = (1..)
        .zip(SETTINGS)
        .map(|(at, (namespace, name, value))| {
            let member = format!("OptionSettings.member.{at}");
            format!("&{member}.Namespace={namespace}&{member}.OptionName={name}&{member}.Value={value}")
        })
        .collect();
    let answer = world
        .ask(&format!(
            "CreateEnvironment&ApplicationName=shop&EnvironmentName=shop-a&VersionLabel=1&SolutionStackName={}{options}",
            STACK.replace(' ', "+")
        ))
        .await;
    let id = answer.split("<EnvironmentId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    world.rest().await;
    for number in 1..=before {
        world.begin(work(case, seed, number));
        world.ask(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=1")).await;
        // Not well any more, and well again.
        pause(Duration::from_secs(1)).await;
        world.rest().await;
        pause(Duration::from_secs(60)).await;
    }
    let api = Api::new(&world.sdk(), true);
    world.begin(work(case, seed, 0));
    // Every update asks for it before it is sent: it counts.
    let anchor = Anchor::after(&api.newest_events(&id).await.unwrap());
    let began = Instant::now();
    let request = api.beanstalk.update_environment().environment_id(&id).version_label("2");
    let request_id = request.send().await.unwrap().request_id().map(str::to_owned);
    let kind = Kind::Update { label: "2".into() };
    let operation = Operation { kind, environment_id: id, environment: "shop-a".into(), request_id, anchor };
    cost(world, &api, &operation, began).await
}

async fn cost(world: &Arc<World>, api: &Api, operation: &Operation, began: Instant) -> Cost {
    let second = Duration::from_secs(1);
    let pace = Pace::of("eu-west-1");
    let demand = Demand {
        minimum_health: Health::Green,
        healthy_for: HEALTHY_FOR,
        health_timeout: 300 * second,
        late_events: pace.late_events,
        rolled_back_after: 30 * second,
        unconfirmed_after: 60 * second,
    };
    let watcher = Watcher::start(api.clone(), pace, world.clock.clone());
    let concluded = conclude(&watcher, None, operation, &demand, 2400 * second).await.unwrap();
    let well = world.well_since().unwrap();
    assert_eq!(concluded.proof.instances, Some(1));
    Cost { took: well - began, calls: world.calls().len(), lag: well.elapsed() }
}
