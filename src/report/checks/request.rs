//! The bodies of requests about check runs, made from a story without I/O
//! (docs.github.com/rest/checks/runs, version 2022-11-28).

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::annotations::{Annotation, annotations};
use super::links::Links;
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, Stage};
use crate::exit::Exit;
use crate::report::markdown::fit;
use crate::report::story::{StageStory, State, Story};
use crate::report::words;

/// Bytes that summary and text may have each. The schema counts characters, the model behind it bytes.
const LONGEST_TEXT: usize = 65_535;

/// How far a check run is; its word is what a list may be narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    Queued,
    /// Under way.
    InProgress,
    /// Over; the conclusion says how.
    Completed,
}

impl Status {
    /// The word that GitHub has for it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
        }
    }
}

/// How a check run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// Stopped from outside.
    Cancelled,
    /// It had nothing to do, or was not reached.
    Skipped,
    /// A time limit was reached.
    TimedOut,
    /// Nothing that counts was done: a run that only names what it would do.
    Neutral,
    /// Somebody has to do something: a candidate waits for its promotion.
    ActionRequired,
}

/// What a check run says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// GitHub takes 50 with a request and appends those of the next, so that a part of them is sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
}

/// The state that a check run should be in: the body of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Update {
    /// How far it is.
    pub status: Status,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

impl Update {
    /// The same with these of its annotations alone.
    pub fn with_annotations(&self, which: Range<usize>) -> Self {
        let mut update = self.clone();
        if let Some(output) = &mut update.output {
            output.annotations.truncate(which.end);
            output.annotations.drain(..which.start.min(output.annotations.len()));
        }
        update
    }

    /// How many annotations it has.
    pub fn annotations(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.annotations.len())
    }

    /// Whether GitHub would show the same, but for the second in which it ended.
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        (self.status, self.conclusion, &self.started_at, &self.output)
            == (other.status, other.conclusion, &other.started_at, &other.output)
    }
}

/// The body that opens a check run.
#[derive(Debug, Serialize)]
pub struct Opening<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The commit.
    pub head_sha: &'a str,
    /// Where its log is; GitHub ignores it for a workflow's own token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_url: Option<&'a str>,
    /// What it is found by again.
    pub external_id: &'a str,
    /// The state it begins in.
    #[serde(flatten)]
    pub update: &'a Update,
}

/// Makes updates; knows when the run began on the wall and where its log is.
#[derive(Clone, Debug)]
pub struct Updates {
    /// The beginning of the run.
    pub origin: DateTime<Utc>,
    /// Where its log is.
    pub run_url: Option<String>,
    /// Where the check runs are read.
    pub links: Links,
    /// What stands before a stage in their names.
    pub name: String,
}

impl Updates {
    /// The state that a stage's check run should be in.
    pub fn stage(&self, stage: &StageStory, story: &Story) -> Update {
        let conclusion = stage_conclusion(stage, story);
        let output = (conclusion.is_some() || stage.state != State::Waiting).then(|| Output {
            title: words::check_run::title(stage, story),
            summary: fit(&words::check_run::summary(stage, story, self.run_url.as_deref()), LONGEST_TEXT),
            text: words::check_run::text(stage).map(|text| fit(&text, LONGEST_TEXT)),
            annotations: if conclusion.is_some() { annotations(&stage.facts) } else { Vec::new() },
        });
        let status = match (conclusion, stage.began) {
            (Some(_), _) => Status::Completed,
            (None, Some(_)) => Status::InProgress,
            (None, None) => Status::Queued,
        };
        let ended = conclusion.map(|_| stage.ended.unwrap_or(story.elapsed));
        self.update(status, conclusion, stage.began, ended, output)
    }

    /// The state that the run's own check run should be in.
    pub fn run(&self, story: &Story) -> Update {
        let conclusion = run_conclusion(story);
        let output = Output {
            title: words::run::title(story),
            summary: fit(
                &words::run::summary(story, self.run_url.as_deref(), &|stage| {
                    self.links.of(&format!("{} / {stage}", self.name))
                }),
                LONGEST_TEXT,
            ),
            text: None,
            annotations: Vec::new(),
        };
        let status = if conclusion.is_some() { Status::Completed } else { Status::InProgress };
        self.update(status, conclusion, Some(Duration::ZERO), conclusion.map(|_| story.elapsed), Some(output))
    }

    fn update(
        &self,
        status: Status,
        conclusion: Option<Conclusion>,
        began: Option<Duration>,
        ended: Option<Duration>,
        output: Option<Output>,
    ) -> Update {
        // GitHub takes the time of the request for a missing beginning, which may lie after the end.
        let began = began.or(ended);
        Update {
            status,
            conclusion,
            started_at: began.map(|t| self.at(t)),
            completed_at: ended.map(|t| self.at(t)),
            output,
        }
    }

    /// A moment of the run as GitHub reads it: `2025-11-20T21:03:00Z`.
    fn at(&self, elapsed: Duration) -> String {
        (self.origin + elapsed).format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

fn stage_conclusion(stage: &StageStory, story: &Story) -> Option<Conclusion> {
    let stopped = story.cancelling.map(|reason| match reason {
        CancelReason::RunTimeout => Conclusion::TimedOut,
        CancelReason::Interrupt | CancelReason::Terminate => Conclusion::Cancelled,
    });
    match &stage.state {
        State::Passed => Some(Conclusion::Success),
        // The candidate has passed; whether it becomes live is decided by a person.
        State::Skipped(_) if stage.key.stage == Stage::Promote && story.is_left_waiting() => {
            Some(Conclusion::ActionRequired)
        }
        State::Skipped(_) => Some(Conclusion::Skipped),
        State::Failed(failure) if failure.timed_out => Some(Conclusion::TimedOut),
        State::Failed(_) => Some(Conclusion::Failure),
        State::Cancelled => stopped.or(Some(Conclusion::Cancelled)),
        // After a signal the process may not live long enough to say more, so nothing is left open.
        State::Running => stopped.or(story.end.as_ref().map(|_| Conclusion::Cancelled)),
        State::Waiting if story.cancelling.is_some() => Some(Conclusion::Cancelled),
        State::Waiting => story.end.as_ref().map(|_| Conclusion::Skipped),
    }
}

fn run_conclusion(story: &Story) -> Option<Conclusion> {
    let Some((end, exit)) = &story.end else {
        return story.cancelling.map(|reason| match reason {
            CancelReason::RunTimeout => Conclusion::TimedOut,
            CancelReason::Interrupt | CancelReason::Terminate => Conclusion::Cancelled,
        });
    };
    Some(match (end, exit) {
        (End::Deployed | End::Tested | End::Pushed | End::Checked | End::Versioned, _) => Conclusion::Success,
        (End::Waiting | End::Back | End::CleanedUp | End::Configured, _) => Conclusion::Success,
        (End::Planned, _) => Conclusion::Neutral,
        (End::NeedsHuman(_), _) => Conclusion::Failure,
        (_, Exit::TimedOut) => Conclusion::TimedOut,
        (End::Cancelled(_), _) => Conclusion::Cancelled,
        (End::Failed(_) | End::RolledBack(_), _) => Conclusion::Failure,
    })
}
