//! The log of a deployment, which one of the instances writes to S3 while it goes on (developer guide, "Deployment logs").
//! Platforms before March 2026 write none, nor do instances that may not.

use aws_sdk_s3::operation::get_object::GetObjectOutput;

use super::super::api::Api;
use super::super::call::{ApiError, refused};
use super::super::environment::Request;
use super::super::operation::Kind;
use super::super::platform::{PlatformEvent, ServerTime};
use super::LARGEST;
use crate::fault::Fault;

/// Lines that are shown. The log is short by itself, and has the end of what the failed step printed.
const LINES: usize = 40;

/// A deployment as its environment's events tell of it: when it began, and by which request.
struct Begun {
    at: ServerTime,
    request_id: Option<String>,
}

impl Begun {
    fn of(newest_first: &[PlatformEvent], made: &Request) -> Option<Self> {
        let label = String::new();
        let kinds = [Kind::Create { label: label.clone() }, Kind::Update { label }];
        let begins = |event: &&PlatformEvent| kinds.iter().any(|kind| event.message.starts_with(kind.beginning()));
        let is_ours = |event: &&PlatformEvent| made.request_id.is_none() || event.request_id == made.request_id;
        let event = newest_first.iter().filter(begins).find(is_ours)?;
        Some(Self { at: event.at, request_id: event.request_id.clone() })
    }
}

/// Its last lines, of the environment with this ARN; none when there is no such log. An instance that started by itself has one of its own: it counts
/// where the deployment has none.
pub async fn last_lines(api: &Api, made: &Request, arn: &str) -> Result<Vec<String>, Fault> {
    let Some(bucket) = bucket(arn) else { return Ok(Vec::new()) };
    let events = api.newest_events(&made.environment_id).await.unwrap_or_default();
    let begun = Begun::of(&events, made);
    let prefix = format!("resources/environments/logs/deployments/{}/", made.environment_id);
    let request_id = made.request_id.clone().or_else(|| begun.as_ref()?.request_id.clone());
    let named = request_id.map(|id| format!("{prefix}eb-deployment-{id}.log"));
    if let Some(key) = &named
        && let Some(text) = object(api, &bucket, key).await.map_err(ApiError::into_fault)?
    {
        return Ok(excerpt(&bucket, key, &text));
    }
    let listed = listed(api, &bucket, &prefix).await.map_err(ApiError::into_fault)?;
    let Some(key) = newest(&listed, &prefix, begun.map(|begun| begun.at)) else { return Ok(Vec::new()) };
    let text = object(api, &bucket, key).await.map_err(ApiError::into_fault)?;
    Ok(text.map(|text| excerpt(&bucket, key, &text)).unwrap_or_default())
}

/// Beanstalk's own bucket: `elasticbeanstalk-REGION-ACCOUNT` (developer guide, "Using Elastic Beanstalk with Amazon S3"),
/// both of which stand in every ARN.
fn bucket(arn: &str) -> Option<String> {
    let mut parts = arn.split(':').skip(3);
    let (region, account) = (parts.next()?, parts.next()?);
    Some(format!("elasticbeanstalk-{region}-{account}"))
}

async fn object(api: &Api, bucket: &str, key: &str) -> Result<Option<String>, ApiError> {
    let answer = api.s3.get_object().bucket(bucket).key(key).send().await.map_err(|e| refused("GetObject", e));
    match answer {
        Ok(object) => text(object).await.map(Some),
        Err(error) if error.code == "NoSuchKey" => Ok(None),
        Err(error) => Err(error),
    }
}

