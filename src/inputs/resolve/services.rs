//! `services`: compose syntax, the mapping below `services:` or a whole compose file.
//!
//! serde-saphyr reads the YAML; names are checked on the tree, since the compose crate drops some that it does not know;
//! variables are filled in; then the crate's types make sense of each service. No value that stands in the text is told
//! where it might be a secret.

mod interpolation;
mod keys;
mod service;
mod shape;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeMap;

use docker_compose_types::Service;
use serde_json::{Map, Value};

use super::reading::{Reading, field};
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{Condition, Secret, ServicePlan};
use interpolation::{Slip, fill};
use service::Reader;

/// What to write, when it cannot be read at all.
const FORM: &str = "write what stands below `services:` in a compose file, or a whole compose file; a file is named by \
                    the variable with _FILE behind its name";

/// The name on the network that the application under test has.
const APP: &str = "app";

/// Keys whose values reach the container's processes: a variable that is filled in there is a secret.
const SECRETIVE: [&str; 4] = ["environment", "command", "entrypoint", "healthcheck"];

/// One service with its variables filled in, and those that are secrets.
struct Filled {
    map: Map<String, Value>,
    secrets: Vec<Secret>,
    values: Values,
    wrongs: Vec<Wrong>,
}

/// Values of variables that may hold a secret, each with the key below which it was filled in. No message shows them.
type Values = Vec<(String, Secret)>;

/// `services`.
pub(super) fn resolve(reading: &mut Reading<'_>) -> Vec<ServicePlan> {
    let field = field!(reading.raw, services);
    let Some(text) = field.text.filter(|text| *text != "none") else { return Vec::new() };
    let (services, wrongs) = read(text, reading.raw.variables());
    wrongs.into_iter().for_each(|wrong| reading.problem(field.name, wrong));
    services
}

/// The secrets that variables bring into `services`, whatever else is wrong with it.
pub(super) fn secret_values(text: Option<&str>, variables: &BTreeMap<String, String>) -> Vec<Secret> {
    let Some(Ok((map, _))) = text.map(tree) else { return Vec::new() };
    let mut secrets = Vec::new();
    for (name, value) in map {
        let Value::Object(map) = value else { continue };
        secrets.extend(filled(&name, map.clone(), variables).secrets);
        secrets.extend(one(&name, map, variables, &mut Values::new()).0.env.into_iter().map(|(_, value)| value));
    }
    secrets.retain(Secret::is_masked);
    secrets
}

/// Reads the text: the services, and everything that is wrong.
fn read(text: &str, variables: &BTreeMap<String, String>) -> (Vec<ServicePlan>, Vec<Wrong>) {
    let (map, mut wrongs) = match tree(text) {
        Ok(read) => read,
        Err(wrong) => return (Vec::new(), vec![wrong]),
    };
    let (mut services, mut values) = (Vec::new(), Values::new());
    for (name, value) in map {
        wrongs.extend(wrong_name(&name));
        let map = match value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            _ => {
                wrongs.push(Wrong::new(format!("has the service {}, which is no mapping", shown(&name)), FORM));
                continue;
            }
        };
        let (service, wrong) = one(&name, map, variables, &mut values);
        services.push(service);
        wrongs.extend(wrong);
    }
    wrongs.extend(relations(&mut services, &values));
    (services, wrongs)
}

/// The services by name, out of either form, and what is wrong beside them.
fn tree(text: &str) -> Result<(Map<String, Value>, Vec<Wrong>), Wrong> {
    // The library's own words quote the text. `no` and `on` are text, as compose has it.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true, reject_unsupported_tags: true };
    let parsed = serde_saphyr::from_str_with_options(text, options);
    let mut map = match parsed {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(Wrong::new("is no mapping of services", FORM)),
        Err(error) => {
            let place = error.location().map(|location| format!(" in line {}", location.line())).unwrap_or_default();
            let wrong = match error {
                serde_saphyr::Error::DuplicateMappingKey { .. } => format!("has a key{place} that stood there before"),
                _ => format!("cannot be read as YAML{place}"),
            };
            return Err(Wrong::new(wrong, FORM));
        }
    };
    let mut wrongs = Vec::new();
    if keys::is_document(&map) {
        wrongs = keys::at_the_top(&map);
        map = match map.remove("services") {
            Some(Value::Object(services)) => services,
            _ => return Err(Wrong::new("has `services`, which is no mapping", FORM)),
        };
    }
    map.retain(|name, _| !name.starts_with("x-"));
    if map.is_empty() { Err(Wrong::new("has no service", FORM)) } else { Ok((map, wrongs)) }
}

fn wrong_name(name: &str) -> Option<Wrong> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || name.len() > 60 || !name.bytes().all(legal) || !name.as_bytes()[0].is_ascii_alphanumeric() {
        let instead = "write up to 60 letters, digits, `.`, `_` or `-`, and begin with a letter or digit";
        return Some(Wrong::new(format!("has a service with the name {}", shown(name)), instead));
    }
    let instead = "write another one: that is what tests call the application itself";
    (name == APP).then(|| Wrong::new(format!("has a service with the name {}", shown(name)), instead))
}

