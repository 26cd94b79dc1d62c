//! Built-in acceptance checks: a request, and what its answer must be.

use std::time::Duration;

use crate::fault::Fault;
use crate::inputs::HttpCheck;
use crate::probe::client::Prober;
use crate::probe::{HttpQuestion, LONGEST_BODY};

/// Limit of one request of a built-in check, and of one readiness probe.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// A request to a path of the application.
pub fn question(method: &str, url: &str, path: &str, verify_tls: bool, limit: Duration) -> HttpQuestion {
    HttpQuestion {
        method: method.to_owned(),
        url: format!("{}{path}", url.trim_end_matches('/')),
        host: None,
        connect_to: None,
        headers: Vec::new(),
        body: None,
        verify_tls,
        timeout_ms: limit.min(REQUEST_LIMIT).as_millis() as u64,
        max_body: LONGEST_BODY,
    }
}

/// Asks, and holds the answer against the check.
///
/// # Errors
/// What was asked, what was answered, and the answer's first lines.
pub async fn run(prober: &Prober, check: &HttpCheck, url: &str, verify_tls: bool) -> Result<(), Fault> {
    let line = format!("{} {} {}", check.method, check.path, check.status);
    let fault = || Fault::new(format!("the acceptance check `{line}` did not pass")).cause(format!("asked: {url}"));
    let answer = prober.http(question(&check.method, url, &check.path, verify_tls, REQUEST_LIMIT)).await;
    let answer = answer.map_err(|error| fault().cause(error))?;
    if answer.status != check.status {
        let shown = answer.body.lines().take(10).map(str::to_owned).collect::<Vec<_>>();
        return Err(fault().cause(format!("it answered {}", answer.status)).lines(shown));
    }
    match &check.body_has {
        Some(text) if !answer.body.contains(text) => {
            let shown = answer.body.lines().take(10).map(str::to_owned).collect::<Vec<_>>();
            Err(fault().cause(format!("the body does not have the text `{text}`")).lines(shown))
        }
        _ => Ok(()),
    }
}
