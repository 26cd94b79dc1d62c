//! The report as files, in the directory that the input `report_dir` names: for CIs that keep a job's files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::actions::page;
use super::feed::Feeding;
use super::json;
use super::story::Story;
use super::words;
use super::words::known::Known;
use crate::fault::Fault;

/// One event a line, as in the log with `log_format: json`.
const EVENTS: &str = "events.jsonl";

/// How the run ended, its outputs and its stages.
const RESULT: &str = "result.json";

/// The run on one page.
const SUMMARY: &str = "summary.md";

/// Writes the files.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    run_url: Option<String>,
    limit: Option<Duration>,
}

impl Files {
    /// Files in this directory, which is made when it is missing.
    pub fn new(directory: PathBuf, run_url: Option<String>) -> Self {
        Self { directory, run_url, limit: None }
    }

    /// The same, for a run that may take so long.
    pub fn bounded_by(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Writes the events as they come, and the other files when the run has finished.
    ///
    /// # Errors
    /// When the directory or a file cannot be made or written; what is there of it stays.
    pub async fn run(self, mut feeding: Feeding) -> Result<(), Fault> {
        let refused = |error: std::io::Error| {
            Fault::new(format!("could not write the report into {}", self.directory.display()))
                .because(error)
                .hint("look at the input `report_dir`: it names a directory that Beanline may make and write to")
        };
        let missing = first_missing(&self.directory);
        tokio::fs::create_dir_all(&self.directory).await.map_err(refused)?;
        let mut events = File::create(self.directory.join(EVENTS)).await.map_err(refused)?;
        let mut story = Story::bounded_by(self.limit);
        while let Some(event) = feeding.next_event().await {
            story.take(&event);
            if let Some(line) = json::line(&event) {
                events.write_all(format!("{line}\n").as_bytes()).await.map_err(refused)?;
            }
        }
        events.flush().await.map_err(refused)?;
        let (summary, result) = (page(&story, self.run_url.as_deref(), &|_| None), result(&story).to_string() + "\n");
        for (name, text) in [(SUMMARY, summary), (RESULT, result)] {
            tokio::fs::write(self.directory.join(name), text).await.map_err(refused)?;
        }
        let written = [EVENTS, SUMMARY, RESULT].map(|name| self.directory.join(name));
        give_away(&self.directory, missing, &written);
        Ok(())
    }
}

/// The uppermost directory of the path that is not there yet.
fn first_missing(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().filter(|path| !path.as_os_str().is_empty() && !path.exists()).last().map(Path::to_owned)
}

/// In a container we are root, and whoever has checked the repository out could not remove what belongs to root: what we
/// made goes to the owner of the directory that was there before. Where that is not allowed, it is as good as done.
fn give_away(directory: &Path, made: Option<PathBuf>, files: &[PathBuf]) {
    use std::os::unix::fs::{MetadataExt, chown};
    let made: Vec<&Path> = match &made {
        Some(top) => directory.ancestors().take_while(|path| path.starts_with(top)).collect(),
        None => Vec::new(),
    };
    let existing = made.last().map_or(Some(directory), |top| top.parent());
    let existing = existing.map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    let Some(Ok(owner)) = existing.map(std::fs::metadata) else { return };
    for path in made.into_iter().chain(files.iter().map(PathBuf::as_path)) {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

/// What a program wants to know of a run that is over.
fn result(story: &Story) -> Value {
    let known = Known::of(story);
    let outputs: Map<String, Value> =
        known.outputs().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let stages: Vec<Value> = story
        .stages
        .iter()
        .map(|stage| {
            let took = u64::try_from(stage.took.as_millis()).unwrap_or(u64::MAX);
            json!({
                "stage": stage.key.to_string(),
                "result": words::state(&stage.state, story.end.is_some()),
                "took_ms": took,
                "because": stage.failure().map(|failure| &failure.what),
            })
        })
        .collect();
    json!({
        "about": story.about,
        "result": story.end.as_ref().map(|(end, _)| end.result()),
        "exit_code": story.end.as_ref().map(|(_, exit)| exit.code()),
        "outputs": outputs,
        "stages": stages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{End, Stage};
    use crate::inputs::{ReportPlan, Secret};
    use crate::report::ConsoleStyle;
    use crate::report::rehearsal::{deployed, failing, finish, plan, reported};

    fn read(directory: &Path, name: &str) -> String {
        std::fs::read_to_string(directory.join(name)).unwrap()
    }

    #[tokio::test]
    async fn a_run_leaves_its_events_its_result_and_a_page_for_people() {
        let top = std::env::temp_dir().join(format!("beanline-report-dir-{}", uuid::Uuid::new_v4()));
        let directory = top.join("a/b");
        let plan = ReportPlan { report_dir: Some(directory.clone()), masks: vec![Secret::new("a3f")], ..plan(None) };
        reported(&plan, ConsoleStyle::default(), async |events| {
            deployed().into_iter().for_each(|kind| events.emit(kind));
        })
        .await;
        let result: Value = serde_json::from_str(&read(&directory, RESULT)).unwrap();
        assert_eq!((&result["result"], &result["exit_code"]), (&json!("deployed"), &json!(0)));
        assert_eq!(result["outputs"]["environment_name"], json!("shop-b"));
        assert_eq!(result["stages"][1]["stage"], json!("build"));
        let events = read(&directory, EVENTS);
        let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], json!("run_finished"));
        let page = read(&directory, SUMMARY);
        assert!(page.starts_with("## shop at 1f0c2aa: deployed") && page.contains("```mermaid"), "{page}");
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_costs_a_warning() {
        let file = std::env::temp_dir().join(format!("beanline-report-file-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, "").unwrap();
        let plan = ReportPlan { report_dir: Some(file.join("x")), ..plan(None) };
        let mut kinds = failing(Stage::Build);
        kinds.push(finish(End::Failed(Stage::Build), Vec::new()));
        let log = reported(&plan, ConsoleStyle::default(), async |events| {
            kinds.into_iter().for_each(|kind| events.emit(kind));
        })
        .await;
        std::fs::remove_file(&file).unwrap();
        assert!(log.contains("could not write the report into") && log.contains("result: failed"), "{log}");
    }
}
