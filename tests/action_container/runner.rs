//! The Actions runner, as far as a container action can see it: its directories, its environment, its docker command
//! (actions/runner, ContainerActionHandler.cs and DockerCommandManager.cs).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use beanline::inputs::definition::INPUTS;

use super::commands::pairs;
use super::job::docker;

/// The user that GitHub's own machines run the runner as: the container, which is root, finds another's files.
pub const USER: u32 = 1001;

/// Longest time for one step, and for one thing to appear in its log.
const LIMIT: Duration = Duration::from_secs(300);

/// File commands: the file's name, and the variable that names it behind `GITHUB_`.
const FILES: [(&str, &str); 7] = [
    ("add_path", "PATH"),
    ("set_env", "ENV"),
    ("set_output", "OUTPUT"),
    ("save_state", "STATE"),
    ("step_summary", "STEP_SUMMARY"),
    ("artifacts", "ARTIFACTS"),
    ("artifacts_list", "ARTIFACTS_LIST"),
];

/// A machine with one job's directories.
pub struct Runner {
    /// The directory that holds them.
    pub work: PathBuf,
    /// The action's image.
    pub image: String,
    /// The daemon's socket, which the container sees at docker's usual place.
    pub socket: PathBuf,
}

/// What began the workflow.
pub struct Event<'a> {
    pub name: &'a str,
    pub payload: String,
    pub sha: &'a str,
    pub reference: &'a str,
    pub head: &'a str,
}

/// A step that has ended.
pub struct Step {
    pub code: i32,
    pub log: String,
    /// The content of each file command.
    pub files: BTreeMap<&'static str, String>,
}

/// A step that runs.
pub struct Running {
    client: Child,
    container: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    files: Vec<(&'static str, PathBuf)>,
}

impl Runner {
    /// Makes the directories; the checkout lies below a directory of the repository's name.
    pub fn new(image: &str, socket: &Path) -> Self {
        let work = std::env::temp_dir().join(format!("beanline-action-{}", uuid::Uuid::new_v4().simple()));
        let runner = Self { work, image: image.to_owned(), socket: socket.to_owned() };
        for name in ["_github_home", "_github_workflow", "_runner_file_commands"] {
            fs::create_dir_all(runner.temp(name)).unwrap();
        }
        fs::create_dir_all(runner.workspace()).unwrap();
        runner
    }

    /// The checkout.
    pub fn workspace(&self) -> PathBuf {
        self.work.join("shop/shop")
    }

    /// A directory of the job's temporary one.
    pub fn temp(&self, name: &str) -> PathBuf {
        self.work.join("_temp").join(name)
    }

