//! Parts of the story: check alone, an existing tag, and what happens to environments that were live before.

use super::support::{App, World, conclusions};

const ONE: &str = "8181818181818181818181818181818181818181";
const TWO: &str = "8282828282828282828282828282828282828282";
const THREE: &str = "8383838383838383838383838383838383838383";
const FOUR: &str = "8484848484848484848484848484848484848484";

#[test]
fn check_deploy_and_what_becomes_of_previous_environments() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[("run", "check"), ("create_repository", "false")]).expect(3).says("create_repository");
    world.ship(ONE, &[]).expect(0);
    let before = (world.environments(), world.registry_writes().len());
    world.ship(TWO, &[("run", "check")]).expect(0);
    assert_eq!((world.environments(), world.registry_writes().len()), before);
    let checks = conclusions(&world.github, TWO);
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["beanline", "shop / check"]);
    assert!(checks.values().all(|conclusion| conclusion == "success"), "{checks:?}");

    // A tag is tested and pushed by one run and deployed by another, which has no application to build.
    world.app(&App::version("two"));
    world.ship(TWO, &[("run", "push")]).expect(0);
    assert_eq!(world.live("/").as_deref(), Some("one"));
    std::fs::remove_dir_all(world.path("app")).unwrap();
    let deploy =
        [("run", "deploy"), ("context", ""), ("test_command", ""), ("test_reports", ""), ("acceptance_command", "")];
    let nowhere = [&deploy[..], &[("tag", "never-pushed")]].concat();
    world.ship(THREE, &nowhere).expect(3).says("never-pushed is not in the registry").says("nothing was changed");
    world.ship(THREE, &[&deploy[..], &[("tag", TWO)]].concat()).expect(0);
    assert_eq!(world.live("/").as_deref(), Some("two"));
    assert_eq!(labels(&world), [ONE, TWO]);
    let checks = conclusions(&world.github, THREE);
    assert!(!checks.contains_key("shop / build") && checks["shop / promote"] == "success", "{checks:?}");

    // A third deployment ends the environment that was previous before; with keep_previous=none its own previous one too.
    world.app(&App::version("four"));
    world.ship(FOUR, &[("keep_previous", "none")]).expect(0);
    assert_eq!(world.live("/").as_deref(), Some("four"));
    assert_eq!(labels(&world), [FOUR]);
    world.end();
}

/// The versions that environments run.
fn labels(world: &World) -> Vec<String> {
    let mut labels: Vec<String> = world.environments().into_iter().map(|(_, _, label)| label).collect();
    labels.sort();
    labels
}
