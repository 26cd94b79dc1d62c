//! An hour's difference between two clocks, and calls that break on every service: nothing that a user would notice.

use super::support::{App, World};

const FIRST: &str = "8888888888888888888888888888888888888881";
const AHEAD: &str = "8888888888888888888888888888888888888882";
const BEHIND: &str = "8888888888888888888888888888888888888883";

#[test]
fn a_clock_that_is_off_and_calls_that_break_change_nothing() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("first"));
    world.ship(FIRST, &[]).expect(0);
    for (revision, version, seconds) in [(AHEAD, "ahead", 3600), (BEHIND, "behind", -3600)] {
        let made = world.calls("CreateEnvironment");
        let fault = |name: &str, service: Option<&str>, action: Option<&str>, times: u32| {
            serde_json::json!({
                "name": name, "service": service, "action": action, "environment": null, "times": times, "millis": 100,
            })
        };
        let faults = serde_json::json!([
            { "name": "skew", "action": null, "environment": null, "times": null, "millis": 0, "seconds": seconds },
            fault("throttle", None, Some("DescribeEnvironments"), 2),
            fault("reset", Some("ecr"), None, 1),
            fault("internal-error", Some("s3"), Some("PutObject"), 1),
            fault("lose", Some("s3"), Some("PutObject"), 1),
            fault("lose", None, Some("CreateApplicationVersion"), 1),
            fault("lose", None, Some("CreateEnvironment"), 1),
            fault("slow", None, Some("DescribeEvents"), 5),
        ]);
        world.change_state(|state| state["faults"] = faults);
        world.app(&App::version(version));
        world.ship(revision, &[]).expect(0);
        assert_eq!(world.calls("CreateEnvironment"), made + 1, "looked up, not made twice");
        let left = world.state()["faults"].as_array().unwrap().clone();
        let left: Vec<_> = left.iter().map(|fault| &fault["name"]).filter(|name| *name != "skew").collect();
        assert!(left.is_empty(), "what never happened proves nothing: {left:?}");
        assert_eq!(world.live("/").as_deref(), Some(version));
        assert_eq!(world.environments().len(), 2);
    }
    world.end();
}
