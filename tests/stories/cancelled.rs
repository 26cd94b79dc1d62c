//! A signal ends a run at once: what ran is cancelled on GitHub, what was made is gone, live is as before.

use super::support::{App, World, check_runs, conclusions, docker};

const GOOD: &str = "abababababababababababababababababababab";
const SLOW: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
const NEXT: &str = "efefefefefefefefefefefefefefefefefefefef";

/// Whether a stage is under way by its check run, and a container of such a name runs: others on the same engine may
/// have one too.
pub fn is_in(world: &World, revision: &str, stage: &str, container: &str) -> bool {
    let checks = check_runs(&world.github, revision);
    checks.get(&format!("shop / {stage}")).is_some_and(|run| run.status == "in_progress")
        && docker(&["ps", "-q", "--filter", &format!("name={container}")]).is_some_and(|ids| !ids.trim().is_empty())
}

/// Every stage that had not passed when the signal came is `cancelled`, and so is the run.
#[track_caller]
fn assert_cancelled(world: &World, revision: &str, passed: &[&str]) {
    let mut checks = conclusions(&world.github, revision);
    assert_eq!(checks.len(), 11, "{checks:?}");
    for stage in passed {
        assert_eq!(checks.remove(&format!("shop / {stage}")).as_deref(), Some("success"), "{stage}: {checks:?}");
    }
    assert!(checks.values().all(|conclusion| conclusion == "cancelled"), "{checks:?}");
    world.assert_no_run_is_left();
    assert_eq!(world.live("/").as_deref(), Some("good"));
    let environments = world.environments();
    assert_eq!(environments.len(), 1, "{environments:?}");
    assert_eq!(environments[0].2, GOOD);
}

#[test]
fn by_a_signal_in_a_test_and_in_a_deployment() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("good"));
    world.ship(GOOD, &[]).expect(0);

    world.app(&App::version("slow").file("test.sh", "echo begun; sleep 600"));
    let mut run = world.begin(SLOW, &[("acceptance_on", "candidate,live")]);
    run.wait_for("the unit test's container", || is_in(&world, SLOW, "unit test", "beanline-unit-"));
    run.signal("INT");
    run.end().expect(130).says("SIGINT");
    // Acceptance in a container was skipped before the signal came.
    let checks = conclusions(&world.github, SLOW);
    assert_eq!(checks["shop / acceptance (container)"], "skipped", "{checks:?}");

    world.app(&App::version("next"));
    let slow = [("acceptance_command", "[ $BEANLINE_PLACE != candidate ] || { touch /begun; sleep 600; }")];
    let mut run = world.begin(NEXT, &slow);
    run.wait_for("the candidate's tests", || is_in(&world, NEXT, "acceptance (candidate)", "beanline-test-candidate"));
    run.signal("TERM");
    run.end().expect(143).says("SIGTERM");
    assert_cancelled(&world, NEXT, &["check", "build", "unit test", "acceptance (container)", "push", "deploy"]);
    world.end();
}
