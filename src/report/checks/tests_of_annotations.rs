//! Remarks on lines of code: fifty a request, each once, and what one costs that GitHub does not like.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::annotations::Annotation;
use super::client::{Client, Way};
use super::follower::{Follower, Target, Turn};
use super::links::Links;
use super::request::{Conclusion, Output, Status, Update};
use crate::engine::event::{CodeLine, End, EventKind, Fact, FailedTest, Stage, TestCounts};
use crate::local::github::{CheckRun, GithubState, GithubWorld, Refusal};
use crate::report::ConsoleStyle;
use crate::report::rehearsal::*;

/// A run of which so many tests fail, each with a line; GitHub dislikes the lines of those that `is_bad` picks.
async fn failing_tests(count: u32, is_bad: impl Fn(u32) -> bool) -> (GithubWorld, CheckRun) {
    let failure = |n: u32| {
        // GitHub keeps lines in 32 bits with a sign.
        let line = if is_bad(n) { u32::MAX } else { n + 1 };
        FailedTest {
            name: format!("adds {n}"),
            message: "1 is not 2".into(),
            line: Some(CodeLine { path: "src/cart.rs".into(), line }),
            ..FailedTest::default()
        }
    };
    let failures: Vec<FailedTest> = (0..count).map(failure).collect();
    let counts = TestCounts { failed: failures.len(), failures, ..TestCounts::default() };
    let mut kinds = failing(Stage::UnitTest);
    kinds.insert(kinds.len() - 1, EventKind::StageFact { key: Stage::UnitTest.into(), fact: Fact::Tests(counts) });
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let log = reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
        kinds.into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    assert!(!log.contains("warning"), "{log}");
    let run = world.github.state().check_runs.into_iter().find(|run| run.name == "shop / unit test").unwrap();
    assert_eq!((run.status.as_str(), run.conclusion.as_deref()), ("completed", Some("failure")));
    (world, run)
}

#[tokio::test]
async fn many_annotations_come_fifty_at_a_time_and_each_once() {
    let (world, run) = failing_tests(230, |_| false).await;
    let mut titles: Vec<_> = run.output.annotations.iter().filter_map(|one| one.title.clone()).collect();
    titles.sort();
    titles.dedup();
    assert_eq!((run.output.annotations.len(), titles.len()), (200, 200));
    assert!(world.github.log().len() <= 40, "{} requests", world.github.log().len());
}

#[tokio::test]
async fn one_bad_annotation_takes_half_a_page_with_it_and_never_the_verdict() {
    let (world, run) = failing_tests(100, |n| n == 3).await;
    assert_eq!(run.output.annotations.len(), 75);
    assert!(run.output.summary.is_some_and(|summary| summary.contains("adds 0")));
    let refused = world.github.log().into_iter().filter(|logged| logged.status == 422).count();
    assert_eq!(refused, 2, "a page, and a half of it");
}

#[tokio::test]
async fn where_every_annotation_is_bad_the_verdict_comes_without_them_and_soon() {
    let (world, run) = failing_tests(200, |_| true).await;
    assert!(run.output.annotations.is_empty());
    let refused = world.github.log().into_iter().filter(|logged| logged.status == 422).count();
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn annotations_whose_answer_was_lost_are_counted_before_they_are_sent_again() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    // The one that opens it, and the first page.
    world.github.set(|settings| settings.next_writes.extend([Refusal::LostAnswer, Refusal::LostAnswer]));
    let github = plan(Some(&world)).github.unwrap();
    let client = Arc::new(Client::new(&github, Duration::from_secs(10), Way::CheckRuns).unwrap());
    let remark = |line| {
        let [path, message, title] = ["src/cart.rs", "1 is not 2", "adds"].map(str::to_owned);
        Annotation { path, start_line: line, end_line: line, annotation_level: "failure", message, title }
    };
    let [title, summary, name, external_id] = ["80 of 80 tests failed"; 4].map(str::to_owned);
    let output = Output { title, summary, text: None, annotations: (1..=80).map(remark).collect() };
    let (status, conclusion) = (Status::Completed, Some(Conclusion::Failure));
    let update = Update { status, conclusion, started_at: None, completed_at: None, output: Some(output) };
    let (taken, annotated, links) = (Mutex::default(), Mutex::default(), Links::default());
    let target = Arc::new(Target { client, name, external_id, run_url: None, taken, annotated, links });
    let (wants, wanted) = watch::channel(update);
    drop(wants);
    let follower = Follower { target, wanted, pace: Arc::new(Semaphore::new(1)) };
    follower.run(Turn { number: 0, open: Arc::new(watch::channel(0).0) }).await.unwrap();
    let runs = world.github.state().check_runs;
    let lines: Vec<u64> = runs[0].output.annotations.iter().map(|one| one.start_line).collect();
    assert_eq!((runs.len(), lines), (1, (1..=80).collect()), "each once");
    assert_eq!(runs[0].conclusion.as_deref(), Some("failure"));
}
