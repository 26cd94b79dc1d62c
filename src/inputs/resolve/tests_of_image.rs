//! Unit tests, acceptance tests, and the application they run against.

use std::time::Duration;

use super::lists::{Kind, pairs};
use super::reading::{Reading, field, word};
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{AcceptancePlan, AppPlan, Place, UnitTestPlan, values};

/// Unit tests, if there is a command.
pub(super) fn unit_test(reading: &mut Reading<'_>) -> Option<UnitTestPlan> {
    let raw = reading.raw;
    let command = reading.value(field!(raw, test_command), values::command);
    let files = reading.value(field!(raw, test_files), values::repository_paths).unwrap_or_default();
    let env = pairs(reading, field!(raw, test_env), Kind::Environment);
    let reports = reading.value(field!(raw, test_reports), values::container_paths).unwrap_or_default();
    let memory = reading.value(field!(raw, test_memory), values::memory);
    let timeout = reading.value_or(field!(raw, test_timeout), Duration::ZERO, values::time_limit);
    if raw.written("test_command").is_none() {
        for name in ["test_files", "test_env", "test_reports", "test_memory"] {
            if raw.texts.get(name).is_some() {
                let wrong = Wrong::new("is set, but there is no test_command", "set test_command, or leave it out");
                reading.problem(name, wrong);
            }
        }
    }
    command.map(|command| UnitTestPlan { command, files, env, reports, memory, timeout })
}

/// Acceptance tests.
pub(super) fn acceptance(reading: &mut Reading<'_>) -> AcceptancePlan {
    let raw = reading.raw;
    let url = |reading: &mut Reading<'_>, field| reading.value(field, values::url_template);
    let plan = AcceptancePlan {
        command: reading.value(field!(raw, acceptance_command), values::command),
        files: reading.value(field!(raw, acceptance_files), values::repository_paths).unwrap_or_default(),
        http: reading.value(field!(raw, acceptance_http), values::http_checks).unwrap_or_default(),
        on: reading.value_or(field!(raw, acceptance_on), Vec::new(), places),
        verify_tls: reading.value_or(
            field!(raw, acceptance_tls),
            true,
            word("acceptance_tls", &[("verify", Some(true)), ("none", Some(false))]),
        ),
        timeout: reading.value_or(field!(raw, acceptance_timeout), Duration::ZERO, values::time_limit),
        candidate_url: url(reading, field!(raw, candidate_url)),
        live_url: url(reading, field!(raw, live_url)),
    };
    if raw.texts.acceptance_files.is_some() && raw.written("acceptance_command").is_none() {
        let instead = "set acceptance_command, or leave it out";
        reading.problem("acceptance_files", Wrong::new("is set, but there is no acceptance_command", instead));
    }
    plan
}

/// Places, by comma or line.
fn places(text: &str) -> Result<Vec<Place>, Wrong> {
    const ALL: [Place; 3] = [Place::Container, Place::Candidate, Place::Live];
    if text == "none" {
        return Ok(Vec::new());
    }
    let mut places = Vec::new();
    for part in text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
        let Some(place) = ALL.into_iter().find(|place| place.word() == part) else {
            let instead = "write container, candidate, live, or none";
            return Err(Wrong::new(format!("has the word {}", shown(part)), instead));
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

/// How the application is started and probed.
pub(super) fn app(reading: &mut Reading<'_>) -> AppPlan {
    let raw = reading.raw;
    AppPlan {
        port: reading.value(field!(raw, port), values::port),
        env: pairs(reading, field!(raw, app_env), Kind::Environment),
        ready_path: reading.value_or(field!(raw, ready_path), String::new(), values::url_path),
        ready_timeout: reading.value_or(field!(raw, ready_timeout), Duration::ZERO, values::time_limit),
    }
}
