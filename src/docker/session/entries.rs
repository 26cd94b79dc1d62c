//! What was told of a directory, so that it can be found again by its number: few bytes an entry, whatever the depth.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Paths by the order in which they came. Each is kept as its own name and the number of its directory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    names: Vec<u8>,
    /// The number of the directory it is in, plus one, and where its name ends.
    entries: Vec<(u32, u32)>,
    /// The directories on the way to the last path, by number.
    open: Vec<u32>,
}

impl Entries {
    /// Adds a path that comes after its directory, and gives its number. `None` when there is no room for more names.
    pub(super) fn add(&mut self, path: &Path, is_directory: bool) -> Option<u32> {
        let number = u32::try_from(self.entries.len()).ok()?;
        self.open.truncate(path.components().count().saturating_sub(1));
        let directory = self.open.last().map_or(0, |directory| directory + 1);
        self.names.extend_from_slice(path.file_name().unwrap_or_default().as_bytes());
        self.entries.push((directory, u32::try_from(self.names.len()).ok()?));
        if is_directory {
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
        let told =
            [("a", true), ("a/b", true), ("a/b/c", false), ("a/d", false), ("a.x", false), ("e", true), ("e/f", false)];
        let mut entries = Entries::default();
        for (number, (path, is_directory)) in (0..).zip(told) {
            assert_eq!(entries.add(Path::new(path), is_directory), Some(number));
        }
        for (number, (path, _)) in (0..).zip(told) {
            assert_eq!(entries.path(number).as_deref(), Some(Path::new(path)));
        }
        assert_eq!((entries.path(7), entries.len()), (None, told.len()));
    }
}
