//! What the platform does wrong: a candidate that turns red, a pull that is refused, an answer that never comes.

use super::support::{App, World, check_runs, conclusions};

const GOOD: &str = "3333333333333333333333333333333333333333";
const RED: &str = "4444444444444444444444444444444444444444";
const REFUSED: &str = "5555555555555555555555555555555555555555";
const BACK: &str = "6666666666666666666666666666666666666666";
const LOST: &str = "7777777777777777777777777777777777777777";

#[test]
fn a_candidate_that_does_not_come_up_is_ended_and_a_lost_answer_is_looked_up() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("good"));
    world.ship(GOOD, &[]).expect(0);

    let stories = [
        (RED, "health-red", "requests are failing with HTTP 5xx"),
        (REFUSED, "pull-refused", "failed to authenticate your private repository"),
        (BACK, "rollback", "Instance deployment failed"),
    ];
    for (revision, fault, said) in stories {
        world.app(&App::version("bad"));
        world.set_faults(&[(fault, None, None)]);
        world.ship(revision, &[("health_timeout", "5s")]).expect(14).says(said).says("  because: ");
        world.set_faults(&[]);
        let checks = conclusions(&world.github, revision);
        assert_eq!(checks["shop / push"], "success", "{checks:?}");
        assert_eq!(checks["shop / deploy"], "failure", "{checks:?}");
        assert_eq!(checks["shop / promote"], "skipped", "{checks:?}");
        let deploy = check_runs(&world.github, revision)["shop / deploy"].output.clone();
        let shown = serde_json::to_string(&deploy).unwrap();
        assert!(shown.contains(said), "{fault}: `{said}` is not in the check run: {shown}");
        let environments = world.environments();
        assert_eq!(environments.len(), 1, "{fault}: {environments:?}");
        assert_eq!(environments[0].2, GOOD);
        assert_eq!(world.live("/").as_deref(), Some("good"));
        world.assert_no_run_is_left();
    }

    // A lost answer makes no second environment and no second swap.
    let made = world.calls("CreateEnvironment");
    world.app(&App::version("lost"));
    let lost = |action| ("answer-lost", Some(action), Some(1));
    world.set_faults(&[lost("CreateEnvironment"), lost("SwapEnvironmentCNAMEs")]);
    world.ship(LOST, &[]).expect(0);
    assert_eq!(world.calls("CreateEnvironment"), made + 1);
    assert_eq!(world.calls("SwapEnvironmentCNAMEs"), 1);
    assert!(world.state()["faults"].as_array().unwrap().is_empty(), "both answers were lost");
    assert_eq!(world.live("/").as_deref(), Some("lost"));
    let environments = world.environments();
    assert_eq!(environments.len(), 2, "{environments:?}");
    world.end();
}
