//! Built-in acceptance checks: requests, and what came of them.

mod judge;

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::inputs::HttpCheck;
use crate::probe::client::Prober;
use crate::probe::{HttpFinding, HttpQuestion, LONGEST_BODY, MOST_BODY};

/// Limit of one readiness probe.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// Redirects that are followed, as browsers do (WHATWG Fetch, HTTP-redirect fetch).
const MOST_REDIRECTS: usize = 20;

/// Whether an application is ready, asked at one of its paths.
pub fn readiness(url: &str, path: &str, verify_tls: bool, limit: Duration) -> HttpQuestion {
    question("GET", url, path, verify_tls, limit.min(PROBE_LIMIT))
}

fn question(method: &str, url: &str, path: &str, verify_tls: bool, limit: Duration) -> HttpQuestion {
    HttpQuestion {
        method: method.to_owned(),
        url: format!("{}{path}", url.trim_end_matches('/')),
        host: None,
        connect_to: None,
        headers: Vec::new(),
        body: None,
        verify_tls,
        timeout_ms: milliseconds(limit),
        max_body: LONGEST_BODY,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is wrong with one check: causes, and the beginning of the answer.
struct Failed {
    check: String,
    causes: Vec<String>,
    lines: Vec<String>,
}

/// Asks each, and holds its answer against it. All are asked, as long as there are answers.
///
/// # Errors
/// What was asked, what was expected, what came instead, and the answer's first lines.
pub async fn run(
    cx: &StageCx,
    prober: &Prober,
    checks: &[HttpCheck],
    url: &str,
    verify_tls: bool,
) -> Result<(), Fault> {
    let mut failed = Vec::new();
    for check in checks {
        match exchange(prober, check, url, verify_tls).await {
            Ok(answer) => {
                let causes = judge::wrong(check, &answer);
                let outcome = if causes.is_empty() { "passed" } else { "did not pass" };
                let took = in_words(Duration::from_millis(answer.millis));
                cx.line(format!("{check} {outcome}: {} in {took}", answer.status));
                if !causes.is_empty() {
                    failed.push(Failed { check: check.to_string(), causes, lines: judge::beginning(&answer) });
                }
            }
            Err(error) => {
                cx.line(format!("{check} did not pass: {error}"));
                failed.push(Failed { check: check.to_string(), causes: vec![error], lines: Vec::new() });
                // Who does not answer once does not answer the next one either, and each takes its time to find out.
                break;
            }
        }
    }
    match fault(failed, checks.len()) {
        Some(fault) => Err(fault.cause(format!("asked: {url}"))),
        None => Ok(()),
    }
}

fn fault(failed: Vec<Failed>, of: usize) -> Option<Fault> {
    if let [one] = failed.as_slice() {
        let fault = Fault::new(format!("the acceptance check `{}` did not pass", one.check));
        return Some(one.causes.iter().fold(fault, |fault, cause| fault.cause(cause)).lines(&one.lines));
    }
    let first = failed.first()?;
    let fault = Fault::new(format!("{} of {of} acceptance checks did not pass", failed.len())).lines(&first.lines);
    Some(failed.iter().fold(fault, |fault, one| fault.cause(format!("`{}`: {}", one.check, one.causes.join("; ")))))
}

/// The answer to a check's request, or the one behind its redirects.
async fn exchange(prober: &Prober, check: &HttpCheck, url: &str, verify_tls: bool) -> Result<HttpFinding, String> {
    let deadline = Instant::now() + check.limit;
    let mut asked = HttpQuestion {
        headers: check.headers.clone(),
        body: check.body.clone(),
        max_body: MOST_BODY,
        ..question(&check.method, url, &check.path, verify_tls, check.limit)
    };
    for _ in 0..=MOST_REDIRECTS {
        asked.timeout_ms = milliseconds(deadline.saturating_duration_since(Instant::now()));
        if asked.timeout_ms == 0 {
            return Err(format!("it still redirected after {}", in_words(check.limit)));
        }
        let answer = prober.http(asked.clone()).await?;
        match redirected(&asked, &answer).filter(|_| check.follows) {
            Some(next) => asked = next?,
            None => return Ok(answer),
        }
    }
    Err(format!("it redirected more than {MOST_REDIRECTS} times"))
}

/// The request that an answer asks for (RFC 9110, 15.4); `None` when it is no redirect.
fn redirected(asked: &HttpQuestion, answer: &HttpFinding) -> Option<Result<HttpQuestion, String>> {
    const REDIRECTS: [StatusCode; 5] = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let status = REDIRECTS.into_iter().find(|known| *known == answer.status)?;
    let location = answer.headers.get("location")?;
    let from = Url::parse(&asked.url);
    let Ok((from, to)) = from.and_then(|from| from.join(location).map(|to| (from, to))) else {
        return Some(Err("it redirected to what is no URL".to_owned()));
    };
    let mut next = HttpQuestion { url: to.to_string(), ..asked.clone() };
    let is_get = [Method::GET, Method::HEAD].iter().any(|method| method.as_str() == asked.method);
    let is_kept = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status);
    if !is_get && !is_kept {
        next.method = Method::GET.to_string();
        next.body = None;
        next.headers.retain(|(name, _)| name != "content-type");
    }
    if from.origin() != to.origin() {
        // What was meant for one server is not another's to read.
        next.headers.clear();
    }
    Some(Ok(next))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn answer(status: u16, location: &str) -> HttpFinding {
        let headers = BTreeMap::from([("location".to_owned(), location.to_owned())]);
        HttpFinding { status, headers, body: String::new(), cut: false, millis: 1 }
    }

    #[test]
    fn a_redirect_is_followed_as_a_browser_does() {
        let mut asked = question("POST", "http://app:8080/", "/a/b?c", true, PROBE_LIMIT);
        asked.body = Some("x".into());
        asked.headers = vec![("authorization".into(), "obvious-fake".into()), ("content-type".into(), "a/b".into())];
        let next = |status, location: &str| redirected(&asked, &answer(status, location)).unwrap().unwrap();

        let seen = next(302, "../d");
        assert_eq!((seen.method.as_str(), seen.url.as_str(), seen.body), ("GET", "http://app:8080/d", None));
        assert_eq!(seen.headers.len(), 1);
        let kept = next(308, "/d");
        assert_eq!((kept.method.as_str(), kept.body.as_deref(), kept.headers.len()), ("POST", Some("x"), 2));
        assert!(next(307, "https://app:8080/").headers.is_empty());
        assert!(redirected(&asked, &answer(200, "/d")).is_none());
        assert!(redirected(&asked, &answer(302, "http://[")).unwrap().is_err());
    }

    #[test]
    fn several_failures_are_told_together() {
        let failed = |check: &str| Failed { check: check.into(), causes: vec!["no".into()], lines: vec!["x".into()] };
        assert!(fault(Vec::new(), 2).is_none());
        let one = fault(vec![failed("GET / 200")], 2).unwrap();
        assert_eq!(one.to_string(), "the acceptance check `GET / 200` did not pass: no");
        let two = fault(vec![failed("GET / 200"), failed("GET /a 200")], 3).unwrap();
        assert_eq!(two.to_string(), "2 of 3 acceptance checks did not pass: `GET / 200`: no: `GET /a 200`: no");
        assert_eq!(two.last_lines(), ["x"]);
    }
}
