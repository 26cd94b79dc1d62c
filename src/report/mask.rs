//! Puts `***` in place of every secret, in all the shapes it may be printed in, before any sink sees an event.

mod forms;
mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clean;
use crate::engine::event::{CodeLine, Event, EventKind, Fact, FailedTest, Flaw, Outcome, StageKey, TestCounts};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::Secret;
use search::{Openings, Search};

/// Secrets shorter than this, in bytes, are not masked: they would hide half of every log.
const SHORTEST: usize = 4;

/// Finds secrets in text: whole, line by line, cut in two, and in their base64, URL and JSON forms.
#[derive(Debug)]
pub struct Mask {
    forms: BTreeSet<String>,
    search: Search,
    /// How the last lines of each stage ended.
    openings: HashMap<StageKey, Openings>,
}

/// The one mask of a report, for everybody in it who has something to say.
#[derive(Clone, Debug)]
pub struct SharedMask(Arc<Mutex<Mask>>);

impl SharedMask {
    /// A mask for every secret that output must hide.
    pub fn new(secrets: &[Secret]) -> Self {
        Self(Arc::new(Mutex::new(Mask::new(secrets))))
    }

    /// The mask, as long as it is held.
    pub fn lock(&self) -> MutexGuard<'_, Mask> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mask {
    /// A mask for every secret that output must hide.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms = BTreeSet::new();
        secrets.into_iter().for_each(|secret| forms::add(secret, &mut forms));
        Self { search: Search::new(&forms), forms, openings: HashMap::new() }
    }

    /// Hides a further secret from now on.
    pub fn learn(&mut self, secret: &Secret) {
        let known = self.forms.len();
        forms::add(secret, &mut self.forms);
        if self.forms.len() > known {
            self.search = Search::new(&self.forms);
        }
    }

    /// Whether one of the secrets stands in a file, in any of its forms.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.search.is_in(bytes)
    }

    /// Text of several lines without escape codes, control characters and secrets, in this order: an escape code inside
    /// a secret must not save it.
    pub fn shown(&self, text: &str) -> String {
        self.lines(clean::lines(text)).join("\n")
    }

    /// Lines that follow one another, without secrets.
    fn lines(&self, lines: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut openings = Openings::default();
        lines.into_iter().map(|line| self.search.line(&line, &mut openings)).collect()
    }

    /// The event with all of its text made fit to be shown.
    pub fn event(&mut self, event: Event) -> Event {
        if let EventKind::StageLine { key, line } = event.kind {
            let openings = self.openings.entry(key.clone()).or_default();
            let line = self.search.line(&clean::line(&line), openings);
            return Event { elapsed: event.elapsed, kind: EventKind::StageLine { key, line } };
        }
        let t = |text: String| self.shown(&text);
        let kind = match event.kind {
            EventKind::RunStarted { about, stages } => EventKind::RunStarted { about: t(about), stages },
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
            kind @ (EventKind::StageLine { .. }
            | EventKind::StageStarted { .. }
            | EventKind::SecretLearnt { .. }
            | EventKind::Cancelling { .. }) => kind,
        };
        Event { elapsed: event.elapsed, kind }
    }

    /// The fault with all of its text made fit to be shown.
    pub fn fault(&self, fault: &Fault) -> Fault {
        let what = self.shown(fault.what());
        let bare = if fault.is_time_out() { Fault::timed_out(what) } else { Fault::new(what) };
        let bare = fault.causes().iter().fold(bare, |bare, cause| bare.cause(self.shown(cause)));
        let bare = bare.lines(self.lines(fault.last_lines().iter().map(|line| clean::line(line))));
        fault.hints().iter().fold(bare, |bare, hint| bare.hint(self.shown(hint)))
    }

    fn fact(&self, fact: Fact) -> Fact {
        let t = |text: String| self.shown(&text);
        match fact {
            Fact::ImageBuilt { id, bytes } => Fact::ImageBuilt { id: t(id), bytes },
            Fact::Tests(counts) => Fact::Tests(self.tests(counts)),
            Fact::TestedElsewhere { ran_in } => Fact::TestedElsewhere { ran_in: t(ran_in) },
            Fact::Accepted { url, checks } => Fact::Accepted { url: t(url), checks },
            Fact::Pushed { image, tag, digest } => Fact::Pushed { image: t(image), tag: t(tag), digest: t(digest) },
            Fact::Tagged { image, tag, digest } => Fact::Tagged { image: t(image), tag: t(tag), digest: t(digest) },
            Fact::Version { label, reused } => Fact::Version { label: t(label), reused },
            Fact::Environment { role, name, id, url } => {
                Fact::Environment { role, name: t(name), id: t(id), url: t(url) }
            }
            Fact::Platform { at, severity, message } => {
                Fact::Platform { at: t(at), severity: t(severity), message: t(message) }
            }
            Fact::Previous { name, version } => Fact::Previous { name: t(name), version: t(version) },
            Fact::Kept { what, why, command } => Fact::Kept { what: t(what), why: t(why), command: command.map(t) },
            Fact::Flaw(Flaw { path, line, title, message }) => {
                Fact::Flaw(Flaw { path: t(path), line, title: t(title), message: t(message) })
            }
            Fact::Planned(change) => Fact::Planned(change.map(t, |undo| self.undo(undo))),
        }
    }

    fn tests(&self, counts: TestCounts) -> TestCounts {
        let t = |text: String| self.shown(&text);
        let failed = |test: FailedTest| FailedTest {
            name: t(test.name),
            message: t(test.message),
            details: t(test.details),
            line: test.line.map(|at| CodeLine { path: t(at.path), line: at.line }),
            ..test
        };
        TestCounts {
            failures: counts.failures.into_iter().map(failed).collect(),
            slowest: counts.slowest.into_iter().map(|(name, took)| (t(name), took)).collect(),
            ..counts
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
            Undo::Redeploy { application, environment, environment_id, label, instead_of, region } => Undo::Redeploy {
                application: t(application),
                environment: t(environment),
                environment_id: t(environment_id),
                label: t(label),
                instead_of: t(instead_of),
                region: t(region),
            },
            Undo::RemoveTemplate { application, template, region } => {
                Undo::RemoveTemplate { application: t(application), template: t(template), region: t(region) }
            }
            Undo::RestoreSettings { application, environment, environment_id, template, remove, region } => {
                Undo::RestoreSettings {
                    application: t(application),
                    environment: t(environment),
                    environment_id: t(environment_id),
                    template: t(template),
                    remove: remove.into_iter().map(|(namespace, option)| (t(namespace), t(option))).collect(),
                    region: t(region),
                }
            }
            Undo::GiveSizeBack { environment, live_cname, raised, min, region } => Undo::GiveSizeBack {
                environment: t(environment),
                live_cname: t(live_cname),
                raised,
                min,
                region: t(region),
            },
            Undo::RemoveApplication { application, region } => {
                Undo::RemoveApplication { application: t(application), region: t(region) }
            }
            Undo::RemoveTag { repository, registry_id, tag, region } => Undo::RemoveTag {
                repository: t(repository),
                registry_id: registry_id.map(t),
                tag: t(tag),
                region: t(region),
            },
        }
    }
}
