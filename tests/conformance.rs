//! The official AWS clients for Python against `beanline local`, every answer held against AWS's published models.
//!
//! The tests themselves are in `tests/conformance/`; this file gives them a local cloud of their own and runs them.

#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What `run.py` ends with when the Python environment cannot be made.
const CANNOT: i32 = 77;

/// A local cloud in the foreground, as a person would start it, with a state directory of its own.
struct LocalCloud {
    process: Child,
    state: PathBuf,
    /// The `NAME=value` lines that it prints.
    addresses: HashMap<String, String>,
}

impl LocalCloud {
    fn start() -> Self {
        let state = std::env::temp_dir().join(format!("beanline-conformance-{}", std::process::id()));
        std::fs::create_dir(&state).unwrap();
        let mut process = beanline(&state, &["local"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut addresses = HashMap::new();
        for line in BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok) {
            match line.split_once('=') {
                Some((name, value)) => drop(addresses.insert(name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        Self { process, state, addresses }
    }

    fn address(&self, name: &str) -> &str {
        self.addresses.get(name).unwrap_or_else(|| panic!("`beanline local` printed no {name}"))
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        // As Ctrl-C would; what it leaves standing is then taken away.
        let interrupted = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let ended = self.process.wait();
        let stopped = beanline(&self.state, &["local", "stop"]).stdout(Stdio::null()).status();
        let removed = std::fs::remove_dir_all(&self.state);
        if !std::thread::panicking() {
            assert!(interrupted.unwrap().success() && ended.unwrap().success(), "Ctrl-C did not end it well");
            assert!(stopped.unwrap().success(), "`beanline local stop` left something behind");
            removed.unwrap();
        }
    }
}

fn beanline(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beanline"));
    command.args(arguments).env("XDG_STATE_HOME", state);
    command
}

/// Why the test cannot run on this machine, if it cannot.
fn obstacle() -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    if !works("python3", &["--version"]) {
        return Some("there is no python3");
    }
    if !works("docker", &["version"]) {
        return Some("there is no docker daemon, or no docker command");
    }
    (!Path::new("/bin/busybox").exists()).then_some("there is no /bin/busybox to make images of")
}

/// Says on standard error, past the test runner's capture, why nothing is tested. In CI that is a failure.
fn skip(reason: &str) {
    let is_ci = std::env::vars().any(|(name, value)| name == "CI" && value == "true");
    assert!(!is_ci, "the conformance tests must run in CI, but {reason}");
    std::io::stderr().write_all(format!("conformance tests skipped: {reason}\n").as_bytes()).unwrap();
}

#[test]
fn the_official_clients_understand_every_answer() {
    if let Some(reason) = obstacle() {
        return skip(reason);
    }
    let cloud = LocalCloud::start();
    let status = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/run.py"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance-clients"))
        .env("CONFORMANCE_ENDPOINT", cloud.address("AWS_ENDPOINT_URL"))
        .env("CONFORMANCE_ROUTER", cloud.address("ROUTER"))
        .env("CONFORMANCE_WORLD", cloud.address("WORLD"))
        .status();
    match status.unwrap().code() {
        Some(CANNOT) => skip("the Python environment could not be made"),
        code => assert_eq!(code, Some(0), "the conformance tests failed; what they say is above"),
    }
}
