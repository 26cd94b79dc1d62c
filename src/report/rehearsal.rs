//! Runs that never took place, for tests: events emitted by hand, a report around them, and what came out.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::story::Story;
use super::{ConsoleStyle, Report};
use crate::engine::event::{End, Event, EventKind, Fact, Outcome, Role, Stage, TestCounts};
use crate::engine::undo::Undo;
use crate::engine::{Events, events};
use crate::fault::Fault;
use crate::inputs::{CiFacts, GithubPlan, ReportKind, ReportPlan, Secret};
use crate::local::github::GithubWorld;

/// The commit of every rehearsal.
pub const SHA: &str = "1f0c2aa81f0c2aa81f0c2aa81f0c2aa81f0c2aa8";
/// The image's digest.
pub const DIGEST: &str = "sha256:aaaa";

/// A log that is kept.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A plan that reports to `world`, if there is one.
pub fn plan(world: Option<&GithubWorld>) -> ReportPlan {
    let github = world.map(|world| GithubPlan {
        api_url: world.url.clone(),
        token: Secret::new("token-of-the-test"),
        repository: "o/r".to_owned(),
        sha: SHA.to_owned(),
    });
    ReportPlan {
        kind: ReportKind::Auto,
        github,
        deployment: None,
        summary_file: None,
        output_file: None,
        report_dir: None,
        masks: Vec::new(),
    }
}

/// Reports what `act` emits; returns the log.
pub async fn reported(plan: &ReportPlan, style: ConsoleStyle, act: impl AsyncFnOnce(&Events)) -> String {
    reported_by(report(plan, style), act).await
}

/// A report of the run `run7`, which is the first of its CI job.
pub fn report(plan: &ReportPlan, style: ConsoleStyle) -> Report {
    report_in(CiFacts::default(), "shop", plan, style)
}

/// The same for an application of this name, in a CI that tells this.
pub fn report_in(ci: CiFacts, name: &str, plan: &ReportPlan, style: ConsoleStyle) -> Report {
    let [run_url, job] = ["https://ci.example/runs/7", "7/ship"].map(|text| Some(text.to_owned()));
    let ci = CiFacts { run_url, job, ..ci };
    Report::new(plan, name, &ci, style).named("run7", Duration::from_secs(3600))
}

/// Reports what `act` emits; returns the log.
pub async fn reported_by(report: Report, act: impl AsyncFnOnce(&Events)) -> String {
    let kept = Kept::default();
    let report = report.writing_to(kept.clone());
    let (sender, receiver) = events();
    let task = tokio::spawn(report.run(receiver));
    act(&sender).await;
    task.await.unwrap();
    kept.text()
}

/// The story of these events, each a second after the one before.
pub fn story(kinds: Vec<EventKind>) -> Story {
    let mut story = Story::default();
    for (second, kind) in kinds.into_iter().enumerate() {
        story.take(&Event { elapsed: Duration::from_secs(second as u64), kind });
    }
    story
}

/// The first event of a run with every stage.
pub fn start() -> EventKind {
    let stages = Stage::PIPELINE.iter().copied().map(Into::into).collect();
    EventKind::RunStarted { about: "shop at 1f0c2aa".to_owned(), stages }
}

/// A stage begins.
pub fn begin(stage: Stage) -> EventKind {
    EventKind::StageStarted { key: stage.into() }
}

/// A stage ends after three seconds.
pub fn end(stage: Stage, outcome: Outcome) -> EventKind {
    EventKind::StageFinished { key: stage.into(), outcome, took: Duration::from_secs(3) }
}

/// A stage begins, finds these facts out, and passes.
pub fn pass(stage: Stage, facts: Vec<Fact>) -> Vec<EventKind> {
    let facts = facts.into_iter().map(|fact| EventKind::StageFact { key: stage.into(), fact });
    std::iter::once(begin(stage)).chain(facts).chain([end(stage, Outcome::Passed)]).collect()
}

/// The last event.
pub fn finish(end: End, left: Vec<Undo>) -> EventKind {
    let exit = end.exit(false);
    EventKind::RunFinished { end, exit, left }
}

/// What undoes the candidate.
pub fn end_candidate() -> Undo {
    Undo::EndEnvironment {
        application: "shop".to_owned(),
        environment: "shop-b".to_owned(),
        region: "local".to_owned(),
        live_cname: Some("shop.local".to_owned()),
    }
}

/// What undoes the swap.
pub fn swap_back() -> Undo {
    let [cname, from, back, region] = ["shop.local", "e-2", "e-1", "local"].map(str::to_owned);
    Undo::SwapBack { cname, from, back, region }
}

/// An environment that the run made.
pub fn environment(role: Role) -> Fact {
    let url = match role {
        Role::Candidate => "http://shop-b.local/",
        Role::Live | Role::Updated => "http://shop.local/",
    };
    Fact::Environment { role, name: "shop-b".to_owned(), id: "e-2".to_owned(), url: url.to_owned() }
}

/// Events up to and without the stage `until`, all of them good.
pub fn story_until(until: Stage) -> Vec<EventKind> {
    let counts = TestCounts { passed: 14, ..TestCounts::default() };
    let facts = |stage| match stage {
        Stage::Check => vec![Fact::Previous { name: "shop-a".to_owned(), version: "41".to_owned() }],
        Stage::Build => vec![Fact::ImageBuilt { id: "sha256:bbbb".to_owned(), bytes: 12_300_000 }],
        Stage::UnitTest => vec![Fact::Tests(counts.clone())],
        Stage::Push => {
            let [image, tag, digest] = ["reg.example/shop", "42", DIGEST].map(str::to_owned);
            vec![Fact::Pushed { image, tag, digest }]
        }
        Stage::Deploy => {
            vec![Fact::Version { label: "42".to_owned(), reused: false }, environment(Role::Candidate)]
        }
        Stage::Promote => vec![environment(Role::Live)],
        _ => Vec::new(),
    };
    let stages = Stage::PIPELINE.iter().copied().take_while(|stage| *stage != until);
    std::iter::once(start()).chain(stages.flat_map(|stage| pass(stage, facts(stage)))).collect()
}

/// A whole run that deploys.
pub fn deployed() -> Vec<EventKind> {
    let mut all = story_until(Stage::CleanUp);
    let kept = Fact::Kept {
        what: "environment shop-a".to_owned(),
        why: "for a roll-back, until the next deployment".to_owned(),
        command: Some("aws elasticbeanstalk terminate-environment --environment-name shop-a".to_owned()),
    };
    all.extend(pass(Stage::CleanUp, vec![kept]));
    all.push(finish(End::Deployed, Vec::new()));
    all
}

/// A run whose stage fails.
pub fn failing(stage: Stage) -> Vec<EventKind> {
    let fault = Fault::new("the environment did not become healthy")
        .cause("instance i-1 answers 502")
        .lines(["thread main panicked", "exit status 101"])
        .hint("look at the application's log above");
    let mut all = story_until(stage);
    all.extend([begin(stage), end(stage, Outcome::Failed(fault))]);
    all
}

/// Something was undone, or could not be.
pub fn undone(undo: Undo, error: Option<&str>) -> [EventKind; 2] {
    let error = error.map(|text| Fault::new(text.to_owned()));
    [EventKind::Undoing { undo: undo.clone() }, EventKind::Undone { undo, error }]
}
