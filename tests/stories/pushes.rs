//! Where an image goes when it is not Amazon's registry.

use super::support::{App, ReferenceRegistry, World, conclusions, docker};

const GOOD: &str = "0101010101010101010101010101010101010101";
const TAKEN: &str = "0202020202020202020202020202020202020202";

#[test]
fn a_registry_with_a_user_and_a_password_needs_no_aws() {
    let Some(world) = World::new() else { return };
    let Some(registry) = ReferenceRegistry::start(&world.path("registry")) else { return world.end() };
    world.app(&App::version("one"));
    let image = format!("{}/team/shop", registry.host);
    let inputs = |password| {
        let mut inputs = vec![("cloud", "aws"), ("run", "push"), ("image", image.as_str())];
        inputs.extend([("registry_username", ReferenceRegistry::USER), ("registry_password", password)]);
        let cut = ["application", "environment", "create", "create_repository", "instance_profile", "healthy_for"];
        inputs.extend(cut.map(|name| (name, "")));
        inputs
    };
    let wrong = world.ship(GOOD, &inputs("another-fake-password")).expect(3);
    let wrong = wrong.says("could not log in to").says(&registry.host).says("nothing was changed");
    wrong.never_says("another-fake-password").never_says(ReferenceRegistry::PASSWORD);
    assert_eq!(registry.digest("team/shop", GOOD), None);
    assert_eq!(conclusions(&world.github, GOOD)["shop / build"], "skipped");

    let run = world.ship(TAKEN, &inputs(ReferenceRegistry::PASSWORD)).expect(0);
    let digest = registry.digest("team/shop", TAKEN).expect("the tag is there");
    run.says(&digest).never_says(ReferenceRegistry::PASSWORD);
    let checks = conclusions(&world.github, TAKEN);
    assert_eq!(checks["shop / push"], "success");
    let left = docker(&["images", "--quiet", &image]).unwrap();
    assert_eq!(left.trim(), "", "the image's name stays on the daemon");
    world.end();
}
