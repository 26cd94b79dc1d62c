//! The local cloud's STS: who is calling, and sessions for roles (API version 2011-06-15, AWS query protocol).

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{Duration, Utc};
use http::{HeaderMap, Response};
use serde::Deserialize;

use super::call::{Call, new_request_id};
use super::query::{self, ApiError, Element, Form, text, time, tree};

use super::{ACCOUNT, SESSION_KEY, SESSION_SECRET};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// How long a session may last, and how long it lasts when nobody says (AssumeRole, API reference).
const SECONDS: (std::ops::RangeInclusive<usize>, usize) = (900..=43_200, 3600);

/// What we read of a web identity token. Its signature is not checked: nobody's identity is at stake here.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    aud: serde_json::Value,
}

/// Answers one request.
pub(super) fn answer(call: &Call) -> Response<Body> {
    let form = Form::parse(&call.text());
    let action = form.text("Action").unwrap_or_default();
    let result = match action {
        "GetCallerIdentity" => Ok(caller(call)),
        "AssumeRole" => assume_role(&form),
        "AssumeRoleWithWebIdentity" => assume_role_with_web_identity(&form),
        other => {
            let message = format!("Could not find operation {other} for version 2011-06-15");
            Err(ApiError::new("InvalidAction", message))
        }
    };
    query::response(NAMESPACE, action, &new_request_id(), &result.map(Some))
}

/// The caller: the role of the session when its token says so, else the account itself.
fn caller(call: &Call) -> Vec<Element> {
    let user = session(&call.headers).map_or_else(|| ACCOUNT.to_owned(), |session| session_id(&session));
    vec![text("Arn", caller_arn(&call.headers)), text("UserId", user), text("Account", ACCOUNT)]
}

/// The session that a request's token stands for.
fn session(headers: &HeaderMap) -> Option<String> {
    let token = headers.get("x-amz-security-token").and_then(|token| STANDARD.decode(token).ok());
    token.and_then(|token| String::from_utf8(token).ok())
}

/// The ARN of whoever sends a request with these headers.
pub(super) fn caller_arn(headers: &HeaderMap) -> String {
    session(headers).map_or_else(|| format!("arn:aws:iam::{ACCOUNT}:root"), |session| session_arn(&session))
}

/// A session's ARN; `session` is `role/session name`, which is also what its token holds.
fn session_arn(session: &str) -> String {
    format!("arn:aws:sts::{ACCOUNT}:assumed-role/{session}")
}

fn session_id(session: &str) -> String {
    format!("AROALOCAL00000000000:{}", last_part(session))
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn assume_role(form: &Form) -> Result<Vec<Element>, ApiError> {
    let role = form.required("RoleArn")?;
    if !role.starts_with("arn:aws:iam::") || !role.contains(":role/") {
        return Err(ApiError::new("ValidationError", format!("{role} is invalid")));
    }
    let session = format!("{}/{}", last_part(role), form.required("RoleSessionName")?);
    let (legal, usual) = SECONDS;
    let seconds = form.number("DurationSeconds", legal)?.unwrap_or(usual);
    let expires = Utc::now() + Duration::seconds(i64::try_from(seconds).unwrap_or_default());
    let user = vec![text("AssumedRoleId", session_id(&session)), text("Arn", session_arn(&session))];
    let keys = vec![
        text("AccessKeyId", SESSION_KEY),
        text("SecretAccessKey", SESSION_SECRET),
        text("SessionToken", STANDARD.encode(&session)),
        time("Expiration", expires),
    ];
    Ok(vec![tree("AssumedRoleUser", user), tree("Credentials", keys)])
}

/// As [`assume_role`], for whom a token stands.
fn assume_role_with_web_identity(form: &Form) -> Result<Vec<Element>, ApiError> {
    let token = form.required("WebIdentityToken")?;
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Claims> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    let claims =
        claims.ok_or_else(|| ApiError::new("InvalidIdentityToken", "The ID Token provided is not a valid JWT."))?;
    let audience = match &claims.aud {
        serde_json::Value::Array(several) => several.first().and_then(|one| one.as_str()),
        one => one.as_str(),
    };
    let provider = claims.iss.trim_start_matches("https://");
    let mut answer = assume_role(form)?;
    answer.extend([
        text("SubjectFromWebIdentityToken", &claims.sub),
        text("Audience", audience.unwrap_or_default()),
        text("Provider", format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}")),
    ]);
    Ok(answer)
}
