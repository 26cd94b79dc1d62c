//! The whole run in words: the last message of the log, the check run `beanline`, and the step summary.

use std::fmt::Write as _;

use super::check_run::{failure_block, shortened};
use super::known::{KEPT, Known};
use super::world::world;
use super::{left, outlook, test_report};
use crate::engine::cancel::CancelReason;
use crate::engine::event::End;
use crate::engine::in_words;
use crate::report::markdown::prose;
use crate::report::story::{State, Story};

/// What to do when a run takes longer than it may.
const RAISE_TIMEOUT: &str =
    "raise the input `timeout` if the run needs longer; what the stages took shows where the time went";

/// The last lines of the log: the state of the world first, then what failed, why, its last lines, and what to do.
pub fn message(story: &Story) -> Vec<String> {
    let mut out = vec![world(story)];
    out.extend(stopped(story));
    for (stage, failure) in story.failures() {
        out.push(super::failed(stage, failure));
        out.extend(failure.causes.iter().map(|cause| format!("  because: {cause}")));
        out.extend(failure.lines.iter().map(|line| format!("  | {line}")));
        out.extend(failure.hints.iter().map(|hint| format!("help: {hint}")));
    }
    if ran_out_of_time(story) {
        out.push(format!("help: {RAISE_TIMEOUT}"));
    }
    for thing in left::left(story) {
        out.push(thing.sentence);
        out.extend(thing.help.map(|(help, command)| format!("help: {help} {command}")));
        out.extend(thing.caution.map(|caution| format!("help: {caution}")));
    }
    out.extend(left::later(story).map(|later| format!("help: {later}")));
    out
}

/// How the run was stopped, when no stage failed of itself.
fn stopped(story: &Story) -> Option<String> {
    let reason = match (&story.end, story.cancelling) {
        (Some((End::Cancelled(reason), _)), _) => reason,
        // Nobody cancelled it: that something could not be undone is worse news, but not the only news.
        (Some((End::NeedsHuman(_), _)), Some(CancelReason::RunTimeout)) => &CancelReason::RunTimeout,
        _ => return None,
    };
    let running: Vec<String> = story
        .stages
        .iter()
        .filter(|stage| stage.state == State::Cancelled)
        .map(|stage| stage.key.to_string())
        .collect();
    let during = if *reason == CancelReason::RunTimeout { "in" } else { "during" };
    let when = if running.is_empty() { String::new() } else { format!(" {during} {}", running.join(" and ")) };
    Some(format!("{}{when}, after {}", super::cancelled(story, *reason), in_words(story.elapsed)))
}

/// Whether the run's own time limit ended it.
fn ran_out_of_time(story: &Story) -> bool {
    story.end.is_some() && story.cancelling == Some(CancelReason::RunTimeout)
}

/// `result: deployed (exit code 0) after 4 min 2 s`.
pub fn result(story: &Story) -> String {
    match &story.end {
        Some((end, exit)) => {
            format!("result: {} (exit code {}) after {}", end.result(), exit.code(), in_words(story.elapsed))
        }
        None => format!("result: none yet, after {}", in_words(story.elapsed)),
    }
}

/// The stages with result, time and remark, as rows.
pub fn stages(story: &Story) -> Vec<[String; 4]> {
    let over = story.end.is_some();
    let row = |stage: &super::StageStory| {
        let took = match stage.state {
            State::Waiting | State::Running | State::Skipped(_) => String::new(),
            _ => in_words(stage.took),
        };
        let (remark, timed_out) = match &stage.state {
            State::Skipped(why) => (why.clone(), false),
            State::Failed(failure) => (shortened(&failure.what, 100), false),
            State::Cancelled => (
                story.cancelling.map(|reason| super::cancelled(story, reason)).unwrap_or_default(),
                story.cancelling == Some(CancelReason::RunTimeout),
            ),
            _ => (String::new(), false),
        };
        let state = if timed_out { "timed out" } else { super::state(&stage.state, over) };
        [stage.key.to_string(), state.to_owned(), took, remark]
    };
    story.stages.iter().map(row).collect()
}

/// The title of the run's own check run.
pub fn title(story: &Story) -> String {
    let title = match (&story.end, story.cancelling) {
        (Some(_), _) => world(story),
        (None, Some(reason)) => format!("{}; what this run made is being removed", super::cancelled(story, reason)),
        (None, None) => "under way; every stage has a check run of its own".to_owned(),
    };
    shortened(&title, 200)
}

/// The run in Markdown: state of the world, failures, stages, facts, what it costs and what to do next. For the check run and the step summary.
///
/// `url_of` knows where a stage's check run is read, if anywhere.
pub fn summary(story: &Story, run_url: Option<&str>, url_of: &dyn Fn(&str) -> Option<String>) -> String {
    let link = run_url.map(|url| format!("\n[The log of this run]({url})\n")).unwrap_or_default();
    if story.end.is_none() {
        return format!("{}: {}\n{link}", prose(&story.about), prose(&title(story)));
    }
    let mut out = format!("**{}**\n", prose(&world(story)));
    out.extend(stopped(story).map(|line| format!("\n{}\n", prose(&line))));
    for (stage, failure) in story.failures() {
        let _ = write!(out, "\n{}", failure_block(stage, failure));
    }
    if ran_out_of_time(story) {
        let _ = write!(out, "\n**help:** {}\n", prose(RAISE_TIMEOUT));
    }
    out.push_str(&left::block(story));
    out.push_str("\n| stage | result | took | |\n| --- | --- | --- | --- |\n");
    for [name, state, took, remark] in stages(story) {
        let shown = match url_of(&name) {
            Some(url) => format!("[{}]({url})", prose(&name)),
            None => prose(&name),
        };
        let _ = writeln!(out, "| {shown} | {state} | {took} | {} |", prose(&remark));
    }
    out.extend(story.facts().filter_map(test_report::in_summary));
    // What is kept stands below, with what it costs.
    let known: Vec<_> = Known::of(story).rows().into_iter().filter(|(label, _)| *label != KEPT).collect();
    if !known.is_empty() {
        out.push_str("\n| | |\n| --- | --- |\n");
    }
    for (label, value) in known {
        let _ = writeln!(out, "| {label} | {} |", prose(&value));
    }
    out.push_str(&outlook::costs(story));
    out.extend(outlook::next(story).map(|next| format!("\n### What to do next\n\n{}\n", prose(next))));
    out + &link
}
