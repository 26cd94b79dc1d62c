//! What ends up in the zip, and what does not get that far.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use super::*;
use crate::image::{Repository, Tag, TaggedRef};

/// A directory that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn with(files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("beanline-bundle-{}", uuid::Uuid::new_v4().simple()));
        let scratch = Self(path);
        fs::create_dir_all(&scratch.0).unwrap();
        for (path, text) in files {
            let path = scratch.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        scratch
    }

    fn read(&self) -> Result<Bundle, String> {
        Bundle::read(Some(&self.0)).map_err(|fault| fault.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name(tag: &str) -> TaggedRef {
    let repository = Repository::parse("registry.test/team/shop", "docker.io").unwrap();
    TaggedRef { repository, tag: Tag::parse(tag).unwrap() }
}

fn login() -> Authentication {
    Authentication { bucket: "b".into(), key: "shop/auth.json".into() }
}

fn packed(files: &[(&str, &str)], login: Option<&Authentication>) -> Result<Zip, String> {
    let (image, known_as, digest) = (name("eb-1.0"), name("1.0"), Digest::of(b"image"));
    let names = Names {
        image: &image,
        known_as: &known_as,
        digest: &digest,
        port: 8080,
        version_label: "1.0",
        bucket: "bundles",
    };
    Scratch::with(files).read()?.pack(&names, login).map_err(|fault| fault.to_string())
}

/// Each file's text and mode.
fn unpacked(zip: &Zip) -> BTreeMap<String, (String, u32)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(&zip.bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let (mode, mut text) = (entry.unix_mode().unwrap() & 0o777, String::new());
        entry.read_to_string(&mut text).unwrap();
        files.insert(entry.name().unwrap().into_owned(), (text, mode));
    }
    files
}

fn dockerrun(files: &[(&str, &str)], login: Option<&Authentication>) -> serde_json::Value {
    serde_json::from_str(&unpacked(&packed(files, login).unwrap())[DOCKERRUN].0).unwrap()
}

#[test]
fn without_a_directory_a_dockerrun_names_the_image_and_has_nodes_pull_it() {
    let wanted = serde_json::json!({
        "AWSEBDockerrunVersion": "1",
        "Image": { "Name": "registry.test/team/shop:eb-1.0", "Update": "true" },
        "Ports": [ { "ContainerPort": 8080 } ],
    });
    assert_eq!(dockerrun(&[], None), wanted);
    let with_login = dockerrun(&[], Some(&login()));
    assert_eq!(with_login["Authentication"], serde_json::json!({ "Bucket": "b", "Key": "shop/auth.json" }));
    assert!(Bundle::read(Some(Path::new("/no/such/directory"))).is_err());
}

#[test]
fn files_go_along_with_their_modes_and_the_same_files_are_the_same_bytes() {
    let files = [
        (".ebextensions/a.config", "x"),
        (".platform/hooks/predeploy/a.sh", "#!/bin/sh"),
        (".platform/confighooks/predeploy/a.sh", "#!/bin/sh"),
        (".platform/nginx/conf.d/a.conf", "x"),
        (".git/HEAD", "x"),
        ("deep/._a", "x"),
        ("deep/.DS_Store", "x"),
        ("deep/Dockerfile", "FROM scratch"),
    ];
    let zip = packed(&files, None).unwrap();
    let backwards: Vec<(&str, &str)> = files.iter().rev().copied().collect();
    assert_eq!(zip.bytes, packed(&backwards, None).unwrap().bytes);
    let modes: Vec<(String, u32)> = unpacked(&zip).into_iter().map(|(path, (_, mode))| (path, mode)).collect();
    let wanted = [
        (".ebextensions/a.config", 0o644),
        (".platform/confighooks/predeploy/a.sh", 0o755),
        (".platform/hooks/predeploy/a.sh", 0o755),
        (".platform/nginx/conf.d/a.conf", 0o644),
        (DOCKERRUN, 0o644),
        ("deep/Dockerfile", 0o644),
    ];
    assert_eq!(modes, wanted.map(|(path, mode)| (path.to_owned(), mode)));
    assert!(Scratch::with(&files).read().unwrap().has_extensions());
}

#[cfg(unix)]
#[test]
fn a_program_stays_one_and_a_link_is_refused_by_name() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let scratch = Scratch::with(&[("bin/run", "#!/bin/sh")]);
    fs::set_permissions(scratch.0.join("bin/run"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(scratch.read().unwrap().files[0].executable);
    symlink("/etc/passwd", scratch.0.join("bin/users")).unwrap();
    assert!(scratch.read().unwrap_err().contains("bin/users is a symbolic link"));
}

#[test]
fn a_template_is_filled_and_completed() {
    let ours = r#"{ "AWSEBDockerrunVersion": 1, "Image": { "Name": "{image}" }, "Logging": "/log/{version_label}",
        "Volumes": [], "Ports": [] }"#;
    let run = dockerrun(&[(DOCKERRUN, ours)], None);
    assert_eq!(run["Image"], serde_json::json!({ "Name": "registry.test/team/shop:eb-1.0", "Update": "true" }));
    assert_eq!((run["Logging"].as_str(), run["Ports"][0]["ContainerPort"].as_u64()), (Some("/log/1.0"), Some(8080)));
    let customary = r#"{ "AWSEBDockerrunVersion": "1", "Authentication": { "Bucket": "<BUCKET>", "Key": "mine" },
        "Image": { "Name": "<IMAGE>:<TAG>", "Update": false }, "Ports": [ { "ContainerPort": "{port}" } ] }"#;
    let run = dockerrun(&[(DOCKERRUN, customary)], Some(&login()));
    assert_eq!(run["Authentication"], serde_json::json!({ "Bucket": "bundles", "Key": "mine" }));
    assert_eq!(run["Image"], serde_json::json!({ "Name": "registry.test/team/shop:eb-1.0", "Update": "false" }));
    assert_eq!(run["Ports"], serde_json::json!([ { "ContainerPort": "8080" } ]));
    let written_out = r#"{ "AWSEBDockerrunVersion": "1", "Image": { "Name": "registry.test/team/shop:1.0" } }"#;
    assert_eq!(dockerrun(&[(DOCKERRUN, written_out)], None)["Image"]["Name"], "registry.test/team/shop:eb-1.0");
}

