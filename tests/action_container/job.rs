//! A job: our image made of the tested binary, a repository, and the proof that nothing is left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::runner::{Event, Runner, Step, USER, visit};

/// What a unit test may print that the runner must not take for a command of ours.
const FORGED: &str = "::set-output name=result::forged\n::error::forged\n##[error]forged\n::add-mask::shop\n";

/// One job at a time: what the engine holds is compared before and after.
static TURN: Mutex<()> = Mutex::new(());

/// A job on a machine, with its own image.
pub struct Job {
    pub runner: Runner,
    engine_before: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

impl Job {
    /// Makes image and checkout, or `None` with a printed reason where no engine answers at a socket. With `CI=true`
    /// that is a failure.
    pub fn new() -> Option<Self> {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = if host.is_empty() { Some("/var/run/docker.sock") } else { host.strip_prefix("unix://") };
        let answers = docker(&["version", "--format", "{{.Server.Version}}"]).is_ok();
        let Some(socket) = socket.filter(|_| answers) else {
            assert!(!must, "CI=true, and no docker engine answers at a socket");
            println!("skipped: no docker engine answers at a socket");
            return None;
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let engine_before = engine();
        let name = format!("beanline-test:{}", uuid::Uuid::new_v4().simple());
        let job = Self { runner: Runner::new(&name, Path::new(socket)), engine_before, _turn: turn };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/image.sh");
        let mut made = Command::new(script);
        let made = made.arg(&name).env("BINARY", env!("CARGO_BIN_EXE_beanline")).output().unwrap();
        assert!(made.status.success(), "scripts/image.sh: {}", String::from_utf8_lossy(&made.stderr));
        job.write_application();
        job.git(&["-c", "init.defaultBranch=main", "init", "--quiet"]);
        Some(job)
    }

    /// A web server in an image of its own, whose unit test prints what is not to be believed.
    fn write_application(&self) {
        let workspace = self.runner.workspace();
        fs::create_dir_all(workspace.join("bin")).unwrap();
        fs::copy(busybox(), workspace.join("bin/busybox")).unwrap();
        let report = r#"<testsuite name="shop"><testcase name="adds"/><testcase name="ships"/></testsuite>"#;
        let test = format!(
            "cat <<'END'\n{FORGED}END\nsleep ${{PAUSE:-0}}\nmkdir /reports\necho '{report}' > /reports/junit.xml\n"
        );
        let dockerfile = "FROM scratch\nCOPY bin /bin\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
                          ENV PATH=/bin\nCOPY version /www/index.html\nCOPY test.sh /test.sh\nEXPOSE 8080\n\
                          STOPSIGNAL SIGKILL\n\
                          CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";
        for (name, text) in [("Dockerfile", dockerfile), ("test.sh", &test)] {
            fs::write(workspace.join(name), text).unwrap();
        }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "safe.directory=*", "-c", "user.name=octocat", "-c", "user.email=octocat@example.com"]);
        git.args(["-c", "commit.gpgsign=false", "-C"]).arg(self.runner.workspace()).args(arguments);
        let output = git.env("GIT_OPTIONAL_LOCKS", "0").output().expect("git is installed by the set-up");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new commit whose application answers `version`; its name.
    pub fn commit(&self, version: &str) -> String {
        fs::write(self.runner.workspace().join("version"), version).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", version]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// What the workflow of this repository gives the action.
    pub fn with(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("cloud", "local"),
            ("image", "shop"),
            ("test_command", "sh /test.sh"),
            ("test_reports", "/reports"),
            ("acceptance_http", "GET / 200"),
            ("acceptance_command", "wget -q -O - $BEANLINE_APP_URL | sed 's/^/acceptance test sees /'"),
            ("application", "shop"),
            ("environment", "shop"),
            ("create", "true"),
            ("create_repository", "true"),
            ("instance_profile", "aws-elasticbeanstalk-ec2-role"),
            ("healthy_for", "1s"),
        ]
    }

    /// Runs the main job on a pushed commit.
    pub fn push(&self, sha: &str) -> Step {
        self.runner.start(&pushed(sha), &self.with(), &[]).end()
    }

