//! The GitHub APIs that a run uses, with state: check runs, commit statuses, deployments. It accepts and refuses what
//! GitHub accepts and refuses (docs.github.com/rest, version 2022-11-28).

mod answer;
mod check_runs;
#[cfg(test)]
pub(crate) mod contract;
mod deployments;
mod settings;
mod state;
mod statuses;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, patch, post};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::engine::retry::pause;

pub use settings::{Refusal, Settings};
pub use state::{Annotation, CheckRun, Deployment, DeploymentStatus, GithubState, Output, Status};

/// Bodies above this are not read; GitHub's own limit is not published.
const LARGEST_BODY: usize = 4 << 20;

/// One request as it came in, for those who want to know what was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// `POST`, `PATCH` or `GET`.
    pub method: String,
    /// The path, without what stands before `/repos`.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// The body, `null` when there was none or it was no JSON.
    pub body: Value,
    /// When it came in.
    pub arrived: Instant,
    /// When it was answered.
    pub answered: Option<Instant>,
    /// The status that was answered.
    pub status: u16,
    /// The body that was answered.
    pub answer: Value,
}

/// What the handlers share.
#[derive(Debug)]
struct Inner {
    base: String,
    state: GithubState,
    settings: Settings,
    log: Vec<Logged>,
}

/// A handle on the state; cheap to clone.
#[derive(Clone, Debug)]
pub struct Github(Arc<Mutex<Inner>>);

impl Github {
    /// A GitHub with this state, which names itself `base` in the addresses that it hands out.
    pub fn new(base: impl Into<String>, state: GithubState) -> Self {
        let inner = Inner { base: base.into(), state, settings: Settings::default(), log: Vec::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Its routes, below `/repos`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/repos/{owner}/{repo}/check-runs", post(check_runs::create))
            .route("/repos/{owner}/{repo}/check-runs/{id}", patch(check_runs::update).get(check_runs::read))
            .route("/repos/{owner}/{repo}/check-runs/{id}/annotations", get(check_runs::annotations))
            .route("/repos/{owner}/{repo}/commits/{sha}/check-runs", get(check_runs::list))
            .route("/repos/{owner}/{repo}/statuses/{sha}", post(statuses::create))
            .route("/repos/{owner}/{repo}/commits/{sha}/statuses", get(statuses::list))
            .route("/repos/{owner}/{repo}/deployments", post(deployments::create).get(deployments::list))
            .route(
                "/repos/{owner}/{repo}/deployments/{id}/statuses",
                post(deployments::create_status).get(deployments::list_statuses),
            )
            .fallback(async || answer::not_found())
            .layer(middleware::from_fn_with_state(self.clone(), gate))
            .with_state(self.clone())
    }

    /// A copy of the state, to be kept or looked at.
    pub fn state(&self) -> GithubState {
        self.lock().state.clone()
    }

    /// Changes how it behaves from the next request on.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.lock().settings);
    }

    /// Every request so far, in the order in which they arrived.
    pub fn log(&self) -> Vec<Logged> {
        self.lock().log.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A GitHub that listens on this machine until it is dropped.
#[derive(Debug)]
pub struct GithubWorld {
    /// Its address, without a slash at the end: what `GITHUB_API_URL` would be.
    pub url: String,
    /// Its state and settings.
    pub github: Github,
    server: JoinHandle<()>,
}

impl GithubWorld {
    /// Listens on a free port of 127.0.0.1, with the state that an earlier one left.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(state: GithubState) -> io::Result<Self> {
        Self::start_below("", state).await
    }

    /// The same with everything below a path, such as the `/api/v3` of an Enterprise Server; that path is part of its
    /// address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_below(path: &str, state: GithubState) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}{path}", listener.local_addr()?);
        let github = Github::new(url.clone(), state);
        let router = if path.is_empty() { github.router() } else { Router::new().nest(path, github.router()) };
        let server = tokio::spawn(serve(listener, router));
        Ok(Self { url, github, server })
    }
}

impl Drop for GithubWorld {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Accepts connections. They belong to this task and end with it.
async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // A refused connection (too many open files) is that client's trouble; the next may work.
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let router = TowerToHyperService::new(router.clone());
                let service = service_fn(move |request| {
                    let answer = router.call(request);
                    async move {
                        let Ok(answer) = answer.await;
                        let hung_up = answer.extensions().get::<answer::HungUp>().is_some();
                        if hung_up { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { Ok(answer) }
                    }
                });
                connections.spawn(async move {
                    // A client that hangs up is no concern of ours.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Stands before every handler: the log, the token, the wait and the refusals that were asked for.
async fn gate(State(github): State<Github>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    let (at, wait, refusal) = {
        let mut inner = github.lock();
        inner.log.push(Logged {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            arrived: Instant::now(),
            answered: None,
            status: 0,
            answer: Value::Null,
        });
        let refusal = inner.settings.refusal(&parts.method, parts.uri.path(), &parts.headers);
        (inner.log.len() - 1, inner.settings.latency, refusal)
    };
    if !wait.is_zero() {
        pause(wait).await;
    }
    let response = match refusal {
        Some(refusal) if !refusal.comes_too_late() => refusal.answer(),
        refusal => {
            let done = next.run(Request::from_parts(parts, bytes.into())).await;
            // The request was carried out, but whoever sent it never learns so.
            refusal.map_or(done, |refusal| refusal.answer())
        }
    };
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    if let Some(logged) = github.lock().log.get_mut(at) {
        logged.answered = Some(Instant::now());
        logged.status = parts.status.as_u16();
        logged.answer = serde_json::from_slice(&bytes).unwrap_or_default();
    }
    Response::from_parts(parts, bytes.into())
}
