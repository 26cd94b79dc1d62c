//! The last lines of a failed deployment's logs, fetched before anything may be terminated.

mod deployment;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_elasticbeanstalk::types::{EnvironmentHealthAttribute, EnvironmentInfoType};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;

use super::api::Api;
use super::call::{ApiError, again, refused};
use super::environment::Request;
use super::pace::Pace;
use super::platform::{Instance, ServerTime, Status};
use crate::engine::StageCx;
use crate::engine::retry::pause;
use crate::fault::Fault;

/// For reading the deployment's log.
const LOG_LIMIT: Duration = Duration::from_secs(20);

/// For all of the tails: asking, waiting, fetching.
const LIMIT: Duration = Duration::from_secs(60);

/// Longest log that is read, in bytes; tails are a hundred lines a file.
const LARGEST: usize = 2 << 20;

/// Lines of each log that are shown.
const LINES: usize = 20;

/// Adds to a fault what the platform knows of it: the deployment's own log, else the last lines of the instances' logs,
/// else why their health is what it is.
pub async fn with_logs(api: &Api, cx: &StageCx, made: &Request, pace: &Pace, fault: Fault) -> Fault {
    let Ok(environment) =
        again(None, "DescribeEnvironments", async || api.environment(&made.environment_id).await).await
    else {
        return fault;
    };
    let Some(environment) = environment else { return fault };
    match within(LOG_LIMIT, deployment::last_lines(api, made, &environment.arn)).await {
        // A deployment that went well leaves its cause to the health: it is not in this log.
        Ok(lines) if !lines.is_empty() && fault.causes().is_empty() => {
            let causes = causes(api, made).await.unwrap_or_default();
            return causes.into_iter().fold(fault, Fault::cause).lines(lines);
        }
        Ok(lines) if !lines.is_empty() => return fault.lines(lines),
        Ok(_) => {}
        Err(why) => note(cx, &format!("the deployment log of {} could not be read", made.name), &why),
    }
    // Neither instances nor their health outlive it.
    if environment.status == Status::Terminated {
        return fault;
    }
    match within(LIMIT, tails(api, made, pace)).await {
        Ok(lines) if !lines.is_empty() => return fault.lines(lines),
        Ok(_) => {}
        Err(why) => note(cx, &format!("the logs of {} could not be fetched", made.name), &why),
    }
    match causes(api, made).await {
        Ok(causes) => causes.into_iter().fold(fault, Fault::cause),
        Err(error) => {
            note(cx, &format!("the health of {} could not be asked", made.name), error.fault());
            fault
        }
    }
}

async fn within(limit: Duration, read: impl Future<Output = Result<Vec<String>, Fault>>) -> Result<Vec<String>, Fault> {
    tokio::select! {
        lines = read => lines,
        () = pause(limit) => Err(Fault::new(format!("nothing came within {}", crate::engine::in_words(limit)))),
    }
}

/// Says what could not be read, and what would help. The failure itself is another one.
fn note(cx: &StageCx, what: &str, why: &Fault) {
    cx.note(format!("{what}: {why}"));
    why.hints().iter().for_each(|hint| cx.note(hint.as_str()));
}

/// The instances whose lines are worth reading; empty when that cannot be told, which means all.
async fn failing(api: &Api, id: &str) -> Vec<String> {
    let instances = api.instances(id).await.ok().flatten().unwrap_or_default();
    let fails = |instance: &&Instance| instance.has_failed() || !instance.causes.is_empty();
    instances.iter().filter(fails).map(|instance| instance.id.clone()).collect()
}

/// Asks for tails and waits for those that are newer than all that were there.
async fn tails(api: &Api, made: &Request, pace: &Pace) -> Result<Vec<String>, Fault> {
    let id = &made.environment_id;
    let failing = failing(api, id).await;
    let old = api.log_samples(id).await.unwrap_or_default();
    let old = old.iter().map(|sample| ServerTime::of(sample.sample_timestamp())).max();
    let request = api.beanstalk.request_environment_info().environment_id(id).info_type(EnvironmentInfoType::Tail);
    request.send().await.map_err(|e| refused("RequestEnvironmentInfo", e).into_fault())?;
    let began = Instant::now();
    let mut newest: BTreeMap<String, (ServerTime, String)> = BTreeMap::new();
    loop {
        pause(pace.interval(began.elapsed())).await;
        let before = newest.len();
        // A failed poll is a skipped one.
        for sample in api.log_samples(id).await.unwrap_or_default() {
            let at = ServerTime::of(sample.sample_timestamp());
            let instance = sample.ec2_instance_id().unwrap_or_default().to_owned();
            if old.is_none_or(|old| at > old) && newest.get(&instance).is_none_or(|known| known.0 < at) {
                newest.insert(instance, (at, sample.message().unwrap_or_default().trim().to_owned()));
            }
        }
        // Samples come one by one: when a look brings no further one, they are all there.
        if !newest.is_empty() && newest.len() == before {
            break;
        }
    }
    if newest.keys().any(|instance| failing.contains(instance)) {
        newest.retain(|instance, _| failing.contains(instance));
    }
    let mut lines = Vec::new();
    for (instance, (_, message)) in newest {
        let text = if message.starts_with("http") { fetch(&message).await? } else { message };
        lines.extend(excerpt(&instance, &text));
    }
    Ok(lines)
}

