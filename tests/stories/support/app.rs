//! A small application for stories: busybox's web server in an image made `FROM scratch`.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes an application into a directory; what a story wants to go wrong is changed before.
pub struct App {
    files: Vec<(String, String)>,
    command: String,
}

impl App {
    /// An application that answers its version at `/`, `ok` at `/ping`, and its image's random id at `/id`.
    pub fn version(version: &str) -> Self {
        let files = [("www/index.html", version), ("www/ping", "ok\n"), ("test.sh", UNIT_TEST)];
        let command = r#"["httpd", "-f", "-p", "8080", "-h", "/www"]"#.to_owned();
        Self { files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec(), command }
    }

    /// Replaces what the container runs.
    pub fn running(mut self, command: &str) -> Self {
        self.command = command.to_owned();
        self
    }

    /// Adds or replaces a file of the image.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Writes the build context.
    pub fn write(&self, directory: &Path) -> PathBuf {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let busybox = busybox.expect("busybox-static is installed by the set-up");
        fs::create_dir_all(directory.join("bin")).unwrap();
        fs::copy(busybox, directory.join("bin/busybox")).unwrap();
        for (name, text) in &self.files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let dockerfile = format!(
            "FROM scratch\nCOPY bin /bin\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n\
             COPY www /www\nRUN cat /proc/sys/kernel/random/uuid > /www/id\nCOPY test.sh /test.sh\n\
             EXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD {}\n",
            self.command
        );
        fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
        directory.to_owned()
    }
}

/// Prints the image's id and leaves a report.
const UNIT_TEST: &str = r#"echo "unit test sees id $(cat /www/id)"
mkdir -p /reports
echo '<testsuite name="shop"><testcase name="adds"/><testcase name="ships"/></testsuite>' > /reports/junit.xml
"#;
