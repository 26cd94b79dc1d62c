//! What a signal, and a second one, change about a stage and about undoing.

use std::cell::Cell;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::super::cancel::CancelReason;
use super::super::undo::Receipt;
use super::super::unwind::Limits;
use super::super::{StageCx, Stopped};
use super::*;

type Reasons = watch::Sender<Vec<CancelReason>>;

fn cancelled(reasons: &EventKind) -> Option<CancelReason> {
    match reasons {
        EventKind::Cancelling { reason } => Some(*reason),
        _ => None,
    }
}

fn signal(sender: &Reasons, reason: CancelReason) {
    sender.send_modify(|heard| heard.push(reason));
}

/// A run whose one stage is cut off by `reason`, with something to undo that `second` ends.
async fn cut_off(reason: CancelReason, undo: &str, second: Option<CancelReason>) -> (Vec<Undo>, Vec<EventKind>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let (engine, events, _) = engine_with(Cancel::by(receiver));
    let stage = async |cx: &StageCx| {
        cx.undo(container(undo));
        signal(&sender, reason);
        std::future::pending::<Result<(), Fault>>().await
    };
    let stopped = engine.stage(Stage::Deploy, LONG, stage).await.unwrap_err();
    assert_eq!(stopped.cancelled, Some(reason));
    let again = async {
        pause(Duration::from_millis(50)).await;
        second.into_iter().for_each(|second| signal(&sender, second));
    };
    let (left, ()) = tokio::join!(engine.unwind(), again);
    drop(sender);
    (left, told(engine, events).await)
}

#[tokio::test]
async fn the_runs_own_time_limit_does_not_hurry_an_undo() {
    let (left, told) = cut_off(CancelReason::RunTimeout, "slow", None).await;
    assert!(left.is_empty());
    assert_eq!(told.iter().filter_map(cancelled).count(), 1);
}

#[tokio::test]
async fn a_second_signal_ends_an_undo_and_leaves_it_to_be_told() {
    let (left, told) = cut_off(CancelReason::Interrupt, "endless", Some(CancelReason::Terminate)).await;
    assert_eq!(left, [container("endless")]);
    let reasons: Vec<_> = told.iter().filter_map(cancelled).collect();
    assert_eq!(reasons, [CancelReason::Interrupt, CancelReason::Terminate]);
}

#[tokio::test]
async fn the_same_signal_twice_is_a_second_signal() {
    let (left, told) = cut_off(CancelReason::Interrupt, "endless", Some(CancelReason::Interrupt)).await;
    assert_eq!(left, [container("endless")]);
    assert_eq!(told.iter().filter_map(cancelled).collect::<Vec<_>>(), [CancelReason::Interrupt]);
}

#[tokio::test]
async fn a_stage_that_may_not_begin_any_more_ends_once() {
    let (_sender, receiver) = watch::channel(vec![CancelReason::Interrupt]);
    let (engine, events, _) = engine_with(Cancel::by(receiver));
    assert!(engine.stage(Stage::Push, LONG, async |_| Ok(())).await.is_err());
    engine.skip_rest(&[Stage::Push.into()], "the run was cancelled");
    let told = told(engine, events).await;
    assert_eq!(told.iter().filter(|kind| matches!(kind, EventKind::StageFinished { .. })).count(), 1);
}

#[tokio::test]
async fn a_cancellation_is_told_once_and_before_anything_is_removed() {
    let (events, receiver) = events();
    let perform: Perform = Rc::new(|_, _| Box::pin(async { Ok(()) }));
    let engine = Engine::new(events, Cancel::listen(Duration::ZERO).unwrap(), perform);
    let never = async |cx: &StageCx| {
        cx.undo(container("helper"));
        std::future::pending::<Result<(), Fault>>().await
    };
    let (one, two) =
        tokio::join!(engine.stage(Stage::UnitTest, LONG, never), engine.stage(Stage::AcceptanceContainer, LONG, never));
    assert!(one.is_err() && two.is_err());
    assert!(engine.stage(Stage::Push, LONG, never).await.is_err(), "nothing begins afterwards");
    engine.unwind().await;
    let told = told(engine, receiver).await;
    let cancelling: Vec<usize> =
        (0..told.len()).filter(|&at| matches!(told[at], EventKind::Cancelling { .. })).collect();
    let undoing = told.iter().position(|kind| matches!(kind, EventKind::Undoing { .. }));
    assert!(cancelling.len() == 1 && Some(cancelling[0]) < undoing);
    let is_cancelled = |kind: &&EventKind| matches!(kind, EventKind::StageFinished { outcome: Outcome::Cancelled, .. });
    assert_eq!(told.iter().filter(is_cancelled).count(), 3);
}

/// An engine whose undos note when they are begun, and take until the test lets them go. The environment's is taken at
/// once.
fn held_up(cancel: Cancel) -> (Engine, EventReceiver, Rc<RefCell<Vec<Undo>>>, Rc<Notify>) {
    let (begun, go) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Notify::new()));
    let (seen, gone) = (begun.clone(), go.clone());
    let perform: Perform = Rc::new(move |undo, receipt: Receipt| {
        let (seen, gone) = (seen.clone(), gone.clone());
        Box::pin(async move {
            if matches!(undo, Undo::EndEnvironment { .. }) {
                receipt.taken();
            }
            seen.borrow_mut().push(undo);
            gone.notified().await;
            Ok(())
        })
    });
    let (events, receiver) = events();
    (Engine::new(events, cancel, perform), receiver, begun, go)
}

