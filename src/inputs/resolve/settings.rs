//! Option settings, and environment properties that the instances fetch.

mod arn;
mod document;
mod variables;

use std::collections::BTreeMap;

use super::reading::{Reading, field};
use crate::inputs::problem::Wrong;
use crate::inputs::values::lines;
use crate::inputs::{BeanstalkPlan, FETCHED, MOST_PROPERTY_BYTES, OptionSetting, PROPERTIES, Secret};
use document::{Entry, no_namespace};
pub(super) use variables::is_open;
use variables::{Slip, fill};

/// Options that are not set by hand, with who decides them.
const DECIDED: &[(&str, &str, &str)] = &[
    ("aws:cloudformation:template:parameter", "AppSource", "the application version decides it"),
    ("aws:cloudformation:template:parameter", "EnvironmentVariables", "environment_variables has what belongs there"),
    ("aws:cloudformation:template:parameter", "HooksPkgUrl", "the platform decides it"),
];

/// What an input and an option both say, with the input's name.
const TWICE: &[(&str, &str, &str)] = &[
    ("instance_profile", "aws:autoscaling:launchconfiguration", "IamInstanceProfile"),
    ("key_pair", "aws:autoscaling:launchconfiguration", "EC2KeyName"),
    ("service_role", "aws:elasticbeanstalk:environment", "ServiceRole"),
];

