//! What can happen in a run: the only vocabulary between the pipeline and those who report it.
//!
//! The first event is [`EventKind::RunStarted`] and lists every stage; the last is [`EventKind::RunFinished`] and nothing
//! follows it. Only [`EventKind::StageLine`] may be dropped.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cancel::CancelReason;
use super::change::Change;
pub use super::test_counts::{CodeLine, FailedTest, TestCounts};
use super::undo::Undo;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::inputs::Secret;

/// A named part of a run, in the order of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Every question is asked before anything is changed.
    Check,
    /// The image is built, once.
    Build,
    /// Unit tests inside the image.
    UnitTest,
    /// Acceptance tests against the image as a container.
    AcceptanceContainer,
    /// The image gets its tag in the registry.
    Push,
    /// A candidate environment gets the image.
    Deploy,
    /// Acceptance tests against the candidate.
    AcceptanceCandidate,
    /// The candidate becomes live.
    Promote,
    /// Acceptance tests against live.
    AcceptanceLive,
    /// Previous environment by its retention, and what the run made and does not hand over.
    CleanUp,
    /// Settings of an environment, in a run of their own.
    Configure,
    /// What was live before is live again, in a run of its own.
    RollBack,
}

impl Stage {
    /// All stages: those of the whole story in their order, then those of runs of their own.
    pub const ALL: [Stage; 12] = [
        Stage::Check,
        Stage::Build,
        Stage::UnitTest,
        Stage::AcceptanceContainer,
        Stage::Push,
        Stage::Deploy,
        Stage::AcceptanceCandidate,
        Stage::Promote,
        Stage::AcceptanceLive,
        Stage::CleanUp,
        Stage::Configure,
        Stage::RollBack,
    ];

    /// The stages of the whole story, in order.
    pub const PIPELINE: &[Stage] = Stage::ALL.split_at(10).0;

    /// The stage's name in logs, check runs and documents.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Check => "check",
            Stage::Build => "build",
            Stage::UnitTest => "unit test",
            Stage::AcceptanceContainer => "acceptance (container)",
            Stage::Push => "push",
            Stage::Deploy => "deploy",
            Stage::AcceptanceCandidate => "acceptance (candidate)",
            Stage::Promote => "promote",
            Stage::AcceptanceLive => "acceptance (live)",
            Stage::CleanUp => "clean up",
            Stage::Configure => "configure",
            Stage::RollBack => "roll back",
        }
    }

    /// The exit code of a run that stops in this stage.
    pub fn exit(self) -> Exit {
        match self {
            Stage::Check => Exit::NotReady,
            Stage::Build => Exit::BuildFailed,
            Stage::UnitTest => Exit::UnitTestFailed,
            Stage::AcceptanceContainer => Exit::AcceptanceFailed,
            Stage::Push => Exit::PushFailed,
            Stage::Deploy => Exit::DeployFailed,
            Stage::AcceptanceCandidate => Exit::CandidateRejected,
            Stage::Promote => Exit::PromoteFailed,
            Stage::AcceptanceLive => Exit::RolledBack,
            Stage::CleanUp => Exit::CleanUpFailed,
            Stage::Configure => Exit::ConfigureFailed,
            Stage::RollBack => Exit::RollBackFailed,
        }
    }
}

/// A stage, and the site it is about; the image half has no site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StageKey {
    /// Which part of the story.
    pub stage: Stage,
    /// The site's name, when there is more than one site to tell apart.
    pub site: Option<String>,
}

impl From<Stage> for StageKey {
    fn from(stage: Stage) -> Self {
        Self { stage, site: None }
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stage.name())?;
        self.site.iter().try_for_each(|site| write!(f, " [{site}]"))
    }
}

/// How a stage ended.
#[derive(Debug)]
pub enum Outcome {
    /// It did what it is there for.
    Passed,
    /// It had nothing to do, and why.
    Skipped(String),
    /// It failed, or ran into its time limit ([`Fault::is_time_out`]).
    Failed(Fault),
    /// The run was cancelled while it was under way.
    Cancelled,
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Live runs the image.
    Deployed,
    /// The image passed its tests; nothing more was asked for.
    Tested,
    /// The image was tested and pushed; nothing more was asked for.
    Pushed,
    /// The check stage passed; nothing more was asked for.
    Checked,
    /// The application version is made; nothing more was asked for.
    Versioned,
    /// The candidate has passed, and waits for somebody to promote it.
    Waiting,
    /// What was live before is live again, as was asked for.
    Back,
    /// What was to be removed is gone; nothing more was asked for.
    CleanedUp,
    /// The settings are applied; nothing more was asked for.
    Configured,
    /// Every change was named and none made, as was asked for.
    Planned,
    /// It stopped in this stage; what it had made is removed.
    Failed(Stage),
    /// It stopped in this stage, after live had been touched; the previous state is live again.
    RolledBack(Stage),
    /// It was cancelled.
    Cancelled(CancelReason),
    /// It stopped in this stage and something could not be undone.
    NeedsHuman(Stage),
}

