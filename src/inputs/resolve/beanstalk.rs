//! The site on Elastic Beanstalk. Its inputs are read whether or not this run deploys, so that a slip is told early.

use std::time::Duration;

use super::Needs;
use super::lists::{Kind, pairs};
use super::reading::{Reading, field, word};
use super::{bundle, settings};
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{AppPlan, BeanstalkPlan, Health, KeepPrevious, OnBusy, Promotion, Strategy, values};

/// The site, if this run has one and its names are there and legal.
pub(super) fn resolve(
    reading: &mut Reading<'_>,
    needs: &Needs,
    tag: Option<&str>,
    app: &AppPlan,
) -> Option<BeanstalkPlan> {
    let raw = reading.raw;
    let strategy = strategy(reading, needs);
    let application = match needs.site {
        true => reading.required(field!(raw, application), "write the application's name", application_name),
        false => reading.value(field!(raw, application), application_name),
    };
    let live = environment(reading, needs, strategy);
    let version_label = match needs.image || tag.is_some() {
        true => version_label(reading, tag),
        false => Some(String::new()),
    };
    let text = |reading: &mut Reading<'_>, field| reading.value(field, values::line);
    let limit = |reading: &mut Reading<'_>, field| reading.value_or(field, Duration::ZERO, values::time_limit);
    let busy = [("wait", Some(OnBusy::Wait)), ("fail", Some(OnBusy::Fail)), ("abort", Some(OnBusy::Abort))];
    let promotion = [("auto", Some(Promotion::Auto)), ("manual", Some(Promotion::Manual))];
    let health = [("green", Some(Health::Green)), ("yellow", Some(Health::Yellow))];
    let plan = BeanstalkPlan {
        application: application.clone().unwrap_or_default(),
        live: live.clone().unwrap_or_default(),
        strategy,
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
        promote: reading.value_or(field!(raw, promote), Promotion::Auto, word("promote", &promotion)),
        keep_versions: reading.value_or(field!(raw, keep_versions), None, keep_versions),
        bundle: bundle::directory(reading),
        bucket: reading.value(field!(raw, bucket), bucket),
        on_busy: reading.value_or(field!(raw, on_busy), OnBusy::Wait, word("on_busy", &busy)),
        ready_path: app.ready_path.clone(),
        option_settings: settings::options(reading, needs.site),
        environment_variables: pairs(reading, field!(raw, environment_variables), Kind::Environment),
        environment_secrets: settings::secrets(reading),
    };
    if plan.healthy_for > plan.health_timeout && !plan.health_timeout.is_zero() {
        let wrong = "is longer than health_timeout, so that the health could never hold long enough";
        reading.problem("healthy_for", Wrong::new(wrong, "write a shorter time, or a longer health_timeout"));
    }
    if needs.site {
        settings::check(reading, &plan);
    }
    (needs.site && application.is_some() && live.is_some() && version_label.is_some()).then_some(plan)
}

/// How it is deployed; and whether that fits the other inputs.
fn strategy(reading: &mut Reading<'_>, needs: &Needs) -> Strategy {
    let raw = reading.raw;
    let strategies = [
        ("blue-green", Some(Strategy::BlueGreen)),
        ("pair", Some(Strategy::Pair)),
        ("in-place", Some(Strategy::InPlace)),
        ("version-only", Some(Strategy::VersionOnly)),
    ];
    let strategy = reading.value_or(field!(raw, strategy), Strategy::BlueGreen, word("strategy", &strategies));
    // Other deploy actions mean the environment that is updated in place, whose name is no CNAME.
    let is_alias = raw.written("environment").is_some_and(|variable| variable.to_ascii_uppercase().contains("NAME"));
    if is_alias && strategy.swaps() {
        let wrong = "means an environment that is updated in place";
        let instead = "write strategy=in-place, or the live CNAME or its prefix in `environment`";
        reading.problem("environment", Wrong::new(wrong, instead));
    }
    if raw.texts.promote.as_deref() == Some("manual") && !strategy.swaps() && needs.site {
        let wrong = "is manual, but without a swap there is nothing to promote";
        reading.problem("promote", Wrong::new(wrong, "leave it out, or set strategy to blue-green or pair"));
    }
    strategy
}

/// The live CNAME, or the environment's name; a version alone needs neither.
fn environment(reading: &mut Reading<'_>, needs: &Needs, strategy: Strategy) -> Option<String> {
    let field = field!(reading.raw, environment);
    match strategy {
        Strategy::VersionOnly => Some(reading.value(field, environment_name).unwrap_or_default()),
        Strategy::InPlace if needs.site => reading.required(field, "write the environment's name", environment_name),
        Strategy::InPlace => reading.value(field, environment_name),
        _ if needs.site => reading.required(field, "write the live CNAME or its prefix", cname),
        _ => reading.value(field, cname),
    }
}

/// An environment's name (API reference, `CreateEnvironment`): 4 to 40 letters, digits and `-`.
fn environment_name(text: &str) -> Result<String, Wrong> {
    let legal = (4..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    match legal {
        true => Ok(text.to_owned()),
        false => {
            Err(Wrong::new(format!("is {}", shown(text)), "write 4 to 40 letters, digits or `-`, not first or last"))
        }
    }
}

/// How many versions are kept.
fn keep_versions(text: &str) -> Result<Option<u32>, Wrong> {
    match (text, text.parse::<u32>()) {
        ("none", _) => Ok(None),
        (_, Ok(count)) if count > 0 => Ok(Some(count)),
        _ => Err(Wrong::new(format!("is {}", shown(text)), "write a number from 1 on, or none to keep all")),
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

/// Stands for the bundle's short hash in a label.
const BUNDLE: &str = "{bundle}";

/// As long as a short hash is.
const SHORT_HASH: &str = "000000000000";

/// The label with the tag in its place. Labels stand in ARNs and object keys, hence the letters.
fn version_label(reading: &mut Reading<'_>, tag: Option<&str>) -> Option<String> {
    let template = field!(reading.raw, version_label).text.unwrap_or("{tag}");
    if template.contains("{tag}") && tag.is_none() {
        return None;
    }
    let label = template.replace("{tag}", tag.unwrap_or_default());
    // What the bundle's hash is, is known when it is packed.
    match values::name(100, b"._")(&label.replace(BUNDLE, SHORT_HASH)) {
        Ok(_) => Some(label),
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
    let instead = "write until-next-deploy, none, or how long it is kept, such as 4h";
    match text {
        "until-next-deploy" => Ok(KeepPrevious::UntilNextDeploy),
        "none" => Ok(KeepPrevious::No),
        _ => match values::duration(text) {
            Ok(Duration::ZERO) => Ok(KeepPrevious::No),
            Ok(time) => Ok(KeepPrevious::For(time)),
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
