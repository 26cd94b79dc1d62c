//! Stages on an engine without a daemon or a cloud: what is undone, in which order, and what is told.

mod signals;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::cancel::Cancel;
use super::event::{EventKind, Outcome, Stage};
use super::retry::pause;
use super::undo::Undo;
use super::{Engine, EventReceiver, Perform, events};
use crate::fault::Fault;

const LONG: Duration = Duration::from_secs(60);

fn container(name: &str) -> Undo {
    Undo::RemoveContainer { name: name.into() }
}

fn engine() -> (Engine, EventReceiver, Rc<RefCell<Vec<Undo>>>) {
    engine_with(Cancel::never())
}

/// An engine whose undos are written down when they are done; the one named `stuck` fails, `slow` takes a moment, `busy`
/// takes a minute and a half, and `endless` never ends.
fn engine_with(cancel: Cancel) -> (Engine, EventReceiver, Rc<RefCell<Vec<Undo>>>) {
    let done = Rc::new(RefCell::new(Vec::new()));
    let seen = done.clone();
    let perform: Perform = Rc::new(move |undo, _| {
        let seen = seen.clone();
        Box::pin(async move {
            let stuck = undo == container("stuck");
            if undo == container("slow") {
                pause(Duration::from_millis(100)).await;
            }
            if undo == container("busy") {
                pause(Duration::from_secs(90)).await;
            }
            if undo == container("endless") {
                std::future::pending::<()>().await;
            }
            seen.borrow_mut().push(undo);
            if stuck { Err(Fault::new("it is stuck")) } else { Ok(()) }
        })
    });
    let (events, receiver) = events();
    (Engine::new(events, cancel, perform), receiver, done)
}

async fn told(engine: Engine, mut receiver: EventReceiver) -> Vec<EventKind> {
    drop(engine);
    let mut told = Vec::new();
    while let Some(event) = receiver.next().await {
        told.push(event.kind);
    }
    told
}

#[tokio::test]
async fn cleanup_happens_with_the_stage_and_undo_newest_first_at_the_end() {
    let (engine, _receiver, done) = engine();
    let passed = engine
        .stage(Stage::Build, LONG, async |cx| {
            cx.undo(container("first"));
            cx.undo(container("second"));
            cx.at_end(container("image"));
            cx.cleanup(container("helper"));
            Ok(())
        })
        .await;
    assert!(passed.is_ok());
    assert_eq!(*done.borrow(), [container("helper")]);
    assert!(engine.unwind().await.is_empty());
    let done_now = done.borrow().clone();
    assert_eq!(done_now[0], container("helper"));
    let of_the_run: Vec<_> = done_now[1..].iter().filter(|undo| **undo != container("image")).cloned().collect();
    assert_eq!(of_the_run, ["second", "first"].map(container));
    assert!(done_now.contains(&container("image")));
    assert!(engine.unwind().await.is_empty(), "a second time there is nothing left to do");
    assert_eq!(done.borrow().len(), 4);
}

#[tokio::test]
async fn what_is_handed_over_is_not_undone() {
    let (engine, _receiver, done) = engine();
    let stage = async |cx: &super::StageCx| {
        cx.undo(container("kept"));
        cx.undo(container("settled"));
        cx.settle(&container("settled"));
        cx.at_end(container("image"));
        Ok(())
    };
    assert!(engine.stage(Stage::Deploy, LONG, stage).await.is_ok());
    engine.hand_over();
    assert!(engine.unwind().await.is_empty());
    assert_eq!(*done.borrow(), [container("image")]);
}

#[tokio::test]
async fn an_undo_that_fails_is_left_and_does_not_stop_the_others() {
    let (engine, receiver, done) = engine();
    let stage = async |cx: &super::StageCx| {
        ["one", "stuck", "two"].map(container).into_iter().for_each(|undo| cx.undo(undo));
        Err::<(), _>(Fault::new("no"))
    };
    let stopped = engine.stage(Stage::Deploy, LONG, stage).await.unwrap_err();
    assert_eq!(stopped.key.stage, Stage::Deploy);
    assert_eq!(engine.unwind().await, [container("stuck")]);
    assert_eq!(*done.borrow(), ["two", "stuck", "one"].map(container));
    let told = told(engine, receiver).await;
    let failures = told.iter().filter(|kind| matches!(kind, EventKind::Undone { error: Some(_), .. }));
    assert_eq!(failures.count(), 1);
}

