//! What each known producer's reports say; fixtures name the tool that wrote them.

use std::time::Duration;

use super::*;
use crate::engine::event::{CodeLine, FailedTest, TestCounts};

/// A report's counts; lines are found as if every file that is mentioned were the repository's.
fn counts(xml: &[u8]) -> TestCounts {
    let mut tally = Tally::default();
    read(xml, &mut tally).unwrap();
    located(tally)
}

fn located(tally: Tally) -> TestCounts {
    tally.located(|mentions| {
        let first = mentions.first()?;
        Some(CodeLine { path: first.file_name().to_owned(), line: first.line() })
    })
}

fn problem(xml: &[u8]) -> (Problem, TestCounts) {
    let mut tally = Tally::default();
    let problem = read(xml, &mut tally).unwrap_err();
    (problem, located(tally))
}

/// Passed, failed, skipped, flaky.
fn sums(counts: &TestCounts) -> [usize; 4] {
    [counts.passed, counts.failed, counts.skipped, counts.flaky]
}

/// Name, first line of the message, and place.
fn told(test: &FailedTest) -> (&str, &str, String) {
    let place = test.line.as_ref().map(|at| format!("{}:{}", at.path, at.line)).unwrap_or_default();
    (&test.name, test.message.lines().next().unwrap_or_default(), place)
}

macro_rules! fixture {
    ($name:literal) => {
        counts(include_bytes!(concat!("fixtures/", $name, ".xml")))
    };
}

#[test]
fn pytest_tells_the_place_in_its_last_line_and_counts_lines_from_zero() {
    for counts in [fixture!("pytest"), fixture!("pytest-xunit1")] {
        assert_eq!(sums(&counts), [1, 4, 1, 0]);
        let [discounts, stores, ..] = counts.failures.as_slice() else { panic!("{counts:?}") };
        let expected = ("tests.test_cart.TestCart.test_discounts", "assert 3 == 4", "test_cart.py:14".to_owned());
        assert_eq!(told(discounts), expected);
        assert_eq!(discounts.message, "assert 3 == 4\n +  where 3 = total([1, 2])");
        assert!(discounts.details.contains(">       assert total([1, 2]) == 4\nE       assert 3 == 4"));
        assert!(discounts.details.contains("print(\"<b>discount</b>\")"), "entities are resolved");
        let expected = ("tests.test_cart.test_stores", "failed on setup with \"RuntimeError: no database\"");
        assert_eq!(
            (told(stores).0, told(stores).1, told(stores).2.as_str()),
            (expected.0, expected.1, "test_cart.py:19")
        );
        assert_eq!(counts.failures[2].name, "tests.test_cart test_parses[1 & 2]");
    }
    let bare = br#"<testsuite name="pytest"><testcase name="a" file="t.py" line="11"><error/></testcase></testsuite>"#;
    assert_eq!(told(&counts(bare).failures[0]).2, "t.py:12");
}

#[test]
fn jest_tells_the_place_in_the_first_frame_of_its_own() {
    let counts = fixture!("jest");
    assert_eq!(sums(&counts), [1, 2, 1, 0]);
    let message = "Error: expect(received).toBe(expected) // Object.is equality";
    assert_eq!(told(&counts.failures[0]), ("cart discounts", message, "cart.test.js:5".into()));
    assert_eq!(told(&counts.failures[1]), ("cart refuses", "RangeError: a price of -1", "cart.js:2".into()));
    assert!(counts.failures[0].details.contains("Expected: 4\nReceived: 3"));
}

#[test]
fn mocha_tells_the_file_with_the_suite() {
    let counts = fixture!("mocha");
    assert_eq!(sums(&counts), [1, 2, 0, 0]);
    let message = "Expected values to be strictly equal:";
    assert_eq!(told(&counts.failures[0]), ("cart discounts", message, "cart.spec.js:6".into()));
    let name = "cart stored \"before all\" hook for \"stores\"";
    assert_eq!(told(&counts.failures[1]), (name, "no database", "cart.spec.js:9".into()));
}

#[test]
fn vitest_has_the_file_for_a_class() {
    let counts = fixture!("vitest");
    assert_eq!(sums(&counts), [1, 1, 1, 0]);
    let message = "expected 3 to be 4 // Object.is equality";
    assert_eq!(told(&counts.failures[0]), ("vit/cart.test.mjs cart > discounts", message, "cart.test.mjs:5".into()));
}

#[test]
fn node_nests_suites_and_lets_what_is_to_be_done_fail() {
    let counts = fixture!("node");
    assert_eq!(sums(&counts), [1, 1, 2, 0]);
    let message = "Expected values to be strictly equal:3 !== 4";
    assert_eq!(told(&counts.failures[0]), ("cart > discounts", message, "cart.test.mjs:6".into()));
}

