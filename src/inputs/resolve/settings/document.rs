//! `option_settings` as text: the list that the AWS CLI takes, or the map of a saved configuration and of `.ebextensions`.
//! JSON is YAML, so one reader reads both. Nothing that stands in the text is told, since it may be a secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{Error, Spanned};

use crate::inputs::problem::Wrong;

/// What to write, when it cannot be read at all.
const FORMS: &str =
    "write a list of {Namespace, OptionName, Value}, or a map as in .ebextensions, namespace: {option: value}";

/// The key above the settings in `.ebextensions` and in saved configurations.
const WRAPPERS: [&str; 2] = ["option_settings", "OptionSettings"];

/// One setting as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// Empty when it is missing.
    pub namespace: String,
    /// Empty when it is missing.
    pub option: String,
    /// The resource it belongs to, if it says so.
    pub resource: Option<String>,
    /// The value as it was written: a number keeps its zeros.
    pub value: Option<String>,
}

/// Where a setting stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Which of a list it is, from 1.
    Entry(usize),
    /// Its line, from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Entry(number) => write!(f, "entry {number}"),
            Place::Line(number) => write!(f, "line {number}"),
        }
    }
}

/// An entry of the list form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Listed {
    #[serde(default, alias = "namespace")]
    namespace: Option<String>,
    #[serde(default, alias = "option_name")]
    option_name: Option<String>,
    #[serde(default, alias = "resource_name")]
    resource_name: Option<String>,
    #[serde(default, alias = "value")]
    value: Option<String>,
}

/// The map form. Namespaces and options come in the order of the alphabet.
type Mapped = BTreeMap<String, BTreeMap<String, Spanned<Option<String>>>>;

/// Settings below the key that `.ebextensions` and saved configurations have.
#[derive(Deserialize)]
struct Wrapped<T> {
    #[serde(alias = "OptionSettings")]
    option_settings: T,
}

/// Reads the text.
///
/// # Errors
/// It is neither form; with the line, without what stands there.
pub fn read(text: &str) -> Result<Vec<Entry>, Wrong> {
    match parse(text)? {
        Value::Array(_) => Ok(listed(parse(text)?)),
        Value::Object(map) => match map.iter().next() {
            Some((key, inner)) if map.len() == 1 && WRAPPERS.contains(&key.as_str()) => match inner {
                Value::Array(_) => Ok(listed(parse::<Wrapped<_>>(text)?.option_settings)),
                _ => Ok(mapped(parse::<Wrapped<_>>(text)?.option_settings)),
            },
            _ => {
                let outer = map.iter().find(|(key, inner)| !key.starts_with("aws:") && !inner.is_object());
                outer.map_or(Ok(()), |(key, _)| Err(no_namespace(key, None)))?;
                Ok(mapped(parse(text)?))
            }
        },
        _ => Err(Wrong::new("is neither a list nor a map", FORMS)),
    }
}

/// Why a namespace is none, and which input has what was meant.
pub fn no_namespace(namespace: &str, place: Option<Place>) -> Wrong {
    let place = place.map(|place| format!(" in {place}")).unwrap_or_default();
    let decided = [
        (&["ApplicationName"][..], "application"),
        (&["EnvironmentName", "CNAMEPrefix", "EnvironmentId"], "environment"),
        (&["VersionLabel"], "version_label"),
        (&["SolutionStackName", "SolutionStack", "Platform", "PlatformArn"], "solution_stack"),
    ];
    match decided.iter().find(|(words, _)| words.contains(&namespace)) {
        Some((_, input)) => Wrong::new(
            format!("has {namespace}{place}, which is no option"),
            format!("leave it out; `{input}` says it"),
        ),
        None if namespace.is_empty() => Wrong::new(format!("has no Namespace{place}"), FORMS),
        None => Wrong::new(
            format!("has a namespace{place} that does not begin with aws:"),
            "write an option's namespace, such as aws:autoscaling:asg",
        ),
    }
}

fn listed(entries: Vec<Listed>) -> Vec<Entry> {
    let entry = |(number, listed): (usize, Listed)| Entry {
        place: Place::Entry(number),
        namespace: listed.namespace.unwrap_or_default(),
        option: listed.option_name.unwrap_or_default(),
        resource: listed.resource_name,
        value: listed.value,
    };
    (1..).zip(entries).map(entry).collect()
}

fn mapped(namespaces: Mapped) -> Vec<Entry> {
    let entries = namespaces.into_iter().flat_map(|(namespace, options)| {
        options.into_iter().map(move |(option, value)| Entry {
            place: Place::Line(value.referenced.line()),
            namespace: namespace.clone(),
            option,
            resource: None,
            value: value.value,
        })
    });
    entries.collect()
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    // The library's own words quote the text.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map(|location| location.line());
        let place = line.map(|line| format!(" in line {line}")).unwrap_or_default();
        match error {
            Error::DuplicateMappingKey { .. } => {
                Wrong::new(format!("has a key{place} that stood there before"), "write each option once")
            }
            Error::SerdeUnknownField { .. } => Wrong::new(
                format!("has a key{place} that no setting has"),
                "a setting has Namespace, OptionName, Value, and perhaps ResourceName",
            ),
            _ => Wrong::new(format!("cannot be read as YAML or JSON{place}"), FORMS),
        }
    })
}
