//! Drives a fuzz target: seeds with some of their bytes changed, and bytes that mean nothing.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Cases of a short run; `FUZZ_CASES` asks for another number.
const CASES: u32 = 128;

/// No case takes longer, not even on a machine that is busy with something else.
const LONGEST: Duration = Duration::from_secs(10);

/// Gives `target` seeds, changed ones and nonsense. What must hold is asserted by the target.
#[track_caller]
pub fn fuzz(seeds: &[&[u8]], target: impl Fn(&[u8])) {
    run(bytes(seeds), |bytes| target(&bytes));
}

/// The same with values that have a shape.
#[track_caller]
pub fn run<T: std::fmt::Debug>(values: impl Strategy<Value = T>, target: impl Fn(T)) {
    let asked = std::env::var_os("FUZZ_CASES").and_then(|text| text.to_str()?.parse().ok());
    let config = Config { cases: asked.unwrap_or(CASES), failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&values, |value| {
        let began = Instant::now();
        target(value);
        match began.elapsed() < LONGEST {
            true => Ok(()),
            false => Err(TestCaseError::fail("it took too long")),
        }
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// One change of a text's bytes.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
    Cut(Index),
    Splice(Index, Vec<u8>, Index),
}

fn bytes(seeds: &[&[u8]]) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let seed = select(seeds.clone());
    let changed = (seed, vec(change(seeds), 0..6));
    let changed = changed.prop_map(|(seed, changes)| changes.into_iter().fold(seed, apply));
    prop_oneof![6 => changed, 1 => vec(any::<u8>(), 0..200), 1 => any::<String>().prop_map(String::into_bytes)]
}

fn change(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    // What formats give a meaning to, and numbers at their limits.
    let telling = ["\0", "\r\n", "\"", "{}", "[[[[", "null", "-1", "18446744073709551616", "..", "!", "\u{fffd}", "="];
    let telling = select(telling.map(|text| text.as_bytes().to_vec()).to_vec());
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at(), prop_oneof![telling, vec(any::<u8>(), 1..4)]).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), at()).prop_map(|(from, to)| Change::Remove(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        at().prop_map(Change::Cut),
        (at(), select(seeds), at()).prop_map(|(at, other, from)| Change::Splice(at, other, from)),
    ]
}

fn apply(mut bytes: Vec<u8>, change: Change) -> Vec<u8> {
    let place = |index: Index, bytes: &[u8]| index.index(bytes.len() + 1);
    let range = |a: Index, b: Index, bytes: &[u8]| {
        let (a, b) = (place(a, bytes), place(b, bytes));
        a.min(b)..a.max(b)
    };
    match change {
        Change::Replace(at, byte) => {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        Change::Insert(at, more) => {
            let at = place(at, &bytes);
            bytes.splice(at..at, more);
        }
        Change::Remove(from, to) => {
            let range = range(from, to, &bytes);
            bytes.drain(range);
        }
        Change::Repeat(from, to) => {
            let part = bytes[range(from, to, &bytes)].to_vec();
            bytes.extend(part);
        }
        Change::Cut(at) => bytes.truncate(place(at, &bytes)),
        Change::Splice(at, other, from) => {
            bytes.truncate(place(at, &bytes));
            bytes.extend_from_slice(&other[place(from, &other)..]);
        }
    }
    bytes
}
