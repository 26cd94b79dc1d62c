//! A directory in the order in which BuildKit wants to hear of it, without what stays out.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::super::ignore::{Ignore, Match};

/// What of a directory is sent.
#[derive(Debug, Default)]
pub(in crate::docker) struct Selection {
    /// What stays out.
    pub(in crate::docker) ignore: Ignore,
    /// What alone is wanted; everything, if absent.
    pub(in crate::docker) only: Option<Ignore>,
    /// Files that are sent whatever the rules say.
    pub(in crate::docker) always: Vec<PathBuf>,
}

/// What the rules said of a directory.
#[derive(Clone, Copy, Default)]
struct Within {
    ignore: Match,
    only: Match,
}

impl Selection {
    fn hold(&self, path: &Path, within: Within) -> Within {
        let only = self.only.as_ref().map_or(within.only, |only| only.hold(path, within.only));
        Within { ignore: self.ignore.hold(path, within.ignore), only }
    }

    fn excludes(&self, path: &Path, found: Within) -> bool {
        let excluded =
            self.ignore.excludes(found.ignore) || self.only.as_ref().is_some_and(|only| only.excludes(found.only));
        excluded && !self.always.iter().any(|always| always == path)
    }

    /// Whether something in a directory that stays out may be sent.
    fn may_send_below(&self, directory: &Path, found: Within) -> bool {
        let kept = !self.ignore.excludes(found.ignore) || self.ignore.may_keep_below(directory);
        let wanted = self.only.as_ref().is_none_or(|only| !only.excludes(found.only) || only.may_keep_below(directory));
        (kept && wanted) || self.always.iter().any(|always| always.starts_with(directory))
    }
}

/// Visits what is sent: names in the order of their bytes, a directory before what is in it. What is in a directory that
/// stays out is sent with the directories on the way to it. What vanishes meanwhile is left out, as docker does.
///
/// # Errors
/// Something cannot be read, and the error names it; or `visit` failed.
pub(in crate::docker) fn walk(
    root: &Path,
    selection: &Selection,
    visit: &mut dyn FnMut(&Path, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    Walk { root, selection, visit, pending: Vec::new() }.directory(Path::new(""), Within::default())
}

struct Walk<'w> {
    root: &'w Path,
    selection: &'w Selection,
    visit: &'w mut dyn FnMut(&Path, &Metadata) -> io::Result<()>,
    /// The excluded directories on the way here, visited when something in them is sent.
    pending: Vec<(PathBuf, Metadata)>,
}

impl Walk<'_> {
    fn directory(&mut self, at: &Path, within: Within) -> io::Result<()> {
        let here = self.root.join(at);
        let names = std::fs::read_dir(&here)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
        let Some(mut names) = unless_gone(names, &here)? else { return Ok(()) };
        names.sort_unstable();
        for name in names {
            let (path, disk) = (at.join(&name), here.join(&name));
            let Some(facts) = unless_gone(std::fs::symlink_metadata(&disk), &disk)? else { continue };
            let found = self.selection.hold(&path, within);
            let excluded = self.selection.excludes(&path, found);
            let is_directory = facts.is_dir();
            if excluded && !(is_directory && self.selection.may_send_below(&path, found)) {
                continue;
            }
            if excluded {
                self.pending.push((path.clone(), facts));
            } else {
                for (path, facts) in self.pending.drain(..) {
                    (self.visit)(&path, &facts)?;
                }
                (self.visit)(&path, &facts)?;
            }
            let waiting = self.pending.len();
            if is_directory {
                self.directory(&path, found)?;
            }
            // Still waiting after its own directory was walked: nothing in it is sent.
            if excluded && waiting > 0 && self.pending.len() == waiting {
                self.pending.pop();
            }
        }
        Ok(())
    }
}

/// `None` for what is not there any more.
fn unless_gone<T>(answer: io::Result<T>, path: &Path) -> io::Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(about(path, error)),
    }
}

/// The error with the name of the file.
pub(in crate::docker) fn about(path: &Path, error: io::Error) -> io::Error {
    // A broken pipe is about the daemon's end.
    if error.kind() == io::ErrorKind::BrokenPipe {
        return error;
    }
    io::Error::new(error.kind(), format!("could not read {}: {error}", path.display()))
}
