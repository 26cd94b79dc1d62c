//! What meets a call at the front door on request: it is refused, its connection breaks before or after it took effect,
//! or its answer comes late. The same for every service, each in its own words.

use std::time::Duration;

use axum::body::Body;
use http::{Response, StatusCode};

use super::beanstalk::faults::{FaultName, SetFault, Target};
use super::call::{Answer, Service};
use super::query;
use super::state::State;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// It takes no effect.
    pub before: Option<Before>,
    /// The answer is held back for so long.
    pub hold: Duration,
    /// It takes effect, and its answer is lost.
    pub lost: bool,
}

/// Why a call takes no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It is refused.
    Refused(Reason),
    /// It is refused since the caller has no right to it.
    Denied,
    /// The connection breaks.
    Broken,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Too many calls.
    Throttled,
    /// The service's fault, status 500.
    Failed,
    /// The service is not there, status 503.
    Unavailable,
    /// The session of the caller's credentials is over.
    Expired,
}

/// What goes wrong with calls; all else goes wrong with environments.
const OF_CALLS: [FaultName; 8] = [
    FaultName::Denied,
    FaultName::Throttle,
    FaultName::InternalError,
    FaultName::ServerError,
    FaultName::ExpiredToken,
    FaultName::Reset,
    FaultName::Slow,
    FaultName::AnswerLost,
];

/// Whether anything can go wrong with this call.
pub(super) fn is_near(state: &State, target: Target<'_>) -> bool {
    state.faults.iter().any(|fault| fault.is_at(&target) && OF_CALLS.contains(&fault.name))
}

/// What goes wrong with this call; it is used up by this. A call that takes no effect uses up nothing else.
pub(super) fn meet(state: &mut State, target: Target<'_>) -> Trouble {
    let refused = |reason| Some(Before::Refused(reason));
    let before = [
        (FaultName::Denied, Some(Before::Denied)),
        (FaultName::Throttle, refused(Reason::Throttled)),
        (FaultName::InternalError, refused(Reason::Failed)),
        (FaultName::ServerError, refused(Reason::Unavailable)),
        (FaultName::ExpiredToken, refused(Reason::Expired)),
        (FaultName::Reset, Some(Before::Broken)),
    ];
    let hold = state.take_fault(FaultName::Slow, target).map_or(0, |slow: SetFault| slow.millis);
    let before = before.into_iter().find_map(|(name, it)| it.filter(|_| state.use_fault(name, target)));
    let lost = before.is_none() && state.use_fault(FaultName::AnswerLost, target);
    Trouble { before, hold: Duration::from_millis(hold.into()), lost }
}

/// Says that the connection is to be closed without another byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed;

/// In place of an answer: who holds the connection closes it; a reader without one finds a body that breaks off.
pub(super) fn closed() -> Response<Body> {
    let mut response = query::lost();
    response.extensions_mut().insert(Closed);
    response
}

/// The refusal in the service's own words (each API reference's page "Common Errors"; S3's error responses).
pub(super) fn refusal(service: Service, reason: Reason) -> Answer {
    let (status, code, message) = match service {
        Service::S3 => match reason {
            Reason::Throttled => (503, "SlowDown", "Please reduce your request rate."),
            Reason::Failed => (500, "InternalError", "We encountered an internal error. Please try again."),
            Reason::Unavailable => (503, "ServiceUnavailable", "Service is unable to handle request."),
            Reason::Expired => (400, "ExpiredToken", "The provided token has expired."),
        },
        Service::Ecr => match reason {
            Reason::Throttled => (400, "ThrottlingException", "Rate exceeded"),
            Reason::Failed => (500, "ServerException", "Internal server error"),
            Reason::Unavailable => (503, "ServiceUnavailableException", "Service Unavailable"),
            Reason::Expired => (400, "ExpiredTokenException", EXPIRED),
        },
        Service::Beanstalk | Service::Sts => match reason {
            Reason::Throttled => (400, "Throttling", "Rate exceeded"),
            Reason::Failed => (500, "InternalFailure", "We encountered an internal error. Please try again."),
            Reason::Unavailable => (503, "ServiceUnavailable", "The service is unavailable. Please try again shortly."),
            Reason::Expired => (403, "ExpiredToken", EXPIRED),
        },
    };
    Answer::refusal(service, StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), code, message)
}

const EXPIRED: &str = "The security token included in the request is expired";

#[cfg(test)]
mod tests;
