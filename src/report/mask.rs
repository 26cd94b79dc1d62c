//! Puts `***` in place of every secret, in all the shapes it may be printed in, before any sink sees an event.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::clean;
use crate::engine::event::{Event, EventKind, Fact, Outcome, TestCounts};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::Secret;

/// Secrets shorter than this, in bytes, are not masked: they would hide half of every log.
const SHORTEST: usize = 4;

/// What is shown in a secret's place.
const STARS: &str = "***";

/// Finds secrets in text: whole, line by line, and in their base64, URL and JSON forms.
#[derive(Debug)]
pub struct Mask(Option<AhoCorasick>);

impl Mask {
    /// A mask for every secret that output must hide.
    ///
    /// # Errors
    /// When the search cannot be set up; without it nothing may be printed.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Result<Self, Fault> {
        let mut forms = BTreeSet::new();
        for secret in secrets.into_iter().filter(|secret| secret.is_masked()) {
            for text in std::iter::once(secret.reveal()).chain(secret.reveal().lines()).map(str::trim) {
                if text.len() >= SHORTEST {
                    add_forms(text, &mut forms);
                }
            }
        }
        if forms.is_empty() {
            return Ok(Self(None));
        }
        // The longest match hides the padding of a base64 form together with the form.
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(forms);
        search
            .map(|search| Self(Some(search)))
            .map_err(|error| Fault::new("could not prepare the masking of secrets").because(error))
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        match &self.0 {
            Some(search) => hidden(search, text),
            None => text.to_owned(),
        }
    }

    /// The text without escape codes, control characters and secrets, in this order: an escape code inside a secret must
    /// not save it.
    fn shown(&self, text: &str) -> String {
        self.text(&clean::lines(text).join("\n"))
    }

    /// The event with all of its text made fit to be shown.
    pub fn event(&self, event: Event) -> Event {
        let t = |text: String| self.shown(&text);
        let kind = match event.kind {
            EventKind::RunStarted { about, stages } => EventKind::RunStarted { about: t(about), stages },
            EventKind::StageLine { key, line } => EventKind::StageLine { key, line: self.text(&clean::line(&line)) },
            EventKind::StageNote { key, text } => EventKind::StageNote { key, text: t(text) },
            EventKind::StageWarning { key, text } => EventKind::StageWarning { key, text: t(text) },
            EventKind::StageFact { key, fact } => EventKind::StageFact { key, fact: self.fact(fact) },
            EventKind::StageRetrying { key, call, because } => {
                EventKind::StageRetrying { key, call: t(call), because: t(because) }
            }
            EventKind::StageFinished { key, outcome, took } => {
                let outcome = match outcome {
                    Outcome::Skipped(why) => Outcome::Skipped(t(why)),
                    Outcome::Failed(fault) => Outcome::Failed(self.fault(&fault)),
                    other @ (Outcome::Passed | Outcome::Cancelled) => other,
                };
                EventKind::StageFinished { key, outcome, took }
            }
            EventKind::Undoing { undo } => EventKind::Undoing { undo: self.undo(undo) },
            EventKind::UndoUnderWay { undo } => EventKind::UndoUnderWay { undo: self.undo(undo) },
            EventKind::Undone { undo, error } => {
                EventKind::Undone { undo: self.undo(undo), error: error.map(|fault| self.fault(&fault)) }
            }
            EventKind::RunFinished { end, exit, left } => {
                EventKind::RunFinished { end, exit, left: left.into_iter().map(|undo| self.undo(undo)).collect() }
            }
            kind @ (EventKind::StageStarted { .. } | EventKind::Cancelling { .. }) => kind,
        };
        Event { elapsed: event.elapsed, kind }
    }

    /// The fault with all of its text made fit to be shown.
    pub fn fault(&self, fault: &Fault) -> Fault {
        let what = self.shown(fault.what());
        let bare = if fault.is_time_out() { Fault::timed_out(what) } else { Fault::new(what) };
        let bare = fault.causes().iter().fold(bare, |bare, cause| bare.cause(self.shown(cause)));
        let bare = bare.lines(fault.last_lines().iter().map(|line| self.text(&clean::line(line))));
        fault.hints().iter().fold(bare, |bare, hint| bare.hint(self.shown(hint)))
    }

    fn fact(&self, fact: Fact) -> Fact {
        let t = |text: String| self.shown(&text);
        match fact {
            Fact::ImageBuilt { id, bytes } => Fact::ImageBuilt { id: t(id), bytes },
            Fact::Tests(counts) => Fact::Tests(TestCounts {
                failures: counts.failures.into_iter().map(|(name, message)| (t(name), t(message))).collect(),
                ..counts
            }),
            Fact::Accepted { url, checks } => Fact::Accepted { url: t(url), checks },
            Fact::Pushed { image, tag, digest } => Fact::Pushed { image: t(image), tag: t(tag), digest: t(digest) },
            Fact::Version { label, reused } => Fact::Version { label: t(label), reused },
            Fact::Environment { role, name, id, url } => {
                Fact::Environment { role, name: t(name), id: t(id), url: t(url) }
            }
            Fact::Platform { at, severity, message } => {
                Fact::Platform { at: t(at), severity: t(severity), message: t(message) }
            }
            Fact::Previous { name, version } => Fact::Previous { name: t(name), version: t(version) },
            Fact::Kept { what, why, command } => Fact::Kept { what: t(what), why: t(why), command: command.map(t) },
        }
    }

    fn undo(&self, undo: Undo) -> Undo {
        let t = |text: String| self.shown(&text);
        match undo {
            Undo::RemoveContainer { name } => Undo::RemoveContainer { name: t(name) },
            Undo::RemoveNetwork { name } => Undo::RemoveNetwork { name: t(name) },
            Undo::RemoveImage { reference } => Undo::RemoveImage { reference: t(reference) },
            Undo::EndEnvironment { application, environment, region, live_cname } => Undo::EndEnvironment {
                application: t(application),
                environment: t(environment),
                region: t(region),
                live_cname: live_cname.map(t),
            },
            Undo::SwapBack { cname, from, back, region } => {
                Undo::SwapBack { cname: t(cname), from: t(from), back: t(back), region: t(region) }
            }
            Undo::RemoveTemplate { application, template, region } => {
                Undo::RemoveTemplate { application: t(application), template: t(template), region: t(region) }
            }
            Undo::RemoveApplication { application, region } => {
                Undo::RemoveApplication { application: t(application), region: t(region) }
            }
        }
    }
}

