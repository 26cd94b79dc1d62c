//! Answers in GitHub's shapes.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// A body with a status.
pub fn json(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Marks an answer that is not to be sent: the connection is closed instead.
#[derive(Clone, Copy, Debug)]
pub struct HungUp;

/// No answer at all.
pub fn hung_up() -> Response {
    let mut response = refused(500, "the connection was closed");
    response.extensions_mut().insert(HungUp);
    response
}

/// A refusal: `message`, `documentation_url` and `status`, as GitHub's `basic-error` has them.
pub fn refused(status: u16, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.to_string(),
    });
    json(status, &body)
}

/// The answer for what is not there, or not to be seen.
pub fn not_found() -> Response {
    refused(404, "Not Found")
}

/// 422 for a body that breaks the published schema: GitHub answers with one sentence.
pub fn invalid_request(sentence: &str) -> Response {
    let body = json!({
        "message": format!("Invalid request.\n\n{sentence}"),
        "documentation_url": "https://docs.github.com/rest/checks/runs",
        "status": "422",
    });
    json(422, &body)
}

/// 422 for a body that the model refuses: GitHub names resource, field and code.
pub fn invalid_field(resource: &str, field: &str, code: &str, message: &str) -> Response {
    let body = json!({
        "message": "Validation Failed",
        "errors": [{ "resource": resource, "field": field, "code": code, "message": message }],
        "documentation_url": "https://docs.github.com/rest/checks/runs",
        "status": "422",
    });
    json(422, &body)
}

/// Adds a header with a number.
pub fn with_header(mut response: Response, name: &'static str, value: u64) -> Response {
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
    response
}

/// The time as GitHub prints it.
pub fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
