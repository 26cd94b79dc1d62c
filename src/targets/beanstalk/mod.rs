//! AWS Elastic Beanstalk: a candidate environment gets the image, takes the live CNAME over, and the previous one goes.

pub mod api;
pub mod bundle;
pub mod call;
pub mod events;
pub mod history;
pub mod operation;
pub mod pace;
pub mod platform;
pub mod verdict;
pub mod wait;
pub mod watcher;

mod clean_up;
mod denied;
mod environment;
mod hints;
mod journal;
mod live;
mod logs;
mod names;
mod resume;
mod since;
mod survey;
mod swap;
mod undo;
mod version;
#[cfg(test)]
mod wire_tests;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::engine::StageCx;
use crate::engine::event::{Fact, Role};
use crate::engine::journal::book::Book;
use crate::engine::journal::{Good, Previous};
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::image::{Digest, TaggedRef};
use crate::inputs::BeanstalkPlan;
use api::Api;
use call::{Told, again};
pub use journal::Journals;
use journal::Progress;
use operation::Operation;
use pace::Pace;
use resume::Start;
use serde::{Deserialize, Serialize};
use verdict::{Demand, Proof, Witness};
use watcher::Watcher;

/// One site on Elastic Beanstalk, blue-green.
pub struct Beanstalk {
    api: Api,
    plan: BeanstalkPlan,
    context: SiteContext,
    region: String,
    pace: Pace,
    watcher: Watcher,
    /// When this run swapped: resolvers may hold the old address for a while after it.
    swapped: Cell<Option<Instant>>,
    /// A swap that was sent and not seen to its end: it may begin although nobody waits for it any more.
    sent_swap: RefCell<Option<Operation>>,
    /// The name of an environment that was asked for: it may show although nobody waits for it any more.
    asked_for: RefCell<Option<String>>,
    /// The name of a template that was asked for and not answered: it may appear although nobody waits for it any more.
    asked_template: RefCell<Option<String>>,
    /// The run's hold on the site, once it has it.
    book: OnceCell<Book<Progress>>,
    /// Whether it may not use the journal.
    journal_is_denied: Cell<bool>,
    /// What was handed over and is not in the journal yet.
    handed: RefCell<Option<(Good, Option<Previous>)>>,
    /// Whether live ran this very deployment before the run.
    stood: Cell<bool>,
    /// Earlier runs whose work this one goes on with, or undoes: what they made is ours.
    adopted: RefCell<Vec<String>>,
    /// Whether the candidate passed its tests in an earlier run.
    accepted: Cell<bool>,
}

/// What a site must know of the run.
pub struct SiteContext {
    /// This attempt.
    pub run_id: String,
    /// What the run is about; the candidate's name comes from it.
    pub run_key: String,
    /// The commit, for people who read a description.
    pub revision: String,
    /// Where the run's log is.
    pub run_url: Option<String>,
    /// The CI job that it runs in, if it does: a job has one run at a time.
    pub job: Option<String>,
    /// What the run is about, for people.
    pub about: String,
    /// How long after its creation what the run makes may be removed by others.
    pub lifetime: Duration,
    /// The cloud's time.
    pub clock: Clock,
    /// Where journals are, when they are not in S3.
    pub journals: Option<Journals>,
    /// The address with scheme under which a CNAME is reached.
    pub url_of: Rc<dyn Fn(&str) -> String>,
}

/// The image that is deployed.
#[derive(Clone, Debug)]
pub struct ImageToDeploy {
    /// The name that stands in the bundle.
    pub image: TaggedRef,
    /// What the registry says the name resolves to.
    pub digest: Digest,
    /// The image id, when this run built it.
    pub image_id: Option<Digest>,
    /// The port that it listens on.
    pub port: u16,
}

/// What is there before anything is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The region.
    pub region: String,
    /// Whether the application is there.
    pub application_exists: bool,
    /// The environment that holds the live CNAME; `None` when the first is to be made.
    pub live: Option<Live>,
    /// The live CNAME's prefix.
    pub live_prefix: String,
    /// The live CNAME.
    pub live_cname: String,
    /// The name that the candidate is given, if nobody else takes it meanwhile.
    pub candidate_name: String,
    /// The platform of a first environment.
    pub solution_stack: Option<String>,
    /// Which of the candidate's possible names it is.
    attempt: u32,
}

