//! What a site is told of the run, and what a deployment comes to.

use std::rc::Rc;
use std::time::Duration;

use super::{Journals, Live, Survey};
use crate::clock::Clock;
use crate::image::{Digest, TaggedRef};
use crate::registry::Home;

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
    /// Where it lives.
    pub home: Home,
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
    /// It was there before, and was given the version itself: live changed with it.
    InPlace,
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
