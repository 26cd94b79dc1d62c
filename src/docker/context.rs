//! The build context: a directory, what of it is sent, and the tar file for a daemon without BuildKit.

pub(super) mod follow;
pub(super) mod walk;

use std::io;
use std::path::{Component, Path, PathBuf};

use super::ignore::{Ignore, Match};
use super::tarball::{TarBuilder, append};
use crate::fault::Fault;
use crate::inputs::files::read_bytes;
use walk::{Selection, about, walk};

/// A directory that is about to be sent.
#[derive(Debug)]
pub(super) struct Context {
    root: PathBuf,
    dockerfile: PathBuf,
    ignore: Ignore,
}

/// Whether `.dockerignore` keeps a path, relative to the context, out of what is sent.
///
/// # Errors
/// There is no such context, no Dockerfile in it, or a line of `.dockerignore` is no pattern.
pub fn leaves_out(root: &Path, dockerfile: &str, path: &Path) -> Result<bool, Fault> {
    let ignore = Context::open(root, dockerfile)?.ignore;
    let mut above: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    above.reverse();
    Ok(ignore.excludes(above.into_iter().fold(Match::default(), |within, part| ignore.hold(part, within))))
}

impl Context {
    /// Looks at a directory and reads its `.dockerignore`. As with docker, a `<Dockerfile>.dockerignore` beside the
    /// Dockerfile is read instead, if there is one.
    ///
    /// # Errors
    /// There is no such directory, no Dockerfile in it, or a line of `.dockerignore` is no pattern.
    pub(super) fn open(root: &Path, dockerfile: &str) -> Result<Self, Fault> {
        let what = "could not build the image";
        if !root.is_dir() {
            return Err(Fault::new(what)
                .cause(format!("the build context {} is no directory", root.display()))
                .hint("set `context` to the directory that has the Dockerfile; is the repository checked out?"));
        }
        let dockerfile = inside(dockerfile).ok_or_else(|| {
            Fault::new(what)
                .cause(format!("the Dockerfile `{dockerfile}` lies outside the build context"))
                .hint("`dockerfile` is a path inside `context`")
        })?;
        if !root.join(&dockerfile).is_file() {
            return Err(Fault::new(what)
                .cause(format!("there is no Dockerfile `{}` in {}", dockerfile.display(), root.display()))
                .hint("`dockerfile` is a path inside `context`"));
        }
        let mut beside = dockerfile.clone().into_os_string();
        beside.push(".dockerignore");
        let mut ignore = Ignore::default();
        for path in [root.join(beside), root.join(".dockerignore")] {
            let unusable = || Fault::new(what).cause(format!("{} cannot be used", path.display()));
            match read_bytes(&path) {
                Ok(text) => {
                    ignore = Ignore::parse(&String::from_utf8_lossy(&text)).map_err(|why| unusable().cause(why))?;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable().because(error)),
            }
        }
        let unusable = || Fault::new(what).cause(format!("the build context {} cannot be used", root.display()));
        let root = root.canonicalize().map_err(|error| unusable().because(error))?;
        Ok(Self { root, dockerfile, ignore })
    }

    /// The directory, without symbolic links on the way to it.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes the tar file: names in order, everything owned by root, permissions and symbolic links kept.
    ///
    /// # Errors
    /// A file cannot be read; the error names it.
    pub(super) fn write(self, tar: &mut TarBuilder) -> io::Result<()> {
        let always = vec![self.dockerfile, PathBuf::from(".dockerignore")];
        let selection = Selection { ignore: self.ignore, always, ..Selection::default() };
        walk(&self.root, &selection, &mut |path, facts| {
            let disk = self.root.join(path);
            append(tar, &disk, path, facts).map_err(|error| about(&disk, error))
        })
    }
}

