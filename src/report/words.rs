//! All prose of the report, as pure functions of a [`Story`](super::story::Story): no sink writes a sentence of its own.

pub mod changes;
pub mod check_run;
pub mod known;
pub mod left;
pub mod outlook;
pub mod run;
#[cfg(test)]
mod sentences;
#[cfg(test)]
mod sentences_in_place;
#[cfg(test)]
mod sentences_of_runs;
pub mod test_report;
pub mod timeline;
pub mod world;

use std::time::Duration;

use super::story::{Failure, StageStory, State, Story};
use crate::engine::cancel::CancelReason;
use crate::engine::event::{Fact, Role};
use crate::engine::in_words;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::CiFacts;

/// Why a run was stopped early.
pub fn cancelled(story: &Story, reason: CancelReason) -> String {
    match (reason, story.limit) {
        (CancelReason::RunTimeout, Some(limit)) => {
            format!("the run reached its limit of {} (`timeout`)", in_words(limit))
        }
        (CancelReason::RunTimeout, None) => "the run reached its limit (`timeout`)".to_owned(),
        (CancelReason::Interrupt, _) => "cancelled by SIGINT".to_owned(),
        (CancelReason::Terminate, _) => "cancelled by SIGTERM".to_owned(),
    }
}

/// One word for how far a stage is; `over` when the run has ended.
pub fn state(state: &State, over: bool) -> &'static str {
    match state {
        State::Waiting if over => "not reached",
        State::Waiting => "waiting",
        State::Running => "running",
        State::Passed => "passed",
        State::Skipped(_) => "skipped",
        State::Failed(Failure { timed_out: true, .. }) => "timed out",
        State::Failed(_) => "failed",
        State::Cancelled => "cancelled",
    }
}

/// What failed and after how long: `push failed after 3 s: the registry refused shop:1f0c2aa`. A fault that names its stage
/// itself is not introduced again.
pub fn failed(stage: &StageStory, failure: &Failure) -> String {
    let (name, took) = (stage.key.to_string(), in_words(stage.took));
    if failure.what.starts_with(&name) {
        failure.what.clone()
    } else if failure.timed_out {
        format!("{name} ran out of time after {took}: {}", failure.what)
    } else {
        format!("{name} failed after {took}: {}", failure.what)
    }
}

/// That something which is being undone goes on by itself, and how to see its end.
pub fn under_way(undo: &Undo) -> String {
    format!("{}\nhelp: {} {}", left::goes_on(undo), left::LOOK, undo.look())
}

/// A size as people say it, in decimal units as docker prints it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// A fact as a line of the log.
pub fn fact(fact: &Fact) -> String {
    match fact {
        Fact::ImageBuilt { id, bytes } => format!("image {id}, {}", size(*bytes)),
        Fact::Tests(counts) => test_report::in_log(counts),
        Fact::TestedElsewhere { ran_in } => test_report::elsewhere(ran_in),
        Fact::Accepted { url, checks: 1 } => format!("1 acceptance check passed at {url}"),
        Fact::Accepted { url, checks } => format!("{checks} acceptance checks passed at {url}"),
        Fact::Pushed { image, tag, digest } => format!("{} is in the registry as {digest}", tagged(image, tag)),
        Fact::Tagged { image, tag, digest } => format!("{image}:{tag} names {digest} too"),
        Fact::Version { label, reused: true } => format!("version {label} was there already and is used again"),
        Fact::Version { label, reused: false } => format!("version {label} was made"),
        Fact::Environment { role, name, id, url } => {
            let role = match role {
                Role::Candidate => "candidate",
                Role::Live => "live",
                Role::Updated => "in place",
            };
            format!("{role}: environment {name} ({id}){}", at(url))
        }
        Fact::Platform { at, severity, message } => format!("{at} {severity} {message}"),
        Fact::Previous { name, version } if version.is_empty() => format!("live before: environment {name}"),
        Fact::Previous { name, version } => format!("live before: environment {name} with version {version}"),
        Fact::Flaw(flaw) => format!("{}:{}: {}", flaw.path, flaw.line, flaw.title),
        Fact::Kept { what, why, command } => kept(what, why, command.as_deref()),
        Fact::Planned(change) => format!("to do: {}", changes::change(change)),
    }
}

/// Where an environment is reached; a worker has no address.
pub fn at(url: &str) -> String {
    if url.is_empty() { String::new() } else { format!(" at {url}") }
}

/// Something that is still there, why, and how to remove it.
pub fn kept(what: &str, why: &str, command: Option<&str>) -> String {
    let command = command.map(|command| format!("; remove it with: {command}")).unwrap_or_default();
    format!("{what} is kept: {why}{command}")
}

/// `image:tag`, whether or not the image's name ends in the tag already.
pub fn tagged(image: &str, tag: &str) -> String {
    if image.ends_with(&format!(":{tag}")) { image.to_owned() } else { format!("{image}:{tag}") }
}

/// A time in a column of a log: `0:07`, `12:40`, `1:02:03`.
pub fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// What is said once about a sink that broke.
pub fn broken(sink: &str, fault: &Fault) -> String {
    let help: String = fault.hints().iter().map(|hint| format!("\nhelp: {hint}")).collect();
    format!("{sink}: {fault}; the run goes on without it{help}")
}

/// Why GitHub takes less from this run than from others, where that is known.
pub fn restricted(ci: &CiFacts) -> Option<&'static str> {
    // Any other event of a fork's own repository, and `pull_request_target`, has a token that may write.
    let is_for_a_fork = ci.is_fork && ci.event.as_deref() == Some("pull_request");
    match (ci.is_dependabot, is_for_a_fork) {
        (true, _) => {
            Some("this run is Dependabot's, whose token may only read unless the workflow's `permissions` say more")
        }
        (false, true) => Some("this run is for a fork, whose token may only read whatever the workflow says"),
        (false, false) => None,
    }
}

/// What is said once when commit statuses stand for check runs.
pub fn statuses_instead(why: &Fault) -> String {
    let help: String = why.hints().iter().map(|hint| format!("\nhelp: {hint}")).collect();
    format!("commit statuses stand for check runs, which may not be written here: {why}{help}")
}

/// What is said of a sink that was not done in time at the end.
pub fn too_slow(sink: &str, limit: Duration) -> String {
    format!("{sink}: not done within {} after the run, given up; what is shown there may be old", in_words(limit))
}

/// What a stage says of itself when it has been silent for a while.
pub fn still_running(stage: &StageStory, since: Duration) -> String {
    format!("{} is still running, for {} now", stage.key, in_words(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_clocks_read_well() {
        assert_eq!(size(12_345_678), "12.3 MB");
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
    }
}
