//! What a GitHub that hangs, and a run that was killed, do to the check runs.

use std::time::Duration;

use chrono::Utc;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::external_id::{Owner, hash};
use super::{Checks, Limits};
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, EventKind, Outcome, Stage};
use crate::engine::retry::pause;
use crate::local::github::{CheckRun, GithubState, GithubWorld, Logged, Refusal};
use crate::report::rehearsal::*;
use crate::report::{ConsoleStyle, Report};

/// A report whose limits for GitHub are others.
fn limited(plan: &crate::inputs::ReportPlan, limits: Limits) -> Report {
    let report = report(plan, ConsoleStyle::default());
    Report { checks: report.checks.map(|checks| Checks { limits, ..checks }), ..report }
}

fn is_open(run: &CheckRun) -> bool {
    run.status != "completed"
}

#[tokio::test]
async fn a_signal_completes_every_check_run_at_the_same_time() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let mut kinds = story_until(Stage::Deploy);
    kinds.push(begin(Stage::Deploy));
    let open = || world.github.state().check_runs.iter().filter(|run| is_open(run)).count();
    let log = reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        kinds.into_iter().for_each(|kind| events.emit(kind));
        // All are opened, and all that has passed is told.
        while world.github.state().check_runs.len() < 11 || open() > 6 {
            pause(Duration::from_millis(5)).await;
        }
        // So that no answer to an earlier request is under way.
        pause(Duration::from_millis(100)).await;
        world.github.set(|settings| settings.latency = Duration::from_millis(300));
        events.emit(EventKind::Cancelling { reason: CancelReason::Interrupt });
        while open() > 0 {
            pause(Duration::from_millis(5)).await;
        }
        events.emit(end(Stage::Deploy, Outcome::Cancelled));
        events.emit(finish(End::Cancelled(CancelReason::Interrupt), Vec::new()));
    })
    .await;
    assert!(log.contains("cancelled by SIGINT"), "{log}");
    let is_cancelling = |logged: &&Logged| logged.method == "PATCH" && logged.body["conclusion"] == "cancelled";
    let all: Vec<Logged> = world.github.log();
    let told: Vec<&Logged> = all.iter().filter(is_cancelling).take(6).collect();
    let last_to_arrive = told.iter().map(|logged| logged.arrived).max().unwrap();
    let first_answered = told.iter().filter_map(|logged| logged.answered).min().unwrap();
    let last_answered = told.iter().filter_map(|logged| logged.answered).max().unwrap();
    assert!(last_to_arrive < first_answered, "one waited for another");
    say(&format!("6 check runs cancelled in {} ms at 300 ms an answer", (last_answered - told[0].arrived).as_millis()));
}

#[expect(clippy::print_stderr, reason = "a figure, for whoever asks for it")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[tokio::test]
async fn check_runs_that_are_not_open_yet_when_the_signal_comes_do_not_wait_for_each_other() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    world.github.set(|settings| settings.latency = Duration::from_millis(300));
    reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        [start(), begin(Stage::Check)].into_iter().for_each(|kind| events.emit(kind));
        while world.github.log().is_empty() {
            pause(Duration::from_millis(5)).await;
        }
        events.emit(EventKind::Cancelling { reason: CancelReason::Terminate });
        events.emit(end(Stage::Check, Outcome::Cancelled));
        events.emit(finish(End::Cancelled(CancelReason::Terminate), Vec::new()));
    })
    .await;
    let log = world.github.log();
    let opened: Vec<&Logged> = log.iter().filter(|logged| logged.method == "POST").collect();
    assert_eq!(opened.len(), 11);
    let first_answered = opened[1..].iter().filter_map(|logged| logged.answered).min().unwrap();
    assert!(opened[1..].iter().all(|logged| logged.arrived < first_answered), "one waited for another");
    assert!(!world.github.state().check_runs.iter().any(is_open));
}

