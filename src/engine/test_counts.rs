//! What test reports said, as far as people want to know it.

use std::time::Duration;

/// Counts of a stage's tests, those that failed, and those that took longest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestCounts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed or broke.
    pub failed: usize,
    /// Tests that were skipped.
    pub skipped: usize,
    /// Of those that passed: how many failed at first and were run again.
    pub flaky: usize,
    /// What all tests took together, as far as it was said.
    pub took: Duration,
    /// The failing tests in the order of the reports; of very many, the first ones.
    pub failures: Vec<FailedTest>,
    /// The tests that took longest, slowest first.
    pub slowest: Vec<(String, Duration)>,
}

/// A test that failed or broke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedTest {
    /// Its name, with that of its class or suite.
    pub name: String,
    /// What went wrong, in one line or a few.
    pub message: String,
    /// The trace, or whatever else was said of it; cut in the middle when it is long.
    pub details: String,
    /// How long it took, if that was said.
    pub took: Option<Duration>,
    /// Where it failed, if that is a line of one file of the repository and no other.
    pub line: Option<CodeLine>,
}

/// A line of a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeLine {
    /// The file's path from the repository's root.
    pub path: String,
    /// The line, from 1 on.
    pub line: u32,
}
