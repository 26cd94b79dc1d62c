//! A secret of every kind is planted, the tests print them all, and afterwards they are looked for wherever a run writes.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::support::{App, World, docker};

const SHA: &str = "9393939393939393939393939393939393939393";

/// Each has characters that base64 and URLs write otherwise.
const TOKEN: &str = "ghs_planted/token+1?x";
const PASSWORD: &str = "planted/password+2?x";
const BUILD: &str = "planted/build+3?x";
const TEST: &str = "planted/test+4?x";
const APP: &str = "planted/app+5?x";
const LIVE: &str = "planted/live+6?x";
const MASK: &str = "planted/mask+7?x";
const KEY_ID: &str = "AKIAPLANTED/8+?xx";
const KEY: &str = "planted/key+9?x";
const SESSION: &str = "planted/session+0?x";

const ALL: [&str; 10] = [TOKEN, PASSWORD, BUILD, TEST, APP, LIVE, MASK, KEY_ID, KEY, SESSION];

/// What must not be found anywhere: the text, its base64 forms, its URL form.
fn forms(secret: &str) -> [String; 4] {
    let url = secret.replace('/', "%2F").replace('+', "%2B").replace('?', "%3F");
    [secret.to_owned(), STANDARD.encode(secret), URL_SAFE.encode(secret), url]
}

/// Fails the story if one of these secrets can be read there.
#[track_caller]
fn assert_hidden(secrets: &[&str], place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        assert!(!text.contains(&form), "{form} can be read in {place}");
    }
}

fn without<'a>(legitimate: &[&str]) -> Vec<&'a str> {
    ALL.into_iter().filter(|secret| !legitimate.contains(secret)).collect()
}

/// An application whose build and whose tests print what they are given, and leave time to look at the processes.
fn leaky(world: &World) {
    let test = "echo \"test sees $IN_TEST and $MASKED\"; printf %s \"$IN_TEST\" | base64\n\
        head -c 8187 /dev/zero | tr '\\0' x; echo \"$IN_TEST is cut in two\"\n\
        echo \"$IN_TEST\" | sed 's|/|%2F|g; s|+|%2B|g; s|?|%3F|g'\nsleep 4\n";
    let serve = r#"["sh", "-c", "echo app has $IN_APP and $IN_LIVE; exec httpd -f -p 8080 -h /www"]"#;
    world.app(&App::version("planted").file("test.sh", test).running(serve));
    let dockerfile = world.path("app/Dockerfile");
    let mount = "RUN --mount=type=secret,id=npm,required=true cat /run/secrets/npm; base64 /run/secrets/npm\nEXPOSE";
    fs::write(&dockerfile, fs::read_to_string(&dockerfile).unwrap().replace("EXPOSE", mount)).unwrap();
}

/// Arguments and environments of all processes on this machine, by process id.
fn processes() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| id.parse::<u32>().is_ok());
    let read = |id: &str, name| fs::read(Path::new("/proc").join(id).join(name)).unwrap_or_default();
    ids.map(|id| (id.clone(), read(&id, "cmdline"), read(&id, "environ"))).collect()
}

/// Every file below a directory; what a zip holds is unpacked.
fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
            continue;
        }
        let (name, bytes) = (path.display().to_string(), fs::read(&path).unwrap_or_default());
        if let Ok(mut zip) = zip::ZipArchive::new(Cursor::new(&bytes)) {
            for at in 0..zip.len() {
                let mut text = Vec::new();
                zip.by_index(at).unwrap().read_to_end(&mut text).unwrap();
                found.push((format!("{name}, file {at} of the bundle"), text));
            }
        }
        found.push((name, bytes));
    }
}

