//! The two files of a GitHub step: its summary and its outputs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::checks::Links;
use super::feed::Feeding;
use super::markdown::{fit, prose};
use super::story::Story;
use super::words::known::Known;
use super::words::{run, timeline};
use crate::fault::Fault;

/// A summary above 1 MiB is dropped as a whole by the Actions runner (docs.github.com, workflow commands).
const LARGEST_SUMMARY: usize = 1_000_000;

/// Writes them when the run has finished.
#[derive(Debug)]
pub struct Actions {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
    run_url: Option<String>,
    limit: Option<Duration>,
    name: String,
    links: Links,
}

impl Actions {
    /// `None` when there is no file to write.
    pub fn new(summary: Option<PathBuf>, output: Option<PathBuf>, run_url: Option<String>) -> Option<Self> {
        let (name, links) = (String::new(), Links::default());
        (summary.is_some() || output.is_some()).then_some(Self { summary, output, run_url, limit: None, name, links })
    }

    /// The same, with a link from each stage to its check run, which is called `<name> / <stage>`.
    pub fn linking(self, name: &str, links: Links) -> Self {
        Self { name: name.to_owned(), links, ..self }
    }

    /// The same, for a run that may take so long.
    pub fn bounded_by(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Listens to the end and writes.
    ///
    /// # Errors
    /// When a file cannot be written; the other one is written all the same.
    pub async fn run(self, mut feeding: Feeding) -> Result<(), Fault> {
        let mut story = Story::bounded_by(self.limit);
        while let Some(event) = feeding.next_event().await {
            story.take(&event);
        }
        if story.end.is_none() {
            return Ok(());
        }
        let outputs = match &self.output {
            Some(path) => append(path, &outputs(&story, || uuid::Uuid::new_v4().to_string())).await,
            None => Ok(()),
        };
        let summary = match &self.summary {
            Some(path) => append(path, &self.summary(&story)).await,
            None => Ok(()),
        };
        outputs.and(summary)
    }

    fn summary(&self, story: &Story) -> String {
        page(story, self.run_url.as_deref(), &|stage| self.links.of(&format!("{} / {stage}", self.name)))
    }
}

/// The run on one page of Markdown: what came of it, and when its stages ran.
pub(super) fn page(story: &Story, run_url: Option<&str>, url_of: &dyn Fn(&str) -> Option<String>) -> String {
    let result = story.end.as_ref().map_or("unfinished", |(end, _)| end.result());
    let heading = format!("## {}: {result}\n\n", prose(&story.about));
    let chart = timeline::chart(story, chrono::Utc::now() - story.elapsed);
    // A chart that is cut is not drawn, so that it is the rest that makes room.
    let room = LARGEST_SUMMARY.saturating_sub(chart.len());
    fit(&(heading + &run::summary(story, run_url, url_of)), room) + &chart
}

async fn append(path: &Path, text: &str) -> Result<(), Fault> {
    let write = async {
        let mut file = tokio::fs::OpenOptions::new().append(true).create(true).open(path).await?;
        file.write_all(text.as_bytes()).await?;
        file.flush().await
    };
    write.await.map_err(|error| Fault::new(format!("could not write {}", path.display())).because(error))
}

/// The outputs, in the syntax of a file command.
fn outputs(story: &Story, delimiter: impl Fn() -> String) -> String {
    let known = Known::of(story);
    let result = story.end.iter().map(|(end, _)| ("result", end.result()));
    known.outputs().into_iter().chain(result).map(|(name, value)| output(name, value, &delimiter)).collect()
}

/// `name=value`, or a heredoc when the value has several lines.
fn output(name: &str, value: &str, delimiter: &impl Fn() -> String) -> String {
    if !value.contains(['\n', '\r']) {
        return format!("{name}={value}\n");
    }
    // Drawn by chance, so that no value can end itself early.
    let end = format!("ghadelimiter_{}", delimiter());
    format!("{name}<<{end}\n{value}\n{end}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{End, EventKind, Fact, Outcome, Stage};
    use crate::report::rehearsal::{failing, finish, story};

    #[test]
    fn the_page_is_under_a_mebibyte_whatever_a_run_says_and_its_chart_is_whole() {
        let text = "ż|*`".repeat(200_000);
        let mut kinds = failing(Stage::UnitTest);
        let fact = Fact::Kept { what: text.clone(), why: text.clone(), command: Some(text.clone()) };
        kinds.push(EventKind::StageFact { key: Stage::UnitTest.into(), fact });
        let fault = Fault::new(text.clone()).cause(text.clone()).lines([text.as_str()]).hint(text.clone());
        kinds.push(crate::report::rehearsal::end(Stage::Push, Outcome::Failed(fault)));
        kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
        let mut story = story(kinds);
        let usual = page(&story, None, &|_| None).len();
        story.about = text;
        let page = page(&story, None, &|_| None);
        assert!(page.len() < 1 << 20 && usual < 1 << 20, "{} and {usual}", page.len());
        assert!(
            page.contains("\n```mermaid\ngantt\n")
                && page.contains("    unit test :crit, ")
                && page.ends_with("\n```\n")
        );
    }

    #[test]
    fn outputs_of_one_line_are_plain_and_longer_ones_cannot_end_themselves() {
        let delimiter = || "D".to_owned();
        assert_eq!(output("tag", "1f0c2aa", &delimiter), "tag=1f0c2aa\n");
        assert_eq!(
            output("a", "b\nresult=forged", &delimiter),
            "a<<ghadelimiter_D\nb\nresult=forged\nghadelimiter_D\n"
        );
    }
}
