//! What containers print, line by line, and how they end.

use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::query_parameters::{AttachContainerOptions, LogsOptions, WaitContainerOptions};
use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::Docker;
use super::again::{again, failure};
use crate::engine::retry::{Failure, pause};
use crate::fault::Fault;

/// Longest line that is passed on, in bytes; a longer one is cut.
const LONGEST_LINE: usize = 8 * 1024;

/// Exit code of a process that SIGKILL ended: 128 and the signal's number.
const KILLED: i64 = 137;

/// How long after a container's end the daemon may learn why it was killed.
const OUT_OF_MEMORY_NEWS: Duration = Duration::from_secs(2);

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code of its first process.
    pub code: i64,
    /// Whether the kernel killed a process of it for want of memory.
    pub out_of_memory: bool,
}

impl Docker {
    /// Starts a container and passes its output on until it ends.
    ///
    /// Lines of standard output and error come as they are written, at most 8 KiB each; what is not UTF-8 is replaced;
    /// of text that a carriage return overwrites, the last is shown.
    ///
    /// # Errors
    /// It could not be started, or the connection broke.
    pub async fn run_to_end(&self, container: &str, line: &dyn Fn(String)) -> Result<Ended, Fault> {
        let mut attached = self.attach(container).await?;
        self.start(container).await?;
        loop {
            let mut lines = Output::default();
            let broke = loop {
                match attached.output.try_next().await {
                    Ok(Some(chunk)) => lines.take(&chunk, &mut |text| line(text)),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            lines.end(&mut |text| line(text));
            let Some(error) = broke else { break };
            // The program goes on without us; what it prints until we listen again is not seen.
            match failure(&format!("lost the output of container {container}"), error, 1) {
                Failure::Passing(fault) => line(format!("({fault}: some of it is missing here)")),
                Failure::Final(fault) | Failure::Busy(fault) => return Err(fault),
            }
            self.back(1).await?;
            if !self.container(container).await?.is_some_and(|facts| facts.running) {
                break;
            }
            attached = self.attach(container).await?;
        }
        let code = self.wait(container).await?;
        Ok(Ended { code, out_of_memory: self.ran_out_of_memory(container, code).await? })
    }

    async fn attach(&self, container: &str) -> Result<AttachContainerResults, Fault> {
        let options = &AttachContainerOptions { stream: true, stdout: true, stderr: true, ..Default::default() };
        again(format!("could not attach to container {container}"), |_| async move {
            self.client.attach_container(container, Some(options.clone())).await
        })
        .await
    }

    /// Whether memory was short. The daemon may hear that after it has heard of the end, so a killed container is looked
    /// at for a moment longer.
    async fn ran_out_of_memory(&self, container: &str, code: i64) -> Result<bool, Fault> {
        let deadline = Instant::now() + OUT_OF_MEMORY_NEWS;
        loop {
            let known = self.container(container).await?.is_some_and(|facts| facts.out_of_memory);
            if known || code != KILLED || Instant::now() >= deadline {
                return Ok(known);
            }
            pause(OUT_OF_MEMORY_NEWS / 10).await;
        }
    }

    /// Waits until a started container does not run, and gives its exit code.
    pub(super) async fn wait(&self, container: &str) -> Result<i64, Fault> {
        let what = format!("could not learn how container {container} ended");
        loop {
            let options = WaitContainerOptions { condition: "not-running".into() };
            let mut answers = std::pin::pin!(self.client.wait_container(container, Some(options)));
            let error = match answers.try_next().await {
                Ok(Some(answer)) => return Ok(answer.status_code),
                // The client library makes an error of every exit code but zero.
                Err(Error::DockerContainerWaitError { code, .. }) => return Ok(code),
                Ok(None) => return Err(Fault::new(what).cause("the docker daemon's answer is empty")),
                Err(error) => error,
            };
            // It takes as long as the container does: whoever waits for that has a limit.
            match failure(&what, error, 1) {
                Failure::Passing(_) => self.back(1).await?,
                Failure::Final(fault) | Failure::Busy(fault) => return Err(fault),
            }
        }
    }

    /// The last lines that a container printed, oldest first. A container made with `unlogged` has none.
    ///
    /// # Errors
    /// No such container, or its log cannot be read.
    pub async fn last_lines(&self, container: &str, count: usize) -> Result<Vec<String>, Fault> {
        let what = format!("could not read the log of container {container}");
        let options = &LogsOptions { stdout: true, stderr: true, tail: count.to_string(), ..Default::default() };
        let read = again(what, |_| async move {
            let mut chunks = std::pin::pin!(self.client.logs(container, Some(options.clone())));
            let mut found = Vec::new();
            let mut lines = Output::default();
            while let Some(chunk) = chunks.try_next().await? {
                lines.take(&chunk, &mut |text| found.push(text));
            }
            lines.end(&mut |text| found.push(text));
            Ok(found)
        });
        let mut found = read.await?;
        // One long line of the log may have become several.
        Ok(found.split_off(found.len().saturating_sub(count)))
    }
}

/// Both output streams of a container on their way to lines.
#[derive(Default)]
struct Output {
    stdout: Lines,
    stderr: Lines,
}

impl Output {
    fn take(&mut self, chunk: &LogOutput, line: &mut dyn FnMut(String)) {
        match chunk {
            LogOutput::StdErr { message } => self.stderr.take(message, line),
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                self.stdout.take(message, line);
            }
        }
    }

    fn end(self, line: &mut dyn FnMut(String)) {
        self.stdout.end(line);
        self.stderr.end(line);
    }
}

/// Bytes on their way to lines.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Passes on the lines that `bytes` complete.
    pub(super) fn take(&mut self, bytes: &[u8], line: &mut dyn FnMut(String)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.last() == Some(&b'\n') {
                self.rest.pop();
                emit(&self.rest, line);
                self.rest.clear();
            } else if self.rest.len() > LONGEST_LINE {
                self.cut(line);
            }
        }
    }

    /// Passes on what has no end of line.
    pub(super) fn end(self, line: &mut dyn FnMut(String)) {
        if !self.rest.is_empty() {
            emit(&self.rest, line);
        }
    }

    /// Passes on the front of a line that is too long, and keeps less than a whole piece of it.
    fn cut(&mut self, line: &mut dyn FnMut(String)) {
        // What a carriage return has overwritten is not shown, however long it is.
        if let Some(at) = self.rest[..self.rest.len() - 1].iter().rposition(|&byte| byte == b'\r') {
            self.rest.drain(..=at);
        }
        while self.rest.len() > LONGEST_LINE {
            let front: Vec<u8> = self.rest.drain(..boundary(&self.rest)).collect();
            line(String::from_utf8_lossy(&front).into_owned());
        }
    }
}

