//! One test case: what its attributes and elements say, in whatever dialect.

use std::time::Duration;

use quick_xml::events::BytesStart;

use super::mentions::{self, Mention};
use crate::report::clean;

/// Bytes of a failure's text that are kept while it is read; less than [`super::slim`] passes on, so that every cut is
/// marked here.
const LONGEST_TEXT: usize = 32 << 10;

/// Lines of details: so many from the beginning, and so many from the end.
const LINES_OF_DETAILS: usize = 15;

/// Bytes of one line of them.
const LONGEST_LINE: usize = 200;

/// Bytes of a name.
const LONGEST_NAME: usize = 300;

/// Bytes of a key; a test with a longer one is not known again.
const LONGEST_KEY: usize = 2_000;

/// What a test without a name is called.
const UNNAMED: &str = "(unnamed)";

/// Lines of a message, and bytes of it.
const LINES_OF_MESSAGE: usize = 5;
const LONGEST_MESSAGE: usize = 500;

/// A suite around a test.
#[derive(Debug, Default)]
pub(super) struct Suite {
    name: String,
    file: Option<String>,
}

impl Suite {
    pub(super) fn read(tag: &BytesStart<'_>) -> Self {
        Self {
            name: attribute(tag, "name").unwrap_or_default(),
            file: attribute(tag, "file").or_else(|| attribute(tag, "filepath")),
        }
    }
}

/// What is known of the test that is being read.
#[derive(Debug, Default)]
pub(super) struct Case {
    name: String,
    class: String,
    file: Option<String>,
    line: Option<u32>,
    took: Option<Duration>,
    failures: usize,
    message: String,
    text: String,
    is_skipped: bool,
    /// A test of what is not there yet may fail.
    is_todo: bool,
    is_flaky: bool,
}

/// How a test ended.
#[derive(Debug)]
pub(super) enum Verdict {
    Passed { flaky: bool },
    Failed(Failed),
    Skipped,
}

/// What is told of a failing test.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) message: String,
    pub(super) details: String,
    pub(super) mentions: Vec<Mention>,
}

/// A test that was read to its end.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) name: String,
    /// The same for every run of a test in one report; `None` when it cannot be told from others.
    pub(super) key: Option<String>,
    pub(super) took: Option<Duration>,
    pub(super) verdict: Verdict,
}

impl Case {
    pub(super) fn read(tag: &BytesStart<'_>) -> Self {
        let text = |name: &str| attribute(tag, name).filter(|text| !text.trim().is_empty());
        // googletest and ctest say so of tests that do not run.
        let not_run = |name: &str| {
            text(name).is_some_and(|word| {
                ["disabled", "notrun", "skipped", "suppressed", "ignored"].contains(&word.to_ascii_lowercase().as_str())
            })
        };
        // node:test says what failed in an attribute too, some others in the status alone.
        let failure = attribute(tag, "failure");
        let has_failed = failure.is_some() || text("status").is_some_and(|word| word == "failed" || word == "fail");
        Self {
            name: text("name").unwrap_or_else(|| UNNAMED.into()),
            class: text("classname").unwrap_or_default(),
            file: text("file").or_else(|| text("filepath")),
            line: text("line").and_then(|line| line.trim().parse().ok()),
            took: text("time").and_then(|time| seconds(&time)),
            failures: usize::from(has_failed),
            message: failure.unwrap_or_default(),
            is_skipped: not_run("status") || not_run("result"),
            ..Self::default()
        }
    }

    /// A `failure` or an `error` begins.
    pub(super) fn fails(&mut self, tag: &BytesStart<'_>) {
        self.failures += 1;
        if self.message.is_empty() {
            self.message = attribute(tag, "message").unwrap_or_default();
        }
        if !self.text.is_empty() {
            self.says("\n");
        }
    }

    /// Another element begins.
    pub(super) fn has(&mut self, name: &[u8], tag: &BytesStart<'_>) {
        match name {
            b"skipped" | b"ignored" | b"disabled" => {
                self.is_skipped = true;
                self.is_todo |= attribute(tag, "type").is_some_and(|kind| kind == "todo");
            }
            // surefire and nextest: it failed at first, and passed when it was run again.
            b"flakyFailure" | b"flakyError" => self.is_flaky = true,
            _ => {}
        }
    }

