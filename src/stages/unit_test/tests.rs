//! What a command's end and its reports mean together.

use super::*;
use crate::engine::event::{CodeLine, FailedTest};
use crate::inputs::Command;

fn failing(failed: usize) -> TestCounts {
    let line = Some(CodeLine { path: "tests/test_cart.py".into(), line: 14 });
    let test =
        FailedTest { name: "test_adds".into(), message: "1 is not 2\nreally".into(), line, ..Default::default() };
    TestCounts { passed: 1, failed, failures: vec![test; failed], ..TestCounts::default() }
}

#[test]
fn failing_tests_are_causes_with_their_place_and_no_more_than_ten() {
    assert!(verdict(Ok(()), &TestCounts::default()).is_ok() && verdict(Ok(()), &failing(0)).is_ok());
    let fault = verdict(Err(Fault::new("the tests did not pass").cause("`pytest` exited with 1")), &failing(1));
    assert_eq!(
        fault.unwrap_err().causes(),
        ["`pytest` exited with 1", "test_adds at tests/test_cart.py:14: 1 is not 2"]
    );
    let mut counts = failing(12);
    counts.failures.iter_mut().enumerate().for_each(|(number, test)| test.name = format!("test {number:02}"));
    let fault = verdict(Err(Fault::new("x")), &counts).unwrap_err();
    assert_eq!(fault.causes().len(), FAILURES_NAMED + 1);
    assert_eq!(fault.causes().last().unwrap(), "and 2 more failing tests");
}

#[test]
fn a_command_that_hides_failing_tests_does_not_pass() {
    let fault = verdict(Ok(()), &failing(1)).unwrap_err();
    assert_eq!(fault.causes()[0], "the command exited with 0, but its report has failing tests");
}

#[test]
fn who_has_too_little_memory_is_told_what_to_raise() {
    let fault = || Fault::new("the tests did not pass").cause(OUT_OF_MEMORY);
    let mut tests = UnitTestPlan {
        command: Command::Shell("make test".into()),
        elsewhere: None,
        files: Vec::new(),
        env: Vec::new(),
        reports: Vec::new(),
        memory: Some(64 << 20),
        timeout: Duration::from_secs(1),
    };
    assert!(advised(fault(), &tests).hints()[0].starts_with("raise `test_memory`"));
    tests.memory = None;
    assert!(advised(fault(), &tests).hints()[0].contains("docker engine's machine"));
    assert!(advised(Fault::new("x"), &tests).hints().is_empty());
}
