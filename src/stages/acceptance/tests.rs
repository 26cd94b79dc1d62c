//! Acceptance on the docker daemon of this machine, with an image of busybox. Without a daemon the tests say so and pass.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::docker::{DaemonEnv, Extras, ImageFacts, Owner};
use crate::engine::cancel::Cancel;
use crate::engine::event::{EventKind, Outcome, Stage};
use crate::engine::retry::pause;
use crate::engine::{Engine, EventReceiver, Perform, events};
use crate::inputs::resolve::{Surroundings, resolve};
use crate::inputs::{CiFacts, HealthCheck, RawInputs};
use crate::stages::owner;

const BUSYBOX: &str = "/bin/busybox";

/// What one test may use: what its stage makes is gone when that has ended.
struct Scene {
    docker: Docker,
    plan: Plan,
    labels: Labels,
    image: String,
    engine: Engine,
    events: EventReceiver,
}

impl Scene {
    /// A scene with these inputs; `None` where there is no daemon.
    async fn new(inputs: &[(&str, &str)]) -> Option<Self> {
        let docker = Docker::connect(&DaemonEnv::default()).await.ok().filter(|_| Path::new(BUSYBOX).exists());
        let Some(docker) = docker else { return skipped() };
        let inputs = inputs.iter().chain(&[("BEANLINE_RUN", "test")]);
        let raw = RawInputs::read(inputs.map(|(name, value)| ((*name).into(), (*value).into())));
        let read_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let around = Surroundings { ci: &CiFacts::default(), local_registry: "", read_file: &read_file };
        let plan = resolve(&raw, &around).unwrap_or_else(|problems| panic!("{problems:?}"));
        let labels = crate::stages::labels(&plan);
        let image = format!("beanline-test-acceptance-{}:1", uuid::Uuid::new_v4().simple());
        docker.import(busybox(), &image, &labels, &["/bin/sh", "-c"]).await.unwrap();
        let (sender, events) = events();
        let engine = Engine::new(sender, Cancel::never(), removing(&docker));
        Some(Self { docker, plan, labels, image, engine, events })
    }

