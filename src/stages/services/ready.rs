//! When a service is ready: healthy by its check; else its port takes a connection; else it runs.

use std::time::Duration;

use tokio::time::Instant;

use super::Ground;
use crate::docker::ContainerFacts;
use crate::engine::{in_words, retry};
use crate::fault::Fault;
use crate::inputs::{Condition, HealthCheck, ServicePlan};
use crate::probe::client::{Prober, Standpoint};

/// How long a service may take to be ready, and one that is meant to end to do so.
const LIMIT: Duration = Duration::from_secs(300);

/// Between two looks.
const LOOKS: Duration = Duration::from_millis(200);

/// How long a service that can be asked nothing must have run: many that end do so at once.
const SETTLED: Duration = Duration::from_secs(1);

/// After how long it is told once what a service is waited for.
const LONG: Duration = Duration::from_secs(20);

/// How long a port may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Nothing is waited for longer, whatever a health check says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long a service may take to be ready: as long as docker needs for a verdict by its own check, if that is longer.
pub(super) fn limit(service: &ServicePlan) -> Duration {
    let check = service.health_check.as_ref().map(HealthCheck::longest).unwrap_or_default();
    check.saturating_add(LIMIT / 10).clamp(LIMIT, LONGEST)
}

impl Ground<'_> {
    /// Waits until a service is ready, or has ended where it is meant to. Says how far it has come.
    pub(super) async fn wait(&self, service: &ServicePlan, container: &str) -> Result<Condition, Fault> {
        let (name, began, limit) = (&service.name, Instant::now(), limit(service));
        let ports = self.ports(service).await?;
        let mut told = false;
        loop {
            let facts = self.docker.container(container).await?;
            let facts = facts.ok_or_else(|| Fault::new(format!("the container of service {name} is gone")))?;
            if !facts.running {
                return self.ended(service, &facts, began);
            }
            let not_yet = self.not_yet(service, &facts, &ports, began).await?;
            let Some(not_yet) = not_yet else {
                let how = match (&facts.health, ports.numbers.as_slice()) {
                    (Some(_), _) => "is healthy",
                    (None, []) => "runs; it has no health check and no port to be asked",
                    (None, _) => "takes connections",
                };
                self.cx.note(format!("service {name} {how}, after {}", in_words(began.elapsed())));
                return Ok(Condition::Healthy);
            };
            if began.elapsed() >= limit {
                let fault = Fault::timed_out(format!("service {name} was not ready within {}", in_words(limit)));
                return Err(checked(fault.cause(not_yet), &facts).hint(
                    "set `healthcheck` for it; without one its `expose`d and published ports must take connections",
                ));
            }
            if !told && began.elapsed() >= LONG {
                told = true;
                self.cx
                    .note(format!("service {name} is not ready yet, after {}: {not_yet}", in_words(began.elapsed())));
            }
            retry::pause(LOOKS).await;
        }
    }

    /// Why a service that runs does not count as ready, if that is so.
    async fn not_yet(
        &self,
        service: &ServicePlan,
        facts: &ContainerFacts,
        ports: &Ports,
        began: Instant,
    ) -> Result<Option<String>, Fault> {
        match facts.health.as_deref() {
            _ if service.is_to_end => Ok(Some("it has not ended yet".to_owned())),
            Some("healthy") => Ok(None),
            Some("unhealthy") => {
                let fault = Fault::new(format!("service {} is unhealthy", service.name));
                Err(checked(fault, facts).hint("its last lines may say why; so may `healthcheck.test`"))
            }
            Some(_) => Ok(Some("its health check has not passed yet".to_owned())),
            None if !ports.numbers.is_empty() => self.refused(service, ports).await,
            None => Ok((began.elapsed() < SETTLED).then(|| "it has just started".to_owned())),
        }
    }

    /// Makes sure that no service has ended while others became ready.
    pub(super) async fn still_runs(&self, service: &ServicePlan, container: &str) -> Result<(), Fault> {
        let facts = self.docker.container(container).await?;
        match facts.filter(|facts| !facts.running && !service.is_to_end) {
            Some(facts) => self.ended(service, &facts, Instant::now()).map(drop),
            None => Ok(()),
        }
    }

    fn ended(&self, service: &ServicePlan, facts: &ContainerFacts, began: Instant) -> Result<Condition, Fault> {
        let name = &service.name;
        let code = facts.exit_code.unwrap_or_default();
        if service.is_to_end && code == 0 {
            self.cx.note(format!("service {name} has ended well, after {}", in_words(began.elapsed())));
            return Ok(Condition::Completed);
        }
        let what = if service.is_to_end { "did not end well" } else { "ended before the tests began" };
        let fault = Fault::new(format!("service {name} {what}"));
        let fault = match facts.out_of_memory {
            true => fault.cause("it ran out of memory and was killed"),
            false => fault.cause(format!("exit code {code}")),
        };
        Err(match code {
            0 => fault.hint(format!(
                "a service runs as long as the tests do; one that does something and ends is waited for by another \
                 that depends on {name} with `condition: service_completed_successfully`"
            )),
            _ => fault,
        })
    }

    /// What it is asked on when it has no health check.
    async fn ports(&self, service: &ServicePlan) -> Result<Ports, Fault> {
        if !service.ports.is_empty() {
            return Ok(Ports { numbers: service.ports.clone(), all: true });
        }
        // An image names every port that it might use.
        let image = self.docker.image(&service.image).await?;
        Ok(Ports { numbers: image.map(|image| image.ports).unwrap_or_default(), all: false })
    }

    /// Why a service without a health check does not count as ready.
    async fn refused(&self, service: &ServicePlan, ports: &Ports) -> Result<Option<String>, Fault> {
        let prober = self.prober.get_or_try_init(|| self.make(self.start_prober())).await?;
        let mut last = None;
        for port in &ports.numbers {
            let asked = prober.tcp(&format!("{}:{port}", service.name), CONNECT_LIMIT).await;
            match asked {
                Ok(()) if !ports.all => return Ok(None),
                Ok(()) => {}
                Err(error) if ports.all => return Ok(Some(format!("its port {port} takes no connection: {error}"))),
                Err(error) => last = Some(format!("its port {port} takes no connection: {error}")),
            }
        }
        Ok(last)
    }

    async fn start_prober(&self) -> Result<Prober, Fault> {
        let name = format!("beanline-{}-services-probe-{}", self.stage, self.plan.run_id);
        let standpoint = Standpoint { network: Some(self.network.to_owned()), dns: None };
        Prober::start(self.cx, self.docker, &name, &standpoint, self.labels).await
    }
}

/// Ports that a service is asked on.
struct Ports {
    numbers: Vec<u16>,
    /// Whether all of them must answer, or one.
    all: bool,
}

/// With what the last health check said.
fn checked(fault: Fault, facts: &ContainerFacts) -> Fault {
    match &facts.health_said {
        Some(said) => fault.cause(format!("its last health check: {said}")),
        None => fault,
    }
}
