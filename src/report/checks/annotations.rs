//! What is wrong as remarks on lines of code: failing tests whose report tells a line of the repository, and steps of a
//! Dockerfile.

use serde::Serialize;

use crate::engine::event::{Fact, FailedTest};

/// Nobody reads more, and each request takes fifty.
const MOST: usize = 200;
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

/// The failures among the facts that have a line; one bad annotation would make GitHub refuse the request.
pub fn annotations(facts: &[Fact]) -> Vec<Annotation> {
    let found = facts.iter().flat_map(|fact| match fact {
        Fact::Tests(counts) => counts.failures.iter().filter_map(failing).collect(),
        Fact::Flaw(flaw) => vec![annotation(flaw.path.clone(), flaw.line, &flaw.title, &flaw.message)],
        _ => Vec::new(),
    });
    found.take(MOST).collect()
}

fn annotation(path: String, line: u32, title: &str, message: &str) -> Annotation {
    let title = title.chars().take(LONGEST_TITLE).collect();
    let message = message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned();
    Annotation { path, start_line: line, end_line: line, annotation_level: "failure", message, title }
}

/// The remark on a failing test; GitHub refuses one without a path, a line or a message.
fn failing(test: &FailedTest) -> Option<Annotation> {
    let at = test.line.as_ref().filter(|at| at.line > 0 && !at.path.is_empty())?;
    let said = [&test.message, &test.details, &test.name].into_iter().find(|text| !text.trim().is_empty())?;
    Some(annotation(at.path.clone(), at.line, &test.name, said))
}

#[cfg(test)]
mod tests {
    use super::annotations;
    use crate::engine::event::{CodeLine, Fact, FailedTest, Flaw, TestCounts};

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
    fn at_most_two_hundred_failures_with_a_line_are_annotated() {
        let line = Some(CodeLine { path: "src/cart.rs".into(), line: 7 });
        let failure = FailedTest { name: "adds".into(), message: "1 is not 2".into(), line, ..FailedTest::default() };
        let lost = FailedTest { line: None, ..failure.clone() };
        let failures = std::iter::once(lost).chain(vec![failure; 260]).collect();
        let made = annotations(&[Fact::Tests(TestCounts { failures, ..TestCounts::default() })]);
        assert_eq!(made.len(), 200);
        assert_eq!((made[0].path.as_str(), made[0].start_line, made[0].title.as_str()), ("src/cart.rs", 7, "adds"));
        assert_eq!(made[0].message, "1 is not 2");
    }
}