/// Where to cut: at the limit, or before the character that lies across it.
fn boundary(bytes: &[u8]) -> usize {
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (LONGEST_LINE - 3..=LONGEST_LINE).rev().find(|at| !continues(at)).unwrap_or(LONGEST_LINE)
}

fn emit(bytes: &[u8], line: &mut dyn FnMut(String)) {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut shown = bytes.rsplit(|&byte| byte == b'\r').next().unwrap_or_default();
    while shown.len() > LONGEST_LINE {
        let (front, rest) = shown.split_at(boundary(shown));
        line(String::from_utf8_lossy(front).into_owned());
        shown = rest;
    }
    line(String::from_utf8_lossy(shown).into_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that come out of these chunks.
    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        chunks.iter().for_each(|chunk| lines.take(chunk, &mut |text| found.push(text)));
        lines.end(&mut |text| found.push(text));
        found
    }

    #[test]
    fn lines_do_not_depend_on_how_they_are_cut_into_chunks() {
        let text = "one\n\ntwo\r\n10%\r100%\r\nä\r".as_bytes();
        let expected = ["one", "", "two", "100%", "ä"];
        assert_eq!(lines(&[text]), expected);
        for at in 0..text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]]), expected, "cut at {at}");
        }
        assert_eq!(lines(&[b"\xFFx\n"]), ["\u{fffd}x"]);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_nothing_of_it_is_lost() {
        let text = format!("x{}", "ä".repeat(LONGEST_LINE));
        for tail in ["", "\n"] {
            let whole = format!("{text}{tail}");
            for chunks in [vec![whole.as_bytes()], whole.as_bytes().chunks(5000).collect()] {
                let found = lines(&chunks);
                assert!(found.iter().all(|line| line.len() <= LONGEST_LINE && !line.contains('\u{fffd}')));
                assert_eq!(found.concat(), text);
            }
        }
    }

    #[test]
    fn a_progress_bar_without_end_does_not_grow() {
        let bar = b"working\r".repeat(LONGEST_LINE);
        assert_eq!(lines(&[&bar, b"done\n"]), ["done"]);
    }
}
