//! A file that is being written, beside the one whose place it takes when it is whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// What is left of it goes with the value. A process that is killed leaves it under a name that the next one knows.
#[derive(Debug)]
pub(super) struct Part(PathBuf);

/// Where the file is until it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl Part {
    /// Begins a file that will be at `path`.
    ///
    /// # Errors
    /// It cannot be written, or another process is writing it.
    pub(super) fn begin(path: &Path) -> io::Result<(Self, File)> {
        let part = part_of(path);
        remove_left(path);
        let file = options().create(true).open(&part)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another run is writing it"),
            TryLockError::Error(error) => error,
        })?;
        file.set_len(0)?;
        Ok((Self(part), file))
    }

    /// Gives the file its name.
    pub(super) fn finish(self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.0, path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Once it is whole it has another name, and there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes what a killed process left of a file. What a living one is writing stays: the lock goes with its process.
pub(super) fn remove_left(path: &Path) {
    let part = part_of(path);
    let is_written = options().open(&part).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
    if !is_written {
        // Most often there is none.
        let _ = std::fs::remove_file(&part);
    }
}

/// Neither a link nor a pipe that stands there under that name is written into or waited for.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(O_NOFOLLOW | O_NONBLOCK);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays() {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&root).unwrap();
        let path = root.join("cache.tar");
        let left = root.join("cache.tar.part");
        std::fs::write(&left, "half").unwrap();
        remove_left(&path);
        let after_a_kill = left.exists();

        let (part, _file) = Part::begin(&path).unwrap();
        remove_left(&path);
        let while_it_is_written = left.exists();
        let second = Part::begin(&path).unwrap_err().to_string();
        part.finish(&path).unwrap();
        let whole = (path.exists(), left.exists());

        std::fs::write(root.join("other"), "precious").unwrap();
        std::os::unix::fs::symlink("other", &left).unwrap();
        drop(Part::begin(&path).unwrap());
        let precious = std::fs::read_to_string(root.join("other")).unwrap();
        let gone = !left.exists();
        std::fs::remove_dir_all(&root).unwrap();
        assert!(!after_a_kill && while_it_is_written && gone);
        assert!(second.contains("another run"), "{second}");
        assert_eq!((whole, precious.as_str()), ((true, false), "precious"));
    }
}