#[test]
fn secrets_of_every_kind_stay_where_they_belong() {
    let Some(world) = World::new() else { return };
    leaky(&world);
    let (summary, output) = (world.path("summary.md"), world.path("output.txt"));
    let (build, mask) = (format!("npm={BUILD}"), format!("{MASK}\nanother mask"));
    let (test_env, live_env) = (format!("IN_TEST\nMASKED={MASK}"), "IN_LIVE\nOPEN=1");
    let inputs = [
        ("github_token", TOKEN),
        ("registry_username", "me"),
        ("registry_password", PASSWORD),
        ("build_secrets", &build),
        ("mask", &mask),
        ("test_env", &test_env),
        ("app_env", "IN_APP"),
        ("environment_variables", live_env),
    ];
    let environment = [
        ("IN_TEST", TEST),
        ("IN_APP", APP),
        ("IN_LIVE", LIVE),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_SESSION_TOKEN", SESSION),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("GITHUB_OUTPUT", output.to_str().unwrap()),
    ];
    let mut run = world.begin_with(SHA, &inputs, &environment);
    run.wait_for("the unit test", || {
        docker(&["ps", "-q", "--filter", "name=beanline-unit-"]).is_some_and(|ids| !ids.trim().is_empty())
    });
    let own = run.id().to_string();
    for (id, arguments, variables) in processes() {
        assert_hidden(&ALL, &format!("the arguments of process {id}"), &arguments);
        // Inputs are variables of the program itself; the tests have what `test_env` gives them, the application what
        // `app_env` does.
        if id != own {
            assert_hidden(&without(&[TEST, MASK, APP]), &format!("the environment of process {id}"), &variables);
        }
    }
    let run = run.end().expect(0).says("test sees ***").says("is cut in two");

    assert_hidden(&ALL, "the log", run.output.as_bytes());
    for logged in world.github.github.log() {
        assert_hidden(&ALL, &format!("{} {}", logged.method, logged.path), logged.body.to_string().as_bytes());
    }
    assert_hidden(&ALL, "the summary", &fs::read(&summary).unwrap());
    assert_hidden(&ALL, "the outputs", &fs::read(&output).unwrap());
    assert_image_hides(&world);
    assert_state_hides(&world);
    world.end();
}

/// Configuration, history and layers, as the daemon has them and, by the same digest, the registry.
fn assert_image_hides(world: &World) {
    // The name that instances pull.
    let image = format!("{}/shop:eb-{SHA}", world.local("REGISTRY"));
    let images = docker(&["images", "-q", "--no-trunc", &image]).unwrap();
    let id = images.lines().next().map_or(image.as_str(), str::trim);
    for command in [&["image", "inspect"][..], &["history", "--no-trunc"], &["save"]] {
        let text = docker(&[command, &[id]].concat()).expect("the daemon has the image");
        assert_hidden(&ALL, &format!("docker {}", command.join(" ")), text.as_bytes());
    }
    let format = "{{.Names}} {{.Command}} {{.Labels}}";
    let containers = docker(&["ps", "-a", "--no-trunc", "--format", format]).unwrap();
    assert_hidden(&ALL, "commands and labels of containers", containers.as_bytes());
}

/// The local cloud's files: state, bundles, and what runs remember of one another.
fn assert_state_hides(world: &World) {
    let mut found = Vec::new();
    files(&world.path("state"), &mut found);
    assert!(found.iter().any(|(name, _)| name.ends_with("of the bundle")), "a bundle was looked at");
    for (name, bytes) in &found {
        // Environment properties are the platform's to keep: it gives them to the instances.
        let legitimate: &[&str] = if name.ends_with("state.json") { &[LIVE] } else { &[] };
        assert_hidden(&without(legitimate), name, bytes);
    }
    let mut state = world.state();
    let kept = state["environments"].to_string().matches(LIVE).count();
    assert!(kept > 0, "environment properties reach the platform");
    // And nowhere else in it: no description, tag, event or request has it.
    state["environments"] = serde_json::Value::Null;
    let elsewhere = state.to_string();
    assert_hidden(&without(&[]), "the state beside its environments", elsewhere.as_bytes());
}
