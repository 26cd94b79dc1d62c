//! What goes wrong stops the run there: that check run fails, later ones are skipped, live serves the old version.

use super::support::{App, Run, World, conclusions};

const GOOD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const BAD: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const DEAD: &str = "1234567812345678123456781234567812345678";

/// A world in which version `good` is live.
fn with_live() -> Option<World> {
    let world = World::new()?;
    world.app(&App::version("good"));
    world.ship(GOOD, &[]).expect(0);
    Some(world)
}

/// After a failed run: live serves `good` alone, the failed stage is `failure`, all after it are `skipped`.
fn assert_nothing_changed(world: &World, revision: &str, failed: &str) {
    assert_eq!(world.live("/").as_deref(), Some("good"));
    let environments = world.environments();
    assert_eq!(environments.len(), 1, "{environments:?}");
    assert_eq!(environments[0].2, GOOD);
    let checks = conclusions(&world.github, revision);
    assert_eq!(checks[&format!("shop / {failed}")], "failure", "{checks:?}");
    assert_eq!(checks["beanline"], "failure");
    assert!(!checks.values().any(|conclusion| conclusion == "open"), "{checks:?}");
    assert_eq!(checks["shop / clean up"], "skipped");
    world.assert_no_run_is_left();
}

fn ship_bad(world: &World, app: &App, more: &[(&str, &str)]) -> Run {
    world.app(app);
    world.ship(BAD, more)
}

#[test]
fn before_the_push() {
    let Some(world) = with_live() else { return };
    let broken = App::version("bad").file("www/index.html", "bad").file("test.sh", "echo one is not two; exit 3");
    ship_bad(&world, &broken, &[]).expect(11).says("one is not two").says("exited with 3");
    assert_nothing_changed(&world, BAD, "unit test");

    let boom = App::version("bad").running(r#"["sh", "-c", "echo no database; exit 7"]"#);
    ship_bad(&world, &boom, &[]).expect(12).says("no database").says("exited with 7");
    assert_nothing_changed(&world, BAD, "acceptance (container)");

    let silent = App::version("bad").running(r#"["sleep", "1000"]"#);
    ship_bad(&world, &silent, &[("ready_timeout", "3s")])
        .expect(12)
        .says("not ready within 3 s")
        .says("takes no connection");
    assert_nothing_changed(&world, BAD, "acceptance (container)");

    let wrong = [("acceptance_http", "GET /missing 200")];
    ship_bad(&world, &App::version("bad"), &wrong).expect(12).says("GET /missing 200").says("404");
    assert_nothing_changed(&world, BAD, "acceptance (container)");

    world.app(&App::version("bad"));
    let dockerfile = world.path("app/Dockerfile");
    let text =
        std::fs::read_to_string(&dockerfile).unwrap().replace("EXPOSE", "RUN echo cannot compile >&2; exit 4\nEXPOSE");
    std::fs::write(&dockerfile, text).unwrap();
    world.ship(BAD, &[]).expect(10).says("cannot compile");
    assert_nothing_changed(&world, BAD, "build");

    // The repository keeps the tag on the image that has it.
    world.keep_tags();
    let other = [("tag", GOOD), ("version_label", "other")];
    ship_bad(&world, &App::version("bad"), &other).expect(13).says("immutable");
    assert_nothing_changed(&world, BAD, "push");
    world.end();
}

#[test]
fn in_the_cloud() {
    let Some(world) = with_live() else { return };
    let red_as_candidate =
        [("acceptance_command", "[ $BEANLINE_PLACE != candidate ] || { echo broken here; exit 5; }")];
    ship_bad(&world, &App::version("bad"), &red_as_candidate).expect(15).says("broken here");
    assert_nothing_changed(&world, BAD, "acceptance (candidate)");

    let red_when_live = [("acceptance_command", "[ $BEANLINE_PLACE != live ] || { echo broken live; exit 6; }")];
    ship_bad(&world, &App::version("bad"), &red_when_live).expect(17).says("broken live");
    assert_nothing_changed(&world, BAD, "acceptance (live)");

    // The node finds out what no container here did: without BEANLINE_PLACE the application ends.
    let dies_on_a_node = App::version("bad").running(
        r#"["sh", "-c", "[ -n \"$BEANLINE_PLACE\" ] || { echo no place; exit 9; }; exec httpd -f -p 8080 -h /www"]"#,
    );
    world.app(&dies_on_a_node);
    world.ship(DEAD, &[]).expect(14).says("no place").says("/eb-deployment-");
    assert_nothing_changed(&world, DEAD, "deploy");
    world.end();
}