    /// Check runs of a commit in the local cloud's GitHub: name and conclusion.
    pub fn check_runs(&self, sha: &str) -> Vec<(String, String)> {
        let file = self.runner.temp("_github_home/.local/state/beanline/local/github.json");
        let state: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let all = match &state["check_runs"] {
            Value::Object(runs) => runs.values().cloned().collect(),
            runs => runs.as_array().unwrap().clone(),
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of_commit = all.iter().filter(|run| run["head_sha"] == sha);
        of_commit.map(|run| (text(&run["name"]), text(&run["conclusion"]))).collect()
    }

    /// Fails when a step changed the checkout, or left what the runner cannot remove.
    #[track_caller]
    pub fn assert_directories_are_the_runners(&self) {
        assert_eq!(self.git(&["status", "--porcelain", "--ignored"]), "", "the checkout was changed");
        let Ok(ours) = fs::metadata(&self.runner.work).map(|work| work.uid()) else { return };
        let mut foreign: Vec<PathBuf> = Vec::new();
        visit(&self.runner.work, &mut |path| {
            let facts = fs::symlink_metadata(path).unwrap();
            // A file may be another's: who owns its directory can remove it.
            if facts.uid() != ours && (facts.is_dir() || path.starts_with(self.runner.workspace())) {
                foreign.push(path.to_owned());
            }
        });
        assert!(foreign.is_empty(), "not the runner's: {foreign:?}");
        assert!(ours == USER || fs::metadata("/proc/self").unwrap().uid() == ours);
    }

    /// Certificates and the program are all that the image holds.
    pub fn assert_image_is_complete(&self) {
        let made = docker(&["create", &self.runner.image]).unwrap();
        let certificates = self.runner.work.join("certificates");
        let copied =
            docker(&["cp", &format!("{made}:/etc/ssl/certs/ca-certificates.crt"), certificates.to_str().unwrap()]);
        docker(&["rm", "--volumes", &made]).unwrap();
        copied.unwrap();
        assert!(fs::read_to_string(&certificates).unwrap().contains("-----BEGIN CERTIFICATE-----"));
        assert!(fs::metadata(&certificates).unwrap().permissions().mode() & 0o004 != 0, "anybody may read them");
        fs::remove_file(certificates).unwrap();
        let run = |argument: &str| docker(&["run", "--rm", &self.runner.image, argument]).unwrap();
        assert_eq!(run("--version"), format!("beanline {}", env!("CARGO_PKG_VERSION")));
        assert!(run("--help").contains("needed first"));
        let inspected = docker(&["image", "inspect", "--format", "{{json .Config}}", &self.runner.image]).unwrap();
        let config: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(config["Entrypoint"], serde_json::json!(["/beanline"]));
        assert!(config["User"].as_str().unwrap_or_default().is_empty(), "the runner's files are root's alone to use");
        for label in ["title", "description", "source", "documentation", "vendor", "licenses", "version", "revision"] {
            let value = &config["Labels"][format!("org.opencontainers.image.{label}")];
            assert!(value.as_str().is_some_and(|value| !value.is_empty()), "{label}: {value}");
        }
        assert_eq!(config["Labels"]["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    }

    /// Ends the local cloud in a further container; afterwards the engine holds what it held before.
    pub fn end(self, sha: &str) {
        let stop = self.runner.start(&pushed(sha), &[], &["local", "stop"]).end();
        assert_eq!(stop.code, 0);
        self.assert_directories_are_the_runners();
        assert!(!self.runner.temp("_github_home/.local/state/beanline").exists(), "the state goes with the cloud");
        docker(&["rmi", &self.runner.image]).unwrap();
        assert_eq!(engine(), self.engine_before, "what the engine holds, before and after");
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let world = || -> Option<Step> {
                docker(&["image", "inspect", &self.runner.image]).ok()?;
                Some(self.runner.start(&pushed("0"), &[], &["local", "stop"]).end())
            };
            let _ = world();
            let _ = docker(&["rmi", "--force", &self.runner.image]);
        }
        fs::remove_dir_all(&self.runner.work).unwrap();
    }
}

/// A shell that runs in any image.
pub fn busybox() -> &'static str {
    let known = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    known.expect("busybox-static is installed by the set-up")
}

/// A push to the main branch.
pub fn pushed(sha: &str) -> Event<'_> {
    let payload = format!(
        r#"{{"ref": "refs/heads/main", "after": "{sha}", "created": false, "deleted": false,
            "head_commit": {{"id": "{sha}"}},
            "repository": {{"full_name": "octo/shop", "default_branch": "main"}}, "pusher": {{"name": "octocat"}}}}"#
    );
    Event { name: "push", payload, sha, reference: "refs/heads/main", head: "" }
}

/// Runs the docker client; what it printed.
pub fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output().map_err(|error| error.to_string())?;
    let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(printed(&output.stdout)) } else { Err(printed(&output.stderr)) }
}

/// Everything that the engine holds.
fn engine() -> Vec<String> {
    let lists: [&[&str]; 4] = [
        &["ps", "--all", "--no-trunc", "--format", "container {{.ID}} {{.Names}}"],
        &["network", "ls", "--no-trunc", "--format", "network {{.ID}} {{.Name}}"],
        &["volume", "ls", "--format", "volume {{.Name}}"],
        &["images", "--all", "--no-trunc", "--format", "image {{.ID}} {{.Repository}}:{{.Tag}}"],
    ];
    let mut all: Vec<String> =
        lists.iter().flat_map(|list| docker(list).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    all.sort();
    all
}
