//! Refusals, as the distribution specification words them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use serde_json::json;

/// Why the registry does not do what it was asked.
#[derive(Debug)]
pub struct Refusal {
    /// The answer's status.
    pub status: StatusCode,
    /// The specification's word for it.
    pub code: &'static str,
    /// A sentence for the person who reads the client's output.
    pub message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal of any kind.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// Adds a header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// No or wrong credentials; `realm` is what a client shows.
    pub fn unauthorized() -> Self {
        let challenge = HeaderValue::from_static("Basic realm=\"beanline local registry\"");
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
            .with(header::WWW_AUTHENTICATE, challenge)
    }

    /// A repository that nobody made.
    pub fn name_unknown(name: &str) -> Self {
        let sentence = format!("The repository with name '{name}' does not exist in the registry");
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", sentence)
    }

    /// A name that no repository can have.
    pub fn name_invalid(name: &str) -> Self {
        let sentence = format!("'{name}' is no repository name: lower-case words joined by '/'");
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", sentence)
    }

    /// A blob that the repository does not have.
    pub fn blob_unknown(digest: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("blob {digest} is not in this repository"))
    }

    /// A manifest that the repository does not have.
    pub fn manifest_unknown(reference: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("manifest {reference} is not in this repository"))
    }

    /// A manifest that is not what its type says.
    pub fn manifest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why)
    }

    /// A digest that is malformed, or not that of what was sent.
    pub fn digest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", why)
    }

    /// An upload that nobody began, or that is over.
    pub fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "this upload was not begun, or is over")
    }

    /// Something this registry does not do.
    pub fn unsupported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry does not do that")
    }

    /// A request that cannot be read.
    pub fn malformed(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "REQUEST_INVALID", why)
    }

    /// The directory of blobs failed us.
    pub fn storage(error: &std::io::Error) -> Self {
        let sentence = format!("the registry's storage failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", sentence)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message, "detail": null }] });
        let mut answer = Response::new(Body::from(body.to_string()));
        *answer.status_mut() = self.status;
        answer.headers_mut().extend(self.headers);
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}
