//! Which paths are wanted by somebody who names some, when there are symbolic links on the way: the links, and what they
//! lead to (fsutil's `followpaths`).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::super::ignore::{Ignore, Match};
use super::walk::about;

/// How many links one name may lead through, as in Linux.
const MOST_LINKS: u32 = 40;

/// Patterns for the named paths and for what the links among them lead to; links never lead out of `root`. `None` when
/// the whole directory is wanted.
///
/// # Errors
/// A directory or link on the way cannot be read.
pub(in crate::docker) fn follow(root: &Path, named: &[String]) -> io::Result<Option<Vec<String>>> {
    let (mut wanted, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut waiting: Vec<(PathBuf, u32)> = named.iter().map(|path| (inside(Path::new(path)), 0)).collect();
    while let Some((path, links)) = waiting.pop() {
        if links <= MOST_LINKS && seen.insert(path.clone()) {
            let onward = resolve(root, &path, &mut wanted)?;
            waiting.extend(onward.into_iter().map(|path| (path, links + 1)));
        }
    }
    let whole = wanted.iter().any(|path| path.as_os_str().is_empty());
    Ok((!whole).then(|| wanted.iter().map(|path| path.to_string_lossy().into_owned()).collect()))
}

/// Goes along a path up to the first link; adds what was reached to `wanted`, and gives where the link leads.
fn resolve(root: &Path, path: &Path, wanted: &mut BTreeSet<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut current = PathBuf::new();
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        let found = links(root, &current, part.as_os_str())?;
        current.push(part);
        if !found.is_empty() {
            wanted.insert(current);
            return Ok(found.iter().map(|target| inside(&target.join(parts.as_path()))).collect());
        }
    }
    wanted.insert(current);
    Ok(Vec::new())
}

/// Where the links lead that a name, which may be a pattern, stands for in a directory.
fn links(root: &Path, directory: &Path, name: &OsStr) -> io::Result<Vec<PathBuf>> {
    let here = root.join(directory);
    let text = name.to_string_lossy();
    let mut names = vec![name.to_owned()];
    if text.contains(['*', '?', '[']) {
        let Ok(pattern) = Ignore::all_but(&[text.into_owned()]) else { return Ok(Vec::new()) };
        let entries = match std::fs::read_dir(&here) {
            Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>(),
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => Err(error),
        };
        names = entries.map_err(|error| about(&here, error))?;
        names.retain(|name| !pattern.excludes(pattern.hold(Path::new(name), Match::default())));
    }
    let target = |name: &std::ffi::OsString| match std::fs::read_link(here.join(name)) {
        Ok(target) if target.is_absolute() => Some(Ok(inside(&target))),
        Ok(target) => Some(Ok(inside(&directory.join(target)))),
        // Not a link.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput || is_absent(&error) => None,
        Err(error) => Some(Err(about(&here.join(name), error))),
    };
    names.iter().filter_map(target).collect()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A path as it is below the root, which is its own parent.
fn inside(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_on_the_way_are_wanted_with_what_they_lead_to() {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        for directory in ["real/deep", "other"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        std::fs::write(root.join("real/deep/file"), "x").unwrap();
        let ties = [
            ("link", "real"),
            ("other/up", "../real/deep/file"),
            ("absolute", "/other"),
            ("ring", "ring/x"),
            ("a", "b"),
            ("b", "a"),
            ("out", "../../../etc/passwd"),
            ("all", "."),
        ];
        ties.iter().for_each(|(name, target)| symlink(target, root.join(name)).unwrap());
        let cases: &[(&[&str], Option<&[&str]>)] = &[
            (&["Dockerfile", "no/such/thing"], Some(&["Dockerfile", "no/such/thing"])),
            (&["link/deep", "link/other"], Some(&["link", "real/deep", "real/other"])),
            (&["lin*/deep/f*"], Some(&["lin*", "real/deep/f*"])),
            (&["other/up"], Some(&["other/up", "real/deep/file"])),
            (&["/absolute/./up"], Some(&["absolute", "other/up", "real/deep/file"])),
            (&["a"], Some(&["a", "b"])),
            (&["out"], Some(&["etc/passwd", "out"])),
            (&["real/deep/file/below"], Some(&["real/deep/file/below"])),
            (&["x", "all"], None),
            (&["."], None),
        ];
        for (named, expected) in cases {
            let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
            let wanted = follow(&root, &named).unwrap();
            let wanted = wanted.as_ref().map(|wanted| wanted.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(wanted.as_deref(), *expected, "{}", named.join(" "));
        }
        assert!(follow(&root, &["ring".to_owned()]).unwrap().is_some(), "a ring ends");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
