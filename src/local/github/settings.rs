//! How the embedded GitHub can be told to misbehave, as the real one does.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use axum::response::Response;

use super::answer;

/// Settings of a running GitHub; they are no part of its state.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How long each answer takes.
    pub latency: Duration,
    /// The only token that is known; any, if absent.
    pub token: Option<String>,
    /// Given to every request from now on.
    pub always: Option<Refusal>,
    /// Given to the next requests that change something, one each.
    pub next_writes: VecDeque<Refusal>,
    /// Given to every request whose path ends in this text.
    pub on_path: Option<(String, Refusal)>,
}

/// A way to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401 `Bad credentials`.
    BadCredentials,
    /// 403 `Resource not accessible by integration`: the token lacks a permission.
    NotAccessible,
    /// 404: the token cannot see the repository.
    NotFound,
    /// 403 with `x-ratelimit-remaining: 0`, or with `retry-after` in seconds.
    RateLimited {
        /// Seconds to wait; without it the caller is told when its hour ends.
        retry_after: Option<u64>,
    },
    /// 429 with `retry-after` in seconds.
    TooMany(u64),
    /// 422 about an annotation, as vague as GitHub's.
    Invalid,
    /// A fault of the server.
    Server(u16),
    /// The request is carried out, and a 502 is answered.
    LostAnswer,
    /// The request is carried out, and the connection is closed without an answer.
    Reset,
}

impl Settings {
    /// How this request is refused, if it is.
    pub(super) fn refusal(&mut self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Refusal> {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = sent.strip_prefix("Bearer ").or(sent.strip_prefix("token ")).unwrap_or_default();
        if token.is_empty() || self.token.as_ref().is_some_and(|known| known != token) {
            return Some(Refusal::BadCredentials);
        }
        if let Some((end, refusal)) = &self.on_path
            && path.ends_with(end.as_str())
        {
            return Some(refusal.clone());
        }
        if *method != Method::GET
            && let Some(refusal) = self.next_writes.pop_front()
        {
            return Some(refusal);
        }
        self.always.clone()
    }
}

impl Refusal {
    /// Whether the request takes effect all the same.
    pub(super) fn comes_too_late(&self) -> bool {
        matches!(self, Refusal::LostAnswer | Refusal::Reset)
    }

    /// The answer, worded as GitHub words it.
    pub(super) fn answer(&self) -> Response {
        match self {
            Refusal::BadCredentials => answer::refused(401, "Bad credentials"),
            Refusal::NotAccessible => answer::refused(403, "Resource not accessible by integration"),
            Refusal::NotFound => answer::not_found(),
            Refusal::Invalid => answer::refused(422, "Validation Failed"),
            Refusal::RateLimited { retry_after: Some(seconds) } => answer::with_header(
                answer::refused(403, "You have exceeded a secondary rate limit. Please wait a few minutes."),
                "retry-after",
                *seconds,
            ),
            Refusal::RateLimited { retry_after: None } => {
                let reset = chrono::Utc::now().timestamp().unsigned_abs() + 3600;
                let answer = answer::refused(403, "API rate limit exceeded for installation.");
                let answer = answer::with_header(answer, "x-ratelimit-remaining", 0);
                answer::with_header(answer, "x-ratelimit-reset", reset)
            }
            Refusal::TooMany(seconds) => {
                answer::with_header(answer::refused(429, "Too many requests"), "retry-after", *seconds)
            }
            Refusal::Server(status) => answer::refused(*status, "Server Error"),
            Refusal::LostAnswer => answer::refused(502, "Server Error"),
            Refusal::Reset => answer::hung_up(),
        }
    }
}
