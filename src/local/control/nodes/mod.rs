//! The nodes of the local Beanstalk: instances are containers, started from the image that they pull by the name in the
//! bundle.

mod deploy;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinSet;

use super::beanstalk::model::Reading;
use super::beanstalk::work::{Lines, Outcome, RemoveWork, TailWork, Work};
use super::beanstalk::{self, Beanstalk};
use crate::docker::{Docker, Login};
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::local::plane::{PlaneClient, Route, RouteTable};

/// How long an instance may take to answer a question about its health (Elastic Load Balancing's default).
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked whether a new container runs, and how often whether operations are due, at most.
const TICK: Duration = Duration::from_millis(100);

/// Lines of an instance's log that are handed out (developer guide, "Viewing logs": the last hundred).
const LINES: usize = 100;

/// The files that a tail is made of, each headed by its name between two rules.
const APP_LOG: &str = "/var/log/eb-docker/containers/eb-current-app/stdouterr.log";
const ENGINE_LOG: &str = "/var/log/eb-engine.log";
const RULE: &str = "----------------------------------------";

/// Labels of an instance's container.
const WORLD: &str = "io.beanline.world";
const ENVIRONMENT: &str = "io.beanline.environment";
const INSTANCE: &str = "io.beanline.instance";

/// What the nodes stand on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The world's id, which every container is labelled with.
    pub world: String,
    /// The docker network that the containers join.
    pub network: String,
    /// The DNS servers that they ask.
    pub dns: Vec<String>,
    /// What the nodes may pull from: the world's registry.
    pub registry: Login,
}

/// Runs the containers of a [`Beanstalk`], asks them how they are, and keeps the data plane's routes right.
pub struct Nodes {
    beanstalk: Beanstalk,
    docker: Docker,
    plane: PlaneClient,
    ground: Ground,
    /// Held for reading while a deployment uses images that the state does not know of yet, for writing while images
    /// are removed.
    images: RwLock<()>,
    /// The routes that the data plane has.
    routed: Mutex<Option<RouteTable>>,
}

impl Nodes {
    /// Nodes of `beanstalk` on `ground`. Nothing happens before [`Nodes::run`].
    pub fn new(beanstalk: Beanstalk, docker: Docker, plane: PlaneClient, ground: Ground) -> Arc<Self> {
        Arc::new(Self { beanstalk, docker, plane, ground, images: RwLock::new(()), routed: Mutex::default() })
    }

