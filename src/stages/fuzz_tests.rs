//! What tests leave behind, changed byte by byte.

use super::junit::{self, Problem, Tally};
use crate::fuzz_driver::fuzz;

/// Every dialect that there is a fixture of.
const SEEDS: &[&[u8]] = &[
    include_bytes!("junit/fixtures/pytest.xml"),
    include_bytes!("junit/fixtures/jest.xml"),
    include_bytes!("junit/fixtures/mocha.xml"),
    include_bytes!("junit/fixtures/node.xml"),
    include_bytes!("junit/fixtures/nextest.xml"),
    include_bytes!("junit/fixtures/surefire.xml"),
    b"<!DOCTYPE x [<!ENTITY a \"b\">]><testsuite><testcase name='&a;' failure=''/><!-- - --></testsuite>",
];

#[test]
fn fuzz_junit() {
    fuzz(SEEDS, |bytes| {
        let mut tally = Tally::default();
        match junit::read(bytes, &mut tally) {
            Ok(()) => {}
            Err(Problem::NoReport) => assert!(tally.is_empty()),
            Err(problem) => assert!(problem.to_string().starts_with("it is damaged: "), "{problem}"),
        }
        assert!(tally.mentions().all(|mention| mention.line() > 0));
        let counts = tally.located(|_| None);
        assert!(counts.failures.len() <= counts.failed.min(200) && counts.slowest.len() <= 5);
        for test in counts.failures {
            assert!(!test.name.is_empty() && test.name.len() <= 300);
            assert!(!test.message.is_empty() && test.message.len() <= 500 && test.details.len() <= 6_300);
        }
    });
}
