//! What the Actions runner reads out of a step: its file commands and the commands in its log. Written from the
//! runner's FileCommandManager.cs and ActionCommand.cs; where it would complain, this is an error.

use std::collections::BTreeMap;

/// A command in the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// `group`, `error`, …
    pub name: String,
    /// What follows the second `::`.
    pub data: String,
}

/// Names of which the runner does more than print them.
const KNOWN: [&str; 15] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
];

/// The pairs of a file such as `GITHUB_OUTPUT`: `NAME=VALUE`, or `NAME<<DELIMITER`, lines, `DELIMITER`.
pub fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let (mut pairs, mut lines) = (BTreeMap::new(), text.split('\n'));
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        let (name, value) = match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                (&line[..equals], line[equals + 1..].to_owned())
            }
            (_, Some(heredoc)) => {
                let delimiter = &line[heredoc + 2..];
                let mut value = Vec::new();
                loop {
                    match lines.next() {
                        Some(line) if line == delimiter => break,
                        Some(line) => value.push(line),
                        None => return Err(format!("Matching delimiter not found '{delimiter}'")),
                    }
                }
                (&line[..heredoc], value.join("\n"))
            }
            _ => return Err(format!("Invalid format '{line}'")),
        };
        if name.is_empty() {
            return Err(format!("Invalid format '{line}'. Name must not be empty"));
        }
        pairs.insert(name.to_owned(), value);
    }
    Ok(pairs)
}

/// The commands of a log: `::name properties::data` at the start of a line, `##[name properties]data` anywhere in it.
pub fn commands(log: &str) -> Vec<Command> {
    log.lines().filter_map(command).collect()
}

fn command(line: &str) -> Option<Command> {
    let second = |line: &str| {
        let (about, data) = line.trim_start().strip_prefix("::")?.split_once("::")?;
        Some((about.to_owned(), data.to_owned()))
    };
    let first = |line: &str| {
        let (about, data) = line.split_once("##[")?.1.split_once(']')?;
        Some((about.to_owned(), data.to_owned()))
    };
    let (about, data) = second(line).or_else(|| first(line))?;
    let name = about.split(' ').next().unwrap_or_default().to_lowercase();
    KNOWN.contains(&name.as_str()).then_some(Command { name, data })
}

#[test]
fn pairs_are_read_as_the_runner_reads_them() {
    let read = pairs("a=1\n\nb<<END\nx=<<\n\ny\nEND\nc=d<<e=f\ng=\n").unwrap();
    let expected = [("a", "1"), ("b", "x=<<\n\ny"), ("c", "d<<e=f"), ("g", "")];
    assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(pairs("b<<END\nEN\n").is_err());
    assert!(pairs("nothing").is_err());
    assert!(pairs("=value").is_err());
}

#[test]
fn commands_are_read_as_the_runner_reads_them() {
    let log = "::group::a\n  ::Error file=x,line=1::b::c\n| ::error::no\ntext ##[warning title=t]d\n\
               ::unknown::e\n::endgroup::";
    let found: Vec<(String, String)> = commands(log).into_iter().map(|found| (found.name, found.data)).collect();
    let expected = [("group", "a"), ("error", "b::c"), ("warning", "d"), ("endgroup", "")];
    assert_eq!(found, expected.map(|(name, data)| (name.to_owned(), data.to_owned())));
}