    /// More of a failure's text.
    pub(super) fn says(&mut self, text: &str) {
        // What was cut ends in the mark.
        let room = LONGEST_TEXT.saturating_sub(self.text.len());
        if room > 0 {
            self.text.push_str(&cut(text, room));
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0 && !self.is_todo
    }

    /// What came of it.
    pub(super) fn end(self, suites: &[Suite]) -> Done {
        let verdict = match (self.has_failed(), self.is_skipped) {
            (true, _) => Verdict::Failed(self.failed(suites)),
            (false, true) => Verdict::Skipped,
            (false, false) => Verdict::Passed { flaky: self.is_flaky },
        };
        Done { name: self.full_name(suites), key: self.key(suites), took: self.took, verdict }
    }

    /// Its suites, class, name and place, as they are written.
    fn key(&self, suites: &[Suite]) -> Option<String> {
        let place = self.line.map(|line| line.to_string()).unwrap_or_default();
        let own = [self.file.as_deref().unwrap_or_default(), &place, &self.class, &self.name];
        let parts = || suites.iter().map(|suite| suite.name.as_str()).chain(own);
        let is_known = !self.name.is_empty() && self.name != UNNAMED;
        let is_short = parts().map(|part| part.len() + 1).sum::<usize>() <= LONGEST_KEY;
        (is_known && is_short).then(|| parts().collect::<Vec<_>>().join("\0"))
    }

    fn failed(&self, suites: &[Suite]) -> Failed {
        let lines = clean::lines(&self.text);
        let mut message = message(&clean::lines(&self.message), &lines);
        if message.is_empty() {
            message = "it failed, and its report does not say why".into();
        }
        Failed { message, details: excerpt(&lines), mentions: self.mentions(suites, &lines) }
    }

    /// Name of the class, or of the suites, and of the test; nothing twice.
    fn full_name(&self, suites: &[Suite]) -> String {
        let suite = suites.iter().rev().map(|suite| suite.name.as_str()).find(|name| !name.is_empty());
        let (name, class) = (self.name.trim(), self.class.trim());
        let name = match class {
            // A suite that broke before its first test.
            "" if name.is_empty() => suite.unwrap_or(UNNAMED).to_owned(),
            "" => name.to_owned(),
            // node:test says only this; its suites have the names.
            "test" => {
                suites.iter().map(|suite| suite.name.as_str()).filter(|name| !name.is_empty()).chain([name]).fold(
                    String::new(),
                    |all, name| if all.is_empty() { name.to_owned() } else { format!("{all} > {name}") },
                )
            }
            class if name.starts_with(class) || name.ends_with(class) => name.to_owned(),
            class if name.contains("::") || name.contains(" > ") || name.contains(' ') => format!("{class} {name}"),
            class => format!("{class}.{name}"),
        };
        cut(&clean::line(&name), LONGEST_NAME)
    }

    /// Places that the failure may be at, most likely first: what the text says of the test's own file, the attributes,
    /// what else the text says, and the file alone.
    fn mentions(&self, suites: &[Suite], lines: &[String]) -> Vec<Mention> {
        let in_suite = suites.iter().rev().find_map(|suite| suite.file.as_deref());
        let class_is_file = || Some(self.class.as_str()).filter(|class| mentions::is_file(class));
        let file = self.file.as_deref().or(in_suite).or_else(class_is_file);
        // Go tells files without their directory, which is the package: the suite's name, or the class.
        let package = suites.iter().rev().map(|suite| suite.name.as_str()).chain([self.class.as_str()]);
        let package = package.into_iter().find(|name| name.contains('/') && !mentions::is_file(name));
        let said = mentions::find(&self.message, lines, package);
        let Some(file) = file.filter(|file| file.len() <= mentions::LONGEST_PATH) else { return said };
        // pytest counts from 0 there, all others from 1.
        let from_zero = suites.iter().any(|suite| suite.name == "pytest");
        let line = self.line.map(|line| line.saturating_add(u32::from(from_zero)));
        let (own, others): (Vec<_>, Vec<_>) = said.into_iter().partition(|mention| mention.is_in(file));
        let attributes = line.filter(|line| *line > 0).into_iter().map(|line| Mention::new(file, line));
        own.into_iter().chain(attributes).chain(others).chain([Mention::new(file, 1)]).collect()
    }
}

/// What went wrong in a few lines: the attribute, unless the text says more.
fn message(attribute: &[String], text: &[String]) -> String {
    let told = |line: &&String| !line.trim().is_empty() && !line.starts_with("=== ") && !line.starts_with("--- ");
    let said: Vec<&String> = match attribute {
        [] => Vec::new(),
        // go-junit-report and gotestsum have this for every failure.
        [only] if only == "Failed" && !text.is_empty() => Vec::new(),
        // Rust's panics: the place, and in the next line what it says.
        [only] if only.contains("panicked at ") => {
            text.iter().skip_while(|line| !line.contains("panicked at ")).skip(1).filter(told).take(1).collect()
        }
        several => several.iter().filter(told).collect(),
    };
    let said: Vec<&String> = match said.is_empty() {
        false => said,
        true if text.first().is_some_and(|line| line.starts_with("Traceback")) => {
            text.iter().rfind(told).into_iter().collect()
        }
        true => text.iter().find(told).into_iter().chain(attribute).take(1).collect(),
    };
    let lines: Vec<&str> = said.into_iter().take(LINES_OF_MESSAGE).map(|line| line.as_str()).collect();
    cut(lines.join("\n").trim(), LONGEST_MESSAGE)
}

/// The beginning and the end of a text, with what is left out between them.
fn excerpt(lines: &[String]) -> String {
    let cut = |line: &String| cut(line, LONGEST_LINE);
    let left_out = lines.len().saturating_sub(2 * LINES_OF_DETAILS);
    let mut kept: Vec<String> = match left_out {
        0 => return lines.iter().map(cut).collect::<Vec<_>>().join("\n"),
        _ => lines[..LINES_OF_DETAILS].iter().map(cut).collect(),
    };
    kept.push(format!("… ({left_out} lines left out)"));
    kept.extend(lines[lines.len() - LINES_OF_DETAILS..].iter().map(cut));
    kept.join("\n")
}

/// A text of at most so many bytes. One that is longer ends in an ellipsis, before which masking looks for the beginning
/// of a secret.
fn cut(text: &str, most: usize) -> String {
    match text.len() <= most {
        true => text.to_owned(),
        false => format!("{}…", &text[..text.floor_char_boundary(most.saturating_sub('…'.len_utf8()))]),
    }
}

/// The text of an attribute, its entities resolved where that can be done.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())?;
    let text = String::from_utf8_lossy(&found.value);
    Some(quick_xml::escape::unescape(&text).map_or_else(|_| text.clone().into_owned(), std::borrow::Cow::into_owned))
}

