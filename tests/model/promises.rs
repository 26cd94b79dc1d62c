//! The promises, as sentences about the world that must be true: some at every moment, some at the end.
//!
//! Promise 1 (an untested image never becomes a version) holds by the types: `TestedImage` can only be made of two
//! verdicts, and here as there nothing is pushed before them. Promises 6, 7 and 8 are about check runs, GitHub and
//! secrets, none of which is part of this world; the stories hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use beanline::image::Digest;
use beanline::local::control::beanstalk::model::{Environment, Status};
use beanline::local::control::state::State;

use crate::cloud::{LIVE_CNAME, Running};
use crate::schedule::Schedule;

/// Containers by id.
pub type Containers = BTreeMap<String, Running>;

/// What is known of a world beside its state.
pub struct Ledger {
    is_first: bool,
    fleet: usize,
    facts: Mutex<Facts>,
}

#[derive(Default)]
pub(crate) struct Facts {
    /// The first run has not begun before this is set.
    has_begun: bool,
    /// Digests that passed their tests, by label.
    tested: BTreeMap<String, Vec<Digest>>,
    /// Environments that may hold the live CNAME: their candidates passed, or nothing was live before them.
    may_be_live: BTreeSet<String>,
    /// What held the live CNAME last.
    live: Option<String>,
    /// Somebody said "Deployed": from then on there is always a live environment.
    is_handed_over: bool,
    /// What runs warned of, commands for what they could not remove among it.
    pub(crate) said: BTreeMap<usize, Vec<String>>,
    /// What runs said that they keep on purpose.
    pub(crate) kept: Vec<String>,
    /// Calls that changed something, in their order: which run, and what.
    pub(crate) changes: Vec<(usize, String)>,
    pub(crate) broken: BTreeSet<String>,
}