/// One service, and what is wrong with it. What variables brought into it comes to `values`.
fn one(
    name: &str,
    mut map: Map<String, Value>,
    variables: &BTreeMap<String, String>,
    values: &mut Values,
) -> (ServicePlan, Vec<Wrong>) {
    let mut wrongs = keys::of_service(name, &mut map);
    if !wrongs.is_empty() {
        return (ServicePlan { name: name.to_owned(), ..ServicePlan::default() }, wrongs);
    }
    let Filled { map, secrets, values: own, wrongs: unfilled } = filled(name, map, variables);
    wrongs.extend(unfilled);
    let mut known = Map::new();
    for (key, value) in map {
        let value = shape::of(&key, value);
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        match serde_json::from_value::<Service>(Value::Object(alone)) {
            Ok(_) => drop(known.insert(key, value)),
            // The error's own words may hold the value.
            Err(_) => wrongs.push(Wrong::new(
                format!("has {} in a form that compose does not have", shown(&format!("{name}.{key}"))),
                "see docs/services.md for what it may be",
            )),
        }
    }
    let service = serde_json::from_value::<Service>(Value::Object(known)).unwrap_or_default();
    let mut reader = Reader { name, variables, secrets: &secrets, values: &own, wrongs: Vec::new() };
    let plan = reader.read(service);
    // What has the wrong form is missing now, which is no news.
    let more = reader.wrongs.into_iter().filter(|_| wrongs.is_empty()).collect::<Vec<_>>();
    wrongs.extend(more);
    values.extend(own);
    (plan, wrongs)
}

/// Fills in the variables of a service. What cannot be filled in is left out.
fn filled(name: &str, map: Map<String, Value>, variables: &BTreeMap<String, String>) -> Filled {
    let mut filled = Filled { map: Map::new(), secrets: Vec::new(), values: Values::new(), wrongs: Vec::new() };
    for (key, value) in map {
        let mut secrets = Vec::new();
        match fill_in(value, variables, &mut secrets) {
            Ok(value) => drop(filled.map.insert(key.clone(), value)),
            Err(slip) => filled.wrongs.push(slipped(slip, &format!("{name}.{key}"))),
        }
        filled.values.extend(secrets.iter().map(|secret| (key.clone(), secret.clone())));
        if SECRETIVE.contains(&key.as_str()) {
            filled.secrets.extend(secrets);
        }
    }
    filled
}

fn fill_in(value: Value, variables: &BTreeMap<String, String>, secrets: &mut Vec<Secret>) -> Result<Value, Slip> {
    Ok(match value {
        Value::String(text) => {
            let filled = fill(&text, variables)?;
            secrets.extend(filled.secrets);
            Value::String(filled.text)
        }
        Value::Array(list) => {
            Value::Array(list.into_iter().map(|value| fill_in(value, variables, secrets)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let pairs = map.into_iter().map(|(key, value)| Ok((key, fill_in(value, variables, secrets)?)));
            Value::Object(pairs.collect::<Result<_, Slip>>()?)
        }
        other => other,
    })
}

fn slipped(slip: Slip, place: &str) -> Wrong {
    let place = shown(place);
    match slip {
        Slip::Unset(Some(name)) => Wrong::new(
            format!("wants the variable {name} in {place}, which is not set"),
            format!("set it (docker run -e {name}), write ${{{name}:-default}}, or $$ for a dollar sign"),
        ),
        Slip::Unset(None) => {
            Wrong::new(format!("wants a variable in {place} that is not set"), "set it, or write $$ for a dollar sign")
        }
        Slip::Asked(name, text) => Wrong::new(
            format!("wants the variable {name} in {place}, which is missing"),
            if text.trim().is_empty() { "set it".to_owned() } else { format!("it says {}", shown(&text)) },
        ),
        Slip::Malformed => Wrong::new(
            format!("has a $ in {place} that begins no variable"),
            "write ${VAR} or ${VAR:-default}, or $$ for a dollar sign",
        ),
    }
}

/// A text that stands below a key, as a message may show it: not at all when a variable brought a part of it.
fn told(key: &str, text: &str, values: &[(String, Secret)]) -> String {
    let top = key.split('.').next().unwrap_or(key);
    let is_filled = values.iter().any(|(below, value)| below == top && text.contains(value.reveal()));
    if is_filled { "`***`".to_owned() } else { shown(text) }
}

/// What services want from each other: who is meant to end is noted, what cannot be had is told.
fn relations(services: &mut [ServicePlan], values: &Values) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    for service in services.iter() {
        for (other, _) in service.depends_on.iter().filter(|(other, _)| !services.iter().any(|one| one.name == *other))
        {
            let place = shown(&format!("{}.depends_on", service.name));
            let wrong = format!("has {place} with {}, which is no service here", told("depends_on", other, values));
            wrongs.push(Wrong::new(wrong, "write the name of another service"));
        }
    }
    let ends: Vec<String> = services
        .iter()
        .flat_map(|service| &service.depends_on)
        .filter(|(_, condition)| *condition == Condition::Completed)
        .map(|(name, _)| name.clone())
        .collect();
    for service in services.iter_mut() {
        service.is_to_end = ends.contains(&service.name);
    }
    let mut waiting: Vec<&ServicePlan> = services.iter().collect();
    while let Some(at) =
        waiting.iter().position(|one| !one.depends_on.iter().any(|(other, _)| is_among(&waiting, other)))
    {
        waiting.remove(at);
    }
    if !waiting.is_empty() {
        let names: Vec<&str> = waiting.iter().map(|service| service.name.as_str()).collect();
        let wrong = format!("has services that wait for each other by depends_on: {}", names.join(", "));
        wrongs.push(Wrong::new(wrong, "let one of them start first"));
    }
    wrongs
}

fn is_among(services: &[&ServicePlan], name: &str) -> bool {
    services.iter().any(|service| service.name == name)
}