    /// Does what is due, for ever. Dropping this stops it; what was under way is taken up again by the next.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.clone().work(), self.watch());
    }

    async fn work(self: Arc<Self>) {
        let mut works = JoinSet::new();
        let tick = TICK.min(self.beanstalk.pace().step / 2).max(Duration::from_millis(10));
        loop {
            for (operation, work) in self.beanstalk.due().unwrap_or_else(|fault| reported(&fault)) {
                let nodes = self.clone();
                works.spawn(async move { nodes.carry_out(operation, work).await });
            }
            while works.try_join_next().is_some() {}
            // Now and not with the next answers: whoever hears that a swap is done may be gone by then, and we with it.
            self.route().await;
            pause(tick).await;
        }
    }

    /// Asks all instances how they are, and routes requests to those that are well.
    async fn watch(&self) {
        loop {
            let questions = self.beanstalk.questions();
            let ask = questions.iter().map(|(container, address, path)| async move {
                (container.clone(), self.reading(container, address, path).await)
            });
            let answers = join_all(ask).await;
            self.beanstalk.heard(&answers).unwrap_or_else(|fault| reported(&fault));
            self.route().await;
            pause(self.beanstalk.pace().ask_every).await;
        }
    }

    async fn reading(&self, container: &str, address: &str, path: &str) -> Reading {
        // One lost answer is no illness; the real load balancer wants several in a row too.
        for _ in 0..2 {
            if let Ok(status) = self.plane.ask(address, path, ANSWER_LIMIT).await {
                return Reading::Answered(status);
            }
        }
        match self.docker.container(container).await {
            Ok(Some(facts)) if facts.running => Reading::Silent,
            Ok(_) => Reading::Ended,
            Err(_) => Reading::Silent,
        }
    }

    /// Sends the routes when they have changed. A plane that did not take them gets them again.
    async fn route(&self) {
        let mut routed = self.routed.lock().await;
        let ways = self.beanstalk.ways().into_iter();
        let hosts =
            ways.map(|(cname, way)| (cname, Route { endpoint: way.endpoint, backends: way.backends })).collect();
        let table = RouteTable { hosts };
        if routed.as_ref() != Some(&table) {
            match self.plane.route(&table).await {
                Ok(()) => *routed = Some(table),
                Err(fault) => reported(&fault),
            }
        }
    }

    async fn carry_out(&self, operation: u64, work: Work) {
        let finish = |outcome| self.beanstalk.finish(operation, outcome).unwrap_or_else(|fault| reported(&fault));
        let mut images = match work {
            Work::Deploy(work) => {
                let _in_use = self.images.read().await;
                let (placed, image) = self.deploy(&work).await;
                finish(Outcome::Placed(placed));
                let before = work.instances.into_iter().filter_map(|(_, container)| Some(container?.image));
                before.chain(image).collect()
            }
            Work::Remove(work) => {
                self.remove(&work).await;
                finish(Outcome::Removed);
                work.images
            }
            Work::Tail(work) => {
                finish(Outcome::Tailed(self.tail(&work).await));
                return;
            }
        };
        images.sort_unstable();
        images.dedup();
        let _nobody_else = self.images.write().await;
        for image in self.beanstalk.unused(&images) {
            self.docker.remove_image(&image).await.unwrap_or_else(|fault| reported(&fault));
        }
    }

    async fn remove(&self, work: &RemoveWork) {
        let label = format!("{ENVIRONMENT}={}", work.environment);
        let found = self.docker.containers_labelled(&label).await.unwrap_or_else(|fault| reported(&fault));
        for container in found {
            let instance = container.labels.get(INSTANCE);
            if work.instances.is_empty() || instance.is_some_and(|instance| work.instances.contains(instance)) {
                self.docker.remove_container(&container.id).await.unwrap_or_else(|fault| reported(&fault));
            }
        }
    }

    /// Writes each instance's last lines to Beanstalk's bucket: instances, and links to what was written.
    async fn tail(&self, work: &TailWork) -> Vec<(String, String)> {
        let mut links = Vec::new();
        for (instance, lines) in &work.instances {
            let written = async {
                let (file, lines) = match lines {
                    Lines::Container(container) => (APP_LOG, self.docker.last_lines(container, LINES).await?),
                    Lines::Engine(lines) => (ENGINE_LOG, lines.clone()),
                };
                let heading = format!("{RULE}\n{file}\n{RULE}");
                let (environment, name) = (&work.environment, uuid::Uuid::new_v4());
                let key = format!("resources/environments/logs/tail/{environment}/{instance}/TailLogs-{name}.out");
                self.keep(&key, format!("{heading}\n{}\n", lines.join("\n"))).await?;
                self.beanstalk.objects().link(&beanstalk::bucket(), &key)
            };
            match written.await {
                Ok(link) => links.push((instance.clone(), link)),
                Err(fault) => reported(&fault),
            }
        }
        links
    }

    async fn keep(&self, key: &str, text: String) -> Result<(), Fault> {
        let bucket = beanstalk::bucket();
        self.beanstalk.objects().make_bucket(&bucket).await?;
        self.beanstalk.objects().put(&bucket, key, text.into_bytes()).await
    }
}

/// Nobody waits for the nodes, so what goes wrong on them is logged.
fn reported<T: Default>(fault: &Fault) -> T {
    tracing::warn!("local cloud: {fault}");
    T::default()
}
