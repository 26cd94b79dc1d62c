//! Check runs on GitHub: one for each stage, and one for the run that is opened first and completed last.

mod annotations;
mod board;
mod client;
mod external_id;
mod follower;
mod left_open;
mod request;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_trouble;

use std::time::Duration;

use crate::engine::event::EventKind;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::{CiFacts, GithubPlan};

use super::feed::Feeding;
use super::story::Story;
use board::Board;
use client::Client;
use external_id::Owner;

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
    name: String,
    owner: Owner,
    run_url: Option<String>,
    limits: Limits,
    limit: Option<Duration>,
}

impl Checks {
    /// Check runs named `<name> / <stage>`, on the plan's commit.
    pub fn new(plan: GithubPlan, name: &str, ci: &CiFacts) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        let owner = Owner { run, job: ci.job.as_deref().map(external_id::hash), expires: expiry(SHORT_RUN) };
        Self { plan, name: name.to_owned(), owner, run_url: ci.run_url.clone(), limits: Limits::default(), limit: None }
    }

    /// The same for a run of this id, which takes no longer than `timeout` from now.
    pub fn named(self, run_id: &str, timeout: Duration) -> Self {
        let owner = Owner { run: run_id.to_owned(), expires: expiry(timeout), ..self.owner };
        Self { owner, limit: Some(timeout), ..self }
    }

    /// Listens to the end of the run and until GitHub has been told of it.
    ///
    /// # Errors
    /// When GitHub does not let us write check runs, or could not be reached for long; nothing more is sent then.
    pub async fn run(self, mut feeding: Feeding) -> Result<(), Fault> {
        let client = Client::new(&self.plan, self.limits.answer)?;
        let mut story = Story::bounded_by(self.limit);
        // Before the run has started there is nothing to open a check run for.
        loop {
            let Some(event) = feeding.next_event().await else { return Ok(()) };
            story.take(&event);
            if matches!(event.kind, EventKind::RunStarted { .. }) {
                break;
            }
        }
        let mut board = Board::open(client, &story, &self);
        loop {
            let quiet = board.until_progress().unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                event = feeding.next_event() => {
                    let Some(event) = event else { break };
                    story.take(&event);
                    board.take(&event, &story);
                }
                () = pause(quiet) => board.show_progress(&story),
                fault = board.broken() => return Err(fault),
            }
        }
        board.close(&story).await
    }
}

/// When a run that begins now is over for certain, in Unix seconds.
fn expiry(timeout: Duration) -> i64 {
    let time = i64::try_from((timeout + GRACE).as_secs()).unwrap_or(i64::MAX);
    chrono::Utc::now().timestamp().saturating_add(time)
}
