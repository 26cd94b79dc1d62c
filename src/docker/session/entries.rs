//! What was told of a directory, so that it can be found again by its number: few bytes an entry, whatever the depth.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Link,
}

impl Kind {
    /// The kind of what will be told; what is neither directory nor link is a file.
    pub(super) fn of(facts: &Metadata) -> Self {
        match (facts.is_dir(), facts.is_symlink()) {
            (true, _) => Self::Directory,
            (_, true) => Self::Link,
            _ => Self::File,
        }
    }
}

/// Paths by the order in which they came. Each is kept as its own name and the number of its directory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    names: Vec<u8>,
    /// The number of the directory it is in, plus one, and where its name ends.
    entries: Vec<(u32, u32)>,
    /// Whether it is a file with bytes to send.
    are_files: Vec<bool>,
    /// The directories on the way to the last path, by number.
    open: Vec<u32>,
}

impl Entries {
    /// Adds a path that comes after its directory, and gives its number. `None` when there is no room for more names.
    pub(super) fn add(&mut self, path: &Path, kind: Kind) -> Option<u32> {
        let number = u32::try_from(self.entries.len()).ok()?;
        self.open.truncate(path.components().count().saturating_sub(1));
        let directory = self.open.last().map_or(0, |directory| directory + 1);
        self.names.extend_from_slice(path.file_name().unwrap_or_default().as_bytes());
        self.entries.push((directory, u32::try_from(self.names.len()).ok()?));
        self.are_files.push(kind == Kind::File);
        if kind == Kind::Directory {
            self.open.push(number);
        }
        Some(number)
    }

    /// The path with that number.
    pub(super) fn path(&self, number: u32) -> Option<PathBuf> {
        let mut names = vec![self.name(number)?];
        let mut directory = self.entries.get(number as usize)?.0;
        while let Some(above) = directory.checked_sub(1) {
            names.push(self.name(above)?);
            directory = self.entries.get(above as usize)?.0;
        }
        Some(names.into_iter().rev().collect())
    }

    /// The path with that number, if it is that of a file.
    pub(super) fn file(&self, number: u32) -> Option<PathBuf> {
        self.are_files.get(number as usize).filter(|is_file| **is_file).and_then(|_| self.path(number))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, number: u32) -> Option<&OsStr> {
        let at = number as usize;
        let (_, end) = *self.entries.get(at)?;
        let begin = at.checked_sub(1).and_then(|before| self.entries.get(before)).map_or(0, |(_, end)| *end);
        self.names.get(begin as usize..end as usize).map(OsStr::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_again_by_its_number() {
        use Kind::{Directory, File, Link};
        let directories = [("a", Directory), ("a/b", Directory), ("e", Directory)];
        let mut told = [&directories[..], &[("a/b/c", File), ("a/d", Link), ("a.x", File), ("e/f", File)]].concat();
        told.sort_by_key(|(path, _)| path.replace('/', "\0"));
        let mut entries = Entries::default();
        for (number, (path, kind)) in (0..).zip(&told) {
            assert_eq!(entries.add(Path::new(path), *kind), Some(number));
        }
        for (number, (path, kind)) in (0..).zip(&told) {
            assert_eq!(entries.path(number).as_deref(), Some(Path::new(path)));
            assert_eq!(entries.file(number).is_some(), *kind == File, "{path}");
        }
        assert_eq!((entries.path(7), entries.file(7), entries.len()), (None, None, told.len()));
    }
}
