//! What has happened so far, folded from events. Every sink keeps one, and all prose is made from it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, Event, EventKind, Fact, Outcome, Stage, StageKey};
use crate::engine::undo::Undo;
use crate::exit::Exit;
use crate::fault::Fault;

/// Bytes of a stage's output that are kept for its check run.
const TAIL_BYTES: usize = 40_000;

/// Sentences of a stage that are kept for its check run.
const NOTES: usize = 200;

/// What the names of the program's own image on a docker engine begin with.
const OWN_IMAGE: &str = "beanline-own:";

/// A run so far.
#[derive(Debug, Default)]
pub struct Story {
    /// The application and the revision.
    pub about: String,
    /// Its stages, in order.
    pub stages: Vec<StageStory>,
    /// How long it may take, where that is known.
    pub limit: Option<Duration>,
    /// Why it is being cancelled.
    pub cancelling: Option<CancelReason>,
    /// What was undone, and why it could not be.
    pub undone: Vec<(Undo, Option<String>)>,
    /// What a signal kept the run from seeing the end of, although the docker engine was asked for it.
    pub cut_off: Vec<Undo>,
    /// What was asked for and goes on by itself.
    pub under_way: Vec<Undo>,
    /// What could not be undone or is still under way, known at the end.
    pub left: Vec<Undo>,
    /// How it ended.
    pub end: Option<(End, Exit)>,
    /// Since its beginning.
    pub elapsed: Duration,
}

/// One stage of it.
#[derive(Debug)]
pub struct StageStory {
    /// Which.
    pub key: StageKey,
    /// How far it is.
    pub state: State,
    /// When it began, since the beginning of the run.
    pub began: Option<Duration>,
    /// When it ended, likewise.
    pub ended: Option<Duration>,
    /// How long it took.
    pub took: Duration,
    /// Its sentences, warnings, retries and what the platform said, with the time of each.
    pub notes: VecDeque<(Duration, String)>,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// What it found out.
    pub facts: Vec<Fact>,
    /// The last lines of its output.
    pub tail: Tail,
}

/// How far a stage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not begun.
    Waiting,
    /// It is under way.
    Running,
    /// It did what it is there for.
    Passed,
    /// It had nothing to do, and why.
    Skipped(String),
    /// It failed.
    Failed(Failure),
    /// The run was cancelled while it was under way.
    Cancelled,
}

/// A fault as the report keeps it: see [`crate::fault::Fault`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What could not be done.
    pub what: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The last lines of the thing that failed.
    pub lines: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// Whether a time limit was the reason.
    pub timed_out: bool,
}

/// The last lines of an output, within a limit of bytes.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: usize,
}

impl Tail {
    fn push(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > TAIL_BYTES {
            let Some(first) = self.lines.pop_front() else { return };
            self.bytes -= first.len() + 1;
            self.dropped += 1;
        }
    }

    /// The lines that are kept.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// How many lines came before them.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether there was no output at all.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl StageStory {
    fn new(key: StageKey) -> Self {
        Self {
            key,
            state: State::Waiting,
            began: None,
            ended: None,
            took: Duration::ZERO,
            notes: VecDeque::new(),
            warnings: Vec::new(),
            facts: Vec::new(),
            tail: Tail::default(),
        }
    }

    fn note(&mut self, at: Duration, text: String) {
        self.notes.push_back((at, text));
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }

