//! A clean up on a schedule: it says what it will do, keeps what is in its time, and ends the rest.

use super::support::{App, Run, World, conclusions};

const ONE: &str = "5151515151515151515151515151515151515151";
const TWO: &str = "5252525252525252525252525252525252525252";
const NIGHT: &str = "5353535353535353535353535353535353535353";

fn clean_up(world: &World, more: &[(&str, &str)]) -> Run {
    let cut = ["image", "context", "test_command", "test_reports", "acceptance_command", "create_repository"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    inputs.extend([("run", "cleanup"), ("keep_versions", "none")]);
    world.ship(NIGHT, &[&inputs[..], more].concat())
}

#[test]
fn a_previous_environment_goes_when_its_time_is_over() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[]).expect(0);
    world.app(&App::version("two"));
    let shipped = world.ship(TWO, &[("keep_previous", "4h")]).expect(0);
    shipped.says("it was live before and is there to roll back to, until ").says("instance and a load balancer");
    assert_eq!(world.environments().len(), 2);

    let kept = clean_up(&world, &[("keep_previous", "4h")]).expect(0);
    kept.says("result: cleaned-up (exit code 0)").says("until ").never_says("to do: terminate");
    assert_eq!(world.environments().len(), 2);
    let dry = clean_up(&world, &[("keep_previous", "none"), ("dry_run", "true")]).expect(0);
    dry.says("to do: terminate environment ").says("result: planned (exit code 0)").says("nothing was changed");
    assert_eq!(world.environments().len(), 2);
    clean_up(&world, &[("keep_previous", "none")])
        .expect(0)
        .says("to do: terminate environment ")
        .says("with version 5252");
    assert_eq!(world.environments().len(), 1);
    assert_eq!(world.live("/").as_deref(), Some("two"));
    let checks = conclusions(&world.github, NIGHT);
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["beanline", "shop / check", "shop / clean up"]);
    world.end();
}
