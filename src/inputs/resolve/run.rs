//! The run as a whole: which part of the story, where, under which name, for how long.

use std::path::Path;
use std::time::Duration;

use super::reading::{Reading, Words, field, word};
use super::{Needs, Surroundings};
use crate::image::Repository;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{CiFacts, CloudKind, RawInputs, RolePlan, RunKind, Secret, TokenSource, values};

const KINDS: Words<'_, RunKind> = &[
    ("pipeline", Some(RunKind::Pipeline)),
    ("test", Some(RunKind::Test)),
    ("push", Some(RunKind::Push)),
    ("deploy", Some(RunKind::Deploy)),
    ("check", Some(RunKind::Check)),
    ("promote", Some(RunKind::Promote)),
    ("rollback", Some(RunKind::Rollback)),
    ("cleanup", Some(RunKind::Cleanup)),
    ("configure", Some(RunKind::Configure)),
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

/// Whether changes are only named.
pub(super) fn dry_run(reading: &mut Reading<'_>) -> bool {
    reading.value_or(field!(reading.raw, dry_run), false, values::boolean)
}

/// Whether the log is for programs.
pub(super) fn log_is_json(reading: &mut Reading<'_>) -> bool {
    let words = [("text", Some(false)), ("json", Some(true))];
    reading.value_or(field!(reading.raw, log_format), false, word("log_format", &words))
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

/// The AWS region. A site needs one; an ECR registry's stands in its host.
pub(super) fn region(
    reading: &mut Reading<'_>,
    cloud: CloudKind,
    needs: &Needs,
    around: &Surroundings<'_>,
) -> Option<String> {
    let raw = reading.raw;
    let input = reading.value(field!(raw, aws_region), is_region);
    if cloud == CloudKind::Local {
        return Some("local".to_owned());
    }
    if raw.written("aws_region").is_some() {
        return input;
    }
    let Some((name, text)) = set(raw, "AWS_REGION").or_else(|| set(raw, "AWS_DEFAULT_REGION")) else {
        if needs.site && !is_in_a_profile(raw, around) {
            let wrong = "is missing, and no AWS_REGION, AWS_DEFAULT_REGION or profile tells it";
            reading.problem("aws_region", Wrong::new(wrong, "write the environment's region, such as eu-west-1"));
        }
        return None;
    };
    match is_region(text) {
        Ok(region) => Some(region),
        Err(wrong) => {
            reading.problem_with(name, wrong);
            None
        }
    }
}

/// The role that the run takes on. On GitHub the job's own token stands for it, where the job may have one.
pub(super) fn role(reading: &mut Reading<'_>, run_id: &str) -> Option<RolePlan> {
    let raw = reading.raw;
    let arn = reading.value(field!(raw, role_to_assume), is_role)?;
    let token = set(raw, "ACTIONS_ID_TOKEN_REQUEST_URL").zip(set(raw, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let token = token.map(|((_, url), (_, bearer))| TokenSource { url: url.to_owned(), bearer: Secret::new(bearer) });
    Some(RolePlan { arn, session: format!("beanline-{run_id}"), token })
}

/// An ARN as `arn:aws:iam::123456789012:role/path/name`, in any partition.
fn is_role(text: &str) -> Result<String, Wrong> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let legal = match parts.as_slice() {
        ["arn", partition, "iam", "", account, role] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
                && text.bytes().all(|b| b.is_ascii_graphic())
        }
        _ => false,
    };
    match legal {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write an ARN: arn:aws:iam::123456789012:role/deploy")),
    }
}

/// A variable of others that is not empty, with its name.
fn set<'a>(raw: &'a RawInputs, name: &'a str) -> Option<(&'a str, &'a str)> {
    raw.variables().get(name).map(|text| (name, text.trim())).filter(|(_, text)| !text.is_empty())
}

/// Whether the SDK may find a region in its own files. They are the SDK's to read; here it is enough that one has a
/// setting of that name.
fn is_in_a_profile(raw: &RawInputs, around: &Surroundings<'_>) -> bool {
    let home = |file: &str| set(raw, "HOME").map(|(_, home)| Path::new(home).join(".aws").join(file));
    let file = |name, otherwise| set(raw, name).map(|(_, path)| path.into()).or_else(|| home(otherwise));
    let files = [file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    let texts = files.into_iter().flatten().filter_map(|path| (around.read_file)(&path).ok());
    let is_region = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == "region");
    texts.into_iter().any(|text| text.lines().any(is_region))
}

fn is_region(text: &str) -> Result<String, Wrong> {
    let legal = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match legal && text.len() <= 40 {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write a region such as eu-west-1")),
    }
}
