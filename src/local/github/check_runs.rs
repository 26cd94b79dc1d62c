//! Check runs: docs.github.com/rest/checks/runs.

mod rules;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{CheckRun, Output};
use super::{Github, answer};

/// `POST /repos/{owner}/{repo}/check-runs`.
pub async fn create(
    State(github): State<Github>,
    Path((owner, repo)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let body = match rules::checked(&body, true) {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let mut inner = github.lock();
    let run = CheckRun {
        id: inner.state.next_id(),
        repository: format!("{owner}/{repo}"),
        name: text(&body, "name").unwrap_or_default(),
        head_sha: text(&body, "head_sha").unwrap_or_default(),
        status: "queued".to_owned(),
        ..CheckRun::default()
    };
    let run = updated(run, &body);
    let shown = shown(&run, &inner.base);
    inner.state.check_runs.push(run);
    answer::json(201, &shown)
}

/// `PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}`.
pub async fn update(State(github): State<Github>, Path(path): Path<(String, String, u64)>, body: Bytes) -> Response {
    let body = match rules::checked(&body, false) {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let mut inner = github.lock();
    let base = inner.base.clone();
    match inner.state.check_runs.iter_mut().find(|run| is_at(run, &path)) {
        None => answer::not_found(),
        Some(run) => {
            *run = updated(std::mem::take(run), &body);
            answer::json(200, &shown(run, &base))
        }
    }
}

/// `GET /repos/{owner}/{repo}/check-runs/{check_run_id}`.
pub async fn read(State(github): State<Github>, Path(path): Path<(String, String, u64)>) -> Response {
    let inner = github.lock();
    match inner.state.check_runs.iter().find(|run| is_at(run, &path)) {
        None => answer::not_found(),
        Some(run) => answer::json(200, &shown(run, &inner.base)),
    }
}

/// `GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations`.
pub async fn annotations(State(github): State<Github>, Path(path): Path<(String, String, u64)>) -> Response {
    let inner = github.lock();
    let Some(run) = inner.state.check_runs.iter().find(|run| is_at(run, &path)) else { return answer::not_found() };
    let blob = |file: &str| format!("{}/{}/blob/{}/{file}", inner.base, run.repository, run.head_sha);
    let shown = run.output.annotations.iter().map(|annotation| {
        let mut shown = json!(annotation);
        shown["blob_href"] = json!(blob(&annotation.path));
        shown
    });
    answer::json(200, &shown.collect())
}

/// What a list of check runs may be narrowed to.
#[derive(Debug, Deserialize)]
pub struct Narrowed {
    check_name: Option<String>,
    status: Option<String>,
    filter: Option<String>,
    per_page: Option<usize>,
    page: Option<usize>,
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`, newest first. Without `filter=all` only the newest of each name.
pub async fn list(
    State(github): State<Github>,
    Path((owner, repo, sha)): Path<(String, String, String)>,
    Query(narrowed): Query<Narrowed>,
) -> Response {
    let inner = github.lock();
    let repository = format!("{owner}/{repo}");
    let mut names = std::collections::HashSet::new();
    let all = narrowed.filter.as_deref() == Some("all");
    let found: Vec<Value> = inner
        .state
        .check_runs
        .iter()
        .rev()
        .filter(|run| run.repository == repository && run.head_sha == sha)
        .filter(|run| narrowed.check_name.as_ref().is_none_or(|name| *name == run.name))
        .filter(|run| narrowed.status.as_ref().is_none_or(|status| *status == run.status))
        .filter(|run| names.insert(&run.name) || all)
        .map(|run| shown(run, &inner.base))
        .collect();
    let size = narrowed.per_page.unwrap_or(30).clamp(1, 100);
    let page: Vec<&Value> = found.iter().skip((narrowed.page.unwrap_or(1).max(1) - 1) * size).take(size).collect();
    answer::json(200, &json!({ "total_count": found.len(), "check_runs": page }))
}

fn is_at(run: &CheckRun, (owner, repo, id): &(String, String, u64)) -> bool {
    run.id == *id && run.repository == format!("{owner}/{repo}")
}

fn text(body: &Value, member: &str) -> Option<String> {
    body[member].as_str().map(str::to_owned)
}

/// The run with what the body says; what it does not mention stays.
fn updated(mut run: CheckRun, body: &Value) -> CheckRun {
    run.name = text(body, "name").unwrap_or(run.name);
    run.external_id = text(body, "external_id").or(run.external_id);
    run.details_url = text(body, "details_url").or(run.details_url);
    run.started_at = text(body, "started_at").or(run.started_at);
    if let Some(status) = text(body, "status") {
        run.status = status;
        if run.status != "completed" {
            (run.conclusion, run.completed_at) = (None, None);
        }
    }
    if let Some(conclusion) = text(body, "conclusion") {
        // A conclusion completes the run, whatever status was sent with it.
        (run.conclusion, run.status) = (Some(conclusion), "completed".to_owned());
        run.completed_at = text(body, "completed_at").or(run.completed_at).or_else(|| Some(answer::now()));
    }
    if run.status != "queued" && run.started_at.is_none() {
        run.started_at = Some(answer::now());
    }
    if let Some(output) = body.get("output").filter(|output| output.is_object()) {
        let mut annotations = std::mem::take(&mut run.output.annotations);
        annotations.extend(rules::annotations(output));
        run.output = Output {
            title: text(output, "title").or(run.output.title),
            summary: text(output, "summary"),
            text: text(output, "text"),
            annotations,
        };
    }
    run
}

/// The run as the API shows it, with every member that its schema requires.
fn shown(run: &CheckRun, base: &str) -> Value {
    let url = format!("{base}/repos/{}/check-runs/{}", run.repository, run.id);
    json!({
        "id": run.id,
        "node_id": format!("CR_{}", run.id),
        "name": run.name,
        "head_sha": run.head_sha,
        "external_id": run.external_id.as_deref().unwrap_or_default(),
        "url": url,
        "html_url": format!("{base}/{}/runs/{}", run.repository, run.id),
        "details_url": run.details_url,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "output": {
            "title": run.output.title,
            "summary": run.output.summary,
            "text": run.output.text,
            "annotations_count": run.output.annotations.len(),
            "annotations_url": format!("{url}/annotations"),
        },
        "check_suite": { "id": 1 },
        "app": null,
        "pull_requests": [],
    })
}

#[cfg(test)]
mod tests;
