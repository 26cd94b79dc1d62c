//! Test reports in words: counts, failing tests first, then the slowest ones.

use std::fmt::Write as _;
use std::time::Duration;

use crate::engine::event::{Fact, FailedTest, TestCounts};
use crate::engine::in_words;
use crate::report::markdown::{block, code, prose};

/// Failing tests that are listed one by one.
const SHOWN: usize = 20;

/// Lines of a failing test's message that the log shows.
const LINES_IN_LOG: usize = 5;

/// A test that takes less is nobody's slow test.
const SLOW: Duration = Duration::from_millis(100);

/// Counts as people say them: `12 tests passed`, `2 of 14 tests failed, 1 skipped`.
pub fn counted(counts: &TestCounts) -> String {
    let run = counts.passed + counts.failed;
    let mut said = match (run, counts.failed) {
        (0, _) => "no test ran".to_owned(),
        (1, 0) => "1 test passed".to_owned(),
        (1, _) => "the only test failed".to_owned(),
        (_, 0) => format!("{run} tests passed"),
        (_, failed) => format!("{failed} of {run} tests failed"),
    };
    if counts.skipped > 0 {
        let _ = write!(said, ", {} skipped", counts.skipped);
    }
    if counts.flaky > 0 {
        let _ = write!(said, ", {} only when run again", counts.flaky);
    }
    said
}

/// That the tests did not run on what is shipped.
pub fn elsewhere(ran_in: &str) -> String {
    format!(
        "the unit tests ran in an image built from {ran_in}, not on the shipped bytes; those are proved by the \
         acceptance tests"
    )
}

/// The report in lines of the log.
pub fn in_log(counts: &TestCounts) -> String {
    let mut out = counted(counts);
    if !counts.took.is_zero() {
        let _ = write!(out, ", taking {} together", time(counts.took));
    }
    for test in counts.failures.iter().take(SHOWN) {
        let _ = write!(out, "\nfailed: {}", head(test));
        let lines = test.message.lines().filter(|line| !line.trim().is_empty()).take(LINES_IN_LOG);
        out.extend(lines.map(|line| format!("\n    {line}")));
    }
    if counts.failed > counts.failures.len().min(SHOWN) && counts.failed > 0 {
        let _ = write!(out, "\nand {}", more(counts));
    }
    for (name, took) in slow(counts) {
        let _ = write!(out, "\nslow: {name} ({})", time(*took));
    }
    out
}

/// The report of a stage in Markdown: counts, failing tests with what they said, slowest tests.
pub fn in_markdown(counts: &TestCounts) -> String {
    let mut out = format!("\n{}", table(counts));
    for test in counts.failures.iter().take(SHOWN) {
        let _ = write!(out, "\n**failed:** {}\n\n{}", head_in_markdown(test), block(said(test).lines()));
    }
    out.push_str(&rest_in_markdown(counts));
    let mut slowest = slow(counts).peekable();
    if slowest.peek().is_some() {
        out.push_str("\n| slowest tests | took |\n| --- | ---: |\n");
        out.extend(slowest.map(|(name, took)| format!("| {} | {} |\n", code(name), time(*took))));
    }
    out
}

/// The report for the summary of the run, which has no room for traces; `None` for what is no fact about tests.
pub fn in_summary(fact: &Fact) -> Option<String> {
    let counts = match fact {
        Fact::Tests(counts) => counts,
        Fact::TestedElsewhere { ran_in } => return Some(format!("\n{}\n", prose(&elsewhere(ran_in)))),
        _ => return None,
    };
    let mut out = format!("\n{}", table(counts));
    if !counts.failures.is_empty() {
        out.push('\n');
    }
    for test in counts.failures.iter().take(SHOWN) {
        let first = test.message.lines().next().unwrap_or_default();
        let _ = writeln!(out, "- {}: {}", head_in_markdown(test), prose(first));
    }
    out.push_str(&rest_in_markdown(counts));
    Some(out)
}

fn table(counts: &TestCounts) -> String {
    let TestCounts { passed, failed, skipped, flaky, took, .. } = counts;
    format!(
        "| tests | failed | passed | skipped | only when run again | took |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n\
         | {} | {failed} | {passed} | {skipped} | {flaky} | {} |\n",
        passed + failed + skipped,
        time(*took)
    )
}

/// How many failing tests are not listed.
fn more(counts: &TestCounts) -> String {
    match counts.failed - counts.failures.len().min(SHOWN) {
        1 => "1 more failing test".to_owned(),
        more => format!("{more} more failing tests"),
    }
}

fn rest_in_markdown(counts: &TestCounts) -> String {
    match counts.failed > counts.failures.len().min(SHOWN) {
        true => format!("\nand {}\n", more(counts)),
        false => String::new(),
    }
}