#[test]
fn nextest_runs_again_what_failed() {
    let counts = fixture!("nextest");
    assert_eq!(sums(&counts), [2, 1, 0, 1]);
    let message = "assertion `left == right` failed: the price";
    assert_eq!(told(&counts.failures[0]), ("shop tests::discounts", message, "lib.rs:10".into()));
    assert_eq!(counts.failures[0].took, Some(Duration::from_millis(66)));
}

#[test]
fn go_tells_files_without_their_package() {
    for counts in [fixture!("gotestsum"), fixture!("go-junit-report")] {
        assert_eq!(sums(&counts), [1, 1, 1, 0]);
        let test = &counts.failures[0];
        let expected =
            ("example.com/shop/cart.TestDiscounts", "cart_test.go:12: got 3, want 4", "cart_test.go:12".into());
        assert_eq!((told(test).0, told(test).1.trim(), told(test).2), expected);
    }
    let mut tally = Tally::default();
    read(&include_bytes!("fixtures/gotestsum.xml")[..], &mut tally).unwrap();
    assert_eq!(tally.mentions().next().unwrap().parts_in_common_with("shop/cart/cart_test.go"), 3);
}

#[test]
fn surefire_has_a_suite_for_its_root_and_times_with_commas() {
    let counts = fixture!("surefire");
    assert_eq!(sums(&counts), [2, 2, 1, 1]);
    let message = "expected: <4> but was: <3>";
    assert_eq!(told(&counts.failures[0]).1, message);
    assert_eq!(counts.failures[1].name, "com.example.shop.CartTest.stores");
    assert_eq!(counts.slowest[0], ("com.example.shop.CartTest.adds".into(), Duration::from_millis(1_230_500)));
    let mut tally = Tally::default();
    read(&include_bytes!("fixtures/surefire.xml")[..], &mut tally).unwrap();
    let own = tally.mentions().find(|mention| mention.file_name() == "CartTest.java").unwrap();
    assert_eq!(own.parts_in_common_with("src/test/java/com/example/shop/CartTest.java"), 4);
}

#[test]
fn phpunit_rspec_and_googletest_have_files_with_the_test() {
    let php = fixture!("phpunit");
    assert_eq!(sums(&php), [1, 1, 1, 0]);
    // The line of the test's own file, not that of the code under test.
    let message = "Shop\\CartTest::testDiscounts";
    assert_eq!(told(&php.failures[0]), ("Shop.CartTest.testDiscounts", message, "CartTest.php:16".into()));
    let ruby = fixture!("rspec");
    assert_eq!(sums(&ruby), [1, 1, 1, 0]);
    assert_eq!(told(&ruby.failures[0]), ("spec.cart_spec Cart discounts", "expected: 4", "cart_spec.rb:9".into()));
    let cpp = fixture!("googletest");
    assert_eq!(sums(&cpp), [1, 1, 1, 0]);
    assert_eq!(told(&cpp.failures[0]), ("Cart.Discounts", "src/cart_test.cc:8", "cart_test.cc:8".into()));
}

#[test]
fn attributes_with_counts_are_not_believed_and_suites_nest() {
    let xml = b"\xEF\xBB\xBF<testsuites tests='99'><testsuite name='a'><testsuite name='b'><testcase name='adds'/>
        <testcase name='twice'><failure message='one'/><error message='two'>text</error></testcase>
        </testsuite><testcase name='off' status='disabled'/></testsuite></testsuites>";
    let counts = counts(xml);
    assert_eq!(sums(&counts), [1, 1, 1, 0]);
    assert_eq!((counts.failures[0].message.as_str(), counts.failures[0].details.as_str()), ("one", "text"));
}

#[test]
fn a_suite_that_breaks_before_its_first_test_is_a_failure() {
    let xml = b"<testsuite name='shop.test.js'><error message='Cannot find module'>x</error></testsuite>";
    let counts = counts(xml);
    assert_eq!(sums(&counts), [0, 1, 0, 0]);
    assert_eq!(told(&counts.failures[0]), ("shop.test.js", "Cannot find module", String::new()));
}

#[test]
fn what_breaks_off_counts_as_far_as_it_goes() {
    let begun =
        "<testsuite><testcase name='a'/><testcase name='b'><failure message='no'/></testcase><testcase name='c'>";
    for (end, failed) in [("", 1), ("<failure>half", 2), ("<failu", 1), ("</testcase", 1), ("<failure a=\"", 1)] {
        let (problem, counts) = problem(format!("{begun}{end}").as_bytes());
        assert!(matches!(problem, Problem::Damaged(_)), "{end}: {problem}");
        assert_eq!(sums(&counts), [1, failed, 0, 0], "{end}");
    }
}