/// A path inside the context without `.` in it; `None` for one that leads out.
fn inside(path: &str) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use futures_util::TryStreamExt;

    use super::super::tarball::tar_stream;
    use super::*;

    /// A directory that is removed with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn with(files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir(&root).unwrap();
            for (name, text) in files {
                let path = root.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// What a receiver of the tar file sees: mode, owner, name and link's target.
    async fn listed(context: Context) -> Vec<String> {
        let stream = tar_stream(move |tar| context.write(tar));
        let bytes: Vec<bytes::Bytes> = stream.bytes.try_collect().await.unwrap();
        let bytes = bytes.concat();
        let mut archive = tar::Archive::new(&bytes[..]);
        let line = |entry: tar::Entry<'_, _>| {
            let (header, name) = (entry.header(), entry.path().unwrap().display().to_string());
            let owner = header.uid().unwrap() + header.gid().unwrap();
            let link = entry.link_name().unwrap().map_or(String::new(), |to| format!(" -> {}", to.display()));
            format!("{:o} {owner} {name}{link}", header.mode().unwrap())
        };
        archive.entries().unwrap().map(|entry| line(entry.unwrap())).collect()
    }

    #[tokio::test]
    async fn what_is_sent_keeps_permissions_and_links_and_honours_dockerignore() {
        let long = format!("deep/{}", "n".repeat(120));
        let scratch = Scratch::with(&[
            ("Dockerfile", "FROM scratch"),
            (".dockerignore", "*\n!src\n!deep\nsrc/*.tmp\n!out/a/keep"),
            ("src/run.sh", "x"),
            ("src/x.tmp", "x"),
            ("out/a/keep", "x"),
            ("out/b/drop", "x"),
            ("secret", "x"),
            (&long, "x"),
        ]);
        std::fs::set_permissions(scratch.0.join("src/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("run.sh", scratch.0.join("src/link")).unwrap();
        for name in ["deep", "out", "out/a", "src"] {
            std::fs::set_permissions(scratch.0.join(name), PermissionsExt::from_mode(0o750)).unwrap();
        }
        for name in ["Dockerfile", ".dockerignore", "out/a/keep", long.as_str()] {
            std::fs::set_permissions(scratch.0.join(name), PermissionsExt::from_mode(0o640)).unwrap();
        }
        let context = Context::open(&scratch.0, "./Dockerfile").unwrap();
        let expected = [
            "640 0 .dockerignore",
            "640 0 Dockerfile",
            "750 0 deep",
            &format!("640 0 {long}"),
            "750 0 out",
            "750 0 out/a",
            "640 0 out/a/keep",
            "750 0 src",
            "777 0 src/link -> run.sh",
            "755 0 src/run.sh",
        ];
        assert_eq!(listed(context).await, expected);
    }

    #[tokio::test]
    async fn a_dockerfile_of_its_own_has_its_own_dockerignore_and_is_sent_although_ignored() {
        let scratch = Scratch::with(&[
            ("ci/test.Dockerfile", "FROM scratch"),
            ("ci/test.Dockerfile.dockerignore", "**"),
            (".dockerignore", "nothing"),
            ("x", "x"),
        ]);
        let sent = listed(Context::open(&scratch.0, "ci/test.Dockerfile").unwrap()).await;
        let names: Vec<_> = sent.iter().filter_map(|line| line.split(' ').next_back()).collect();
        assert_eq!(names, [".dockerignore", "ci", "ci/test.Dockerfile"]);
    }

    #[test]
    fn what_cannot_be_sent_is_said_before_the_daemon_is_asked() {
        let scratch = Scratch::with(&[("Dockerfile", ""), (".dockerignore", "[")]);
        let why = |root: &Path, name: &str| Context::open(root, name).unwrap_err().to_string();
        assert!(why(&scratch.0.join("no"), "Dockerfile").contains("is no directory"));
        assert!(why(&scratch.0, "other").contains("there is no Dockerfile `other`"));
        assert!(why(&scratch.0, "../Dockerfile").contains("outside the build context"));
        assert!(why(&scratch.0, "Dockerfile").contains("line 1 is no pattern"));
    }
    #[test]
    fn a_dockerignore_that_never_ends_is_refused() {
        for target in ["/dev/zero", "."] {
            let scratch = Scratch::with(&[("Dockerfile", "")]);
            symlink(target, scratch.0.join(".dockerignore")).unwrap();
            let why = Context::open(&scratch.0, "Dockerfile").unwrap_err().to_string();
            assert!(why.contains(".dockerignore cannot be used") && why.contains("not a regular file"), "{why}");
        }
    }
}
