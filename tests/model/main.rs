//! A model of the half of the pipeline that ships: random schedules of broken calls, a misbehaving platform, signals,
//! kills and second runs, against the local cloud in this process and in simulated time.
//!
//! Real are the AWS clients, the control plane, the engine and the site; a connector carries each request from the
//! clients to the control plane without a socket. Instances and registry are tables. All follows from a seed:
//!
//! * `BEANLINE_MODEL_SCHEDULES=10000` runs so many (300 otherwise),
//! * `BEANLINE_MODEL_SEED=7` replays one and prints what happened.
// The futures of a whole run are deep.
#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::use_debug,
    reason = "a schedule ends at its first surprise, and says what it saw"
)]

mod cloud;
mod dice;
mod ending;
mod nodes;
mod play;
mod promises;
mod run;
mod schedule;
mod trace;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use play::play;
use schedule::Kinds;

/// The kinds of schedules that are played; `BEANLINE_MODEL_KINDS` is 1 for kills, 2 for second runs, 3 for both.
const KINDS: Kinds = Kinds { kills: true, pairs: true };

/// Failing schedules after which no more are tried.
const ENOUGH: usize = 10;

fn number(name: &str) -> Option<u64> {
    std::env::vars().find(|(known, _)| known == name).map(|(_, value)| value.parse().unwrap())
}

fn kinds() -> Kinds {
    match number("BEANLINE_MODEL_KINDS") {
        Some(kinds) => Kinds { kills: kinds & 1 != 0, pairs: kinds & 2 != 0 },
        None => KINDS,
    }
}

#[test]
fn the_promises_hold_on_every_schedule() {
    if let Some(seed) = number("BEANLINE_MODEL_SEED") {
        let played = play(seed, kinds());
        println!("{:#?}\n{}", played.schedule, played.trace.join("\n"));
        assert!(played.broken.is_empty(), "broken:\n{}", played.broken.join("\n"));
        return;
    }
    let (first, count) =
        (number("BEANLINE_MODEL_FIRST").unwrap_or(0), number("BEANLINE_MODEL_SCHEDULES").unwrap_or(300));
    let (next, failed) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().len() >= ENOUGH {
                        return;
                    }
                    let broken = play(seed, kinds()).broken;
                    if !broken.is_empty() {
                        failed.lock().unwrap().push(format!("seed {seed}:\n  {}", broken.join("\n  ")));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let replay = "replay one with BEANLINE_MODEL_SEED=… cargo test --test model -- --nocapture";
    assert!(failed.is_empty(), "{replay}\n{}", failed.join("\n"));
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 0..number("BEANLINE_MODEL_TWICE").unwrap_or(10) {
        let (first, second) = (play(seed, kinds()).trace, play(seed, kinds()).trace);
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        let at = differs.unwrap_or(first.len().min(second.len()));
        let shown = |trace: &[String]| trace[at.saturating_sub(3)..(at + 3).min(trace.len())].join("\n");
        assert!(first == second, "seed {seed}:\n{}\n--\n{}", shown(&first), shown(&second));
    }
}
