//! Requests about check runs, sent: the only use of octocrab.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, StatusCode, header};
use octocrab::Octocrab;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::request::{Opening, Status, Update};
use crate::clock::Clock;
use crate::engine::in_words;
use crate::engine::retry::{Failure, pause};
use crate::fault::Fault;
use crate::inputs::GithubPlan;

/// The version of the API that every supported GitHub Enterprise Server knows.
const API_VERSION: &str = "2022-11-28";

/// The wait after being throttled when GitHub does not say how long; its documentation asks for a minute at least.
const THROTTLED: Duration = Duration::from_secs(60);

/// No wait that GitHub asks for is longer: its limits are counted by the hour.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

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
    refused: AtomicBool,
    heard: AtomicBool,
    closed_until: Mutex<Option<Instant>>,
    trouble: Mutex<Option<String>>,
}

#[derive(Debug, Deserialize)]
struct Found {
    check_runs: Vec<FoundRun>,
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
            refused: AtomicBool::new(false),
            closed_until: Mutex::new(None),
            trouble: Mutex::new(None),
        })
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
    pub async fn create(&self, opening: &Opening<'_>) -> Result<u64, Failure> {
        let answer = self.write("check-runs", opening).await?;
        answer["id"].as_u64().ok_or_else(|| Fault::new("GitHub opened a check run without an id").into())
    }

    /// Brings a check run into a state. May safely be repeated, but for annotations, which are appended.
    ///
    /// # Errors
    /// [`Failure::Passing`] when it may work in a moment.
    pub async fn update(&self, id: u64, update: &Update) -> Result<(), Failure> {
        let path = format!("/repos/{}/check-runs/{id}", self.repository);
        self.ask(async { self.octocrab._patch(path, Some(update)).await }).await.map(drop)
    }

    /// The id of a check run that may have been opened by a request whose answer was lost.
    ///
    /// # Errors
    /// As for an update.
    pub async fn find(&self, name: &str, external_id: &str) -> Result<Option<u64>, Failure> {
        let found = self.list(("check_name", name)).await?;
        let ours = found.into_iter().find(|run| run.external_id.as_deref() == Some(external_id));
        Ok(ours.map(|run| run.id))
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
                Err(Failure::Final(fault))
            }
            Verdict::Invalid => Err(Failure::Final(fault)),
        }
    }
}

/// What an answer that is no success means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Ask again after this time.
    Throttled(Duration),
    /// Ask again.
    Passing,
    /// No check run will ever be taken from us here.
    Refused,
    /// This request will never be taken.
    Invalid,
}

/// Judges an answer as GitHub's page on rate limits asks for: `retry-after` first, then `x-ratelimit-reset` when nothing
/// remains, else a minute.
fn judged(status: StatusCode, headers: &HeaderMap, body: &Value) -> Verdict {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let says_so = body["message"].as_str().is_some_and(|text| text.to_lowercase().contains("rate limit"));
    let none_remain = number("x-ratelimit-remaining") == Some(0);
    match status.as_u16() {
        403 | 429 => match (number("retry-after"), none_remain) {
            (Some(seconds), _) => Verdict::Throttled(Duration::from_secs(seconds).min(LONGEST_WAIT)),
            (None, true) => {
                let reset = number("x-ratelimit-reset").unwrap_or_default();
                let now = chrono::Utc::now().timestamp().unsigned_abs();
                Verdict::Throttled(Duration::from_secs(reset.saturating_sub(now).max(1)).min(LONGEST_WAIT))
            }
            (None, false) if says_so || status.as_u16() == 429 => Verdict::Throttled(THROTTLED),
            (None, false) => Verdict::Refused,
        },
        401 | 404 | 410 | 451 => Verdict::Refused,
        408 | 500..=599 => Verdict::Passing,
        _ => Verdict::Invalid,
    }
}

/// The fault for a refusal, with what to do about it.
fn refusal(status: StatusCode, body: &Value, repository: &str) -> Fault {
    let message = body["message"].as_str().unwrap_or("without a message");
    let fault = Fault::new(format!("GitHub answered {} for {repository}", status.as_u16())).cause(message);
    let details = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let fault = details.iter().filter_map(|e| e["message"].as_str()).fold(fault, |fault, text| fault.cause(text));
    match status.as_u16() {
        401 => fault.hint("the input `github_token` holds no valid token; give it `${{ github.token }}`"),
        403 => fault.hint(
            "give the job `permissions: checks: write`; runs for forks and Dependabot have no such permission, and \
             personal access tokens cannot write check runs at all: theirs is `statuses: write`",
        ),
        404 => {
            fault.hint(format!("the token cannot see {repository}; look at the inputs `repository` and `github_token`"))
        }
        422 => fault.hint("look at the input `sha`: the commit must have been pushed to this repository"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fuzz_driver::fuzz;

    /// Header lines, an empty one, and a body.
    #[test]
    fn fuzz_answers_that_are_no_success() {
        let target = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
            let headers = head.lines().filter_map(|line| line.split_once(": "));
            let headers = headers.filter_map(|(k, v)| Some((HeaderName::try_from(k).ok()?, v.parse().ok()?))).collect();
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            for status in [400, 401, 403, 404, 422, 429, 500, 502] {
                let status = StatusCode::from_u16(status).unwrap();
                if let Verdict::Throttled(wait) = judged(status, &headers, &body) {
                    assert!(wait <= LONGEST_WAIT && !refusal(status, &body, "o/r").what().is_empty());
                }
            }
            if let Ok(found) = serde_json::from_value::<Found>(body) {
                assert!(found.check_runs.len() <= bytes.len());
            }
        };
        let spent = b"x-ratelimit-remaining: 0\nx-ratelimit-reset: 1700000000\n\n{\"message\":\"API rate limit\"}";
        let asked = b"retry-after: 18446744073709551615\n\n{\"message\":null,\"errors\":[{\"message\":\"x\"},4]}";
        fuzz(&[spent, asked, b"a: b\n\n{\"check_runs\":[{\"id\":1,\"external_id\":null},{\"id\":2}]}"], target);
    }

    fn judge(status: u16, headers: &[(&'static str, &str)], message: &str) -> Verdict {
        let headers = headers.iter().map(|(k, v)| (HeaderName::from_static(k), v.parse().unwrap())).collect();
        judged(StatusCode::from_u16(status).unwrap(), &headers, &json!({ "message": message }))
    }

    #[test]
    fn a_throttled_request_is_told_from_a_forbidden_one() {
        assert_eq!(judge(403, &[], "Resource not accessible by integration"), Verdict::Refused);
        assert_eq!(judge(403, &[("retry-after", "7")], ""), Verdict::Throttled(Duration::from_secs(7)));
        assert_eq!(judge(403, &[], "You have exceeded a secondary rate limit"), Verdict::Throttled(THROTTLED));
        assert_eq!(judge(429, &[], ""), Verdict::Throttled(THROTTLED));
        let spent = judge(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "API rate limit");
        assert_eq!(spent, Verdict::Throttled(Duration::from_secs(1)));
        assert_eq!(
            (judge(502, &[], ""), judge(422, &[], ""), judge(404, &[], "")),
            (Verdict::Passing, Verdict::Invalid, Verdict::Refused)
        );
    }
}
