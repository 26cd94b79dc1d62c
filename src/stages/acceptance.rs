//! acceptance: the same tests in three places. In the container place the image is started as it would be on a node.

mod program;
mod ready;
#[cfg(test)]
mod tests;

use super::build::BuiltImage;
use super::{LAST_LINES, TimeLimit, http_check, port_of, services};
use crate::docker::{ContainerSpec, Docker, Labels};
use crate::engine::event::Fact;
use crate::engine::undo::Undo;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::inputs::{Place, Plan, Secret, SitePlan};
use crate::probe::client::{Prober, Standpoint};
pub use program::{build, fetch};
use ready::{Started, how_it_ended};

/// Name of the application's container inside the test network.
const APP: &str = "app";

/// Proof that the image ran, became ready and passed the acceptance tests that were asked for.
#[derive(Debug)]
pub struct AcceptanceVerdict(());

impl AcceptanceVerdict {
    /// Acceptance in a container was switched off, and the report has said so.
    pub fn not_requested() -> Self {
        Self(())
    }
}

/// What every place needs.
pub struct Bench<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The daemon, if the run has one.
    pub docker: Option<&'a Docker>,
    /// Labels for containers and networks.
    pub labels: &'a Labels,
    /// The image that a test program runs in, where that is not the application's own.
    pub tests_in: Option<&'a str>,
}

impl Bench<'_> {
    fn name(&self, what: &str, place: Place) -> String {
        format!("beanline-{what}-{}-{}", place.word(), self.plan.run_id)
    }

    /// Starts the image in a network of its own, waits until it is ready, and runs the tests against it.
    ///
    /// # Errors
    /// When it exits, does not become ready in time, or a test does not pass.
    pub async fn container(
        &self,
        cx: &StageCx,
        docker: &Docker,
        image: &BuiltImage,
    ) -> Result<AcceptanceVerdict, Fault> {
        let port = port_of(&image.facts().ports, self.plan.app.port)?;
        let network = format!("beanline-{}", self.plan.run_id);
        // Cleaned up newest first: containers leave the network before it goes.
        cx.cleanup(Undo::RemoveNetwork { name: network.clone() });
        docker.create_network(&network, self.labels).await?;
        let services = services::join(cx, docker, self.plan, self.labels, "container", &network).await?;
        let standpoint = Standpoint { network: Some(network.clone()), dns: None };
        let app = self.name("app", Place::Container);
        let mut env = self.plan.app.env.clone();
        env.push(("BEANLINE_PLACE".into(), Secret::open(Place::Container.word())));
        let spec = ContainerSpec {
            name: app.clone(),
            image: image.id().to_string(),
            env,
            labels: self.labels.clone(),
            network: Some(network),
            aliases: vec![APP.into()],
            ..ContainerSpec::default()
        };
        cx.cleanup(Undo::RemoveContainer { name: app.clone() });
        docker.create(&spec).await?;
        docker.start(&app).await?;
        let prober = Prober::start(cx, docker, &self.name("probe", Place::Container), &standpoint, self.labels).await?;
        let address = format!("{APP}:{port}");
        let url = format!("http://{address}/");
        let has_healthcheck = image.facts().has_healthcheck;
        let started = Started { container: &app, address: &address, url: &url, has_healthcheck };
        if let Err(fault) = self.wait_until_ready(cx, docker, &prober, &started).await {
            return Err(services.explain(fault, docker).await);
        }
        let tested = self.run_tests(cx, Place::Container, &prober, &standpoint, image.id().as_str(), &url).await;
        match tested {
            Ok(()) => Ok(AcceptanceVerdict(())),
            Err(fault) => Err(services.explain(with_app(fault, docker, &app).await, docker).await),
        }
    }

    /// Runs the tests against an environment.
    ///
    /// # Errors
    /// When a test does not pass.
    pub async fn environment(
        &self,
        cx: &StageCx,
        place: Place,
        standpoint: &Standpoint,
        image: &str,
        url: &str,
    ) -> Result<(), Fault> {
        let prober = match self.docker {
            Some(docker) => Prober::start(cx, docker, &self.name("probe", place), standpoint, self.labels).await?,
            None => Prober::here(),
        };
        self.run_tests(cx, place, &prober, standpoint, image, url).await
    }

    async fn run_tests(
        &self,
        cx: &StageCx,
        place: Place,
        prober: &Prober,
        standpoint: &Standpoint,
        image: &str,
        url: &str,
    ) -> Result<(), Fault> {
        let tests = &self.plan.acceptance;
        if !tests.has_tests_on(place) {
            return Ok(());
        }
        // One for checks and program together: the stage has no more.
        let limit = TimeLimit::from_now("acceptance_timeout", tests.timeout);
        let checks = http_check::run(cx, prober, &tests.http, url, tests.verify_tls);
        let checked = tokio::time::timeout_at(limit.until, checks).await.unwrap_or_else(|_| {
            let what = format!("the acceptance checks did not end within {}", in_words(tests.timeout));
            Err(Fault::timed_out(what).hint("raise `acceptance_timeout`, or set `within` for those that take long"))
        });
        checked.map_err(|fault| self.advised(fault, place))?;
        if let (Some(command), Some(docker)) = (&tests.command, self.docker) {
            let tested = self.run_program(cx, docker, (command, limit), place, standpoint, (image, url)).await;
            tested.map_err(|fault| self.advised(fault, place))?;
        }
        let checks = tests.http.len() + usize::from(tests.command.is_some());
        cx.fact(Fact::Accepted { url: url.to_owned(), checks });
        Ok(())
    }

    /// With what to do about tests that failed in this place.
    fn advised(&self, fault: Fault, place: Place) -> Fault {
        let keeps = self.plan.sites.iter().any(|SitePlan::Beanstalk(site)| site.keep_failed);
        let fault = match place {
            Place::Candidate if !keeps => {
                fault.hint("to look at the candidate, set `keep_failed: true`: then it stays when its tests fail")
            }
            Place::Container | Place::Candidate | Place::Live => fault,
        };
        match place {
            Place::Container => fault.hint("if they fail only now and then, run again: nothing was pushed"),
            Place::Candidate | Place::Live => {
                fault.hint("if they fail only now and then, run again; `run: deploy` takes the image that was pushed")
            }
        }
    }
}

/// Adds the application's own last words: they are the answer more often than anything else.
async fn with_log(fault: Fault, docker: &Docker, app: &str) -> Fault {
    match docker.last_lines(app, LAST_LINES).await {
        Ok(lines) if lines.is_empty() => fault.cause("the application printed nothing"),
        Ok(lines) if fault.last_lines().is_empty() => fault.lines(lines),
        Ok(lines) => fault.lines(["", "the last lines of the application:"]).lines(lines),
        Err(error) => fault.cause(format!("its log could not be read: {error}")),
    }
}

/// Adds to failed tests what the application has to say of itself: that it has ended, and its last words.
async fn with_app(fault: Fault, docker: &Docker, app: &str) -> Fault {
    let fault = match docker.container(app).await {
        Ok(Some(facts)) if !facts.running => {
            fault.cause(format!("the application has ended meanwhile: {}", how_it_ended(&facts)))
        }
        _ => fault,
    };
    with_log(fault, docker, app).await
}
