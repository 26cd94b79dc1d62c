//! The reports that tests leave in their container: found, read as they come out of it, and told of as one.

use std::collections::BTreeSet;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};

use super::junit::{self, Problem, Tally};
use super::repository::Files;
use crate::docker::Docker;
use crate::engine::event::{Fact, TestCounts};
use crate::engine::{StageCx, in_words};

/// No report is read beyond this, in bytes.
const LONGEST_REPORT: u64 = 64 << 20;

/// What lies at one path is not read beyond this, in bytes: a pattern may have to look at everything below a directory.
const MOST_AT_A_PATH: u64 = 1 << 30;

/// How long reading may take; the tests have ended, and somebody waits for their verdict.
const LIMIT: Duration = Duration::from_secs(30);

/// Damaged reports that are named.
const DAMAGED_NAMED: usize = 5;

/// No more reports are read: a test may write as many as it likes.
const MOST_REPORTS: usize = 10_000;

/// Symbolic links that are followed to a file of a container.
pub(super) const MOST_LINKS: usize = 3;

/// Reads the reports at some paths of a container, running or not, and tells of them as one fact; relative ones begin in
/// `working_dir`, `context` lies in the repository. `None` when no report was there. What is missing or damaged costs a
/// warning, never the run.
pub async fn read(
    cx: &StageCx,
    docker: &Docker,
    container: &str,
    working_dir: &str,
    paths: &[String],
    context: &Path,
) -> Option<TestCounts> {
    let mut reports = Reports::default();
    let all = async {
        for path in paths {
            // What was read stays if time runs out over the next.
            let more = read_at(cx, docker, container, &absolute(working_dir, path), &reports.read).await;
            reports.merge(more);
            if reports.is_cut_off {
                cx.warn(format!("only the first {MOST_REPORTS} test reports were read"));
                break;
            }
        }
    };
    if tokio::time::timeout(LIMIT, all).await.is_err() {
        cx.warn(format!("the test reports could not all be read within {}", in_words(LIMIT)));
    }
    reports.damaged.iter().for_each(|sentence| cx.warn(sentence.as_str()));
    if reports.more_damaged > 0 {
        cx.warn(format!("and {} more test reports are damaged", reports.more_damaged));
    }
    if reports.read.is_empty() {
        return None;
    }
    if reports.tally.is_empty() && reports.damaged.is_empty() {
        cx.warn("the test reports tell of no test");
    }
    let (tally, context) = (reports.tally, context.to_owned());
    let located = tokio::task::spawn_blocking(move || {
        let files = Files::mentioned(tally.mentions(), &context);
        tally.located(|mentions| files.locate(mentions))
    });
    let counts = located.await.ok()?;
    cx.fact(Fact::Tests(counts.clone()));
    Some(counts)
}

/// A path of a container from its root on, without `.`, `..` and empty parts.
pub(super) fn absolute(working_dir: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{working_dir}/{path}") };
    let parts = whole.split('/').fold(Vec::new(), |mut parts, part| {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
        parts
    });
    format!("/{}", parts.join("/"))
}

/// What was read so far.
#[derive(Clone, Debug, Default)]
struct Reports {
    tally: Tally,
    /// Paths of reports: two patterns may meet the same.
    read: Arc<BTreeSet<String>>,
    /// A sentence for each of the first that could not be read to their end.
    damaged: Vec<String>,
    /// How many others could not.
    more_damaged: usize,
    /// Whether there were more than are read.
    is_cut_off: bool,
}

impl Reports {
    fn is_damaged(&mut self, sentence: String) {
        match self.damaged.len() < DAMAGED_NAMED {
            true => self.damaged.push(sentence),
            false => self.more_damaged += 1,
        }
    }

    /// Adds what lies at another path.
    fn merge(&mut self, more: Self) {
        self.tally.merge(more.tally);
        Arc::make_mut(&mut self.read).extend(Arc::unwrap_or_clone(more.read));
        more.damaged.into_iter().for_each(|sentence| self.is_damaged(sentence));
        self.more_damaged += more.more_damaged;
        self.is_cut_off |= more.is_cut_off;
    }
}

/// What lies at a path.
enum Found {
    /// So many reports.
    Reports(Box<Reports>, usize),
    /// A symbolic link, and where it leads.
    Link(String),
}

