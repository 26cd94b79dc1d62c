//! A world: what a run can see and change, and the proof that nothing of it is left.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use beanline::local::github::{GithubState, GithubWorld};

use super::github::assert_contract_kept;
use super::{App, Run, Running};

/// No more than this many stories at once: each has containers of its own.
static TURN: Mutex<()> = Mutex::new(());

/// The repository and commit that runs report on.
pub const REPOSITORY: &str = "octo/shop";

/// A directory, a local cloud of its own and a GitHub.
pub struct World {
    directory: PathBuf,
    pub github: GithubWorld,
    pub runtime: tokio::runtime::Runtime,
    images_before: Vec<String>,
    runs_before: String,
    ended: bool,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl World {
    /// A new world, or `None` with a printed reason where there is no docker daemon. With `CI=true` that is a failure.
    pub fn new() -> Option<Self> {
        Self::has_docker().then(|| Self::make(Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))))
    }

    /// A new world beside others, where the caller sees to it that they are few.
    pub fn beside_others() -> Self {
        Self::make(None)
    }

    /// Whether a docker daemon answers; if not, the reason is printed, and with `CI=true` that is a failure.
    pub fn has_docker() -> bool {
        let answers = docker(&["version", "--format", "{{.Server.Version}}"]).is_some();
        if !answers {
            assert!(std::env::var_os("CI").is_none(), "CI=true, and no docker daemon answers");
            println!("skipped: no docker daemon answers");
        }
        answers
    }

    fn make(turn: Option<MutexGuard<'static, ()>>) -> Self {
        let directory = std::env::temp_dir().join(format!("beanline-story-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&directory).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let github = runtime.block_on(GithubWorld::start(GithubState::default())).unwrap();
        let (images_before, runs_before) = (images(), labelled("io.beanline.run"));
        Self { directory, github, runtime, images_before, runs_before, ended: false, _turn: turn }
    }

    /// Where the world's files are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes an application and returns its context.
    pub fn app(&self, app: &App) -> PathBuf {
        let context = self.path("app");
        let _ = std::fs::remove_dir_all(&context);
        app.write(&context)
    }

    /// Runs the binary without anything of the machine's environment but PATH.
    pub fn beanline(&self, arguments: &[&str], inputs: &[(&str, &str)]) -> Run {
        self.beanline_with(arguments, inputs, &[])
    }

    /// The same with further variables of the environment.
    pub fn beanline_with(&self, arguments: &[&str], inputs: &[(&str, &str)], environment: &[(&str, &str)]) -> Run {
        self.start(arguments, inputs, environment).end()
    }

    /// Starts the binary and does not wait for it.
    pub fn start(&self, arguments: &[&str], inputs: &[(&str, &str)], environment: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_beanline"));
        command.args(arguments).env_clear().current_dir(&self.directory).stdin(Stdio::null());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", &self.directory);
        command.env("XDG_STATE_HOME", self.path("state"));
        // Stories are told on the engine that this test was given.
        command.envs(std::env::var_os("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)));
        command.envs(inputs.iter().map(|(name, value)| (format!("BEANLINE_{}", name.to_uppercase()), value)));
        command.env("GITHUB_API_URL", &self.github.url).envs(environment.iter().copied());
        Running::spawn(command)
    }

    /// Runs the main job on the world's application; `more` adds or replaces inputs, an empty value removes one.
    pub fn ship(&self, revision: &str, more: &[(&str, &str)]) -> Run {
        self.ship_with(revision, more, &[])
    }

    /// The same with further variables of the environment.
    pub fn ship_with(&self, revision: &str, more: &[(&str, &str)], environment: &[(&str, &str)]) -> Run {
        self.begin_with(revision, more, environment).end()
    }

    /// Begins the main job and does not wait for its end.
    pub fn begin(&self, revision: &str, more: &[(&str, &str)]) -> Running {
        self.begin_with(revision, more, &[])
    }

    /// The same with further variables of the environment.
    pub fn begin_with(&self, revision: &str, more: &[(&str, &str)], environment: &[(&str, &str)]) -> Running {
        self.begin_as(&[], revision, more, environment)
    }

    /// Runs what comes after the main job, with its inputs.
    pub fn post_with(&self, revision: &str, more: &[(&str, &str)], environment: &[(&str, &str)]) -> Run {
        self.begin_as(&["post"], revision, more, environment).end()
    }

    fn begin_as(
        &self,
        arguments: &[&str],
        revision: &str,
        more: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Running {
        let context = self.path("app");
        let usual = [
            ("cloud", "local"),
            ("run", "pipeline"),
            ("image", "shop"),
            ("context", context.to_str().unwrap()),
            ("test_command", "sh /test.sh"),
            ("test_reports", "/reports"),
            ("acceptance_http", "GET /ping 200"),
            ("acceptance_command", "wget -q -O - $BEANLINE_APP_URL/id | sed 's/^/acceptance test sees id /'"),
            ("application", "shop"),
            ("environment", "shop"),
            ("create", "true"),
            ("create_repository", "true"),
            ("instance_profile", "aws-elasticbeanstalk-ec2-role"),
            ("healthy_for", "1s"),
            ("revision", revision),
            ("sha", revision),
            ("repository", REPOSITORY),
            ("github_token", "ghs_obviousfaketoken"),
        ];
        let kept = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let inputs: Vec<(&str, &str)> = kept.chain(more).copied().collect();
        self.start(arguments, &inputs, environment)
    }

    /// Fails the story if a run left a container, network or volume that it does not hand over.
    #[track_caller]
    pub fn assert_no_run_is_left(&self) {
        assert_eq!(labelled("io.beanline.run"), self.runs_before, "left over by a run");
    }

    /// Ends the local cloud; afterwards docker has what it had before.
    #[track_caller]
    pub fn end(mut self) {
        self.assert_no_run_is_left();
        assert_contract_kept(&self.github);
        let world = self.environments_or_none().map(|_| self.state()["world"].as_str().unwrap().to_owned());
        self.beanline(&["local", "stop"], &[]).expect(0);
        assert_eq!(images(), self.images_before, "images before and after differ");
        if let Some(world) = world {
            assert_eq!(labelled(&format!("io.beanline.world={world}")), "", "left over by the local cloud");
        }
        self.ended = true;
    }
}

impl Drop for World {
    /// A story that broke off leaves nothing to those after it.
    fn drop(&mut self) {
        if !self.ended {
            self.beanline(&["local", "stop"], &[]);
        }
        for directory in [&self.directory, &docker_config()] {
            // The second is there only if a story logged in.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// Where the docker client keeps logins of stories, which must not end up with whoever runs them.
fn docker_config() -> PathBuf {
    std::env::temp_dir().join(format!("beanline-stories-{}", std::process::id()))
}

/// Runs the docker client; `None` when it fails.
pub fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker")
        .env("DOCKER_CONFIG", docker_config())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Containers, networks and volumes with a label; others on the same engine may have some.
fn labelled(label: &str) -> String {
    let filter = format!("label={label}");
    let list = |kind: &[&str]| docker(&[kind, &["-q", "--filter", &filter]].concat()).unwrap();
    [&["ps", "-a"][..], &["network", "ls"], &["volume", "ls"]].map(list).concat()
}

fn images() -> Vec<String> {
    let listed =
        docker(&["images", "--all", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).unwrap_or_default();
    let mut images: Vec<String> = listed.lines().map(str::to_owned).collect();
    images.sort();
    images
}
