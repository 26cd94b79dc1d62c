//! A version onto instances: read, pulled, started, watched.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ANSWER_LIMIT, ENVIRONMENT, INSTANCE, LINES, Nodes, TICK, WORLD, reported};
use crate::docker::{ContainerSpec, Labels, Login};
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::secret::Secret;
use crate::local::control::beanstalk::bundle;
use crate::local::control::beanstalk::model::Container;
use crate::local::control::beanstalk::work::{Cause, DeployWork, Placed};

/// How long a container has to end by itself when it is replaced.
const GRACE: Duration = Duration::from_secs(3);

/// A version as it is run.
struct Run {
    image_id: String,
    image: String,
    port: u16,
    entrypoint: Option<Vec<String>>,
    command: Option<Vec<String>>,
    variables: Vec<(String, String)>,
}

/// A deployment's log, which ends up as an object in Beanstalk's bucket (developer guide, "Deployment logs").
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

/// When somebody may remove an instance that nobody ended, in seconds: the life of a data plane.
const LIFE: i64 = 24 * 3600;

impl Log {
    async fn line(&self, line: impl Into<String>) {
        self.0.lock().await.push(line.into());
    }
}

impl Nodes {
    /// What came of a deployment on each instance, and the name of the image if it was pulled.
    pub(super) async fn deploy(&self, work: &DeployWork) -> (Vec<Placed>, Option<String>) {
        let log = Log::default();
        let (placed, image) = match self.prepare(work, &log).await {
            Err(cause) => {
                log.line(format!("[ERROR] {}", cause.message().unwrap_or("The deployment failed."))).await;
                let placed = |(instance, container): &(String, Option<Container>)| Placed {
                    instance: instance.clone(),
                    container: container.clone(),
                    failed: Some(cause),
                };
                (work.instances.iter().map(placed).collect(), None)
            }
            Ok(run) => {
                let all = work.instances.iter().map(|(instance, _)| self.place(work, &run, instance, &log));
                (join_all(all).await, Some(run.image))
            }
        };
        let key = format!(
            "resources/environments/logs/deployments/{}/eb-deployment-{}.log",
            work.environment, work.request_id
        );
        let text = log.0.into_inner().join("\n") + "\n";
        self.keep(&key, text).await.unwrap_or_else(|fault| reported(&fault));
        (placed, image)
    }

    /// Reads the bundle and pulls the image.
    async fn prepare(&self, work: &DeployWork, log: &Log) -> Result<Run, Cause> {
        if work.wants_secrets {
            return Err(Cause::NoSecrets);
        }
        log.line(format!("Reading the bundle s3://{}/{}", work.bucket, work.key)).await;
        let bytes = match self.beanstalk.objects().get(&work.bucket, &work.key).await {
            Ok(bytes) => bytes,
            Err(fault) => {
                log.line(fault.to_string()).await;
                return Err(Cause::BadBundle);
            }
        };
        let bundle = bundle::read(&bytes, &work.variables.iter().cloned().collect())?;
        let (image, port) = (&bundle.service.image, bundle.service.port);
        let name = image.reference();
        log.line(format!("Pulling {name}")).await;
        if work.pull_refused {
            return Err(Cause::RegistryRefused);
        }
        let login = match &bundle.authentication {
            _ if name.starts_with(&format!("{}/", self.ground.registry.host)) => Some(self.ground.registry.clone()),
            Some(place) => self.login(place, &name).await,
            None => None,
        };
        let here = match image.is_always_pulled() {
            true => None,
            false => self.docker.image(&name).await.ok().flatten().map(|facts| facts.id),
        };
        let id = match here {
            Some(id) => Ok(id),
            None => self.docker.pull(&name, login.as_ref()).await,
        };
        match id {
            Ok(id) => Ok(Run {
                image_id: id.as_str().to_owned(),
                image: name,
                port,
                entrypoint: bundle.service.entrypoint,
                command: bundle.service.command,
                variables: bundle.service.variables,
            }),
            Err(fault) => {
                log.line(fault.to_string()).await;
                Err(Cause::NotPulled)
            }
        }
    }

