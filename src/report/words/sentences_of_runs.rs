//! What is said of runs of their own: what waits, who is live again, what would be done, what costs money.

use super::known::Known;
use super::world::world;
use crate::engine::change::Change;
use crate::engine::event::{End, EventKind, Fact, Outcome, Role, Stage};
use crate::fault::Fault;
use crate::report::rehearsal::*;

fn previous() -> Fact {
    Fact::Previous { name: "shop-a".to_owned(), version: "41".to_owned() }
}

fn version(label: &str) -> Fact {
    Fact::Version { label: label.to_owned(), reused: true }
}

fn told(facts: &[(Stage, Vec<Fact>)], more: Vec<EventKind>, end: End) -> String {
    let stages = facts.iter().flat_map(|(stage, facts)| pass(*stage, facts.clone()));
    let events = std::iter::once(start()).chain(stages).chain(more).chain([finish(end, Vec::new())]);
    world(&story(events.collect()))
}

#[test]
fn who_is_live_is_said_by_name() {
    let checked = (Stage::Check, vec![previous()]);
    let candidate = (Stage::Deploy, vec![version("42"), environment(Role::Candidate)]);
    assert_eq!(
        told(&[checked.clone(), candidate], Vec::new(), End::Waiting),
        "version 42 has passed and waits in environment shop-b (http://shop-b.local/) for run=promote; live is \
         environment shop-a with version 41, as before"
    );
    let back = (Stage::RollBack, vec![version("40"), environment(Role::Live)]);
    assert_eq!(
        told(&[checked.clone(), back.clone()], Vec::new(), End::Back),
        "live serves version 40 at http://shop.local/ again"
    );
    let failed = end(Stage::AcceptanceLive, Outcome::Failed(Fault::new("GET /ping answered 500")));
    let failing = vec![begin(Stage::AcceptanceLive), failed];
    assert_eq!(
        told(&[checked.clone(), back], failing, End::Failed(Stage::AcceptanceLive)),
        "live serves version 40 at http://shop.local/",
        "nothing is swapped again"
    );
    let gone = [checked.clone(), (Stage::CleanUp, Vec::new())];
    let live = "live is environment shop-a with version 41, as before";
    assert_eq!(told(&gone, Vec::new(), End::CleanedUp), format!("what was to be removed is gone; {live}"));
    assert_eq!(
        told(&gone, Vec::new(), End::Failed(Stage::CleanUp)),
        format!("{live}; something that was to be removed is still there")
    );
    assert_eq!(told(&[checked], Vec::new(), End::Configured), format!("the settings are applied; {live}"));
}

#[test]
fn a_dry_run_lists_every_change_in_order() {
    let swap = Change::Swap { cname: "shop.local".into(), from: "shop-a".into(), to: "shop-b".into() };
    let remove = Change::Remove { undo: end_candidate(), why: "its time is over".into() };
    let facts = vec![previous(), Fact::Planned(swap), Fact::Planned(remove)];
    let events = std::iter::once(start()).chain(pass(Stage::Check, facts)).chain([finish(End::Planned, Vec::new())]);
    let story = story(events.collect());
    assert_eq!(
        world(&story),
        "nothing was changed: every change is named only; live is environment shop-a with version 41, as before"
    );
    let rows = Known::of(&story).rows();
    let planned: Vec<&str> = rows.iter().filter(|row| row.0 == "to do").map(|row| row.1.as_str()).collect();
    assert_eq!(
        planned,
        ["swap: shop.local goes from shop-a to shop-b", "terminate environment shop-b: its time is over"]
    );
}
