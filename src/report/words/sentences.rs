use super::known::Known;
use super::run::{message, summary};
use super::world::world;
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, EventKind, Fact, Outcome, Role, Stage};
use crate::engine::undo::Undo;
use crate::fault::Fault;
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
    let untested = first(story_until(Stage::UnitTest), [finish(End::Tested, Vec::new())]);
    assert_eq!(untested, "the image was built, and not tested; nothing was pushed or deployed");
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
    let said = summary(&story(deployed()), None, &|_| None);
    assert!(said.starts_with("**live serves version 42 at http://shop.local/**\n\n| stage | result |"), "{said}");
    assert!(said.contains("| unit test | passed | 3 s |  |\n"), "{said}");
    assert!(said.contains("| digest | sha256:aaaa |\n"), "{said}");
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
    let mut told = story(stopped(CancelReason::RunTimeout, undone(end_candidate(), None).into(), Vec::new()));
    told.limit = Some(std::time::Duration::from_secs(20));
    let said = message(&told);
    assert!(said[1].starts_with("the run reached its limit of 20 s (`timeout`) in deploy, after "), "{}", said[1]);
    assert!(said[2].starts_with("help: raise the input `timeout` if"), "{}", said[2]);
    assert!(summary(&told, None, &|_| None).contains("**help:** raise the input `timeout` if"));
    assert!(
        summary(&told, None, &|_| None)
            .contains("| deploy | timed out | 3 s | the run reached its limit of 20 s (`timeout`) |")
    );
    let deploy = told.stages.iter().find(|stage| stage.key.stage == Stage::Deploy).unwrap();
    assert_eq!(check_run::title(deploy, &told), "the run reached its limit of 20 s (`timeout`)");
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
    for text in [said.join("\n"), summary(&told, None, &|_| None), check_run::summary(deploy, &told, None)] {
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

/// What was found out of live in the check stage is not known in a first deployment.
fn first_deployment(mut events: Vec<EventKind>) -> Vec<EventKind> {
    events.retain(|event| !matches!(event, EventKind::StageFact { fact: Fact::Previous { .. }, .. }));
    events
}

#[test]
fn where_nothing_was_live_nothing_is_said_of_live() {
    let remove = Undo::RemoveApplication { application: "shop".to_owned(), region: "local".to_owned() };
    let stop = |undoing: Vec<EventKind>, left| story(first_deployment(stopped(CancelReason::Interrupt, undoing, left)));
    assert_eq!(
        world(&stop(Vec::new(), Vec::new())),
        "nothing is live, as before; nothing of this run is left but the pushed image"
    );
    let told =
        stop(undone(end_candidate(), None).into_iter().chain(undone(remove.clone(), None)).collect(), Vec::new());
    assert_eq!(
        world(&told),
        "nothing is live, as before: the first environment is removed again; \
         nothing of this run is left but the pushed image"
    );
    let told = stop(vec![EventKind::UndoUnderWay { undo: end_candidate() }], vec![end_candidate()]);
    assert_eq!(world(&told), "nothing was live before this run; what is still being removed is listed below");
    let mut events = first_deployment(failing(Stage::AcceptanceCandidate));
    events.extend(undone(end_candidate(), None).into_iter().chain(undone(remove, None)));
    let known = Known::of(&story(events));
    assert_eq!((known.version, known.environment), (None, None), "they went with the application");
}

#[test]
fn where_live_ran_this_version_already_nothing_is_called_new() {
    let mut events = story_until(Stage::Deploy);
    let version = Fact::Version { label: "42".to_owned(), reused: true };
    events.extend(pass(Stage::Deploy, vec![version, environment(Role::Live)]));
    let skipped = || Outcome::Skipped("there is no candidate".to_owned());
    events.extend([end(Stage::AcceptanceCandidate, skipped()), end(Stage::Promote, skipped())]);
    events.push(finish(End::Deployed, Vec::new()));
    assert_eq!(
        world(&story(events)),
        "live serves version 42 at http://shop.local/, as before: nothing had to be deployed"
    );
}

#[test]
fn an_image_that_an_earlier_run_pushed_is_not_what_this_one_leaves() {
    let mut events = story_until(Stage::Push);
    let [image, tag, digest] = ["reg.example/shop", "42", DIGEST].map(str::to_owned);
    events.extend(pass(Stage::Check, vec![Fact::Pushed { image, tag, digest }]));
    let fault = Fault::new("the label is taken");
    events.extend([begin(Stage::Deploy), end(Stage::Deploy, Outcome::Failed(fault))]);
    events.push(finish(End::Failed(Stage::Deploy), Vec::new()));
    assert_eq!(world(&story(events)), "live still serves version 41; nothing of this run is left");
}

#[test]
fn an_environment_that_is_ending_is_no_output_and_what_still_is_live_is_not_called_previous() {
    let mut events = failing(Stage::AcceptanceCandidate);
    events.push(EventKind::UndoUnderWay { undo: end_candidate() });
    let known = Known::of(&story(events));
    assert_eq!(known.environment, None);
    assert!(known.rows().contains(&("live before", "shop-a with version 41".to_owned())), "{:?}", known.rows());
    assert!(known.outputs().contains(&("previous_environment", "shop-a")));
    let known = Known::of(&story(deployed()));
    assert!(known.rows().contains(&("previous", "shop-a with version 41".to_owned())), "{:?}", known.rows());
}

#[test]
fn what_is_kept_for_a_look_is_named_and_listed_with_its_command() {
    let mut events = failing(Stage::AcceptanceCandidate);
    let fact = Fact::Kept {
        what: "environment shop-b (e-2)".to_owned(),
        why: "keep_failed is set".to_owned(),
        command: Some("aws elasticbeanstalk terminate-environment --environment-name shop-b".to_owned()),
    };
    events.push(EventKind::StageFact { key: Stage::AcceptanceCandidate.into(), fact });
    events.push(finish(End::Failed(Stage::AcceptanceCandidate), Vec::new()));
    let said = message(&story(events));
    assert_eq!(said[0], "live still serves version 41; environment shop-b (e-2) is kept for a look");
    let [.., kept, help] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(kept, "environment shop-b (e-2) is kept: keep_failed is set");
    assert_eq!(help, "help: remove it with: aws elasticbeanstalk terminate-environment --environment-name shop-b");
}

#[test]
fn what_the_engine_was_asked_for_is_not_called_impossible_and_our_own_image_is_no_loss() {
    let container = Undo::RemoveContainer { name: "beanline-unit-1".to_owned() };
    let own = Undo::RemoveImage { reference: "beanline-own:e4a5".to_owned() };
    let cut_off = |undo: &Undo| EventKind::Undone {
        undo: undo.clone(),
        error: Some(Fault::timed_out("a second signal came before it was done")),
    };
    let left = vec![container.clone(), own.clone()];
    let told = story(stopped(CancelReason::Interrupt, vec![cut_off(&container), cut_off(&own)], left));
    let said = message(&told);
    assert_eq!(said[2], "asked for, but its end was not seen: remove container beanline-unit-1");
    assert_eq!(said[3], "help: do it with: docker rm --force --volumes beanline-unit-1");
    assert!(said[4].starts_with("help: later runs remove what is left, too"), "{said:?}");
    assert!(!said.join("\n").contains("beanline-own"), "{said:?}");
}
