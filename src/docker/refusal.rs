//! The daemon's refusals as faults: what could not be done, and the daemon's own words without the wrapping.

use std::io::ErrorKind;
use std::time::Duration;

use bollard::errors::Error;

use super::wire::Wire;
use crate::engine::in_words;
use crate::fault::Fault;

/// A call that the daemon refused, or that did not reach it.
pub(super) fn refused(what: impl Into<String>, error: Error) -> Fault {
    match error {
        Error::DockerResponseServerError { message, .. } => explained(Fault::new(what), &message),
        Error::DockerStreamError { error } => explained(Fault::new(what), &error),
        Error::RequestTimeoutError => Fault::timed_out(what).cause("the docker daemon did not answer in time"),
        Error::IOError { err } if matches!(err.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            Fault::new(what).cause("the docker daemon has gone").because(err).hint(RESTARTED)
        }
        Error::IOError { err } => broke(what).because(err),
        Error::HyperResponseError { err } => broke(what).because(err),
        Error::JsonDataError { message, .. } => {
            Fault::new(what).cause(format!("the docker daemon's answer is not understood: {message}"))
        }
        other => Fault::new(what).because(other),
    }
}

/// What it means for a run when the engine ends under it.
const RESTARTED: &str = "was the engine stopped or restarted? the containers that ran on it ended with it; when it \
                         answers again, run again";

fn broke(what: impl Into<String>) -> Fault {
    Fault::new(what).cause("the connection to the docker daemon broke").hint(RESTARTED)
}

/// The status with which the daemon refused, if it did.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// `()` when the thing was not there.
pub(super) fn or_gone<T: Default>(answer: Result<T, Error>, what: impl Into<String>) -> Result<T, Fault> {
    match answer {
        Err(error) if status(&error) == Some(404) => Ok(T::default()),
        other => other.map_err(|error| refused(what, error)),
    }
}

/// The daemon's words, with a hint where they are known to puzzle.
fn explained(fault: Fault, message: &str) -> Fault {
    let message = message.trim();
    let fault = fault.cause(if message.is_empty() { "the docker daemon gave no reason" } else { message });
    let shell = ["\"sh\": executable file not found", "\"/bin/sh\": stat /bin/sh: no such file"];
    if shell.iter().any(|text| message.contains(text)) {
        return fault.hint("the image has no shell: write the command as a JSON array, such as [\"/app\", \"--test\"]");
    }
    if message.contains("executable file not found") {
        return fault.hint("the image has no such program: look at the first word of the command");
    }
    if message.contains("non-overlapping IPv4 address pool") {
        return fault.hint("the daemon has run out of networks: look at `docker network ls` and remove unused ones");
    }
    if message.contains("no space left on device") {
        return fault.hint("the daemon's disk is full: look at `docker system df`");
    }
    fault
}

/// The daemon did not say hello.
pub(super) fn unreachable(wire: &Wire, error: Error) -> Fault {
    let kind = match &error {
        Error::IOError { err } => Some(err.kind()),
        _ => None,
    };
    let mount = "in a container, give it the socket with `-v /var/run/docker.sock:/var/run/docker.sock`; \
                 a daemon elsewhere is named by DOCKER_HOST";
    match (kind, wire.is_socket()) {
        (Some(ErrorKind::NotFound), true) => Fault::new(format!("there is no docker daemon at {wire}"))
            .because(error)
            .hint("start the docker engine on this machine")
            .hint(mount),
        (Some(ErrorKind::PermissionDenied), _) => Fault::new(format!("no permission to use the docker socket {wire}"))
            .because(error)
            .hint("add this user to the group docker (`sudo usermod -aG docker \"$USER\"`, then log in anew)")
            .hint("in a container, run as root, or with `--group-add` and the socket's group"),
        (Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound), _) => {
            Fault::new(format!("no docker daemon answers at {wire}"))
                .because(error)
                .hint("start the docker engine, or correct DOCKER_HOST")
                .hint(mount)
        }
        (Some(_), _) => Fault::new(format!("could not reach the docker daemon at {wire}"))
            .because(error)
            .hint("check DOCKER_HOST, and DOCKER_TLS_VERIFY with DOCKER_CERT_PATH if the daemon wants TLS"),
        (None, _) => match error {
            Error::DockerResponseServerError { message, .. } if message.contains("HTTPS server") => {
                Fault::new(format!("the docker daemon at {wire} wants TLS"))
                    .cause(message)
                    .hint("set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH")
            }
            other => Fault::new(format!("what answers at {wire} is no docker daemon"))
                .because(other)
                .hint("correct DOCKER_HOST; a daemon that wants TLS needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
        },
    }
}

/// The daemon said nothing at all.
pub(super) fn silent(wire: &Wire, limit: Duration) -> Fault {
    Fault::timed_out(format!("the docker daemon at {wire} did not answer within {}", in_words(limit)))
        .hint("look at the engine with `docker info`; restart it if that hangs too")
}
