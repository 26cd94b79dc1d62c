//! A tag that was pushed earlier goes to an environment with one command and without a docker daemon, with a bundle of
//! the user's own.

use std::io::Read as _;
use std::path::Path;

use beanline::local::control::{ACCESS_KEY, REGION};

use super::support::{App, World};

const PUSHED: &str = "2121212121212121212121212121212121212121";
const DOCKERRUN: &str = r#"{ "AWSEBDockerrunVersion": "1", "Image": { "Name": "<IMAGE>:<TAG>" }, "Logging": "/log" }"#;

#[test]
fn a_tag_is_deployed_with_a_bundle_of_ones_own_and_a_tag_of_its_own() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    let mut cloud = world.start(&["local"], &[], &[]);
    cloud.wait_for("the local cloud", || world.is_served());
    world.ship(PUSHED, &[("run", "push")]).expect(0);
    for (path, text) in [
        ("Dockerrun.aws.json", DOCKERRUN),
        (".platform/hooks/predeploy/note.sh", "#!/bin/sh\n"),
        (".ebextensions/a.config", "option_settings: []\n"),
    ] {
        let path = world.path("deploy").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    let endpoint = world.endpoint();
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
        ("DOCKER_HOST", "unix:///nowhere/docker.sock"),
    ];
    let image = format!("{}/shop", world.local("REGISTRY"));
    let inputs = [
        ("cloud", "aws"),
        ("run", "deploy"),
        ("image", image.as_str()),
        ("tag", PUSHED),
        ("version_label", "night-{bundle}"),
        ("bundle", "deploy"),
        ("context", ""),
        ("test_command", ""),
        ("test_reports", ""),
        ("acceptance_command", ""),
        ("acceptance_http", ""),
    ];
    // What is wrong with the bundle is known before anything is changed.
    std::fs::write(world.path("deploy").join("Dockerfile"), "FROM scratch\n").unwrap();
    let refused = world.ship_with(PUSHED, &inputs, &environment).expect(3);
    refused.says("the bundle has a Dockerfile").says("nothing was changed");
    std::fs::remove_file(world.path("deploy").join("Dockerfile")).unwrap();

    world.ship_with(PUSHED, &inputs, &environment).expect(0).says("a tag for this version alone");
    assert_eq!(world.live("/").as_deref(), Some("one"));
    let label = world.environments()[0].2.clone();
    assert!(label.starts_with("night-") && label.len() == "night-".len() + 12, "{label}");
    let own = format!("eb-{label}");
    let named = |tag: &str| world.runtime.block_on(world.plane().manifest("shop", tag)).unwrap().unwrap().digest;
    assert_eq!(named(&own), named(PUSHED));
    let bundles = zips(&world.path("state"));
    let [bundle] = bundles.as_slice() else { panic!("{} bundles", bundles.len()) };
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bundle)).unwrap();
    assert_eq!(zip.len(), 3);
    let hook = zip.by_name(".platform/hooks/predeploy/note.sh").unwrap().unix_mode().unwrap();
    assert_eq!(hook & 0o777, 0o755);
    let mut text = String::new();
    zip.by_name("Dockerrun.aws.json").unwrap().read_to_string(&mut text).unwrap();
    let run: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(run["Image"]["Name"], format!("{image}:{own}"));
    assert_eq!((&run["Logging"], &run["Image"]["Update"]), (&"/log".into(), &"true".into()));
    cloud.signal("INT");
    cloud.end().expect(0);
    world.end();
}

/// The zips that lie anywhere in the local cloud's object storage.
fn zips(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    let found = entries.flat_map(|entry| match entry.path() {
        path if path.is_dir() => zips(&path),
        path => std::fs::read(path).into_iter().filter(|bytes| bytes.starts_with(b"PK")).collect(),
    });
    found.collect()
}
