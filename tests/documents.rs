//! What the documents say about inputs, outputs, stages and exit codes is what the source says. When a table differs, the
//! message names a file that holds the right text, to be copied.

#![expect(clippy::unwrap_used, reason = "a test ends where a document has not the shape that it expects")]

use std::fmt::Write as _;
use std::path::Path;

use beanline::engine::event::Stage;
use beanline::exit::Exit;
use beanline::inputs::definition::{FIRST, Fallback, Group, INPUTS, Input, find};

const README: &str = include_str!("../README.md");
const ACTION: &str = include_str!("../action.yml");
const STAGES: &str = include_str!("../docs/stages.md");

/// The part of a document between two lines that begin with these texts.
fn between<'a>(document: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("\n{begin}")).unwrap_or_else(|| panic!("there is no line `{begin}`"));
    let (_, rest) = rest.split_once('\n').unwrap();
    let (part, _) = rest.split_once(&format!("\n{end}")).unwrap_or_else(|| panic!("there is no line `{end}`"));
    part.trim()
}

fn assert_same(document: &str, part: &str, right: &str) {
    let right = right.trim();
    if part != right {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{document}.part"));
        std::fs::write(&path, right).unwrap();
        panic!("{document} is not what the source says; the right text is in {}", path.display());
    }
}

fn inputs_of(group: Group) -> impl Iterator<Item = &'static Input> {
    INPUTS.iter().filter(move |input| input.group == group)
}

#[test]
fn the_readme_lists_every_input() {
    let mut right = String::new();
    for group in Group::ALL {
        writeln!(right, "**{}**\n\n| input | default | meaning |\n| --- | --- | --- |", group.title()).unwrap();
        for input in inputs_of(group) {
            let default = match input.fallback {
                Fallback::Is(text) => format!("`{text}`"),
                Fallback::Taken(words) => words.to_owned(),
                Fallback::Nothing => String::new(),
            };
            let later = if input.built { "" } else { " (not built yet)" };
            writeln!(right, "| `{}` | {default} | {}{later} |", input.name, input.about).unwrap();
        }
        right.push('\n');
    }
    assert_same("README.md", between(README, "<!-- inputs:", "<!-- end of inputs -->"), &right);
}

#[test]
fn the_readme_shows_the_inputs_that_are_needed_first() {
    let rows = between(README, "| input | for example | meaning |", "Acceptance tests");
    let named: Vec<_> = rows.lines().skip(1).filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(named, FIRST);
}

#[test]
fn the_readme_has_a_workflow_of_at_most_ten_lines_with_inputs_that_exist() {
    let workflow = between(README, "```yaml", "```");
    assert!(workflow.lines().count() <= 10);
    let with = workflow.lines().find_map(|line| line.trim().strip_prefix("with: { ")?.strip_suffix(" }")).unwrap();
    let set: Vec<_> = with.split(", ").filter_map(|pair| pair.split_once(": ")).map(|(name, _)| name).collect();
    assert!(set.iter().all(|name| find(name).is_some_and(|input| input.built)), "{set:?}");
    assert!(FIRST.iter().all(|name| set.contains(name)), "{set:?}");
}

#[test]
fn the_action_lists_every_input() {
    let mut right = String::new();
    for group in Group::ALL {
        writeln!(right, "  # {}", group.title()).unwrap();
        for input in inputs_of(group) {
            let default = match input.fallback {
                Fallback::Is(text) | Fallback::Taken(text) => format!(" (default: {text})"),
                Fallback::Nothing => String::new(),
            };
            let later = if input.built { "" } else { "; not built yet" };
            let description = format!("{}{default}{later}", input.about).replace('\'', "''");
            writeln!(right, "  {}:\n    description: '{description}'", input.name).unwrap();
            if input.name == "github_token" {
                right.push_str("    default: ${{ github.token }}\n");
            }
        }
    }
    assert_same("action.yml", between(ACTION, "inputs:", "outputs:"), &right);
}

#[test]
fn the_readme_lists_every_output_of_the_action() {
    let mut right = String::from("| output | meaning |\n| --- | --- |\n");
    for line in between(ACTION, "outputs:", "runs:").lines() {
        match line.trim().strip_prefix("description: ") {
            Some(meaning) => writeln!(right, "{} |", meaning.trim_matches('\'')).unwrap(),
            None => write!(right, "| `{}` | ", line.trim().trim_end_matches(':')).unwrap(),
        }
    }
    assert_same("README.md", between(README, "<!-- outputs:", "<!-- end of outputs -->"), &right);
}

#[test]
fn the_readme_lists_every_exit_code() {
    let mut right = String::from("| code | meaning |\n| --- | --- |\n");
    for (exit, meaning) in Exit::TABLE {
        writeln!(right, "| {} | {meaning} |", exit.code()).unwrap();
    }
    assert_same("README.md", between(README, "<!-- exit codes:", "<!-- end of exit codes -->"), &right);
}

#[test]
fn the_page_of_stages_has_each_with_its_exit_code_in_order() {
    let rows = between(STAGES, "| stage |", "<!-- end of stages -->");
    let rows: Vec<_> = rows.lines().skip(1).collect();
    assert_eq!(rows.len(), Stage::ALL.len());
    for (stage, row) in Stage::ALL.iter().zip(rows) {
        let (name, code) = (stage.name(), stage.exit().code());
        assert!(row.starts_with(&format!("| {name} | `shop / {name}` | {code} | ")), "{row}");
        assert!(STAGES.contains(&format!("\n## {name}\n")), "{name} has no section");
    }
}

#[test]
fn the_page_of_stages_names_only_inputs_that_are_built() {
    for steers in STAGES.lines().filter_map(|line| line.strip_prefix("Inputs: ")) {
        for name in steers.split('`').skip(1).step_by(2) {
            assert!(find(name).is_some_and(|input| input.built), "{name}");
        }
    }
}