/// The live environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Its id.
    pub environment_id: String,
    /// Its name.
    pub name: String,
    /// The version that it runs.
    pub version_label: String,
    /// Its CNAME at the time of the survey.
    pub cname: String,
}

/// The environment that has the new image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub environment_id: String,
    /// Its name.
    pub name: String,
    /// Its CNAME before the swap.
    pub cname: String,
    /// The version that it runs.
    pub version_label: String,
    /// What it is to the live CNAME.
    pub standing: Standing,
}

/// What an environment with the new image is to the live CNAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not live yet.
    Apart,
    /// Live from its creation on: the first environment.
    First,
    /// Live by the swap of an earlier run that did not reach its end.
    Swapped,
    /// Live since before this run, which has nothing to deploy.
    Before,
}

/// A deployment up to its verdict.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// What was there when it began.
    pub survey: Survey,
    /// The environment that has the image.
    pub candidate: Candidate,
}

/// What a swap came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// The live CNAME, now the candidate's.
    pub live_cname: String,
    /// What the live CNAME points to now: the load balancer's name, or an address.
    pub endpoint: String,
    /// The environment that was live before; it holds what was the candidate's CNAME.
    pub previous: Option<Live>,
}

impl Beanstalk {
    /// A site; starts the task that watches its environments. `path_style` for object stores without a name per bucket.
    pub fn new(sdk: &SdkConfig, path_style: bool, plan: BeanstalkPlan, context: SiteContext) -> Self {
        let region = sdk.region().map(ToString::to_string).unwrap_or_default();
        let (api, pace) = (Api::new(sdk, path_style), Pace::of(&region));
        let watcher = Watcher::start(api.clone(), pace, context.clock.clone());
        Self {
            api,
            plan,
            context,
            region,
            pace,
            watcher,
            swapped: Cell::default(),
            sent_swap: RefCell::default(),
            asked_for: RefCell::default(),
            asked_template: RefCell::default(),
            book: OnceCell::new(),
            journal_is_denied: Cell::default(),
            handed: RefCell::default(),
            stood: Cell::default(),
            adopted: RefCell::default(),
            accepted: Cell::default(),
        }
    }

    /// What was asked for at this site.
    pub fn plan(&self) -> &BeanstalkPlan {
        &self.plan
    }

    /// Brings the image up in an environment of its own: bundle, application version, environment, verdict. The site is
    /// this run's from the begin on, and what an earlier run of the same deployment made is taken over.
    ///
    /// # Errors
    /// Why it did not come up, with the last lines of its logs. What was made stands on the undo stack.
    pub async fn deploy(&self, cx: &StageCx, surveyed: &Survey, image: &ImageToDeploy) -> Result<Deployed, Fault> {
        let bundle = bundle::of_image(&image.image, image.port)?;
        let (survey, made) = match self.begin(cx, surveyed, image).await? {
            Start::Standing(survey, environment) => {
                self.stood.set(true);
                cx.fact(Fact::Version { label: self.plan.version_label.clone(), reused: true });
                if let Some(previous) = &survey.live {
                    let (name, version) = (previous.name.clone(), previous.version_label.clone());
                    cx.fact(Fact::Previous { name, version });
                }
                let candidate = self.candidate(cx, *environment, Standing::Before);
                return Ok(Deployed { survey, candidate });
            }
            Start::Resumed(survey, environment) => {
                self.make_version(cx, image, &bundle).await?;
                let (name, environment_id) = (environment.name.clone(), environment.id.clone());
                (survey, environment::Request { name, environment_id, request_id: None })
            }
            Start::New(survey) => {
                let made = self.make(cx, &survey, image, &bundle).await?;
                (survey, made)
            }
        };
        let candidate = self.verdict_on(cx, &survey, &made).await?;
        Ok(Deployed { survey, candidate })
    }

