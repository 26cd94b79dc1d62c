//! The environment itself is updated; what fails there gets the version before back.

use super::support::{App, World, conclusions};

const ONE: &str = "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1";
const TWO: &str = "c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2";
const BAD: &str = "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3";
const DEAD: &str = "c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4";
const ALONE: &str = "c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5";

const IN_PLACE: (&str, &str) = ("strategy", "in-place");

/// There is one environment, of the name that was given, and it runs this version.
#[track_caller]
fn assert_runs(world: &World, version: &str, label: &str) {
    assert_eq!(world.live("/").as_deref(), Some(version));
    let cname = "shop.local.elasticbeanstalk.com";
    assert_eq!(world.environments(), [("shop".to_owned(), cname.to_owned(), label.to_owned())]);
    world.assert_no_run_is_left();
}

#[test]
fn deployed_failed_and_put_back() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[IN_PLACE]).expect(0).says("shop will be made and be live at once");
    assert_runs(&world, "one", ONE);

    world.app(&App::version("two"));
    world.ship(TWO, &[IN_PLACE]).expect(0).says("by its own deployment policy, AllAtOnce").says("live serves version");
    assert_runs(&world, "two", TWO);
    let checks = conclusions(&world.github, TWO);
    assert_eq!((&*checks["shop / promote"], &*checks["beanline"]), ("skipped", "success"), "{checks:?}");
    assert_eq!((world.calls("CreateEnvironment"), world.calls("SwapEnvironmentCNAMEs")), (1, 0));

    world.app(&App::version("bad"));
    let red = [IN_PLACE, ("acceptance_command", "[ $BEANLINE_PLACE != live ] || { echo broken live; exit 6; }")];
    let run = world.ship(BAD, &red).expect(17).says("broken live").says("result: rolled-back");
    run.says(&format!("environment shop runs version {TWO} again"));
    assert_runs(&world, "two", TWO);

    // Without BEANLINE_PLACE, as on a node, the application ends.
    let dies =
        r#"["sh", "-c", "[ -n \"$BEANLINE_PLACE\" ] || { echo no place; exit 9; }; exec httpd -f -p 8080 -h /www"]"#;
    world.app(&App::version("bad").running(dies));
    let run = world.ship(DEAD, &[IN_PLACE]).expect(14).says("no place");
    run.says(&format!("environment shop runs version {TWO} again"));
    assert_runs(&world, "two", TWO);

    // An image that was tested earlier, by its tag alone.
    std::fs::remove_dir_all(world.path("app")).unwrap();
    let deploy = [
        IN_PLACE,
        ("run", "deploy"),
        ("tag", ONE),
        ("context", ""),
        ("test_command", ""),
        ("test_reports", ""),
        ("acceptance_command", ""),
    ];
    world.ship(ALONE, &deploy).expect(0).says("was there already and is used again");
    assert_runs(&world, "one", ONE);
    world.end();
}

#[test]
fn a_version_alone_changes_nobody() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(ONE, &[IN_PLACE]).expect(0);
    world.app(&App::version("alone"));
    let run = world.ship(ALONE, &[("strategy", "version-only"), ("environment", "")]).expect(0);
    run.says("the application version is made; no environment was told").says("result: versioned");
    assert_runs(&world, "one", ONE);
    let checks = conclusions(&world.github, ALONE);
    assert_eq!((&*checks["shop / deploy"], &*checks["shop / promote"]), ("success", "skipped"), "{checks:?}");
    world.end();
}
