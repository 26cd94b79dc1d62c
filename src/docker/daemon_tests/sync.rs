//! The files of a context, as they reach the daemon and the image.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::builds::Source;
use super::*;

impl Source {
    /// Writes a file, and the directories on the way to it.
    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn allow(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.0.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
}

impl Bench {
    /// Builds, and gives what was said of the context.
    async fn sent(&self, request: &BuildRequest) -> String {
        let heard = Heard::default();
        self.docker.build(request, &heard.line()).await.unwrap();
        let mut told = heard.lines();
        told.retain(|line| line.starts_with("build context: "));
        assert_eq!(told.len(), 1, "{:#?}", heard.lines());
        told.concat().replace("build context: ", "").replace(" files and directories sent", "")
    }

    /// What a command in the built image prints.
    async fn printed(&self, request: &BuildRequest, command: &str) -> Vec<String> {
        let container = self.docker.create(&self.shell("look", &request.reference, command)).await.unwrap();
        let heard = Heard::default();
        let ended = self.docker.run_to_end(&container, &heard.line()).await.unwrap();
        assert_eq!(ended.code, 0, "{:#?}", heard.lines());
        self.docker.remove_container(&container).await.unwrap();
        heard.lines()
    }
}

/// What shows an image's files, and starts a shell in it.
const SHOW: &str = "COPY . /all\nENTRYPOINT [\"/bin/sh\", \"-c\"]\n";

#[tokio::test]
async fn an_unchanged_context_sends_no_file_and_a_changed_one_that_file_alone() {
    with_daemon(async |bench| {
        let source = Source::with(SHOW);
        (0..40).for_each(|number| source.write(&format!("dir{}/{number}", number % 3), "x"));
        let request = bench.request(&source);
        // 40 files in three directories, busybox and the Dockerfile.
        assert_eq!(bench.sent(&request).await, "42 of 45");
        assert_eq!(bench.sent(&request).await, "0 of 45");
        source.write("dir1/1", "changed");
        assert_eq!(bench.sent(&request).await, "1 of 45");
        assert_eq!(bench.printed(&request, "/bin/busybox cat /all/dir1/1 /all/dir1/4").await, ["changedx"]);
        std::fs::remove_dir_all(source.0.join("dir2")).unwrap();
        assert_eq!(bench.sent(&request).await, "0 of 31");
        assert_eq!(bench.printed(&request, "/bin/busybox ls /all").await, ["Dockerfile", "busybox", "dir0", "dir1"]);
    })
    .await;
}

#[tokio::test]
async fn thousands_of_small_files_are_asked_for_at_once() {
    with_daemon(async |bench| {
        let source = Source::with(SHOW);
        (0..8000).for_each(|number| source.write(&format!("dir{}/{number}", number % 20), "x"));
        let request = bench.request(&source);
        assert_eq!(bench.sent(&request).await, "8002 of 8022");
        assert_eq!(bench.printed(&request, "/bin/busybox find /all -type f | /bin/busybox wc -l").await, ["8002"]);
    })
    .await;
}

#[tokio::test]
async fn modes_links_times_and_names_arrive_as_they_are() {
    with_daemon(async |bench| {
        let source = Source::with(SHOW);
        source.write("run.sh", "x");
        source.allow("run.sh", 0o4755);
        source.write("shared/é &.txt", "x");
        source.allow("shared/é &.txt", 0o640);
        source.allow("shared", 0o1777);
        source.write("empty", "");
        source.write("big", &"0123456789".repeat(40_000));
        symlink("run.sh", source.0.join("soft")).unwrap();
        symlink("../nowhere", source.0.join("shared/dangling")).unwrap();
        std::fs::hard_link(source.0.join("run.sh"), source.0.join("shared/hard")).unwrap();
        std::fs::create_dir(source.0.join("nothing")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(source.0.join("socket")).unwrap();
        let then = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::open(source.0.join("run.sh")).unwrap().set_modified(then).unwrap();
        let request = bench.request(&source);
        bench.docker.build(&request, &|_| ()).await.unwrap();
        let look = "cd /all; for it in run.sh soft empty nothing shared shared/*; do \
                    /bin/busybox stat -c '%a %u:%g %N' \"$it\"; done; /bin/busybox stat -c %Y run.sh; \
                    /bin/busybox wc -c <big; [ ! -e socket ]";
        let expected = [
            "4755 0:0 run.sh",
            "777 0:0 'soft' -> 'run.sh'",
            "644 0:0 empty",
            "755 0:0 nothing",
            "1777 0:0 shared",
            "777 0:0 'shared/dangling' -> '../nowhere'",
            "4755 0:0 shared/hard",
            "640 0:0 shared/é &.txt",
            "1000000000",
            "400000",
        ];
        assert_eq!(bench.printed(&request, look).await, expected);
    })
    .await;
}

#[tokio::test]
async fn dockerignore_keeps_files_away_even_those_that_say_how_to_build() {
    with_daemon(async |bench| {
        let source = Source::with(SHOW);
        source.write(".dockerignore", "# all but these\n*\n!busybox\n!src\n!out/a/keep\n**/*.tmp\n!é*\n");
        ["src/main", "src/x.tmp", "out/a/keep", "out/a/drop", "out/b/drop", "secret", "énorme"]
            .iter()
            .for_each(|name| source.write(name, "x"));
        let mut request = bench.request(&source);
        assert_eq!(bench.sent(&request).await, "4 of 7");
        let found = bench.printed(&request, "cd /all; /bin/busybox find . | /bin/busybox sort").await;
        let expected = [".", "./busybox", "./out", "./out/a", "./out/a/keep", "./src", "./src/main", "./énorme"];
        assert_eq!(found, expected);
        // One beside the Dockerfile holds instead.
        std::fs::create_dir(source.0.join("ci")).unwrap();
        std::fs::copy(source.0.join("Dockerfile"), source.0.join("ci/Dockerfile")).unwrap();
        source.write("ci/Dockerfile.dockerignore", "**\n!busybox\n");
        request.recipe.dockerfile = "ci/Dockerfile".into();
        assert_eq!(bench.sent(&request).await, "0 of 1");
    })
    .await;
}

#[tokio::test]
async fn only_what_the_dockerfile_copies_is_sent_and_links_are_followed() {
    with_daemon(async |bench| {
        let source = Source::with("COPY link/*.txt docs/ /all/\nENTRYPOINT [\"/bin/sh\", \"-c\"]\n");
        ["real/a.txt", "real/b.md", "docs/x", "huge/1", "huge/2"].iter().for_each(|name| source.write(name, "x"));
        symlink("real", source.0.join("link")).unwrap();
        let request = bench.request(&source);
        // busybox, link, real, real/a.txt, docs, docs/x
        assert_eq!(bench.sent(&request).await, "3 of 6");
        assert_eq!(bench.printed(&request, "/bin/busybox ls /all").await, ["a.txt", "x"]);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_is_named() {
    with_daemon(async |bench| {
        let source = Source::with(SHOW);
        let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
        std::fs::write(source.0.join(odd), "x").unwrap();
        let request = bench.request(&source);
        let fault = bench.docker.build(&request, &|_| ()).await.unwrap_err().to_string();
        let expected = "could not build the image: the build context could not be sent: could not read ";
        assert!(
            fault.starts_with(expected) && fault.contains("caf\u{fffd}: ") && fault.contains("not UTF-8"),
            "{fault}"
        );
        // Left out, it is in nobody's way; and the daemon's copy is sound after the failure.
        source.write(".dockerignore", "caf?\n");
        assert_eq!(bench.sent(&request).await, "3 of 3");
    })
    .await;
}

#[tokio::test]
async fn a_build_that_is_dropped_stops_and_leaves_nothing() {
    with_daemon(async |bench| {
        let source = Source::with("RUN /bin/busybox sleep 300\n");
        let request = bench.request(&source);
        let heard = Heard::default();
        let line = heard.line();
        let (started, mut has_started) = tokio::sync::mpsc::unbounded_channel();
        let line = |text: String| {
            if text.contains("sleep 300") {
                started.send(()).unwrap();
            }
            line(text);
        };
        tokio::select! {
            built = bench.docker.build(&request, &line) => panic!("built: {}", built.is_ok()),
            _ = has_started.recv() => {}
        }
        assert!(bench.docker.image(&request.reference).await.unwrap().is_none());
        // The daemon took the end for what it is: the same directory is free for the next build.
        let text = std::fs::read_to_string(source.0.join("Dockerfile")).unwrap().replace("sleep 300", "true");
        source.write("Dockerfile", &text);
        bench.docker.build(&request, &|_| ()).await.unwrap();
    })
    .await;
}
