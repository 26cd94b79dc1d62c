//! One request of a service that answers in one piece, which is every service but S3, and the log of all requests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::query::Form;

/// A service of the local cloud, told by the name that its clients sign for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Elastic Beanstalk.
    Beanstalk,
    /// Elastic Container Registry.
    Ecr,
    /// Security Token Service.
    Sts,
    /// Simple Storage Service.
    S3,
}

impl Service {
    const ALL: [Self; 4] = [Self::Beanstalk, Self::Ecr, Self::Sts, Self::S3];

    /// The signing name, as in a credential scope.
    pub fn name(self) -> &'static str {
        match self {
            Self::Beanstalk => "elasticbeanstalk",
            Self::Ecr => "ecr",
            Self::Sts => "sts",
            Self::S3 => "s3",
        }
    }

    /// The service with this signing name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// Whether its bodies are JSON; the others speak XML.
    pub(super) fn speaks_json(self) -> bool {
        self == Self::Ecr
    }
}

/// Whose request it is: the credential scope of a signature (AWS Signature Version 4, `Credential=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    pub access_key: &'a str,
    pub service: &'a str,
}

impl<'a> Scope<'a> {
    /// Reads `ACCESS_KEY/DATE/REGION/SERVICE/aws4_request`.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        let access_key = parts.next()?;
        match parts.collect::<Vec<_>>()[..] {
            [_date, _region, service, "aws4_request"] => Some(Self { access_key, service }),
            _ => None,
        }
    }

    /// The scope of a signed request: in the `Authorization` header, or in the query of a presigned URL.
    pub fn of(headers: &'a HeaderMap, presigned: Option<&'a str>) -> Option<Self> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credential = header.and_then(|text| {
            let fields = text.strip_prefix("AWS4-HMAC-SHA256")?;
            fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="))
        });
        Self::parse(credential.or(presigned)?)
    }
}

/// A request: what is left of it when the service is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// The body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// What is to be done: `Action` of a form, or the end of `X-Amz-Target`.
    pub fn action(&self) -> Option<String> {
        if let Some(target) = self.headers.get("x-amz-target") {
            return Some(target.to_str().ok()?.rsplit('.').next()?.to_owned());
        }
        Form::parse(&self.text()).text("Action").map(ToOwned::to_owned)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `x-amzn-RequestId`.
    pub request_id: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// An XML answer (AWS query protocol).
    pub fn xml(status: StatusCode, request_id: impl Into<String>, body: String) -> Self {
        Self { status, content_type: "text/xml", request_id: request_id.into(), body }
    }

    /// A JSON answer (AWS JSON 1.1 protocol).
    pub fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        let content_type = "application/x-amz-json-1.1";
        Self { status, content_type, request_id: new_request_id(), body: body.to_string() }
    }

    /// A refusal in the form that clients of this service read.
    pub fn refusal(service: Service, status: StatusCode, code: &str, message: &str) -> Self {
        let id = new_request_id();
        if service.speaks_json() {
            return Self::json(status, &serde_json::json!({ "__type": code, "message": message }));
        }
        let message = quick_xml::escape::escape(message);
        let (code, id_element) = (format!("<Code>{code}</Code>"), format!("<RequestId>{id}</RequestId>"));
        let body = match service {
            Service::S3 => format!("<Error>{code}<Message>{message}</Message>{id_element}</Error>"),
            _ => format!(
                "<ErrorResponse><Error><Type>Sender</Type>{code}<Message>{message}</Message></Error>{id_element}\
                 </ErrorResponse>"
            ),
        };
        Self::xml(status, id, body)
    }

    /// The answer as HTTP.
    pub(super) fn into_http(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Ok(id) = HeaderValue::try_from(self.request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

/// A new request id, in the shape that AWS gives it.
pub(super) fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// How often which action of which service was asked for, whatever became of it. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct CallLog(Arc<Mutex<BTreeMap<(&'static str, String), u64>>>);

impl CallLog {
    pub(super) fn count(&self, service: Service, action: impl Into<String>) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((service.name(), action.into())).or_default() += 1;
    }

    /// Service, action, and how often, in the order of the names.
    pub fn counts(&self) -> Vec<(&'static str, String, u64)> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|((service, action), times)| (*service, action.clone(), *times)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_read_from_the_header_and_from_a_presigned_url() {
        let mut headers = HeaderMap::new();
        let presigned = Some("local/20261120/local/s3/aws4_request");
        assert_eq!(Scope::of(&headers, presigned), Some(Scope { access_key: "local", service: "s3" }));
        assert_eq!(Scope::of(&headers, Some("local/s3")), None);
        let value =
            "AWS4-HMAC-SHA256 Credential=local/20261120/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
        assert_eq!(Scope::of(&headers, None), Some(Scope { access_key: "local", service: "ecr" }));
    }

    #[test]
    fn the_action_is_found_in_both_protocols() {
        let mut call =
            Call { body: Bytes::from_static(b"Action=GetCallerIdentity&Version=2011-06-15"), ..Call::default() };
        assert_eq!(call.action().as_deref(), Some("GetCallerIdentity"));
        let target = HeaderValue::from_static("AmazonEC2ContainerRegistry_V20150921.ListImages");
        call.headers.insert("x-amz-target", target);
        assert_eq!(call.action().as_deref(), Some("ListImages"));
    }
}
