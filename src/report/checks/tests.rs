use std::sync::Arc;
use std::time::Duration;

use super::Checks;
use crate::engine::cancel::CancelReason;
use crate::engine::event::{CodeLine, End, Event, EventKind, Fact, FailedTest, Outcome, Stage, TestCounts};
use crate::engine::retry::pause;
use crate::inputs::{CiFacts, ReportKind, Secret};
use crate::local::github::contract::Contract;
use crate::local::github::{CheckRun, GithubState, GithubWorld, Logged, Refusal};
use crate::report::ConsoleStyle;
use crate::report::feed::feed;
use crate::report::rehearsal::*;

async fn world() -> GithubWorld {
    GithubWorld::start(GithubState::default()).await.unwrap()
}

/// Emits these events with a moment between them, as a run does; returns the log.
async fn perform(world: &GithubWorld, kinds: Vec<EventKind>) -> String {
    reported(&plan(Some(world)), ConsoleStyle::default(), async |events| {
        for kind in kinds {
            events.emit(kind);
            pause(Duration::from_millis(5)).await;
        }
    })
    .await
}

fn conclusions(world: &GithubWorld) -> Vec<(String, String)> {
    let shown = |run: CheckRun| {
        assert_eq!(run.status, "completed", "{} is open", run.name);
        (run.name, run.conclusion.unwrap())
    };
    world.github.state().check_runs.into_iter().map(shown).collect()
}

fn writes(world: &GithubWorld) -> Vec<Logged> {
    world.github.log().into_iter().filter(|logged| logged.method != "GET").collect()
}

#[tokio::test]
async fn every_stage_is_opened_and_completed_and_the_run_comes_first_and_last() {
    let world = world().await;
    perform(&world, deployed()).await;
    let ended = conclusions(&world);
    assert_eq!(ended.len(), 11);
    assert!(ended.iter().all(|(_, conclusion)| conclusion == "success"), "{ended:?}");
    assert_eq!(ended[0].0, "beanline");
    let writes = writes(&world);
    assert_eq!((writes[0].method.as_str(), &writes[0].body["name"]), ("POST", &"beanline".into()));
    let last = writes.last().unwrap();
    assert!(last.path.ends_with("/check-runs/1") && last.body["conclusion"] == "success", "{last:?}");
    assert!(writes.len() <= 40, "{} requests", writes.len());
    let runs = world.github.state().check_runs;
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert!(names.contains(&"shop / acceptance (candidate)"), "{names:?}");
    for run in &runs {
        assert!(run.external_id.as_ref().unwrap().starts_with("beanline-1/run7/"));
        assert_eq!(run.details_url.as_deref(), Some("https://ci.example/runs/7"));
        assert!(run.started_at <= run.completed_at);
    }
}

#[tokio::test]
async fn what_is_sent_and_answered_is_what_github_describes() {
    let Some(contract) = Contract::beside_the_project() else {
        return skipped("no copy of GitHub's description lies beside the project");
    };
    let world = world().await;
    perform(&world, deployed()).await;
    let mut kinds = failing(Stage::UnitTest);
    let line = Some(CodeLine { path: "src/cart.rs".into(), line: 7 });
    let failure = FailedTest { name: "adds".into(), message: "assertion failed".into(), line, ..FailedTest::default() };
    let failures = vec![failure; 60];
    let counts = TestCounts { passed: 1, failed: 60, failures, ..TestCounts::default() };
    let fact = EventKind::StageFact { key: Stage::UnitTest.into(), fact: Fact::Tests(counts) };
    kinds.insert(kinds.len() - 1, fact);
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    world.github.set(|settings| settings.next_writes.extend([Refusal::LostAnswer, Refusal::LostAnswer]));
    perform(&world, kinds).await;
    let log = world.github.log();
    assert!(log.iter().any(|logged| logged.method == "GET"), "a lost answer is looked up");
    for logged in log.iter().filter(|logged| logged.status < 500) {
        assert_eq!(contract.problems(logged), Vec::<String>::new(), "{} {}", logged.method, logged.path);
    }
    let mut wrong = log[0].clone();
    wrong.body["status"] = "done".into();
    assert!(!contract.problems(&wrong).is_empty(), "a wrong request is found");
    let annotated = world.github.state().check_runs.into_iter().map(|run| run.output.annotations.len()).max();
    assert_eq!(annotated, Some(60), "annotations are sent once, in two requests");
}