/// Copies `text` with each match replaced.
fn hidden(search: &AhoCorasick, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    search.replace_all_with(text, &mut out, |_, _, out| {
        out.push_str(STARS);
        true
    });
    out
}

/// Adds every shape in which `text` is commonly printed.
fn add_forms(text: &str, forms: &mut BTreeSet<String>) {
    let bytes = text.as_bytes();
    forms.insert(text.to_owned());
    forms.insert(clean::line(text));
    forms.insert(STANDARD.encode(bytes));
    forms.insert(STANDARD_NO_PAD.encode(bytes));
    forms.insert(URL_SAFE_NO_PAD.encode(bytes));
    for offset in 0..3 {
        for shape in [inside_base64(bytes, offset, &STANDARD_NO_PAD), inside_base64(bytes, offset, &URL_SAFE_NO_PAD)] {
            forms.insert(shape);
        }
    }
    let upper = percent_encoded(bytes);
    forms.insert(upper.replace("%20", "+"));
    forms.insert(percent_lower(&upper));
    forms.insert(upper);
    if let Ok(json) = serde_json::to_string(text) {
        forms.insert(json[1..json.len() - 1].to_owned());
    }
    forms.retain(|form| form.len() >= SHORTEST);
}

/// The characters that `bytes` become inside a longer base64 text when they begin `offset` bytes into a group of three:
/// `user:password` is encoded as a whole. Characters that also depend on the neighbours are left out.
fn inside_base64(bytes: &[u8], offset: usize, engine: &impl base64::Engine) -> String {
    let shifted: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let encoded = engine.encode(&shifted);
    let first = [0, 2, 3][offset];
    let last = encoded.len() - usize::from(!shifted.len().is_multiple_of(3));
    encoded.get(first..last).unwrap_or_default().to_owned()
}

/// RFC 3986: everything but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
fn percent_encoded(bytes: &[u8]) -> String {
    let encode = |b: &u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*b).to_string(),
        _ => format!("%{b:02X}"),
    };
    bytes.iter().map(encode).collect()
}

/// The same with the digits of each `%XX` in lower case.
fn percent_lower(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + "%" + &part[..2].to_ascii_lowercase() + &part[2..])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::event::Stage;

    fn mask(secrets: &[&str]) -> Mask {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
        Mask::new(&secrets).unwrap()
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
            assert_eq!(mask.text(&format!("<{shown}>")), "<***>", "{shown}");
        }
        let login = STANDARD.encode("AWS:p@ss word/1\"x");
        let hidden = mask.text(&login);
        assert!(hidden.contains("***") && hidden.len() < 12, "{hidden}");
    }

    #[test]
    fn each_line_of_a_secret_is_hidden_but_short_and_open_values_are_not() {
        assert_eq!(mask(&["first line\nsecond line\nabc"]).text("a second line abc"), "a *** abc");
        let open = [Secret::open("plain value")];
        assert_eq!(Mask::new(&open).unwrap().text("plain value"), "plain value");
    }

    #[test]
    fn an_escape_code_inside_a_secret_does_not_save_it() {
        let kind = EventKind::StageLine { key: Stage::Build.into(), line: "my hun\u{1b}[0mter2 and more".to_owned() };
        let event = mask(&["hunter2"]).event(Event { elapsed: Duration::ZERO, kind });
        assert!(matches!(event.kind, EventKind::StageLine { line, .. } if line == "my *** and more"));
    }

    #[test]
    fn a_fault_is_hidden_in_all_its_parts() {
        let fault = Fault::timed_out("no hunter2").cause("hunter2?").lines(["hunter2!"]).hint("use hunter2");
        let masked = mask(&["hunter2"]).fault(&fault);
        assert_eq!(masked.to_string(), "no ***: ***?");
        assert_eq!((masked.last_lines(), masked.hints()), (&["***!".to_owned()][..], &["use ***".to_owned()][..]));
        assert!(masked.is_time_out());
    }
}
