//! Whether an answer is what a check asks for; no I/O.

use serde_json::Value;

use crate::fault::cut;
use crate::inputs::HttpCheck;
use crate::inputs::http_check::{Expectation, Subject, Test};
use crate::probe::{HttpFinding, MOST_BODY};

/// Letters of one value that a message shows.
const LONGEST_SHOWN: usize = 100;

/// Values that a message shows.
const MOST_SHOWN: usize = 3;

/// Lines of a body that a message shows, and letters of each.
const BODY_LINES: usize = 20;
const BODY_LINE: usize = 300;

/// What is wrong with an answer, most telling first; nothing when it is right.
pub(super) fn wrong(check: &HttpCheck, answer: &HttpFinding) -> Vec<String> {
    let mut wrong = Vec::new();
    if !check.takes(answer.status) {
        let to = answer.headers.get("location").map(|to| format!(", a redirect to `{}`", shown(to)));
        wrong.push(format!("it answered {}{}", answer.status, to.unwrap_or_default()));
    }
    let is_asked = check.expectations.iter().any(|expectation| matches!(expectation.subject, Subject::Json(_)));
    let document = is_asked.then(|| document(answer));
    if let Some(Err(why)) = &document {
        wrong.push(why.clone());
    }
    let document = document.and_then(Result::ok);
    wrong.extend(check.expectations.iter().filter_map(|expectation| unmet(expectation, answer, document.as_ref())));
    wrong
}

/// The first lines of a body, each short and without anything that is not to be seen.
pub(super) fn beginning(answer: &HttpFinding) -> Vec<String> {
    let lines = answer.body.lines().take(BODY_LINES);
    let mut lines: Vec<String> = lines.map(|line| cut(&escaped(line), BODY_LINE)).collect();
    if answer.cut || answer.body.lines().nth(BODY_LINES).is_some() {
        lines.push(match answer.cut {
            true => format!("… (the body has more than {} bytes)", answer.body.len()),
            false => format!("… (the body has {} bytes)", answer.body.len()),
        });
    }
    lines
}

fn document(answer: &HttpFinding) -> Result<Value, String> {
    if answer.cut {
        return Err(format!("the body is longer than {} KiB, so that it was not read as JSON", MOST_BODY / 1024));
    }
    serde_json::from_str(&answer.body).map_err(|error| format!("the body is no JSON: {error}"))
}

/// What is not as it was expected. An absent document was told of before.
fn unmet(expectation: &Expectation, answer: &HttpFinding, document: Option<&Value>) -> Option<String> {
    let Expectation { subject, negated, test } = expectation;
    let (holds, found) = match subject {
        Subject::Body => (of_body(test, answer), String::new()),
        Subject::Header(name) => {
            let value = answer.headers.get(name).map(String::as_str);
            let found = value.map_or("there is no such header".to_owned(), |value| format!("it is `{}`", shown(value)));
            (value.is_some_and(|value| of_text(test, value)), found)
        }
        Subject::Json(path) => match path.values(document?) {
            Ok(values) => (values.iter().any(|value| of_value(test, value)), found(&values)),
            Err(why) => return Some(format!("{subject} could not be asked: {why}")),
        },
    };
    let is_unknown = *subject == Subject::Body && answer.cut && !holds;
    if holds != *negated && !is_unknown {
        return None;
    }
    let says_all = found.is_empty() || (*test == Test::Exists && !negated);
    let unmet = match (is_unknown, says_all) {
        (true, _) => format!(": only its first {} KiB were read", MOST_BODY / 1024),
        (false, true) => String::new(),
        (false, false) => format!(": {found}"),
    };
    Some(format!("{subject} {}{unmet}", but(test, *negated && !is_unknown)))
}

