//! When a commit was made, read from git's objects: loose, or in a pack (git's `gitformat-pack`, version 2 of its index).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use flate2::read::ZlibDecoder;

/// What stands before a commit's message fits into this, in bytes, also with a signature.
const HEAD: u64 = 64 * 1024;

/// Packs that are looked into.
const MOST_PACKS: usize = 200;

/// Where the index of a pack has its table of names, in bytes: behind its mark, its version and 256 counts.
const NAMES_AT: u64 = 8 + 256 * 4;

/// The committer's time of a whole commit id. `None` where it is not there, and where a pack keeps it only as the
/// difference to another commit, which is rare for the one that is checked out.
pub(super) fn of(common: &Path, revision: &str) -> Option<DateTime<Utc>> {
    let id = bytes_of(revision)?;
    let objects = common.join("objects");
    let head =
        loose(&objects.join(&revision[..2]).join(&revision[2..])).or_else(|_| packed(&objects.join("pack"), &id));
    committed(&String::from_utf8_lossy(&head.ok()?))
}

/// A SHA-1 id as bytes.
fn bytes_of(revision: &str) -> Option<[u8; 20]> {
    let mut id = [0; 20];
    if revision.len() != 40 || !revision.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&revision[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(id)
}

fn inflated(from: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    ZlibDecoder::new(from).take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// A loose object, with its kind before it.
fn loose(path: &Path) -> io::Result<Vec<u8>> {
    let head = inflated(File::open(path)?)?;
    let text = head.strip_prefix(b"commit ").and_then(|rest| rest.splitn(2, |byte| *byte == 0).nth(1));
    text.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn packed(directory: &Path, id: &[u8; 20]) -> io::Result<Vec<u8>> {
    for entry in std::fs::read_dir(directory)?.flatten().take(2 * MOST_PACKS) {
        let index = entry.path();
        if index.extension().is_none_or(|ending| ending != "idx") {
            continue;
        }
        if let Some(offset) = offset_in(&File::open(&index)?, id)? {
            return in_pack(&File::open(index.with_extension("pack"))?, offset);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Where in the pack of this index an object is.
fn offset_in(index: &File, id: &[u8; 20]) -> io::Result<Option<u64>> {
    let number = |at: u64| {
        let mut bytes = [0; 4];
        index.read_exact_at(&mut bytes, at).map(|()| u64::from(u32::from_be_bytes(bytes)))
    };
    // `\377tOc`, then the version.
    if (number(0)?, number(4)?) != (0xff74_4f63, 2) {
        return Ok(None);
    }
    let count_to = |first: u8| number(8 + 4 * u64::from(first));
    let total = count_to(255)?;
    let mut low = if id[0] == 0 { 0 } else { count_to(id[0] - 1)? };
    let mut high = count_to(id[0])?;
    while low < high {
        let middle = low.midpoint(high);
        let mut name = [0; 20];
        index.read_exact_at(&mut name, NAMES_AT + 20 * middle)?;
        match name.cmp(id) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                // Behind the names there are checksums of four bytes each.
                let offset = number(NAMES_AT + 24 * total + 4 * middle)?;
                if offset & 0x8000_0000 == 0 {
                    return Ok(Some(offset));
                }
                let far = NAMES_AT + 28 * total + 8 * (offset & 0x7fff_ffff);
                return Ok(Some(number(far)? << 32 | number(far + 4)?));
            }
        }
    }
    Ok(None)
}

/// A commit that a pack has whole.
fn in_pack(pack: &File, offset: u64) -> io::Result<Vec<u8>> {
    const COMMIT: u8 = 1;
    let mut bytes = vec![0; 80 * 1024];
    let length = pack.read_at(&mut bytes, offset)?;
    let bytes = &bytes[..length];
    // The first byte has the kind, and whether more bytes of the size follow; so has each of those.
    let size = bytes.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    match bytes.first() {
        Some(first) if first >> 4 & 7 == COMMIT && size <= length => inflated(&bytes[size..]),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The time in `committer Name <mail> 1700000000 +0100`.
fn committed(commit: &str) -> Option<DateTime<Utc>> {
    let line = commit.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("committer "))?;
    let (rest, _zone) = line.rsplit_once(' ')?;
    let (_, seconds) = rest.rsplit_once(' ')?;
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// A repository made by git itself, removed with the value.
    struct Repository(PathBuf);

    impl Repository {
        fn new() -> Option<Self> {
            let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir(&root).unwrap();
            let repository = Self(root);
            repository.git(&["init", "-q"]).map(|_| repository)
        }

        /// What git says; `None` where there is no git.
        fn git(&self, arguments: &[&str]) -> Option<String> {
            let mut git = Command::new("git");
            git.current_dir(&self.0).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
            let times = [("GIT_COMMITTER_DATE", "1700000000 +0130"), ("GIT_AUTHOR_DATE", "1600000000 +0000")];
            let who = ["-c", "user.name=A b <c", "-c", "user.email=a@example.com"];
            let output = git.envs(times).args(who).args(arguments).output().ok()?;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_commit_s_time_is_read_loose_and_packed() {
        let Some(repository) = Repository::new() else { return };
        let git = |arguments: &[&str]| repository.git(arguments).unwrap();
        for message in ["one", "two\n\ncommitter x <y> 5 +0000"] {
            git(&["commit", "-q", "--allow-empty", "-m", message]);
        }
        let head = git(&["rev-parse", "HEAD"]);
        let common = repository.0.join(".git");
        let expected = DateTime::from_timestamp(1_700_000_000, 0);
        assert_eq!(of(&common, &head), expected);
        git(&["gc", "-q"]);
        assert!(!common.join("objects").join(&head[..2]).join(&head[2..]).exists());
        assert_eq!(of(&common, &head), expected);

        let tree = git(&["rev-parse", "HEAD^{tree}"]);
        for unknown in [tree.as_str(), &"0".repeat(40), &"f".repeat(40), &head[..12], "é", &"é".repeat(20)] {
            assert_eq!(of(&common, unknown), None, "{unknown}");
        }
    }
}
