//! Reads JUnit XML tolerantly: counts and failing tests, whatever the dialect's root and attributes.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::engine::event::TestCounts;

/// Failures that are kept; the rest is only counted.
const FAILURES_KEPT: usize = 50;

/// What is known of the test case that is being read.
#[derive(Default)]
struct Case {
    name: String,
    failed: bool,
    skipped: bool,
    message: String,
}

/// Reads a report. Count attributes are not trusted: cases are counted.
///
/// # Errors
/// A sentence for a file that is no XML, or has no test suite in it.
pub fn read(bytes: &[u8]) -> Result<TestCounts, String> {
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().check_end_names = false;
    let (mut counts, mut case, mut suite_seen, mut in_failure) = (TestCounts::default(), None::<Case>, false, false);
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer).map_err(|error| format!("it is no XML: {error}"))?;
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                let empty = matches!(event, Event::Empty(_));
                match tag.local_name().as_ref() {
                    b"testsuite" | b"testsuites" => suite_seen = true,
                    b"testcase" => {
                        let class = attribute(tag, "classname");
                        let name = attribute(tag, "name").unwrap_or_else(|| "(unnamed)".into());
                        let name = class
                            .filter(|class| !class.is_empty())
                            .map_or(name.clone(), |class| format!("{class}.{name}"));
                        case = Some(Case { name, failed: attribute(tag, "failure").is_some(), ..Case::default() });
                        if empty {
                            count(&mut counts, case.take());
                        }
                    }
                    b"failure" | b"error" => {
                        if let Some(case) = &mut case {
                            case.failed = true;
                            if case.message.is_empty() {
                                case.message = attribute(tag, "message").unwrap_or_default();
                            }
                        }
                        in_failure = !empty;
                    }
                    b"skipped" => case.iter_mut().for_each(|case| case.skipped = true),
                    _ => {}
                }
            }
            Event::Text(ref text) if in_failure => {
                if let Some(case) = case.as_mut().filter(|case| case.message.is_empty()) {
                    let text = String::from_utf8_lossy(text);
                    case.message =
                        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
                }
            }
            Event::End(ref tag) => match tag.local_name().as_ref() {
                b"testcase" => count(&mut counts, case.take()),
                b"failure" | b"error" => in_failure = false,
                _ => {}
            },
            Event::Eof if suite_seen => return Ok(counts),
            Event::Eof => return Err("it has no test suite".into()),
            _ => {}
        }
        buffer.clear();
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found =
        tag.attributes().with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == name.as_bytes())?;
    Some(match quick_xml::escape::unescape(&String::from_utf8_lossy(&found.value)) {
        Ok(text) => text.into_owned(),
        Err(_) => String::from_utf8_lossy(&found.value).into_owned(),
    })
}

fn count(counts: &mut TestCounts, case: Option<Case>) {
    match case {
        Some(case) if case.failed => {
            counts.failed += 1;
            if counts.failures.len() < FAILURES_KEPT {
                let first = case.message.lines().next().unwrap_or_default().chars().take(300).collect();
                counts.failures.push((case.name, first));
            }
        }
        Some(case) if case.skipped => counts.skipped += 1,
        Some(_) => counts.passed += 1,
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn suites_in_suites_are_counted_and_wrong_totals_ignored() {
        let xml = br#"<?xml version="1.0"?><testsuites tests="99"><testsuite name="a"><testsuite name="b">
            <testcase classname="shop.Cart" name="adds"/><testcase name="skips"><skipped/></testcase>
            <testcase name="breaks"><error message="5 &lt; 4"/></testcase>
            <testcase name="fails"><failure>Traceback
              assert 1 == 2
            </failure></testcase></testsuite></testsuite></testsuites>"#;
        let counts = read(xml).unwrap();
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 2, 1));
        assert_eq!(counts.failures[0], ("breaks".to_owned(), "5 < 4".to_owned()));
        assert_eq!(counts.failures[1].1, "assert 1 == 2");
    }

    #[test]
    fn what_is_no_report_is_told() {
        assert!(read(b"").is_err() && read(b"<html/>").is_err() && read(b"\x00\xff<<").is_err());
    }
}
