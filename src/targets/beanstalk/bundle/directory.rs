//! The files of a bundle, as they lie on this machine.

use std::fs::{self, Metadata};
use std::path::Path;

use super::File;
use crate::fault::Fault;

/// What the files of a bundle may have together, in bytes: the platform takes zips of up to 500 MB (developer guide,
/// "Create an application source bundle").
const MOST_BYTES: u64 = 500 * 1024 * 1024;

/// Where every file is a program to the platform (developer guide, "Extending Elastic Beanstalk Linux platforms").
const HOOKS: [&str; 2] = [".platform/hooks/", ".platform/confighooks/"];

/// Reads all files under `root`, in any order.
///
/// # Errors
/// When something cannot be read, is no plain file, or is too much.
pub(super) fn read(root: &Path) -> Result<Vec<File>, Fault> {
    if !root.is_dir() {
        return Err(Fault::new(format!("the bundle {} is not a directory", root.display()))
            .hint("`bundle` is relative to the directory that Beanline runs in"));
    }
    let mut walk = Walk { files: Vec::new(), bytes: 0 };
    walk.enter(root, "")?;
    Ok(walk.files)
}

struct Walk {
    files: Vec<File>,
    bytes: u64,
}

impl Walk {
    fn enter(&mut self, directory: &Path, prefix: &str) -> Result<(), Fault> {
        for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
            let entry = entry.map_err(|error| unreadable(directory, error))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(Fault::new(format!("the bundle's {} has a name that is not UTF-8", path.display())));
            };
            if is_left_out(name) {
                continue;
            }
            // Of a link this is the link itself.
            let facts = entry.metadata().map_err(|error| unreadable(&path, error))?;
            let inside = format!("{prefix}{name}");
            match (facts.is_dir(), facts.is_file()) {
                (true, _) => self.enter(&path, &format!("{inside}/"))?,
                (_, true) => self.add(&path, inside, &facts)?,
                _ => return Err(no_plain_file(&inside, &facts)),
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, inside: String, facts: &Metadata) -> Result<(), Fault> {
        self.bytes += facts.len();
        if self.bytes > MOST_BYTES {
            return Err(Fault::new("the bundle is larger than the 500 MB that Elastic Beanstalk takes")
                .hint("leave out what the image holds already"));
        }
        let executable = is_executable(facts) || HOOKS.iter().any(|hooks| inside.starts_with(hooks));
        let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
        self.files.push(File { path: inside, bytes, executable });
        Ok(())
    }
}

/// What machines leave in directories, and no node needs: git's own files, and those of macOS.
fn is_left_out(name: &str) -> bool {
    [".git", ".DS_Store", "__MACOSX"].contains(&name) || name.starts_with("._")
}

#[cfg(unix)]
fn is_executable(facts: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    facts.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

fn no_plain_file(inside: &str, facts: &Metadata) -> Fault {
    let what = if facts.is_symlink() { "a symbolic link" } else { "no plain file" };
    Fault::new(format!("the bundle's {inside} is {what}"))
        .cause("what it leads to on this machine is not what it leads to on a node")
        .hint("put a copy of the file there")
}

fn unreadable(path: &Path, error: std::io::Error) -> Fault {
    Fault::new(format!("could not read {} of the bundle", path.display())).because(error)
}
