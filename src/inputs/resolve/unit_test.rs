//! Unit tests, and the image that they run in.

use std::time::Duration;

use super::image::inside_the_context;
use super::lists::{Kind, pairs};
use super::reading::{Reading, field};
use crate::inputs::problem::Wrong;
use crate::inputs::{AcceptancePlan, Elsewhere, OtherImage, UnitTestPlan, values};

/// Unit tests, if there is a command.
pub(super) fn resolve(reading: &mut Reading<'_>, acceptance: &AcceptancePlan) -> Option<UnitTestPlan> {
    let raw = reading.raw;
    let command = reading.value(field!(raw, test_command), values::command);
    let elsewhere = elsewhere(reading, acceptance);
    let files = reading.value(field!(raw, test_files), values::repository_paths).unwrap_or_default();
    let env = pairs(reading, field!(raw, test_env), Kind::Environment);
    let reports = reading.value(field!(raw, test_reports), values::report_paths).unwrap_or_default();
    let memory = reading.value(field!(raw, test_memory), values::memory);
    let timeout = reading.value_or(field!(raw, test_timeout), Duration::ZERO, values::time_limit);
    if raw.written("test_command").is_none() {
        for name in ["test_target", "test_dockerfile", "test_files", "test_env", "test_reports", "test_memory"] {
            if raw.texts.get(name).is_some() {
                let wrong = Wrong::new("is set, but there is no test_command", "set test_command, or leave it out");
                reading.problem(name, wrong);
            }
        }
    }
    command.map(|command| UnitTestPlan { command, elsewhere, files, env, reports, memory, timeout })
}

/// Another image than the shipped one. Only acceptance tests prove the shipped bytes then, so there have to be some.
fn elsewhere(reading: &mut Reading<'_>, acceptance: &AcceptancePlan) -> Option<Elsewhere> {
    let raw = reading.raw;
    let target = reading.value(field!(raw, test_target), values::name(128, b"._"));
    let dockerfile = reading.value(field!(raw, test_dockerfile), inside_the_context);
    let (name, other) = match (target, dockerfile) {
        (Some(_), Some(_)) => {
            let wrong = Wrong::new("is set beside test_dockerfile", "leave one of them out");
            reading.problem("test_target", wrong);
            return None;
        }
        (Some(target), None) => ("test_target", OtherImage::Target(target)),
        (None, Some(dockerfile)) => ("test_dockerfile", OtherImage::Dockerfile(dockerfile)),
        (None, None) => return None,
    };
    let elsewhere = Elsewhere::backed_by(acceptance, other);
    // Acceptance tests that were given and are wrong have been told already.
    let is_told = ["acceptance_command", "acceptance_http", "acceptance_on"];
    if elsewhere.is_none() && !is_told.iter().any(|name| reading.has_problem(name)) {
        let wrong = "lets the unit tests run on other bytes than those that are shipped, and no acceptance test runs \
                     against a container of those";
        let instead = "set acceptance_http (GET / 200) or acceptance_command, with `container` in acceptance_on";
        reading.problem(name, Wrong::new(wrong, instead));
    }
    elsewhere
}