/// What is the case instead of what was expected.
fn but(test: &Test, negated: bool) -> String {
    match (test, negated) {
        (Test::Exists, false) => "is not there".to_owned(),
        (Test::Exists, true) => "is there".to_owned(),
        (Test::Is(value), _) => format!("is {}`{}`", if negated { "" } else { "not " }, shown(&as_text(value))),
        (Test::Has(text), false) => format!("does not have the text `{}`", shown(text)),
        (Test::Has(text), true) => format!("has the text `{}`", shown(text)),
        (Test::Matches(pattern), false) => format!("does not match `{}`", shown(pattern.as_str())),
        (Test::Matches(pattern), true) => format!("matches `{}`", shown(pattern.as_str())),
    }
}

/// What a path found.
fn found(values: &[&Value]) -> String {
    if values.is_empty() {
        return "it finds nothing".to_owned();
    }
    let first: Vec<String> =
        values.iter().take(MOST_SHOWN).map(|value| format!("`{}`", shown(&value.to_string()))).collect();
    let more =
        if values.len() > MOST_SHOWN { format!(" and {} more", values.len() - MOST_SHOWN) } else { String::new() };
    format!("it finds {}{more}", first.join(", "))
}

fn of_body(test: &Test, answer: &HttpFinding) -> bool {
    match test {
        // White space around a body is seldom meant, and hard to write.
        Test::Is(Value::String(text)) => !answer.cut && answer.body.trim() == text.trim(),
        test => of_text(test, &answer.body),
    }
}

fn of_text(test: &Test, text: &str) -> bool {
    match test {
        Test::Exists => true,
        Test::Is(value) => value == text,
        Test::Has(part) => text.contains(part.as_str()),
        Test::Matches(pattern) => pattern.matches(text),
    }
}

fn of_value(test: &Test, value: &Value) -> bool {
    match test {
        Test::Is(wanted) => is_same(wanted, value),
        test => of_text(test, &as_text(value)),
    }
}

/// A text as it is, anything else as JSON.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether two values are the same to JSON, which knows one kind of number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // Whole numbers may be too large to be told apart as others.
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |(key, one): (&String, &Value)| other.get(key).is_some_and(|other| is_same(one, other));
            one.len() == other.len() && one.iter().all(has)
        }
        (one, other) => one == other,
    }
}

/// A value as it may stand in a sentence.
fn shown(text: &str) -> String {
    cut(&escaped(text), LONGEST_SHOWN)
}