impl End {
    /// The value of the output `result`.
    pub fn result(&self) -> &'static str {
        match self {
            End::Deployed => "deployed",
            End::Tested => "tested",
            End::Checked => "checked",
            End::Pushed => "pushed",
            End::Versioned => "versioned",
            End::Waiting => "waiting",
            End::Back => "rolled-back",
            End::CleanedUp => "cleaned-up",
            End::Configured => "configured",
            End::Planned => "planned",
            End::Failed(_) => "failed",
            End::RolledBack(_) => "rolled-back",
            End::Cancelled(_) => "cancelled",
            End::NeedsHuman(_) => "needs-human",
        }
    }

    /// The process's exit code.
    pub fn exit(&self, timed_out: bool) -> Exit {
        match self {
            End::Deployed | End::Tested | End::Pushed | End::Checked | End::Versioned => Exit::Done,
            End::Waiting | End::Back | End::CleanedUp | End::Configured | End::Planned => Exit::Done,
            End::NeedsHuman(_) => Exit::NeedsHuman,
            End::Cancelled(CancelReason::RunTimeout) => Exit::TimedOut,
            End::Cancelled(CancelReason::Interrupt) => Exit::Interrupted,
            End::Cancelled(CancelReason::Terminate) => Exit::Terminated,
            End::Failed(_) if timed_out => Exit::TimedOut,
            End::Failed(stage) | End::RolledBack(stage) => stage.exit(),
        }
    }
}

/// Something a stage found out that is worth a line in the log, the check run, the summary or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The image that everything after is about: its id, which is its configuration's digest, and its size in bytes.
    ImageBuilt { id: String, bytes: u64 },
    /// What the test reports said.
    Tests(TestCounts),
    /// The unit tests did not run on the shipped bytes, and in what they ran: `the stage `test``.
    TestedElsewhere { ran_in: String },
    /// Names of acceptance checks that passed, with the URL they were asked of.
    Accepted { url: String, checks: usize },
    /// The registry's digest for `repository:tag`.
    Pushed { image: String, tag: String, digest: String },
    /// A further tag that names the same digest.
    Tagged { image: String, tag: String, digest: String },
    /// The application version; `reused` when the same one was there already.
    Version { label: String, reused: bool },
    /// An environment: what it is to us, its name, id and address with scheme.
    Environment { role: Role, name: String, id: String, url: String },
    /// What the environment said it is doing; Beanstalk's own event.
    Platform { at: String, severity: String, message: String },
    /// The live environment before this run, and the version it ran.
    Previous { name: String, version: String },
    /// Something wrong in a file of the repository.
    Flaw(Flaw),
    /// Something that is still there after the run, why, and how to remove it.
    Kept { what: String, why: String, command: Option<String> },
    /// A change that is to be made, or would be: they come in order.
    Planned(Change),
}

/// What an environment is to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Has the new image and is not live yet.
    Candidate,
    /// Holds the live CNAME.
    Live,
    /// Was there before, and is given the new image itself.
    Updated,
}

/// Something wrong in a file of the repository, at the line where it is to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file, relative to the repository.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// What went wrong, in one line.
    pub title: String,
    /// The same at length.
    pub message: String,
}

/// One thing that happened, with the time since the run began.
#[derive(Debug)]
pub struct Event {
    /// Since the run began.
    pub elapsed: Duration,
    /// What happened.
    pub kind: EventKind,
}

/// The things that can happen.
#[derive(Debug)]
pub enum EventKind {
    /// First of all: every check run can be opened from it. `about` names the application and the revision.
    RunStarted { about: String, stages: Vec<StageKey> },
    /// A stage begins.
    StageStarted { key: StageKey },
    /// A line of output from what the stage runs. May be dropped under pressure.
    StageLine { key: StageKey, line: String },
    /// A sentence from the stage itself.
    StageNote { key: StageKey, text: String },
    /// Something the user should know although the stage goes on.
    StageWarning { key: StageKey, text: String },
    /// Something found out.
    StageFact { key: StageKey, fact: Fact },
    /// A call failed and will be repeated.
    StageRetrying { key: StageKey, call: String, because: String },
    /// A stage ended.
    StageFinished { key: StageKey, outcome: Outcome, took: Duration },
    /// A text that must never be shown became known. No sink is told of it but the CI's own masking; what is emitted
    /// later is masked.
    SecretLearnt { secret: Secret },
    /// The run is being cancelled.
    Cancelling { reason: CancelReason },
    /// Something the run made is being undone.
    Undoing { undo: Undo },
    /// It was asked for and goes on by itself; the run ends before it is done.
    UndoUnderWay { undo: Undo },
    /// It was undone, or could not be.
    Undone { undo: Undo, error: Option<Fault> },
    /// The last event. `left` is what could not be undone, or is still under way.
    RunFinished { end: End, exit: Exit, left: Vec<Undo> },
}
