//! A stage's check run in words: title, summary and text.

use std::fmt::Write as _;

use super::world::world;
use super::{left, test_report};
use crate::engine::event::Fact;
use crate::engine::in_words;
use crate::report::markdown::{block, code, prose};
use crate::report::story::{Failure, StageStory, State, Story};

/// Titles are cut after this many characters; GitHub shows them in one line.
const LONGEST_TITLE: usize = 140;

/// The title of a check run whose run did not complete it, given by a later run.
pub const LEFT_OPEN: &str = "the run ended without completing this check run";

/// What is said of it in Markdown: `theirs` is the log of the run that opened it, `ours` of the one that found it.
pub fn left_open(theirs: Option<&str>, ours: Option<&str>) -> String {
    let mut out = format!(
        "**{LEFT_OPEN}**: it was killed, or its machine went away. What came of this stage only its log can tell; what it \
         made and did not hand over is removed by the next run that deploys.\n"
    );
    for (url, text) in [(theirs, "The log of the run that ended"), (ours, "The run that found this")] {
        out.extend(url.map(|url| format!("\n[{text}]({url})\n")));
    }
    out
}

/// The line beside the check run's name.
pub fn title(stage: &StageStory, story: &Story) -> String {
    let title = match &stage.state {
        State::Waiting => waiting(story),
        State::Running => cancelled(story).unwrap_or_else(|| "running".to_owned()),
        State::Passed => match stage.facts.iter().rev().find_map(headline) {
            Some(headline) => format!("{headline} ({})", in_words(stage.took)),
            None => format!("passed in {}", in_words(stage.took)),
        },
        State::Skipped(why) => format!("skipped: {why}"),
        State::Failed(failure) => failure.what.clone(),
        State::Cancelled => cancelled(story).unwrap_or_else(|| "cancelled".to_owned()),
    };
    shortened(&title, LONGEST_TITLE)
}

/// Why the run is being stopped, if it is.
fn cancelled(story: &Story) -> Option<String> {
    story.cancelling.map(|reason| super::cancelled(story, reason))
}

/// Why a stage has not begun.
fn waiting(story: &Story) -> String {
    let failed: Vec<String> = story.failures().map(|(stage, _)| stage.key.to_string()).collect();
    match (cancelled(story), failed.is_empty()) {
        (Some(reason), _) => format!("not reached: {reason}"),
        (None, false) => format!("not reached: {} failed", failed.join(" and ")),
        (None, true) if story.end.is_some() => "not reached".to_owned(),
        (None, true) => "waiting for the stages before it".to_owned(),
    }
}

fn headline(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Tests(counts) => Some(super::test_report::counted(counts)),
        Fact::Accepted { checks: 1, .. } => Some("1 acceptance check passed".to_owned()),
        Fact::Accepted { checks, .. } => Some(format!("{checks} acceptance checks passed")),
        Fact::ImageBuilt { bytes, .. } => Some(format!("image of {} built", super::size(*bytes))),
        Fact::Pushed { image, tag, .. } => Some(format!("{} pushed", super::tagged(image, tag))),
        Fact::Environment { name, url, .. } => Some(format!("environment {name}{}", super::at(url))),
        Fact::Tagged { .. } | Fact::Version { .. } | Fact::Platform { .. } | Fact::Previous { .. } => None,
        Fact::Kept { .. } | Fact::Planned(_) | Fact::Flaw(_) | Fact::TestedElsewhere { .. } => None,
    }
}

/// What the check run says first, in Markdown.
pub fn summary(stage: &StageStory, story: &Story, run_url: Option<&str>) -> String {
    let mut out = match &stage.state {
        State::Failed(failure) => format!("**{}**\n\n{}", prose(&world(story)), failure_block(stage, failure)),
        State::Running if story.cancelling.is_none() => "This stage is under way.\n".to_owned(),
        State::Cancelled | State::Running => {
            format!("**{}**\n\n{}\n", prose(&world(story)), prose(&title(stage, story)))
        }
        State::Waiting | State::Passed | State::Skipped(_) => format!("{}\n", prose(&title(stage, story))),
    };
    if matches!(stage.state, State::Failed(_) | State::Cancelled) {
        out.push_str(&left::block(story));
    }
    out.push('\n');
    for fact in &stage.facts {
        let _ = match fact {
            Fact::Tests(counts) => writeln!(out, "{}", test_report::in_markdown(counts)),
            _ => writeln!(out, "- {}", prose(&super::fact(fact))),
        };
    }
    for warning in &stage.warnings {
        let _ = writeln!(out, "- ⚠️ {}", prose(warning));
    }
    // GitHub ignores `details_url` on check runs made with a workflow's own token, so the link stands here.
    if let Some(url) = run_url {
        let _ = write!(out, "\n[The log of this run]({url})\n");
    }
    out
}

/// What failed, causes, last lines and help, in Markdown.
pub fn failure_block(stage: &StageStory, failure: &Failure) -> String {
    let mut out = format!("{}\n", prose(&super::failed(stage, failure)));
    if !failure.causes.is_empty() {
        out.push('\n');
    }
    for cause in &failure.causes {
        let _ = writeln!(out, "- because: {}", prose(cause));
    }
    if !failure.lines.is_empty() {
        let _ = write!(out, "\nThe last lines:\n\n{}", block(failure.lines.iter().map(String::as_str)));
    }
    for hint in &failure.hints {
        let _ = write!(out, "\n**help:** {}\n", prose(hint));
    }
    out
}

/// What it said and put out, in Markdown; `None` when there is nothing.
pub fn text(stage: &StageStory) -> Option<String> {
    let mut out = String::new();
    if !stage.notes.is_empty() {
        out.push_str("### What happened\n\n");
        for (at, note) in &stage.notes {
            let _ = writeln!(out, "- {} {}", code(&super::clock(*at)), prose(&shortened(note, 500)));
        }
    }
    if !stage.tail.is_empty() {
        out.push_str("\n### Output\n\n");
        if stage.tail.dropped() > 0 {
            let _ = writeln!(out, "{} earlier lines are in the log.\n", stage.tail.dropped());
        }
        out.push_str(&block(stage.tail.lines()));
    }
    (!out.is_empty()).then_some(out)
}

/// The first line of a text, cut to so many characters.
pub fn shortened(text: &str, longest: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(longest) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}…", &line[..at]),
    }
}