/// A time in seconds as some locale writes it: `0.012`, `1,234.5`, `0,012`, `1.234,5`.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let plain = match (text.rfind('.'), text.rfind(',')) {
        (Some(point), Some(comma)) if comma > point => text.replace('.', "").replace(',', "."),
        (None, Some(_)) if text.matches(',').count() == 1 => text.replace(',', "."),
        _ => text.replace(',', ""),
    };
    Duration::try_from_secs_f64(plain.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_in_an_ellipsis() {
        assert_eq!((cut("äää", 6), cut("äääx", 6), cut("x", 0)), ("äää".into(), "ä…".into(), "…".into()));
        let mut case = Case::default();
        ["x".repeat(40_000), "more".to_owned()].iter().for_each(|text| case.says(text));
        assert!(case.text.len() <= LONGEST_TEXT && case.text.ends_with("x…"));
    }

    #[test]
    fn times_are_read_in_every_locale() {
        let cases = [("0.012", 12), ("1,234.5", 1_234_500), ("1.234,5", 1_234_500), ("0,012", 12), ("1,234,567", 0)];
        for (text, milliseconds) in cases {
            let expected = if milliseconds == 0 { 1_234_567_000 } else { milliseconds };
            assert_eq!(seconds(text), Some(Duration::from_millis(expected)), "{text}");
        }
        for bad in ["", "-1", "NaN", "inf", "1e99", "soon"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let lines: Vec<String> = (0..100).map(|number| format!("line {number}")).collect();
        let kept = excerpt(&lines);
        assert!(kept.starts_with("line 0\n") && kept.ends_with("\nline 99"));
        assert!(kept.contains("line 14\n… (70 lines left out)\nline 85\n"), "{kept}");
    }
}
