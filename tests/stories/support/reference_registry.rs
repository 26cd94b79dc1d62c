//! Debian's `docker-registry`, with a user and a password.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;

/// Its program; the set-up of the tests unpacks it and puts it on the path.
const PROGRAM: &str = "docker-registry";

/// What bcrypt makes of the password.
const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuB9KLANnk2.9s56NY.g3ILgMZ/EREqVG";

/// A registry of another make on this machine; it ends when this is dropped.
pub struct ReferenceRegistry {
    /// `127.0.0.1:PORT`.
    pub host: String,
    child: Child,
}

impl ReferenceRegistry {
    /// The one user.
    pub const USER: &str = "shipper";

    /// The user's password.
    pub const PASSWORD: &str = "obvious-fake-password";

    /// Starts it with its files in a directory; `None` with a printed reason where it is not installed.
    pub fn start(directory: &Path) -> Option<Self> {
        if Command::new(PROGRAM).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI=true, and there is no {PROGRAM}");
            println!("skipped: there is no {PROGRAM}");
            return None;
        }
        std::fs::create_dir_all(directory).unwrap();
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (users, config) = (directory.join("htpasswd"), directory.join("config.yml"));
        std::fs::write(&users, format!("{}:{HASH}\n", Self::USER)).unwrap();
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n\
             auth: {{htpasswd: {{realm: story, path: {}}}}}\n",
            directory.join("data").display(),
            users.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { host: address.to_string(), child: command.spawn().unwrap() };
        let listens = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            TcpStream::connect(address).is_ok()
        });
        assert!(listens, "{PROGRAM} does not listen on {address}");
        Some(registry)
    }

    /// The digest that it gives for a tag, asked as anybody would; `None` when there is no such tag.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", Self::USER, Self::PASSWORD));
        let mut connection = TcpStream::connect(&self.host).unwrap();
        write!(
            connection,
            "HEAD /v2/{repository}/manifests/{tag} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\n\
             Accept: application/vnd.docker.distribution.manifest.v2+json\r\nConnection: close\r\n\r\n",
            self.host
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let digest = answer.lines().find_map(|line| line.strip_prefix("Docker-Content-Digest: "));
        digest.filter(|_| answer.starts_with("HTTP/1.1 200")).map(|digest| digest.trim().to_owned())
    }
}

impl Drop for ReferenceRegistry {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