impl Ledger {
    /// What is known of a world before anything has happened in it.
    pub fn new(schedule: &Schedule) -> Self {
        Self {
            is_first: schedule.is_first,
            fleet: if schedule.is_first { 1 } else { schedule.fleet as usize },
            facts: Mutex::default(),
        }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world is made, and runs may begin.
    pub fn begins(&self) {
        self.facts().has_begun = true;
    }

    /// An image passed its tests and is pushed under this tag.
    pub fn tested(&self, label: &str, digest: &Digest) {
        self.facts().tested.entry(label.to_owned()).or_default().push(digest.clone());
    }

    /// A candidate passed its tests.
    pub fn accepted(&self, environment: &str) {
        self.facts().may_be_live.insert(environment.to_owned());
    }

    /// A run keeps this on purpose, and said so.
    pub fn kept(&self, what: &str) {
        self.facts().kept.push(what.to_owned());
    }

    /// A run warned its user of this.
    pub fn said(&self, run: usize, text: &str) {
        self.facts().said.entry(run).or_default().push(text.to_owned());
    }

    /// A call changed something, or tried to.
    pub fn changed(&self, run: usize, call: &str) {
        self.facts().changes.push((run, call.to_owned()));
    }

    /// Everything that was ever broken.
    pub fn broken(&self) -> Vec<String> {
        self.facts().broken.iter().cloned().collect()
    }

    /// Writes down what is broken at the end.
    pub fn add(&self, broken: impl IntoIterator<Item = String>) {
        self.facts().broken.extend(broken);
    }

    /// What must hold at every moment; the sentences that were true until now and are not any more.
    pub fn during(&self, state: &State, containers: &Containers) -> Vec<String> {
        let mut facts = self.facts();
        let mut broken = versions_name_tested_images(state, &facts);
        let holders: Vec<&Environment> = standing(state).filter(|e| e.cname == LIVE_CNAME).collect();
        match holders.as_slice() {
            [] if facts.is_handed_over || (facts.has_begun && !self.is_first) => {
                broken.push("10: nothing is live".to_owned());
            }
            [] => facts.live = None,
            [live] => {
                if facts.live.is_none() {
                    // A first environment is live from its creation on, and there is nothing that it takes anything from.
                    facts.may_be_live.insert(live.id.clone());
                }
                if !facts.may_be_live.contains(&live.id) {
                    broken.push(format!("3: {} ({}) is live and nobody accepted it", live.name, live.id));
                }
                let must_answer = facts.is_handed_over || (facts.has_begun && !self.is_first);
                if must_answer {
                    broken.extend(self.answers_one_version(state, live, containers));
                }
                facts.live = Some(live.id.clone());
            }
            several => broken.push(format!("10: {} environments hold the live CNAME", several.len())),
        }
        broken.retain(|sentence| facts.broken.insert(sentence.clone()));
        broken
    }

    /// Live is not being ended, and all its instances run the bytes that its version was recorded with.
    fn answers_one_version(&self, state: &State, live: &Environment, containers: &Containers) -> Vec<String> {
        if live.status == Status::Terminating {
            return vec![format!("10: live ({}) is being terminated", live.name)];
        }
        let label = live.version_label.as_deref().unwrap_or_default();
        let recorded =
            state.versions.iter().find(|version| version.label == label).and_then(|v| recorded(&v.description));
        let running = digests(live, containers);
        let mut broken = Vec::new();
        if running.len() != self.fleet || running.iter().any(|digest| Some(digest) != recorded.as_ref()) {
            broken.push(format!("2: {} is live with {label}, and not every instance runs it", live.name));
        }
        broken
    }

    /// Promise 10, when a run is about to say "Deployed".
    pub fn deployed(
        &self,
        state: &State,
        containers: &Containers,
        run: usize,
        label: &str,
        digest: &Digest,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let live = standing(state).find(|environment| environment.cname == LIVE_CNAME);
        match live {
            None => broken.push(format!("10: run {run} says Deployed, and nothing is live")),
            Some(live) => {
                let name = &live.name;
                if live.version_label.as_deref() != Some(label) {
                    broken.push(format!("10: run {run} says Deployed, and {name} shows {:?}", live.version_label));
                }
                if live.status != Status::Ready {
                    broken.push(format!("10: run {run} says Deployed, and {name} is {}", live.status.word()));
                }
                let running = digests(live, containers);
                if running.len() != live.instances.len() || running.iter().any(|running| running != digest) {
                    broken.push(format!("10: run {run} says Deployed, and not every instance of {name} runs it"));
                }
                if live.instances.iter().any(|instance| !instance.reading.is_good()) {
                    broken.push(format!("10: run {run} says Deployed, and an instance of {name} does not answer"));
                }
            }
        }
        let mut facts = self.facts();
        facts.is_handed_over = true;
        broken.retain(|sentence| facts.broken.insert(sentence.clone()));
        broken
    }
}

/// Environments that are not gone.
pub fn standing(state: &State) -> impl Iterator<Item = &Environment> {
    state.environments.iter().filter(|environment| environment.status != Status::Terminated)
}

/// Promise 2: what is recorded with a version is an image that passed its tests under that label.
fn versions_name_tested_images(state: &State, facts: &Facts) -> Vec<String> {
    let wrong = state.versions.iter().filter(|version| {
        let tested = facts.tested.get(&version.label);
        recorded(&version.description).is_none_or(|digest| tested.is_none_or(|tested| !tested.contains(&digest)))
    });
    wrong.map(|version| format!("2: version {} was never tested: {}", version.label, version.description)).collect()
}

fn recorded(description: &str) -> Option<Digest> {
    let (_, rest) = description.split_once("@sha256:")?;
    Digest::parse(&format!("sha256:{}", rest.get(..64)?)).ok()
}

/// What the instances of an environment run.
fn digests(environment: &Environment, containers: &Containers) -> Vec<Digest> {
    let ids = environment.instances.iter().filter_map(|instance| instance.container.as_ref());
    let running = ids.filter(|container| !container.address.is_empty());
    running.filter_map(|container| Some(containers.get(&container.id)?.digest.clone())).collect()
}