    /// The login for an image's registry in docker's configuration, which lies where the bundle says.
    async fn login(&self, place: &bundle::Authentication, image: &str) -> Option<Login> {
        let bytes = self.beanstalk.objects().get(&place.bucket, &place.key).await.ok()?;
        bundle::login(&bytes, image).map(|(host, username, password)| Login {
            host,
            username,
            password: Secret::new(password),
        })
    }

    /// Replaces what runs on an instance. All instances do this at once, so nobody serves for a moment: AllAtOnce.
    async fn place(&self, work: &DeployWork, run: &Run, instance: &str, log: &Log) -> Placed {
        let placed = |container, failed| Placed { instance: instance.to_owned(), container, failed };
        let (container, cause) = match self.start(work, run, instance).await {
            Ok(id) => match self.started(&id, run.port).await {
                Some(address) => {
                    log.line(format!("[Instance: {instance}] container {id} runs {}", run.image)).await;
                    return placed(Some(Container { id, image: run.image.clone(), address }), None);
                }
                None => (Some(id), Cause::Ended),
            },
            Err((container, fault)) => {
                log.line(format!("[Instance: {instance}] [ERROR] {fault}")).await;
                let cause = if container.is_some() { Cause::Ended } else { Cause::Unnamed };
                (container, cause)
            }
        };
        let message = cause.message().unwrap_or("The deployment failed.");
        log.line(format!("[Instance: {instance}] [ERROR] {message}")).await;
        let Some(id) = container else { return placed(None, Some(cause)) };
        for line in self.docker.last_lines(&id, LINES / 2).await.unwrap_or_default() {
            log.line(format!("[Instance: {instance}] {line}")).await;
        }
        // It stays for its logs until the next deployment; without an address nobody asks it anything.
        placed(Some(Container { id, image: run.image.clone(), address: String::new() }), Some(cause))
    }

    /// Starts an instance's new container, when the old one is gone. With a fault comes the container, if there is one.
    async fn start(&self, work: &DeployWork, run: &Run, instance: &str) -> Result<String, (Option<String>, Fault)> {
        let before = self.docker.containers_labelled(&format!("{INSTANCE}={instance}")).await;
        for old in before.map_err(|fault| (None, fault))? {
            self.docker.stop(&old.id, GRACE).await.map_err(|fault| (None, fault))?;
            self.docker.remove_container(&old.id).await.map_err(|fault| (None, fault))?;
        }
        let labels: Labels = HashMap::from([
            (WORLD.to_owned(), self.ground.world.clone()),
            (ENVIRONMENT.to_owned(), work.environment.clone()),
            (INSTANCE.to_owned(), instance.to_owned()),
            ("io.beanline.expires".to_owned(), (chrono::Utc::now().timestamp() + LIFE).to_string()),
        ]);
        let spec = ContainerSpec {
            name: format!("beanline-{}-{instance}-{}", work.environment, work.number),
            image: run.image_id.clone(),
            entrypoint: run.entrypoint.clone(),
            command: run.command.clone(),
            env: run.variables.iter().map(|(name, value)| (name.clone(), Secret::open(value))).collect(),
            labels,
            network: Some(self.ground.network.clone()),
            dns: self.ground.dns.clone(),
            ..ContainerSpec::default()
        };
        let id = self.docker.create(&spec).await.map_err(|fault| (None, fault))?;
        match self.docker.start(&id).await {
            Ok(()) => Ok(id),
            Err(fault) => Err((Some(id), fault)),
        }
    }

    /// Watches a new container until it answers anything, or has run long enough. `None`: it ended.
    async fn started(&self, container: &str, port: u16) -> Option<String> {
        let enough = Instant::now() + self.beanstalk.pace().watch;
        loop {
            let facts = self.docker.container(container).await.ok().flatten().filter(|facts| facts.running)?;
            let ip = facts.addresses.get(&self.ground.network)?;
            let address = SocketAddr::new(*ip, port).to_string();
            if Instant::now() >= enough || self.plane.ask(&address, "/", ANSWER_LIMIT).await.is_ok() {
                return Some(address);
            }
            pause(TICK).await;
        }
    }
}
