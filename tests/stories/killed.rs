//! A run is killed, and the same run again goes on where it was: one candidate, nothing left over, every check run
//! completed.

use super::cancelled::is_in;
use super::support::{App, World, open_check_runs};

const FIRST: &str = "1212121212121212121212121212121212121212";
const SECOND: &str = "3434343434343434343434343434343434343434";
const THIRD: &str = "5656565656565656565656565656565656565656";

/// A CI job: the same job again is known to come after the one that was killed.
pub const JOB: [(&str, &str); 3] = [("GITLAB_CI", "true"), ("CI_JOB_ID", "77"), ("CI_PROJECT_PATH", "octo/shop")];

/// Begins a run whose acceptance test hangs in `place`, and kills it there.
pub fn kill_in(world: &World, revision: &str, place: &str) {
    let hangs = format!("[ $BEANLINE_PLACE != {place} ] || sleep 600");
    let mut run = world.begin_with(revision, &[("acceptance_command", &hangs)], &JOB);
    let (stage, container) = (format!("acceptance ({place})"), format!("beanline-test-{place}"));
    run.wait_for("the test", || is_in(world, revision, &stage, &container));
    run.signal("KILL");
    run.end();
}

#[test]
fn before_and_after_the_swap() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(FIRST, &[]).expect(0);

    for (revision, version, place) in [(SECOND, "two", "candidate"), (THIRD, "three", "live")] {
        world.app(&App::version(version));
        let (made, swapped) = (world.calls("CreateEnvironment"), world.calls("SwapEnvironmentCNAMEs"));
        kill_in(&world, revision, place);
        let again = world.ship_with(revision, &[], &JOB).expect(0);
        again.says("it was the same deployment: this run goes on with environment shop-");
        assert_eq!(world.live("/").as_deref(), Some(version));
        assert_eq!(world.environments().len(), 2, "{:?}", world.environments());
        assert_eq!(world.calls("CreateEnvironment") - made, 1, "one candidate was made");
        assert_eq!(world.calls("SwapEnvironmentCNAMEs") - swapped, 1, "and swapped once");
        assert_eq!(open_check_runs(&world.github, revision), Vec::<String>::new());
        world.assert_no_run_is_left();
    }
    world.end();
}

#[test]
fn and_built_again_to_other_bytes() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(FIRST, &[]).expect(0);
    world.app(&App::version("two"));
    kill_in(&world, SECOND, "candidate");
    // A fresh machine has no cache: the commit becomes another image, and what the killed run made is not gone on with.
    let again = world.ship_with(SECOND, &[("no_cache", "true")], &JOB).expect(0);
    again.says("what it had made is undone first").says("nobody ever ran it in earnest: it is replaced");
    assert_eq!(world.live("/").as_deref(), Some("two"));
    assert_eq!(world.environments().len(), 2, "{:?}", world.environments());
    world.assert_no_run_is_left();
    world.end();
}

#[test]
fn and_another_revision_comes_next() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(FIRST, &[]).expect(0);
    world.app(&App::version("two"));
    kill_in(&world, SECOND, "live");
    assert_eq!(world.live("/").as_deref(), Some("two"), "nobody has tested it as live");
    // In another job: the dead owner is found by its expiry.
    world.app(&App::version("three").file("test.sh", "exit 0"));
    let other = [("GITLAB_CI", "true"), ("CI_JOB_ID", "78"), ("CI_PROJECT_PATH", "octo/shop")];
    let fails = [("acceptance_command", "[ $BEANLINE_PLACE = container ]")];
    let run = world.ship_with(THIRD, &fails, &other).expect(15).says("waiting at most 40 min for run ");
    run.says("what it had made is undone first").says("done: terminate environment shop-");
    assert_eq!(world.live("/").as_deref(), Some("one"), "what was live before the killed run is live again");
    assert_eq!(world.environments().len(), 1, "{:?}", world.environments());
    // Objects of a killed run on the daemon go when they have expired, or with the same job.
    world.app(&App::version("one"));
    world.ship_with(FIRST, &[], &JOB).expect(0);
    world.end();
}
