//! AWS Elastic Beanstalk: a candidate environment gets the image, takes the live CNAME over, and the previous one goes.

pub mod bundle;
pub mod events;
pub mod operation;
pub mod platform;
pub mod verdict;

mod api;
mod call;
mod clean_up;
mod environment;
mod hints;
mod live;
mod logs;
mod names;
mod survey;
mod swap;
mod undo;
mod version;
mod wait;
mod watcher;
#[cfg(test)]
mod wire_tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use crate::engine::StageCx;
use crate::engine::event::{Fact, Role};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::{Digest, TaggedRef};
use crate::inputs::BeanstalkPlan;
use api::Api;
use call::{Told, again};
use operation::Operation;
use verdict::{Demand, Proof, Witness};
use watcher::{Pace, Watcher};

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
    /// When what the run makes may be removed by others; Unix seconds.
    pub expires: i64,
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Whether it is live from its creation on: the first environment.
    pub first: bool,
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
        let watcher = Watcher::start(api.clone(), pace);
        let (swapped, sent_swap, asked_for) = (Cell::new(None), RefCell::default(), RefCell::default());
        Self { api, plan, context, region, pace, watcher, swapped, sent_swap, asked_for }
    }

    /// What was asked for at this site.
    pub fn plan(&self) -> &BeanstalkPlan {
        &self.plan
    }

    /// Brings the image up in an environment of its own: bundle, application version, environment, verdict.
    ///
    /// # Errors
    /// Why it did not come up, with the last lines of its logs. What was made stands on the undo stack.
    pub async fn deploy(&self, cx: &StageCx, survey: &Survey, image: &ImageToDeploy) -> Result<Candidate, Fault> {
        let bundle = bundle::of_image(&image.image, image.port)?;
        self.still_as_surveyed(cx, survey).await?;
        if !survey.application_exists {
            self.make_application(cx).await?;
        }
        self.make_version(cx, image, &bundle).await?;
        let template = match &survey.live {
            Some(live) => Some(self.make_template(cx, live).await?),
            None => None,
        };
        let made = self.make_environment(cx, survey, template.as_deref()).await;
        if let Some(template) = template {
            self.drop_template(cx, template).await;
        }
        let made = made?;
        let operation = made.operation(&self.plan.version_label);
        let limit = self.plan.deploy_timeout;
        let concluded = wait::conclude(&self.watcher, Some(cx), &operation, &self.demand(), limit).await;
        let fault = match concluded.map(|concluded| (concluded.proof, concluded.environment)) {
            Ok((proof, Some(environment))) => {
                self.say_proof(cx, proof, &environment.name);
                let first = survey.live.is_none();
                let role = if first { Role::Live } else { Role::Candidate };
                let (name, id) = (environment.name, environment.id);
                let url = (self.context.url_of)(&environment.cname);
                cx.fact(Fact::Environment { role, name: name.clone(), id: id.clone(), url });
                let version_label = self.plan.version_label.clone();
                return Ok(Candidate { environment_id: id, name, cname: environment.cname, version_label, first });
            }
            Ok((_, None)) => Fault::new(format!("environment {} is gone", made.name)),
            Err(fault) => fault,
        };
        Err(hints::with_hints(logs::with_logs(&self.api, cx, &made, &self.pace, fault).await))
    }

    /// What stays of a run that failed because `keep_failed` asks for it, whichever stage it failed in. To be asked of
    /// everything that is to be undone, before anything is; what is kept is not to be performed. `None` when it is.
    pub async fn keeps(&self, undo: &Undo) -> Option<Fact> {
        if self.plan.keep_failed { undo::keeps(self, undo).await } else { None }
    }

    /// Puts one thing back. Doing it twice changes nothing the second time.
    ///
    /// # Errors
    /// Why it could not be done; nothing else is tried then.
    pub async fn perform(&self, undo: &Undo) -> Result<(), Fault> {
        undo::perform(self, undo).await
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
