//! A clean up on a schedule: it says what it will do, keeps what is in its time, and ends the rest.

use super::support::{App, Run, World, conclusions};

const ONE: &str = "5151515151515151515151515151515151515151";
const TWO: &str = "5252525252525252525252525252525252525252";
const BAD: &str = "5454545454545454545454545454545454545454";
const NEXT: &str = "5656565656565656565656565656565656565656";
const NIGHT: &str = "5353535353535353535353535353535353535353";

fn clean_up(world: &World, more: &[(&str, &str)]) -> Run {
    let cut = ["image", "context", "test_command", "test_reports", "acceptance_command", "create_repository"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    inputs.push(("run", "cleanup"));
    if !more.iter().any(|(name, _)| *name == "keep_versions") {
        inputs.push(("keep_versions", "none"));
    }
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

/// The labels of the versions that are there, oldest first.
fn versions(world: &World) -> Vec<String> {
    let versions = world.state()["versions"].clone();
    versions.as_array().unwrap().iter().map(|version| version["label"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn versions_that_never_were_good_go_with_bundle_and_tag() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[]).expect(0);
    world.app(&App::version("bad"));
    let rejected = ("acceptance_command", "[ $BEANLINE_PLACE != candidate ] || exit 6");
    world.ship(BAD, &[rejected]).expect(15);
    world.app(&App::version("next"));
    // The deployment itself keeps two: none has to go yet.
    world.ship(NEXT, &[("keep_versions", "2")]).expect(0);
    assert_eq!(versions(&world), [ONE, BAD, NEXT]);

    let keep_one = [("keep_versions", "1")];
    let dry = clean_up(&world, &[&keep_one[..], &[("dry_run", "true")]].concat()).expect(0);
    dry.says(&format!("to do: delete version {BAD}")).never_says(&format!("delete version {ONE}"));
    assert_eq!(versions(&world), [ONE, BAD, NEXT]);
    let deleted = clean_up(&world, &keep_one).expect(0).says("deleted with bundle and tag, since keep_versions is 1: ");
    deleted.says(BAD);
    // What was good stays, to roll back to.
    assert_eq!(versions(&world), [ONE, NEXT]);
    assert_eq!((world.calls("DeleteApplicationVersion"), world.calls("BatchDeleteImage")), (1, 1));
    assert_eq!(world.live("/").as_deref(), Some("next"));
    world.end();
}
