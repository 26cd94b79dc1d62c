//! Files that are copied into a container, and what is read out of one.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

/// A directory of the machine that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn files_of_the_repository_belong_to_the_one_who_runs_the_tests() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let scratch = Scratch::new(&bench.name("files"));
        scratch.file("tests/unit/run.sh", "echo ran", 0o700);
        scratch.file("tests/data/secret", "for its owner", 0o600);
        scratch.file("other/left out", "", 0o644);
        std::os::unix::fs::symlink("data/secret", scratch.0.join("tests/link")).unwrap();
        let command = "/bin/busybox stat -c '%u:%g %a %n' srv srv/tests srv/tests/unit srv/tests/unit/run.sh \
                       srv/tests/data/secret; /bin/busybox cat srv/tests/link; echo; srv/tests/unit/run.sh; \
                       echo new > srv/tests/data/new && echo written; ls srv; /bin/busybox ls srv";
        let mut spec = bench.shell("files", &image, command);
        spec.extras.user = Some("1000:50".into());
        spec.unlogged = true;
        bench.docker.create(&spec).await.unwrap();
        let mut tar = ::tar::Builder::new(Vec::new());
        tar.append_dir("srv", std::env::temp_dir()).unwrap();
        bench.docker.put_tar(&spec.name, "/", tar.into_inner().unwrap()).await.unwrap();
        let owner = Owner { uid: 1000, gid: 50 };
        let put = async |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            bench.docker.put_files(&spec.name, "/srv", &scratch.0, &paths, owner).await
        };
        put(&["./tests/unit", "tests/data", "tests/link"]).await.unwrap();
        let heard = Heard::default();
        bench.docker.run_to_end(&spec.name, &heard.line()).await.unwrap();
        let expected = [
            "0:0 1777 srv",
            "1000:50 755 srv/tests",
            "1000:50 755 srv/tests/unit",
            "1000:50 700 srv/tests/unit/run.sh",
            "1000:50 600 srv/tests/data/secret",
            "for its owner",
            "ran",
            "written",
        ];
        for line in expected {
            assert!(heard.has(line), "{line}: {:?}", heard.lines());
        }
        assert!(!heard.has("other"), "{:?}", heard.lines());

        let missing = put(&["tests", "no/such"]).await.unwrap_err();
        assert!(missing.what() == "could not read no/such" && !missing.hints().is_empty(), "{missing}");
        let refused = bench.docker.put_files(&spec.name, "/nowhere", Path::new("."), &["src".into()], owner).await;
        assert!(refused.unwrap_err().what().contains("into /nowhere"));
    })
    .await;
}

#[tokio::test]
async fn a_tar_file_is_read_while_it_comes_and_may_be_left_in_the_middle() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let spec = bench.shell("read", &image, "/bin/busybox head -c 300000000 /dev/zero > /zeros");
        bench.docker.create(&spec).await.unwrap();
        bench.docker.run_to_end(&spec.name, &|_| ()).await.unwrap();
        let count = |tar: &mut dyn Read| std::io::copy(tar, &mut std::io::sink()).unwrap();
        let read = bench.docker.read_tar(&spec.name, "/zeros", count).await.unwrap().unwrap();
        assert!(read > 300_000_000, "{read}");
        let first = |tar: &mut dyn Read| std::io::copy(&mut tar.take(512), &mut std::io::sink()).unwrap();
        assert_eq!(bench.docker.read_tar(&spec.name, "/zeros", first).await.unwrap(), Some(512));
        assert_eq!(bench.docker.read_tar(&spec.name, "/nothing", first).await.unwrap(), None);
    })
    .await;
}