#[tokio::test]
async fn a_github_that_never_answers_costs_little_and_is_named_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plan = plan(Some(&GithubWorld::start(GithubState::default()).await.unwrap()));
    let address = listener.local_addr().unwrap();
    plan.github.iter_mut().for_each(|github| github.api_url = format!("http://{address}"));
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = listener.accept().await {
            held.push(connection);
        }
    });
    let brief = Duration::from_millis(20);
    let limits = Limits { answer: brief, end: 5 * brief, ..Limits::default() };
    let began = Instant::now();
    let log = reported_by(limited(&plan, limits), async |events| {
        deployed().into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    silent.abort();
    assert!(began.elapsed() < Limits::default().end, "it was waited for as if the limits were others");
    let said = "check runs on GitHub: not everything was taken within 100 ms after the run: could not reach GitHub: no \
                answer within 20 ms; the run goes on without it";
    assert!(log.contains(said), "{log}");
    assert!(log.contains("result: deployed (exit code 0)"), "{log}");
}

#[tokio::test]
async fn a_connection_that_is_reset_after_the_effect_makes_no_second_check_run() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    world.github.set(|settings| settings.next_writes.extend([Refusal::Reset, Refusal::Reset]));
    let log = reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        for (at, kind) in deployed().into_iter().enumerate() {
            events.emit(kind);
            if at % 10 == 9 {
                // Whatever is sent next, a POST or a PATCH.
                world.github.set(|settings| settings.next_writes.push_back(Refusal::Reset));
            }
            pause(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(!log.contains("warning"), "{log}");
    let runs = world.github.state().check_runs;
    assert!(runs.len() == 11 && runs.iter().all(|run| run.conclusion.as_deref() == Some("success")), "{runs:?}");
    let reset = world.github.log().into_iter().filter(|logged| logged.status == 500);
    let methods: Vec<String> = reset.map(|logged| logged.method).collect();
    assert!(["POST", "PATCH"].iter().all(|method| methods.iter().any(|known| known == method)), "{methods:?}");
}

/// A check run of an earlier run, as its death left it.
fn left(id: u64, owner: &Owner, status: &str) -> CheckRun {
    CheckRun {
        id,
        repository: "o/r".to_owned(),
        name: "shop / deploy".to_owned(),
        head_sha: SHA.to_owned(),
        external_id: Some(owner.id("deploy")),
        details_url: Some("https://ci.example/runs/6".to_owned()),
        status: status.to_owned(),
        ..CheckRun::default()
    }
}

#[tokio::test]
async fn what_a_dead_run_left_open_is_completed_by_the_next() {
    let now = Utc::now().timestamp();
    let owner = |run: &str, job: &str, expires| Owner { run: run.to_owned(), job: Some(hash(job)), expires };
    let mut foreign = left(5, &owner("run6", "7/ship", now), "queued");
    foreign.external_id = Some("run6/deploy".to_owned());
    let dead = [
        left(1, &owner("run6", "7/ship", now + 600), "in_progress"),
        left(2, &owner("run5", "5/ship", now - 7200), "queued"),
    ];
    let alive = [left(3, &owner("run8", "8/ship", now + 600), "in_progress"), foreign];
    let check_runs = dead.iter().chain(&alive).cloned().collect();
    let world = GithubWorld::start(GithubState { check_runs, last_id: 5, ..GithubState::default() }).await.unwrap();
    let log = reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        deployed().into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    assert!(log.contains("result: deployed") && !log.contains("warning"), "{log}");
    let runs = world.github.state().check_runs;
    assert_eq!(runs.len(), 15);
    for run in &runs[..2] {
        assert_eq!(run.conclusion.as_deref(), Some("cancelled"), "{run:?}");
        assert_eq!(run.output.title.as_deref(), Some("the run ended without completing this check run"));
        let summary = run.output.summary.as_deref().unwrap();
        assert!(summary.contains("(https://ci.example/runs/6)") && summary.contains("(https://ci.example/runs/7)"));
    }
    assert_eq!(runs[2..4], alive);
    let asked = world.github.log().into_iter().filter(|logged| logged.method == "GET").count();
    assert_eq!(asked, 2, "what it costs when nothing is left over");
}

#[tokio::test]
async fn what_needs_a_human_is_said_everywhere_with_its_command() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let directory = std::env::temp_dir().join(format!("beanline-report-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&directory).unwrap();
    let mut plan = plan(Some(&world));
    plan.summary_file = Some(directory.join("summary"));
    plan.output_file = Some(directory.join("output"));
    let mut kinds = failing(Stage::AcceptanceLive);
    kinds.extend(undone(swap_back(), Some("throttled")));
    kinds.extend(undone(end_candidate(), Some("it is live and stays")));
    kinds.push(finish(End::NeedsHuman(Stage::AcceptanceLive), vec![swap_back(), end_candidate()]));
    let log = reported(&plan, ConsoleStyle::default(), async |events| {
        kinds.into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    let files = ["summary", "output"].map(|file| std::fs::read_to_string(directory.join(file)).unwrap());
    std::fs::remove_dir_all(&directory).unwrap();
    let check_run = |name: &str| {
        let run = world.github.state().check_runs.into_iter().find(|run| run.name == name).unwrap();
        assert_eq!(run.conclusion.as_deref(), Some("failure"));
        run.output.summary.unwrap()
    };
    let said = [&log, &files[0], &check_run("beanline"), &check_run("shop / acceptance (live)")];
    for text in said {
        assert!(text.contains("something needs a human: could not give shop.local back to e-1, and 1 more"), "{text}");
        assert!(text.contains("swap-environment-cnames --region local --source-environment-id e-2"), "{text}");
        assert!(text.contains("a second swap would undo the first"), "{text}");
        assert!(text.contains("terminate-environment --region local --environment-name shop-b"), "{text}");
    }
    assert!(log.contains("result: needs-human (exit code 20)") && files[1].ends_with("result=needs-human\n"), "{log}");
}
