use super::run::{message, summary};
use super::world::world;
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, EventKind, Outcome, Stage};
use crate::engine::undo::Undo;
use crate::report::rehearsal::*;
use crate::report::words::check_run;

fn first(mut events: Vec<EventKind>, more: impl IntoIterator<Item = EventKind>) -> String {
    events.extend(more);
    world(&story(events))
}

#[test]
fn the_first_sentence_is_the_state_of_the_world() {
    let failed = |stage| first(failing(stage), [finish(End::Failed(stage), Vec::new())]);
    assert_eq!(failed(Stage::Check), "nothing was changed");
    assert_eq!(failed(Stage::UnitTest), "nothing was changed; live still serves version 41");
    assert_eq!(failed(Stage::Push), "live still serves version 41; layers may have reached the registry");
    assert_eq!(first(deployed(), []), "live serves version 42 at http://shop.local/",);
    let tested = [finish(End::Tested, Vec::new())];
    assert_eq!(first(story_until(Stage::Push), tested), "the image passed its tests; nothing was pushed or deployed");
    let pushed = [finish(End::Pushed, Vec::new())];
    assert_eq!(
        first(story_until(Stage::Deploy), pushed),
        "reg.example/shop:42 is in the registry; nothing was deployed"
    );
}

#[test]
fn after_a_failed_candidate_live_is_as_it_was_and_only_what_was_handed_over_is_left() {
    let stage = Stage::AcceptanceCandidate;
    assert_eq!(first(failing(stage), []), "live still serves version 41; what this run made is being removed",);
    let end = undone(end_candidate(), None).into_iter().chain([finish(End::Failed(stage), Vec::new())]);
    assert_eq!(
        first(failing(stage), end),
        "live still serves version 41; nothing of this run is left but the pushed image and version 42",
    );
}

#[test]
fn after_a_failed_live_test_the_previous_environment_is_live_again() {
    let stage = Stage::AcceptanceLive;
    assert_eq!(
        first(failing(stage), []),
        "live serves version 42 at http://shop.local/, which failed its tests; \
         the state before this run is being restored",
    );
    let back = undone(swap_back(), None).into_iter().chain(undone(end_candidate(), None));
    assert_eq!(
        first(failing(stage), back.chain([finish(End::RolledBack(stage), Vec::new())])),
        "previous environment shop-a is live again, with version 41; \
         nothing of this run is left but the pushed image and version 42",
    );
    let stuck = undone(swap_back(), Some("throttled"));
    assert_eq!(
        first(failing(stage), stuck.into_iter().chain([finish(End::NeedsHuman(stage), vec![swap_back()])])),
        "something needs a human: could not give shop.local back to e-1; \
         live may still be this run's environment: environment shop-a could not be made live again",
    );
}

#[test]
fn a_clean_up_that_failed_does_not_hide_that_the_deployment_stands() {
    assert_eq!(
        first(failing(Stage::CleanUp), [finish(End::Failed(Stage::CleanUp), Vec::new())]),
        "live serves version 42 at http://shop.local/; something that was to be removed is still there",
    );
}

#[test]
fn a_failure_reads_from_the_world_to_the_help() {
    let mut events = failing(Stage::Deploy);
    events.extend(undone(end_candidate(), Some("access denied")));
    events.push(finish(End::NeedsHuman(Stage::Deploy), vec![end_candidate()]));
    assert_eq!(
        message(&story(events)).join("\n"),
        "\
something needs a human: could not terminate environment shop-b; live still serves version 41
deploy failed after 3 s: the environment did not become healthy
  because: instance i-1 answers 502
  | thread main panicked
  | exit status 101
help: look at the application's log above
could not terminate environment shop-b: access denied
help: do it with: aws elasticbeanstalk terminate-environment --region local --environment-name shop-b  # while `beanline local` runs, with what it prints
help: but only while it does not hold shop.local: that would be live"
    );
}

#[test]
fn a_cancelled_run_says_where_it_was_stopped() {
    let mut events = story_until(Stage::Deploy);
    events.push(begin(Stage::Deploy));
    events.push(EventKind::Cancelling { reason: CancelReason::Interrupt });
    events.push(end(Stage::Deploy, Outcome::Cancelled));
    events.extend(undone(end_candidate(), None));
    events.push(finish(End::Cancelled(CancelReason::Interrupt), Vec::new()));
    let said = message(&story(events));
    assert_eq!(said[0], "live still serves version 41; nothing of this run is left but the pushed image");
    assert!(said[1].starts_with("cancelled by SIGINT during deploy, after "), "{}", said[1]);
}

