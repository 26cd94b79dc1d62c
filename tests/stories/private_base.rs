//! A base image that only who logs in may pull.

use std::fs;

use base64::Engine as _;

use super::support::{App, ReferenceRegistry, World};

const BASE: &str = "7171717171717171717171717171717171717171";
const APP: &str = "7272727272727272727272727272727272727272";

#[test]
fn docker_s_own_configuration_opens_the_registry_of_a_base_image() {
    let Some(world) = World::new() else { return };
    let Some(registry) = ReferenceRegistry::start(&world.path("registry")) else { return world.end() };
    let (user, password) = (ReferenceRegistry::USER, ReferenceRegistry::PASSWORD);
    world.app(&App::version("base"));
    let base = format!("{}/team/base", registry.host);
    let cut = ["application", "environment", "create", "create_repository", "instance_profile", "healthy_for"];
    let mut inputs: Vec<(&str, &str)> = cut.iter().map(|name| (*name, "")).collect();
    let login = [("registry_username", user), ("registry_password", password)];
    let push = [&inputs[..], &[("cloud", "aws"), ("run", "push"), ("image", &base)], &login].concat();
    world.ship(BASE, &push).expect(0);

    let context = world.app(&App::version("one"));
    // Its name changes with the story's registry, so that no earlier build is in the engine's cache.
    let dockerfile = format!("FROM {base}:{BASE}\nLABEL story={}\nRUN echo built > /www/built\n", registry.host);
    fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    inputs.extend([("cloud", ""), ("run", "test"), ("image", "")]);
    let without = world.ship(APP, &inputs).expect(10);
    without.says("build failed").says(&registry.host);

    let key = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"{key}"}}}}}}"#, registry.host);
    let with = world.ship_with(APP, &inputs, &[("DOCKER_AUTH_CONFIG", &config)]).expect(0);
    with.says("result: tested (exit code 0)").never_says(password).never_says(&key);
    world.end();
}
