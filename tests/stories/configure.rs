//! Settings alone: named, applied, found as they are, and put back when live does not pass its tests with them.

use super::support::{App, Run, World, conclusions};

const ONE: &str = "4545454545454545454545454545454545454545";
const TWO: &str = "4646464646464646464646464646464646464646";

const COMMAND: &str = "aws:elasticbeanstalk:command";

fn configure(world: &World, timeout: &str, more: &[(&str, &str)]) -> Run {
    let cut = ["image", "context", "test_command", "test_reports", "acceptance_command", "create_repository"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    let options = format!("{COMMAND}: {{Timeout: {timeout}}}");
    inputs.extend([("run", "configure"), ("option_settings", options.as_str())]);
    world.ship(TWO, &[&inputs[..], more].concat())
}

#[track_caller]
fn assert_timeout(world: &World, timeout: Option<&str>) {
    let environments = world.state()["environments"].clone();
    assert_eq!(environments.as_array().unwrap().len(), 1);
    assert_eq!(environments[0]["settings"][COMMAND]["Timeout"].as_str(), timeout);
    assert_eq!(environments[0]["version_label"], ONE);
    assert!(world.state()["templates"].as_array().unwrap().is_empty(), "no saved settings are left");
    assert_eq!(world.live("/").as_deref(), Some("one"));
}

#[test]
fn named_applied_and_put_back() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[]).expect(0);

    let dry = configure(&world, "300", &[("dry_run", "true")]).expect(0).says("to do: change settings of environment ");
    dry.says(&format!("{COMMAND}/Timeout: ")).says("result: planned (exit code 0)");
    assert_timeout(&world, None);

    let done =
        configure(&world, "300", &[]).expect(0).says("1 setting of ").says("was changed; its version is as before");
    done.says("result: configured (exit code 0)");
    assert_timeout(&world, Some("300"));
    let checks = conclusions(&world.github, TWO);
    assert_eq!((&*checks["shop / configure"], &*checks["beanline"]), ("success", "success"), "{checks:?}");
    configure(&world, "300", &[]).expect(0).says("has the wanted settings already");

    let broken = configure(&world, "600", &[("acceptance_http", "GET /nothing 200")]).expect(17);
    broken.says("put the settings of ").says("result: rolled-back");
    assert_timeout(&world, Some("300"));
    world.end();
}
