//! `$VAR` and `${VAR}` in a value.

use std::collections::BTreeMap;

use crate::inputs::Secret;

/// Variables that every CI shows to everybody: a value out of them is no secret.
const OPEN: &[&str] = &[
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "BUILDKITE_BRANCH",
    "BUILDKITE_BUILD_NUMBER",
    "BUILDKITE_COMMIT",
    "CI_BRANCH",
    "CI_COMMIT_ID",
    "CI_COMMIT_REF_NAME",
    "CI_COMMIT_SHA",
    "CI_COMMIT_TAG",
    "CI_PIPELINE_ID",
    "CIRCLE_BRANCH",
    "CIRCLE_BUILD_NUM",
    "CIRCLE_SHA1",
    "CIRCLE_TAG",
    "GITHUB_ACTOR",
    "GITHUB_REF",
    "GITHUB_REF_NAME",
    "GITHUB_REPOSITORY",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SHA",
];

/// Whether a variable's value may be shown to everybody.
pub fn is_open(name: &str) -> bool {
    OPEN.contains(&name)
}

/// A value with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The value; a secret when a variable that may hold one was filled in.
    pub value: Secret,
    /// The values of those variables.
    pub secrets: Vec<Secret>,
}

/// Why a value cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slip {
    /// The variable is not set, or is empty. Its name, unless it could be a piece of a password.
    Unset(Option<String>),
    /// A `$` that begins no variable.
    Malformed,
}

/// Fills in variables; `$$` is a dollar sign.
///
/// # Errors
/// The first slip.
pub fn fill(text: &str, variables: &BTreeMap<String, String>) -> Result<Filled, Slip> {
    let (mut plain, mut secrets, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let (name, after, is_braced) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}').map(|(name, after)| (name, after, true)).ok_or(Slip::Malformed)?,
            None => {
                let end = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
                let (name, after) = after.split_at(end);
                (name, after, false)
            }
        };
        if !is_name(name) {
            return Err(Slip::Malformed);
        }
        let value = variables.get(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Slip::Unset(shown(name, is_braced)))?;
        plain.push_str(value);
        if !is_open(name) {
            secrets.push(Secret::new(value));
        }
        rest = after;
    }
    plain.push_str(rest);
    let value = if secrets.is_empty() { Secret::open(plain) } else { Secret::new(plain) };
    Ok(Filled { value, secrets })
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// The name, when it was surely meant as one: `pa$sword` is a password.
fn shown(name: &str, is_braced: bool) -> Option<String> {
    let is_constant = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    (is_braced || is_constant).then(|| name.to_owned())
}
