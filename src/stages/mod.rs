//! The stages: one file each. Each defines its own product, so that only that file can make one.

pub mod acceptance;
pub mod build;
mod build_session;
pub mod check;
pub mod clean_up;
pub mod configure;
pub mod deploy;
pub mod dry_run;
pub mod extra_tags;
#[cfg(test)]
mod fuzz_tests;
mod http_check;
mod junit;
pub mod logins;
mod owner;
pub mod promote;
pub mod push;
mod repository;
pub mod services;
pub mod sweep;
mod test_reports;
pub mod unit_test;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::docker::{Docker, Labels};
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::inputs::{Command, Plan, Secret};

/// Time for the daemon to stop and remove things, on top of a plan's own time limits.
pub const MARGIN: Duration = Duration::from_secs(60);

/// How long after the run's deadline what it made may be removed by others.
pub const GRACE: Duration = Duration::from_secs(600);

/// Lines of a failing program that a fault shows.
const LAST_LINES: usize = 40;

/// Why a container ended that the kernel killed a process of.
const OUT_OF_MEMORY: &str = "the container ran out of memory and was killed";

/// The label that names the run which made a docker object.
pub const RUN_LABEL: &str = "io.beanline.run";

/// The label that names the CI job of that run: what an ended process of the same job left may go at once.
pub const JOB_LABEL: &str = "io.beanline.job";

/// The label that says from when on anybody may remove a docker object; Unix seconds of the daemon's machine.
pub const EXPIRES_LABEL: &str = "io.beanline.expires";

/// Labels on every docker object of a run: whose it is, and from when on anybody may remove it.
pub fn labels(plan: &Plan) -> Labels {
    let expires = expires(plan, chrono::Utc::now().timestamp());
    let mut labels =
        Labels::from([(RUN_LABEL.to_owned(), plan.run_id.clone()), (EXPIRES_LABEL.to_owned(), expires.to_string())]);
    labels.extend(plan.ci.job.iter().map(|job| (JOB_LABEL.to_owned(), job.clone())));
    labels
}

/// When what is made `now` may be removed by anybody, in Unix seconds: ten minutes after the run must have ended.
fn expires(plan: &Plan, now: i64) -> i64 {
    now.saturating_add_unsigned((plan.timeout + GRACE).as_secs())
}

/// Entrypoint and command of a container that runs `command`: exec form as it is, else `sh -c`, with the image's
/// entrypoint cleared either way.
fn argv(command: &Command) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let argv = match command {
        Command::Exec(argv) => argv.clone(),
        Command::Shell(text) => vec!["sh".into(), "-c".into(), text.clone()],
    };
    let (first, rest) = argv.split_at(argv.len().min(1));
    (Some(first.to_vec()), Some(rest.to_vec()))
}

/// The last lines that went by.
#[derive(Debug, Default)]
struct LastLines(RefCell<VecDeque<String>>);

impl LastLines {
    /// Remembers a line, and forgets the oldest.
    fn push(&self, line: &str) {
        let mut lines = self.0.borrow_mut();
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The lines, oldest first.
    fn take(&self) -> Vec<String> {
        self.0.take().into()
    }
}

/// Until when tests may run.
#[derive(Clone, Copy, Debug)]
struct TimeLimit {
    /// The input that says how long they may take.
    input: &'static str,
    /// What it says.
    time: Duration,
    /// When that is over.
    until: Instant,
}

impl TimeLimit {
    /// The time that an input allows, from now on.
    fn from_now(input: &'static str, time: Duration) -> Self {
        Self { input, time, until: Instant::now() + time }
    }

    /// That it is over, and what to do.
    fn exceeded(self) -> Fault {
        Fault::timed_out(format!("the tests did not end within {}", in_words(self.time)))
            .hint(format!("raise `{}` if they need longer", self.input))
    }
}

/// Runs a container whose command is a test, within the time that an input allows. `explain` adds what the place knows.
///
/// # Errors
/// When it exits with anything but 0 or does not end; the fault has its last lines.
async fn run_tests_in(
    cx: &StageCx,
    docker: &Docker,
    container: &str,
    command: &Command,
    limit: TimeLimit,
    explain: impl Fn(Fault) -> Fault,
) -> Result<(), Fault> {
    let last = LastLines::default();
    let hear = |line: String| {
        last.push(&line);
        cx.line(line);
    };
    let Ok(ended) = tokio::time::timeout_at(limit.until, docker.run_to_end(container, &hear)).await else {
        return Err(explain(limit.exceeded()).lines(last.take()));
    };
    let ended = ended?;
    if ended.code == 0 {
        return Ok(());
    }
    let fault = Fault::new("the tests did not pass");
    let fault = match ended.out_of_memory {
        true => fault.cause(OUT_OF_MEMORY),
        false => fault.cause(format!("{} exited with {}", shown(command), ended.code)),
    };
    Err(explain(fault).lines(last.take()))
}

/// A command as it was written, cut where it gets long.
fn shown(command: &Command) -> String {
    let text = match command {
        Command::Exec(argv) => argv.join(" "),
        Command::Shell(text) => text.clone(),
    };
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}

/// Environment that tells a test where the application is.
fn app_environment(url: &str, place: crate::inputs::Place) -> Vec<(String, Secret)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    let default_port = if url.starts_with("https:") { "443" } else { "80" };
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, default_port));
    [
        ("BEANLINE_APP_URL", url.trim_end_matches('/')),
        ("BEANLINE_APP_HOST", host),
        ("BEANLINE_APP_PORT", port),
        ("BEANLINE_PLACE", place.word()),
    ]
    .map(|(name, value)| (name.to_owned(), Secret::open(value)))
    .to_vec()
}

/// The port that the application listens on: the one that was asked for, else the one that the image exposes.
///
/// # Errors
/// When none was asked for and the image exposes none, or several.
fn port_of(exposed: &[u16], asked: Option<u16>) -> Result<u16, Fault> {
    let unknown = || Fault::new("the application's port is not known");
    match (asked, exposed) {
        (Some(port), _) | (None, &[port]) => Ok(port),
        (None, []) => Err(unknown()
            .cause("the image exposes none that we know of")
            .hint("set the input `port`, or add EXPOSE to the Dockerfile")),
        (None, several) => {
            let ports: Vec<String> = several.iter().map(u16::to_string).collect();
            Err(unknown()
                .cause(format!("the image exposes {}", ports.join(", ")))
                .hint("set the input `port` to the one that answers HTTP"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_command_clears_the_entrypoint() {
        let (entrypoint, command) = argv(&Command::Shell("make test".into()));
        assert_eq!(entrypoint, Some(vec!["sh".to_owned()]));
        assert_eq!(command, Some(vec!["-c".to_owned(), "make test".to_owned()]));
    }

    #[test]
    fn tests_are_told_where_the_application_is() {
        let told = |url| -> Vec<String> {
            app_environment(url, crate::inputs::Place::Live)
                .iter()
                .map(|(_, value)| value.reveal().to_owned())
                .collect()
        };
        assert_eq!(told("http://app:8080/"), ["http://app:8080", "app", "8080", "live"]);
        assert_eq!(told("https://shop.example.com/"), ["https://shop.example.com", "shop.example.com", "443", "live"]);
    }
}
