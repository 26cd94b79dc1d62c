//! Building: where a build failed is shown on its line, a secret reaches its step and nobody else, and the cache travels.

use std::fs;

use super::support::{App, World, check_runs, conclusions};

const ONE: &str = "6161616161616161616161616161616161616161";
const TWO: &str = "6262626262626262626262626262626262626262";
const THREE: &str = "6363636363636363636363636363636363636363";
const FOUR: &str = "6464646464646464646464646464646464646464";
const SECRET: &str = "obvious-fake-npm-token";

/// Inputs of a run that ends with its tests.
fn tests_only() -> Vec<(&'static str, &'static str)> {
    let cut = ["cloud", "image", "application", "environment", "create", "instance_profile", "healthy_for"];
    let mut inputs: Vec<_> = cut.iter().map(|name| (*name, "")).collect();
    inputs.push(("run", "test"));
    inputs
}

/// Writes an application in a repository, with one more step before `EXPOSE`; its line in the Dockerfile.
fn app_with(world: &World, step: &str) -> usize {
    let context = world.app(&App::version("one"));
    fs::create_dir_all(world.path(".git")).unwrap();
    let dockerfile = context.join("Dockerfile");
    let text = fs::read_to_string(&dockerfile).unwrap();
    let line = text.lines().position(|line| line.starts_with("EXPOSE")).unwrap() + 1;
    fs::write(&dockerfile, text.replace("EXPOSE", &format!("{step}\nEXPOSE"))).unwrap();
    line
}

#[test]
fn a_step_that_fails_is_annotated_and_a_secret_is_where_it_belongs() {
    let Some(world) = World::new() else { return };
    let line = app_with(&world, "ARG WHAT=cannot\nRUN echo $WHAT \\\n  compile >&2; exit 4") + 1;
    let place = format!("app/Dockerfile:{line}");
    world.ship(ONE, &tests_only()).expect(10).says("ended with exit code 4").says("cannot compile").says(&place);
    let annotated = serde_json::to_value(&check_runs(&world.github, ONE)["app / build"]).unwrap().to_string();
    assert!(annotated.contains(r#""path":"app/Dockerfile""#), "{annotated}");
    assert!(annotated.contains(&format!(r#""start_line":{line}"#)), "{annotated}");

    let mount = "RUN --mount=type=secret,id=npmrc,required=true";
    let line = app_with(&world, &format!("{mount} cat /run/secrets/npmrc; wc -l </run/secrets/npmrc >/www/lines"));
    let missing = world.ship(TWO, &tests_only()).expect(3);
    missing.says("needs the secret npmrc").says(&format!("app/Dockerfile:{line}")).says("`build_secrets`");
    assert_eq!(conclusions(&world.github, TWO)["app / check"], "failure");

    let npmrc = world.path("npmrc");
    fs::write(&npmrc, format!("registry=https://registry.example\n_authToken={SECRET}\n")).unwrap();
    let secrets = format!("id=npmrc,src={}", npmrc.display());
    let seen = ("test_command", "[ $(cat /www/lines) = 2 ] && [ ! -e /run/secrets/npmrc ]");
    let mut inputs = tests_only();
    inputs.extend([("build_secrets", secrets.as_str()), seen, ("test_reports", "")]);
    world.ship(THREE, &inputs).expect(0).never_says(SECRET);
    world.end();
}

#[test]
fn the_image_for_the_tests_is_cared_for_as_well() {
    let Some(world) = World::new() else { return };
    app_with(&world, "");
    let dockerfile = world.path("app/Dockerfile");
    let text = fs::read_to_string(&dockerfile).unwrap().replace("FROM scratch", "FROM scratch AS app");
    let tests =
        "FROM app AS tests\nRUN --mount=type=secret,id=later,required=true true\nRUN echo not yet >&2; exit 5\n";
    fs::write(&dockerfile, text.clone() + tests).unwrap();
    let line = text.lines().count() + 2;
    let mut inputs = tests_only();
    inputs.extend([("build_target", "app"), ("test_target", "tests"), ("acceptance_http", "GET /ping 200")]);
    let missing = world.ship(FOUR, &inputs).expect(3);
    missing.says("needs the secret later").says(&format!("app/Dockerfile:{line}")).says("nothing was changed");
    inputs.push(("build_secrets", "later=obvious-fake-secret"));
    let failed = world.ship(FOUR, &inputs).expect(10).never_says("no step that is built mounts it");
    failed.says("ended with exit code 5").says("not yet").says(&format!("app/Dockerfile:{}", line + 1));
    world.end();
}

#[test]
fn the_cache_travels_as_a_file() {
    let Some(world) = World::new() else { return };
    app_with(&world, "");
    let file = world.path("cache/shop.tar");
    let mut inputs = tests_only();
    inputs.push(("cache_archive", file.to_str().unwrap()));
    world.ship(ONE, &inputs).expect(0).says("it is written after the build").says("the build cache of");
    world.ship(ONE, &inputs).expect(0).says("loading the build cache of").never_says("goes on without");
    world.assert_no_run_is_left();

    fs::write(&file, "no archive").unwrap();
    world.ship(TWO, &inputs).expect(0).says("the build goes on without it").says("the build cache of");
    assert!(fs::metadata(&file).unwrap().len() > 1_000_000);
    let inside = world.path("app/cache.tar");
    inputs.push(("cache_archive", inside.to_str().unwrap()));
    inputs.retain(|(name, text)| *name != "cache_archive" || *text == inside.to_str().unwrap());
    world.ship(THREE, &inputs).expect(3).says("lies in the build context").says("`cache.tar`");
    world.end();
}
