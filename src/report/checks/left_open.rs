//! Completes what an earlier run left open on the same commit: its process was killed before it could.

use std::sync::Arc;

use tokio::sync::watch;

use super::client::{Client, Way};
use super::external_id::{ExternalId, Owner};
use super::request::{Conclusion, Output, Status, Update};
use crate::report::words;

/// Asks once, after the first check run of this run was opened, and completes what is found. What fails is left to the
/// next run: nobody waits for this, and the log is told nothing.
pub async fn complete(client: Arc<Client>, ours: Owner, run_url: Option<String>, open: Arc<watch::Sender<usize>>) {
    // A status has no maker: this run's of the same context takes its place.
    if client.way() == Way::Statuses {
        return;
    }
    // An error would mean that the sender, which we hold ourselves, is gone.
    let _ = open.subscribe().wait_for(|open| *open > 0).await;
    for status in [Status::Queued, Status::InProgress] {
        if client.is_refused() {
            return;
        }
        let Ok(found) = client.open_check_runs(status).await else { return };
        for run in found {
            let theirs = run.external_id.as_deref().and_then(ExternalId::parse);
            if theirs.is_some_and(|theirs| ours.outlived(&theirs.owner, client.now())) {
                let update = completed(run.details_url.as_deref(), run_url.as_deref());
                let _ = client.update(run.id, &update).await;
            }
        }
    }
}

/// The last state of a check run whose own run cannot tell it.
fn completed(theirs: Option<&str>, ours: Option<&str>) -> Update {
    Update {
        status: Status::Completed,
        conclusion: Some(Conclusion::Cancelled),
        started_at: None,
        // GitHub takes the time of the request: nobody knows when the run ended.
        completed_at: None,
        output: Some(Output {
            title: words::check_run::LEFT_OPEN.to_owned(),
            summary: words::check_run::left_open(theirs, ours),
            text: None,
            annotations: Vec::new(),
        }),
    }
}
