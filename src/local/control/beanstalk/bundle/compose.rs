//! `docker-compose.yml` as the Docker platform runs it: images alone are run, and what is published on port 80 serves.
//! The nodes start the service that does; others of the file are not started here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Cause, Image, Service, as_text, words};

/// The port that the load balancer sends requests to.
const SERVED: &str = "80";

/// Environment properties, as a bundle without a `.env` of its own gets them in that file.
pub type Properties = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    services: BTreeMap<String, Raw>,
}

#[derive(Debug, Deserialize)]
struct Raw {
    image: Option<String>,
    build: Option<Value>,
    #[serde(default)]
    ports: Vec<Value>,
    environment: Option<Value>,
    env_file: Option<Value>,
    command: Option<Value>,
    entrypoint: Option<Value>,
}

/// Whether a text is a compose file.
pub fn is_compose(text: &str) -> bool {
    serde_saphyr::from_str::<Value>(text).is_ok_and(|file| file.get("services").is_some_and(Value::is_object))
}

/// The service that serves, of a compose file beside which `file` finds others.
///
/// # Errors
/// [`Cause::NotBuilt`] for a service with `build`, [`Cause::BadBundle`] for what cannot be read.
pub fn read(text: &str, properties: &Properties, file: &dyn Fn(&str) -> Option<String>) -> Result<Service, Cause> {
    let generated = || properties.clone();
    let dotenv = file(".env").map_or_else(generated, |text| pairs(text.lines()));
    let mut parsed: Value = serde_saphyr::from_str(text).map_err(|_| Cause::BadBundle)?;
    interpolate_all(&mut parsed, &dotenv)?;
    let services = File::deserialize(parsed).map_err(|_| Cause::BadBundle)?.services;
    if services.values().any(|service| service.build.is_some()) {
        return Err(Cause::NotBuilt);
    }
    let served = services.values().find_map(|service| Some((service, service.ports.iter().find_map(served)?)));
    let (service, port) = served.or_else(|| Some((services.values().next()?, 0))).ok_or(Cause::BadBundle)?;
    let mut variables = Properties::new();
    for path in listed(service.env_file.as_ref()) {
        let found = if path.0 == ".env" { Some(dotenv.clone()) } else { file(&path.0).map(|text| pairs(text.lines())) };
        match found {
            Some(found) => variables.extend(found),
            None if path.1 => return Err(Cause::BadBundle),
            None => {}
        }
    }
    variables.extend(environment(service.environment.as_ref(), &dotenv));
    Ok(Service {
        image: Image { name: service.image.clone().ok_or(Cause::BadBundle)?, update: None },
        port,
        entrypoint: service.entrypoint.as_ref().map(command),
        command: service.command.as_ref().map(command),
        variables: variables.into_iter().collect(),
    })
}

/// The container's port, if this entry of `ports` publishes it where requests arrive.
fn served(port: &Value) -> Option<u16> {
    if let Some(published) = port.get("published") {
        return (as_text(published) == SERVED).then(|| as_text(&port["target"]).parse().ok()).flatten();
    }
    let text = as_text(port);
    let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let (rest, target) = ports.rsplit_once(':')?;
    let published = rest.rsplit(':').next()?;
    (published == SERVED && protocol == "tcp").then(|| target.parse().ok()).flatten()
}

/// The files in `env_file`, which is one, or several, or some with `required`.
fn listed(files: Option<&Value>) -> Vec<(String, bool)> {
    let one = |file: &Value| match file {
        Value::Object(entry) => {
            let required = entry.get("required").and_then(Value::as_bool).unwrap_or(true);
            (entry.get("path").map(as_text).unwrap_or_default(), required)
        }
        path => (as_text(path).trim_start_matches("./").to_owned(), true),
    };
    match files {
        None => Vec::new(),
        Some(Value::Array(several)) => several.iter().map(one).collect(),
        Some(file) => vec![one(file)],
    }
}

/// `environment`, a mapping or lines; a name alone takes its value from `.env`.
fn environment(given: Option<&Value>, dotenv: &Properties) -> Properties {
    let looked_up = |name: &str| dotenv.get(name).map(|value| (name.to_owned(), value.clone()));
    match given {
        Some(Value::Object(mapping)) => (mapping.iter())
            .filter_map(|(name, value)| match value {
                Value::Null => looked_up(name),
                value => Some((name.clone(), as_text(value))),
            })
            .collect(),
        Some(Value::Array(lines)) => (lines.iter().map(as_text))
            .filter_map(|line| match line.split_once('=') {
                Some((name, value)) => Some((name.to_owned(), value.to_owned())),
                None => looked_up(&line),
            })
            .collect(),
        _ => Properties::new(),
    }
}

