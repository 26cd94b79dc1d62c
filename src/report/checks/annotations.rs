//! What is wrong as remarks on lines of code: failing tests whose message names a file of the repository, and steps of
//! a Dockerfile.

use serde::Serialize;

use crate::engine::event::Fact;

/// GitHub takes this many with a request.
const MOST: usize = 50;
/// Characters of a title.
const LONGEST_TITLE: usize = 255;
/// Bytes of a message; GitHub's limit is 64 KB, but nobody reads that beside a line of code.
const LONGEST_MESSAGE: usize = 4_000;

/// A remark on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// The file, relative to the repository.
    pub path: String,
    /// From this line, counted from 1.
    pub start_line: u32,
    /// To this line.
    pub end_line: u32,
    /// Always `failure`.
    pub annotation_level: &'static str,
    /// What went wrong.
    pub message: String,
    /// Which test.
    pub title: String,
}

/// The failures among the facts whose message names a place; one bad annotation would make GitHub refuse the request.
pub fn annotations(facts: &[Fact]) -> Vec<Annotation> {
    let found = facts.iter().flat_map(|fact| match fact {
        Fact::Tests(counts) => counts.failures.iter().filter_map(|(name, message)| failing(name, message)).collect(),
        Fact::Flaw(flaw) => vec![annotation(flaw.path.clone(), flaw.line, &flaw.title, &flaw.message)],
        _ => Vec::new(),
    });
    found.take(MOST).collect()
}

/// A failing test, if its message names a place.
fn failing(name: &str, message: &str) -> Option<Annotation> {
    let words = message.split(|c: char| c.is_whitespace() || "()[]{}<>'\"`,;".contains(c));
    let (path, line) = words.filter_map(place).next()?;
    Some(annotation(path, line, name, message))
}

fn annotation(path: String, line: u32, title: &str, message: &str) -> Annotation {
    let title = title.chars().take(LONGEST_TITLE).collect();
    let message = message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned();
    Annotation { path, start_line: line, end_line: line, annotation_level: "failure", message, title }
}

/// `src/cart.rs:12:5` as file and line. Absolute paths are the container's, not the repository's.
fn place(word: &str) -> Option<(String, u32)> {
    let (path, rest) = word.split_once(':')?;
    let line: u32 = rest.split(':').next()?.parse().ok()?;
    let path = path.strip_prefix("./").unwrap_or(path);
    let (_, ending) = path.rsplit_once('.')?;
    let is_file = !ending.is_empty() && ending.len() <= 8 && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    let has_letter = ending.bytes().any(|b| b.is_ascii_alphabetic());
    let is_ours = !path.starts_with(['/', '.']) && !path.contains("..") && !path.contains('\\');
    // `shop.local:80` is a host, not a file: a place in a directory, or a well-known ending, is asked for.
    let is_place = path.contains('/') || matches!(ending, "rs" | "py" | "js" | "ts" | "rb" | "go" | "php" | "java");
    (line >= 1 && is_file && has_letter && is_ours && is_place).then(|| (path.to_owned(), line))
}

#[cfg(test)]
mod tests {
    use super::{annotations, place};
    use crate::engine::event::{Fact, Flaw, TestCounts};

    #[test]
    fn a_place_is_told_from_hosts_times_and_absolute_paths() {
        assert_eq!(place("src/cart.rs:12:5:"), Some(("src/cart.rs".to_owned(), 12)));
        assert_eq!(place("./tests/test_x.py:3"), Some(("tests/test_x.py".to_owned(), 3)));
        for word in ["shop.local:80", "12:30:01", "/app/x.py:3", "../x.py:3", "http://x/y.js:3", "src/x.rs:0", "x:1"] {
            assert_eq!(place(word), None, "{word}");
        }
    }

    #[test]
    fn a_flaw_is_annotated_where_it_is() {
        let [title, message] = ["RUN make ended with exit code 2", "cannot compile"].map(str::to_owned);
        let facts = [Fact::Flaw(Flaw { path: "app/Dockerfile".to_owned(), line: 12, title, message })];
        let made = annotations(&facts);
        assert_eq!((made[0].path.as_str(), made[0].start_line, made[0].end_line), ("app/Dockerfile", 12, 12));
        assert_eq!(
            (made[0].title.as_str(), made[0].message.as_str()),
            ("RUN make ended with exit code 2", "cannot compile")
        );
    }

    #[test]
    fn at_most_fifty_failures_are_annotated() {
        let failure = ("adds".to_owned(), "assertion failed (src/cart.rs:7)".to_owned());
        let facts = [Fact::Tests(TestCounts { failures: vec![failure; 60], ..TestCounts::default() })];
        let made = annotations(&facts);
        assert_eq!(made.len(), 50);
        assert_eq!((made[0].path.as_str(), made[0].start_line, made[0].title.as_str()), ("src/cart.rs", 7, "adds"));
    }
}
