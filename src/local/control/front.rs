//! The front door: which service a request is for, and who is let in.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use s3s::service::S3Service;

use super::KEYS;
use super::beanstalk::faults::Target;
use super::beanstalk::{self, Beanstalk};
use super::call::{Answer, Call, CallLog, Scope, Service};
use super::denied::{self, Denied};
use super::ecr::{self, Ecr};
use super::state::{State, Store};
use super::trouble::{self, Before, Trouble};
use super::{s3, skew, sts};
use crate::engine::retry::pause;
use crate::fault::Fault;

/// No body but an S3 object is larger: an ECR manifest has at most 4 MiB (ECR service quotas).
const LARGEST_BODY: usize = 5 << 20;

/// The services.
pub(super) struct Front {
    pub calls: CallLog,
    pub store: Store,
    pub beanstalk: Beanstalk,
    pub s3: S3Service,
    pub ecr: Ecr,
}

/// What is asked for.
struct Asked {
    service: Service,
    action: String,
    /// What it is about, where the action alone does not say.
    resource: Option<String>,
    /// The caller's ARN.
    caller: String,
    /// The body, of services that are asked in one piece.
    body: Bytes,
}

impl Front {
    /// Answers one request, at the time that it is in this world. [`Closed`](super::trouble::Closed) among an answer's
    /// extensions says that the connection breaks instead.
    pub async fn answer(&self, request: Request<s3s::Body>) -> Response<Body> {
        let dated = async {
            let mut response = self.let_in(request).await;
            skew::date(&mut response, self.store.read(State::now));
            response
        };
        skew::during(self.store.read(State::skew), dated).await
    }

    async fn let_in(&self, request: Request<s3s::Body>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let query: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let presigned = query.iter().find(|(name, _)| name == "X-Amz-Credential").map(|(_, value)| value.as_str());
        let service = match Scope::of(request.headers(), presigned) {
            Some(scope) => match Service::named(scope.service) {
                Some(service) if let Some(refusal) = skew::refuse(service, &request, self.store.read(State::now)) => {
                    return refusal.into_http();
                }
                // It checks the signature, and so the key, itself.
                Some(Service::S3) => {
                    let (action, resource) = s3::action(request.method(), request.uri().path(), &query);
                    let (action, caller) = (action.to_owned(), sts::caller_arn(request.headers()));
                    let asked = Asked { service: Service::S3, action, resource, caller, body: Bytes::new() };
                    return self.meet(asked, self.answer_s3(request)).await;
                }
                Some(service) if KEYS.iter().any(|(key, _)| *key == scope.access_key) => Some(service),
                Some(service) => return unknown_key(service).into_http(),
                None => return unknown_service(scope.service).into_http(),
            },
            None if request.method() == Method::POST => None,
            None => return unsigned().into_http(),
        };
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
            let message = format!("the body did not arrive, or has more than {LARGEST_BODY} bytes");
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message).into_http();
        };
        let call = Call { headers: parts.headers, body: body.to_bytes() };
        self.dispatch(service, &call).await
    }

    async fn answer_s3(&self, request: Request<s3s::Body>) -> Response<Body> {
        match self.s3.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(_) => {
                let message = "the answer could not be written";
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message).into_http()
            }
        }
    }

    /// Answers a request in one piece. Unsigned (no service), only a web identity may ask for a session.
    async fn dispatch(&self, service: Option<Service>, call: &Call) -> Response<Body> {
        let action = call.action().unwrap_or_default();
        let service = match service {
            Some(service) => service,
            None if action == "AssumeRoleWithWebIdentity" => Service::Sts,
            None => return unsigned().into_http(),
        };
        let resource = (service == Service::Ecr).then(|| ecr::repository(call)).flatten();
        let answer = async {
            match service {
                Service::Beanstalk => self.beanstalk.answer(&call.text()).await,
                Service::Ecr => self.ecr.answer(call).await.into_http(),
                Service::Sts => sts::answer(call),
                // Its requests were sent there before their bodies were read.
                Service::S3 => unknown_service(service.name()).into_http(),
            }
        };
        let (caller, body) = (sts::caller_arn(&call.headers), call.body.clone());
        self.meet(Asked { service, action, resource, caller, body }, answer).await
    }

    /// Answers, unless what was set to go wrong comes between.
    async fn meet(&self, asked: Asked, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
        self.calls.count(asked.service, &asked.action);
        let trouble = self.trouble(&asked);
        let remembered = self.remember(&asked, trouble);
        let response = match trouble.before {
            _ if let Err(fault) = remembered => {
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &fault.to_string()).into_http()
            }
            Some(Before::Denied) => self.deny(&asked).into_http(),
            Some(Before::Refused(reason)) => trouble::refusal(asked.service, reason).into_http(),
            Some(Before::Broken) => trouble::closed(),
            None => answer.await,
        };
        if !trouble.hold.is_zero() {
            pause(trouble.hold).await;
        }
        if trouble.lost { trouble::closed() } else { response }
    }

    fn deny(&self, asked: &Asked) -> Answer {
        let Asked { service, action, resource, caller, body } = asked;
        let resource = resource.as_deref();
        self.store.read(|state| denied::refusal(state, &Denied { service: *service, action, caller, resource, body }))
    }

    /// What goes wrong with this call; not with those by which things are made to go wrong.
    fn trouble(&self, asked: &Asked) -> Trouble {
        let target = Target::Call { service: asked.service.name(), action: &asked.action };
        if beanstalk::is_ours(&asked.action) || !self.store.read(|state| trouble::is_near(state, target)) {
            return Trouble::default();
        }
        // A count that cannot be written down is still one less in memory.
        self.store.change(|state| trouble::meet(state, target)).unwrap_or_default()
    }

    /// Remembers a call that changes something or tries to. What reaches Beanstalk is remembered there, with the id
    /// that its events bear.
    fn remember(&self, asked: &Asked, trouble: Trouble) -> Result<(), Fault> {
        let reaches_beanstalk = asked.service == Service::Beanstalk && trouble.before.is_none();
        let changes = !beanstalk::is_reading(&asked.action) && asked.service != Service::Sts;
        if reaches_beanstalk || !changes || beanstalk::is_ours(&asked.action) {
            return Ok(());
        }
        let (service, resource) = (asked.service.name(), asked.resource.clone());
        self.store.change(|state| state.record_for(service, &asked.action, "", resource))
    }
}

/// A refusal by the front door, in the query protocol's form, which every AWS client can read.
fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::refusal(Service::Beanstalk, status, code, message)
}

fn unsigned() -> Answer {
    refusal(StatusCode::FORBIDDEN, "MissingAuthenticationToken", "Request is missing Authentication Token")
}

fn unknown_service(name: &str) -> Answer {
    let message = format!("the local cloud has elasticbeanstalk, ecr, sts and s3, but not {name}");
    refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented", &message)
}

fn unknown_key(service: Service) -> Answer {
    let message = "The security token included in the request is invalid.";
    let (status, code) = match service.speaks_json() {
        true => (StatusCode::BAD_REQUEST, "UnrecognizedClientException"),
        false => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
    };
    Answer::refusal(service, status, code, message)
}