#[test]
fn what_is_no_report_is_told_apart() {
    for other in [&b""[..], b"<html/>", b"\x00\xff<<", b"plain", b"<coverage><testsuite/></coverage>", b"{}"] {
        assert_eq!(problem(other).0, Problem::NoReport, "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn entities_are_never_expanded() {
    let bomb = b"<!DOCTYPE x [<!ENTITY a 'xxxx'><!ENTITY b '&a;&a;&a;'><!ENTITY c SYSTEM 'file:///etc/passwd'>]>
        <testsuite><testcase name='&b;'><failure message='&c;'>&b; &lt;&#65;&amp; &c; & alone</failure></testcase></testsuite>";
    let counts = counts(bomb);
    let test = &counts.failures[0];
    let said = (test.name.as_str(), test.message.as_str(), test.details.as_str());
    assert_eq!(said, ("&b;", "&c;", "&b; <A& &c; & alone"));
}

#[test]
fn control_characters_and_colours_are_not_shown() {
    let xml = b"<testsuite><testcase name='a\x1b[31m\x00b'><failure>\x1b[36msrc/x.ts\x1b[39m:7:1 \x07no</failure></testcase></testsuite>";
    assert_eq!(told(&counts(xml).failures[0]), ("ab", "src/x.ts:7:1 no", "x.ts:7".into()));
}

#[test]
fn hostile_reports_are_bounded() {
    let nested = "<testsuite>".repeat(1_000_000);
    assert!(matches!(problem(nested.as_bytes()).0, Problem::Damaged(_)));
    let failing = "<testcase name='n'><failure message='m'>t</failure></testcase>".repeat(10_000);
    let many = counts(format!("<testsuite>{failing}</testsuite>").as_bytes());
    assert_eq!((many.failed, many.failures.len()), (10_000, 200));
    let long = "x".repeat(1 << 20);
    let xml = format!(
        "<testsuite><testcase name='{long}'><failure message='{long}'>{long}<![CDATA[{long}]]></failure></testcase></testsuite>"
    );
    let counts = counts(xml.as_bytes());
    let test = &counts.failures[0];
    assert!(test.name.len() <= 300 && test.message.len() <= 500 && test.details.len() <= 6_300);
}

#[test]
fn a_test_that_failed_and_passed_when_it_was_run_again_has_passed() {
    let counts = fixture!("rerun");
    assert_eq!(sums(&counts), [3, 2, 0, 1], "another suite's test of that name is another test");
    let failed: Vec<_> = counts.failures.iter().map(|test| (told(test).1, told(test).2)).collect();
    let discounts = ("cart_test.go:20: got 3, want 4", "cart_test.go:20".to_owned());
    let removes = ("till_test.go:5: it is still there", "till_test.go:5".to_owned());
    assert_eq!(failed.iter().map(|(said, at)| (said.trim(), at.clone())).collect::<Vec<_>>(), [discounts, removes]);
}

#[test]
fn only_a_later_pass_of_the_same_test_in_the_same_report_takes_a_failure_back() {
    let failed = |name: &str| format!("<testcase classname='c' name='{name}'><failure message='no'/></testcase>");
    let passed = |name: &str| format!("<testcase classname='c' name='{name}'/>");
    let suite = |cases: &str| format!("<testsuite name='s'>{cases}</testsuite>");
    let before = suite(&(passed("a") + &failed("a")));
    assert_eq!(sums(&counts(before.as_bytes())), [1, 1, 0, 0]);
    let unnamed = suite(&(failed("") + &passed("")));
    assert_eq!(sums(&counts(unnamed.as_bytes())), [1, 1, 0, 0]);
    let mut tally = Tally::default();
    read(suite(&failed("a")).as_bytes(), &mut tally).unwrap();
    read(suite(&passed("a")).as_bytes(), &mut tally).unwrap();
    assert_eq!(sums(&located(tally)), [1, 1, 0, 0]);
    let names: Vec<String> = (0..1_500).map(|number| format!("t{number}")).collect();
    let all: String = names.iter().map(|name| failed(name)).chain(names.iter().map(|name| passed(name))).collect();
    let counts = counts(suite(&all).as_bytes());
    assert_eq!((sums(&counts), counts.failures.len()), ([1_500, 500, 0, 1_000], 0), "what is remembered is bounded");
}
