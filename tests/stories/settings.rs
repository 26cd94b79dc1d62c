//! Settings: those of a first environment, those of a candidate, and secrets that only the instances see.

use super::support::{App, World, docker};

const FIRST: &str = "9191919191919191919191919191919191919191";
const SECOND: &str = "9292929292929292929292929292929292929292";
const THIRD: &str = "9393939393939393939393939393939393939393";

const PROPERTIES: &str = "aws:elasticbeanstalk:application:environment";

#[test]
fn a_candidate_has_its_own_settings_and_live_keeps_its() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    let options = "aws:autoscaling:asg: {MinSize: 2}\naws:elasticbeanstalk:command: {Timeout: 300}";
    let first = [("environment_variables", "MODE=one"), ("option_settings", options)];
    world.ship(FIRST, &first).expect(0);
    let settings = settings_of(&world, FIRST);
    assert_eq!(settings["aws:elasticbeanstalk:command"]["Timeout"], "300");
    assert_eq!(settings["aws:elasticbeanstalk:environment"]["LoadBalancerType"], "application");
    assert_eq!(variables_of(&world, FIRST), ["MODE=one"]);
    // As if autoscaling had launched the second instance.
    world.change_state(|state| state["environments"][0]["settings"]["aws:autoscaling:asg"]["MinSize"] = "1".into());

    world.app(&App::version("two"));
    let options = r#"[{"Namespace": "aws:elasticbeanstalk:command", "OptionName": "Timeout", "Value": "600"},
        {"Namespace": "aws:elasticbeanstalk:application:environment", "OptionName": "DB_URL",
         "Value": "pg://shop:${DB_PASSWORD}@db/shop"}]"#;
    let inputs = [("environment_variables", "MODE=two\nTOKEN"), ("option_settings", options)];
    let unset = world.ship_with(SECOND, &inputs, &[("TOKEN", "obvious-fake-token")]).expect(2);
    unset.says("BEANLINE_OPTION_SETTINGS wants the variable DB_PASSWORD in entry 2, which is not set or empty");
    let secrets = [("TOKEN", "obvious-fake-token"), ("DB_PASSWORD", "obvious-fake-password")];
    let second = world.ship_with(SECOND, &inputs, &secrets).expect(0);
    let second = second.says("aws:elasticbeanstalk:command/Timeout: 300 → 600");
    let second = second.says(&format!("{PROPERTIES}/MODE: (set) → two"));
    let second = second.says(&format!("{PROPERTIES}/TOKEN: (not set) → (a secret)"));
    let second = second.says("2 instances and MinSize 1: the candidate begins with 2").says("2 of 2 instances");
    let second = second.says("done: give MinSize 1 back to shop-");
    assert!(!second.output.contains("obvious-fake"), "{}", second.output);
    let wanted = ["DB_URL=pg://shop:obvious-fake-password@db/shop", "MODE=two", "TOKEN=obvious-fake-token"];
    assert_eq!(variables_of(&world, SECOND), wanted);
    let settings = settings_of(&world, SECOND);
    assert_eq!(settings["aws:elasticbeanstalk:command"]["Timeout"], "600");
    assert_eq!(settings["aws:elasticbeanstalk:healthreporting:system"]["SystemType"], "enhanced");
    assert_eq!(settings["aws:autoscaling:asg"]["MinSize"], "1", "it is given back");
    // What was live is as it was.
    assert_eq!(variables_of(&world, FIRST), ["MODE=one"]);
    assert_eq!(settings_of(&world, FIRST)["aws:elasticbeanstalk:command"]["Timeout"], "300");

    // The local cloud's instances may not read any secret.
    world.app(&App::version("three"));
    let arn = "KEY=arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-AbCdEf:key";
    let third = world.ship(THIRD, &[("environment_secrets", arn)]).expect(14);
    third
        .says("failed to get one or more secrets")
        .says("the instance profile (not the role of this run) must read them");
    assert_eq!(world.live("/").as_deref(), Some("two"));
    assert_eq!(world.environments().len(), 2);
    world.end();
}

/// What somebody has set of the environment with this version.
fn settings_of(world: &World, label: &str) -> serde_json::Value {
    environment(world, label)["settings"].clone()
}

/// The environment properties that an instance of it was started with.
fn variables_of(world: &World, label: &str) -> Vec<String> {
    let id = environment(world, label)["id"].as_str().unwrap().to_owned();
    let instances = docker(&["ps", "--quiet", "--filter", &format!("label=io.beanline.environment={id}")]).unwrap();
    let instance = instances.lines().next().expect("it has an instance");
    let told = docker(&["inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", instance]).unwrap();
    let mut told: Vec<String> =
        told.lines().filter(|line| !line.is_empty() && !line.starts_with("PATH=")).map(str::to_owned).collect();
    told.sort();
    told
}

fn environment(world: &World, label: &str) -> serde_json::Value {
    let state = world.state();
    let mut all = state["environments"].as_array().unwrap().iter();
    let found = all.find(|one| one["version_label"] == label && one["status"] != "Terminated");
    found.unwrap_or_else(|| panic!("no environment has {label}: {state}")).clone()
}
