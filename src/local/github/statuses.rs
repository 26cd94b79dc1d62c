//! Commit statuses: docs.github.com/rest/commits/statuses.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::Status;
use super::{Github, answer};

/// Statuses of one context on one commit; a further one is refused.
const MOST: usize = 1_000;
/// Characters of a description.
pub(super) const LONGEST_DESCRIPTION: usize = 140;

#[derive(Debug, Deserialize)]
struct Create {
    state: Option<String>,
    target_url: Option<String>,
    description: Option<String>,
    context: Option<String>,
}

/// `POST /repos/{owner}/{repo}/statuses/{sha}`.
pub async fn create(
    State(github): State<Github>,
    Path((owner, repo, sha)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    let Ok(body) = serde_json::from_slice::<Create>(&body) else {
        return answer::refused(400, "Problems parsing JSON");
    };
    let Some(state) = body.state else { return answer::invalid_request("\"state\" wasn't supplied.") };
    if !["error", "failure", "pending", "success"].contains(&state.as_str()) {
        return answer::invalid_field("Status", "state", "custom", "state is not included in the list");
    }
    if body.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        let message = "description is too long (maximum is 140 characters)";
        return answer::invalid_field("Status", "description", "custom", message);
    }
    let mut inner = github.lock();
    let status = Status {
        id: inner.state.next_id(),
        repository: format!("{owner}/{repo}"),
        sha,
        state,
        context: body.context.unwrap_or_else(|| "default".to_owned()),
        description: body.description,
        target_url: body.target_url,
        created_at: answer::now(),
    };
    let same = |known: &&Status| {
        (&known.repository, &known.sha) == (&status.repository, &status.sha)
            && known.context.eq_ignore_ascii_case(&status.context)
    };
    if inner.state.statuses.iter().filter(same).count() >= MOST {
        let message = "This SHA and context has reached the maximum number of statuses.";
        return answer::invalid_field("Status", "context", "custom", message);
    }
    let shown = shown(&status, &inner.base);
    inner.state.statuses.push(status);
    answer::json(201, &shown)
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/statuses`, newest first.
pub async fn list(State(github): State<Github>, Path((owner, repo, sha)): Path<(String, String, String)>) -> Response {
    let inner = github.lock();
    let repository = format!("{owner}/{repo}");
    let found = inner.state.statuses.iter().rev().filter(|known| known.repository == repository && known.sha == sha);
    answer::json(200, &found.map(|status| shown(status, &inner.base)).collect())
}

fn shown(status: &Status, base: &str) -> Value {
    json!({
        "url": format!("{base}/repos/{}/statuses/{}", status.repository, status.sha),
        "avatar_url": null,
        "id": status.id,
        "node_id": format!("SC_{}", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": status.created_at,
        "updated_at": status.created_at,
        "creator": null,
    })
}
