//! `build_secrets`: `ID=VALUE`, a bare `ID` for the variable of that name, and docker's own form for what stands in a
//! file or in a variable of another name: `id=npm,src=.npmrc`, `id=npm,env=NPM_TOKEN`.

use std::collections::BTreeMap;
use std::path::Path;

use super::lists::{Kind, Line, pairs_as, read};
use super::reading::{Reading, field};
use crate::inputs::Secret;
use crate::inputs::files::ReadFile;
use crate::inputs::problem::Wrong;
use crate::inputs::values::lines;

/// BuildKit takes no secret that is larger, in bytes (moby/buildkit, `session/secrets/secretsprovider/file.go`).
const LARGEST: usize = 500 * 1024;

/// A line in docker's form.
struct Named<'a> {
    id: &'a str,
    from: From<'a>,
}

enum From<'a> {
    File(&'a str),
    Variable(&'a str),
}

pub(super) fn resolve(reading: &mut Reading<'_>, read_file: ReadFile<'_>) -> Vec<(String, Secret)> {
    let raw = reading.raw;
    pairs_as(reading, field!(raw, build_secrets), |number, line| secret(number, line, raw.variables(), read_file))
}

/// The values, which must not be shown, whatever is wrong with the other lines.
pub(super) fn values(text: Option<&str>, variables: &BTreeMap<String, String>, read_file: ReadFile<'_>) -> Vec<Secret> {
    let values = lines(text.unwrap_or_default()).filter_map(|line| match secret(0, line, variables, read_file) {
        Line::Pair(_, value) => Some(value),
        _ => None,
    });
    values.collect()
}

fn secret<'a>(number: usize, line: &'a str, variables: &BTreeMap<String, String>, read_file: ReadFile<'_>) -> Line<'a> {
    let secret = match named(line) {
        None => read(line, Kind::Secrets, variables),
        Some(Named { id, from: From::Variable(name) }) => match variables.get(name) {
            Some(value) => Line::Pair(id, Secret::new(value)),
            None => Line::Wrong(Wrong::new(
                format!("names a variable in line {number} that is not set"),
                "write env=NAME with a variable that is set (docker run -e NAME)",
            )),
        },
        Some(Named { id, from: From::File(path) }) => match read_file(Path::new(path)) {
            Ok(text) => Line::Pair(id, Secret::new(text)),
            Err(error) => Line::Wrong(Wrong::new(
                format!("names a file in line {number} which could not be read ({error})"),
                "write src=PATH with a text file; the path is relative to the directory that Beanline runs in",
            )),
        },
    };
    match secret {
        Line::Pair(_, value) if value.reveal().len() > LARGEST => Line::Wrong(Wrong::new(
            format!("has a secret of more than 500 KiB in line {number}, which BuildKit does not take"),
            "give a shorter one",
        )),
        secret => secret,
    }
}

/// Takes a line in docker's form apart. Only what begins with `id=` or `type=` and names a source is one.
fn named(line: &str) -> Option<Named<'_>> {
    let (mut id, mut from) = (None, None);
    for option in line.split(',') {
        match option.split_once('=')? {
            ("id", value) => id = Some(value),
            ("type", "file" | "env") => {}
            ("src" | "source", path) => from = Some(From::File(path)),
            ("env", name) => from = Some(From::Variable(name)),
            _ => return None,
        }
    }
    let id = id.filter(|id| !id.is_empty() && !id.chars().any(|c| c.is_whitespace() || c.is_control()))?;
    Some(Named { id, from: from? })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::inputs::RawInputs;

    /// Ids and values, or the problems.
    fn resolved(text: &str) -> Result<Vec<(String, String)>, Vec<String>> {
        let variables = [("BEANLINE_BUILD_SECRETS", text), ("NPM_TOKEN", "obvious-fake-1"), ("RC", "one=1\ntwo=2\n")];
        let raw = RawInputs::read(variables.iter().map(|(name, value)| (name.into(), value.into())));
        let mut reading = Reading::new(&raw, false);
        let found = resolve(&mut reading, &|path| match path.to_str() {
            Some("conf/.npmrc") => Ok("//registry.example/:_authToken=obvious-fake-2\nalways-auth=true\n".to_owned()),
            Some("huge") => Ok("x".repeat(LARGEST + 1)),
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        let problems: Vec<String> = reading.into_problems().iter().map(ToString::to_string).collect();
        let open = found.into_iter().map(|(id, value)| (id, value.reveal().to_owned())).collect();
        if problems.is_empty() { Ok(open) } else { Err(problems) }
    }

    #[test]
    fn a_secret_comes_from_its_line_from_a_variable_or_from_a_file() {
        let text =
            "plain=obvious=fake\nRC\nid=npm,env=NPM_TOKEN\nid=rc,src=conf/.npmrc\ntype=file,id=x,source=conf/.npmrc";
        let pairs = resolved(text).unwrap();
        let at = |id: &str| pairs.iter().find(|(known, _)| known == id).map(|(_, value)| value.as_str());
        assert_eq!((at("plain"), at("RC")), (Some("obvious=fake"), Some("one=1\ntwo=2\n")));
        assert_eq!(at("npm"), Some("obvious-fake-1"));
        // Nothing is trimmed: the file is mounted as it is.
        assert!(at("rc").unwrap().ends_with("always-auth=true\n") && at("x") == at("rc"));
    }

    #[test]
    fn what_only_looks_like_dockers_form_is_a_value() {
        let pairs = resolved("id=a,b\nsrc=c,d=e\ntoken=x,src=conf/.npmrc").unwrap();
        let open = |id: &str, value: &str| (id.to_owned(), value.to_owned());
        assert_eq!(pairs, [open("id", "a,b"), open("src", "c,d=e"), open("token", "x,src=conf/.npmrc")]);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line_and_shows_nothing() {
        let problems = resolved("id=a,src=obvious-fake-path\nid=b,env=UNSET\nid=c,src=huge\nid=c,env=RC\nid=c,env=RC")
            .unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:#?}");
        for (part, number) in [("names a file", 1), ("names a variable", 2), ("500 KiB", 3), ("stood there before", 5)]
        {
            let said = problems.iter().any(|text| text.contains(part) && text.contains(&format!("line {number}")));
            assert!(said, "{part}: {problems:#?}");
        }
        assert!(!problems.concat().contains("obvious-fake-path") && !problems.concat().contains("UNSET"));
    }
}
