//! `$VAR`, `${VAR}` and what compose knows beside them (Compose specification, "Interpolation"). Other than there, a
//! variable that is not set and has no default is refused: an empty password is a riddle later.

use std::collections::BTreeMap;

use crate::inputs::Secret;
use crate::inputs::resolve::settings::is_open;

/// A text with its variables filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// The text.
    pub text: String,
    /// The values in it of variables that may hold a secret.
    pub secrets: Vec<Secret>,
}

/// Why a text cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slip {
    /// The variable is not set. Its name, unless it could be a piece of a password.
    Unset(Option<String>),
    /// The variable is missing, and the text says what to tell then: `${VAR:?text}`.
    Asked(String, String),
    /// A `$` that begins no variable.
    Malformed,
}

/// Fills in variables; `$$` is a dollar sign.
///
/// # Errors
/// The first slip.
pub(super) fn fill(text: &str, variables: &BTreeMap<String, String>) -> Result<Filled, Slip> {
    let (mut filled, mut rest) = (Filled::default(), text);
    while let Some((before, after)) = rest.split_once('$') {
        filled.text.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            filled.text.push('$');
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (inner, after) = after.split_at(end_of_braces(after).ok_or(Slip::Malformed)?);
            filled.add(braced(inner, variables)?);
            after.strip_prefix('}').unwrap_or(after)
        } else {
            let (name, after) = name(after).ok_or(Slip::Malformed)?;
            let is_constant = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            let value = variables.get(name).ok_or_else(|| Slip::Unset(is_constant.then(|| name.to_owned())))?;
            filled.add(of_variable(name, value));
            after
        };
    }
    filled.text.push_str(rest);
    Ok(filled)
}

impl Filled {
    fn add(&mut self, more: Filled) {
        self.text.push_str(&more.text);
        self.secrets.extend(more.secrets);
    }
}

fn of_variable(name: &str, value: &str) -> Filled {
    let secrets = if is_open(name) || value.is_empty() { Vec::new() } else { vec![Secret::new(value)] };
    Filled { text: value.to_owned(), secrets }
}

/// What stands between the braces of `${…}`: a name, and perhaps what holds when it is missing or there.
fn braced(inner: &str, variables: &BTreeMap<String, String>) -> Result<Filled, Slip> {
    let (name, rest) = name(inner).ok_or(Slip::Malformed)?;
    let value = variables.get(name);
    // With a colon, an empty variable counts as missing.
    let (value, rest) = match rest.strip_prefix(':') {
        Some(rest) if !rest.is_empty() => (value.filter(|value| !value.is_empty()), rest),
        Some(_) => return Err(Slip::Malformed),
        None => (value, rest),
    };
    let mut letters = rest.chars();
    match (letters.next(), value) {
        (None | Some('-' | '?'), Some(value)) => Ok(of_variable(name, value)),
        (None, None) => Err(Slip::Unset(Some(name.to_owned()))),
        (Some('-'), None) | (Some('+'), Some(_)) => fill(letters.as_str(), variables),
        (Some('+'), None) => Ok(Filled::default()),
        (Some('?'), None) => Err(Slip::Asked(name.to_owned(), letters.as_str().to_owned())),
        _ => Err(Slip::Malformed),
    }
}

/// Where the brace is that closes what is open before the text.
fn end_of_braces(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if before == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        before = letter;
    }
    None
}

/// A variable's name at the beginning of a text, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, rest) = text.split_at(end);
    name.bytes().next().is_some_and(|b| !b.is_ascii_digit()).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [("PW", "obvious-fake"), ("EMPTY", ""), ("GITHUB_SHA", "1f0c2aa")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn text(text: &str) -> Option<String> {
        fill(text, &variables()).ok().map(|filled| filled.text)
    }

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        let cases = [
            ("a $PW b ${PW}c", "a obvious-fake b obvious-fakec"),
            ("$$PW $${PW}", "$PW ${PW}"),
            ("${NO:-x}${NO-x}${EMPTY:-x}", "xxx"),
            ("<${EMPTY-x}${EMPTY}>", "<>"),
            ("${NO:-${ALSO_NO:-in}}ner", "inner"),
            ("${PW:+set}${NO:+set}${EMPTY+set}", "setset"),
            ("${PW:?needed}", "obvious-fake"),
            ("{}", "{}"),
        ];
        cases.iter().for_each(|(given, filled)| assert_eq!(text(given).as_deref(), Some(*filled), "{given}"));
    }

    #[test]
    fn what_cannot_be_filled_in_is_told_without_passwords() {
        let slip = |text: &str| fill(text, &variables()).err();
        assert_eq!(slip("${no}"), Some(Slip::Unset(Some("no".into()))));
        assert_eq!(slip("pa$sword"), Some(Slip::Unset(None)));
        assert_eq!(slip("${NO:?set it}"), Some(Slip::Asked("NO".into(), "set it".into())));
        for malformed in ["$", "${", "${PW", "$1", "${}", "${PW!x}", "${PW:}", "100$ "] {
            assert_eq!(slip(malformed), Some(Slip::Malformed), "{malformed}");
        }
    }

    #[test]
    fn values_of_variables_are_secrets_but_those_that_every_ci_shows_and_defaults() {
        let secrets = |text: &str| fill(text, &variables()).map(|filled| filled.secrets).ok();
        assert_eq!(secrets("u:${PW}@db"), Some(vec![Secret::new("obvious-fake")]));
        assert_eq!(secrets("${GITHUB_SHA} ${NO:-x} $EMPTY"), Some(Vec::new()));
    }
}