    /// The step's environment: what the workflow gives as `with`, every other declared input empty, and the runner's.
    fn environment(&self, event: &Event<'_>, with: &[(&str, &str)]) -> BTreeMap<String, String> {
        let repository = "octo/shop";
        let mut all: BTreeMap<String, String> =
            INPUTS.iter().map(|input| (format!("INPUT_{}", input.name.to_uppercase()), String::new())).collect();
        all.extend(with.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), (*value).to_owned())));
        let parent = self.workspace().parent().map(|parent| parent.display().to_string()).unwrap_or_default();
        let workflow = format!("{repository}/.github/workflows/ship.yml@{}", event.reference);
        let told = [
            ("HOME", "/github/home"),
            ("GITHUB_ACTION", "__beanline_beanline"),
            ("GITHUB_ACTION_REPOSITORY", "beanline/beanline"),
            ("GITHUB_ACTION_REF", "v0"),
            ("GITHUB_ACTOR", "octocat"),
            ("GITHUB_ACTOR_ID", "583231"),
            ("GITHUB_TRIGGERING_ACTOR", "octocat"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"),
            ("GITHUB_REPOSITORY", repository),
            ("GITHUB_REPOSITORY_ID", "1296269"),
            ("GITHUB_REPOSITORY_OWNER", "octo"),
            ("GITHUB_REPOSITORY_OWNER_ID", "1"),
            ("GITHUB_EVENT_NAME", event.name),
            ("GITHUB_EVENT_PATH", "/github/workflow/event.json"),
            ("GITHUB_SHA", event.sha),
            ("GITHUB_REF", event.reference),
            ("GITHUB_REF_NAME", event.reference.splitn(3, '/').last().unwrap_or_default()),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_REF_PROTECTED", "false"),
            ("GITHUB_HEAD_REF", event.head),
            ("GITHUB_BASE_REF", if event.head.is_empty() { "" } else { "main" }),
            ("GITHUB_WORKFLOW", "ship"),
            ("GITHUB_WORKFLOW_REF", &workflow),
            ("GITHUB_WORKFLOW_SHA", event.sha),
            ("GITHUB_JOB", "ship"),
            ("GITHUB_RUN_ID", "7064128391"),
            ("GITHUB_RUN_NUMBER", "12"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RETENTION_DAYS", "90"),
            ("GITHUB_WORKSPACE", "/github/workspace"),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("RUNNER_NAME", "GitHub Actions 4"),
            ("RUNNER_ENVIRONMENT", "github-hosted"),
            ("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache"),
            ("RUNNER_TEMP", "/github/runner_temp"),
            ("RUNNER_WORKSPACE", &parent),
            ("ACTIONS_RUNTIME_URL", "https://pipelines.actions.example/"),
            ("ACTIONS_RUNTIME_TOKEN", "a-runtime-token"),
            ("ACTIONS_RESULTS_URL", "https://results.actions.example/"),
        ];
        all.extend(told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        all
    }

    /// Starts the main step.
    pub fn start(&self, event: &Event<'_>, with: &[(&str, &str)], arguments: &[&str]) -> Running {
        self.start_at("/beanline", self.environment(event, with), &event.payload, arguments)
    }

    /// Runs the post step of a main step, in a container of its own, with what that one saved.
    pub fn post(&self, event: &Event<'_>, with: &[(&str, &str)], main: &Step) -> Step {
        let mut environment = self.environment(event, with);
        let saved = pairs(&main.files["save_state"]).unwrap();
        environment.extend(saved.into_iter().map(|(name, value)| (format!("STATE_{name}"), value)));
        self.start_at("/beanline-post", environment, &event.payload, &[]).end()
    }

    /// Starts a step: values go by name through the client's environment, standard input is closed, there is no
    /// terminal and no init process.
    fn start_at(
        &self,
        entrypoint: &str,
        mut environment: BTreeMap<String, String>,
        payload: &str,
        arguments: &[&str],
    ) -> Running {
        let id = uuid::Uuid::new_v4().to_string();
        fs::write(self.temp("_github_workflow/event.json"), payload).unwrap();
        let commands = self.temp("_runner_file_commands");
        let files = FILES.map(|(file, variable)| {
            let name = format!("{file}_{id}");
            fs::write(commands.join(&name), "").unwrap();
            environment.insert(format!("GITHUB_{variable}"), format!("/github/file_commands/{name}"));
            (file, commands.join(name))
        });
        self.give_away();
        let container = format!("beanlineaction_{}", &id[..6]);
        let mut docker = Command::new("docker");
        docker.args(["run", "--name", &container, "--label", "b1a9c3", "--workdir", "/github/workspace", "--rm"]);
        for name in environment.keys() {
            docker.args(["-e", name]);
        }
        docker.args(["-e", "GITHUB_ACTIONS=true", "-e", "CI=true", "--entrypoint", entrypoint]);
        let mounts = [
            (self.socket.clone(), "/var/run/docker.sock"),
            (self.work.join("_temp"), "/github/runner_temp"),
            (self.temp("_github_home"), "/github/home"),
            (self.temp("_github_workflow"), "/github/workflow"),
            (commands, "/github/file_commands"),
            (self.workspace(), "/github/workspace"),
        ];
        for (outside, inside) in &mounts {
            docker.arg("-v").arg(format!("{}:{inside}", outside.display()));
        }
        let (reader, writer) = std::io::pipe().unwrap();
        docker.arg(&self.image).args(arguments).envs(&environment).stdin(Stdio::null());
        docker.stdout(writer.try_clone().unwrap()).stderr(writer);
        let client = docker.spawn().unwrap();
        drop(docker);
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let line = line.expect("the log is UTF-8");
                println!("{line}");
                *kept.lock().unwrap() += &format!("{line}\n");
            }
        });
        Running { client, container, log, reader: Some(reader), files: files.into() }
    }

    /// Everything that was made so far is the runner's own, if we may say so.
    fn give_away(&self) {
        visit(&self.work, &mut |path| {
            // Only root may; anybody else is the runner.
            let _ = lchown(path, Some(USER), Some(USER));
        });
    }
}

/// Calls `see` for a path and all that is below it.
pub fn visit(path: &Path, see: &mut impl FnMut(&Path)) {
    see(path);
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| visit(&entry.unwrap().path(), see));
    }
}

impl Running {
    /// Waits until the log holds a text.
    pub fn until(&self, text: &str) {
        let began = Instant::now();
        while !self.log.lock().unwrap().contains(text) {
            assert!(began.elapsed() < LIMIT && !self.reader.as_ref().unwrap().is_finished(), "`{text}` never came");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends the docker client a signal, as the runner does; the client passes it on to the container's first process.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.client.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Cancels the step as the runner does: SIGINT, 7.5 s later SIGTERM, 2.5 s later its client is killed
    /// (ProcessInvoker.cs).
    pub fn cancel(mut self) -> Step {
        for (signal, patience) in [("INT", Duration::from_millis(7500)), ("TERM", Duration::from_millis(2500))] {
            self.signal(signal);
            let began = Instant::now();
            while began.elapsed() < patience {
                if self.client.try_wait().unwrap().is_some() {
                    return self.end();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        panic!("the step had to be killed");
    }

    /// Kills the container's first process, as a machine does that runs out of memory.
    pub fn kill(self) -> Step {
        docker(&["kill", "--signal", "KILL", &self.container]).unwrap();
        self.end()
    }

    /// Waits for the step's end.
    pub fn end(mut self) -> Step {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.client.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < LIMIT, "the step did not end");
            std::thread::sleep(Duration::from_millis(50));
        };
        self.reader.take().unwrap().join().unwrap();
        let files = self.files.iter().map(|(name, path)| (*name, fs::read_to_string(path).unwrap())).collect();
        Step { code: status.code().unwrap_or(-1), log: self.log.lock().unwrap().clone(), files }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a failed test; one that ended is gone by itself.
        if matches!(self.client.try_wait(), Ok(None)) {
            let _ = Command::new("docker").args(["rm", "--force", &self.container]).output();
            let _ = self.client.wait();
        }
    }
}
