//! Check runs on GitHub: one for each stage, and one for the run that is opened first and completed last. Where they may
//! not be written, commit statuses stand for them.

mod annotations;
mod board;
mod breaker;
mod client;
mod deployment;
mod external_id;
mod follower;
mod left_open;
mod links;
mod pages;
mod request;
mod status;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_annotations;
#[cfg(test)]
mod tests_of_enterprise;
#[cfg(test)]
mod tests_of_fallbacks;
#[cfg(test)]
mod tests_of_limits;
#[cfg(test)]
mod tests_of_time;
#[cfg(test)]
mod tests_of_trouble;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::engine::event::EventKind;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::{CiFacts, GithubPlan, ReportKind};

use super::feed::Feeding;
use super::story::Story;
use super::words;
use board::Board;
use client::{Client, Way};
pub use deployment::Record;
use external_id::Owner;
pub use links::Links;

/// How long a run that ends before it begins may take.
const SHORT_RUN: Duration = Duration::from_secs(60);

/// What a run's deadline is exceeded by before others take it for dead.
const GRACE: Duration = Duration::from_secs(600);

/// How long things may take, and how often they are done.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The least time between two updates that only show output, together for all stages.
    pub progress: Duration,
    /// One answer of GitHub's.
    pub answer: Duration,
    /// Everything after the run's last event.
    pub end: Duration,
    /// The same when a signal ended the run: the CI is about to kill the process.
    pub after_a_signal: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            progress: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            end: Duration::from_secs(18),
            after_a_signal: Duration::from_secs(3),
        }
    }
}

/// Keeps check runs in step with the run.
#[derive(Debug)]
pub struct Checks {
    plan: GithubPlan,
    kind: ReportKind,
    name: String,
    owner: Owner,
    run_url: Option<String>,
    limits: Limits,
    limit: Option<Duration>,
    links: Links,
    restricted: Option<&'static str>,
}

impl Checks {
    /// Check runs named `<name> / <stage>`, on the plan's commit.
    pub fn new(plan: GithubPlan, kind: ReportKind, name: &str, ci: &CiFacts) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        let owner = Owner { run, job: ci.job.as_deref().map(external_id::hash), expires: expiry(SHORT_RUN) };
        let (name, run_url, limits) = (name.to_owned(), ci.run_url.clone(), Limits::default());
        let (links, restricted) = (Links::default(), words::restricted(ci));
        Self { plan, kind, name, owner, run_url, limits, limit: None, links, restricted }
    }

    /// The same, which tells `links` where the check runs are read.
    pub fn linking(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// The same for a run of this id, which takes no longer than `timeout` from now.
    pub fn named(self, run_id: &str, timeout: Duration) -> Self {
        let owner = Owner { run: run_id.to_owned(), expires: expiry(timeout), ..self.owner };
        Self { owner, limit: Some(timeout), ..self }
    }

    /// Listens to the end of the run and until GitHub has been told of it. `tell` hears that statuses stand for check runs,
    /// and why.
    ///
    /// # Errors
    /// When GitHub does not let us write either, or could not be reached for long; nothing more is sent then.
    pub async fn run(self, mut feeding: Feeding, tell: impl Fn(String) + Send) -> Result<(), Fault> {
        let mut story = Story::bounded_by(self.limit);
        // Before the run has started there is nothing to open a check run for.
        loop {
            let Some(event) = feeding.next_event().await else { return Ok(()) };
            story.take(&event);
            if matches!(event.kind, EventKind::RunStarted { .. }) {
                break;
            }
        }
        let first = if self.kind == ReportKind::Statuses { Way::Statuses } else { Way::CheckRuns };
        let mut board = self.board(first, &story)?;
        let mut instead = Instead { why: None, tell };
        loop {
            let quiet = board.until_progress().unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                event = feeding.next_event() => {
                    let Some(event) = event else { break };
                    story.take(&event);
                    board.take(&event, &story);
                    instead.say_once_heard(&board.client());
                }
                () = pause(quiet) => board.show_progress(&story),
                fault = board.broken() => board = self.instead(&board.client(), fault, &mut instead, &story)?,
            }
        }
        let client = board.client();
        let closed = match board.close(&story).await {
            Err(fault) if client.is_refused() => {
                let board = self.instead(&client, fault, &mut instead, &story)?;
                let client = board.client();
                let closed = board.close(&story).await;
                instead.say_once_heard(&client);
                return closed;
            }
            closed => closed,
        };
        instead.say_once_heard(&client);
        closed
    }

    fn board(&self, way: Way, story: &Story) -> Result<Board, Fault> {
        let client = Client::new(&self.plan, self.limits.answer, way)?.restricted_by(self.restricted);
        Ok(Board::open(client, story, self))
    }

    /// Statuses, where check runs are refused and nobody asked for them in particular; else the fault.
    fn instead(
        &self,
        refused: &Client,
        fault: Fault,
        instead: &mut Instead<impl Fn(String)>,
        story: &Story,
    ) -> Result<Board, Fault> {
        if self.kind != ReportKind::Auto || refused.way() == Way::Statuses {
            return Err(fault);
        }
        instead.why = Some(fault);
        self.board(Way::Statuses, story)
    }
}

/// Why statuses stand for check runs, until somebody was told.
struct Instead<T> {
    why: Option<Fault>,
    tell: T,
}

impl<T: Fn(String)> Instead<T> {
    /// Says it as soon as GitHub has taken a status: if it takes none either, that is what is told.
    fn say_once_heard(&mut self, client: &Client) {
        if let Some(why) = self.why.take_if(|_| client.is_heard()) {
            (self.tell)(words::statuses_instead(&why));
        }
    }
}

/// Completes, as cancelled, the check runs that a killed run of the same CI job left open on the plan's commit. None is
/// opened.
///
/// # Errors
/// The client cannot be made, or GitHub did not answer in time.
pub async fn complete_left_open(plan: &GithubPlan, ci: &CiFacts) -> Result<(), Fault> {
    let limits = Limits::default();
    let run = uuid::Uuid::new_v4().simple().to_string();
    let ours = Owner { run, job: ci.job.as_deref().map(external_id::hash), expires: expiry(SHORT_RUN) };
    let client = Arc::new(Client::new(plan, limits.answer, Way::CheckRuns)?);
    // Nothing is to be opened first.
    let open = Arc::new(watch::channel(1).0);
    let completed = timeout(limits.end, left_open::complete(client, ours, ci.run_url.clone(), open)).await;
    completed.map_err(|_| Fault::timed_out("GitHub did not answer in time"))
}

/// When a run that begins now is over for certain, in Unix seconds.
fn expiry(timeout: Duration) -> i64 {
    let time = i64::try_from((timeout + GRACE).as_secs()).unwrap_or(i64::MAX);
    chrono::Utc::now().timestamp().saturating_add(time)
}
