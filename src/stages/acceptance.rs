//! acceptance: the same tests in three places. In the container place the image is started as it would be on a node.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::build::BuiltImage;
use super::{LAST_LINES, app_environment, argv, http_check, pack, port_of, run_tests_in};
use crate::docker::{ContainerSpec, Docker, Labels};
use crate::engine::event::Fact;
use crate::engine::undo::Undo;
use crate::engine::{StageCx, in_words, retry};
use crate::fault::Fault;
use crate::inputs::{AppPlan, Place, Plan, Secret, SitePlan};
use crate::probe::client::{Prober, Standpoint};

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
        let url = format!("http://{APP}:{port}/");
        self.wait_until_ready(cx, docker, &prober, &app, image, &url).await?;
        let tested = self.run_tests(cx, Place::Container, &prober, &standpoint, image.id().as_str(), &url).await;
        match tested {
            Ok(()) => Ok(AcceptanceVerdict(())),
            Err(fault) => Err(with_log(fault, docker, &app).await),
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

    async fn wait_until_ready(
        &self,
        cx: &StageCx,
        docker: &Docker,
        prober: &Prober,
        app: &str,
        image: &BuiltImage,
        url: &str,
    ) -> Result<(), Fault> {
        let AppPlan { ready_path, ready_timeout, .. } = &self.plan.app;
        let began = Instant::now();
        cx.note(format!("waiting up to {} for {} on {ready_path}", in_words(*ready_timeout), url));
        loop {
            let not_yet = match docker.container(app).await? {
                Some(state) if state.running => {
                    let rest = ready_timeout.saturating_sub(began.elapsed()).max(Duration::from_millis(500));
                    let healthy = !image.facts().has_healthcheck || state.health.as_deref() == Some("healthy");
                    match prober
                        .http(http_check::question("GET", url, ready_path, self.plan.acceptance.verify_tls, rest))
                        .await
                    {
                        Ok(answer) if answer.status < 400 && healthy => break,
                        Ok(answer) if answer.status < 400 => "its HEALTHCHECK is not healthy yet".to_owned(),
                        Ok(answer) => format!("GET {ready_path} answered {}", answer.status),
                        Err(error) => error,
                    }
                }
                Some(state) => {
                    let how = match (state.out_of_memory, state.exit_code) {
                        (true, _) => "it ran out of memory".to_owned(),
                        (false, Some(code)) => format!("it exited with {code}"),
                        (false, None) => "it is not running".to_owned(),
                    };
                    return Err(with_log(
                        Fault::new("the application ended before it was ready").cause(how),
                        docker,
                        app,
                    )
                    .await);
                }
                None => return Err(Fault::new("the application's container is gone")),
            };
            if began.elapsed() >= *ready_timeout {
                let fault = Fault::new(format!("the application was not ready within {}", in_words(*ready_timeout)))
                    .cause(not_yet)
                    .hint("check `port` and `ready_path`, or raise `ready_timeout`");
                return Err(with_log(fault, docker, app).await);
            }
            retry::pause(Duration::from_millis(200)).await;
        }
        cx.note(format!("ready after {}", in_words(began.elapsed())));
        Ok(())
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
        for check in &tests.http {
            let checked = http_check::run(prober, check, url, tests.verify_tls).await;
            checked.map_err(|fault| self.advised(fault, place))?;
            cx.line(format!("{} {} {}", check.method, check.path, check.status));
        }
        if let (Some(_), Some(docker)) = (&tests.command, self.docker) {
            let tested = self.run_command(cx, docker, place, standpoint, image, url).await;
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

    async fn run_command(
        &self,
        cx: &StageCx,
        docker: &Docker,
        place: Place,
        standpoint: &Standpoint,
        image: &str,
        url: &str,
    ) -> Result<(), Fault> {
        let tests = &self.plan.acceptance;
        let Some(command) = &tests.command else { return Ok(()) };
        let name = self.name("test", place);
        let (entrypoint, arguments) = argv(command);
        let spec = ContainerSpec {
            name: name.clone(),
            image: image.to_owned(),
            entrypoint,
            command: arguments,
            env: app_environment(url, place),
            labels: self.labels.clone(),
            network: standpoint.network.clone(),
            dns: standpoint.dns.iter().map(std::net::IpAddr::to_string).collect(),
            unlogged: true,
            ..ContainerSpec::default()
        };
        cx.cleanup(Undo::RemoveContainer { name: name.clone() });
        docker.create(&spec).await?;
        if !tests.files.is_empty() {
            let directory = docker.image(image).await?.map(|facts| facts.working_dir).filter(|path| !path.is_empty());
            docker.put_tar(&name, directory.as_deref().unwrap_or("/"), pack(Path::new("."), &tests.files)?).await?;
        }
        let limit = ("acceptance_timeout", tests.timeout);
        run_tests_in(cx, docker, &name, command, limit, |fault| {
            fault.cause(format!("they asked {url} (BEANLINE_PLACE={})", place.word()))
        })
        .await
    }
}

/// Adds the application's own last words: they are the answer more often than anything else.
async fn with_log(fault: Fault, docker: &Docker, app: &str) -> Fault {
    if !fault.last_lines().is_empty() {
        return fault;
    }
    match docker.last_lines(app, LAST_LINES).await {
        Ok(lines) if lines.is_empty() => fault.cause("the application printed nothing"),
        Ok(lines) => fault.lines(lines),
        Err(error) => fault.cause(format!("its log could not be read: {error}")),
    }
}
