//! The commit that is checked out, read from `.git` without git: the last source when no CI tells it.

mod commit_time;
mod remote;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::ci::commit;
use super::files::ReadFile;
pub(super) use remote::page;

/// What `HEAD` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The commit.
    pub revision: String,
    /// The branch, unless the head is detached.
    pub branch: Option<String>,
}

/// The head of the repository that `directory`, an absolute path, lies in. `None` without a repository, without a
/// commit, and where refs are kept in a way we do not read (reftable).
pub(super) fn head(directory: &Path, read_file: ReadFile<'_>) -> Option<Head> {
    let (git, text) = directory.ancestors().find_map(|directory| git_directory(directory, read_file))?;
    let common = common(&git, read_file);
    let mut text = text.trim().to_owned();
    let mut branch = None;
    // A symbolic ref may point to another one; git itself follows five.
    for _ in 0..5 {
        let Some(name) = text.strip_prefix("ref:").map(|name| name.trim().to_owned()) else { break };
        branch = branch.or_else(|| name.strip_prefix("refs/heads/").map(str::to_owned));
        text = read_ref(&git, &common, &name, read_file)?;
    }
    commit(&text).map(|revision| Head { revision, branch })
}

/// Where the repository that `directory`, an absolute path, lies in was cloned from, as git's configuration has it.
pub(super) fn origin(directory: &Path, read_file: ReadFile<'_>) -> Option<String> {
    let (git, _) = directory.ancestors().find_map(|directory| git_directory(directory, read_file))?;
    let config = read_file(&common(&git, read_file).join("config")).ok()?;
    remote::origin(&config).map(str::to_owned)
}

/// When a commit of the repository that `directory`, an absolute path, lies in was made. Objects are no text: they are
/// read from the disk.
pub(super) fn commit_time(directory: &Path, revision: &str) -> Option<DateTime<Utc>> {
    let read_file = &super::files::read_text;
    let (git, _) = directory.ancestors().find_map(|directory| git_directory(directory, read_file))?;
    commit_time::of(&common(&git, read_file), revision)
}

/// What a worktree shares with the repository it belongs to: it keeps only its own HEAD (gitrepository-layout).
fn common(git: &Path, read_file: ReadFile<'_>) -> PathBuf {
    read_file(&git.join("commondir")).map_or_else(|_| git.to_owned(), |path| git.join(path.trim()))
}

/// The git directory of a work tree and its HEAD.
fn git_directory(directory: &Path, read_file: ReadFile<'_>) -> Option<(PathBuf, String)> {
    let git = directory.join(".git");
    if let Ok(text) = read_file(&git.join("HEAD")) {
        return Some((git, text));
    }
    // In a worktree and in a submodule `.git` is a file that names the directory.
    let file = read_file(&git).ok()?;
    let git = directory.join(file.strip_prefix("gitdir:")?.trim());
    let text = read_file(&git.join("HEAD")).ok()?;
    Some((git, text))
}

fn read_ref(git: &Path, common: &Path, name: &str, read_file: ReadFile<'_>) -> Option<String> {
    if !name.starts_with("refs/") || name.contains("..") {
        return None;
    }
    let loose = [git, common].iter().find_map(|directory| read_file(&directory.join(name)).ok());
    if let Some(text) = loose {
        return Some(text.trim().to_owned());
    }
    let packed = read_file(&common.join("packed-refs")).ok()?;
    packed
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(_, packed)| *packed == name))
        .map(|(sha, _)| sha.into())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const SHA: &str = "1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5";

    fn head_in(directory: &str, files: &[(&str, &str)]) -> Option<Head> {
        head(Path::new(directory), &|path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    fn on_main() -> Option<Head> {
        Some(Head { revision: SHA.into(), branch: Some("main".into()) })
    }

    #[test]
    fn a_loose_ref_is_read_also_from_a_directory_below() {
        let files = [("/r/.git/HEAD", "ref: refs/heads/main\n"), ("/r/.git/refs/heads/main", &format!("{SHA}\n"))];
        assert_eq!(head_in("/r", &files), on_main());
        assert_eq!(head_in("/r/app", &files), on_main());
        assert_eq!(head_in("/elsewhere", &files), None);
    }

    #[test]
    fn a_packed_ref_is_found() {
        let packed = format!("# pack-refs with: peeled\n0000000 refs/heads/main2\n{SHA} refs/heads/main\n");
        let files = [("/r/.git/HEAD", "ref: refs/heads/main"), ("/r/.git/packed-refs", packed.as_str())];
        assert_eq!(head_in("/r", &files), on_main());
    }

    #[test]
    fn a_worktree_leads_to_its_repository() {
        let files = [
            ("/w/.git", "gitdir: /r/.git/worktrees/w\n"),
            ("/r/.git/worktrees/w/HEAD", "ref: refs/heads/main\n"),
            ("/r/.git/worktrees/w/commondir", "/r/.git\n"),
            ("/r/.git/refs/heads/main", SHA),
        ];
        assert_eq!(head_in("/w", &files), on_main());
    }

    #[test]
    fn a_detached_head_has_no_branch_and_nonsense_is_no_commit() {
        assert_eq!(head_in("/r", &[("/r/.git/HEAD", SHA)]), Some(Head { revision: SHA.into(), branch: None }));
        assert_eq!(head_in("/r", &[("/r/.git/HEAD", "ref: refs/heads/.invalid")]), None);
        assert_eq!(head_in("/r", &[("/r/.git/HEAD", "ref: ../../etc/passwd")]), None);
        let circle = [("/r/.git/HEAD", "ref: refs/heads/a"), ("/r/.git/refs/heads/a", "ref: refs/heads/a")];
        assert_eq!(head_in("/r", &circle), None);
    }
}