/// What lies at a path; what is `known` is not read again.
async fn read_at(cx: &StageCx, docker: &Docker, container: &str, path: &str, known: &Arc<BTreeSet<String>>) -> Reports {
    let mut wanted = Wanted::at(path);
    for _ in 0..=MOST_LINKS {
        let (next, known) = (wanted.clone(), known.clone());
        match docker.read_tar(container, &wanted.root, move |tar| next.read(tar, &known)).await {
            Ok(Some(Found::Reports(reports, found))) => {
                if found == 0 && !reports.is_cut_off {
                    cx.warn(format!("there is no test report at {path} in the container"));
                }
                return *reports;
            }
            Ok(Some(Found::Link(to))) => wanted = wanted.led_to(&to),
            Ok(None) => {
                cx.warn(format!("there is no test report at {path} in the container"));
                return Reports::default();
            }
            Err(fault) => {
                cx.warn(format!("the test reports at {path} could not be read: {fault}"));
                return Reports::default();
            }
        }
    }
    cx.warn(format!("the test reports at {path} could not be read: links lead in a circle"));
    Reports::default()
}

/// Which files are reports.
#[derive(Clone, Debug)]
struct Wanted {
    /// The file or directory that is copied out of the container.
    root: String,
    /// What names below it must match, in whole; without one, what ends in `.xml`.
    pattern: Option<GlobMatcher>,
    /// What the names began with before a link was followed.
    named: String,
}

impl Wanted {
    /// A file, a directory, or a pattern of the container.
    fn at(path: &str) -> Self {
        let is_pattern = |part: &&str| part.contains(['*', '?', '[', '{']);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let plain = parts.iter().position(is_pattern);
        let glob = plain.and_then(|_| GlobBuilder::new(path).literal_separator(true).build().ok());
        let root = match (plain, &glob) {
            (Some(plain), Some(_)) => format!("/{}", parts[..plain].join("/")),
            _ => path.to_owned(),
        };
        Self { named: root.clone(), root, pattern: glob.map(|glob| glob.compile_matcher()) }
    }

    /// The same behind a link that `root` is.
    fn led_to(self, link: &str) -> Self {
        let directory = self.root.rsplit_once('/').map_or("", |(directory, _)| directory);
        Self { root: absolute(directory, link), ..self }
    }

    /// Reads the reports out of a tar file of `root`, but those that are `known`.
    fn read(&self, tar: &mut dyn Read, known: &BTreeSet<String>) -> Found {
        let (mut reports, mut found) = (Reports::default(), 0);
        let mut tar = tar::Archive::new(tar.take(MOST_AT_A_PATH));
        let broke = |reports: &mut Reports, why: std::io::Error| {
            let sentence = format!("not everything at {} could be looked at for test reports: {why}", self.named);
            reports.is_damaged(sentence);
        };
        let entries = match tar.entries() {
            Ok(entries) => entries,
            Err(error) => {
                broke(&mut reports, error);
                return Found::Reports(Box::new(reports), found);
            }
        };
        for entry in entries {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    broke(&mut reports, error);
                    break;
                }
            };
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = self.path_of(&name);
            let kind = entry.header().entry_type();
            if kind.is_symlink() && path == self.named {
                let link = entry.link_name_bytes().unwrap_or_default();
                return Found::Link(String::from_utf8_lossy(&link).into_owned());
            }
            let is_read = known.contains(&path) || reports.read.contains(&path);
            if !kind.is_file() || !self.is_wanted(&path) || is_read {
                found += usize::from(is_read);
                continue;
            }
            if known.len() + reports.read.len() >= MOST_REPORTS {
                reports.is_cut_off = true;
                break;
            }
            let is_long = entry.size() > LONGEST_REPORT;
            let read = junit::read(BufReader::new((&mut entry).take(LONGEST_REPORT)), &mut reports.tally);
            match read {
                // Other XML lies beside reports; a file that was named is no other.
                Err(Problem::NoReport) if path != self.named => continue,
                Ok(()) => {}
                Err(problem) => {
                    let why = if is_long { "it is larger than 64 MiB".to_owned() } else { problem.to_string() };
                    reports.is_damaged(format!("the test report {path} could not be read to its end: {why}"));
                }
            }
            found += 1;
            Arc::make_mut(&mut reports.read).insert(path);
        }
        Found::Reports(Box::new(reports), found)
    }

    /// The path of an entry, whose name begins with the last part of `root`.
    fn path_of(&self, name: &str) -> String {
        let below = name.trim_start_matches("./").trim_matches('/').split_once('/').map(|(_, below)| below);
        match below {
            Some(below) if self.root.len() > 1 => format!("{}/{below}", self.named.trim_end_matches('/')),
            None if self.root.len() > 1 => self.named.clone(),
            _ => absolute("", name),
        }
    }

    fn is_wanted(&self, path: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.is_match(path),
            None => path == self.named || path.ends_with(".xml"),
        }
    }
}

#[cfg(test)]
mod tests;
