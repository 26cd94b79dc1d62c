//! Deployments and what became of them: docs.github.com/rest/deployments.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Deployment, DeploymentStatus};
use super::statuses::LONGEST_DESCRIPTION;
use super::{Github, answer};

const STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

#[derive(Debug, Deserialize)]
struct Create {
    r#ref: Option<String>,
    environment: Option<String>,
    description: Option<String>,
    required_contexts: Option<Vec<String>>,
    #[serde(default)]
    payload: Value,
}

/// `POST /repos/{owner}/{repo}/deployments`. Without `required_contexts` every check on the commit must have passed.
pub async fn create(
    State(github): State<Github>,
    Path((owner, repo)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Ok(body) = serde_json::from_slice::<Create>(&body) else {
        return answer::refused(400, "Problems parsing JSON");
    };
    let Some(git_ref) = body.r#ref else { return answer::invalid_request("\"ref\" wasn't supplied.") };
    let mut inner = github.lock();
    let repository = format!("{owner}/{repo}");
    let open = inner.state.check_runs.iter().any(|run| {
        run.repository == repository
            && run.head_sha == git_ref
            && !matches!(run.conclusion.as_deref(), Some("success" | "neutral" | "skipped"))
    });
    if open && body.required_contexts.is_none() {
        return answer::refused(409, &format!("Conflict: Commit status checks failed for {git_ref}."));
    }
    let deployment = Deployment {
        id: inner.state.next_id(),
        repository,
        r#ref: git_ref,
        environment: body.environment.unwrap_or_else(|| "production".to_owned()),
        description: body.description,
        payload: body.payload,
        created_at: answer::now(),
        statuses: Vec::new(),
    };
    let shown = shown(&deployment, &inner.base);
    inner.state.deployments.push(deployment);
    answer::json(201, &shown)
}

/// `GET /repos/{owner}/{repo}/deployments`, newest first.
pub async fn list(State(github): State<Github>, Path((owner, repo)): Path<(String, String)>) -> Response {
    let inner = github.lock();
    let repository = format!("{owner}/{repo}");
    let found = inner.state.deployments.iter().rev().filter(|known| known.repository == repository);
    answer::json(200, &found.map(|deployment| shown(deployment, &inner.base)).collect())
}

#[derive(Debug, Deserialize)]
struct CreateStatus {
    state: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    environment_url: String,
    #[serde(default)]
    log_url: String,
}

/// `POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses`.
pub async fn create_status(
    State(github): State<Github>,
    Path(path): Path<(String, String, u64)>,
    body: Bytes,
) -> Response {
    let Ok(body) = serde_json::from_slice::<CreateStatus>(&body) else {
        return answer::refused(400, "Problems parsing JSON");
    };
    let Some(state) = body.state else { return answer::invalid_request("\"state\" wasn't supplied.") };
    if !STATES.contains(&state.as_str()) {
        return answer::invalid_field("DeploymentStatus", "state", "custom", "state is not included in the list");
    }
    if body.description.chars().count() > LONGEST_DESCRIPTION {
        let message = "description is too long (maximum is 140 characters)";
        return answer::invalid_field("DeploymentStatus", "description", "custom", message);
    }
    let mut inner = github.lock();
    let (id, base) = (inner.state.next_id(), inner.base.clone());
    let Some(deployment) = inner.state.deployments.iter_mut().find(|known| is_at(known, &path)) else {
        return answer::not_found();
    };
    let CreateStatus { description, environment_url, log_url, .. } = body;
    let status = DeploymentStatus { id, state, description, environment_url, log_url, created_at: answer::now() };
    let shown = shown_status(deployment, &status, &base);
    deployment.statuses.push(status);
    answer::json(201, &shown)
}

/// `GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses`, newest first.
pub async fn list_statuses(State(github): State<Github>, Path(path): Path<(String, String, u64)>) -> Response {
    let inner = github.lock();
    let Some(deployment) = inner.state.deployments.iter().find(|known| is_at(known, &path)) else {
        return answer::not_found();
    };
    let statuses = deployment.statuses.iter().rev();
    answer::json(200, &statuses.map(|status| shown_status(deployment, status, &inner.base)).collect())
}

fn is_at(deployment: &Deployment, (owner, repo, id): &(String, String, u64)) -> bool {
    deployment.id == *id && deployment.repository == format!("{owner}/{repo}")
}

fn shown(deployment: &Deployment, base: &str) -> Value {
    let repository = format!("{base}/repos/{}", deployment.repository);
    let url = format!("{repository}/deployments/{}", deployment.id);
    json!({
        "url": url,
        "id": deployment.id,
        "node_id": format!("DE_{}", deployment.id),
        "sha": deployment.r#ref,
        "ref": deployment.r#ref,
        "task": "deploy",
        "payload": match &deployment.payload {
            Value::Null => json!({}),
            payload => payload.clone(),
        },
        "original_environment": deployment.environment,
        "environment": deployment.environment,
        "description": deployment.description,
        "creator": null,
        "created_at": deployment.created_at,
        "updated_at": deployment.created_at,
        "statuses_url": format!("{url}/statuses"),
        "repository_url": repository,
    })
}

fn shown_status(deployment: &Deployment, status: &DeploymentStatus, base: &str) -> Value {
    let repository = format!("{base}/repos/{}", deployment.repository);
    let url = format!("{repository}/deployments/{}", deployment.id);
    json!({
        "url": format!("{url}/statuses/{}", status.id),
        "id": status.id,
        "node_id": format!("DES_{}", status.id),
        "state": status.state,
        "creator": null,
        "description": status.description,
        "environment": deployment.environment,
        "target_url": status.log_url,
        "log_url": status.log_url,
        "environment_url": status.environment_url,
        "created_at": status.created_at,
        "updated_at": status.created_at,
        "deployment_url": url,
        "repository_url": repository,
    })
}
