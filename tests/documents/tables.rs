//! What the documents say about inputs, outputs, stages and exit codes is what the source says. When a table differs, the
//! message names a file that holds the right text, to be copied.

use std::fmt::Write as _;
use std::path::Path;

use beanline::engine::event::Stage;
use beanline::exit::Exit;
use beanline::inputs::ci::{variables_of, vendors};
use beanline::inputs::definition::{ALIASES, FIRST, Fallback, Group, INPUTS, Input, find};
use beanline::inputs::resolve::{Surroundings, resolve};
use beanline::inputs::{CiFacts, Plan, RawInputs};
use beanline::run::stages_of;

const README: &str = include_str!("../../README.md");
const ACTION: &str = include_str!("../../action.yml");
const VARIABLES: &str = include_str!("../../docs/reference/ci-variables.md");
const STAGES: &str = include_str!("../../docs/stages.md");

/// The part of a document between two lines that begin with these texts.
pub fn between<'a>(document: &'a str, begin: &str, end: &str) -> &'a str {
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
fn the_readme_has_a_step_that_takes_another_actions_place_with_inputs_that_exist() {
    let step = between(between(README, "### Instead of another deploy action", "## What happens"), "  with:", "```");
    let set: Vec<_> = step.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name).collect();
    assert!(set.len() > 5, "{set:?}");
    let canonical = |name: &str| ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, input)| *input);
    for name in set {
        assert!(find(canonical(name).unwrap_or(name)).is_some_and(|input| input.built), "{name}");
    }
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
fn the_page_of_variables_has_every_ci() {
    let mut right = String::from("| CI | variables |\n| --- | --- |\n");
    for vendor in vendors() {
        let names: Vec<String> = variables_of(vendor).iter().map(|name| format!("`{name}`")).collect();
        writeln!(right, "| {vendor} | {} |", names.join(", ")).unwrap();
    }
    assert_same("ci-variables.md", between(VARIABLES, "<!-- variables:", "<!-- end of variables -->"), &right);
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
    let paragraphs = STAGES.split("\n\n").filter_map(|paragraph| paragraph.trim().strip_prefix("Inputs: "));
    let mut count = 0;
    for steers in paragraphs {
        count += 1;
        for name in steers.split('`').skip(1).step_by(2) {
            assert!(find(name).is_some_and(|input| input.built), "{name}");
        }
    }
    assert_eq!(count, Stage::ALL.len());
}

/// The plan of a run of this kind.
fn plan_of(run: &str) -> Plan {
    let set = [
        ("RUN", run),
        ("IMAGE", "registry.example.com/team/shop"),
        ("APPLICATION", "shop"),
        ("ENVIRONMENT", "shop-live"),
        ("REVISION", "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let raw = RawInputs::read(set.iter().map(|(name, text)| (format!("BEANLINE_{name}").into(), text.into())));
    let read_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let around = Surroundings { ci: &CiFacts::default(), local_registry: "127.0.0.1:5000", read_file: &read_file };
    resolve(&raw, &around).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Stages as the page lists them: three or more that follow one another in a pipeline are told by the first and the last.
fn in_words(stages: &[Stage]) -> String {
    let place = |stage: Stage| Stage::PIPELINE.iter().position(|one| *one == stage);
    let follows = |one: Stage, next: Stage| place(one).is_some() && place(one).map(|at| at + 1) == place(next);
    let groups = stages.chunk_by(|one, next| follows(*one, *next)).map(|group| match group {
        [first, _, .., last] => format!("`{}` to `{}`", first.name(), last.name()),
        few => few.iter().map(|stage| format!("`{}`", stage.name())).collect::<Vec<_>>().join(", "),
    });
    groups.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_page_of_stages_has_those_of_each_kind_of_run() {
    let rows = between(STAGES, "| `run` |", "<!-- end of runs -->");
    let rows: Vec<_> = rows.lines().skip(1).collect();
    let kinds = find("run").unwrap().about.split_once(": ").unwrap().1;
    assert_eq!(rows.len(), kinds.split(", ").count());
    for kind in kinds.split(", ") {
        let stages: Vec<_> = stages_of(&plan_of(kind)).iter().map(|key| key.stage).collect();
        let right = format!("| `{kind}` | {} | ", in_words(&stages));
        assert!(rows.iter().any(|row| row.starts_with(&right)), "there is no row `{right}`");
    }
}
