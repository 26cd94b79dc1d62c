//! `KEY=VALUE` lines. A bare `KEY` takes its value from the environment and makes it a secret.

use std::collections::BTreeMap;

use super::reading::{Field, Reading};
use crate::inputs::Secret;
use crate::inputs::problem::Wrong;
use crate::inputs::values::lines;

/// What a list holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Values written in the open, and bare keys, which are secrets.
    Environment,
    /// Secrets only.
    Secrets,
    /// What stays in the image for everybody to read: no bare key.
    Public,
}

/// One line, taken apart.
pub(super) enum Line<'a> {
    Pair(&'a str, Secret),
    Wrong(Wrong),
    Malformed,
    NotInEnvironment(&'a str),
    Bare,
}

pub(super) fn read<'a>(line: &'a str, kind: Kind, variables: &BTreeMap<String, String>) -> Line<'a> {
    let is_key = |key: &str| !key.is_empty() && !key.chars().any(|c| c.is_whitespace() || c.is_control());
    match line.split_once('=') {
        Some((key, value)) if is_key(key) && !value.contains('\0') => {
            let value = if kind == Kind::Secrets { Secret::new(value) } else { Secret::open(value) };
            Line::Pair(key, value)
        }
        None if is_key(line) && kind == Kind::Public => Line::Bare,
        None if is_key(line) => match variables.get(line) {
            Some(value) => Line::Pair(line, Secret::new(value)),
            None => Line::NotInEnvironment(line),
        },
        _ => Line::Malformed,
    }
}

/// The pairs of a list. Messages name a line by its number: what stands in it might be a secret in the wrong place.
pub(super) fn pairs(reading: &mut Reading<'_>, field: Field<'_>, kind: Kind) -> Vec<(String, Secret)> {
    let raw = reading.raw;
    pairs_as(reading, field, |_, line| read(line, kind, raw.variables()))
}

/// The pairs of a list whose lines, counted from 1, are read in a way of its own.
pub(super) fn pairs_as<'a>(
    reading: &mut Reading<'_>,
    field: Field<'a>,
    read: impl Fn(usize, &'a str) -> Line<'a>,
) -> Vec<(String, Secret)> {
    let mut pairs: Vec<(String, Secret)> = Vec::new();
    for (number, line) in (1..).zip(lines(field.text.unwrap_or_default())) {
        let wrong = match read(number, line) {
            Line::Wrong(wrong) => wrong,
            Line::Pair(key, _) if pairs.iter().any(|(known, _)| known == key) => {
                Wrong::new(format!("has a key in line {number} that stood there before"), "write each key once")
            }
            Line::Pair(key, value) => {
                pairs.push((key.to_owned(), value));
                continue;
            }
            Line::Malformed => Wrong::new(format!("has no KEY=VALUE in line {number}"), "write KEY=VALUE lines"),
            Line::NotInEnvironment(key) => Wrong::new(
                format!("has {} without a value, and no variable of that name is set", named(key, number)),
                "write KEY=VALUE, or set the variable (docker run -e KEY)",
            ),
            Line::Bare => Wrong::new(
                format!("has a bare key in line {number}, which would be a secret in the image's history"),
                "write KEY=VALUE, or use build_secrets",
            ),
        };
        reading.problem(field.name, wrong);
    }
    pairs
}

/// The values of a list that must not be shown, whatever is wrong with the others.
pub(super) fn secret_values(text: Option<&str>, kind: Kind, variables: &BTreeMap<String, String>) -> Vec<Secret> {
    let values = lines(text.unwrap_or_default()).filter_map(|line| match read(line, kind, variables) {
        Line::Pair(_, value) => Some(value),
        _ => None,
    });
    values.filter(Secret::is_masked).collect()
}

/// A bare key, if it looks like the name of a variable; else the number of its line.
fn named(key: &str, number: usize) -> String {
    let is_name = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if is_name { format!("`{key}`") } else { format!("a key in line {number}") }
}
