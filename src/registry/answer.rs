//! What a registry answered, and the fault in it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::advice;
use crate::engine::retry::Failure;
use crate::fault::Fault;

/// The longest piece of a registry's own words that is shown, in characters.
const LONGEST_TEXT: usize = 200;

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Docker-Content-Digest`.
    pub(super) digest: Option<String>,
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
    /// The registry's host.
    pub(super) host: String,
    pub(super) has_login: bool,
}

/// What is in the body of a refusal: the distribution specification's list, or a token service's words.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<ErrorText>,
    #[serde(alias = "message", alias = "error_description")]
    details: Option<String>,
}

#[derive(Deserialize)]
struct ErrorText {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    /// The fault of an answer that is not the one that was hoped for.
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        let fault = Fault::new(what).cause(format!("the registry answered {}", self.status));
        let fault = self.words().into_iter().fold(fault, Fault::cause);
        match (self.status.as_u16(), self.has_login) {
            (401 | 403, has_login) => fault.hint(advice::login(&self.host, has_login)),
            (404, _) => fault.hint("check the host in `image`: it does not answer as a registry does"),
            (429, false) => fault.hint(format!("log in: who is known to {} may ask more often", self.host)),
            _ => fault,
        }
    }

    /// Throttling and a server's own faults pass; everything else is an answer.
    pub(super) fn or_busy(self) -> Result<Self, Failure> {
        let fault = || self.fault(format!("could not ask the registry {}", self.host));
        match self.status {
            // A quota of hours: to wait for it helps nobody.
            StatusCode::TOO_MANY_REQUESTS if self.says("pull rate limit") => Err(Failure::Final(fault())),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Busy(fault())),
            status if status.is_server_error() => Err(Failure::Busy(fault())),
            _ => Ok(self),
        }
    }

    /// Whether the registry's own words hold a text.
    pub(super) fn says(&self, text: &str) -> bool {
        self.words().iter().any(|words| words.contains(text))
    }

    fn words(&self) -> Vec<String> {
        let refusal = serde_json::from_slice::<Refusal>(&self.body).unwrap_or_default();
        let errors = refusal.errors.iter().take(3).map(|error| format!("{} {}", error.code, error.message));
        let texts = errors.chain(refusal.details);
        texts.map(|text| text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()).collect()
    }
}
