//! What a run leaves behind against its will, each thing with the command for it.

use std::fmt::Write as _;

use crate::engine::event::{End, Fact, Stage};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::report::markdown::{code, prose};
use crate::report::story::Story;

/// What stands before the command that shows how far something is.
pub const LOOK: &str = "see whether it is done with:";

/// What stands before the command that does it.
const DO: &str = "do it with:";

/// What stands before the command that ends something that is kept on purpose.
const REMOVE: &str = "remove it with:";

/// Who sees to what a run that was cancelled could not wait for.
const LATER: &str = "later runs remove what is left, too: what is on the docker engine once it has expired, the rest at \
     the next deployment; the commands above do it now";

/// One thing that is left.
pub struct Left {
    /// What, and why.
    pub sentence: String,
    /// What a command is for, and the command.
    pub help: Option<(&'static str, String)>,
    /// What to know before typing it.
    pub caution: Option<String>,
}

/// The things that are left, in the order in which a person should see to them, and what is kept on purpose.
pub fn left(story: &Story) -> impl Iterator<Item = Left> {
    let undos = story.left.iter().map(|undo| {
        if story.under_way.contains(undo) {
            return Left { sentence: goes_on(undo), help: Some((LOOK, undo.look())), caution: None };
        }
        let why = story.undone.iter().rev().find(|(known, _)| known == undo).and_then(|(_, error)| error.as_deref());
        let sentence = match story.cut_off.contains(undo) {
            true => unseen(undo),
            false => format!("could not {undo}: {}", why.unwrap_or("it was not reached")),
        };
        Left { sentence, help: Some((DO, undo.command())), caution: undo.caution() }
    });
    undos.chain(kept(story))
}

/// Whether what is kept on purpose is among what is left: only where the run stopped early.
pub fn names_kept(story: &Story) -> bool {
    match &story.end {
        Some((End::Failed(stage), _)) => *stage != Stage::CleanUp,
        Some((end, _)) => matches!(end, End::RolledBack(_) | End::Cancelled(_) | End::NeedsHuman(_)),
        None => false,
    }
}

/// What a run that stopped keeps because it was asked to.
fn kept(story: &Story) -> impl Iterator<Item = Left> {
    story.facts().filter(move |_| names_kept(story)).filter_map(|fact| match fact {
        Fact::Kept { what, why, command } => {
            let help = command.clone().map(|command| (REMOVE, command));
            Some(Left { sentence: format!("{what} is kept: {why}"), help, caution: None })
        }
        _ => None,
    })
}

/// After the list: that a cancelled run leaves nothing for good.
pub fn later(story: &Story) -> Option<&'static str> {
    let is_cancelled = matches!(story.end, Some((End::Cancelled(_), _)));
    let is_open = story.left.iter().any(|undo| !story.under_way.contains(undo));
    (is_cancelled && is_open).then_some(LATER)
}

/// That something was asked of the docker engine, which may still do it.
fn unseen(undo: &Undo) -> String {
    format!("asked for, but its end was not seen: {undo}")
}

/// That something was not undone, or not seen to be, at the moment it is known.
pub fn not_undone(story: &Story, undo: &Undo, fault: &Fault) -> String {
    let what = match story.cut_off.contains(undo) {
        true => unseen(undo),
        false => format!("could not {undo}: {fault}"),
    };
    format!("{what}\nhelp: {DO} {}", undo.command())
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
        out.extend(thing.help.map(|(help, command)| format!("\n**help:** {help} {}\n", code(&command))));
        out.extend(thing.caution.map(|caution| format!("\n**help:** {}\n", prose(&caution))));
    }
    out.extend(later(story).map(|later| format!("\n**help:** {later}\n")));
    out
}
