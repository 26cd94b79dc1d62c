//! Requests about check runs, sent: the only use of octocrab.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, header};
use octocrab::Octocrab;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::request::{Opening, Status, Update};
use super::verdict::{Verdict, judged, refusal};
use crate::clock::Clock;
use crate::engine::in_words;
use crate::engine::retry::{Failure, pause};
use crate::fault::Fault;
use crate::inputs::GithubPlan;

/// The version of the API that every supported GitHub Enterprise Server knows.
const API_VERSION: &str = "2022-11-28";

/// What GitHub is told with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Check runs, which say most.
    CheckRuns,
    /// Commit statuses: a state and a line.
    Statuses,
}

/// GitHub, seen from one run.
#[derive(Debug)]
pub struct Client {
    way: Way,
    octocrab: Octocrab,
    repository: String,
    sha: String,
    answer_limit: Duration,
    clock: Clock,
    restricted: Option<&'static str>,
    refused: AtomicBool,
    heard: AtomicBool,
    closed_until: Mutex<Option<Instant>>,
    breaker: Breaker,
    sent: AtomicUsize,
    trouble: Mutex<Option<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) check_runs: Vec<FoundRun>,
}

/// A check run on the commit, whoever made it.
#[derive(Debug, Deserialize)]
pub struct FoundRun {
    /// GitHub's id of it.
    pub id: u64,
    /// Its maker's id of it.
    pub external_id: Option<String>,
    /// Where its log is.
    pub details_url: Option<String>,
    /// Where people read it.
    pub html_url: Option<String>,
}

/// A check run that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// GitHub's id of it.
    pub id: u64,
    /// Where people read it.
    pub url: Option<String>,
}

impl Client {
    /// A client for the plan's repository and commit, that waits for one answer for so long. It needs a runtime.
    ///
    /// # Errors
    /// When the address of the API makes no sense, or no certificate authority is known.
    pub fn new(plan: &GithubPlan, answer_limit: Duration, way: Way) -> Result<Self, Fault> {
        let refused = |error: octocrab::Error| {
            Fault::new(format!("could not prepare requests to {}", plan.api_url)).because(error)
        };
        let octocrab = Octocrab::builder()
            .base_uri(plan.api_url.trim_end_matches('/'))
            .map_err(refused)?
            .personal_token(plan.token.reveal().to_owned())
            .add_header(HeaderName::from_static("x-github-api-version"), API_VERSION.to_owned())
            .set_connect_timeout(Some(answer_limit))
            .build()
            .map_err(refused)?;
        Ok(Self {
            way,
            heard: AtomicBool::new(false),
            octocrab,
            repository: plan.repository.clone(),
            sha: plan.sha.clone(),
            answer_limit,
            clock: Clock::new(),
            restricted: None,
            refused: AtomicBool::new(false),
            closed_until: Mutex::new(None),
            breaker: Breaker::default(),
            sent: AtomicUsize::new(0),
            trouble: Mutex::new(None),
        })
    }

    /// The same for a run that has fewer rights than others for this reason: it is told with a refusal.
    pub fn restricted_by(self, restricted: Option<&'static str>) -> Self {
        Self { restricted, ..self }
    }

    /// The commit that is reported on.
    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// What it is told with.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether GitHub has taken anything yet.
    pub fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether GitHub has said that we may not write check runs here at all.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many requests were sent so far.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// From now on there is little time left: a GitHub that is down is asked again sooner.
    pub fn hurry(&self) {
        self.breaker.hurry();
    }

    /// GitHub's time in Unix seconds, by its last answer.
    pub fn now(&self) -> i64 {
        self.clock.unix()
    }

    /// What was wrong with the last answer, or that there was none; `None` when all is well.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Posts a body to a path below the repository.
    ///
    /// # Errors
    /// A passing failure may mean that it was taken all the same.
    pub async fn write(&self, path: &str, body: &(impl Serialize + ?Sized + Sync)) -> Result<Value, Failure> {
        let path = format!("/repos/{}/{path}", self.repository);
        self.ask(async { self.octocrab._post(path, Some(body)).await }).await
    }

    /// Reads what is at a path below the repository.
    ///
    /// # Errors
    /// [`Failure::Passing`] when it may work in a moment.
    pub async fn read(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let query = serde_urlencoded::to_string(query)
            .map_err(|error| Fault::new("could not write a query to GitHub").because(error))?;
        let path = format!("/repos/{}/{path}?{query}", self.repository);
        self.ask(async { self.octocrab._get(path).await }).await
    }

    /// Opens a check run.
    ///
    /// # Errors
    /// A passing failure may mean that it was opened all the same.
    pub async fn create(&self, opening: &Opening<'_>) -> Result<Opened, Failure> {
        let answer = self.write("check-runs", opening).await?;
        let id = answer["id"].as_u64().ok_or_else(|| Fault::new("GitHub opened a check run without an id"))?;
        Ok(Opened { id, url: answer["html_url"].as_str().map(str::to_owned) })
    }