#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[tokio::test]
async fn after_a_failure_what_was_not_reached_is_skipped_and_the_verdict_says_the_last_state() {
    let world = world().await;
    let mut kinds = failing(Stage::Deploy);
    kinds.extend(undone(end_candidate(), None));
    kinds.push(finish(End::Failed(Stage::Deploy), Vec::new()));
    perform(&world, kinds).await;
    let ended = conclusions(&world);
    let of = |name: &str| ended.iter().find(|(known, _)| known == name).unwrap().1.as_str();
    assert_eq!((of("beanline"), of("shop / deploy"), of("shop / promote")), ("failure", "failure", "skipped"));
    let deploy = world.github.state().check_runs.into_iter().find(|run| run.name == "shop / deploy").unwrap();
    let summary = deploy.output.summary.unwrap();
    assert!(summary.starts_with("**live still serves version 41; nothing of this run is left but"), "{summary}");
}

#[tokio::test]
async fn a_cancelled_run_leaves_nothing_open_even_before_it_ends() {
    let world = world().await;
    world.github.set(|settings| settings.latency = Duration::from_millis(50));
    let mut kinds = story_until(Stage::Deploy);
    kinds.push(begin(Stage::Deploy));
    kinds.push(EventKind::Cancelling { reason: CancelReason::Interrupt });
    reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        kinds.into_iter().for_each(|kind| events.emit(kind));
        // The run is still being undone while nothing on GitHub is open any more.
        while world.github.state().check_runs.iter().filter(|run| run.status == "completed").count() < 11 {
            pause(Duration::from_millis(10)).await;
        }
        events.emit(end(Stage::Deploy, Outcome::Cancelled));
        events.emit(finish(End::Cancelled(CancelReason::Interrupt), Vec::new()));
    })
    .await;
    let ended = conclusions(&world);
    assert_eq!(ended.iter().filter(|(_, conclusion)| conclusion == "success").count(), 5);
    assert_eq!(ended.iter().filter(|(_, conclusion)| conclusion == "cancelled").count(), 6);
    assert!(writes(&world).len() <= 40);
}

#[tokio::test]
async fn a_token_that_may_not_write_is_warned_of_once_and_nothing_more_is_sent() {
    for (refusal, said) in [
        (Refusal::NotAccessible, "Resource not accessible by integration"),
        (Refusal::NotFound, "Not Found"),
        (Refusal::BadCredentials, "Bad credentials"),
    ] {
        let world = world().await;
        world.github.set(|settings| settings.always = Some(refusal));
        let log = perform(&world, deployed()).await;
        assert_eq!(log.matches(said).count(), 1, "{log}");
        assert!(log.contains("the run goes on without it") && log.contains("help: "), "{log}");
        assert!(log.contains("result: deployed (exit code 0)"), "{log}");
        // A check run, and the status that would have stood for it.
        assert_eq!(world.github.log().len(), 2);
    }
}

#[tokio::test]
async fn a_slow_github_holds_nothing_up_and_is_told_everything() {
    let world = world().await;
    world.github.set(|settings| settings.latency = Duration::from_millis(300));
    let log = reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        deployed().into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    assert!(log.contains("result: deployed"));
    assert_eq!(conclusions(&world).len(), 11);
    // States that were outrun were never sent.
    assert!(writes(&world).len() <= 24, "{}", writes(&world).len());
}

