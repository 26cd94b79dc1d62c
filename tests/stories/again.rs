//! The same commit once more, and two runs at once.

use super::support::{App, World, conclusions};

const FIRST: &str = "7878787878787878787878787878787878787878";
const SECOND: &str = "9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a";
const THIRD: &str = "bcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbc";

#[test]
fn a_finished_commit_is_not_deployed_again() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(FIRST, &[]).expect(0);
    world.ship(FIRST, &[]).expect(0).says("runs this version already, deployed by run ");
    assert_eq!(world.environments().len(), 1);
    world.app(&App::version("two"));
    world.ship(SECOND, &[]).expect(0);
    let before = world.environments();
    world.ship(SECOND, &[]).expect(0).says("live runs this version already");
    assert_eq!(world.environments(), before, "the previous environment stays too");

    // Without a build the image is taken from the registry, and its tests are not run again.
    let taken = world.ship(SECOND, &[("build", "if-missing")]).expect(0);
    taken.says("is taken and not built again").says("pulling ").never_says("unit test sees id");
    let checks = conclusions(&world.github, SECOND);
    assert_eq!((checks["shop / unit test"].as_str(), checks["beanline"].as_str()), ("skipped", "success"));
    assert_eq!(world.environments(), before);

    // The same commit built again with other bytes: nodes of live pull by the tag, so that it is not moved.
    world.app(&App::version("three"));
    let pushed = world.registry_writes().len();
    world.ship(SECOND, &[]).expect(13).says("is deployed already, and this run built another image").says("if-missing");
    assert_eq!(world.registry_writes().len(), pushed, "nothing was written to the registry");
    assert_eq!(world.environments(), before);

    // Somebody has pushed another commit's image under the tag that is made of this one.
    let of_another = format!("org.opencontainers.image.revision={FIRST}");
    world.ship(THIRD, &[("run", "push"), ("labels", &of_another)]).expect(0);
    let refused = world.ship(THIRD, &[("run", "push"), ("build", "if-missing")]).expect(3);
    refused.says("is in the registry, and is not of this commit").says(FIRST);
    world.end();
}

#[test]
fn two_at_once_take_turns() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(FIRST, &[]).expect(0);
    let mut cloud = world.start(&["local"], &[], &[]);
    cloud.wait_for("the local cloud", || world.is_served());

    world.app(&App::version("two"));
    let slow = [("acceptance_command", "[ $BEANLINE_PLACE != candidate ] || { echo two is tested; sleep 6; }")];
    let mut first = world.begin(SECOND, &slow);
    first.wait_for("its candidate", || world.environments().len() == 2);
    world.app(&App::version("three"));
    // One that does not wait changes nothing.
    let refused = world.ship(THIRD, &[("on_busy", "fail")]).expect(14);
    refused
        .says("another run has shop.local.elasticbeanstalk.com: nothing was changed")
        .says(" of shop at 9a9a9a9a9a9a");
    let second = world.begin(THIRD, &[]);
    first.end().expect(0);
    second.end().expect(0).says("waiting at most 40 min for run ").says(" of shop at 9a9a9a9a9a9a, which has shop.");
    assert_eq!(world.live("/").as_deref(), Some("three"));
    assert_eq!(world.environments().len(), 2, "{:?}", world.environments());
    cloud.signal("INT");
    cloud.end().expect(0);
    world.end();
}
