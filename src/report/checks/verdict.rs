//! What an answer of GitHub's means that is no success, and what people are told of it.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::fault::Fault;

/// The wait after being throttled when GitHub does not say how long; its documentation asks for a minute at least.
const THROTTLED: Duration = Duration::from_secs(60);

/// No wait that GitHub asks for is longer: its limits are counted by the hour.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What an answer that is no success means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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
pub(super) fn judged(status: StatusCode, headers: &HeaderMap, body: &Value) -> Verdict {
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
pub(super) fn refusal(status: StatusCode, body: &Value, repository: &str) -> Fault {
    let message = body["message"].as_str().unwrap_or("without a message");
    let fault = Fault::new(format!("GitHub answered {} for {repository}", status.as_u16())).cause(message);
    let details = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let fault = details.iter().filter_map(|e| e["message"].as_str()).fold(fault, |fault, text| fault.cause(text));
    match status.as_u16() {
        401 => fault.hint("the input `github_token` holds no valid token; give it `${{ github.token }}`"),
        403 => fault.hint(
            "give the job `permissions: checks: write`; runs for forks never have it, and personal access tokens cannot \
             write check runs at all: theirs is `statuses: write`",
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
    use http::HeaderName;
    use serde_json::json;

    use super::super::client::Found;
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
