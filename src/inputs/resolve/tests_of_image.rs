//! Acceptance tests, and the application they run against.

use std::time::Duration;

use super::lists::{Kind, pairs};
use super::reading::{Reading, field, word};
use crate::image::ImageRef;
use crate::inputs::http_check::http_checks;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{AcceptancePlan, AppPlan, HttpCheck, OtherImage, Place, TestsIn, values};

/// Acceptance tests.
pub(super) fn acceptance(reading: &mut Reading<'_>) -> AcceptancePlan {
    let raw = reading.raw;
    let url = |reading: &mut Reading<'_>, field| reading.value(field, values::url_template);
    let plan = AcceptancePlan {
        command: reading.value(field!(raw, acceptance_command), values::command),
        runs_in: tests_in(reading),
        files: reading.value(field!(raw, acceptance_files), values::repository_paths).unwrap_or_default(),
        http: checks(reading),
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
    if raw.written("acceptance_command").is_none() {
        for name in ["acceptance_files", "acceptance_target", "acceptance_image"] {
            if raw.texts.get(name).is_some() {
                let instead = "set acceptance_command, or leave it out";
                reading.problem(name, Wrong::new("is set, but there is no acceptance_command", instead));
            }
        }
    }
    plan
}

/// The image that the acceptance tests run in.
fn tests_in(reading: &mut Reading<'_>) -> TestsIn {
    let raw = reading.raw;
    let target = reading.value(field!(raw, acceptance_target), values::line);
    let image = reading.value(field!(raw, acceptance_image), |text| {
        let wrong =
            |why| Wrong::new(format!("is {}: the name {why}", shown(text)), "write one such as python:3.13-slim");
        ImageRef::parse(text).map_err(wrong)
    });
    match (target, image) {
        (Some(_), Some(_)) => {
            let wrong = Wrong::new("is set, and so is acceptance_target", "leave one of them out");
            reading.problem("acceptance_image", wrong);
            TestsIn::App
        }
        (Some(target), None) => TestsIn::Other(OtherImage::Target(target)),
        (None, Some(image)) => TestsIn::Image(image),
        (None, None) => TestsIn::App,
    }
}

/// Built-in checks; what is wrong with each line is told.
fn checks(reading: &mut Reading<'_>) -> Vec<HttpCheck> {
    let raw = reading.raw;
    let checks = http_checks(raw.texts.acceptance_http.as_deref().unwrap_or_default());
    checks.unwrap_or_else(|wrong| {
        wrong.into_iter().for_each(|wrong| reading.problem("acceptance_http", wrong));
        Vec::new()
    })
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
