//! A call that the caller has no right to: the words of IAM (user guide, "Troubleshoot access denied error messages").

use bytes::Bytes;
use http::StatusCode;

use super::call::{Answer, Service};
use super::query::Form;
use super::state::State;
use super::{ACCOUNT, REGION};

/// What a refusal names.
pub(super) struct Denied<'a> {
    pub service: Service,
    pub action: &'a str,
    /// The caller's ARN.
    pub caller: &'a str,
    /// An object as `bucket/key`, a repository.
    pub resource: Option<&'a str>,
    /// The request, of services that are asked in one piece.
    pub body: &'a Bytes,
}

/// The refusal.
pub(super) fn refusal(state: &State, denied: &Denied<'_>) -> Answer {
    let (service, right) = (denied.service, right(denied.service, denied.action));
    let arn = match service {
        Service::S3 => format!("\"arn:aws:s3:::{}\"", denied.resource.unwrap_or("*")),
        Service::Ecr => match denied.resource {
            Some(name) => format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"),
            None => "*".to_owned(),
        },
        Service::Beanstalk => beanstalk_arn(state, &Form::parse(&String::from_utf8_lossy(denied.body))),
        Service::Sts => "*".to_owned(),
    };
    let message = format!(
        "User: {} is not authorized to perform: {right} on resource: {arn} because no identity-based policy allows the \
         {right} action",
        denied.caller
    );
    match service {
        Service::Ecr => Answer::refusal(service, StatusCode::BAD_REQUEST, "AccessDeniedException", &message),
        _ => Answer::refusal(service, StatusCode::FORBIDDEN, "AccessDenied", &message),
    }
}

/// The right that an action needs; S3's do not all bear their action's name.
fn right(service: Service, action: &str) -> String {
    let action = match (service, action) {
        (Service::S3, "HeadObject") => "GetObject",
        (Service::S3, "ListObjects" | "ListObjectsV2" | "HeadBucket") => "ListBucket",
        (Service::S3, "ListBuckets") => "ListAllMyBuckets",
        (Service::S3, "DeleteObjects") => "DeleteObject",
        (_, action) => action,
    };
    format!("{}:{action}", service.name())
}

/// What a request to Beanstalk is about.
fn beanstalk_arn(state: &State, form: &Form) -> String {
    if let Some(arn) = form.text("ResourceArn") {
        return arn.to_owned();
    }
    let first = |names: [&str; 3]| names.into_iter().find_map(|name| form.text(name)).map(str::to_owned);
    let id = first(["EnvironmentId", "SourceEnvironmentId", "EnvironmentIds.member.1"]);
    let name = first(["EnvironmentName", "SourceEnvironmentName", "EnvironmentNames.member.1"]);
    let found =
        state.environments.iter().rev().find(|it| id.as_ref() == Some(&it.id) || name.as_ref() == Some(&it.name));
    let application = form.text("ApplicationName").or(found.map(|it| it.application.as_str())).unwrap_or("*");
    let template = form.text("TemplateName").filter(|_| name.is_none());
    let version = form.text("VersionLabel").filter(|_| name.is_none() && id.is_none());
    let resource = match (found.map(|it| it.name.clone()).or(name), template, version) {
        (Some(name), ..) => format!("environment/{application}/{name}"),
        (None, Some(name), _) => format!("configurationtemplate/{application}/{name}"),
        (None, None, Some(label)) => format!("applicationversion/{application}/{label}"),
        (None, None, None) if application == "*" => return "*".to_owned(),
        (None, None, None) => format!("application/{application}"),
    };
    super::beanstalk::model::arn(&resource)
}