/// Why enhanced health is what it is; nothing with basic health.
async fn causes(api: &Api, made: &Request) -> Result<Vec<String>, ApiError> {
    let request = api.beanstalk.describe_environment_health().environment_id(&made.environment_id);
    let answer = request.attribute_names(EnvironmentHealthAttribute::All).send().await;
    match answer.map_err(|e| refused("DescribeEnvironmentHealth", e)) {
        Ok(health) => Ok(health.causes().to_vec()),
        Err(error) if error.code.starts_with("InvalidRequest") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads a presigned address. It is a secret of its own for fifteen minutes and so in no message.
async fn fetch(url: &str) -> Result<String, Fault> {
    let failed = || Fault::new("a log could not be read from where Elastic Beanstalk put it");
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| failed().because(error))?
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let address = url.parse().map_err(|_| failed().cause("its address is malformed"))?;
    let answer = client.get(address).await.map_err(|error| failed().because(error))?;
    if !answer.status().is_success() {
        return Err(failed().cause(format!("HTTP status {}", answer.status().as_u16())));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| failed().because(error))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// The last lines of the platform's own log and of the container's output; of the whole, if it has no such parts.
///
/// A tail is one text: each file's name stands between two rules of dashes.
fn excerpt(instance: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let is_rule = |line: &&str| line.len() >= 5 && line.bytes().all(|b| b == b'-');
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        match lines.get(at..at + 3) {
            Some([above, name, below]) if is_rule(above) && name.starts_with('/') && is_rule(below) => {
                parts.push((name, Vec::new()));
                at += 3;
            }
            _ => {
                if let Some((_, part)) = parts.last_mut().filter(|_| !lines[at].is_empty()) {
                    part.push(lines[at]);
                }
                at += 1;
            }
        }
    }
    if parts.is_empty() {
        parts.push(("the log", lines.into_iter().filter(|line| !line.is_empty()).collect()));
    }
    parts.retain(|(_, part)| !part.is_empty());
    let tells =
        |name: &str| ["eb-engine.log", "eb-current-app", "eb-hooks.log"].iter().any(|known| name.contains(known));
    if parts.iter().any(|(name, _)| tells(name)) {
        parts.retain(|(name, _)| tells(name));
    }
    let shown = |(name, part): (&str, Vec<&str>)| {
        let first = part.len().saturating_sub(LINES);
        let head = format!("[{instance}] {name}");
        std::iter::once(head).chain(part[first..].iter().map(|line| (*line).to_owned())).collect::<Vec<_>>()
    };
    parts.into_iter().flat_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_and_the_containers_last_lines_are_shown() {
        let rule = "-".repeat(40);
        let nginx = format!("{rule}\n/var/log/nginx/access.log\n{rule}\nGET /\n\n");
        let many: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let app = "/var/log/eb-docker/containers/eb-current-app/eb-0a1b-stdouterr.log";
        let text =
            format!("{nginx}{rule}\n{app}\n{rule}\n{many}\n\n{rule}\n/var/log/eb-engine.log\n{rule}\n[ERROR] x\n");
        let lines = excerpt("i-1", &text);
        assert_eq!(lines[0], format!("[i-1] {app}"));
        assert_eq!((lines[1].as_str(), lines[LINES].as_str()), ("line 11", "line 30"));
        assert_eq!(lines[LINES + 1..], ["[i-1] /var/log/eb-engine.log", "[ERROR] x"]);
    }

    #[test]
    fn files_without_a_line_show_nothing_so_that_health_is_asked() {
        let rule = "-".repeat(40);
        assert!(excerpt("i-1", &format!("{rule}\n/var/log/eb-docker/eb-current-app/a.log\n{rule}\n\n")).is_empty());
    }

    #[test]
    fn a_text_without_parts_is_shown_as_it_is() {
        assert_eq!(excerpt("i-1", "boom\n\nbang\n"), ["[i-1] the log", "boom", "bang"]);
    }
}
