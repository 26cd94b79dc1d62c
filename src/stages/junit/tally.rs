//! [`Tally`]: what all reports of a stage say together, bounded whatever they say.

use std::collections::HashMap;
use std::time::Duration;

use super::case::{Done, Verdict};
use super::mentions::Mention;
use crate::engine::event::{CodeLine, FailedTest, TestCounts};

/// Failing tests that are kept; the rest is only counted. Four requests carry their annotations.
const FAILURES: usize = 200;

/// Failed tests of one report that are remembered, should they have been run again; those after them count as failed.
const MOST_FAILED: usize = 1_000;

/// Slow tests that are named.
const SLOWEST: usize = 5;

/// Counts, failing tests with the places they mention, and the slowest tests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: TestCounts,
    /// For each failure that is kept.
    kept: Vec<Kept>,
    /// The failed tests of the report that is being read.
    failed: HashMap<String, Failures>,
    /// How many tests were ever in `failed`.
    numbered: usize,
}

/// What is known of a failure beside what is told.
#[derive(Clone, Debug)]
struct Kept {
    mentions: Vec<Mention>,
    /// The number of its test, if that is remembered.
    number: Option<usize>,
}

/// How often a test has failed in one report.
#[derive(Clone, Debug)]
struct Failures {
    number: usize,
    count: usize,
}

impl Tally {
    /// Another report begins: what it says of a test is said of no other report's.
    pub(super) fn begin(&mut self) {
        self.failed.clear();
    }

    pub(super) fn add(&mut self, test: Done) {
        let counts = &mut self.counts;
        counts.took = counts.took.saturating_add(test.took.unwrap_or_default());
        if let Some(took) = test.took {
            slower(&mut counts.slowest, &test.name, took);
        }
        match test.verdict {
            Verdict::Passed { flaky } => {
                counts.passed += 1;
                let failures = test.key.and_then(|key| self.failed.remove(&key));
                counts.flaky += usize::from(flaky || failures.is_some());
                failures.into_iter().for_each(|failures| self.take_back(&failures));
            }
            Verdict::Skipped => counts.skipped += 1,
            Verdict::Failed(failed) => {
                counts.failed += 1;
                let number = test.key.and_then(|key| remember(key, &mut self.failed, &mut self.numbered));
                if counts.failures.len() < FAILURES {
                    let (name, took) = (test.name, test.took);
                    let (message, details) = (failed.message, failed.details);
                    counts.failures.push(FailedTest { name, message, details, took, line: None });
                    self.kept.push(Kept { mentions: failed.mentions, number });
                }
            }
        }
    }

    /// A test that had failed was run again and has passed.
    fn take_back(&mut self, failures: &Failures) {
        self.counts.failed -= failures.count;
        let is_it: Vec<bool> = self.kept.iter().map(|kept| kept.number == Some(failures.number)).collect();
        let mut of = is_it.iter();
        self.kept.retain(|_| of.next() == Some(&false));
        let mut of = is_it.iter();
        self.counts.failures.retain(|_| of.next() == Some(&false));
    }

    /// Adds what other reports say.
    pub fn merge(&mut self, other: Self) {
        let (counts, more) = (&mut self.counts, other.counts);
        counts.passed += more.passed;
        counts.failed += more.failed;
        counts.skipped += more.skipped;
        counts.flaky += more.flaky;
        counts.took = counts.took.saturating_add(more.took);
        more.slowest.iter().for_each(|(name, took)| slower(&mut counts.slowest, name, *took));
        let room = FAILURES - counts.failures.len();
        counts.failures.extend(more.failures.into_iter().take(room));
        self.kept.extend(other.kept.into_iter().take(room).map(|kept| Kept { number: None, ..kept }));
    }

    /// Whether no test was told of.
    pub fn is_empty(&self) -> bool {
        self.counts.passed + self.counts.failed + self.counts.skipped == 0
    }

    /// All mentions of failing tests.
    pub fn mentions(&self) -> impl Iterator<Item = &Mention> {
        self.kept.iter().flat_map(|kept| &kept.mentions)
    }

    /// The counts, each failing test with the line that `locate` makes of the places that it mentions.
    pub fn located(self, locate: impl Fn(&[Mention]) -> Option<CodeLine>) -> TestCounts {
        let mut counts = self.counts;
        for (test, kept) in counts.failures.iter_mut().zip(&self.kept) {
            test.line = locate(&kept.mentions);
        }
        counts
    }
}

/// Counts a failure of a test; gives the test's number, unless there are too many.
fn remember(key: String, failed: &mut HashMap<String, Failures>, numbered: &mut usize) -> Option<usize> {
    if failed.len() >= MOST_FAILED && !failed.contains_key(&key) {
        return None;
    }
    let failures = failed.entry(key).or_insert_with(|| {
        *numbered += 1;
        Failures { number: *numbered, count: 0 }
    });
    failures.count += 1;
    Some(failures.number)
}

/// Puts a test among the slowest, if it belongs there; of equal ones the first stays.
fn slower(slowest: &mut Vec<(String, Duration)>, name: &str, took: Duration) {
    let place = slowest.partition_point(|(_, other)| *other >= took);
    if place < SLOWEST {
        slowest.insert(place, (name.to_owned(), took));
        slowest.truncate(SLOWEST);
    }
}