#[test]
fn a_compose_file_names_the_image_once() {
    let compose = "services:\n  web:\n    image: {image}\n    ports: ['80:{port}']\n    command: echo ${tag}\n  \
                   cache:\n    image: redis:8\n";
    let files = unpacked(&packed(&[(COMPOSE, compose)], None).unwrap());
    assert!(files[COMPOSE].0.contains("image: registry.test/team/shop:eb-1.0\n    ports: ['80:8080']"));
    assert!(files[COMPOSE].0.contains("echo ${tag}") && !files.contains_key(DOCKERRUN));
    let carrier = dockerrun(&[(COMPOSE, compose)], Some(&login()));
    let wanted = serde_json::json!({ "bucket": "b", "key": "shop/auth.json" });
    assert_eq!((&carrier["AWSEBDockerrunVersion"], &carrier["Authentication"]), (&"3".into(), &wanted));
    let theirs = r#"{ "AWSEBDockerrunVersion": "3", "Authentication": { "bucket": "<BUCKET>", "key": "k" } }"#;
    assert_eq!(dockerrun(&[(COMPOSE, compose), (DOCKERRUN, theirs)], None)["Authentication"]["bucket"], "bundles");
    let by_digest = "services:\n  web:\n    image: '{repository}@{digest}'\n";
    assert!(packed(&[(COMPOSE, by_digest)], None).is_ok());
}

#[test]
fn what_would_run_anything_else_is_refused() {
    let service = |text: &str| format!("x-a: &a\n  build: .\nservices:\n  web:\n    image: '{{image}}'\n{text}");
    let run = |rest: &str| format!(r#"{{ "AWSEBDockerrunVersion": {rest} }}"#);
    let cases = [
        ("Dockerfile", "FROM x".to_owned(), "has a Dockerfile"),
        ("docker-compose.yaml", service(""), "has a docker-compose.yaml"),
        ("compose.yaml", service(""), "has a compose.yaml"),
        (COMPOSE, service("    build: .\n"), "service web in the bundle's docker-compose.yml has `build:`"),
        (COMPOSE, service("    \"build\": {context: .}\n"), "has `build:`"),
        (COMPOSE, service("    <<: *a\n"), "has `build:`"),
        (COMPOSE, service("    extends: {file: x.yml, service: y}\n"), "cannot be told"),
        (COMPOSE, service("include: [x.yml]\n"), "cannot be told"),
        (COMPOSE, service("  b:\n    image: '{image}'\n"), "several services"),
        (COMPOSE, service("  b:\n    image: registry.test/team/shop:2\n"), "service b in"),
        (COMPOSE, service("  b:\n    ports: []\n"), "service b in the bundle's docker-compose.yml names no image"),
        (COMPOSE, "services:\n  web:\n    image: redis\n".into(), "no service in"),
        (COMPOSE, "services: {".into(), "cannot be read"),
        (DOCKERRUN, run("2"), "is for the ECS platform"),
        (DOCKERRUN, run(r#""3""#), "there is none"),
        (
            DOCKERRUN,
            run(r#""1", "Image": { "Name": "shop" }"#),
            "it names shop, this run deploys registry.test/team/shop:eb-1.0",
        ),
        (DOCKERRUN, run(r#""1", "Image": { "Name": "{repository}" }"#), "names another image"),
        (DOCKERRUN, "{".into(), "is no JSON"),
    ];
    for (path, text, why) in cases {
        let refused = packed(&[(path, &text)], None).unwrap_err();
        assert!(refused.contains(why), "{path} {text}: {refused}");
    }
    let both = [(COMPOSE, "services:\n  web:\n    image: '{image}'\n"), (DOCKERRUN, &*run(r#""1""#))];
    assert!(packed(&both, None).unwrap_err().contains("both would name an image"));
}

#[test]
fn a_secret_does_not_get_into_a_bundle() {
    let secrets = [Secret::new("obvious-fake"), Secret::open("open text")];
    let holds = |path, text| Scratch::with(&[(path, text)]).read().unwrap().refuse_secrets(&secrets);
    assert!(holds("a", "open text").is_ok());
    for text in ["x=obvious-fake", "b2J2aW91cy1mYWtl"] {
        for path in ["a", DOCKERRUN, COMPOSE] {
            let refused = holds(path, text).unwrap_err();
            assert!(refused.to_string().contains(&format!("bundle's {path} holds a secret")));
            assert!(!refused.to_string().contains("obvious-fake"));
        }
    }
}
