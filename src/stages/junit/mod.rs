//! Reads JUnit XML tolerantly: counts, failing tests and where they failed, whatever the dialect.
//!
//! There is no standard. What is taken for granted is only that a `testcase` is a test, and that a `failure` or `error`
//! in it means that it did not pass. Counts of attributes are not trusted, cases are counted; names, times, places and
//! messages are looked for where one of the known producers puts them (each of fixtures/ names its own).
//!
//! Memory is bounded whatever the file: [`slim`] cuts it into bounded pieces, [`Tally`] keeps so much of what they say.

mod case;
mod mentions;
mod slim;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use case::{Case, Suite};
pub use mentions::Mention;
use slim::Slim;
pub use tally::Tally;

/// Elements in one another; no producer needs more, and each is remembered.
const DEEPEST: usize = 100;

/// Why a file could not be read, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is something else: its first element is no test suite, or it has none.
    NoReport,
    /// It breaks off, or is no XML from some place on. What came before is counted.
    Damaged(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoReport => f.write_str("it has no test suite"),
            Problem::Damaged(why) => write!(f, "it is damaged: {why}"),
        }
    }
}

/// Reads a report into the tally.
///
/// # Errors
/// The file is none, or is damaged; the tally has what was read by then.
pub fn read(from: impl BufRead, tally: &mut Tally) -> Result<(), Problem> {
    tally.begin();
    let mut reader = Reader::from_reader(Slim::new(from));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut document = Document { tally, open: Vec::new(), suites: Vec::new(), case: None, is_report: false };
    let mut buffer = Vec::new();
    let ended = loop {
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(tag)) => match document.opens(&tag) {
                Ok(()) => {}
                Err(problem) => break Err(problem),
            },
            Ok(Event::Empty(tag)) => match document.opens(&tag) {
                Ok(()) => document.closes(),
                Err(problem) => break Err(problem),
            },
            Ok(Event::End(_)) => document.closes(),
            Ok(Event::Text(text)) => document.says(&String::from_utf8_lossy(&text)),
            Ok(Event::CData(text)) => document.says(&String::from_utf8_lossy(&text)),
            Ok(Event::GeneralRef(name)) => document.says(&meant_by(&name)),
            Ok(Event::Eof) if document.open.is_empty() => break Ok(()),
            Ok(Event::Eof) => break Err(Problem::Damaged("it breaks off".into())),
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => {}
            Err(error) => break Err(Problem::Damaged(error.to_string())),
        }
        buffer.clear();
    };
    document.end();
    if document.is_report { ended } else { Err(Problem::NoReport) }
}

/// What an entity stands for. Only those that XML itself declares are known; any other is shown as it is written.
fn meant_by(name: &BytesRef<'_>) -> String {
    if let Ok(Some(letter)) = name.resolve_char_ref() {
        return letter.into();
    }
    let name = String::from_utf8_lossy(name);
    quick_xml::escape::resolve_predefined_entity(&name).map_or_else(|| format!("&{name};"), str::to_owned)
}

/// An open element, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Suite,
    Case,
    /// A failure of the case, or of a suite for which a case was made up.
    Failure,
    Other,
}

/// A report on its way into the tally.
struct Document<'a> {
    tally: &'a mut Tally,
    open: Vec<Element>,
    suites: Vec<Suite>,
    case: Option<Case>,
    is_report: bool,
}

impl Document<'_> {
    fn opens(&mut self, tag: &BytesStart<'_>) -> Result<(), Problem> {
        if self.open.len() == DEEPEST {
            return Err(Problem::Damaged(format!("more than {DEEPEST} elements lie in one another")));
        }
        let parent = self.open.last().copied();
        let element = match tag.local_name().as_ref() {
            b"testsuite" | b"testsuites" => {
                self.is_report = true;
                self.suites.push(Suite::read(tag));
                Element::Suite
            }
            _ if !self.is_report => return Err(Problem::NoReport),
            b"testcase" if self.case.is_none() => {
                self.case = Some(Case::read(tag));
                Element::Case
            }
            b"failure" | b"error" if matches!(parent, Some(Element::Case | Element::Suite)) => {
                // A suite that breaks before its first test says so itself.
                self.case.get_or_insert_default().fails(tag);
                Element::Failure
            }
            name if parent == Some(Element::Case) => {
                self.case.iter_mut().for_each(|case| case.has(name, tag));
                Element::Other
            }
            _ => Element::Other,
        };
        self.open.push(element);
        Ok(())
    }

    fn closes(&mut self) {
        match self.open.pop() {
            Some(Element::Suite) => drop(self.suites.pop()),
            Some(Element::Case) => self.ends_case(),
            Some(Element::Failure) if self.open.last() == Some(&Element::Suite) => self.ends_case(),
            Some(Element::Failure | Element::Other) | None => {}
        }
    }

    fn says(&mut self, text: &str) {
        if self.open.last() == Some(&Element::Failure) {
            self.case.iter_mut().for_each(|case| case.says(text));
        }
    }

    fn ends_case(&mut self) {
        if let Some(case) = self.case.take() {
            self.tally.add(case.end(&self.suites));
        }
    }

    /// Nothing more comes. A case that was broken off has failed if that was said already; else nobody knows.
    fn end(&mut self) {
        if self.case.as_ref().is_some_and(Case::has_failed) {
            self.ends_case();
        }
    }
}
