//! [`HttpCheck`]: a request, and what its answer must be. `docs/acceptance.md` has the grammar.

mod grammar;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::time::Duration;

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

pub use grammar::http_checks;

/// How long an answer may take to its last byte, unless the check says otherwise.
pub const USUAL_LIMIT: Duration = Duration::from_secs(10);

/// No check may wait longer.
const LONGEST_LIMIT: Duration = Duration::from_secs(600);

/// Regular expressions that take more memory than this are refused, in bytes.
const PATTERN_LIMIT: usize = 1 << 20;

/// A built-in check: `GET /ping 200`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCheck {
    /// Method, upper case.
    pub method: String,
    /// Path with query, starting with `/`.
    pub path: String,
    /// The statuses that are right; at least one.
    pub statuses: Vec<Status>,
    /// Further headers of the request; a name may come twice.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Option<String>,
    /// What must hold for the answer.
    pub expectations: Vec<Expectation>,
    /// How long the answer may take to its last byte, redirects included.
    pub limit: Duration,
    /// Whether the answer is the one behind redirects.
    pub follows: bool,
}

/// A status that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// This one.
    Code(u16),
    /// All that begin with this digit: `2xx`.
    Class(u16),
}

/// Something that must hold for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// What is looked at.
    pub subject: Subject,
    /// Whether it must not hold.
    pub negated: bool,
    /// What is asked of it.
    pub test: Test,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// The body as text.
    Body,
    /// A header, by its name in lower case.
    Header(String),
    /// The values that a path finds in the body, which must be JSON.
    Json(JsonPath),
}

/// What is asked of a part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is there.
    Exists,
    /// It is this; a text, but for JSON.
    Is(Value),
    /// It has this text in it.
    Has(String),
    /// A part of it matches.
    Matches(Pattern),
}

/// A path into JSON (RFC 9535), as it was written and as it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    text: String,
    query: JpQuery,
}

impl JsonPath {
    /// Reads a path.
    fn parse(text: &str) -> Option<Self> {
        let query = parse_json_path(text).ok()?;
        Some(Self { text: text.to_owned(), query })
    }

    /// The values that it finds.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn values<'v>(&self, document: &'v Value) -> Result<Vec<&'v Value>, String> {
        let found = js_path_process(&self.query, document).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|found| found.val).collect())
    }
}

/// A regular expression, as it was written and ready for use.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).size_limit(PATTERN_LIMIT).dfa_size_limit(PATTERN_LIMIT).build();
        regex.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "takes too much memory".to_owned(),
            _ => "is no regular expression".to_owned(),
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches a part of `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Status {
    /// Whether `status` is meant.
    pub fn takes(self, status: u16) -> bool {
        match self {
            Status::Code(code) => status == code,
            Status::Class(class) => status / 100 == class,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Code(code) => write!(f, "{code}"),
            Status::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl HttpCheck {
    /// Whether this status is right.
    pub fn takes(&self, status: u16) -> bool {
        self.statuses.iter().any(|known| known.takes(status))
    }
}

/// The request and its statuses: what a check is called. The rest of it may hold what is not for everybody.
impl fmt::Display for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<String> = self.statuses.iter().map(Status::to_string).collect();
        write!(f, "{} {} {}", self.method, self.path, statuses.join(","))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Body => f.write_str("the body"),
            Subject::Header(name) => write!(f, "the header `{name}`"),
            Subject::Json(path) => write!(f, "`{}`", path.text),
        }
    }
}
