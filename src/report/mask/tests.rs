//! What is hidden, and what is not.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;
use crate::engine::event::Stage;
use crate::fuzz_driver::fuzz;

fn mask(secrets: &[&str]) -> Mask {
    let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
    Mask::new(&secrets)
}

/// What is left of lines that a stage prints one after the other.
fn printed(secrets: &[&str], lines: &[&str]) -> Vec<String> {
    let mut mask = mask(secrets);
    let masked = lines.iter().map(|line| {
        let kind = EventKind::StageLine { key: Stage::Build.into(), line: (*line).to_owned() };
        match mask.event(Event { elapsed: Duration::ZERO, kind }).kind {
            EventKind::StageLine { line, .. } => line,
            other => panic!("{other:?}"),
        }
    });
    masked.collect()
}

#[test]
fn every_shape_of_a_secret_is_hidden() {
    let mask = mask(&["p@ss word/1\"x"]);
    for shown in [
        "p@ss word/1\"x".to_owned(),
        STANDARD.encode("p@ss word/1\"x"),
        "p%40ss%20word%2F1%22x".to_owned(),
        "p%40ss+word%2F1%22x".to_owned(),
        "p%40ss%20word%2f1%22x".to_owned(),
        r#"p@ss word/1\"x"#.to_owned(),
    ] {
        assert_eq!(mask.shown(&format!("<{shown}>")), "<***>", "{shown}");
    }
    let login = STANDARD.encode("AWS:p@ss word/1\"x");
    let hidden = mask.shown(&login);
    assert!(hidden.contains("***") && hidden.len() < 12, "{hidden}");
}

#[test]
fn each_line_of_a_secret_is_hidden_but_short_and_open_values_are_not() {
    assert_eq!(mask(&["first line\nsecond line\nabc"]).shown("a second line abc"), "a *** abc");
    let open = [Secret::open("plain value")];
    assert_eq!(Mask::new(&open).shown("plain value"), "plain value");
}

#[test]
fn an_escape_code_inside_a_secret_does_not_save_it() {
    assert_eq!(printed(&["hunter2"], &["my hun\u{1b}[0mter2 and more"]), ["my *** and more"]);
}

#[test]
fn a_secret_inside_a_longer_base64_text_is_hidden_wherever_it_begins() {
    let secret = "s3cr3t>>??value";
    for before in ["", "u", "us", "use", "user:"] {
        for text in [format!("{before}{secret}"), format!("{before}{secret}/more")] {
            for coded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let hidden = mask(&[secret]).shown(&coded);
                // At either end a character depends on its neighbour, too.
                let left = coded.len() - (secret.len() * 8 - 10) / 6;
                assert!(hidden.contains("***") && hidden.len() <= left + 3, "{coded}: {hidden}");
            }
        }
    }
}

#[test]
fn a_secret_that_is_cut_in_two_is_hidden_in_both() {
    let long = "x".repeat(8000);
    for at in 1..7 {
        let (front, back) = "hunter2".split_at(at);
        let lines = [format!("{long}{front}"), "of another program".to_owned(), format!("{back} and more")];
        let lines = printed(&["hunter2"], &lines.each_ref().map(String::as_str));
        assert_eq!(lines, [format!("{long}***"), "of another program".to_owned(), "*** and more".to_owned()], "{at}");
    }
    assert_eq!(printed(&["hunter2"], &["the hunt", "er is out"]), ["the hunt", "er is out"]);
}

#[test]
fn a_secret_longer_than_a_line_is_hidden_in_all_of_them() {
    let secret: String = (0..4000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
    let coded = STANDARD.encode(&secret);
    let wrapped: Vec<&str> = coded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    assert!(printed(&[&secret], &wrapped).iter().all(|line| line == "***"));
    // The last lines of a log may begin anywhere.
    assert!(printed(&[&secret], &wrapped[7..20]).iter().all(|line| line == "***"));
    let pieces = [&secret[..1500], &secret[1500..3990], &format!("{} end", &secret[3990..])];
    assert_eq!(printed(&[&secret], &pieces), ["***", "***", "*** end"]);
}

#[test]
fn a_secret_that_was_shortened_is_hidden_up_to_the_ellipsis() {
    assert_eq!(mask(&["hunter2hunter2"]).shown("`login hunter2…` exited with 1"), "`login ***…` exited with 1");
}

#[test]
fn what_is_learnt_on_the_way_is_hidden_from_then_on() {
    let mut mask = mask(&["hunter2"]);
    assert_eq!(mask.shown("hunter2 token-of-ecr"), "*** token-of-ecr");
    mask.learn(&Secret::new("token-of-ecr"));
    assert_eq!(mask.shown("hunter2 token-of-ecr"), "*** ***");
}

#[test]
fn a_fault_is_hidden_in_all_its_parts() {
    let fault = Fault::timed_out("no hunter2").cause("hunter2?").lines(["hunter2!"]).hint("use hunter2");
    let masked = mask(&["hunter2"]).fault(&fault);
    assert_eq!(masked.to_string(), "no ***: ***?");
    assert_eq!((masked.last_lines(), masked.hints()), (&["***!".to_owned()][..], &["use ***".to_owned()][..]));
    assert!(masked.is_time_out());
}

/// However a secret's text or code lies across the ends of long lines, no part of it that helps anybody is shown.
#[test]
fn fuzz_secrets_across_lines() {
    let secret = "obvious/fake+secret=of\"quite some length, with ~signs";
    let coded = [STANDARD.encode(secret), URL_SAFE.encode(secret), "obvious%2Ffake%2Bsecret%3Dof%22quite".to_owned()];
    let texts = [secret.to_owned(), coded.concat(), format!("{}{secret}", "x".repeat(8185))];
    let seeds: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    fuzz(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let mut mask = mask(&[secret]);
        for line in text.lines() {
            let kind = EventKind::StageLine { key: Stage::Build.into(), line: line.to_owned() };
            let EventKind::StageLine { line, .. } = mask.event(Event { elapsed: Duration::ZERO, kind }).kind else {
                panic!("another event came out")
            };
            assert!([secret, &coded[0], &coded[1]].iter().all(|form| !line.contains(form)), "{line}");
        }
    });
}