/// `tests.test_cart.test_adds (12 ms) at tests/test_cart.py:14`.
fn head(test: &FailedTest) -> String {
    let took = test.took.map(|took| format!(" ({})", time(took))).unwrap_or_default();
    let place = test.line.as_ref().map(|at| format!(" at {}:{}", at.path, at.line)).unwrap_or_default();
    format!("{}{took}{place}", test.name)
}

fn head_in_markdown(test: &FailedTest) -> String {
    let took = test.took.map(|took| format!(" ({})", time(took))).unwrap_or_default();
    let place = test.line.as_ref().map(|at| format!(" at {}", code(&format!("{}:{}", at.path, at.line))));
    format!("{}{took}{}", code(&test.name), place.unwrap_or_default())
}

/// Message and details, once each.
fn said(test: &FailedTest) -> String {
    match test.details.contains(test.message.trim()) {
        true => test.details.clone(),
        false => format!("{}\n{}", test.message.trim_end(), test.details),
    }
}

fn slow(counts: &TestCounts) -> impl Iterator<Item = &(String, Duration)> {
    counts.slowest.iter().filter(|(_, took)| *took >= SLOW)
}

/// A test's time, to a tenth of a second below ten.
fn time(took: Duration) -> String {
    match took.as_secs() {
        1..10 => format!("{:.1} s", took.as_secs_f64()),
        _ => in_words(took),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::CodeLine;

    fn failing() -> TestCounts {
        let test = FailedTest {
            name: "test_cart.test_adds".into(),
            message: "assert 3 == 4\n +  where 3 = total([1, 2])".into(),
            details: "    assert total([1, 2]) == 4\nE   assert 3 == 4".into(),
            took: Some(Duration::from_millis(1_250)),
            line: Some(CodeLine { path: "tests/test_cart.py".into(), line: 14 }),
        };
        let slowest = vec![("test_cart.test_adds".into(), Duration::from_millis(1_250)), ("b".into(), Duration::ZERO)];
        let took = Duration::from_secs(2);
        TestCounts { passed: 12, failed: 2, skipped: 1, flaky: 1, took, failures: vec![test], slowest }
    }

    #[test]
    fn counts_read_well() {
        let said = |passed, failed, skipped| counted(&TestCounts { passed, failed, skipped, ..TestCounts::default() });
        assert_eq!(said(14, 0, 0), "14 tests passed");
        assert_eq!(said(12, 2, 1), "2 of 14 tests failed, 1 skipped");
        assert_eq!(said(1, 0, 0), "1 test passed");
        assert_eq!(said(0, 0, 3), "no test ran, 3 skipped");
        assert_eq!(counted(&failing()), "2 of 14 tests failed, 1 skipped, 1 only when run again");
    }

    #[test]
    fn the_log_has_failing_tests_first_and_slow_ones_after() {
        let expected = "\
2 of 14 tests failed, 1 skipped, 1 only when run again, taking 2.0 s together
failed: test_cart.test_adds (1.2 s) at tests/test_cart.py:14
    assert 3 == 4
     +  where 3 = total([1, 2])
and 1 more failing test
slow: test_cart.test_adds (1.2 s)";
        assert_eq!(in_log(&failing()), expected);
    }

    #[test]
    fn a_check_run_has_a_table_traces_and_slow_tests() {
        let expected = "
| tests | failed | passed | skipped | only when run again | took |
| ---: | ---: | ---: | ---: | ---: | ---: |
| 15 | 2 | 12 | 1 | 1 | 2.0 s |

**failed:** `test_cart.test_adds` (1.2 s) at `tests/test_cart.py:14`

```text
assert 3 == 4
 +  where 3 = total([1, 2])
    assert total([1, 2]) == 4
E   assert 3 == 4
```

and 1 more failing test

| slowest tests | took |
| --- | ---: |
| `test_cart.test_adds` | 1.2 s |
";
        assert_eq!(in_markdown(&failing()), expected);
    }

    #[test]
    fn the_runs_summary_names_failing_tests_and_where_they_ran() {
        let said = in_summary(&Fact::Tests(failing())).unwrap();
        assert!(said.contains("- `test_cart.test_adds` (1.2 s) at `tests/test_cart.py:14`: assert 3 == 4\n"), "{said}");
        assert!(!said.contains("where 3"), "{said}");
        let elsewhere = in_summary(&Fact::TestedElsewhere { ran_in: "the stage `test`".into() }).unwrap();
        assert!(elsewhere.contains("the stage `test`, not on the shipped bytes"), "{elsewhere}");
    }
}