async fn text(mut object: GetObjectOutput) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while bytes.len() < LARGEST
        && let Some(part) = object.body.next().await
    {
        let failed = |error| ApiError::withheld(Fault::new("GetObject broke off").because(error));
        bytes.extend_from_slice(&part.map_err(failed)?);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Keys, and when they were written last. The first thousand: a prefix has one object for each deployment of six weeks.
async fn listed(api: &Api, bucket: &str, prefix: &str) -> Result<Vec<(String, ServerTime)>, ApiError> {
    let answer = api.s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await;
    let answer = answer.map_err(|e| refused("ListObjectsV2", e))?;
    let one =
        |object: &aws_sdk_s3::types::Object| Some((object.key()?.to_owned(), ServerTime::of(object.last_modified())));
    Ok(answer.contents().iter().filter_map(one).collect())
}

/// The newest log that was written since the deployment began; that of an instance which started by itself comes last.
fn newest<'a>(listed: &'a [(String, ServerTime)], prefix: &str, begun: Option<ServerTime>) -> Option<&'a str> {
    // S3's times are as exact as a second.
    let since = begun.map_or(i64::MIN, |begun| begun.0.saturating_sub(1_000));
    let by_itself = |key: &str| key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("selfstartup/"));
    let ours = listed.iter().filter(|(_, at)| at.0 >= since);
    ours.max_by_key(|(key, at)| (!by_itself(key), *at)).map(|(key, _)| key.as_str())
}

fn excerpt(bucket: &str, key: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    std::iter::once(format!("s3://{bucket}/{key}")).chain(shown.iter().map(|line| (*line).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::platform::Severity;
    use super::*;

    #[test]
    fn the_newest_log_since_the_beginning_counts_and_self_started_instances_last() {
        let at = |key: &str, seconds: i64| (format!("logs/{key}"), ServerTime(seconds * 1000));
        let listed = [
            at("eb-deployment-old.log", 10),
            at("selfstartup/eb-deployment-20261120-i-1.log", 90),
            at("eb-deployment-a.log", 50),
            at("eb-deployment-b.log", 60),
        ];
        let find = |count: usize, begun| newest(&listed[..count], "logs/", begun);
        assert_eq!(find(4, Some(ServerTime(40_000))), Some("logs/eb-deployment-b.log"));
        assert_eq!(find(2, Some(ServerTime(40_000))), Some("logs/selfstartup/eb-deployment-20261120-i-1.log"));
        assert_eq!(find(1, Some(ServerTime(40_000))), None);
        assert_eq!(find(1, None), Some("logs/eb-deployment-old.log"));
    }

    #[test]
    fn the_deployment_is_known_by_its_request_or_by_the_newest_beginning() {
        let event = |at, message: &str, request: &str| PlatformEvent {
            at: ServerTime(at),
            severity: Severity::Info,
            message: message.into(),
            request_id: Some(request.into()),
        };
        let events = [
            event(30, "Environment update is starting.", "b"),
            event(20, "Environment update is starting.", "a"),
            event(10, "createEnvironment is starting.", "c"),
        ];
        let of = |request: Option<&str>| {
            let request_id = request.map(str::to_owned);
            let made = Request { name: "shop".into(), environment_id: "e-1".into(), request_id };
            Begun::of(&events, &made).and_then(|begun| begun.request_id)
        };
        assert_eq!((of(Some("a")).as_deref(), of(None).as_deref(), of(Some("x"))), (Some("a"), Some("b"), None));
    }

    #[test]
    fn the_bucket_follows_from_the_environments_arn() {
        let arn = "arn:aws:elasticbeanstalk:eu-west-1:123456789012:environment/shop/shop-1";
        assert_eq!(bucket(arn).as_deref(), Some("elasticbeanstalk-eu-west-1-123456789012"));
        assert_eq!(bucket(""), None);
    }

    #[test]
    fn the_end_of_a_long_log_is_shown() {
        let text: String = (1..=60).map(|n| format!("line {n}\n\n")).collect();
        let lines = excerpt("b", "k", &text);
        assert_eq!((lines[0].as_str(), lines[1].as_str(), lines[LINES].as_str()), ("s3://b/k", "line 21", "line 60"));
        assert!(excerpt("b", "k", "\n\n").is_empty());
    }
}
