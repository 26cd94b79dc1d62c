//! The main job: a first deployment, then one that goes blue-green.

use beanline::local::plane::WriteKind;

use super::support::{App, Run, World, check_runs, conclusions, docker};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// The random id that a line of output ends with.
fn id_in(run: &Run, before: &str) -> String {
    let line = run.output.lines().find_map(|line| line.split_once(before)).map(|(_, id)| id.trim().to_owned());
    line.unwrap_or_else(|| panic!("`{before}` is missing in:\n{}", run.output))
}

#[test]
fn a_first_deployment_and_a_second_that_goes_blue_green() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    let first = world.ship(FIRST, &[]).expect(0);
    assert_eq!(world.live("/").as_deref(), Some("one"));
    let id = id_in(&first, "unit test sees id ");
    assert_eq!(id_in(&first, "acceptance test sees id "), id);
    assert_eq!(world.live("/id").as_deref().map(str::trim), Some(id.as_str()), "live runs the image that was tested");
    assert_eq!(id_in_registry(&world, FIRST), id, "the registry's layer holds the same file");
    let environments = world.environments();
    assert_eq!(environments.len(), 1);
    assert_eq!(environments[0].1, "shop.local.elasticbeanstalk.com");

    world.app(&App::version("two"));
    // The candidate takes its settings from live: it will have two instances.
    world.change_state(|state| state["environments"][0]["settings"]["aws:autoscaling:asg"]["MinSize"] = "2".into());
    let second = world.ship(SECOND, &[]).expect(0).says("2 of 2 instances");
    assert_eq!(world.live("/").as_deref(), Some("two"));
    let new = id_in(&second, "unit test sees id ");
    assert_ne!(new, id);
    assert_eq!(id_in(&second, "acceptance test sees id "), new);
    assert_eq!(id_in_registry(&world, SECOND), new);
    assert_eq!(ids_on_instances(&world), [new.clone(), new], "every instance runs the image that was tested");
    let environments = world.environments();
    assert_eq!(environments.len(), 2, "live and the previous environment: {environments:?}");
    let live = environments.iter().find(|(_, cname, _)| cname == "shop.local.elasticbeanstalk.com").unwrap();
    assert_eq!(live.2, SECOND);

    let checks = conclusions(&world.github, SECOND);
    assert_eq!(checks.len(), 11, "{checks:?}");
    assert!(checks.values().all(|conclusion| conclusion == "success"), "{checks:?}");
    let checks = conclusions(&world.github, FIRST);
    assert_eq!(checks["shop / promote"], "skipped");
    assert_eq!(checks["beanline"], "success");
    world.end();
}

/// Reads the file that a `RUN` wrote in the image that the nodes pulled for a version.
fn id_in_registry(world: &World, label: &str) -> String {
    let reference = format!("{}/shop:eb-{label}", world.local("REGISTRY"));
    let read = docker(&["run", "--rm", "--entrypoint", "cat", &reference, "/www/id"]);
    read.expect("the image can be run").trim().to_owned()
}

/// What each instance of live has in the file that a `RUN` wrote.
fn ids_on_instances(world: &World) -> Vec<String> {
    let state = world.state();
    let mut all = state["environments"].as_array().unwrap().iter();
    let live = all.find(|one| one["cname"] == "shop.local.elasticbeanstalk.com").unwrap();
    let label = format!("label=io.beanline.environment={}", live["id"].as_str().unwrap());
    let containers = docker(&["ps", "--quiet", "--filter", &label]).unwrap();
    let id = |container| docker(&["exec", container, "cat", "/www/id"]).unwrap().trim().to_owned();
    containers.lines().map(id).collect()
}

#[test]
fn the_registry_holds_no_manifest_before_both_verdicts() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one").file("test.sh", "echo no; exit 1"));
    world.ship(FIRST, &[]).expect(11);
    assert!(world.registry_writes().is_empty(), "nothing was written for an image that did not pass");
    world.app(&App::version("one"));
    world.ship(SECOND, &[]).expect(0);
    let checks = check_runs(&world.github, SECOND);
    let verdict_at = |name: &str| {
        let completed = checks[name].completed_at.clone().unwrap();
        chrono::DateTime::parse_from_rfc3339(&completed).unwrap().timestamp()
    };
    let writes = world.registry_writes();
    let manifests = writes.iter().filter(|write| write.kind == WriteKind::Manifest);
    let first = manifests.map(|write| write.at / 1000).min().expect("the image was pushed");
    for stage in ["shop / unit test", "shop / acceptance (container)"] {
        assert!(first >= verdict_at(stage), "a manifest was written at {first}, before {stage} had its verdict");
    }
    world.end();
}

#[test]
fn a_test_run_needs_no_cloud_and_leaves_nothing() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    let cut = ["cloud", "image", "application", "environment", "create", "instance_profile", "healthy_for"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    inputs.push(("run", "test"));
    world.ship(FIRST, &inputs).expect(0).says("2 tests passed");
    world.assert_no_run_is_left();
    assert_eq!(conclusions(&world.github, FIRST).len(), 5);
    world.end();
}