fn environment(name: &str) -> Undo {
    let [application, environment, region] = ["shop", name, "eu-central-1"].map(str::to_owned);
    Undo::EndEnvironment { application, environment, region, live_cname: None }
}

/// Runs a stage that registers things and is then interrupted.
async fn interrupted(engine: &Engine, sender: &Reasons) -> Stopped {
    let stage = async |cx: &StageCx| {
        cx.undo(environment("candidate"));
        cx.at_end(Undo::RemoveImage { reference: "image".into() });
        cx.cleanup(Undo::RemoveNetwork { name: "network".into() });
        ["one", "two"].map(container).into_iter().for_each(|undo| cx.cleanup(undo));
        signal(sender, CancelReason::Interrupt);
        std::future::pending::<Result<(), Fault>>().await
    };
    engine.stage(Stage::Deploy, LONG, stage).await.unwrap_err()
}

#[tokio::test]
async fn after_a_signal_every_removal_is_asked_for_before_the_first_is_done() {
    let (sender, receiver) = watch::channel(Vec::new());
    let (engine, events, begun, go) = held_up(Cancel::by(receiver));
    interrupted(&engine, &sender).await;
    assert!(begun.borrow().is_empty(), "the stage ends at once; what it made is removed with the rest");
    let look = async {
        tokio::task::yield_now().await;
        let so_far = begun.borrow().clone();
        assert_eq!(so_far, [environment("candidate"), container("two"), container("one")]);
        for _ in 0..200 {
            go.notify_waiters();
            pause(Duration::from_millis(10)).await;
        }
    };
    let (left, ()) = tokio::join!(engine.unwind(), look);
    assert!(left.is_empty(), "{left:?}");
    let last: Vec<Undo> = begun.borrow()[5..7].to_vec();
    let network = Undo::RemoveNetwork { name: "network".into() };
    assert!(last.contains(&network) && last.contains(&Undo::RemoveImage { reference: "image".into() }), "{last:?}");
    drop(engine);
    drop(events);
}

#[tokio::test]
async fn what_was_asked_for_is_told_from_what_could_not_be_asked() {
    let (sender, receiver) = watch::channel(Vec::new());
    let (engine, events, ..) = held_up(Cancel::by(receiver));
    let brief = Duration::from_millis(20);
    let engine = Engine { limits: Limits { after_a_signal: brief, at_least: brief, ..Limits::default() }, ..engine };
    interrupted(&engine, &sender).await;
    let left = engine.unwind().await;
    assert!(left.contains(&environment("candidate")) && left.contains(&container("one")), "{left:?}");
    let told = told(engine, events).await;
    let under_way: Vec<&Undo> = told
        .iter()
        .filter_map(|kind| match kind {
            EventKind::UndoUnderWay { undo } => Some(undo),
            _ => None,
        })
        .collect();
    assert_eq!(under_way, [&environment("candidate")]);
    let failed = told.iter().filter(|kind| matches!(kind, EventKind::Undone { error: Some(_), .. })).count();
    assert_eq!(failed, left.len() - 1);
}

/// A stage in which two signals come during a section of `section`, that may hold them for `limit`.
async fn held(section: Duration, limit: Duration) -> (bool, Result<(), Stopped>, Vec<EventKind>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let (engine, events, _) = engine_with(Cancel::by(receiver));
    let confirmed = Cell::new(false);
    let stage = async |cx: &StageCx| {
        let swap = async {
            signal(&sender, CancelReason::Interrupt);
            tokio::task::yield_now().await;
            signal(&sender, CancelReason::Terminate);
            pause(section).await;
            confirmed.set(true);
        };
        cx.until_confirmed(limit, swap).await;
        std::future::pending::<Result<(), Fault>>().await
    };
    let result = engine.stage(Stage::Promote, LONG, stage).await;
    (confirmed.get(), result, told(engine, events).await)
}

#[tokio::test]
async fn a_section_that_is_to_be_confirmed_is_not_broken_by_signals() {
    let (confirmed, result, told) = held(Duration::from_millis(50), LONG).await;
    assert!(confirmed, "both signals waited");
    assert_eq!(result.unwrap_err().cancelled, Some(CancelReason::Interrupt));
    let cancelling = told.iter().position(|kind| cancelled(kind).is_some());
    let note = told.iter().position(|kind| matches!(kind, EventKind::StageNote { .. }));
    assert!(cancelling < note && note.is_some(), "GitHub is told at once, and the log says what is waited for");
}

#[tokio::test]
async fn a_section_that_is_not_confirmed_in_time_is_broken() {
    let began = Instant::now();
    let (confirmed, result, _) = held(LONG, Duration::from_millis(50)).await;
    assert!(!confirmed && result.is_err());
    assert!(began.elapsed() < LONG);
}

#[tokio::test]
async fn a_time_limit_waits_for_a_section_too() {
    let (engine, ..) = engine();
    let confirmed = Cell::new(false);
    let swap = async {
        pause(Duration::from_millis(50)).await;
        confirmed.set(true);
    };
    let stage = async |cx: &StageCx| {
        cx.until_confirmed(LONG, swap).await;
        std::future::pending::<Result<(), Fault>>().await
    };
    let stopped = engine.stage(Stage::Promote, Duration::from_millis(1), stage).await.unwrap_err();
    assert!(confirmed.get() && stopped.timed_out);
}
