//! [`Tally`]: what all reports of a stage say together, bounded whatever they say.

use std::time::Duration;

use super::case::{Done, Verdict};
use super::mentions::Mention;
use crate::engine::event::{CodeLine, FailedTest, TestCounts};

/// Failing tests that are kept; the rest is only counted. Four requests carry their annotations.
const FAILURES: usize = 200;

/// Slow tests that are named.
const SLOWEST: usize = 5;

/// Counts, failing tests with the places they mention, and the slowest tests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: TestCounts,
    /// For each failure that is kept.
    mentions: Vec<Vec<Mention>>,
}

impl Tally {
    pub(super) fn add(&mut self, test: Done) {
        let counts = &mut self.counts;
        counts.took = counts.took.saturating_add(test.took.unwrap_or_default());
        if let Some(took) = test.took {
            slower(&mut counts.slowest, &test.name, took);
        }
        match test.verdict {
            Verdict::Passed { flaky } => {
                counts.passed += 1;
                counts.flaky += usize::from(flaky);
            }
            Verdict::Skipped => counts.skipped += 1,
            Verdict::Failed(failed) => {
                counts.failed += 1;
                if counts.failures.len() < FAILURES {
                    let (name, took) = (test.name, test.took);
                    let (message, details) = (failed.message, failed.details);
                    counts.failures.push(FailedTest { name, message, details, took, line: None });
                    self.mentions.push(failed.mentions);
                }
            }
        }
    }

    /// Whether no test was told of.
    pub fn is_empty(&self) -> bool {
        self.counts.passed + self.counts.failed + self.counts.skipped == 0
    }

    /// All mentions of failing tests.
    pub fn mentions(&self) -> impl Iterator<Item = &Mention> {
        self.mentions.iter().flatten()
    }

    /// The counts, each failing test with the line that `locate` makes of the places that it mentions.
    pub fn located(self, locate: impl Fn(&[Mention]) -> Option<CodeLine>) -> TestCounts {
        let mut counts = self.counts;
        for (test, mentions) in counts.failures.iter_mut().zip(&self.mentions) {
            test.line = locate(mentions);
        }
        counts
    }
}

/// Puts a test among the slowest, if it belongs there; of equal ones the first stays.
fn slower(slowest: &mut Vec<(String, Duration)>, name: &str, took: Duration) {
    let place = slowest.partition_point(|(_, other)| *other >= took);
    if place < SLOWEST {
        slowest.insert(place, (name.to_owned(), took));
        slowest.truncate(SLOWEST);
    }
}
