//! Snippets that somebody will copy: workflows, steps and files of variables become a plan as they stand. Commands and
//! whole workflows are looked at by `tests/lint` too.

use std::path::Path;

use beanline::inputs::definition::{ALIASES, find};
use beanline::inputs::resolve::{Surroundings, resolve};
use beanline::inputs::{CiFacts, RawInputs};
use serde_json::Value;

use super::pages::pages;

/// The snippets of a language on a page.
pub fn snippets(text: &str, language: &str) -> Vec<String> {
    let (mut found, mut open): (Vec<String>, Option<(String, bool, usize)>) = (Vec::new(), None);
    for line in text.lines() {
        let (indent, rest) = (line.len() - line.trim_start().len(), line.trim_start());
        match (&mut open, rest.strip_prefix("```")) {
            (None, Some(named)) => open = Some((String::new(), named == language, indent)),
            (Some((snippet, wanted, _)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(snippet));
                }
                open = None;
            }
            (Some((snippet, _, indent)), None) => *snippet += &format!("{}\n", line.get(*indent..).unwrap_or_default()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a snippet has no end");
    found
}

/// What an expression of a workflow may come to.
fn evaluated(text: &str) -> String {
    let mut parts = text.split("${{");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once("}}").unwrap();
        let quoted = expression.split_once("&& '").and_then(|(_, rest)| rest.split('\'').next());
        out += match (expression, quoted) {
            (_, Some(quoted)) => quoted,
            (secret, _) if secret.contains("secrets.") => "obviously-fake",
            (role, _) if role.contains("_ROLE") => "arn:aws:iam::123456789012:role/ship",
            (service, _) if service.contains("matrix.service") => "shop",
            (other, _) => panic!("the test does not know {other}"),
        };
        out += rest;
    }
    out
}

/// The steps that use the action, wherever they stand in a snippet.
fn steps(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(map)
            if map.get("uses").and_then(Value::as_str).is_some_and(|uses| uses.starts_with("beanline/")) =>
        {
            vec![value]
        }
        Value::Object(map) => map.values().flat_map(steps).collect(),
        Value::Array(all) => all.iter().flat_map(steps).collect(),
        _ => Vec::new(),
    }
}

/// Fails unless the variables are inputs that make a plan.
#[track_caller]
fn assert_plan(place: &str, variables: Vec<(String, String)>) {
    let revision = ("BEANLINE_REVISION".to_owned(), "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d".to_owned());
    let all = variables.into_iter().chain([revision]).map(|(name, value)| (name.into(), value.into()));
    let raw = RawInputs::read(all);
    // The file that a page names for a secret; no other is there.
    let read_file = |path: &Path| match path.ends_with(".npmrc") {
        true => Ok("//registry.example.com/:_authToken=obvious-fake".to_owned()),
        false => Err(std::io::ErrorKind::NotFound.into()),
    };
    let around = Surroundings { ci: &CiFacts::default(), local_registry: "127.0.0.1:5000", read_file: &read_file };
    if let Err(problems) = resolve(&raw, &around) {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{place}: {}", problems.join("; "));
    }
}

#[test]
fn every_workflow_on_a_page_makes_a_plan() {
    let mut count = 0;
    for (page, text) in pages() {
        for snippet in snippets(&text, "yaml") {
            let value: Value =
                serde_saphyr::from_str(&snippet).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            for step in steps(&value) {
                let Some(with) = step.get("with").and_then(Value::as_object) else { continue };
                let env = step.get("env").and_then(Value::as_object).into_iter().flatten();
                let mut variables: Vec<_> = env.map(|(name, _)| (name.clone(), "obvious-fake".to_owned())).collect();
                for (name, value) in with {
                    let alias = ALIASES.iter().find(|(alias, _)| alias == name).map(|(_, input)| *input);
                    let input = find(alias.unwrap_or(name));
                    let input = input.unwrap_or_else(|| panic!("{}: {name} is no input", page.display()));
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    // The README's table says of each whether it is there already.
                    if input.built {
                        variables.push((format!("INPUT_{}", name.to_uppercase()), evaluated(&text)));
                    }
                }
                // Where only the inputs of one stage are shown, the rest is taken for said.
                if !["run", "application", "application_name"].iter().any(|name| with.contains_key(*name)) {
                    variables.push(("INPUT_RUN".to_owned(), "test".to_owned()));
                }
                assert_plan(&format!("{}: {}", page.display(), Value::from(with.clone())), variables);
                count += 1;
            }
        }
    }
    assert!(count > 15, "{count}");
}

#[test]
fn every_file_of_variables_on_a_page_makes_a_plan() {
    let mut count = 0;
    for (page, text) in pages() {
        for snippet in snippets(&text, "text").iter().filter(|snippet| snippet.starts_with("BEANLINE_")) {
            let pairs = snippet.lines().filter_map(|line| line.split_once('='));
            assert_plan(&page.display().to_string(), pairs.map(|(name, value)| (name.into(), value.into())).collect());
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn every_variable_in_a_command_is_an_input() {
    for (page, text) in pages() {
        for rest in text.split("-e BEANLINE_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            assert!(find(&name.to_lowercase()).is_some(), "{}: BEANLINE_{name}", page.display());
        }
    }
}