    /// Makes what the deployment needs, and asks for its environment.
    async fn make(
        &self,
        cx: &StageCx,
        survey: &Survey,
        image: &ImageToDeploy,
        bundle: &bundle::Bundle,
    ) -> Result<environment::Request, Fault> {
        if !survey.application_exists {
            self.make_application(cx).await?;
        }
        self.make_version(cx, image, bundle).await?;
        let template = match &survey.live {
            Some(live) => Some(self.make_template(cx, live).await?),
            None => None,
        };
        let made = self.make_environment(cx, survey, template.as_deref()).await;
        if let Some(template) = template {
            self.drop_template(cx, template).await?;
        }
        made
    }

    /// Waits for the verdict on the environment that was asked for.
    async fn verdict_on(&self, cx: &StageCx, survey: &Survey, made: &environment::Request) -> Result<Candidate, Fault> {
        let operation = made.operation(&self.plan.version_label);
        let limit = self.plan.deploy_timeout;
        let concluded = wait::conclude(&self.watcher, Some(cx), &operation, &self.demand(), limit).await;
        let fault = match concluded.map(|concluded| (concluded.proof, concluded.environment)) {
            Ok((proof, Some(environment))) => {
                self.say_proof(cx, proof, &environment.name);
                let standing = match survey.live {
                    None => Standing::First,
                    Some(_) if environment.cname == survey.live_cname => Standing::Swapped,
                    Some(_) => Standing::Apart,
                };
                return Ok(self.candidate(cx, environment, standing));
            }
            Ok((_, None)) => Fault::new(format!("environment {} is gone", made.name)),
            Err(fault) => fault,
        };
        Err(hints::with_hints(logs::with_logs(&self.api, cx, made, &self.pace, fault).await))
    }

    fn candidate(&self, cx: &StageCx, environment: platform::Environment, standing: Standing) -> Candidate {
        let role = if standing == Standing::Apart { Role::Candidate } else { Role::Live };
        let (name, id, cname) = (environment.name, environment.id, environment.cname);
        cx.fact(Fact::Environment { role, name: name.clone(), id: id.clone(), url: (self.context.url_of)(&cname) });
        let version_label = self.plan.version_label.clone();
        Candidate { environment_id: id, name, cname, version_label, standing }
    }

    /// What stays of a run that failed because `keep_failed` asks for it, whichever stage it failed in. To be asked of
    /// everything that is to be undone, before anything is; what is kept is not to be performed. `None` when it is.
    pub async fn keeps(&self, undo: &Undo) -> Option<Fact> {
        if self.plan.keep_failed { undo::keeps(self, undo).await } else { None }
    }

    /// Puts one thing back. Doing it twice changes nothing the second time. Noted on the receipt is that the platform goes
    /// on by itself.
    ///
    /// # Errors
    /// Why it could not be done; nothing else is tried then.
    pub async fn perform(&self, undo: &Undo, receipt: &Receipt) -> Result<(), Fault> {
        // Else what it would undo is another run's by now.
        self.hold().await.map_err(call::ApiError::into_fault)?;
        undo::perform(self, undo, receipt).await
    }

    fn demand(&self) -> Demand {
        Demand {
            minimum_health: self.plan.minimum_health,
            healthy_for: self.plan.healthy_for,
            health_timeout: self.plan.health_timeout,
            late_events: self.pace.late_events,
            rolled_back_after: Duration::from_secs(30),
            unconfirmed_after: Duration::from_secs(60),
        }
    }

    fn say_proof(&self, cx: &StageCx, proof: Proof, name: &str) {
        if proof.by == Witness::State {
            cx.note("no success event came within a minute; every instance reports the version, which counts instead");
        }
        cx.note(match proof.instances {
            Some(count) => format!("{count} of {count} instances of {name} run version {}", self.plan.version_label),
            None => format!("{name} has basic health: its instances cannot be asked one by one"),
        });
    }

    /// What ends a candidate, or the first environment, which holds the live CNAME from its creation on.
    fn end_of(&self, survey: &Survey, name: &str) -> Undo {
        Undo::EndEnvironment {
            application: self.plan.application.clone(),
            environment: name.to_owned(),
            region: self.region.clone(),
            live_cname: survey.live.is_some().then(|| survey.live_cname.clone()),
        }
    }

    /// Asks the platform about one environment, with repetition.
    async fn look(&self, told: Told<'_>, id: &str) -> Result<Option<platform::Environment>, Fault> {
        again(told, "DescribeEnvironments", async || self.api.environment(id).await).await
    }
}
