//! The log: one line for each thing that happens, folds and marks where the CI's log has them, a table at the end.

mod dialect;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::feed::{Feeding, Told};
use super::story::{State, Story};
use super::{json, words};
use crate::engine::event::{Event, EventKind, Outcome, StageKey};
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::Secret;
pub use dialect::Dialect;
use lines::Lines;

/// A stage that says nothing for this long is said to be still running.
const SILENCE: Duration = Duration::from_secs(30);

/// How often the last line is made anew while somebody watches.
const TICK: Duration = Duration::from_secs(1);

/// Back to the beginning of the line, and it is empty (ECMA-48, EL).
const ERASE: &str = "\r\u{1b}[2K";

/// How the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsoleStyle {
    /// Whether colours may be used: only on a terminal.
    pub colour: bool,
    /// What it understands besides text.
    pub dialect: Dialect,
    /// Whether it is for programs: one event a line, as JSON.
    pub json: bool,
    /// Whether somebody watches: a last line is kept that says what runs, and for how long.
    pub live: bool,
}

/// The log of one run.
#[derive(Debug)]
pub struct Console {
    lines: Lines,
    dialect: Dialect,
    json: bool,
    live: bool,
    silence: Duration,
    name: String,
    masks: Vec<Secret>,
    story: Story,
    /// The stage whose fold is open, with the fold's title.
    fold: Option<(StageKey, String)>,
    heard: HashMap<StageKey, Duration>,
    origin: Option<Instant>,
}

impl Console {
    /// A log that tells the CI to hide `masks`, where it can.
    pub fn new(style: ConsoleStyle, name: &str, masks: &[Secret]) -> Self {
        Self {
            lines: Lines { colour: style.colour },
            dialect: if style.json { Dialect::Plain } else { style.dialect },
            json: style.json,
            live: style.live && !style.json,
            silence: SILENCE,
            name: name.to_owned(),
            masks: masks.to_vec(),
            story: Story::default(),
            fold: None,
            heard: HashMap::new(),
            origin: None,
        }
    }

    /// The same, for a run that may take so long.
    pub fn bounded_by(self, limit: Duration) -> Self {
        Self { story: Story::bounded_by(Some(limit)), ..self }
    }

