//! The journal: what the runs on one site remember of each other. One small document, written by compare-and-swap.
//!
//! It holds the line of runs that want the site (the first of them owns it), what the owner has made and how to undo it,
//! what earlier runs could not undo, and what was good. A run that died is known by its claim, which it does not renew
//! any more; what it left stands here for the next. This file is the document alone; [`desk`] reads and writes
//! it, and [`book`] is a run's hold on it.

pub mod book;
pub mod desk;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::undo::Undo;

/// The form of the document; one of a later form is not touched.
pub const FORM: u32 = 1;

/// Good deployments that are remembered.
const GOOD_KEPT: usize = 50;

/// The document. `S` is what the kind of site remembers of work under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: Deserialize<'de>"))]
pub struct Journal<S> {
    /// The document's form, [`FORM`].
    pub form: u32,
    /// Counts the times it was written.
    pub edition: u64,
    /// The run that wrote it last.
    pub by: String,
    /// The ticket that the next run is given.
    pub next_ticket: u64,
    /// Runs that want the site, in the order of their tickets. The first owns it.
    pub line: Vec<Claim>,
    /// What the owner is at; what a dead owner was at, until somebody takes it over.
    pub work: Option<Work<S>>,
    /// What runs made and could not remove.
    pub left: Vec<Left>,
    /// The environment that was live before the last swap.
    pub previous: Option<Previous>,
    /// Deployments that passed everything, newest first.
    pub good: Vec<Good>,
    /// A deployment that waits for somebody to promote it.
    #[serde(default = "Option::default")]
    pub waiting: Option<Passed<S>>,
}

/// A run in the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its place: lower ones come first.
    pub ticket: u64,
    /// Its run id.
    pub run: String,
    /// Its CI job, if it runs in one. A job has one run at a time.
    pub job: Option<String>,
    /// Where its log is.
    pub url: Option<String>,
    /// What it is about, for people: `shop at 1f0c2aa`.
    pub about: String,
    /// When it counts as dead unless it has renewed this by then; Unix seconds by the store's clock.
    pub expires: i64,
}

/// What an owner is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work<S> {
    /// Whoever worked on it, the one that began it first.
    pub runs: Vec<String>,
    /// What it is about: a later run with the same key goes on with it.
    pub key: String,
    /// Where the log of the last of them is.
    pub url: Option<String>,
    /// What would put the world back, oldest first.
    pub undo: Vec<Undo>,
    /// How far it is.
    pub site: S,
}

/// What a run made and could not remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// What removes it.
    pub undo: Undo,
    /// Whoever made it.
    pub runs: Vec<String>,
}

/// The environment that was live before the last swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its id.
    pub environment_id: String,
    /// Its name.
    pub name: String,
    /// The version that it ran.
    pub version_label: String,
    /// When the swap was handed over; Unix seconds by the store's clock.
    pub since: i64,
    /// Whether it was rolled back from: then it is there to be looked at, not to be live again.
    #[serde(default)]
    pub is_withdrawn: bool,
}

/// A deployment that passed everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The application version.
    pub version_label: String,
    /// `repository:tag` of its image.
    pub image: String,
    /// The image's digest in the registry.
    pub digest: String,
    /// The environment that it was live in.
    pub environment_id: String,
    /// The key of the run that deployed it.
    pub key: String,
    /// That run.
    pub run: String,
    /// When it was handed over; Unix seconds by the store's clock.
    pub at: i64,
    /// Whether it was rolled back from: no roll-back goes to it.
    #[serde(default)]
    pub is_withdrawn: bool,
}

/// A deployment whose candidate has passed its tests, and which waits to be promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed<S> {
    /// How it will be remembered once it is live; `at` is when it began to wait.
    pub good: Good,
    /// The candidate's name.
    pub name: String,
    /// Whoever worked on it.
    pub runs: Vec<String>,
    /// What would end it, oldest first.
    pub undo: Vec<Undo>,
    /// What was there when it was made.
    pub site: S,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} of {}", self.run, self.about)?;
        self.url.iter().try_for_each(|url| write!(f, " ({url})"))
    }
}

/// Where a run stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// It has no ticket.
    Nowhere,
    /// It waits for the owner; so many are before it, the owner included.
    Behind { owner: &'a Claim, before: usize },
    /// It owns the site.
    First,
}

impl<S> Default for Journal<S> {
    fn default() -> Self {
        Self {
            form: FORM,
            edition: 0,
            by: String::new(),
            next_ticket: 1,
            line: Vec::new(),
            work: None,
            left: Vec::new(),
            previous: None,
            good: Vec::new(),
            waiting: None,
        }
    }
}

impl<S> Journal<S> {
    /// Takes dead runs out of the line: those that have not renewed their claim, and those of the same CI job as `me`,
    /// since a job has one run at a time. Says whether there were any.
    pub fn bury(&mut self, me: &Claim, now: i64) -> bool {
        let before = self.line.len();
        let same_job = |claim: &Claim| claim.job.is_some() && claim.job == me.job;
        self.line.retain(|claim| claim.run == me.run || claim.expires > now && !same_job(claim));
        self.line.len() != before
    }

    /// Where the run stands.
    pub fn place(&self, run: &str) -> Place<'_> {
        let Some(mine) = self.claim_of(run) else { return Place::Nowhere };
        let before = self.line.iter().filter(|claim| claim.ticket < mine.ticket).count();
        match self.owner() {
            Some(owner) if before > 0 => Place::Behind { owner, before },
            _ => Place::First,
        }
    }

    /// The run's claim, if it stands in the line.
    pub fn claim_of(&self, run: &str) -> Option<&Claim> {
        self.line.iter().find(|claim| claim.run == run)
    }

    /// Who owns the site, if anybody does.
    pub fn owner(&self) -> Option<&Claim> {
        self.line.iter().min_by_key(|claim| claim.ticket)
    }

    /// Puts the run at the end of the line, unless it stands there, and renews its claim until `expires`.
    pub fn queue(&mut self, me: &Claim, expires: i64) {
        match self.line.iter_mut().find(|claim| claim.run == me.run) {
            Some(claim) => claim.expires = expires,
            None => {
                self.line.push(Claim { ticket: self.next_ticket, expires, ..me.clone() });
                self.next_ticket = self.next_ticket.saturating_add(1);
            }
        }
    }

    /// Takes the run out of the line.
    pub fn leave(&mut self, run: &str) {
        self.line.retain(|claim| claim.run != run);
    }

    /// Remembers a deployment that passed everything. A version that was withdrawn and is deployed again is as good as
    /// any.
    pub fn remember(&mut self, good: Good) {
        self.good.retain(|known| {
            let is_same = known.environment_id == good.environment_id || known.is_withdrawn;
            known.version_label != good.version_label || !is_same
        });
        self.good.insert(0, good);
        self.good.truncate(GOOD_KEPT);
    }

    /// Remembers what could not be removed. Who is live is no thing that is left: a swap that could not be taken back is
    /// for a person to judge, who has been told.
    pub fn leave_behind(&mut self, undos: &[Undo], runs: &[String]) {
        let is_live = |undo: &Undo| matches!(undo, Undo::SwapBack { .. } | Undo::Redeploy { .. });
        let is_thing = |undo: &&Undo| !undo.is_on_the_daemon() && !is_live(undo);
        for undo in undos.iter().filter(is_thing) {
            if !self.left.iter().any(|left| left.undo == *undo) {
                self.left.push(Left { undo: undo.clone(), runs: runs.to_vec() });
            }
        }
    }
}
