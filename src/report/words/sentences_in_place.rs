//! What is said of runs that update live itself, or the idle one of a pair.

use super::known::Known;
use super::run::message;
use super::world::world;
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, EventKind, Fact, Outcome, Role, Stage};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::report::rehearsal::*;

/// What gives live its version back.
fn redeploy() -> Undo {
    let [application, environment, environment_id] = ["shop", "shop-a", "e-1"].map(str::to_owned);
    let [label, instead_of, region] = ["41", "42", "local"].map(str::to_owned);
    Undo::Redeploy { application, environment, environment_id, label, instead_of, region }
}

fn updated(url: &str) -> Fact {
    Fact::Environment { role: Role::Updated, name: "shop-a".into(), id: "e-1".into(), url: url.into() }
}

/// Events until the deployment in place has ended so.
fn until_deployed(url: &str, outcome: Outcome) -> Vec<EventKind> {
    let mut events = story_until(Stage::Deploy);
    let facts = [Fact::Version { label: "42".to_owned(), reused: false }, updated(url)];
    events.push(begin(Stage::Deploy));
    events.extend(facts.map(|fact| EventKind::StageFact { key: Stage::Deploy.into(), fact }));
    let passed = matches!(outcome, Outcome::Passed);
    events.push(end(Stage::Deploy, outcome));
    let skipped = || Outcome::Skipped("in place there is no candidate".to_owned());
    if passed {
        events.extend([end(Stage::AcceptanceCandidate, skipped()), end(Stage::Promote, skipped())]);
    }
    events
}

fn failed() -> Outcome {
    Outcome::Failed(Fault::new("it failed and runs version 41"))
}

#[test]
fn what_was_updated_in_place_is_new() {
    let mut events = until_deployed("http://shop.local/", Outcome::Passed);
    events.push(finish(End::Deployed, Vec::new()));
    let told = story(events);
    assert_eq!(world(&told), "live serves version 42 at http://shop.local/");
    assert!(Known::of(&told).rows().contains(&("previous", "shop-a with version 41".to_owned())));
    let mut worker = until_deployed("", Outcome::Passed);
    worker.push(finish(End::Deployed, Vec::new()));
    let told = story(worker);
    assert_eq!(world(&told), "live serves version 42");
    assert!(Known::of(&told).rows().iter().all(|(label, _)| *label != "URL"));
}

#[test]
fn after_a_failure_the_version_before_runs_again() {
    for stage in [Stage::Deploy, Stage::AcceptanceLive] {
        let mut events = match stage {
            Stage::Deploy => until_deployed("http://shop.local/", failed()),
            _ => until_deployed("http://shop.local/", Outcome::Passed),
        };
        if stage == Stage::AcceptanceLive {
            events.extend([begin(stage), end(stage, failed())]);
        }
        events.extend(undone(redeploy(), None));
        events.push(finish(End::RolledBack(stage), Vec::new()));
        assert_eq!(
            world(&story(events)),
            "environment shop-a runs version 41 again; nothing of this run is left but the pushed image and version 42"
        );
    }
}

#[test]
fn what_runs_two_versions_is_told_from_what_is_live() {
    let half = || until_deployed("http://shop.local/", failed());
    let so_far = world(&story(half()));
    assert!(so_far.starts_with("instances of environment shop-a may run version 41 or version 42; "), "{so_far}");
    let mut events = half();
    events.extend(undone(redeploy(), Some("version 41 is gone")));
    events.push(finish(End::NeedsHuman(Stage::Deploy), vec![redeploy()]));
    let said = message(&story(events));
    assert_eq!(
        said[0],
        "something needs a human: could not redeploy version 41 to shop-a; \
         instances of environment shop-a may run version 41 or version 42"
    );
    let command = "aws elasticbeanstalk update-environment --region local --environment-id e-1 --version-label 41";
    assert!(said.iter().any(|line| line.contains(command)), "{said:?}");
    assert!(said.iter().any(|line| line.contains("but only when shop-a is Ready")), "{said:?}");

    let mut events = until_deployed("http://shop.local/", Outcome::Passed);
    events.extend([begin(Stage::AcceptanceLive), end(Stage::AcceptanceLive, Outcome::Cancelled)]);
    events.push(EventKind::UndoUnderWay { undo: redeploy() });
    events.push(finish(End::Cancelled(CancelReason::Interrupt), vec![redeploy()]));
    let said = world(&story(events));
    assert!(said.starts_with("instances of environment shop-a may run version 41 or version 42; "), "{said}");
}

#[test]
fn the_idle_one_of_a_pair_keeps_what_it_was_given() {
    let mut events = failing(Stage::AcceptanceCandidate);
    events.push(finish(End::Failed(Stage::AcceptanceCandidate), Vec::new()));
    assert_eq!(
        world(&story(events)),
        "live still serves version 41; nothing of this run is left but the pushed image and version 42 and environment \
         shop-b, which serves nobody"
    );
}
