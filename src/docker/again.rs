//! Calls to the daemon that are repeated when their answer was lost. Each call says itself what makes that safe.

use std::time::Duration;

use bollard::errors::Error;

use super::refusal::{refused, status};
use super::{Docker, Labels};
use crate::engine::retry::{Attempts, Failure, Policy, pause};
use crate::fault::Fault;

/// How long a call is repeated: a daemon that is restarted is back within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a call that takes minutes is sent.
pub(super) const LONG_CALLS: u32 = 3;

/// How often in a row status 500 may be a passing fault: it is also how the daemon words what it will never do.
const SERVER_FAULTS: u32 = 3;

/// Sends a call until it is answered, for half a minute; `call` hears which attempt it is, from 1 on, so that one that
/// makes something can look before it sends again.
///
/// # Errors
/// The last failure.
pub(super) async fn again<T, F: Future<Output = Result<T, Error>>>(
    what: impl Into<String>,
    mut call: impl FnMut(u32) -> F,
) -> Result<T, Fault> {
    let what = what.into();
    let mut attempts = Attempts::new(Policy::within(PATIENCE));
    loop {
        match call(attempts.number()).await {
            Ok(value) => return Ok(value),
            Err(error) => attempts.after(failure(&what, error, attempts.number()), |_| ()).await?,
        }
    }
}

/// What to make of a call's failure at this attempt.
pub(super) fn failure(what: &str, error: Error, attempt: u32) -> Failure {
    let passes = passes(&error, attempt);
    let fault = refused(what, error);
    if passes { Failure::Passing(fault) } else { Failure::Final(fault) }
}

/// Whether something answered, but its answer was lost on the way or said that it is busy. No daemon at all is another
/// matter.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::HyperResponseError { .. })
        || matches!(error, Error::DockerResponseServerError { status_code: 429 | 502..=504, .. })
}

/// Whether the same call may work in a moment.
pub(super) fn passes(error: &Error, attempt: u32) -> bool {
    match error {
        lost if is_lost(lost) => true,
        Error::IOError { .. } => true,
        Error::DockerResponseServerError { status_code: 500, message } => {
            attempt < SERVER_FAULTS && !is_verdict(message)
        }
        Error::DockerStreamError { error } => attempt < SERVER_FAULTS && is_of_the_line(error),
        _ => false,
    }
}

/// Status 500 with words that will not change.
fn is_verdict(message: &str) -> bool {
    const VERDICTS: [&str; 5] = [
        "executable file not found",
        "no such file",
        "no space left on device",
        "port is already allocated",
        "non-overlapping IPv4 address pool",
    ];
    VERDICTS.iter().any(|text| message.contains(text))
}

/// Whether a push or pull broke between the daemon and the registry, by the daemon's words (Go's net package, and
/// distribution's client).
fn is_of_the_line(error: &str) -> bool {
    const WORDS: [&str; 11] = [
        "unexpected HTTP status: 5",
        "blob upload unknown",
        "HTTP status: 429",
        "toomanyrequests",
        "Rate exceeded",
        "connection reset by peer",
        "broken pipe",
        "unexpected EOF",
        ": EOF",
        "i/o timeout",
        "TLS handshake timeout",
    ];
    WORDS.iter().any(|text| error.contains(text))
}

/// `None` when the thing is not there.
pub(super) fn or_none<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if status(&error) == Some(404) => Ok(None),
        other => other.map(Some),
    }
}

/// Whether something carries all the labels that we gave it: then it is what a call made whose answer was lost.
pub(super) fn is_labelled(known: Option<&Labels>, ours: &Labels) -> bool {
    ours.iter().all(|(name, value)| known.is_some_and(|known| known.get(name) == Some(value)))
}

impl Docker {
    /// Sends a call that takes minutes and may be sent twice; after each break as soon as the daemon answers again.
    ///
    /// # Errors
    /// The last failure, or that the daemon does not come back.
    pub(super) async fn patiently<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Fault> {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if attempt < LONG_CALLS && passes(&error, attempt) => {}
                answer => return answer.map_err(|error| refused(what, error)),
            }
            self.back(attempt).await?;
            attempt += 1;
        }
    }

    /// Waits until the daemon answers again, and longer for each attempt that was made.
    ///
    /// # Errors
    /// It does not within half a minute.
    pub(super) async fn back(&self, attempts: u32) -> Result<(), Fault> {
        pause(Duration::from_millis(500) * attempts).await;
        again("the docker daemon went away", |_| async move { self.client.ping().await }).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_on_the_way_passes_and_what_the_registry_refuses_does_not() {
        let stream = |error: &str| passes(&Error::DockerStreamError { error: error.into() }, 1);
        assert!(stream("received unexpected HTTP status: 503 Service Unavailable"));
        assert!(stream("Put \"https://r/v2/\": read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer"));
        assert!(stream("Head \"https://r/v2/shop/blobs/sha256:1\": EOF"));
        assert!(!stream("denied: requested access to the resource is denied"));
        assert!(!stream("no basic auth credentials"));
        let server =
            |status_code, message: &str| Error::DockerResponseServerError { status_code, message: message.into() };
        assert!(passes(&server(500, "layer does not exist"), 1) && !passes(&server(500, "layer does not exist"), 3));
        assert!(!passes(&server(500, "no space left on device"), 1) && !passes(&server(409, "Conflict"), 1));
    }

    #[test]
    fn a_thing_is_ours_by_all_of_its_labels() {
        let labels = |value: &str| Labels::from([("io.beanline.run".into(), value.into())]);
        assert!(is_labelled(Some(&labels("r1")), &labels("r1")) && !is_labelled(Some(&labels("r2")), &labels("r1")));
        assert!(!is_labelled(None, &labels("r1")));
    }
}
