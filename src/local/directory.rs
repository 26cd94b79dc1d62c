//! Directories that whoever started us may remove again.
//!
//! In a container we are root and the directories that we are given are another user's: the Actions runner's, who is no
//! root and clears its home directory after the job. What lies in a directory may be removed by the directory's owner.

use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

/// Makes a directory and those above it that are missing; each gets the owner of the one it lies in.
///
/// # Errors
/// What the operating system says. One that is there already is no error.
pub fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    make(above(directory))?;
    match make_new(directory) {
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        other => other,
    }
}

/// Makes one directory that is not there yet; it gets the owner of the one it lies in.
///
/// # Errors
/// What the operating system says.
pub fn make_new(directory: &Path) -> io::Result<()> {
    std::fs::create_dir(directory)?;
    let (owner, ours) = (std::fs::metadata(above(directory))?, std::fs::symlink_metadata(directory)?);
    if owner.uid() != ours.uid() {
        // Only root may, and whoever is not root has nothing to give away. Never through a link: that owner may put one
        // here meanwhile.
        let _ = lchown(directory, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(())
}

fn above(directory: &Path) -> &Path {
    directory.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_directories_belong_to_the_owner_of_the_first_that_is_there() {
        let home = std::env::temp_dir().join(format!("beanline-directory-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&home).unwrap();
        // Only root can make another's directory; for anybody else the owner stays the same.
        let _ = lchown(&home, Some(1001), Some(1001));
        make(&home.join("a/b")).unwrap();
        make(&home.join("a/b")).unwrap();
        assert!(make_new(&home.join("a/b")).is_err());
        let owner = |path: &Path| std::fs::metadata(path).map(|facts| (facts.uid(), facts.gid())).unwrap();
        assert_eq!(owner(&home.join("a")), owner(&home));
        assert_eq!(owner(&home.join("a/b")), owner(&home));
        std::fs::write(home.join("file"), "").unwrap();
        assert!(make(&home.join("file/c")).is_err());
        std::fs::remove_dir_all(&home).unwrap();
    }
}
