//! Services on the docker daemon of this machine, out of an image with busybox. Without a daemon they say so and pass.

use std::path::Path;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::{Mutex, watch};

use super::*;
use crate::docker::DaemonEnv;
use crate::engine::cancel::{Cancel, CancelReason};
use crate::engine::event::{EventKind, Outcome, Stage};
use crate::engine::{Engine, EventReceiver, Perform, events};
use crate::inputs::resolve::{Surroundings, resolve};
use crate::inputs::{CiFacts, RawInputs, Secret};
use crate::report::mask::Mask;
use crate::stages::logins::Logins;

const BUSYBOX: &str = "/bin/busybox";

/// What one test may use: everything it makes is gone when the stage has ended.
struct Bench {
    docker: Docker,
    plan: Plan,
    labels: Labels,
    image: String,
    engine: Engine,
    events: Mutex<EventReceiver>,
    cancel: watch::Sender<Vec<CancelReason>>,
}

impl Bench {
    /// A bench with these services, where `IMAGE` stands for an image that has a shell; `None` where there is no daemon.
    async fn new(services: &str) -> Option<Self> {
        let docker = Docker::connect(&DaemonEnv::default()).await.ok().filter(|_| Path::new(BUSYBOX).exists());
        let Some(docker) = docker else { return skipped() };
        let image = format!("beanline-test-services-{}:1", uuid::Uuid::new_v4().simple());
        let variables = [("BEANLINE_RUN", "test".to_owned()), ("BEANLINE_SERVICES", services.replace("IMAGE", &image))];
        let raw = RawInputs::read(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        let read_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let around = Surroundings { ci: &CiFacts::default(), local_registry: "", read_file: &read_file };
        let plan = resolve(&raw, &around).unwrap_or_else(|problems| panic!("{problems:?}"));
        let labels = crate::stages::labels(&plan);
        docker.import(busybox(), &image, &labels, &["/bin/sh", "-c"]).await.unwrap();
        let (cancel, reasons) = watch::channel(Vec::new());
        let (sender, receiver) = events();
        let engine = Engine::new(sender, Cancel::by(reasons), performing(&docker));
        Some(Self { docker, plan, labels, image, engine, events: receiver.into(), cancel })
    }

    /// Runs a stage in which the services are up; gives how it ended, and the stage's notes.
    async fn stage(&self, tests: impl AsyncFnOnce(&StageCx, Services) -> Result<(), Fault>) -> (Outcome, Vec<String>) {
        let work = async |cx: &StageCx| {
            let services = up(cx, &self.docker, &self.plan, &self.labels, "unit").await?;
            tests(cx, services).await
        };
        // What it was is in the events.
        let _ = self.engine.stage(Stage::UnitTest, Duration::from_secs(120), work).await;
        self.told().await
    }

    /// How a stage ended, and its notes.
    async fn told(&self) -> (Outcome, Vec<String>) {
        let (mut notes, mut events) = (Vec::new(), self.events.lock().await);
        loop {
            match events.next().await.unwrap().kind {
                EventKind::StageNote { text, .. } => notes.push(text),
                EventKind::StageFinished { outcome, .. } => return (outcome, notes),
                _ => {}
            }
        }
    }

    /// The fault of services that do not come up.
    async fn fault(&self) -> Fault {
        match self.stage(async |_, _| Ok(())).await.0 {
            Outcome::Failed(fault) => fault,
            _ => panic!("the services came up"),
        }
    }

    /// Runs a shell command as tests do, beside the services.
    async fn run(&self, cx: &StageCx, services: &Services, command: &str) -> i64 {
        let spec = ContainerSpec {
            name: format!("beanline-unit-{}", self.plan.run_id),
            image: self.image.clone(),
            command: Some(vec![command.to_owned()]),
            labels: self.labels.clone(),
            network: services.network().map(str::to_owned),
            ..ContainerSpec::default()
        };
        cx.cleanup(Undo::RemoveContainer { name: spec.name.clone() });
        self.docker.create(&spec).await.unwrap();
        self.docker.run_to_end(&spec.name, &|_| ()).await.unwrap().code
    }

    /// Ends the bench: nothing of the stage is left.
    async fn end(self) {
        let label = format!("{}={}", crate::stages::RUN_LABEL, self.plan.run_id);
        let containers = self.docker.containers_labelled(&label).await.unwrap();
        let networks = self.docker.networks_labelled(&label).await.unwrap();
        let volumes = self.docker.volumes_with(&label).await.unwrap();
        self.docker.remove_image(&self.image).await.unwrap();
        assert!(containers.is_empty() && networks.is_empty() && volumes.is_empty(), "{containers:?} {networks:?}");
    }
}

impl Drop for Bench {
    /// A test that broke off leaves nothing to those after it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let label = format!("label={}={}", crate::stages::RUN_LABEL, self.plan.run_id);
            let remove = format!(
                "docker ps -aq --filter {label} | xargs -r docker rm -fv; docker network ls -q --filter {label} | xargs -r \
                 docker network rm; docker rmi -f {}",
                self.image
            );
            // It panics already.
            let _ = std::process::Command::new("sh").args(["-c", &remove]).output();
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must not look as if it had")]
fn skipped<T>() -> Option<T> {
    println!("skipped: no docker daemon, or no static busybox");
    None
}

fn performing(docker: &Docker) -> Perform {
    let docker = docker.clone();
    Rc::new(move |undo, _| {
        let docker = docker.clone();
        Box::pin(async move {
            match undo {
                Undo::RemoveContainer { name } => docker.remove_container(&name).await,
                Undo::RemoveNetwork { name } => docker.remove_network(&name).await,
                _ => Ok(()),
            }
        })
    })
}

/// Busybox with the commands that the services here need.
fn busybox() -> Bytes {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name(BUSYBOX, "bin/busybox").unwrap();
    for command in ["sh", "sleep", "httpd", "wget", "grep", "mkdir"] {
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, format!("bin/{command}"), "busybox").unwrap();
    }
    Bytes::from(tar.into_inner().unwrap())
}

/// A web server that is healthy a moment after it was started, and one thing after the other that needs it. Each asks
/// once: whoever starts too early fails.
const CHAIN: &str = r#"
db:
  image: IMAGE
  command: ["mkdir /www; sleep 1; grep ' /fast tmpfs' /proc/mounts > /www/x; exec httpd -f -p 80 -h /www"]
  healthcheck: {test: [CMD, wget, -q, -O, "-", "http://127.0.0.1/x"], interval: 200ms, retries: 100}
  networks: {default: {aliases: [database]}}
  tmpfs: /fast:size=1m
seed:
  image: IMAGE
  command: ["wget -q -O - http://database/x | grep -q 'size=1024k'"]
  depends_on: {db: {condition: service_healthy}}
web:
  image: IMAGE
  environment: {GREETING: hello}
  working_dir: /bin
  hostname: somewhere
  command: ["mkdir /www; echo $$GREETING $$PWD $$HOSTNAME > /www/x; exec httpd -f -p 80 -h /www"]
  healthcheck: {test: "wget -q -O - http://127.0.0.1/x", interval: 200ms, retries: 100}
  depends_on: {seed: {condition: service_completed_successfully}}
"#;

#[tokio::test]
async fn services_start_when_those_they_need_are_ready_and_tests_reach_them_by_name() {
    let Some(bench) = Bench::new(CHAIN).await else { return };
    let (outcome, notes) = bench
        .stage(async |cx, services| {
            let asks = "wget -q -O - http://web/x | grep -q '^hello /bin somewhere$' && wget -q http://database/x";
            assert_eq!(bench.run(cx, &services, asks).await, 0);
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Outcome::Passed), "{outcome:?} {notes:?}");
    let order = [
        "starting services: db, seed, web",
        "service db is healthy",
        "service seed has ended well",
        "service web is healthy",
    ];
    assert_eq!(notes.len(), order.len(), "{notes:?}");
    order.iter().zip(&notes).for_each(|(expected, note)| assert!(note.starts_with(expected), "{notes:?}"));
    bench.end().await;
}

#[tokio::test]
async fn an_unhealthy_service_is_told_with_the_words_of_its_check_and_its_last_lines() {
    let services = "db: {image: IMAGE, command: ['echo starting; exec sleep 600'], healthcheck: {test: 'echo not today; \
                    exit 7', interval: 100ms, retries: 1}}\nother: {image: IMAGE, command: ['echo never'], depends_on: \
                    {db: {condition: service_healthy}}}";
    let Some(bench) = Bench::new(services).await else { return };
    let fault = bench.fault().await;
    assert_eq!(fault.to_string(), "service db is unhealthy: its last health check: exit code 7: not today");
    assert_eq!(fault.last_lines(), ["the last lines of service db:", "starting"]);
    bench.end().await;
}

#[tokio::test]
async fn a_service_that_ends_is_an_error_with_its_last_lines() {
    let services =
        "db: {image: IMAGE, command: ['echo no password; exit 3'], healthcheck: {test: 'true', interval: 60s}}";
    let Some(bench) = Bench::new(services).await else { return };
    let fault = bench.fault().await;
    assert_eq!(fault.to_string(), "service db ended before the tests began: exit code 3");
    assert_eq!(fault.last_lines(), ["the last lines of service db:", "no password"]);
    bench.end().await;
    let seed = "seed: {image: IMAGE, command: ['exit 4']}\nweb: {image: IMAGE, depends_on: {seed: {condition: \
                service_completed_successfully}}}";
    let Some(bench) = Bench::new(seed).await else { return };
    let fault = bench.fault().await;
    assert_eq!(fault.to_string(), "service seed did not end well: exit code 4");
    assert_eq!(fault.last_lines(), ["service seed printed nothing"]);
    bench.end().await;
}

#[tokio::test]
async fn a_service_that_ends_while_another_becomes_ready_is_not_missed() {
    let services = "db: {image: IMAGE, command: ['while ! wget -q http://slow/x; do sleep 0.1; done; exit 0'], \
                    healthcheck: {test: 'true', interval: 100ms}}\nslow: {image: IMAGE, command: ['mkdir /www; sleep 1; \
                    echo up > /www/x; exec httpd -f -p 80 -h /www'], depends_on: {db: {condition: service_healthy}}, \
                    healthcheck: {test: '! /bin/busybox nslookup db', interval: 200ms, retries: 100}}";
    let Some(bench) = Bench::new(services).await else { return };
    let fault = bench.fault().await;
    assert_eq!(fault.to_string(), "service db ended before the tests began: exit code 0");
    assert!(fault.hints()[0].contains("service_completed_successfully"), "{:?}", fault.hints());
    bench.end().await;
}

#[tokio::test]
async fn failing_tests_are_told_with_what_the_services_have_to_say() {
    let many = "i=0; while [ $$i -lt 100 ]; do echo line $$i; i=$$((i+1)); done";
    let services = format!(
        "db: {{image: IMAGE, command: ['{many}; exec sleep 600'], healthcheck: {{test: 'true', interval: 100ms}}}}\n\
         cache: {{image: IMAGE, command: ['sleep 2; exit 5'], healthcheck: {{test: 'true', interval: 100ms}}}}"
    );
    let Some(bench) = Bench::new(&services).await else { return };
    let (outcome, notes) = bench
        .stage(async |cx, services| {
            let until_it_ends = "while /bin/busybox nslookup cache > /dev/null 2>&1; do sleep 0.2; done";
            assert_eq!(bench.run(cx, &services, until_it_ends).await, 0);
            Err(services.explain(Fault::new("the tests did not pass"), &bench.docker).await)
        })
        .await;
    let Outcome::Failed(fault) = outcome else { panic!("it passed: {notes:?}") };
    assert_eq!(fault.to_string(), "the tests did not pass: service cache ended with 5 meanwhile");
    let lines = fault.last_lines();
    assert_eq!((lines[0].as_str(), lines.len()), ("service cache printed nothing", 22), "{lines:?}");
    assert_eq!((lines[2].as_str(), lines[21].as_str()), ("line 80", "line 99"));
    bench.end().await;
}

#[tokio::test]
async fn a_service_that_cannot_be_made_leaves_nothing_of_the_others() {
    let good = (1..8).map(|number| format!("db{number}: {{image: IMAGE, command: ['exec sleep 600']}}\n"));
    let services = format!("bad: {{image: IMAGE, working_dir: nowhere}}\n{}", good.collect::<String>());
    let Some(bench) = Bench::new(&services).await else { return };
    let fault = bench.fault().await;
    assert!(fault.what().starts_with("could not create container beanline-unit-service-bad-"), "{fault}");
    bench.end().await;
}

#[tokio::test]
async fn a_signal_in_the_middle_leaves_nothing() {
    let services = "db: {image: IMAGE, command: ['exec sleep 600'], healthcheck: {test: 'false', interval: 1s, \
                    retries: 600}}\nnext: {image: IMAGE, depends_on: {db: {condition: service_healthy}}}";
    let Some(bench) = Bench::new(services).await else { return };
    let label = format!("{}={}", crate::stages::RUN_LABEL, bench.plan.run_id);
    let interrupt = async {
        while !bench.docker.containers_labelled(&label).await.unwrap().iter().any(|one| one.running) {
            crate::engine::retry::pause(Duration::from_millis(50)).await;
        }
        bench.cancel.send_replace(vec![CancelReason::Interrupt]);
    };
    let ((outcome, _), ()) = tokio::join!(bench.stage(async |_, _| Ok(())), interrupt);
    assert!(matches!(outcome, Outcome::Cancelled));
    bench.engine.unwind().await;
    bench.end().await;
}

#[tokio::test]
async fn without_services_nothing_is_made() {
    let Some(bench) = Bench::new("none").await else { return };
    let (outcome, notes) = bench
        .stage(async |_, services| {
            assert_eq!(services.network(), None);
            let fault = services.explain(Fault::new("the tests did not pass"), &bench.docker).await;
            assert!(fault.last_lines().is_empty());
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Outcome::Passed) && notes.is_empty());
    bench.end().await;
}

#[tokio::test]
async fn an_image_that_is_not_there_is_pulled_or_named() {
    let Some(bench) = Bench::new("a: {image: IMAGE}\nb: {image: '127.0.0.1:1/none:1'}").await else { return };
    let fetched = async |plan: &Plan| {
        let work = async |cx: &StageCx| fetch(cx, &bench.docker, plan, &Logins::of(plan, None)).await;
        let _ = bench.engine.stage(Stage::Build, Duration::from_secs(120), work).await;
        bench.told().await.0
    };
    let Outcome::Failed(fault) = fetched(&bench.plan).await else { panic!("it was there") };
    assert_eq!(fault.what(), "could not pull 127.0.0.1:1/none:1");
    assert!(fault.hints()[0].contains("image of service b"), "{:?}", fault.hints());
    let mut plan = bench.plan.clone();
    plan.services[1].pull = crate::inputs::PullPolicy::Never;
    let Outcome::Failed(fault) = fetched(&plan).await else { panic!("it was there") };
    assert!(fault.to_string().ends_with("the image of service b: its `pull_policy` is never"), "{fault}");
    plan.services.pop();
    assert!(matches!(fetched(&plan).await, Outcome::Passed));
    bench.end().await;
}

/// What a report shows of the last lines of a service, without their heading.
fn shown(secret: &str, lines: &[String]) -> Vec<String> {
    let fault = with_lines(Fault::new("service db is unhealthy"), "db", lines);
    let masked = Mask::new(&[Secret::new(secret)]).fault(&fault);
    assert_eq!(masked.last_lines()[0], "the last lines of service db:");
    masked.last_lines()[1..].to_vec()
}

#[test]
fn a_secret_in_the_last_lines_is_hidden_where_it_is_wrapped_and_where_a_line_is_cut() {
    let key: String = (0..180).map(|at: u32| char::from(b'a' + (at * at % 26) as u8)).collect();
    let wrapped: Vec<String> =
        STANDARD.encode(&key).as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let around = [&["before".to_owned()][..], &wrapped, &["after".to_owned()]].concat();
    assert_eq!(shown(&key, &around), ["before", "***", "***", "***", "***", "after"]);
    let long = format!("{}obvious-fake-password", " ".repeat(LONGEST_LINE - 11));
    assert_eq!(shown("obvious-fake-password", &[long])[0].trim(), "***…");
}
