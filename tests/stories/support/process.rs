//! A run of the real binary: begun, perhaps signalled, ended.

use std::io::Read;
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest time for one run of the binary, and for what a story waits for in it.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// A run that has not ended yet.
pub struct Running {
    child: Child,
    printed: Option<JoinHandle<String>>,
}

/// What a run of the binary left behind.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output and error.
    pub output: String,
}

impl Running {
    /// Starts the command; what it prints is gathered.
    pub fn spawn(mut command: Command) -> Self {
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap();
        let printed = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, printed: Some(printed) }
    }

    /// Waits until something is seen that the run brings about.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, mut seen: impl FnMut() -> bool) {
        let began = Instant::now();
        while !seen() {
            let is_over = self.child.try_wait().unwrap().is_some();
            assert!(!is_over && began.elapsed() < RUN_LIMIT, "{what} did not come; it printed:\n{}", self.last_words());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn end(self) -> Run {
        let run =
            self.end_within(RUN_LIMIT).unwrap_or_else(|output| panic!("the run did not end; it printed:\n{output}"));
        println!("{}", run.output);
        run
    }

    /// Waits so long for its end, and prints nothing; the error is what it printed until it was ended by force.
    pub fn end_within(mut self, limit: Duration) -> Result<Run, String> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ok(Run { code: status.code().unwrap_or(-1), output: self.last_words() });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(self.last_words())
    }

    /// Ends it, if it has not ended, and returns what it printed.
    fn last_words(&mut self) -> String {
        // It is an error to end what has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.printed.take().map(|printed| printed.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    /// Fails the story unless the run ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the run printed:\n{}", self.output);
        self
    }

    /// Fails the story unless the run said this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.output.contains(text), "`{text}` is missing in:\n{}", self.output);
        self
    }

    /// Fails the story if the run said this.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.output.contains(text), "`{text}` is in:\n{}", self.output);
        self
    }
}
