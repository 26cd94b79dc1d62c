//! A candidate that waits: promoted by one run, rolled back by another.

use super::support::{App, Run, World, conclusions};

const ONE: &str = "4141414141414141414141414141414141414141";
const TWO: &str = "4242424242424242424242424242424242424242";
const THREE: &str = "4343434343434343434343434343434343434343";

/// A run about what stands: it builds nothing, and asks over HTTP alone.
fn about_what_stands(world: &World, run: &str, more: &[(&str, &str)]) -> Run {
    let cut = ["image", "context", "test_command", "test_reports", "acceptance_command", "create_repository"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    inputs.push(("run", run));
    world.ship(THREE, &[&inputs[..], more].concat())
}

#[test]
fn a_candidate_waits_is_promoted_and_rolled_back() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[]).expect(0);
    about_what_stands(&world, "promote", &[])
        .expect(3)
        .says("nothing waits to be promoted")
        .says("nothing was changed");
    world.app(&App::version("two"));
    world.ship(TWO, &[("dry_run", "true")]).expect(0).says("to do: push ").says("result: planned (exit code 0)");
    assert_eq!(world.environments().len(), 1);

    let waits = world.ship(TWO, &[("promote", "manual")]).expect(0).says("result: waiting (exit code 0)");
    waits.says("instance and a load balancer").says("for run=promote").says("with version 4141");
    assert_eq!(world.live("/").as_deref(), Some("one"));
    let before = world.environments();
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(conclusions(&world.github, TWO)["shop / promote"], "action_required");
    // The same commit finds it; whatever its build was, the bytes come from the registry.
    let again = world.ship(TWO, &[("promote", "manual"), ("build", "if-missing")]).expect(0);
    again.says("it was the same deployment").says("result: waiting (exit code 0)");
    assert_eq!(world.environments(), before);
    // A clean up leaves it.
    about_what_stands(&world, "cleanup", &[("keep_versions", "none")]).expect(0).says("waits for run=promote");
    assert_eq!(world.environments(), before);

    let dry = about_what_stands(&world, "promote", &[("dry_run", "true")]).expect(0);
    dry.says("swap: shop.local.elasticbeanstalk.com goes from ");
    assert_eq!(world.live("/").as_deref(), Some("one"));
    about_what_stands(&world, "promote", &[]).expect(0).says("result: deployed (exit code 0)");
    assert_eq!(world.live("/").as_deref(), Some("two"));
    about_what_stands(&world, "promote", &[]).expect(3).says("nothing waits to be promoted").says("with version 4242");

    let back = about_what_stands(&world, "rollback", &[]).expect(0).says("result: rolled-back (exit code 0)");
    back.says("to do: swap: ").says("live serves version 4141").says("rolled back from");
    assert_eq!(world.live("/").as_deref(), Some("one"));
    let checks = conclusions(&world.github, THREE);
    assert_eq!(checks["shop / roll back"], "success", "{checks:?}");
    // Once more does not go forward again.
    about_what_stands(&world, "rollback", &[]).expect(21).says("there is nothing to go back to: nothing was changed");
    assert_eq!(world.live("/").as_deref(), Some("one"));
    world.end();
}