/// Text with what is not to be seen written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fuzz_driver::fuzz;
    use crate::inputs::http_check::http_checks;

    fn answer(body: &str) -> HttpFinding {
        let headers = [("content-type", "application/json"), ("set-cookie", "a=1, b=2")];
        let headers: BTreeMap<_, _> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        HttpFinding { status: 200, headers, body: body.to_owned(), cut: false, millis: 3 }
    }

    fn told(clauses: &str, answer: &HttpFinding) -> Vec<String> {
        wrong(&http_checks(&format!("GET / 200 {clauses}")).unwrap()[0], answer)
    }

    const ORDER: &str = r#"{"status": "open", "total": 7.0, "items": [{"id": 1, "name": "tea"}, {"id": 2, "name": "cup"}], "note": null}"#;

    #[test]
    fn an_answer_is_right_when_everything_that_was_asked_holds() {
        for clauses in [
            "",
            "has \"open\" has not \"closed\" matches '\"total\": *7' matches not '^open'",
            "header \"Content-Type\" has \"json\" header \"Set-Cookie\" exists header \"X\" exists not",
            "header \"X\" has not \"y\" header \"content-type\" is \"application/json\"",
            "json $.status is \"open\" json $.status is not 'closed' json $.status matches '^o'",
            "json $.total is 7 json $.note is null json $.none exists not json $.none is not 1",
            "json $.items[*].id is 2 json $.items[?@.id == 2].name is 'cup' json $.items[0] is {\"name\":\"tea\",\"id\":1.0}",
            "json $.items has 'tea' json $.items[*].id is not 3 json $..name exists",
        ] {
            assert_eq!(told(clauses, &answer(ORDER)), Vec::<String>::new(), "{clauses}");
        }
        assert!(told("is \"pong\" is not 'ping'", &answer("pong\n")).is_empty());
    }

    #[test]
    fn what_was_expected_and_what_came_is_told() {
        for (clauses, right) in [
            ("has 'closed'", "the body does not have the text `closed`"),
            ("has not 'open'", "the body has the text `open`"),
            ("matches '^x'", "the body does not match `^x`"),
            ("is 'x'", "the body is not `x`"),
            (
                "header \"Content-Type\" has 'html'",
                "the header `content-type` does not have the text `html`: it is \
                `application/json`",
            ),
            ("header 'X' exists", "the header `x` is not there"),
            ("header 'Set-Cookie' exists not", "the header `set-cookie` is there: it is `a=1, b=2`"),
            ("json $.status is 'closed'", "`$.status` is not `closed`: it finds `\"open\"`"),
            ("json $.status is not 'open'", "`$.status` is `open`: it finds `\"open\"`"),
            ("json $..* has 'nothing'", "`$..*` does not have the text `nothing`: it finds"),
            ("json $.none exists", "`$.none` is not there"),
        ] {
            let told = told(clauses, &answer(ORDER));
            assert!(told.len() == 1 && told[0].starts_with(right), "{clauses}: {told:?}");
        }
        let html = answer("<h1>\u{1b}[31mno\0</h1>");
        assert!(told("json $.a exists not", &html)[0].starts_with("the body is no JSON: "));
        assert_eq!(beginning(&html), ["<h1>\\u{1b}[31mno\\u{0}</h1>"]);
        let moved = HttpFinding { status: 302, ..answer("") };
        let to = BTreeMap::from([("location".to_owned(), "/login".to_owned())]);
        assert_eq!(told("", &HttpFinding { headers: to, ..moved }), ["it answered 302, a redirect to `/login`"]);
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written_and_never_nearly_so() {
        let large = answer("{\"n\": 9007199254740993, \"e\": 1e2}");
        assert!(
            told("json $.n is 9007199254740993 json $.n is not 9007199254740992 json $.e is 100", &large).is_empty()
        );
    }

    #[test]
    fn fuzz_answers() {
        let check =
            "json $..name has 'tea' json $.items[?@.id > 1] exists not json $.total is 7 has 'x' matches '^.{3}'";
        let check = &http_checks(&format!("GET / 2xx {check} header 'A' is 'b'")).unwrap()[0];
        fuzz(&[ORDER.as_bytes(), b"[[[[1e999]]]]", b"\xff\x00\x1b[0m"], |bytes| {
            let answer = HttpFinding { cut: bytes.len() % 2 == 1, ..answer(&String::from_utf8_lossy(bytes)) };
            let told = wrong(check, &answer);
            assert!(!told.is_empty() && told.iter().all(|cause| cause.chars().count() < 1_000), "{told:?}");
            assert!(beginning(&answer).iter().all(|line| !line.chars().any(|c| c.is_control() && c != '\t')));
        });
    }

    #[test]
    fn of_a_body_that_was_not_read_to_its_end_nothing_is_guessed() {
        let long = HttpFinding { cut: true, ..answer("beginning") };
        assert!(told("has 'beginning'", &long).is_empty());
        for (clauses, right) in [
            ("has 'end'", "the body does not have the text `end`: only its first 1024 KiB were read"),
            ("has not 'end'", "the body does not have the text `end`: only its first 1024 KiB were read"),
            ("is 'beginning'", "the body is not `beginning`: only its first 1024 KiB were read"),
            ("has not 'beginning'", "the body has the text `beginning`"),
            ("json $.a exists", "the body is longer than 1024 KiB, so that it was not read as JSON"),
        ] {
            assert_eq!(told(clauses, &long), [right], "{clauses}");
        }
        assert_eq!(beginning(&long), ["beginning", "… (the body has more than 9 bytes)"]);
        let lines = beginning(&answer(&"line\n".repeat(50)));
        assert_eq!((lines.len(), lines[20].as_str()), (21, "… (the body has 250 bytes)"));
    }
}
