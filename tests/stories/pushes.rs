//! Where an image goes when it is not Amazon's registry.

use std::os::unix::fs::PermissionsExt;

use super::support::{App, ReferenceRegistry, TokenFront, World, conclusions, docker};

const GOOD: &str = "0101010101010101010101010101010101010101";
const TAKEN: &str = "0202020202020202020202020202020202020202";
const KEPT: &str = "0303030303030303030303030303030303030303";
const BROKEN: &str = "0404040404040404040404040404040404040404";

/// Inputs of a run that pushes to a registry which is not Amazon's.
fn inputs<'a>(image: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut inputs = vec![("cloud", "aws"), ("run", "push"), ("image", image)];
    let cut = ["application", "environment", "create", "create_repository", "instance_profile", "healthy_for"];
    inputs.extend(cut.map(|name| (name, "")));
    inputs.extend(more);
    inputs
}

#[test]
fn a_registry_with_a_user_and_a_password_needs_no_aws() {
    let Some(world) = World::new() else { return };
    let Some(registry) = ReferenceRegistry::start(&world.path("registry")) else { return world.end() };
    world.app(&App::version("one"));
    let image = format!("{}/team/shop", registry.host);
    let login =
        |password| inputs(&image, &[("registry_username", ReferenceRegistry::USER), ("registry_password", password)]);
    let wrong = world.ship(GOOD, &login("another-fake-password")).expect(3);
    let wrong = wrong.says("could not log in to").says(&registry.host).says("nothing was changed");
    wrong.never_says("another-fake-password").never_says(ReferenceRegistry::PASSWORD);
    assert_eq!(registry.digest("team/shop", GOOD), None);
    assert_eq!(conclusions(&world.github, GOOD)["shop / build"], "skipped");

    let run = world.ship(TAKEN, &login(ReferenceRegistry::PASSWORD)).expect(0);
    let digest = registry.digest("team/shop", TAKEN).expect("the tag is there");
    run.says(&digest).never_says(ReferenceRegistry::PASSWORD);
    let checks = conclusions(&world.github, TAKEN);
    assert_eq!(checks["shop / push"], "success");
    let left = docker(&["images", "--quiet", &image]).unwrap();
    assert_eq!(left.trim(), "", "the image's name stays on the daemon");
    world.end();
}

#[test]
fn a_program_keeps_the_login_and_the_image_gets_further_tags() {
    let Some(world) = World::new() else { return };
    let Some(registry) = ReferenceRegistry::start(&world.path("registry")) else { return world.end() };
    world.app(&App::version("one"));
    let programs = world.path("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let program = programs.join("docker-credential-story");
    let (user, password) = (ReferenceRegistry::USER, ReferenceRegistry::PASSWORD);
    let script = format!("#!/bin/sh\nread host\necho '{{\"Username\":\"{user}\",\"Secret\":\"{password}\"}}'\n");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (image, tags) = (format!("{}/team/shop", registry.host), "latest\nrelease-{short_sha}");
    let inputs = inputs(&image, &[("extra_tags", tags)]);
    let config = format!(r#"{{"credHelpers":{{"{}":"story"}}}}"#, registry.host);

    let without = world.ship_with(KEPT, &inputs, &[("DOCKER_AUTH_CONFIG", &config)]).expect(3);
    without.says("docker-credential-story").says("registry_username").says("nothing was changed");

    let path = format!("{}:/usr/bin:/bin", programs.display());
    let environment = [("DOCKER_AUTH_CONFIG", config.as_str()), ("PATH", &path)];
    let run = world.ship_with(KEPT, &inputs, &environment).expect(0).never_says(password);
    let digest = registry.digest("team/shop", KEPT).expect("the tag is there");
    for tag in ["latest", "release-0303030"] {
        assert_eq!(registry.digest("team/shop", tag).as_ref(), Some(&digest), "{tag}");
    }
    let run = run.says(&format!("{image}:latest names {digest} too"));
    run.says("latest release-0303030").says("layers sent");

    // What was built before is in the engine's cache: the same image again.
    let again = world.ship_with(KEPT, &inputs, &environment).expect(0);
    again.says("nothing has to be sent").never_says("layers sent");
    assert_eq!(registry.digest("team/shop", KEPT), Some(digest));
    world.end();
}

#[test]
fn a_push_that_breaks_off_at_a_registry_with_tokens_is_begun_again() {
    let Some(world) = World::new() else { return };
    let Some(registry) = ReferenceRegistry::start(&world.path("registry")) else { return world.end() };
    world.app(&App::version("one"));
    let front = world.runtime.block_on(TokenFront::start(&registry));
    let image = format!("{}/team/shop", front.host);
    let login = [("registry_username", ReferenceRegistry::USER), ("registry_password", ReferenceRegistry::PASSWORD)];
    front.refuse(&[503, 401]);
    let run = world.ship(BROKEN, &inputs(&image, &[&login[..], &[("extra_tags", "latest")]].concat())).expect(0);
    let digest = registry.digest("team/shop", BROKEN).expect("the tag is there");
    assert_eq!(registry.digest("team/shop", "latest").as_ref(), Some(&digest));
    run.says("is begun again").says(&digest).never_says(ReferenceRegistry::PASSWORD);
    let scopes = front.scopes();
    for scope in ["", "repository:team/shop:pull", "repository:team/shop:pull,push"] {
        assert!(scopes.iter().any(|asked| asked == scope), "`{scope}` is missing in {scopes:?}");
    }
    world.end();
}
