//! The grammar: what is read, what is refused and how, and that nothing that is written comes out as something else.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fuzz_driver::{fuzz, run};
use crate::inputs::problem::Wrong;

fn one(text: &str) -> HttpCheck {
    let mut checks = http_checks(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
    assert_eq!(checks.len(), 1, "{text}");
    checks.remove(0)
}

fn only(text: &str) -> (Subject, bool, Test) {
    let mut expectations = one(&format!("GET / 200 {text}")).expectations;
    assert_eq!(expectations.len(), 1, "{text}");
    let Expectation { subject, negated, test } = expectations.remove(0);
    (subject, negated, test)
}

#[test]
fn a_check_is_method_path_status_and_what_else_is_asked() {
    let check = one("GET /ping 200");
    assert_eq!((check.method.as_str(), check.path.as_str(), check.limit), ("GET", "/ping", USUAL_LIMIT));
    assert!(check.takes(200) && !check.takes(201) && !check.follows && check.expectations.is_empty());
    let many = one("HEAD /x?y=1 2xx,404");
    assert!(many.takes(204) && many.takes(404) && !many.takes(302));
    assert_eq!(many.to_string(), "HEAD /x?y=1 2xx,404");
    assert_eq!(one("GET /teas('green') 200").path, "/teas('green')");

    let body = Subject::Body;
    assert_eq!(only("has \"say \\\"hi\\\"\""), (body.clone(), false, Test::Has("say \"hi\"".into())));
    assert_eq!(only("body has not 'a\\b'"), (body.clone(), true, Test::Has("a\\b".into())));
    assert_eq!(only("is \"a\\n\""), (body, false, Test::Is("a\n".into())));
    let server = Subject::Header("server".into());
    assert_eq!(only("header \"Server\" exists not"), (server.clone(), true, Test::Exists));
    let (subject, _, Test::Matches(pattern)) = only("header 'Server' matches '^v\\d+$'") else { panic!() };
    assert!(subject == server && pattern.matches("v12") && !pattern.matches("v12a"));
    for (value, read) in
        [("\"ok\"", json!("ok")), ("'ok'", json!("ok")), ("[1, {\"a\": null}]", json!([1, {"a": null}]))]
    {
        let (Subject::Json(path), false, Test::Is(is)) = only(&format!("json $.items[?@.name == 'a b'].id is {value}"))
        else {
            panic!()
        };
        assert_eq!((path.text.as_str(), is), ("$.items[?@.name == 'a b'].id", read));
    }
}

#[test]
fn a_check_goes_on_in_lines_that_begin_with_a_word_of_it() {
    let text = "# the shop takes an order\nPOST /orders 201\n  with header \"Content-Type\" \"application/json\"\n\
        \n  send '{\"item\": 7}'\n  header \"Location\" matches \"^/orders/\"\n  within 500ms follow redirects\nGET / 200";
    let checks = http_checks(text).unwrap();
    let [order, home] = checks.as_slice() else { panic!("{checks:?}") };
    assert_eq!(order.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    assert_eq!(order.body.as_deref(), Some("{\"item\": 7}"));
    assert_eq!((order.limit, order.follows, order.expectations.len()), (Duration::from_millis(500), true, 1));
    assert_eq!(*home, one("GET / 200"));
}

#[test]
fn what_is_wrong_is_told_by_its_line_with_something_right_and_nothing_quoted() {
    let told = |text: &str| match http_checks(text) {
        Err(wrong) => wrong.into_iter().map(|Wrong { wrong, instead }| format!("{wrong}: {instead}")).collect(),
        Ok(checks) => panic!("{text}: {checks:?}"),
    };
    let cases = [
        ("GET", "behind GET there is no path"),
        ("GET /", "behind the path there is no status"),
        ("GET ping 200", "no path that begins with `/`"),
        ("get / 200", "`get` is no method"),
        ("has \"x\"", "`has` is no method"),
        ("GET / 20", "no status"),
        ("GET / 6xx", "no status"),
        ("GET / +20", "no status"),
        ("GET / 200,", "no status"),
        ("GET / 200 ok", "`ok` begins nothing that can be asked: write one of: has \"text\""),
        ("HEAD / 200 has \"x\"", "the answer to HEAD has no body"),
        ("HEAD / 200 send \"x\"", "HEAD none"),
        ("GET / 200 has \"", "has no end"),
        ("GET / 200 has \"a\\x\"", "has no end, or a `\\`"),
        ("GET / 200 has \"a\"b", "has no end"),
        ("GET / 200 has \"\"", "every text has an empty one"),
        ("GET / 200 has x", "behind has there is no text between quotes"),
        ("GET / 200 body exists", "a body is always there: write body is not \"\""),
        ("GET / 200 header \"a b\" exists", "a name that none has"),
        ("GET / 200 header \"A\"", "the header `a` is not asked anything: write has \"text\""),
        ("GET / 200 json status is 1", "no path (RFC 9535): write json $.status is \"ok\""),
        ("GET / 200 json $.a is ok", "no JSON value"),
        ("GET / 200 json $.a is 1x", "no JSON value"),
        ("GET / 200 matches \"(\"", "is no regular expression"),
        ("GET / 200 matches \"\\\\w{9999}{99}\"", "takes too much memory"),
        ("GET / 200 within 2", "no time"),
        ("GET / 200 within 11m", "no time"),
        ("GET / 200 within 1s within 2s", "said before"),
        ("GET / 200 follow", "`redirects` is missing"),
        ("POST / 200 send 'a' send 'b'", "one body"),
        ("GET / 200 with \"A\" \"b\"", "`header` is missing"),
        ("GET / 200 with header \"A\" \"b\\n\"", "characters that it may not have"),
        ("GET / 200 with header \"Content-Length\" \"7\"", "sent by itself"),
    ];
    for (text, part) in cases {
        let told: Vec<String> = told(text);
        assert!(told.len() == 1 && told[0].contains("has a mistake in line 1: ") && told[0].contains(part), "{told:?}");
    }
    let secret = told("GET / 200 with header \"Authorization\" Bearer obvious-fake-1\nGET / 200\nobvious-fake-2");
    assert!(secret.len() == 2 && secret[1].contains("line 3"), "{secret:?}");
    assert!(!secret.concat().contains("obvious-fake"), "{secret:?}");
    // What follows a broken line is not told of: it may well be right.
    assert_eq!(told("GET / 2000\n  is \"x\"\nPUT / x").len(), 2);
}

/// A text as it may be written, in either kind of quotes.
fn written(text: &str, single: bool) -> String {
    match single && !text.contains(['\'', '\n', '\r']) {
        true => format!("'{text}'"),
        false => format!("{text:?}"),
    }
}

#[test]
fn what_is_written_is_what_is_read() {
    let texts = || "[a-z \"'\\\\é\n\t]{1,12}";
    let clauses = (option::of(texts()), option::of(texts()), vec((any::<bool>(), texts(), any::<bool>()), 0..4));
    let whole = (100_u16..600, clauses, 1_u64..600_000, any::<[bool; 3]>());
    run(whole, |(status, (sent, is, has), millis, [single, follows, breaks])| {
        let apart = if breaks { "\n " } else { " " };
        let mut text = format!("POST /a?b=c {status}{apart}within {millis}ms");
        let mut right = HttpCheck { limit: Duration::from_millis(millis), follows, ..one("POST /a?b=c 200") };
        right.statuses = vec![Status::Code(status)];
        if follows {
            text += &format!("{apart}follow redirects");
        }
        if let Some(sent) = sent {
            text += &format!("{apart}send {}", written(&sent, single));
            right.body = Some(sent);
        }
        if let Some(is) = is {
            text += &format!("{apart}json $.a is {}", serde_json::to_string(&is).unwrap());
            let subject = Subject::Json(JsonPath::parse("$.a").unwrap());
            right.expectations.push(Expectation { subject, negated: false, test: Test::Is(is.into()) });
        }
        for (negated, has, header) in has {
            let (word, subject) = match header {
                true => ("header \"X-Y\" ", Subject::Header("x-y".into())),
                false => ("", Subject::Body),
            };
            let not = if negated { "not " } else { "" };
            text += &format!("{apart}{word}has {not}{}", written(&has, single));
            right.expectations.push(Expectation { subject, negated, test: Test::Has(has) });
        }
        // The usual time is as good as none.
        if millis != USUAL_LIMIT.as_millis() as u64 {
            assert_eq!(one(&text), right, "{text}");
        }
    });
}

#[test]
fn every_check_of_the_document_is_read() {
    let document = include_str!("../../../docs/acceptance.md");
    let blocks = document.split("```checks\n").skip(1).filter_map(|rest| rest.split("```").next());
    let checks: Vec<HttpCheck> = blocks.flat_map(|block| http_checks(block).unwrap()).collect();
    assert!(checks.len() > 6 && checks.iter().any(|check| check.expectations.len() > 2), "{}", checks.len());
}

#[test]
fn fuzz_checks() {
    let whole =
        b"POST /orders 201,4xx with header \"A\" 'b'\n send '{\"a\":[1]}' json $..a[?@.b==1 && (@.c>2)] is not [1,2]\n\
        # x\nGET / 200 header \"A\" exists not body matches \"^a{2,3}\" within 1m30s follow redirects";
    fuzz(&[whole, b"GET / 2xx json $[?((((@.a))))] exists", b"GET / 200 has \"\\\"\\\\\\n\""], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match http_checks(&text) {
            Ok(checks) => checks.iter().for_each(|check| {
                assert!(check.path.starts_with('/') && !check.statuses.is_empty() && !check.limit.is_zero());
            }),
            Err(wrong) => assert!(wrong.iter().all(|wrong| wrong.wrong.contains("line ")), "{wrong:?}"),
        }
    });
}

#[test]
fn a_path_that_nests_without_end_is_refused() {
    for open in ["[?(", "[?@[?"] {
        let nested = format!("GET / 200 json ${} exists", open.repeat(100_000));
        assert!(http_checks(&nested).is_err());
    }
    // As deep as its length allows.
    assert!(http_checks(&format!("GET / 200 json $[?{} exists", "(".repeat(400))).is_err());
}
