//! The front door: which service a request is for, and who is let in.

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::service::S3Service;

use super::KEYS;
use super::beanstalk::Beanstalk;
use super::call::{Answer, Call, CallLog, Scope, Service, new_request_id};
use super::ecr::Ecr;
use super::sts;

/// No body but an S3 object is larger: an ECR manifest has at most 4 MiB (ECR service quotas).
const LARGEST_BODY: usize = 5 << 20;

/// The services.
pub(super) struct Front {
    pub calls: CallLog,
    pub beanstalk: Beanstalk,
    pub s3: S3Service,
    pub ecr: Ecr,
}

impl Front {
    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let query: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let presigned = query.iter().find(|(name, _)| name == "X-Amz-Credential").map(|(_, value)| value.as_str());
        let service = match Scope::of(request.headers(), presigned) {
            Some(scope) => match Service::named(scope.service) {
                // It checks the signature, and so the key, itself.
                Some(Service::S3) => return self.answer_s3(request).await,
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

    async fn answer_s3(&self, request: Request<Incoming>) -> Response<Body> {
        match self.s3.call(request.map(s3s::Body::from)).await {
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
        self.calls.count(service, &action);
        match service {
            Service::Beanstalk => self.beanstalk.answer(&call.text()).await,
            Service::Ecr => self.ecr.answer(call).await.into_http(),
            Service::Sts => sts::answer(call),
            // Its requests were sent there before their bodies were read.
            Service::S3 => unknown_service(service.name()).into_http(),
        }
    }
}

/// A refusal by the front door, in the query protocol's form, which every AWS client can read.
fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    let id = new_request_id();
    let message = quick_xml::escape::escape(message);
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>{id}</RequestId></ErrorResponse>"
    );
    Answer::xml(status, id, body)
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
    if service.speaks_json() {
        let body = serde_json::json!({ "__type": "UnrecognizedClientException", "message": message });
        return Answer::json(StatusCode::BAD_REQUEST, &body);
    }
    refusal(StatusCode::FORBIDDEN, "InvalidClientTokenId", message)
}