    /// Runs a stage, and removes what the scene made; gives how it ended, and its warnings.
    async fn stage(
        mut self,
        work: impl AsyncFnOnce(&StageCx, &Bench<'_>, &Docker, &str) -> Result<(), Fault>,
    ) -> (Outcome, Vec<String>) {
        let bench = Bench { plan: &self.plan, docker: Some(&self.docker), labels: &self.labels, tests_in: None };
        let work = async |cx: &StageCx| work(cx, &bench, &self.docker, &self.image).await;
        // How it ended is in the events.
        let _ = self.engine.stage(Stage::AcceptanceContainer, Duration::from_secs(120), work).await;
        self.docker.remove_image(&self.image).await.unwrap();
        let mut warnings = Vec::new();
        loop {
            match self.events.next().await.unwrap().kind {
                EventKind::StageWarning { text, .. } => warnings.push(text),
                EventKind::StageFinished { outcome, .. } => return (outcome, warnings),
                _ => {}
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must not look as if it had")]
fn skipped<T>() -> Option<T> {
    println!("skipped: no docker daemon, or no static busybox");
    None
}

fn removing(docker: &Docker) -> Perform {
    let docker = docker.clone();
    Rc::new(move |undo, _| {
        let docker = docker.clone();
        Box::pin(async move {
            match undo {
                Undo::RemoveContainer { name } => docker.remove_container(&name).await,
                _ => Ok(()),
            }
        })
    })
}

/// Busybox, and a table of users behind a link.
fn busybox() -> Bytes {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name(BUSYBOX, "bin/busybox").unwrap();
    let commands = ["sh", "sleep", "httpd", "true", "false"].map(|name| (format!("bin/{name}"), "busybox"));
    let links = [("etc/passwd".to_owned(), "../usr/lib/passwd")];
    for (name, to) in commands.into_iter().chain(links) {
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, name, to).unwrap();
    }
    let table = b"app:x:1000:1001::/app:\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(table.len() as u64);
    tar.append_data(&mut header, "usr/lib/passwd", &table[..]).unwrap();
    Bytes::from(tar.into_inner().unwrap())
}

/// A server that thinks about each answer for so long.
async fn slow_server(time: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            pause(time).await;
            // Who hangs up early is not waited for.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    url
}

#[tokio::test]
async fn checks_and_program_share_one_time_limit() {
    let url = slow_server(Duration::from_secs(4)).await;
    let program = r#"["sleep", "4"]"#;
    let inputs = [
        ("BEANLINE_ACCEPTANCE_HTTP", "GET / 200"),
        ("BEANLINE_ACCEPTANCE_COMMAND", program),
        ("BEANLINE_ACCEPTANCE_TIMEOUT", "6s"),
    ];
    let Some(scene) = Scene::new(&inputs).await else { return };
    let work = async |cx: &StageCx, bench: &Bench<'_>, _: &Docker, image: &str| {
        bench.run_tests(cx, Place::Container, &Prober::here(), &Standpoint::default(), image, &url).await
    };
    let (Outcome::Failed(fault), _) = scene.stage(work).await else { panic!("each of them had all of the time") };
    assert_eq!(fault.what(), "the tests did not end within 6 s");
    assert!(fault.hints()[0].contains("`acceptance_timeout`"), "{fault}");
}

/// Starts a web server whose HEALTHCHECK runs `check`, and waits for it.
async fn healthchecked(check: &str) -> Option<Outcome> {
    let scene = Scene::new(&[("BEANLINE_READY_TIMEOUT", "5s")]).await?;
    let every = Some(Duration::from_secs(1));
    let test = vec!["CMD".to_owned(), check.to_owned()];
    let health_check =
        HealthCheck { test, interval: every, timeout: every, retries: Some(1), ..HealthCheck::default() };
    let work = async |cx: &StageCx, bench: &Bench<'_>, docker: &Docker, image: &str| {
        let name = bench.name("app", Place::Container);
        cx.cleanup(Undo::RemoveContainer { name: name.clone() });
        let spec = ContainerSpec {
            name: name.clone(),
            image: image.to_owned(),
            command: Some(vec!["echo hi > /index.html; exec httpd -f -p 80 -h /".to_owned()]),
            labels: bench.labels.clone(),
            publish: vec![80],
            extras: Extras { health_check: Some(health_check), ..Extras::default() },
            ..ContainerSpec::default()
        };
        docker.create(&spec).await?;
        docker.start(&name).await?;
        let port = docker.container(&name).await?.unwrap().ports[&80];
        let (address, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}/"));
        let started = Started { container: &name, address: &address, url: &url, has_healthcheck: true };
        bench.wait_until_ready(cx, docker, &Prober::here(), &started).await
    };
    Some(scene.stage(work).await.0)
}

#[tokio::test]
async fn an_application_that_answers_is_ready_when_its_healthcheck_says_so_too() {
    let (Some(well), Some(ill)) = (healthchecked("true").await, healthchecked("false").await) else { return };
    assert!(matches!(well, Outcome::Passed));
    let Outcome::Failed(fault) = ill else { panic!("its HEALTHCHECK was not asked") };
    assert_eq!(fault.what(), "the application was not ready within 5 s");
    let causes = fault.causes().join("; ");
    assert!(causes.starts_with("its HEALTHCHECK is unhealthy") && !causes.contains("GET"), "{causes}");
    assert!(fault.hints()[0].contains("HEALTHCHECK"), "{fault}");
}

#[tokio::test]
async fn copied_files_belong_to_a_user_whose_table_lies_behind_a_link() {
    let Some(scene) = Scene::new(&[]).await else { return };
    let work = async |cx: &StageCx, bench: &Bench<'_>, docker: &Docker, image: &str| {
        let name = bench.name("test", Place::Container);
        cx.cleanup(Undo::RemoveContainer { name: name.clone() });
        let spec = ContainerSpec { name, image: image.to_owned(), ..ContainerSpec::default() };
        let spec = ContainerSpec { command: Some(vec!["true".into()]), labels: bench.labels.clone(), ..spec };
        docker.create(&spec).await?;
        let facts = docker.image(image).await?.unwrap();
        let of = async |user: &str| {
            let facts = ImageFacts { user: user.into(), ..facts.clone() };
            owner::of_processes(cx, docker, &spec.name, &facts).await
        };
        assert_eq!(of("app:7").await?, Owner { uid: 1000, gid: 7 });
        assert_eq!(of("1000").await?, Owner { uid: 1000, gid: 1001 });
        Ok(())
    };
    let (outcome, warnings) = scene.stage(work).await;
    assert!(matches!(outcome, Outcome::Passed), "{outcome:?}");
    // The image has no table of groups.
    assert_eq!(warnings, Vec::<String>::new());
}
