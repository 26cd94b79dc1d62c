//! What a run leaves behind against its will, each thing with the command for it.

use std::fmt::Write as _;

use crate::engine::undo::Undo;
use crate::report::markdown::{code, prose};
use crate::report::story::Story;

/// What stands before the command that shows how far something is.
pub const LOOK: &str = "see whether it is done with:";

/// What stands before the command that does it.
const DO: &str = "do it with:";

/// One thing that is left.
pub struct Left {
    /// What, and why.
    pub sentence: String,
    /// What the command is for.
    pub help: &'static str,
    /// The command.
    pub command: String,
    /// What to know before typing it.
    pub caution: Option<String>,
}

/// The things that are left, in the order in which a person should see to them.
pub fn left(story: &Story) -> impl Iterator<Item = Left> {
    story.left.iter().map(|undo| {
        if story.under_way.contains(undo) {
            return Left { sentence: goes_on(undo), help: LOOK, command: undo.look(), caution: None };
        }
        let why = story.undone.iter().rev().find(|(known, _)| known == undo).and_then(|(_, error)| error.as_deref());
        let sentence = format!("could not {undo}: {}", why.unwrap_or("it was not reached"));
        Left { sentence, help: DO, command: undo.command(), caution: undo.caution() }
    })
}

/// That something was asked for and goes on by itself.
pub fn goes_on(undo: &Undo) -> String {
    format!("under way, but its end was not seen: {undo}")
}

/// The same in Markdown.
pub fn block(story: &Story) -> String {
    let mut out = String::new();
    for thing in left(story) {
        let _ = write!(out, "\n{}\n", prose(&thing.sentence));
        let _ = write!(out, "\n**help:** {} {}\n", thing.help, code(&thing.command));
        out.extend(thing.caution.map(|caution| format!("\n**help:** {}\n", prose(&caution))));
    }
    out
}
