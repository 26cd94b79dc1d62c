//! services: the containers that tests need beside the image. Each stage has a set and a network of its own, since stages
//! run side by side and what a test does to a database must not reach the tests of another.

mod fetch;
mod ready;
#[cfg(test)]
mod tests;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OnceCell, watch};

use std::time::Duration;

use crate::docker::{ContainerSpec, Docker, Extras, Labels};
use crate::engine::StageCx;
use crate::engine::undo::Undo;
use crate::fault::{Fault, cut};
use crate::inputs::{Condition, Plan, ServicePlan};
use crate::probe::client::Prober;

pub use fetch::{fetch, pull};

/// Lines of each service that a failure shows; fewer when there are many services.
const LINES_EACH: usize = 20;

/// About how many lines of all services together a failure shows.
const LINES: usize = 120;

/// Longest line of a service that a failure shows, in letters.
const LONGEST_LINE: usize = 300;

/// The services of one stage, up and ready.
#[derive(Debug, Default)]
pub struct Services {
    network: Option<String>,
    /// Each service's name, container, and whether it is to end.
    members: Vec<(String, String, bool)>,
}

/// Where services are started, and for whom.
struct Ground<'a> {
    cx: &'a StageCx,
    docker: &'a Docker,
    plan: &'a Plan,
    labels: &'a Labels,
    /// The stage's word, which the names of containers hold.
    stage: &'a str,
    network: &'a str,
    /// Asks from inside the network; started for the first service that has no health check.
    prober: OnceCell<Prober>,
    /// How many things the daemon is making for us right now.
    making: watch::Sender<usize>,
}

/// How long all services of a stage may take to be ready.
pub fn time(plan: &Plan) -> Duration {
    plan.services.iter().map(ready::limit).sum()
}

/// Starts the services on a network of their own, which is not made when there are none. See [`join`].
///
/// # Errors
/// As [`join`]; the network cannot be made.
pub async fn up(cx: &StageCx, docker: &Docker, plan: &Plan, labels: &Labels, stage: &str) -> Result<Services, Fault> {
    if plan.services.is_empty() {
        return Ok(Services::default());
    }
    let network = format!("beanline-{stage}-{}", plan.run_id);
    // Cleaned up newest first: containers leave the network before it goes.
    cx.cleanup(Undo::RemoveNetwork { name: network.clone() });
    docker.create_network(&network, labels).await?;
    let services = join(cx, docker, plan, labels, stage, &network).await?;
    Ok(Services { network: Some(network), ..services })
}

/// Starts the services on a network that is there, each when those that it depends on are as far as it wants, and waits
/// until all are ready. They are removed when the stage ends.
///
/// # Errors
/// A service ends, is unhealthy, or is not ready in time; with its last lines.
pub async fn join(
    cx: &StageCx,
    docker: &Docker,
    plan: &Plan,
    labels: &Labels,
    stage: &str,
    network: &str,
) -> Result<Services, Fault> {
    if plan.services.is_empty() {
        return Ok(Services::default());
    }
    let names: Vec<&str> = plan.services.iter().map(|service| service.name.as_str()).collect();
    cx.note(format!("starting services: {}", names.join(", ")));
    let ground =
        Ground { cx, docker, plan, labels, stage, network, prober: OnceCell::new(), making: watch::Sender::new(0) };
    ground.bring_all_up().await?;
    for service in &plan.services {
        let container = ground.container(service);
        if let Err(fault) = ground.still_runs(service, &container).await {
            return Err(with_log(fault, docker, (&service.name, &container), LINES_EACH).await);
        }
    }
    let member = |service: &ServicePlan| (service.name.clone(), ground.container(service), service.is_to_end);
    Ok(Services { network: None, members: plan.services.iter().map(member).collect() })
}

impl Services {
    /// The network that was made for them; `None` when there are none.
    pub fn network(&self) -> Option<&str> {
        self.network.as_deref()
    }

    /// Adds what the services have to say to a failure of the tests: which of them ended meanwhile, and their last lines.
    pub async fn explain(&self, mut fault: Fault, docker: &Docker) -> Fault {
        let each = (LINES / self.members.len().max(1)).clamp(1, LINES_EACH);
        for (name, container, is_to_end) in &self.members {
            if let Ok(Some(facts)) = docker.container(container).await
                && let Some(code) = facts.exit_code
                && !is_to_end
            {
                fault = fault.cause(format!("service {name} ended with {code} meanwhile"));
            }
            fault = with_log(fault, docker, (name, container), each).await;
        }
        fault
    }
}