    /// Its failure, if it failed.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            State::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Story {
    /// A run that has not begun, and how long it may take.
    pub fn bounded_by(limit: Option<Duration>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes the next event in.
    pub fn take(&mut self, event: &Event) {
        let at = event.elapsed;
        self.elapsed = at;
        match &event.kind {
            EventKind::RunStarted { about, stages } => {
                self.about.clone_from(about);
                self.stages = stages.iter().cloned().map(StageStory::new).collect();
            }
            EventKind::StageStarted { key } => {
                let stage = self.stage_mut(key);
                (stage.state, stage.began) = (State::Running, Some(at));
            }
            EventKind::StageLine { key, line } => self.stage_mut(key).tail.push(line),
            EventKind::StageNote { key, text } => self.stage_mut(key).note(at, text.clone()),
            EventKind::StageWarning { key, text } => {
                let stage = self.stage_mut(key);
                stage.note(at, format!("warning: {text}"));
                stage.warnings.push(text.clone());
            }
            EventKind::StageFact { key, fact } => {
                let stage = self.stage_mut(key);
                match fact {
                    Fact::Platform { at: when, severity, message } => {
                        stage.note(at, format!("{when} {severity} {message}"));
                    }
                    _ => stage.facts.push(fact.clone()),
                }
            }
            EventKind::StageRetrying { key, call, because } => {
                self.stage_mut(key).note(at, format!("{call} is tried again: {because}"));
            }
            EventKind::StageFinished { key, outcome, took } => {
                let stage = self.stage_mut(key);
                (stage.state, stage.ended, stage.took) = (State::from(outcome), Some(at), *took);
            }
            EventKind::Cancelling { reason } => self.cancelling = self.cancelling.max(Some(*reason)),
            EventKind::UndoUnderWay { undo } => self.under_way.push(undo.clone()),
            EventKind::Undoing { .. } | EventKind::SecretLearnt { .. } => {}
            EventKind::Undone { undo, error } => {
                let is_cut_off = error.as_ref().is_some_and(Fault::is_time_out) && self.is_signalled();
                self.cut_off.extend((is_cut_off && undo.is_on_the_daemon()).then(|| undo.clone()));
                self.undone.push((undo.clone(), error.as_ref().map(ToString::to_string)));
            }
            EventKind::RunFinished { end, exit, left } => {
                self.end = Some((end.clone(), *exit));
                self.left = left.iter().filter(|undo| !self.may_stay(undo)).cloned().collect();
            }
        }
    }

    fn is_signalled(&self) -> bool {
        self.cancelling.is_some_and(CancelReason::is_signal)
    }

    /// Whether a candidate that passed was left to whoever promotes it.
    pub fn is_left_waiting(&self) -> bool {
        matches!(self.end, Some((End::Waiting, _)))
    }

    /// Whether this is the program's own image, and the run had no time for it: the next run uses it again.
    pub fn may_stay(&self, undo: &Undo) -> bool {
        let is_own = matches!(undo, Undo::RemoveImage { reference } if reference.starts_with(OWN_IMAGE));
        is_own && self.is_signalled()
    }

    /// The stage of this key; a stage that was not announced is added at the end.
    fn stage_mut(&mut self, key: &StageKey) -> &mut StageStory {
        let at = self.stages.iter().position(|stage| stage.key == *key).unwrap_or_else(|| {
            self.stages.push(StageStory::new(key.clone()));
            self.stages.len() - 1
        });
        &mut self.stages[at]
    }

    /// The story of one stage.
    pub fn stage(&self, key: &StageKey) -> Option<&StageStory> {
        self.stages.iter().find(|stage| stage.key == *key)
    }

    /// Whether a stage of this kind has begun, on any site.
    pub fn has_begun(&self, which: Stage) -> bool {
        self.stages.iter().any(|stage| stage.key.stage == which && stage.began.is_some())
    }

    /// Every fact, in the order of the stages.
    pub fn facts(&self) -> impl DoubleEndedIterator<Item = &Fact> {
        self.stages.iter().flat_map(|stage| stage.facts.iter())
    }

    /// The stages that failed, in order.
    pub fn failures(&self) -> impl Iterator<Item = (&StageStory, &Failure)> {
        self.stages.iter().filter_map(|stage| stage.failure().map(|failure| (stage, failure)))
    }
}

impl From<&Outcome> for State {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed => State::Passed,
            Outcome::Skipped(why) => State::Skipped(why.clone()),
            Outcome::Cancelled => State::Cancelled,
            Outcome::Failed(fault) => State::Failed(Failure {
                what: fault.what().to_owned(),
                causes: fault.causes().to_vec(),
                lines: fault.last_lines().to_vec(),
                hints: fault.hints().to_vec(),
                timed_out: fault.is_time_out(),
            }),
        }
    }
}
