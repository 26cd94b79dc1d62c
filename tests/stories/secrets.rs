//! A secret that a test prints is nowhere to be read; and an image that does not say which port it listens on.

use base64::Engine as _;

use super::support::{App, World, check_runs};

const ONE: &str = "9191919191919191919191919191919191919191";
const TWO: &str = "9292929292929292929292929292929292929292";
const MASKED: &str = "obvious-fake-mask";
const BARE: &str = "obvious+fake/bare?value";

#[test]
fn a_secret_is_in_no_log_no_check_run_and_no_summary() {
    let Some(world) = World::new() else { return };
    let printing = "echo \"plain $MASKED_ONE and $BARE_ONE\"\n\
        echo \"coded $(printf %s \"$MASKED_ONE\" | base64) and $(printf %s \"$BARE_ONE\" | base64)\"\nexit 1\n";
    world.app(&App::version("one").file("test.sh", printing));
    let (summary, output) = (world.path("summary.md"), world.path("output.txt"));
    let cut = ["cloud", "image", "application", "environment", "create", "instance_profile", "healthy_for"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    let env = format!("MASKED_ONE={MASKED}\nBARE_ONE");
    inputs.extend([("run", "test"), ("mask", MASKED), ("test_env", &env)]);
    let files = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()), ("GITHUB_OUTPUT", output.to_str().unwrap())];
    let environment = [&files[..], &[("BARE_ONE", BARE)]].concat();
    let run = world.ship_with(ONE, &inputs, &environment).expect(11).says("plain ").says("coded ");

    let mut places = vec![("the log".to_owned(), run.output)];
    for (name, check) in check_runs(&world.github, ONE) {
        places.push((name, serde_json::to_string(&check).unwrap()));
    }
    for logged in world.github.github.log() {
        places.push((format!("{} {}", logged.method, logged.path), logged.body.to_string()));
    }
    places.push(("the summary".to_owned(), std::fs::read_to_string(&summary).unwrap()));
    places.push(("the outputs".to_owned(), std::fs::read_to_string(&output).unwrap_or_default()));
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    for secret in [MASKED.to_owned(), BARE.to_owned(), coded(MASKED), coded(BARE)] {
        for (place, text) in &places {
            assert!(!text.contains(&secret), "{secret} can be read in {place}:\n{text}");
        }
    }
    assert!(places.iter().any(|(place, text)| place == "app / unit test" && text.contains("plain ")));
    world.end();
}

#[test]
fn a_port_that_the_image_does_not_tell_is_asked_for() {
    let Some(world) = World::new() else { return };
    let cut = ["cloud", "image", "application", "environment", "create", "instance_profile", "healthy_for"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    inputs.push(("run", "test"));
    let told = [&inputs[..], &[("port", "8080")]].concat();
    for (revision, exposed, said) in [(ONE, "", "exposes none"), (TWO, "EXPOSE 8080 9090\n", "exposes 8080, 9090")] {
        world.app(&App::version("one"));
        let dockerfile = world.path("app/Dockerfile");
        let text = std::fs::read_to_string(&dockerfile).unwrap().replace("EXPOSE 8080\n", exposed);
        std::fs::write(&dockerfile, text).unwrap();
        world.ship(revision, &inputs).expect(12).says(said).says("`port`");
        world.ship(revision, &told).expect(0);
        world.assert_no_run_is_left();
    }
    world.end();
}