    /// Writes to `out` until nothing more will happen.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub async fn run(mut self, mut out: impl AsyncWrite + Unpin, mut feeding: Feeding) -> Result<(), Fault> {
        let masks = std::mem::take(&mut self.masks);
        let opening = self.hiding(&masks);
        write(&mut out, &opening, "").await?;
        loop {
            let quiet = if self.live { self.until_heartbeat().min(TICK) } else { self.until_heartbeat() };
            let said = tokio::select! {
                told = feeding.next() => match told {
                    Some(Told::Event(event)) if self.json => {
                        // The lines for people are not shown, but what they know is needed for the heartbeat.
                        self.event(&event);
                        json::line(&event).into_iter().collect()
                    }
                    Some(Told::Event(event)) => self.event(&event),
                    Some(Told::Trouble(text)) if self.json => vec![json::trouble(&text)],
                    Some(Told::Trouble(text)) => self.warning(&text),
                    Some(Told::Secret(secret)) => self.hiding(&[secret]),
                    None => return Ok(()),
                },
                () = pause(quiet) => self.heartbeat(),
            };
            let shown = if self.live { self.lines.live(&self.story, self.now()) } else { String::new() };
            write(&mut out, &said, &shown).await?;
        }
    }

    /// What must be said before anything that might show them: the texts that the CI must hide.
    fn hiding(&self, secrets: &[Secret]) -> Vec<String> {
        let secrets = secrets.iter().filter(|secret| secret.is_masked());
        let texts = secrets.flat_map(|secret| secret.reveal().lines()).filter(|line| line.trim().len() >= 4);
        texts.filter_map(|line| self.dialect.hides(line)).collect()
    }

    /// The lines for an event.
    fn event(&mut self, event: &Event) -> Vec<String> {
        let at = event.elapsed;
        self.origin.get_or_insert_with(|| Instant::now().checked_sub(at).unwrap_or_else(Instant::now));
        self.story.take(event);
        match &event.kind {
            EventKind::RunStarted { about, .. } => self.lines.said(at, about),
            EventKind::StageStarted { key } => self.started(key, at),
            EventKind::StageLine { key, line } => {
                self.heard.insert(key.clone(), at);
                self.lines.child(at, self.speaker(key), line)
            }
            EventKind::StageNote { key, text } => self.note(key, at, text),
            EventKind::StageFact { key, fact } => self.note(key, at, &words::fact(fact)),
            EventKind::StageRetrying { key, call, because } => {
                self.note(key, at, &format!("{call} is tried again: {because}"))
            }
            EventKind::StageWarning { key, text } => {
                self.heard.insert(key.clone(), at);
                self.warning(&format!("{key}: {text}"))
            }
            EventKind::StageFinished { key, outcome, .. } => self.finished(key, at, outcome),
            EventKind::Cancelling { reason } => {
                let text =
                    format!("{}: stopping what runs, removing what was made", words::cancelled(&self.story, *reason));
                self.lines.said(at, &text)
            }
            EventKind::Undoing { undo } => self.lines.said(at, &format!("undo: {undo}")),
            EventKind::UndoUnderWay { undo } => self.warning(&words::under_way(undo)),
            EventKind::Undone { undo, error: None } => self.lines.said(at, &format!("undone: {undo}")),
            EventKind::Undone { undo, .. } if self.story.may_stay(undo) => Vec::new(),
            EventKind::Undone { undo, error: Some(fault) } => {
                self.warning(&words::left::not_undone(&self.story, undo, fault))
            }
            EventKind::RunFinished { .. } => {
                self.dialect.unfolds("result").into_iter().chain(self.lines.end(&self.story)).collect()
            }
            EventKind::SecretLearnt { .. } => Vec::new(),
        }
    }

    fn started(&mut self, key: &StageKey, at: Duration) -> Vec<String> {
        self.heard.insert(key.clone(), at);
        match self.open(key, key.to_string()) {
            Some(fold) => vec![fold],
            None => self.lines.begins(at, key),
        }
    }

    fn note(&mut self, key: &StageKey, at: Duration, text: &str) -> Vec<String> {
        self.heard.insert(key.clone(), at);
        self.lines.note(at, self.speaker(key), text)
    }

    fn finished(&mut self, key: &StageKey, at: Duration, outcome: &Outcome) -> Vec<String> {
        let mut said = Vec::new();
        if let Some((_, title)) = self.fold.take_if(|(open, _)| open == key) {
            said.extend(self.dialect.closes(&title, unix()));
        }
        let Some(stage) = self.story.stage(key) else { return said };
        said.extend(self.lines.ends(at, stage, &self.story));
        if let Outcome::Failed(fault) = outcome {
            said.extend(self.dialect.error(&format!("{} / {key}", self.name), &fault.to_string()));
        }
        // What still runs goes on in a fold of its own.
        let other = self.running().next().cloned();
        if let Some(other) = other {
            said.extend(self.open(&other, format!("{other}, continued")));
        }
        said
    }

    /// Opens a fold, where there are folds and none is open: they do not nest.
    fn open(&mut self, key: &StageKey, title: String) -> Option<String> {
        let fold = self.dialect.opens(&title, unix()).filter(|_| self.fold.is_none());
        if fold.is_some() {
            self.fold = Some((key.clone(), title));
        }
        fold
    }

    fn warning(&self, text: &str) -> Vec<String> {
        match self.dialect.warning(&self.name, text) {
            Some(marked) => vec![marked],
            None => self.lines.warning(self.now(), text),
        }
    }

    /// The stage's name, when more than one runs and it must be said who speaks.
    fn speaker<'a>(&self, key: &'a StageKey) -> Option<&'a StageKey> {
        (self.running().nth(1).is_some()).then_some(key)
    }

    fn running(&self) -> impl Iterator<Item = &StageKey> {
        self.story.stages.iter().filter(|stage| stage.state == State::Running).map(|stage| &stage.key)
    }

    fn now(&self) -> Duration {
        self.origin.map_or(Duration::ZERO, |origin| origin.elapsed())
    }

    /// How long until a stage will have been silent for too long.
    fn until_heartbeat(&self) -> Duration {
        let now = self.now();
        let due = self.running().filter_map(|key| self.heard.get(key)).map(|heard| *heard + self.silence);
        // Without a running stage only an event can change anything.
        due.min().map_or(Duration::from_secs(3600), |due| due.saturating_sub(now))
    }

    /// A line for every stage that has been silent for too long.
    fn heartbeat(&mut self) -> Vec<String> {
        let now = self.now();
        let silent: Vec<StageKey> = self
            .running()
            .filter(|key| self.heard.get(key).is_some_and(|h| *h + self.silence <= now))
            .cloned()
            .collect();
        let mut said = Vec::new();
        for key in silent {
            if let Some(stage) = self.story.stage(&key) {
                let since = now.saturating_sub(stage.began.unwrap_or(now));
                match self.json {
                    true => said.push(json::still_running(&key, now, since)),
                    false => said.extend(self.lines.said(now, &words::still_running(stage, since))),
                }
            }
            self.heard.insert(key, now);
        }
        said
    }
}

/// GitLab wants to know when a fold began and ended.
fn unix() -> i64 {
    chrono::Utc::now().timestamp()
}

/// Writes lines, and after them what is to stand in the last one until more comes.
async fn write(out: &mut (impl AsyncWrite + Unpin), lines: &[String], live: &str) -> Result<(), Fault> {
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if !live.is_empty() {
        text = format!("{ERASE}{text}{live}");
    }
    let write = async {
        out.write_all(text.as_bytes()).await?;
        out.flush().await
    };
    write.await.map_err(|error| Fault::new("could not write the log").because(error))
}
