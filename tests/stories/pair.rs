//! Two environments that stand: the idle one is updated and swapped; a failed live test swaps back.

use super::support::{App, World};

const ONE: &str = "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1";
const TWO: &str = "d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2";
const THREE: &str = "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3";
const BAD: &str = "d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4";

const PAIR: (&str, &str) = ("strategy", "pair");

/// Names of the environments, sorted.
fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world.environments().into_iter().map(|(name, ..)| name).collect();
    names.sort();
    names
}

#[test]
fn two_environments_take_turns() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[PAIR]).expect(0);
    world.app(&App::version("two"));
    world.ship(TWO, &[PAIR]).expect(0).says("stays as the other one of the pair").says("cost money");
    assert_eq!(world.live("/").as_deref(), Some("two"));
    let both = names(&world);
    assert_eq!(both.len(), 2, "{both:?}");

    world.app(&App::version("three"));
    world.ship(THREE, &[PAIR, ("create", "false")]).expect(0).says("is the idle one of the pair, with version ");
    assert_eq!((world.live("/").as_deref(), names(&world)), (Some("three"), both.clone()));

    world.app(&App::version("bad"));
    let red = [PAIR, ("acceptance_command", "[ $BEANLINE_PLACE != live ] || { echo broken live; exit 6; }")];
    let run = world.ship(BAD, &red).expect(17).says("broken live").says("result: rolled-back");
    run.says("which serves nobody");
    assert_eq!((world.live("/").as_deref(), names(&world)), (Some("three"), both));
    assert_eq!((world.calls("CreateEnvironment"), world.calls("TerminateEnvironment")), (2, 0));
    world.end();
}