#[tokio::test]
async fn faults_of_the_server_and_throttling_are_outlasted_without_a_second_check_run() {
    let world = world().await;
    world.github.set(|settings| {
        settings.next_writes.extend([
            Refusal::LostAnswer,
            Refusal::Server(503),
            Refusal::LostAnswer,
            Refusal::TooMany(1),
            Refusal::RateLimited { retry_after: Some(1) },
        ]);
    });
    let log = perform(&world, deployed()).await;
    assert!(!log.contains("warning"), "{log}");
    assert_eq!(conclusions(&world).len(), 11);
}

#[tokio::test]
async fn a_secret_reaches_neither_github_nor_the_log_nor_the_files() {
    let world = world().await;
    let directory = std::env::temp_dir().join(format!("beanline-report-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&directory).unwrap();
    let mut plan = plan(Some(&world));
    plan.masks.push(Secret::new("hunter2/+x"));
    plan.summary_file = Some(directory.join("summary"));
    plan.output_file = Some(directory.join("output"));
    let mut kinds = failing(Stage::UnitTest);
    let key = || Stage::UnitTest.into();
    let shapes = "hunter2/+x hunter2%2F%2Bx aHVudGVyMi8reA== QVdTOmh1bnRlcjIvK3g=";
    kinds.insert(kinds.len() - 1, EventKind::StageLine { key: key(), line: shapes.to_owned() });
    kinds.insert(kinds.len() - 1, EventKind::StageNote { key: key(), text: shapes.to_owned() });
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    let log = reported(&plan, ConsoleStyle::default(), async |events| {
        kinds.into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    let files = ["summary", "output"].map(|file| std::fs::read_to_string(directory.join(file)).unwrap());
    std::fs::remove_dir_all(&directory).unwrap();
    let sent: String = world.github.log().iter().map(|logged| logged.body.to_string()).collect();
    for text in [&log, &sent, &files[0], &files[1]] {
        for shape in shapes.split(' ').chain(["aHVudGVyMi8re", "h1bnRlcjIvK3"]) {
            assert!(!text.contains(shape), "{shape} in {text}");
        }
    }
    assert!(sent.contains("*** *** ***") && log.contains("*** *** ***"));
    assert!(files[0].starts_with("## shop at 1f0c2aa: failed\n") && files[1].ends_with("result=failed\n"));
}

#[tokio::test]
async fn output_of_any_size_fits_githubs_limits() {
    let world = world().await;
    let mut kinds = failing(Stage::UnitTest);
    for _ in 0..2_000 {
        let line = EventKind::StageLine { key: Stage::UnitTest.into(), line: "żółć ``` ".repeat(40) };
        kinds.insert(kinds.len() - 1, line);
    }
    let text = "ż".repeat(60_000);
    kinds.insert(kinds.len() - 1, EventKind::StageWarning { key: Stage::UnitTest.into(), text });
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    let log = reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        kinds.into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    assert!(!log.contains("GitHub answered"), "{}", &log[log.len() - 2_000..]);
    assert_eq!(conclusions(&world).len(), 11);
}

#[tokio::test]
async fn output_is_shown_while_the_stage_is_under_way() {
    let world = world().await;
    let mut checks = Checks::new(plan(Some(&world)).github.unwrap(), ReportKind::Auto, "shop", &CiFacts::default());
    checks.limits.progress = Duration::from_millis(5);
    let (feed, feeding) = feed();
    let task = tokio::spawn(checks.run(feeding, drop));
    let line = EventKind::StageLine { key: Stage::Build.into(), line: "step 1 of 2".to_owned() };
    for kind in [start(), begin(Stage::Build), line] {
        feed.event(&Arc::new(Event { elapsed: Duration::ZERO, kind }));
    }
    let shows = |run: &CheckRun| {
        run.status == "in_progress" && run.output.text.as_ref().is_some_and(|text| text.contains("step 1 of 2"))
    };
    while !world.github.state().check_runs.iter().any(shows) {
        pause(Duration::from_millis(5)).await;
    }
    let kind = finish(End::Failed(Stage::Build), Vec::new());
    feed.event(&Arc::new(Event { elapsed: Duration::ZERO, kind }));
    drop(feed);
    task.await.unwrap().unwrap();
    assert_eq!(conclusions(&world).len(), 11);
}
