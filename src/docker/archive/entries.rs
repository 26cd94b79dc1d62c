//! The entries of an archive that somebody else may have written. Each has one name and one meaning here, whichever
//! program unpacks it afterwards; what could have two is refused.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{MANIFEST, OTHER_LISTS, foreign};

/// More entries than the images of one archive have.
const MOST_ENTRIES: usize = 32_768;

/// No entry of an archive of images has a longer name, in bytes.
const LONGEST_NAME: usize = 512;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A symbolic or a hard one.
    Link,
}

/// Is given each entry, with its name and what it is.
pub(super) type Visit<'v, 'a, R> = dyn FnMut(&Path, Kind, &mut tar::Entry<'a, R>) -> io::Result<()> + 'v;

/// Visits the entries, with their names as [`plain`] makes them.
///
/// # Errors
/// The archive is damaged, an entry could have another meaning than it seems to have, or `visit` failed.
pub(super) fn each<'a, R: Read>(entries: tar::Entries<'a, R>, visit: &mut Visit<'_, 'a, R>) -> io::Result<()> {
    let mut seen = Seen::default();
    for entry in entries {
        let mut entry = entry?;
        let kind = match entry.header().entry_type() {
            tar::EntryType::Regular => Kind::File,
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::Symlink | tar::EntryType::Link => Kind::Link,
            // It only describes the entries behind it.
            tar::EntryType::XGlobalHeader => continue,
            _ => return Err(foreign("it holds something that is neither a file, a directory nor a link")),
        };
        let path = plain(&entry.path_bytes())?;
        // The directory that everything is in.
        if path.as_os_str().is_empty() {
            continue;
        }
        seen.admit(&path, kind)?;
        visit(&path, kind, &mut entry)?;
    }
    Ok(())
}

/// A name without what says nothing: `./a//b/` is `a/b`.
///
/// # Errors
/// It leads out of the archive, or is too long.
pub(super) fn plain(name: &[u8]) -> io::Result<PathBuf> {
    if name.len() > LONGEST_NAME {
        return Err(foreign("a name in it is too long"));
    }
    let name = Path::new(OsStr::from_bytes(name));
    let mut plain = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(foreign(&format!("the name {} in it leads out of it", name.display())));
            }
        }
    }
    Ok(plain)
}

/// Whether a name is that of a list of images.
pub(super) fn is_list(path: &Path) -> bool {
    std::iter::once(MANIFEST).chain(OTHER_LISTS).any(|list| path == Path::new(list))
}

/// The entries so far.
#[derive(Debug, Default)]
struct Seen(HashMap<PathBuf, Kind>);

impl Seen {
    fn admit(&mut self, path: &Path, kind: Kind) -> io::Result<()> {
        let name = path.display();
        if is_list(path) && kind != Kind::File {
            return Err(foreign(&format!("it holds {name} that is no file")));
        }
        let is_behind_a_link = |above: &Path| self.0.get(above).is_some_and(|above| *above == Kind::Link);
        if path.ancestors().skip(1).any(is_behind_a_link) {
            return Err(foreign(&format!("{name} in it lies behind a link")));
        }
        if self.0.len() == MOST_ENTRIES {
            return Err(foreign("there are too many entries in it"));
        }
        match self.0.insert(path.to_owned(), kind) {
            // What a directory is may be told again.
            Some(Kind::Directory) if kind == Kind::Directory => Ok(()),
            Some(_) => Err(foreign(&format!("it holds {name} twice"))),
            None => Ok(()),
        }
    }
}
