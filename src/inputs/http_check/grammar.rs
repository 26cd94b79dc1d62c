//! The grammar of `acceptance_http`: a check begins with a method, and what else is asked of it may follow on further
//! lines, since its words are in lower case.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

use super::text::Text;
use super::{Expectation, HttpCheck, JsonPath, LONGEST_LIMIT, Pattern, Status, Subject, Test, USUAL_LIMIT};
use crate::inputs::problem::Wrong;
use crate::inputs::values;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The longest path into JSON, in bytes: readers of such paths call themselves.
const LONGEST_JSON_PATH: usize = 500;

/// What a first line should look like.
const A_CHECK: &str = "write a check a line: GET /ping 200, or GET / 200 has \"Welcome\"";

/// What may follow.
const A_CLAUSE: &str = "write one of: has \"text\", header \"Content-Type\" has \"json\", json $.status is \"ok\", \
                        with header \"Accept\" \"text/html\", send '{\"id\": 1}', follow redirects, within 2s";

/// What may be asked of a part of the answer.
const A_TEST: &str = "write has \"text\", is \"text\", matches \"^v[0-9]+\" or exists; a `not` behind these words turns \
                      them round";

/// Why a line is no check, and what to write instead.
type Mistake = (String, &'static str);

/// Built-in checks; every line that is wrong is told.
///
/// # Errors
/// What is wrong with each line, by its number: what stands in it might be a secret.
pub fn http_checks(text: &str) -> Result<Vec<HttpCheck>, Vec<Wrong>> {
    let (mut checks, mut wrong) = (Vec::<HttpCheck>::new(), Vec::new());
    let mut is_broken = false;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let goes_on = line.starts_with(|c: char| c.is_ascii_lowercase());
        let read = match checks.last_mut() {
            // What was meant by what follows a broken line is not known.
            _ if goes_on && is_broken => continue,
            Some(check) if goes_on => clauses(check, Text::of(line)),
            _ => check(line).map(|check| checks.push(check)),
        };
        is_broken = read.is_err();
        if let Err((why, instead)) = read {
            wrong.push(Wrong::new(format!("has a mistake in line {number}: {why}"), instead));
        }
    }
    if wrong.is_empty() { Ok(checks) } else { Err(wrong) }
}

fn check(line: &str) -> Result<HttpCheck, Mistake> {
    let mut text = Text::of(line);
    let method = text.token();
    if !METHODS.contains(&method) {
        return Err((format!("{} is no method, such as GET or POST", shown(method)), A_CHECK));
    }
    let (path, statuses) = (text.token(), text.token());
    if !values::is_path(path) {
        return Err((format!("behind {method} there is no path that begins with `/`"), A_CHECK));
    }
    let read: Option<Vec<Status>> = statuses.split(',').map(status).collect();
    let Some(statuses) = read else {
        return Err(("behind the path there is no status".to_owned(), "write 200, 2xx, or 200,404: GET /ping 200"));
    };
    let mut check = HttpCheck {
        method: method.to_owned(),
        path: path.to_owned(),
        statuses,
        headers: Vec::new(),
        body: None,
        expectations: Vec::new(),
        limit: USUAL_LIMIT,
        follows: false,
    };
    clauses(&mut check, text)?;
    Ok(check)
}

fn status(text: &str) -> Option<Status> {
    let is_first = |digit: &u8| (b'1'..=b'5').contains(digit);
    match text.as_bytes() {
        [first, b'x', b'x'] if is_first(first) => Some(Status::Class(u16::from(first - b'0'))),
        [first, more @ ..] if is_first(first) && more.len() == 2 && more.iter().all(u8::is_ascii_digit) => {
            text.parse().ok().map(Status::Code)
        }
        _ => None,
    }
}

fn clauses(check: &mut HttpCheck, mut text: Text<'_>) -> Result<(), Mistake> {
    while !text.is_empty() {
        match text.word() {
            "with" => check.headers.push(request_header(&mut text)?),
            "send" => {
                let again = check.body.replace(quoted(&mut text, "send", "write send '{\"id\": 1}'")?);
                once(again.is_some() || check.method == "HEAD", "a check sends one body, and HEAD none")?;
            }
            "within" => {
                once(check.limit != USUAL_LIMIT, "the time is said before")?;
                check.limit = limit(text.word())?;
            }
            "follow" => {
                once(!text.takes("redirects"), "behind `follow` the word `redirects` is missing")?;
                check.follows = true;
            }
            word => {
                let expectation = expectation(word, &mut text)?;
                let needs_body = !matches!(expectation.subject, Subject::Header(_));
                once(needs_body && check.method == "HEAD", "the answer to HEAD has no body")?;
                check.expectations.push(expectation);
            }
        }
    }
    Ok(())
}