fn command(given: &Value) -> Vec<String> {
    match given {
        Value::Array(list) => list.iter().map(as_text).collect(),
        text => words(&as_text(text)),
    }
}

/// `NAME=value` lines of an environment file.
fn pairs<'a>(lines: impl Iterator<Item = &'a str>) -> Properties {
    let lines = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    let unquoted = |value: &str| value.trim().trim_matches('"').trim_matches('\'').to_owned();
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value)))
        .collect()
}

fn interpolate_all(value: &mut Value, dotenv: &Properties) -> Result<(), Cause> {
    match value {
        Value::String(text) => *text = interpolate(text, dotenv)?,
        Value::Array(several) => several.iter_mut().try_for_each(|one| interpolate_all(one, dotenv))?,
        Value::Object(mapping) => mapping.values_mut().try_for_each(|one| interpolate_all(one, dotenv))?,
        _ => {}
    }
    Ok(())
}

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?why}`, `$$` (Compose file reference, "Interpolation").
fn interpolate(text: &str, dotenv: &Properties) -> Result<String, Cause> {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // `$$`: the next part is no name.
            out.push('$');
            out.push_str(parts.next().unwrap_or_default());
            continue;
        }
        let (expression, rest) = match part.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(Cause::BadBundle)?,
            None => part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())),
        };
        let name = expression.split([':', '-', '?']).next().unwrap_or_default();
        let operator = &expression[name.len()..];
        let value = dotenv.get(name).filter(|value| !operator.starts_with(':') || !value.is_empty());
        let operator = operator.trim_start_matches(':');
        match (value, operator.strip_prefix('-'), operator.starts_with('?')) {
            (Some(value), ..) => out.push_str(value),
            (None, Some(default), _) => out.push_str(default),
            (None, None, true) => return Err(Cause::BadBundle),
            (None, None, false) => {}
        }
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties() -> Properties {
        [("TAG", "7"), ("COLOUR", "green")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn the_service_on_port_80_is_run_and_gets_properties_only_where_the_file_says_so() {
        let text = "services:\n  cache:\n    image: redis\n  web:\n    image: shop:${TAG}\n    ports: ['80:8080']\n    \
                    environment:\n      PLAIN: a\n      COLOUR:\n    command: serve --all\n";
        let service = read(text, &properties(), &none).unwrap();
        assert_eq!((service.image.reference().as_str(), service.port), ("shop:7", 8080));
        let variables: Vec<_> = service.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(variables, [("COLOUR", "green"), ("PLAIN", "a")], "not all of them");
        assert_eq!(service.command.unwrap(), ["serve", "--all"]);
        let text = "services: {web: {image: shop, env_file: .env, ports: [{target: 9, published: 80}]}}";
        let service = read(text, &properties(), &none).unwrap();
        assert_eq!((service.port, service.variables.len()), (9, 2), "all of them");
        let own = |name: &str| (name == ".env").then(|| "# ours\nTAG = \"8\"\n".to_owned());
        let service = read(text, &properties(), &own).unwrap();
        assert_eq!(service.variables, [("TAG".to_owned(), "8".to_owned())], "a file of the bundle's own wins");
    }

    #[test]
    fn what_would_be_built_or_cannot_be_read_is_refused() {
        let cause = |text| read(text, &properties(), &none).err();
        assert_eq!(cause("services: {web: {build: .}}"), Some(Cause::NotBuilt));
        assert_eq!(cause("services: {web: {ports: ['80:1']}}"), Some(Cause::BadBundle));
        assert_eq!(cause("services: ["), Some(Cause::BadBundle));
        assert_eq!(cause("services: {web: {image: a, env_file: none.env}}"), Some(Cause::BadBundle));
        assert!(is_compose("services: {web: {image: a}}") && !is_compose("FROM scratch"));
    }

    #[test]
    fn names_are_replaced_as_compose_does() {
        let of = |text| interpolate(text, &properties());
        assert_eq!(of("a${TAG}-$COLOUR.$$X ${NONE:-d} ${NONE}").unwrap(), "a7-green.$X d ");
        assert_eq!(of("${NONE:?must be there}"), Err(Cause::BadBundle));
        assert_eq!(of("${TAG"), Err(Cause::BadBundle));
    }
}
