//! The commit: inputs win, then what the CI tells, then `.git`.

use std::path::{Path, PathBuf};

use super::reading::{Reading, field};
use super::{Surroundings, absolute};
use crate::inputs::ci::Needed;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{CiFacts, ci, git};

/// The commit and where it was looked for.
pub(super) struct Commit {
    /// What the CI told, with what the inputs say instead.
    pub ci: CiFacts,
    /// The commit that is built.
    pub revision: Option<String>,
    /// The build context, absolute.
    pub directory: PathBuf,
}

pub(super) fn resolve(reading: &mut Reading<'_>, around: &Surroundings<'_>) -> Commit {
    let mut ci = around.ci.clone();
    let directory = absolute(Path::new(reading.raw.texts.context.as_deref().unwrap_or(".")));
    if ci.revision.is_none()
        && let Some(head) = git::head(&directory, around.read_file)
    {
        ci.branch = ci.branch.or(head.branch);
        ci.sha = ci.sha.or_else(|| Some(head.revision.clone()));
        ci.revision = Some(head.revision);
    }
    let revision = reading.value(field!(reading.raw, revision), is_commit);
    let sha = reading.value(field!(reading.raw, sha), is_full_commit);
    ci.sha = sha.or(ci.sha).or_else(|| revision.clone());
    ci.revision = revision.or(ci.revision);
    ci.repository = reading.value(field!(reading.raw, repository), is_repository).or(ci.repository);
    Commit { revision: ci.revision.clone(), ci, directory }
}

/// What to write for a fact that is missing, or what to hand over: a container sees of its CI only what it is given.
pub(super) fn asked_for(write: &str, needed: Needed, ci: &CiFacts, reading: &Reading<'_>) -> String {
    match ci::options_for(needed, ci.vendor, reading.raw.variables()).zip(ci.vendor) {
        Some((options, vendor)) => format!("{write}, or give the container what {vendor} tells: {options}"),
        None => write.to_owned(),
    }
}

fn is_commit(text: &str) -> Result<String, Wrong> {
    ci::commit(text).ok_or_else(|| Wrong::new(format!("is {}", shown(text)), "write a commit: 7 to 64 hex digits"))
}

fn is_full_commit(text: &str) -> Result<String, Wrong> {
    let whole = ci::commit(text).filter(|sha| is_whole(sha));
    whole.ok_or_else(|| Wrong::new(format!("is {}", shown(text)), "write a whole commit: 40 hex digits"))
}

/// Whether a commit is whole: GitHub takes no abbreviation for a check run.
pub(super) fn is_whole(sha: &str) -> bool {
    matches!(sha.len(), 40 | 64)
}

fn is_repository(text: &str) -> Result<String, Wrong> {
    let wrong = || Wrong::new(format!("is {}", shown(text)), "write owner/name");
    ci::slug(text).filter(|slug| slug == text).ok_or_else(wrong)
}
