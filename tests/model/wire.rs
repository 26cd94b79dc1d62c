//! The way from a run's AWS clients to the cloud: no socket, but everything that happens on a line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use beanline::engine::retry::pause;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{oneshot, watch};

use crate::cloud::Cloud;
use crate::dice::Dice;
use crate::schedule::{Moment, Script, Stop};

/// One run's line. Clones are the same line.
#[derive(Clone)]
pub struct Wire(Arc<Line>);

struct Line {
    run: usize,
    cloud: Arc<Cloud>,
    trouble: u64,
    state: Mutex<LineState>,
    /// The call at which the run is stopped, and whether it has taken effect by then.
    stops_at: Option<(u32, bool)>,
    stop: watch::Sender<bool>,
}

struct LineState {
    dice: Dice,
    changes: u32,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is answered.
    Answered,
    /// The connection breaks before it has arrived.
    Reset,
    /// It is refused before it takes effect, with this status.
    Refused(u16),
    /// It takes effect, and the connection breaks before the answer.
    Lost,
    /// It takes effect, and no answer ever comes.
    Silence,
    /// It takes effect at once, and the answer takes its time.
    Slow(Duration),
    /// The run is stopped while it sends.
    StoppedBefore,
    /// The run is stopped when it has taken effect.
    StoppedAfter,
}

impl Wire {
    /// The line of the run with this number, and what tells that the run must be stopped.
    pub fn new(run: usize, cloud: Arc<Cloud>, script: &Script, dice: Dice) -> (Self, watch::Receiver<bool>) {
        let (stop, stopped) = watch::channel(false);
        let stops_at = match script.stop {
            Stop::Signals(Moment::Call { number, took_effect }, _)
            | Stop::Kill(Moment::Call { number, took_effect }) => Some((number, took_effect)),
            _ => None,
        };
        let state = Mutex::new(LineState { dice, changes: 0 });
        (Self(Arc::new(Line { run, cloud, trouble: script.trouble, state, stops_at, stop })), stopped)
    }

    /// Throws the dice for a call: how long it travels, and what becomes of it.
    fn fate(&self, call: &Call) -> (Duration, Fate) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.changes += u32::from(call.changes);
        let travel = state.dice.time(1, 40);
        // Thrown for every call, so that one more or less moves nothing else.
        let (goes_wrong, how, slow) = (state.dice.below(1000), state.dice.below(100), state.dice.time(500, 40_000));
        if call.changes
            && let Some((number, took_effect)) = self.0.stops_at
            && state.changes == number
        {
            return (travel, if took_effect { Fate::StoppedAfter } else { Fate::StoppedBefore });
        }
        if goes_wrong >= self.0.trouble {
            return (travel, Fate::Answered);
        }
        let fate = match how {
            0..20 => Fate::Reset,
            20..45 => Fate::Refused(400),
            45..60 => Fate::Refused(503),
            60..80 => Fate::Lost,
            80..85 => Fate::Silence,
            _ => Fate::Slow(slow),
        };
        (travel, fate)
    }

    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let broken = |text: &str| ConnectorError::io(std::io::Error::other(text.to_owned()).into());
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (head, body) = as_received(request).into_parts();
        let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
        let call = Call::of(&head, &body);
        let (travel, fate) = self.fate(&call);
        let line = self.0;
        let told = |text: String| line.cloud.trace.line(format!("run {} {} {text}", line.run, call.name));
        if fate == Fate::StoppedBefore {
            told("is stopped before it is sent".into());
            line.stop.send_replace(true);
            return std::future::pending().await;
        }
        // The cloud goes on with what has reached it, whoever hangs up.
        let (answered, answer) = oneshot::channel();
        let cloud = line.cloud.clone();
        let (run, name, changes) = (line.run, call.name.clone(), call.changes);
        tokio::spawn(async move {
            pause(travel).await;
            let response = match fate {
                Fate::Reset => None,
                Fate::Refused(status) => Some(refusal(status, name.starts_with("s3:"))),
                _ => Some(cloud.answer(run, &name, changes, http::Request::from_parts(head, body))),
            };
            // Nobody may be waiting any more.
            drop(answered.send(response));
        });
        let response = answer.await.ok().flatten();
        let status = response.as_ref().map_or(0, |response| response.status().as_u16());
        told(format!("{status} {}", if fate == Fate::Answered { String::new() } else { format!("{fate:?}") }));
        match (fate, response) {
            (Fate::StoppedAfter, _) => {
                line.stop.send_replace(true);
                std::future::pending().await
            }
            (Fate::Silence, _) => std::future::pending().await,
            (Fate::Lost, _) => Err(broken("connection reset by peer")),
            (Fate::Slow(time), Some(response)) => {
                pause(time).await;
                HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
            }
            (_, Some(response)) => {
                pause(travel).await;
                HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
            }
            (_, None) => Err(broken("connection refused")),
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the line of run {}", self.0.run)
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().carry(request))
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// What an HTTP client makes of a request: the host goes from the address to a header.
fn as_received<B>(mut request: http::Request<B>) -> http::Request<B> {
    let host = request.uri().authority().map(|host| host.to_string()).unwrap_or_default();
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    request.headers_mut().insert(http::header::HOST, host.parse().unwrap());
    *request.uri_mut() = path.parse().unwrap();
    request
}

/// A call, as the trace names it.
struct Call {
    name: String,
    changes: bool,
}

impl Call {
    fn of(head: &http::request::Parts, body: &Bytes) -> Self {
        let path = head.uri.path();
        let form: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap_or_default();
        match form.iter().find(|(name, _)| name == "Action") {
            Some((_, action)) if path == "/" => {
                let subject = ["EnvironmentName", "EnvironmentId", "TemplateName", "VersionLabel"];
                let subject = subject.iter().find_map(|key| form.iter().find(|(name, _)| name == key));
                let name = format!("{action} {}", subject.map_or("", |(_, value)| value));
                let reads = ["Describe", "List", "Check", "Retrieve"].iter().any(|verb| action.starts_with(verb));
                Self { name: name.trim_end().to_owned(), changes: !reads }
            }
            _ => Self { name: format!("s3:{} {path}", head.method), changes: !head.method.is_safe() },
        }
    }
}

/// Throttled (400), or out of service (503), in the words of the service.
fn refusal(status: u16, is_s3: bool) -> http::Response<SdkBody> {
    let (code, status) = match (status, is_s3) {
        (400, false) => ("Throttling", 400),
        (400, true) => ("SlowDown", 503),
        _ => ("ServiceUnavailable", 503),
    };
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>Rate exceeded</Message></Error>");
    let text = if is_s3 { error } else { format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>") };
    let mut response = http::Response::new(SdkBody::from(text));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}
