//! The repository's files, as far as failing tests mention them: a path inside a container is mapped to the one file that
//! shares most of its end.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::junit::Mention;
use crate::engine::event::CodeLine;

/// Files and directories that are looked at in a directory that is no repository.
const MOST_ENTRIES: usize = 100_000;

/// Directories in one another.
const DEEPEST: usize = 40;

/// Paths that are kept.
const MOST_KEPT: usize = 10_000;

/// Longest path in an index, in bytes; Linux knows none that is longer.
const LONGEST_PATH: usize = 4096;

/// Directories that hold no source of the project, where there is no index to say so.
const NOT_OURS: [&str; 6] = [".git", "node_modules", "target", ".venv", "venv", "__pycache__"];

/// Paths of files from the repository's root.
#[derive(Debug, Default)]
pub struct Files(Vec<String>);

impl Files {
    /// The files of the repository around `directory` that have one of the names that are mentioned: those that git
    /// tracks, or else those that lie below the directory that the process was started in.
    pub fn mentioned<'a>(mentions: impl Iterator<Item = &'a Mention>, directory: &Path) -> Self {
        let names: HashSet<&str> = mentions.map(Mention::file_name).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Self::default();
        }
        let is_wanted = |path: &str| path.rsplit('/').next().is_some_and(|name| names.contains(name));
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let index = directory.ancestors().find_map(index_of);
        let tracked = index.and_then(|index| tracked(BufReader::new(File::open(index).ok()?), is_wanted).ok());
        Self(tracked.unwrap_or_else(|| below(Path::new("."), is_wanted)))
    }

    /// The line that the first of some mentions means which means one file and no other.
    pub fn locate(&self, mentions: &[Mention]) -> Option<CodeLine> {
        mentions.iter().find_map(|mention| {
            let shared = |path: &&String| mention.parts_in_common_with(path);
            let most = self.0.iter().map(|path| shared(&path)).max().filter(|most| *most > 0)?;
            let mut best = self.0.iter().filter(|path| shared(path) == most);
            match (best.next(), best.next()) {
                (Some(path), None) => Some(CodeLine { path: path.clone(), line: mention.line() }),
                _ => None,
            }
        })
    }
}

/// The index of the repository whose work tree begins in `directory`.
fn index_of(directory: &Path) -> Option<PathBuf> {
    let git = directory.join(".git");
    if git.is_dir() {
        return Some(git.join("index"));
    }
    // In a worktree and in a submodule `.git` is a file that names the directory.
    let file = crate::inputs::files::read_text(&git).ok()?;
    Some(directory.join(file.strip_prefix("gitdir:")?.trim()).join("index"))
}

/// The paths that are wanted, from an index of git (gitformat-index: versions 2 to 4, SHA-1). Read as a stream: it may be
/// larger than all that we need of it.
fn tracked(mut index: impl Read, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let odd = || io::Error::other("it is no index that we read");
    let mut head = [0; 12];
    index.read_exact(&mut head)?;
    let [b'D', b'I', b'R', b'C', 0, 0, 0, version @ 2..=4, a, b, c, d] = head else { return Err(odd()) };
    let (mut paths, mut path) = (Vec::new(), Vec::new());
    for _ in 0..u32::from_be_bytes([a, b, c, d]) {
        let mut entry = [0; 62];
        index.read_exact(&mut entry)?;
        let mut length = entry.len();
        // The flag for further flags; versions 3 and 4 have them.
        if entry[60] & 0x40 != 0 {
            index.read_exact(&mut [0; 2])?;
            length += 2;
        }
        // Version 4 says how much of the path before stays; the others begin anew, and fill up to eight bytes.
        let stays = if version == 4 { path.len().checked_sub(offset(&mut index)?).ok_or_else(odd)? } else { 0 };
        path.truncate(stays);
        read_name(&mut index, &mut path)?;
        if version < 4 {
            let ended = length + path.len() + 1;
            index.read_exact(&mut [0; 8][..ended.next_multiple_of(8) - ended])?;
        }
        let text = String::from_utf8_lossy(&path);
        if is_wanted(&text) && paths.len() < MOST_KEPT {
            paths.push(text.into_owned());
        }
    }
    // An entry for each state of a conflict.
    paths.dedup();
    Ok(paths)
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A number of variable width as in a pack's offsets.
fn offset(from: &mut impl Read) -> io::Result<usize> {
    let mut next = byte(from)?;
    let mut value = usize::from(next & 0x7F);
    while next & 0x80 != 0 {
        next = byte(from)?;
        value = (value + 1) << 7 | usize::from(next & 0x7F);
        if value > LONGEST_PATH {
            return Err(io::Error::other("a path is too long"));
        }
    }
    Ok(value)
}

/// A path up to its NUL.
fn read_name(from: &mut impl Read, path: &mut Vec<u8>) -> io::Result<()> {
    loop {
        match byte(from)? {
            0 => return Ok(()),
            _ if path.len() > LONGEST_PATH => return Err(io::Error::other("a path is too long")),
            next => path.push(next),
        }
    }
}

/// The paths that are wanted below a directory; links are not followed, and what cannot be read is left out.
fn below(root: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut paths, mut left) = (Vec::new(), MOST_ENTRIES);
    let mut directories = vec![(PathBuf::new(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&directory)) else { continue };
        for entry in entries.flatten() {
            let Some(rest) = left.checked_sub(1).filter(|_| paths.len() < MOST_KEPT) else { return paths };
            left = rest;
            let (Ok(kind), Some(name)) = (entry.file_type(), entry.file_name().into_string().ok()) else { continue };
            let path = directory.join(&name);
            if kind.is_dir() && depth < DEEPEST && !NOT_OURS.contains(&name.as_str()) {
                directories.push((path, depth + 1));
            } else if kind.is_file() && is_wanted(&name) {
                paths.push(path.to_string_lossy().into_owned());
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests;