#[test]
fn check_runs_have_a_title_and_a_summary_that_say_it_all() {
    let told = story(failing(Stage::UnitTest));
    let stage = |stage: Stage| told.stages.iter().find(|told| told.key.stage == stage).unwrap();
    assert_eq!(check_run::title(stage(Stage::Build), &told), "image of 12.3 MB built (3 s)");
    assert_eq!(check_run::title(stage(Stage::UnitTest), &told), "the environment did not become healthy");
    assert_eq!(check_run::title(stage(Stage::Push), &told), "not reached: unit test failed");
    assert_eq!(
        check_run::summary(stage(Stage::UnitTest), &told, Some("https://ci.example/7")),
        "\
**nothing was changed; live still serves version 41**

unit test failed after 3 s: the environment did not become healthy

- because: instance i-1 answers 502

The last lines:

```text
thread main panicked
exit status 101
```

**help:** look at the application's log above


[The log of this run](https://ci.example/7)
"
    );
}

#[test]
fn the_summary_of_a_run_has_its_stages_and_its_facts() {
    let said = summary(&story(deployed()), None);
    assert!(said.starts_with("**live serves version 42 at http://shop.local/**\n\n| stage | result |"), "{said}");
    assert!(said.contains("| unit test | passed | 3 s |  |\n"), "{said}");
    assert!(said.contains("| digest | sha256:aaaa |\n"), "{said}");
    assert!(said.contains("| kept | environment shop-a: for a roll-back, until the next deployment; remove it with"));
}

/// A run that was stopped by `reason` in its deployment, with `left` over.
fn stopped(reason: CancelReason, undoing: Vec<EventKind>, left: Vec<Undo>) -> Vec<EventKind> {
    let mut events = story_until(Stage::Deploy);
    events.extend([begin(Stage::Deploy), EventKind::Cancelling { reason }, end(Stage::Deploy, Outcome::Cancelled)]);
    events.extend(undoing);
    events.push(finish(End::Cancelled(reason), left));
    events
}

#[test]
fn the_time_limit_of_the_run_is_named_with_what_to_do() {
    let told = story(stopped(CancelReason::RunTimeout, undone(end_candidate(), None).into(), Vec::new()));
    let said = message(&told);
    assert!(said[1].starts_with("the input `timeout` ended the run during deploy, after "), "{}", said[1]);
    assert!(said[2].starts_with("help: raise the input `timeout` if"), "{}", said[2]);
    assert!(summary(&told, None).contains("**help:** raise the input `timeout` if"));
    assert!(summary(&told, None).contains("| deploy | timed out | 3 s | the input `timeout` ended the run |"));
    let deploy = told.stages.iter().find(|stage| stage.key.stage == Stage::Deploy).unwrap();
    assert_eq!(check_run::title(deploy, &told), "the input `timeout` ended the run");
}

#[test]
fn what_a_cancelled_run_leaves_is_listed_everywhere_with_its_command() {
    let container = Undo::RemoveContainer { name: "beanline-unit-1".to_owned() };
    let mut undoing = vec![EventKind::UndoUnderWay { undo: end_candidate() }];
    undoing.extend(undone(container.clone(), Some("the daemon does not answer")));
    let left = vec![end_candidate(), container];
    let told = story(stopped(CancelReason::Interrupt, undoing, left));
    let said = message(&told);
    assert_eq!(said[0], "live still serves version 41; what is left of this run is listed below");
    let deploy = told.stages.iter().find(|stage| stage.key.stage == Stage::Deploy).unwrap();
    for text in [said.join("\n"), summary(&told, None), check_run::summary(deploy, &told, None)] {
        for part in [
            "under way, but its end was not seen: terminate environment shop-b",
            "describe-environments --region local --environment-names shop-b",
            "could not remove container beanline-unit-1: the daemon does not answer",
            "docker rm --force --volumes beanline-unit-1",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("could not terminate"), "{text}");
    }
    let undoing = vec![EventKind::UndoUnderWay { undo: end_candidate() }];
    let told = story(stopped(CancelReason::Interrupt, undoing, vec![end_candidate()]));
    assert_eq!(message(&told)[0], "live still serves version 41; what is still being removed is listed below");
}
