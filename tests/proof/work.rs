//! The cases: found in the log of an undisturbed run, judged on several worlds at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use super::call::Peer;
use super::case::{Case, Verdict};
use super::desk::{Nth, Way};
use super::scene::Scene;
use super::seen::Seen;
use super::support::World;
use super::table;

/// Worlds at once, unless `PROOF_WORLDS` says otherwise. A run mostly waits, so that they may be more than processors.
const WORLDS: usize = 5;

#[test]
fn every_mutating_call_fails_loses_its_answer_and_is_the_last_one() {
    if !World::has_docker() {
        return;
    }
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let verdicts = Mutex::new(Vec::new());
    let calls = std::thread::scope(|threads| {
        for number in 1..worlds() {
            let (receiver, verdicts) = (&receiver, &verdicts);
            threads.spawn(move || work(Scene::new(number), number, receiver, verdicts));
        }
        let scene = Scene::new(0);
        let calls = reference(&scene);
        cases(&calls).into_iter().for_each(|case| sender.send(case).unwrap());
        drop(sender);
        work(scene, 0, &receiver, &verdicts);
        calls
    });
    let mut verdicts = verdicts.into_inner().unwrap();
    verdicts.sort_by(|one, other| one.case.cmp(&other.case));
    let failed = table::print(&calls, &verdicts);
    assert!(failed.is_empty(), "{} of {} cases failed", failed.len(), verdicts.len());
}

/// The mutating calls that every run makes in which nothing goes wrong.
fn reference(scene: &Scene) -> Vec<Nth> {
    let (first, second) = (undisturbed(scene), undisturbed(scene));
    let calls: Vec<Nth> = first.into_iter().filter(|call| second.contains(call) && !is_progress(call)).collect();
    calls.iter().for_each(|call| println!("{call}"));
    calls
}

/// Whether it tells once more that a stage is under way: how often that is told depends on how long the stage takes.
fn is_progress(call: &Nth) -> bool {
    call.peer == Peer::Github && call.name.ends_with("in_progress") && call.number > 1
}

fn undisturbed(scene: &Scene) -> Vec<Nth> {
    let (job, before) = (scene.job(), Seen::of(scene));
    let run = scene.ship(&job, None).unwrap_or_else(|output| panic!("{output}")).expect(0);
    let wrong = before.becomes_finished(&Seen::of(scene), &job);
    assert!(wrong.is_empty(), "{wrong:?}\n{}", run.output);
    scene.desk.mutating()
}

/// What is to be tried: every call in every way that was asked for. Unasked, the cloud's calls in the first three ways
/// and each of the others in one of them, in turn: that is a third of the time.
fn cases(calls: &[Nth]) -> Vec<Case> {
    let text = |name: &str| std::env::var_os(name).and_then(|text| text.into_string().ok());
    let ways = text("PROOF_WAYS");
    let is_wanted = |way: Way, number: usize, peer: Peer| match &ways {
        Some(names) => names.split(',').any(|name| name.trim() == way.to_string()),
        None if peer == Peer::Cloud => Way::SHORT.contains(&way),
        None => Way::SHORT[number % Way::SHORT.len()] == way,
    };
    let only = text("PROOF_ONLY").unwrap_or_default();
    let is_asked_for = |case: &Case| only.split(',').any(|text| case.to_string().contains(text));
    let wanted = calls.iter().enumerate().flat_map(|(number, call)| {
        let ways = Way::ALL.into_iter().filter(move |way| is_wanted(*way, number, call.peer));
        ways.map(|way| Case { way, call: call.clone() })
    });
    let mut cases: Vec<Case> = wanted.filter(is_asked_for).collect();
    // Those that change most come first, so that a surprise is seen early.
    cases.sort_by_key(|case| (case.call.peer != Peer::Cloud, case.call.peer));
    cases
}

fn worlds() -> usize {
    let given = std::env::var_os("PROOF_WORLDS").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(WORLDS)
}

/// Judges cases until there are no more, each on a world in order.
fn work(mut scene: Scene, number: usize, cases: &Mutex<Receiver<Case>>, verdicts: &Mutex<Vec<Verdict>>) {
    loop {
        let next = cases.lock().unwrap().recv();
        let Ok(case) = next else { return };
        let judged = catch_unwind(AssertUnwindSafe(|| case.judge(&scene)));
        let (verdict, job) = match judged {
            Ok((verdict, job)) => (verdict, Some(job)),
            Err(panic) => (Verdict::not_found(case, &*panic), None),
        };
        let is_well = verdict.wrong.is_empty();
        println!("{}", table::line(&verdict));
        verdicts.lock().unwrap().push(verdict);
        if !is_well && !job.is_some_and(|job| scene.mend(&job)) {
            drop(scene);
            scene = Scene::new(number);
        }
    }
}
