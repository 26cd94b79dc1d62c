//! Check runs on GitHub: one for each stage, and one for the run that is opened first and completed last.

mod annotations;
mod board;
mod client;
mod follower;
mod request;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::engine::event::EventKind;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::GithubPlan;

use super::feed::Feeding;
use super::story::Story;
use board::Board;
use client::Client;

/// The least time between two updates that only show output, together for all stages.
const PROGRESS: Duration = Duration::from_secs(10);

/// Keeps check runs in step with the run.
#[derive(Debug)]
pub struct Checks {
    plan: GithubPlan,
    name: String,
    run_id: String,
    run_url: Option<String>,
    progress: Duration,
}

impl Checks {
    /// Check runs named `<name> / <stage>`, on the plan's commit.
    pub fn new(plan: GithubPlan, name: &str, run_url: Option<String>) -> Self {
        let run_id = uuid::Uuid::new_v4().simple().to_string();
        Self { plan, name: name.to_owned(), run_id, run_url, progress: PROGRESS }
    }

    /// The same, with the run's id in front of every `external_id`.
    pub fn named(self, run_id: &str) -> Self {
        Self { run_id: run_id.to_owned(), ..self }
    }

    /// Listens to the end of the run and until GitHub has been told of it.
    ///
    /// # Errors
    /// When GitHub does not let us write check runs, or could not be reached for long; nothing more is sent then.
    pub async fn run(self, mut feeding: Feeding) -> Result<(), Fault> {
        let client = Client::new(&self.plan)?;
        let mut story = Story::default();
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