impl Ground<'_> {
    /// The name of a service's container.
    fn container(&self, service: &ServicePlan) -> String {
        format!("beanline-{}-service-{}-{}", self.stage, service.name, self.plan.run_id)
    }

    /// Starts all services, and waits until each is ready. When one fails, the others are waited for no longer; only what
    /// is being made is made to its end: cleaning up asks for it once, and would not find it yet.
    async fn bring_all_up(&self) -> Result<(), Fault> {
        let services = &self.plan.services;
        let reached: Vec<_> = services.iter().map(|service| (&*service.name, watch::Sender::new(None))).collect();
        let mut starts: FuturesUnordered<_> = services.iter().map(|service| self.bring_up(service, &reached)).collect();
        while let Some(started) = starts.next().await {
            if let Err(fault) = started {
                let mut making = self.making.subscribe();
                tokio::select! {
                    // It cannot fail: we hold the sender.
                    _ = making.wait_for(|count| *count == 0) => {}
                    // What else goes wrong meanwhile is most often the same again.
                    () = async { while starts.next().await.is_some() {} } => {}
                }
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Does something after which there is more to clean up.
    async fn make<T>(&self, making: impl Future<Output = T>) -> T {
        self.making.send_modify(|count| *count += 1);
        let made = making.await;
        self.making.send_modify(|count| *count -= 1);
        made
    }

    /// Starts one service when its turn has come, and waits until it is ready, or has ended where it is meant to.
    async fn bring_up(
        &self,
        service: &ServicePlan,
        reached: &[(&str, watch::Sender<Option<Condition>>)],
    ) -> Result<(), Fault> {
        let of = |name: &str| reached.iter().find(|(known, _)| *known == name).map(|(_, reached)| reached);
        for (name, wanted) in &service.depends_on {
            let Some(other) = of(name) else { continue };
            // It cannot fail: the senders outlive this. One that never gets there ends all of us.
            let _ = other.subscribe().wait_for(|reached| *reached >= Some(*wanted)).await;
        }
        let tell = |condition| of(&service.name).map(|own| own.send_replace(Some(condition)));
        let container = self.container(service);
        self.cx.cleanup(Undo::RemoveContainer { name: container.clone() });
        self.make(self.docker.create(&self.spec(service, &container))).await?;
        self.docker.start(&container).await?;
        tell(Condition::Started);
        match self.wait(service, &container).await {
            Ok(condition) => {
                tell(condition);
                Ok(())
            }
            Err(fault) => Err(with_log(fault, self.docker, (&service.name, &container), LINES_EACH).await),
        }
    }

    fn spec(&self, service: &ServicePlan, container: &str) -> ContainerSpec {
        let mut labels: Labels = service.labels.iter().cloned().collect();
        labels.extend(self.labels.clone());
        ContainerSpec {
            name: container.to_owned(),
            image: service.image.clone(),
            entrypoint: service.entrypoint.clone(),
            command: service.command.clone(),
            env: service.env.clone(),
            labels,
            network: Some(self.network.to_owned()),
            aliases: [&service.name].into_iter().chain(&service.aliases).cloned().collect(),
            memory: service.memory,
            extras: Extras {
                user: service.user.clone(),
                working_dir: service.working_dir.clone(),
                hostname: service.hostname.clone(),
                tmpfs: service.tmpfs.clone(),
                shm_size: service.shm_size,
                init: service.init,
                health_check: service.health_check.clone(),
            },
            ..ContainerSpec::default()
        }
    }
}

/// Adds the last lines of a service.
async fn with_log(fault: Fault, docker: &Docker, (name, container): (&str, &str), count: usize) -> Fault {
    match docker.last_lines(container, count).await {
        Ok(lines) => with_lines(fault, name, &lines),
        Err(error) => fault.lines([format!("the log of service {name} could not be read: {error}")]),
    }
}

/// Nothing stands before a line: the mask knows what a line continues by its beginning.
fn with_lines(fault: Fault, name: &str, lines: &[String]) -> Fault {
    if lines.is_empty() {
        return fault.lines([format!("service {name} printed nothing")]);
    }
    let lines = lines.iter().map(|line| cut(line, LONGEST_LINE));
    fault.lines([format!("the last lines of service {name}:")]).lines(lines)
}
