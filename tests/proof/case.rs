//! One case: a call, a way to disturb it, and what must hold afterwards.

use std::any::Any;
use std::fmt;
use std::time::{Duration, Instant};

use super::call::Peer;
use super::desk::{Nth, Way};
use super::scene::{Job, Scene};
use super::seen::Seen;
use super::support::Run;

/// How often a case is tried whose call did not come.
const ATTEMPTS: usize = 3;

/// One thing to go wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    pub way: Way,
    pub call: Nth,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.way, self.call)
    }
}

/// What came of a case.
pub struct Verdict {
    pub case: Case,
    /// Whether the last run said that it did what it was for.
    pub is_done: bool,
    /// What is not as promised; empty when all is well.
    pub wrong: Vec<String>,
    /// What the runs printed.
    pub output: String,
    pub took: Duration,
}

impl Verdict {
    /// The world could not be looked at.
    pub fn not_found(case: Case, panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let wrong = vec![format!("no verdict: {}", said.unwrap_or_default())];
        Self { case, is_done: false, wrong, output: String::new(), took: Duration::ZERO }
    }
}

impl Case {
    /// Runs it on a world at rest.
    pub fn judge(&self, scene: &Scene) -> (Verdict, Job) {
        let began = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (job, before) = (scene.job(), Seen::of(scene));
            scene.desk.forget_made();
            let first = scene.ship(&job, Some((self.call.clone(), self.way)));
            let was_used = scene.desk.was_used();
            let mut findings = match first {
                Err(output) => Findings { wrong: vec!["the run did not end".to_owned()], output, is_done: false },
                Ok(dead) if was_used && self.way.kills() => after_a_kill(scene, &before, &job, &dead),
                Ok(run) => after_a_fault(scene, &before, &job, run, self.call.peer),
            };
            if !was_used && attempts < ATTEMPTS && findings.wrong.is_empty() {
                continue;
            }
            if !was_used {
                findings.wrong.push("the fault was never used".to_owned());
            }
            let Findings { is_done, wrong, output } = findings;
            return (Verdict { case: self.clone(), is_done, wrong, output, took: began.elapsed() }, job);
        }
    }
}

/// What is found in a world after its run.
struct Findings {
    is_done: bool,
    wrong: Vec<String>,
    output: String,
}

/// A call failed or its answer was lost: either everything is done or everything is as before.
fn after_a_fault(scene: &Scene, before: &Seen, job: &Job, run: Run, peer: Peer) -> Findings {
    let (after, is_done) = (Seen::of(scene), run.code == 0);
    let mut wrong = match is_done {
        true => before.becomes_finished(&after, job),
        false => before.stays(&after, job),
    };
    if !is_done && peer == Peer::Github {
        wrong.push("reporting changed the result".to_owned());
    }
    let candidates = scene.candidates_of(job);
    if candidates > 1 || (is_done && candidates != 1) {
        wrong.push(format!("{candidates} candidates were made"));
    }
    wrong.extend(leftovers(scene, job));
    wrong.extend(checks(scene, job, is_done, true));
    if !wrong.is_empty() {
        wrong.insert(0, format!("it ended with {}", run.code));
    }
    Findings { is_done, wrong, output: run.output }
}

/// The run is dead, and the same job is run again: as if nothing had happened.
fn after_a_kill(scene: &Scene, before: &Seen, job: &Job, dead: &Run) -> Findings {
    let (run, is_over) = match scene.ship(job, None) {
        Ok(run) => (run, true),
        Err(output) => (Run { code: -1, output }, false),
    };
    let mut wrong = Vec::new();
    if run.code != 0 {
        wrong.push(match is_over {
            true => format!("the run after the kill ended with {}", run.code),
            false => "the run after the kill did not end".to_owned(),
        });
    }
    wrong.extend(before.becomes_finished(&Seen::of(scene), job));
    let candidates = scene.candidates_of(job);
    if candidates != 1 {
        wrong.push(format!("{candidates} candidates were made"));
    }
    wrong.extend(leftovers(scene, job));
    wrong.extend(checks(scene, job, true, false));
    let output = format!("{}\n--- killed; the same job again ---\n{}", dead.output, run.output);
    Findings { is_done: run.code == 0, wrong, output }
}

fn leftovers(scene: &Scene, job: &Job) -> Vec<String> {
    scene.left_by(job).into_iter().map(|made| format!("{} is left", made.shown())).collect()
}

/// Every check run is completed, and those of a run that has done everything say so. Of one run there is one of a name.
fn checks(scene: &Scene, job: &Job, is_done: bool, of_one_run: bool) -> Vec<String> {
    let all = scene.checks_of(job);
    let mut wrong: Vec<String> = Vec::new();
    for check in &all {
        match check.conclusion.as_deref() {
            None => wrong.push(format!("check run {} is still {}", check.name, check.status)),
            Some(conclusion) if is_done && of_one_run && conclusion != "success" => {
                wrong.push(format!("check run {} says {conclusion}", check.name));
            }
            Some(_) => {}
        }
        if of_one_run && all.iter().filter(|other| other.name == check.name).count() > 1 {
            wrong.push(format!("check run {} was made twice", check.name));
        }
    }
    let the_run = all.iter().rev().find(|check| check.name == "beanline");
    let expected = if is_done { "success" } else { "failure" };
    if the_run.and_then(|check| check.conclusion.as_deref()) != Some(expected) {
        wrong.push(format!(
            "the last check run of the whole run does not say {expected}: {:?}",
            the_run.map(|check| &check.conclusion)
        ));
    }
    wrong
}
