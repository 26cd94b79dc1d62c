//! AWS Elastic Beanstalk: an environment gets the image, by one of four strategies. A fresh candidate, or the idle one of a
//! pair, takes the live CNAME over; live itself is updated in place; or only the version is made.

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

mod aftermath;
mod architecture;
mod blue_green;
mod changes;
mod clean_up;
mod denied;
mod deployment;
mod environment;
mod hints;
mod in_place;
mod journal;
mod label;
mod live;
mod logs;
mod names;
mod old_versions;
mod processing;
mod pull;
mod resume;
mod retention;
mod rollback;
mod scale;
mod settings;
mod since;
mod site;
mod standing;
mod survey;
mod swap;
mod undo;
mod update;
mod version;
mod waiting;
#[cfg(test)]
mod wire_tests;

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use crate::engine::event::Fact;
use crate::engine::journal::book::Book;
use crate::engine::journal::{Good, Previous};
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::image::TaggedRef;
use crate::inputs::BeanstalkPlan;
use crate::registry::EcrTags;
use api::Api;
use call::{Told, again};
pub use journal::Journals;
use journal::Progress;
use operation::Operation;
use pace::Pace;
pub use settings::{Change, Configured};
pub use site::{Candidate, Deployed, ImageToDeploy, Promoted, SiteContext, Standing};
pub use survey::{Live, Survey};
use verdict::Demand;
use watcher::Watcher;

/// One site on Elastic Beanstalk.
pub struct Beanstalk {
    api: Api,
    plan: BeanstalkPlan,
    context: SiteContext,
    region: String,
    pace: Pace,
    watcher: Watcher,
    /// Tags of images in ECR.
    ecr: EcrTags,
    /// The version's label, once the bundle is known that it may hold the hash of.
    label: OnceCell<String>,
    /// The name by which instances pull the image.
    pulled_as: RefCell<Option<TaggedRef>>,
    /// A tag that was asked for and not answered: it may appear although nobody waits for it any more.
    asked_tag: RefCell<Option<String>>,
    /// When this run swapped: resolvers may hold the old address for a while after it.
    swapped: Cell<Option<Instant>>,
    /// A swap that was sent and not seen to its end: it may begin although nobody waits for it any more.
    sent_swap: RefCell<Option<Operation>>,
    /// An update that was sent and not seen to its end, likewise.
    sent_update: RefCell<Option<Operation>>,
    /// The name of an environment that was asked for: it may show although nobody waits for it any more.
    asked_for: RefCell<Option<String>>,
    /// The name of a template that was asked for and not answered: it may appear although nobody waits for it any more.
    asked_template: RefCell<Option<String>>,
    /// Whether settings were sent and not answered: they may be taken although nobody waits for it any more.
    sent_settings: Cell<bool>,
    /// What puts an environment's settings back, as long as they are not there to stay.
    restoring: RefCell<Option<Undo>>,
    /// What gives a candidate its minimum size back once it is live.
    raised: RefCell<Option<Undo>>,
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
            ecr: EcrTags::new(sdk),
            label: OnceCell::new(),
            pulled_as: RefCell::default(),
            asked_tag: RefCell::default(),
            swapped: Cell::default(),
            sent_swap: RefCell::default(),
            sent_update: RefCell::default(),
            asked_for: RefCell::default(),
            asked_template: RefCell::default(),
            sent_settings: Cell::default(),
            restoring: RefCell::default(),
            raised: RefCell::default(),
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
