//! The lines of the log, as pure functions.

use std::time::Duration;

use crate::engine::event::StageKey;
use crate::engine::in_words;
use crate::report::clean::{cut, without_commands};
use crate::report::story::{StageStory, State, Story};
use crate::report::words;
use crate::report::words::known::Known;

/// Makes lines; knows only whether they may have colours.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Whether colours may be used.
    pub colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

impl Lines {
    /// A sentence of ours; further lines are indented under its first.
    pub fn said(&self, at: Duration, text: &str) -> Vec<String> {
        self.lines(at, "", text, None)
    }

    /// A sentence of a stage, with its name when several run.
    pub fn note(&self, at: Duration, speaker: Option<&StageKey>, text: &str) -> Vec<String> {
        let speaker = speaker.map(|key| format!("{key}: ")).unwrap_or_default();
        self.lines(at, &format!("  {speaker}"), text, None)
    }

    /// A line from a stage's child. The bar in front keeps it from being taken for a workflow command.
    pub fn child(&self, at: Duration, speaker: Option<&StageKey>, line: &str) -> Vec<String> {
        let speaker = speaker.map(|key| format!(" {key}")).unwrap_or_default();
        self.lines(at, &format!("{speaker}  | "), line, Some(DIM))
    }

    /// A stage begins.
    pub fn begins(&self, at: Duration, key: &StageKey) -> Vec<String> {
        self.lines(at, "▸ ", &key.to_string(), Some(BOLD))
    }

    /// A stage has ended.
    pub fn ends(&self, at: Duration, stage: &StageStory, story: &Story) -> Vec<String> {
        let took = in_words(stage.took);
        match &stage.state {
            State::Passed => self.lines(at, "✓ ", &format!("{} passed in {took}", stage.key), Some(GREEN)),
            State::Skipped(why) => self.lines(at, "- ", &format!("{} skipped: {why}", stage.key), None),
            State::Failed(failure) => self.lines(at, "✗ ", &words::failed(stage, failure), Some(RED)),
            State::Waiting | State::Running | State::Cancelled => {
                let why = story.cancelling.map_or_else(|| "cancelled".to_owned(), |why| words::cancelled(story, why));
                self.lines(at, "✗ ", &format!("{} stopped: {why}", stage.key), Some(YELLOW))
            }
        }
    }

    /// A warning.
    pub fn warning(&self, at: Duration, text: &str) -> Vec<String> {
        self.lines(at, "warning: ", text, Some(YELLOW))
    }

    /// The end of the run: stages with times, facts, outputs, then the message and the result.
    pub fn end(&self, story: &Story) -> Vec<String> {
        let mut out = vec![String::new()];
        let head = ["stage", "result", "took", ""].map(str::to_owned);
        let rows: Vec<[String; 4]> = std::iter::once(head).chain(words::run::stages(story)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (name, state, took) = (width(0), width(1), width(2));
        let row = |row: &[String; 4]| format!("{:name$}  {:state$}  {:>took$}  {}", row[0], row[1], row[2], row[3]);
        out.extend(rows.iter().map(|cells| row(cells).trim_end().to_owned()));
        let known = Known::of(story);
        for (title, rows) in [("facts", known.rows()), ("outputs", outputs(&known, story))] {
            let label = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
            if label > 0 {
                out.extend([String::new(), title.to_owned()]);
            }
            out.extend(rows.iter().map(|(name, value)| format!("  {name:label$}  {value}")));
        }
        out.push(String::new());
        out.extend(words::run::message(story));
        let mut lines: Vec<String> = out.iter().flat_map(|line| line.split('\n')).map(safe).collect();
        let colour = if story.end.as_ref().is_some_and(|(_, exit)| exit.code() == 0) { GREEN } else { RED };
        lines.push(self.painted(colour, &words::run::result(story)));
        lines
    }

    /// What runs and for how long, for the last line of a terminal. The terminal is asked to cut it where it ends (DECAWM),
    /// so that it never becomes two. Once nothing more will happen it is empty, but for asking for an empty line.
    pub fn live(&self, story: &Story, now: Duration) -> String {
        let running = story.stages.iter().filter(|stage| stage.state == State::Running);
        let running: Vec<String> = running
            .map(|stage| {
                let since = now.saturating_sub(stage.began.unwrap_or(now));
                format!("{} {}", stage.key, words::clock(since))
            })
            .collect();
        if running.is_empty() || story.end.is_some() {
            return "\r".to_owned();
        }
        let done = story.stages.iter().filter(|stage| !matches!(stage.state, State::Waiting | State::Running)).count();
        let text =
            format!("{:>7} {} ({done} of {} stages done)", words::clock(now), running.join(", "), story.stages.len());
        format!("\u{1b}[?7l{}\u{1b}[?7h", self.painted(DIM, &safe(&text)))
    }

    /// Text in lines of the log: the time, what stands before the first line, and the same width before further ones.
    fn lines(&self, at: Duration, before: &str, text: &str, colour: Option<&str>) -> Vec<String> {
        let clock = self.painted(DIM, &format!("{:>7}", words::clock(at)));
        let indent = " ".repeat(before.chars().count());
        let line = |(number, line): (usize, &str)| {
            let before = if number == 0 { before } else { &indent };
            let shown = safe(&format!("{before}{line}"));
            let shown = colour.map_or_else(|| shown.clone(), |colour| self.painted(colour, &shown));
            format!("{clock} {shown}")
        };
        text.split('\n').enumerate().map(line).collect()
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn outputs(known: &Known, story: &Story) -> Vec<(&'static str, String)> {
    let result = story.end.iter().map(|(end, _)| ("result", end.result()));
    known.outputs().into_iter().chain(result).map(|(name, value)| (name, value.to_owned())).collect()
}

/// A line without what the runner could take for a command, cut when it is too long.
fn safe(line: &str) -> String {
    let line = cut(&without_commands(line));
    // Only a line that begins with colons is a command of the new form.
    if line.trim_start().starts_with("::") { format!("| {line}") } else { line }
}