/// `option_settings`. A run without a site only looks at their form: its CI may keep the variables from it.
pub(super) fn options(reading: &mut Reading<'_>, has_site: bool) -> Vec<OptionSetting> {
    let field = field!(reading.raw, option_settings);
    let entries = match field.text.map(document::read) {
        Some(Ok(entries)) => entries,
        Some(Err(wrong)) => {
            reading.problem(field.name, wrong);
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let mut settings: Vec<OptionSetting> = Vec::new();
    for entry in entries {
        let wrong = match setting(&entry, reading.raw.variables(), has_site) {
            Ok(new) if settings.iter().any(|known| is_same(known, &new)) => Wrong::new(
                format!("has an option in {} that stood there before", entry.place),
                "write each option once",
            ),
            Ok(new) => {
                settings.push(new);
                continue;
            }
            Err(wrong) => wrong,
        };
        reading.problem(field.name, wrong);
    }
    settings
}

fn is_same(a: &OptionSetting, b: &OptionSetting) -> bool {
    (&a.namespace, &a.option, &a.resource) == (&b.namespace, &b.option, &b.resource)
}

fn setting(entry: &Entry, variables: &BTreeMap<String, String>, has_site: bool) -> Result<OptionSetting, Wrong> {
    let place = entry.place;
    if !entry.namespace.starts_with("aws:") {
        return Err(no_namespace(&entry.namespace, Some(place)));
    }
    if entry.option.is_empty() {
        return Err(Wrong::new(format!("has no OptionName in {place}"), "write which option of the namespace it is"));
    }
    let decided = DECIDED.iter().find(|known| (known.0, known.1) == (&*entry.namespace, &*entry.option));
    if let Some((namespace, option, who)) = decided {
        return Err(Wrong::new(format!("has {namespace}/{option} in {place}"), format!("leave it out: {who}")));
    }
    let Some(text) = &entry.value else {
        return Err(Wrong::new(format!("has an option without a value in {place}"), "write its value as text"));
    };
    let is_property = entry.namespace == PROPERTIES;
    let value = match fill(text, variables) {
        Ok(filled) => filled.value,
        Err(_) if !has_site => Secret::new(text),
        Err(slip) => return Err(wrong_value(slip, entry)),
    };
    if value.reveal().contains('\0') {
        return Err(Wrong::new(format!("holds a NUL byte in {place}"), "leave it out"));
    }
    if is_property && value.reveal().is_empty() {
        return Err(Wrong::new(format!("has an environment property without a value in {place}"), NO_EMPTY));
    }
    if entry.namespace == FETCHED {
        let wrong = |wrong: Wrong| Wrong::new(format!("{} in {place}", wrong.wrong), wrong.instead);
        arn::check(value.reveal()).map_err(wrong)?;
    }
    let value = if is_property || entry.namespace == FETCHED { value } else { normal(value) };
    let (namespace, option, resource) = (entry.namespace.clone(), entry.option.clone(), entry.resource.clone());
    Ok(OptionSetting { namespace, option, resource, value })
}

/// Booleans as the platform writes them; YAML has `True` and `TRUE` too.
fn normal(value: Secret) -> Secret {
    let lower = value.reveal().to_ascii_lowercase();
    if matches!(lower.as_str(), "true" | "false") && !value.is_masked() { Secret::open(lower) } else { value }
}

/// Why an environment property needs a value, and what to do instead.
const NO_EMPTY: &str = "write a value, or leave the property out: containers have failed to start with an empty one";

fn wrong_value(slip: Slip, entry: &Entry) -> Wrong {
    let place = entry.place;
    match slip {
        Slip::Unset(Some(name)) => Wrong::new(
            format!("wants the variable {name} in {place}, which is not set or empty"),
            "set it (docker run -e NAME), or write $$ for a dollar sign",
        ),
        Slip::Unset(None) => Wrong::new(
            format!("wants a variable in {place} that is not set or empty"),
            "set it, or write $$ for a dollar sign",
        ),
        Slip::Malformed => Wrong::new(
            format!("has a $ in {place} that begins no variable"),
            "write $VAR or ${VAR}, or $$ for a dollar sign",
        ),
    }
}

/// The secrets that variables bring into `option_settings`, whatever else is wrong with it.
pub(super) fn secret_values(text: Option<&str>, variables: &BTreeMap<String, String>) -> Vec<Secret> {
    let entries = text.and_then(|text| document::read(text).ok()).unwrap_or_default();
    let filled = entries.iter().filter_map(|entry| fill(entry.value.as_deref()?, variables).ok());
    filled
        .filter(|filled| filled.value.is_masked())
        .flat_map(|one| one.secrets.into_iter().chain([one.value]))
        .collect()
}

/// `environment_secrets`: names and ARNs.
pub(super) fn secrets(reading: &mut Reading<'_>) -> Vec<(String, String)> {
    let field = field!(reading.raw, environment_secrets);
    let mut secrets: Vec<(String, String)> = Vec::new();
    for (number, line) in (1..).zip(lines(field.text.unwrap_or_default())) {
        let wrong = match line.split_once('=').map(|(name, arn)| (name.trim(), arn.trim())) {
            Some((name, _)) if secrets.iter().any(|(known, _)| known == name) => {
                Wrong::new(format!("has a key in line {number} that stood there before"), "write each key once")
            }
            Some((name, arn)) if is_key(name) => match arn::check(arn) {
                Ok(()) => {
                    secrets.push((name.to_owned(), arn.to_owned()));
                    continue;
                }
                Err(wrong) => Wrong::new(format!("{} in line {number}", wrong.wrong), wrong.instead),
            },
            // A line without a key may be the secret itself.
            _ => Wrong::new(format!("has no KEY=ARN in line {number}"), arn::FORMS),
        };
        reading.problem(field.name, wrong);
    }
    secrets
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// What is wrong with all of these together.
pub(super) fn check(reading: &mut Reading<'_>, plan: &BeanstalkPlan) {
    for (number, (key, value)) in (1..).zip(&plan.environment_variables) {
        let key_shown = named(key, number);
        if plan.option(PROPERTIES, key).is_some() {
            let wrong = format!("has {key_shown}, which option_settings sets too");
            reading.problem("environment_variables", Wrong::new(wrong, "write it in one of them"));
        }
        if value.reveal().is_empty() {
            let wrong = format!("has {key_shown} without a value");
            reading.problem("environment_variables", Wrong::new(wrong, NO_EMPTY));
        }
    }
    for (key, _) in &plan.environment_secrets {
        if plan.properties().any(|(name, _)| name == key) || plan.option(FETCHED, key).is_some() {
            let wrong = format!("has {key}, which environment_variables or option_settings sets too");
            reading.problem("environment_secrets", Wrong::new(wrong, "write it in one of them"));
        }
    }
    let bytes: usize = plan.properties().map(|(name, value)| name.len() + 1 + value.reveal().len()).sum();
    if bytes > MOST_PROPERTY_BYTES {
        let name = if plan.environment_variables.is_empty() { "option_settings" } else { "environment_variables" };
        let wrong = format!("makes environment properties of {bytes} bytes, and {MOST_PROPERTY_BYTES} is the limit");
        reading.problem(name, Wrong::new(wrong, "keep long values elsewhere, such as in environment_secrets"));
    }
    if plan.strategy.swaps() && plan.option_settings.iter().any(|set| set.namespace == "aws:rds:dbinstance") {
        let wrong = "has aws:rds:dbinstance, a database that lives and dies with its environment";
        let instead = "leave it out: this strategy replaces environments, and a swap would leave the data behind";
        reading.problem("option_settings", Wrong::new(wrong, instead));
    }
    let inputs = [&plan.instance_profile, &plan.key_pair, &plan.service_role];
    for ((name, namespace, option), input) in TWICE.iter().zip(inputs) {
        let (Some(text), Some(set)) = (input, plan.option(namespace, option)) else { continue };
        if text != set {
            let wrong = format!("and {namespace}/{option} in option_settings are both set and differ");
            reading.problem(name, Wrong::new(wrong, "set one of them, or both to the same"));
        }
    }
}

/// A key, if it looks like the name of a variable; else its place: a secret that ends with `=` looks like one too.
fn named(key: &str, number: usize) -> String {
    let is_name = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if is_name { key.to_owned() } else { format!("entry {number}") }
}
