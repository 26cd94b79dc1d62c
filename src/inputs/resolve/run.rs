//! The run as a whole: which part of the story, where, under which name, for how long.

use std::path::Path;
use std::time::Duration;

use super::reading::{Reading, Words, field, word};
use crate::image::Repository;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{CiFacts, CloudKind, RunKind, values};

const KINDS: Words<'_, RunKind> = &[
    ("pipeline", Some(RunKind::Pipeline)),
    ("test", Some(RunKind::Test)),
    ("push", Some(RunKind::Push)),
    ("deploy", Some(RunKind::Deploy)),
    ("check", Some(RunKind::Check)),
    ("promote", None),
    ("rollback", None),
    ("cleanup", None),
    ("configure", None),
];

/// Events that begin a whole pipeline: pushes of branches and tags, releases, and what somebody with write access asks
/// for. Anything else may be begun by a stranger or a clock.
const PIPELINE_EVENTS: &[&str] = &["push", "workflow_dispatch", "repository_dispatch", "release"];

/// Which part of the story; and a sentence, where it was not asked for and may surprise.
pub(super) fn kind(reading: &mut Reading<'_>, ci: &CiFacts) -> (RunKind, Option<String>) {
    let asked = field!(reading.raw, run);
    if asked.text.is_some() {
        return (reading.value(asked, word("run", KINDS)).unwrap_or(RunKind::Test), None);
    }
    let because = match &ci.event {
        Some(event) if !PIPELINE_EVENTS.contains(&event.as_str()) => Some(format!("the event is {}", shown(event))),
        _ if ci.is_fork => Some("this is a fork".to_owned()),
        _ => ci.pull_request.map(|number| format!("this is pull request {number}")),
    };
    match because {
        Some(because) => {
            let note = format!("tests only, because {because} and `run` is not set; write run=pipeline to deploy");
            (RunKind::Test, Some(note))
        }
        None => (RunKind::Pipeline, None),
    }
}

/// Where the APIs are.
pub(super) fn cloud(reading: &mut Reading<'_>) -> CloudKind {
    let words = word("cloud", &[("aws", Some(CloudKind::Aws)), ("local", Some(CloudKind::Local))]);
    reading.value_or(field!(reading.raw, cloud), CloudKind::Aws, words)
}

/// The run's own time limit.
pub(super) fn timeout(reading: &mut Reading<'_>) -> Duration {
    reading.value_or(field!(reading.raw, timeout), Duration::ZERO, values::time_limit)
}

/// The form of the log: there is one.
pub(super) fn log_format(reading: &mut Reading<'_>) {
    reading.value_or(field!(reading.raw, log_format), (), word("log_format", &[("text", Some(())), ("json", None)]));
}

/// The run's name: the application's, else the image's, else the directory's.
pub(super) fn name(reading: &mut Reading<'_>, directory: &Path) -> String {
    if let Some(name) = reading.value(field!(reading.raw, name), values::line) {
        return name;
    }
    let texts = &reading.raw.texts;
    let image = || {
        let repository = Repository::parse(texts.image.as_deref()?, Repository::DOCKER_HUB).ok()?;
        repository.path().rsplit('/').next().map(str::to_owned)
    };
    let directory = || directory.file_name().map(|name| name.to_string_lossy().into_owned());
    texts
        .application
        .clone()
        .or_else(image)
        .or_else(directory)
        .filter(|name| values::line(name).is_ok())
        .unwrap_or_else(|| "beanline".to_owned())
}

/// The AWS region.
pub(super) fn region(reading: &mut Reading<'_>, cloud: CloudKind) -> Option<String> {
    let input = reading.value(field!(reading.raw, aws_region), is_region);
    if cloud == CloudKind::Local {
        return Some("local".to_owned());
    }
    if input.is_some() {
        return input;
    }
    let variables = reading.raw.variables();
    let set =
        |name| variables.get(name).map(|text| text.trim()).filter(|text| !text.is_empty()).map(|text| (name, text));
    let (name, text) = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"))?;
    match is_region(text) {
        Ok(region) => Some(region),
        Err(wrong) => {
            reading.problem_with(name, wrong);
            None
        }
    }
}

fn is_region(text: &str) -> Result<String, Wrong> {
    let legal = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match legal && text.len() <= 40 {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write a region such as eu-west-1")),
    }
}