    /// Brings a check run into a state. May safely be repeated, but for annotations, which are appended: those are counted
    /// first.
    ///
    /// # Errors
    /// [`Failure::Passing`] when it may work in a moment.
    pub async fn update(&self, id: u64, update: &Update) -> Result<(), Failure> {
        let path = format!("/repos/{}/check-runs/{id}", self.repository);
        self.ask(async { self.octocrab._patch(path, Some(update)).await }).await.map(drop)
    }

    /// How many annotations a check run has.
    ///
    /// # Errors
    /// As for an update.
    pub async fn annotations(&self, id: u64) -> Result<usize, Failure> {
        let run = self.read(&format!("check-runs/{id}"), &[]).await?;
        let count = run["output"]["annotations_count"].as_u64().and_then(|count| usize::try_from(count).ok());
        Ok(count.unwrap_or_default())
    }

    /// A check run that may have been opened by a request whose answer was lost.
    ///
    /// # Errors
    /// As for an update.
    pub async fn find(&self, name: &str, external_id: &str) -> Result<Option<Opened>, Failure> {
        let found = self.list(("check_name", name)).await?;
        let ours = found.into_iter().find(|run| run.external_id.as_deref() == Some(external_id));
        Ok(ours.map(|run| Opened { id: run.id, url: run.html_url }))
    }

    /// The newest check runs of the commit that are in this state, a hundred at most.
    ///
    /// # Errors
    /// As for an update.
    pub async fn open_check_runs(&self, status: Status) -> Result<Vec<FoundRun>, Failure> {
        self.list(("status", status.word())).await
    }

    async fn list(&self, narrowed: (&str, &str)) -> Result<Vec<FoundRun>, Failure> {
        let path = format!("commits/{}/check-runs", self.sha);
        let answer = self.read(&path, &[narrowed, ("filter", "all"), ("per_page", "100")]).await?;
        let found: Found = serde_json::from_value(answer)
            .map_err(|error| Fault::new("could not read GitHub's list of check runs").because(error))?;
        Ok(found.check_runs)
    }

    /// Sends a request, and remembers what was wrong with the answer for [`Client::trouble`].
    async fn ask<B>(
        &self,
        send: impl Future<Output = Result<http::Response<B>, octocrab::Error>>,
    ) -> Result<Value, Failure>
    where
        B: http_body_util::BodyExt,
        B::Error: Display,
    {
        let answer = self.asked(send).await;
        let trouble = match &answer {
            Ok(_) => None,
            Err(Failure::Passing(fault) | Failure::Busy(fault) | Failure::Final(fault)) => Some(fault.to_string()),
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        answer
    }

    async fn asked<B>(
        &self,
        send: impl Future<Output = Result<http::Response<B>, octocrab::Error>>,
    ) -> Result<Value, Failure>
    where
        B: http_body_util::BodyExt,
        B::Error: Display,
    {
        let closed_until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if closed_until.is_some_and(|until| until > Instant::now()) {
            return Err(Failure::Passing(Fault::new("GitHub asked us to wait before the next request")));
        }
        let Some(pass) = self.breaker.pass() else {
            return Err(Failure::Passing(Fault::new("GitHub is not well, and is asked again in a moment")));
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        let passing = |why: String| Failure::Passing(Fault::new("could not reach GitHub").cause(why));
        let answer = async {
            let answer = send.await.map_err(|error| {
                Failure::Passing(Fault::new(format!("could not reach GitHub for {}", self.repository)).because(error))
            })?;
            let (parts, body) = answer.into_parts();
            let bytes = body.collect().await.map_err(|error| passing(error.to_string()))?.to_bytes();
            Ok::<_, Failure>((parts, serde_json::from_slice::<Value>(&bytes).unwrap_or_default()))
        };
        let (parts, body) = tokio::select! {
            answer = answer => answer?,
            () = pause(self.answer_limit) => {
                return Err(passing(format!("no answer within {}", in_words(self.answer_limit))));
            }
        };
        if let Some(date) = parts.headers.get(header::DATE).and_then(|date| date.to_str().ok())
            && let Ok(date) = DateTime::parse_from_rfc2822(date)
        {
            self.clock.heard(date.with_timezone(&Utc));
        }
        // Whatever it says, it is there; but a fault of its own counts like silence.
        if !parts.status.is_server_error() {
            pass.answered();
        }
        if parts.status.is_success() {
            self.heard.store(true, Ordering::Relaxed);
            return Ok(body);
        }
        let fault = refusal(parts.status, &body, &self.repository);
        match judged(parts.status, &parts.headers, &body) {
            Verdict::Throttled(wait) => {
                let until = Instant::now() + wait;
                *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                Err(Failure::Passing(fault))
            }
            Verdict::Passing => Err(Failure::Passing(fault)),
            Verdict::Refused => {
                self.refused.store(true, Ordering::Relaxed);
                Err(Failure::Final(self.restricted.into_iter().fold(fault, Fault::cause)))
            }
            Verdict::Invalid => Err(Failure::Final(fault)),
        }
    }
}
