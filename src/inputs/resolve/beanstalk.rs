//! The site on Elastic Beanstalk. Its inputs are read whether or not this run deploys, so that a slip is told early.

use std::time::Duration;

use super::Needs;
use super::lists::{Kind, pairs};
use super::reading::{Reading, field, word};
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{AppPlan, BeanstalkPlan, Health, KeepPrevious, OnBusy, values};

/// The site, if this run has one and its names are there and legal.
pub(super) fn resolve(
    reading: &mut Reading<'_>,
    needs: &Needs,
    tag: Option<&str>,
    app: &AppPlan,
) -> Option<BeanstalkPlan> {
    let raw = reading.raw;
    refuse_words(reading);
    let application = match needs.site {
        true => reading.required(field!(raw, application), "write the application's name", application_name),
        false => reading.value(field!(raw, application), application_name),
    };
    let live = match needs.site {
        true => reading.required(field!(raw, environment), "write the live CNAME or its prefix", cname),
        false => reading.value(field!(raw, environment), cname),
    };
    let version_label = version_label(reading, tag);
    let text = |reading: &mut Reading<'_>, field| reading.value(field, values::line);
    let limit = |reading: &mut Reading<'_>, field| reading.value_or(field, Duration::ZERO, values::time_limit);
    let busy = [("wait", Some(OnBusy::Wait)), ("fail", Some(OnBusy::Fail)), ("abort", None)];
    let health = [("green", Some(Health::Green)), ("yellow", Some(Health::Yellow))];
    let plan = BeanstalkPlan {
        application: application.clone().unwrap_or_default(),
        live: live.clone().unwrap_or_default(),
        version_label: version_label.clone().unwrap_or_default(),
        port: app.port,
        create: reading.value_or(field!(raw, create), false, values::boolean),
        solution_stack: text(reading, field!(raw, solution_stack)),
        instance_profile: text(reading, field!(raw, instance_profile)),
        service_role: text(reading, field!(raw, service_role)),
        key_pair: text(reading, field!(raw, key_pair)),
        deploy_timeout: limit(reading, field!(raw, deploy_timeout)),
        minimum_health: reading.value_or(field!(raw, minimum_health), Health::Green, word("minimum_health", &health)),
        healthy_for: reading.value_or(field!(raw, healthy_for), Duration::ZERO, values::duration),
        health_timeout: limit(reading, field!(raw, health_timeout)),
        keep_failed: reading.value_or(field!(raw, keep_failed), false, values::boolean),
        keep_previous: reading.value_or(field!(raw, keep_previous), KeepPrevious::No, keep_previous),
        bucket: reading.value(field!(raw, bucket), bucket),
        on_busy: reading.value_or(field!(raw, on_busy), OnBusy::Wait, word("on_busy", &busy)),
        ready_path: app.ready_path.clone(),
        environment_variables: pairs(reading, field!(raw, environment_variables), Kind::Environment),
    };
    if plan.healthy_for > plan.health_timeout && !plan.health_timeout.is_zero() {
        let wrong = "is longer than health_timeout, so that the health could never hold long enough";
        reading.problem("healthy_for", Wrong::new(wrong, "write a shorter time, or a longer health_timeout"));
    }
    (needs.site && application.is_some() && live.is_some() && version_label.is_some()).then_some(plan)
}

/// Inputs of fixed words of which one is built.
fn refuse_words(reading: &mut Reading<'_>) {
    let raw = reading.raw;
    let strategies = [("blue-green", Some(())), ("pair", None), ("in-place", None), ("version-only", None)];
    reading.value_or(field!(raw, strategy), (), word("strategy", &strategies));
    reading.value_or(field!(raw, promote), (), word("promote", &[("auto", Some(())), ("manual", None)]));
    // Other deploy actions mean the environment that is updated in place, whose name is no CNAME.
    let is_alias = raw.written("environment").is_some_and(|variable| variable.to_ascii_uppercase().contains("NAME"));
    if is_alias && raw.texts.strategy.as_deref() != Some("in-place") {
        let wrong = "means an environment that is updated in place";
        reading.problem("environment", Wrong::new(wrong, "write the live CNAME or its prefix in `environment`"));
    }
}

fn application_name(text: &str) -> Result<String, Wrong> {
    // The API's model says 1 to 100 characters and no more; a slash cannot be told from a path in its ARN.
    let legal = text.chars().count() <= 100 && !text.chars().any(|c| c.is_control() || c == '/');
    match legal {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write at most 100 characters on one line, no `/`")),
    }
}

/// A CNAME's prefix (4 to 63 letters, digits and `-`), or a whole one that ends in `.elasticbeanstalk.com`.
fn cname(text: &str) -> Result<String, Wrong> {
    let lower = text.to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let prefix = lower.split('.').next().unwrap_or_default();
    let ends_well = !lower.contains('.')
        || [".elasticbeanstalk.com", ".elasticbeanstalk.com.cn"].iter().any(|end| lower.ends_with(end));
    if prefix.len() >= 4 && lower.split('.').all(is_label) && ends_well {
        return Ok(lower);
    }
    let instead = "write the prefix (4 to 63 letters, digits, `-`) or prefix.region.elasticbeanstalk.com";
    Err(Wrong::new(format!("is {}", shown(text)), instead))
}

/// The label with the tag in its place. Labels stand in ARNs and object keys, hence the letters.
fn version_label(reading: &mut Reading<'_>, tag: Option<&str>) -> Option<String> {
    let template = field!(reading.raw, version_label).text.unwrap_or("{tag}");
    if template.contains("{bundle}") {
        let wrong = "asks for {bundle}, which is not built yet";
        reading.problem("version_label", Wrong::new(wrong, "use {tag}, or write the label out"));
        return None;
    }
    if template.contains("{tag}") && tag.is_none() {
        return None;
    }
    let label = template.replace("{tag}", tag.unwrap_or_default());
    match values::name(100, b"._")(&label) {
        Ok(label) => Some(label),
        Err(wrong) if label == template => {
            reading.problem("version_label", wrong);
            None
        }
        Err(wrong) => {
            let gives = format!("gives {}", shown(&label));
            reading.problem("version_label", Wrong::new(gives, wrong.instead + "; {tag} is filled in"));
            None
        }
    }
}

fn keep_previous(text: &str) -> Result<KeepPrevious, Wrong> {
    let instead = "write until-next-deploy or none";
    match text {
        "until-next-deploy" => Ok(KeepPrevious::UntilNextDeploy),
        "none" => Ok(KeepPrevious::No),
        _ => match values::duration(text) {
            Ok(Duration::ZERO) => Ok(KeepPrevious::No),
            Ok(_) => Err(Wrong::new(format!("is {}, but a time is not built yet", shown(text)), instead)),
            Err(_) => Err(Wrong::new(format!("is {}", shown(text)), instead)),
        },
    }
}

/// S3's rule for bucket names, as far as a slip is concerned.
fn bucket(text: &str) -> Result<String, Wrong> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
    match (3..=63).contains(&text.len()) && text.bytes().all(legal) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write a bucket's name, without s3:// and path")),
    }
}