/// A mistake that is one of the whole clause.
fn once(is_wrong: bool, why: &str) -> Result<(), Mistake> {
    if is_wrong { Err((why.to_owned(), A_CLAUSE)) } else { Ok(()) }
}

fn request_header(text: &mut Text<'_>) -> Result<(String, String), Mistake> {
    let instead = "write with header \"Accept\" \"application/json\"";
    if !text.takes("header") {
        return Err(("behind `with` the word `header` is missing".to_owned(), instead));
    }
    let name = header_name(text, instead)?;
    let value = quoted(text, "the header's name", instead)?;
    if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].iter().any(|ours| ours.as_str() == name) {
        return Err((format!("the header `{name}` is sent by itself"), "leave it out"));
    }
    match HeaderValue::from_str(&value) {
        Ok(_) => Ok((name, value)),
        Err(_) => Err((format!("the header `{name}` has characters that it may not have"), "leave them out")),
    }
}

fn header_name(text: &mut Text<'_>, instead: &'static str) -> Result<String, Mistake> {
    let name = quoted(text, "header", instead)?;
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| ("a header has a name that none has".into(), instead));
    name.map(|name| name.as_str().to_owned())
}

fn limit(word: &str) -> Result<Duration, Mistake> {
    let millis = word.strip_suffix("ms").and_then(|count| count.parse().ok()).map(Duration::from_millis);
    let time = millis.or_else(|| values::duration(word).ok()).filter(|time| !time.is_zero() && *time <= LONGEST_LIMIT);
    time.ok_or_else(|| ("behind `within` there is no time".to_owned(), "write a time up to 10m, such as 500ms or 2s"))
}

fn expectation(word: &str, text: &mut Text<'_>) -> Result<Expectation, Mistake> {
    let (subject, word) = match word {
        "body" => (Subject::Body, text.word()),
        "header" => (Subject::Header(header_name(text, "write header \"Content-Type\" has \"json\"")?), text.word()),
        "json" => {
            let path = text.json_path();
            let read = Some(path).filter(|path| path.len() <= LONGEST_JSON_PATH).and_then(JsonPath::parse);
            let none = || ("behind `json` there is no path (RFC 9535)".into(), "write json $.status is \"ok\"");
            (Subject::Json(read.ok_or_else(none)?), text.word())
        }
        // The body is what is meant unless something else is said.
        "has" | "is" | "matches" => (Subject::Body, word),
        _ => return Err((format!("{} begins nothing that can be asked", shown(word)), A_CLAUSE)),
    };
    let negated = text.takes("not");
    let test = match (word, &subject) {
        ("exists", Subject::Body) => Err(("a body is always there".into(), "write body is not \"\"")),
        ("exists", _) => Ok(Test::Exists),
        ("has", _) => quoted(text, "has", "write has \"text\"").and_then(not_empty).map(Test::Has),
        ("matches", _) => pattern(text).map(Test::Matches),
        ("is", Subject::Json(_)) => {
            let none = || ("behind `is` there is no JSON value".into(), "write is \"text\", is 3, is true or is null");
            text.value().ok_or_else(none).map(Test::Is)
        }
        ("is", _) => quoted(text, "is", "write is \"text\"").map(|text| Test::Is(text.into())),
        _ => Err((format!("{subject} is not asked anything"), A_TEST)),
    };
    Ok(Expectation { subject, negated, test: test? })
}

fn pattern(text: &mut Text<'_>) -> Result<Pattern, Mistake> {
    let instead = "write matches '^v[0-9]+$'";
    let text = quoted(text, "matches", instead)?;
    Pattern::parse(&text).map_err(|why| (format!("what stands behind `matches` {why}"), instead))
}

fn not_empty(text: String) -> Result<String, Mistake> {
    match text.is_empty() {
        true => Err(("every text has an empty one in it".into(), "write has \"text\", or is \"\"")),
        false => Ok(text),
    }
}

/// A quoted text behind `word`.
fn quoted(text: &mut Text<'_>, word: &str, instead: &'static str) -> Result<String, Mistake> {
    let begins = text.is_quoted();
    text.quoted().ok_or_else(|| {
        let why = match begins {
            true => format!("the text behind {word} has no end, or a `\\` that stands for nothing"),
            false => format!("behind {word} there is no text between quotes"),
        };
        (why, instead)
    })
}

/// A word as it may stand in a message: one that does not look like something to hide.
fn shown(word: &str) -> String {
    match word.len() <= 12 && !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()) {
        true => format!("`{word}`"),
        false => "what stands there".to_owned(),
    }
}
