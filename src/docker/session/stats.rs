//! What BuildKit is told of one entry of a directory.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bollard_buildkit_proto::fsutil::types::Stat;

/// The bits of Go's `os.FileMode` above the permissions.
mod go {
    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const SETUID: u32 = 1 << 23;
    pub(super) const SETGID: u32 = 1 << 22;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// The stat of what is on disk: owned by root, with its permissions and its time. `None` for sockets, pipes and devices,
/// which stay out.
///
/// # Errors
/// A name is not UTF-8, which the protocol cannot carry, or a link cannot be read.
pub(super) fn stat_of(disk: &Path, path: &Path, facts: &Metadata) -> io::Result<Option<Stat>> {
    let kind = facts.file_type();
    if !kind.is_file() && !kind.is_dir() && !kind.is_symlink() {
        return Ok(None);
    }
    let mut stat = Stat {
        path: utf8(path)?,
        mode: mode(facts),
        mod_time: facts.mtime().saturating_mul(1_000_000_000).saturating_add(facts.mtime_nsec()),
        ..Stat::default()
    };
    if !kind.is_dir() {
        stat.size = i64::try_from(facts.len()).unwrap_or(i64::MAX);
    }
    if kind.is_symlink() {
        stat.linkname = utf8(&std::fs::read_link(disk)?)?;
    }
    Ok(Some(stat))
}

/// Files that have several names: a further one is told as a hard link to the first.
#[derive(Debug, Default)]
pub(super) struct HardLinks(HashMap<(u64, u64), u32>);

impl HardLinks {
    /// The number of the entry that was this very file, if one was; `number` is the one that it has now.
    pub(super) fn first(&mut self, facts: &Metadata, number: u32) -> Option<u32> {
        if !facts.is_file() || facts.nlink() < 2 {
            return None;
        }
        let first = *self.0.entry((facts.dev(), facts.ino())).or_insert(number);
        (first != number).then_some(first)
    }
}

/// A path as the protocol carries it.
///
/// # Errors
/// It is not UTF-8.
pub(super) fn utf8(path: &Path) -> io::Result<String> {
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "a name that is not UTF-8 cannot be sent; rename it");
    path.to_str().map(str::to_owned).ok_or_else(odd)
}

/// Permissions and kind, as Go writes them.
fn mode(facts: &Metadata) -> u32 {
    let (kind, mode) = (facts.file_type(), facts.permissions().mode());
    let bits = [
        (kind.is_dir(), go::DIRECTORY),
        (kind.is_symlink(), go::SYMLINK),
        (mode & 0o4000 != 0, go::SETUID),
        (mode & 0o2000 != 0, go::SETGID),
        (mode & 0o1000 != 0, go::STICKY),
    ];
    bits.iter().filter(|(is_set, _)| *is_set).fold(mode & 0o777, |mode, (_, bit)| mode | bit)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn entries_are_told_as_go_sees_them() {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&root).unwrap();
        let at = |name: &str| root.join(name);
        std::fs::write(at("file"), "four").unwrap();
        std::fs::set_permissions(at("file"), PermissionsExt::from_mode(0o4751)).unwrap();
        std::fs::hard_link(at("file"), at("hard")).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        std::fs::set_permissions(at("dir"), PermissionsExt::from_mode(0o3770)).unwrap();
        symlink("dir/none", at("soft")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let facts = |name: &str| std::fs::symlink_metadata(at(name)).unwrap();
        let of = |name: &str| stat_of(&at(name), Path::new(name), &facts(name));
        let seen = |stat: Option<Stat>| stat.map(|stat| (stat.mode, stat.size, stat.linkname, stat.uid + stat.gid));
        let told = ["dir", "file", "hard", "socket", "soft"].map(|name| seen(of(name).unwrap()));
        let mut links = HardLinks::default();
        let first = ["file", "dir", "hard"].iter().zip(0..).map(|(name, number)| links.first(&facts(name), number));
        let first: Vec<_> = first.collect();
        let refused = stat_of(&at("file"), Path::new(OsStr::from_bytes(b"\xff")), &facts("file"));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            told,
            [
                Some((go::DIRECTORY | go::SETGID | go::STICKY | 0o770, 0, String::new(), 0)),
                Some((go::SETUID | 0o751, 4, String::new(), 0)),
                Some((go::SETUID | 0o751, 4, String::new(), 0)),
                None,
                Some((go::SYMLINK | 0o777, 8, "dir/none".into(), 0)),
            ]
        );
        assert_eq!(first, [None, None, Some(0)]);
        assert!(refused.unwrap_err().to_string().contains("not UTF-8"));
    }
}