#[tokio::test]
async fn a_stage_that_takes_too_long_is_stopped_and_cleaned_up() {
    let (engine, receiver, done) = engine();
    let stage = async |cx: &super::StageCx| {
        cx.cleanup(container("helper"));
        std::future::pending::<Result<(), Fault>>().await
    };
    let stopped = engine.stage(Stage::UnitTest, Duration::from_millis(50), stage).await.unwrap_err();
    assert!(stopped.timed_out && stopped.cancelled.is_none());
    assert_eq!(*done.borrow(), ["helper", "helper"].map(container), "what was in flight is removed once more");
    let told = told(engine, receiver).await;
    let Some(EventKind::StageFinished { outcome: Outcome::Failed(fault), .. }) = told.last() else { panic!("no end") };
    assert_eq!(fault.what(), "unit test did not end within 50 ms");
}

#[tokio::test]
async fn what_a_stage_could_not_remove_is_tried_again_at_the_end_and_then_left() {
    let (engine, receiver, done) = engine();
    let stage = async |cx: &super::StageCx| {
        ["helper", "stuck"].map(container).into_iter().for_each(|undo| cx.cleanup(undo));
        Ok(())
    };
    assert!(engine.stage(Stage::UnitTest, LONG, stage).await.is_ok());
    let at_first = done.borrow().len();
    assert_eq!(engine.unwind().await, [container("stuck")]);
    assert!(done.borrow()[at_first..].iter().all(|undo| *undo == container("stuck")) && done.borrow().len() > at_first);
    let told = told(engine, receiver).await;
    assert!(told.iter().any(|kind| matches!(kind, EventKind::Undone { error: Some(_), .. })), "the report names it");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_may_take_two_minutes_over_a_container() {
    let (engine, receiver, done) = engine();
    let stage = async |cx: &super::StageCx| {
        cx.cleanup(container("busy"));
        Ok(())
    };
    assert!(engine.stage(Stage::UnitTest, LONG, stage).await.is_ok());
    assert_eq!(*done.borrow(), [container("busy")]);
    assert!(engine.unwind().await.is_empty());
    let told = told(engine, receiver).await;
    assert!(!told.iter().any(|kind| matches!(kind, EventKind::StageWarning { .. })));
}

#[tokio::test]
async fn stages_that_never_began_are_skipped_once() {
    let (engine, receiver, _) = engine();
    let all = [Stage::Check, Stage::Build, Stage::Push].map(Into::into);
    assert!(engine.stage(Stage::Check, LONG, async |_| Err::<(), _>(Fault::new("no engine"))).await.is_err());
    engine.skip_rest(&all, "check did not pass");
    engine.skip_rest(&all, "check did not pass");
    let told = told(engine, receiver).await;
    let skipped =
        told.iter().filter(|kind| matches!(kind, EventKind::StageFinished { outcome: Outcome::Skipped(_), .. }));
    assert_eq!(skipped.count(), 2);
}

#[tokio::test]
async fn an_undo_done_twice_changes_nothing_the_second_time() {
    let (engine, _receiver, done) = engine();
    let undo = || container("thing");
    let stage = async |cx: &super::StageCx| {
        // Of the run and of the stage, and registered twice.
        [undo(), undo()].into_iter().for_each(|undo| cx.undo(undo));
        cx.cleanup(undo());
        Ok(())
    };
    assert!(engine.stage(Stage::Deploy, LONG, stage).await.is_ok());
    assert!(engine.unwind().await.is_empty());
    let at_first = done.borrow().len();
    assert_eq!(at_first, 2, "once by the stage, and once more by the run");
    // A run that is resumed registers again what an earlier one left.
    assert!(engine.stage(Stage::Deploy, LONG, stage).await.is_ok());
    assert!(engine.unwind().await.is_empty() && engine.unwind().await.is_empty());
    assert!(done.borrow().iter().all(|done| *done == undo()));
}
