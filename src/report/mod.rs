//! Events in, words out. Every sink runs in a task of its own and may break without hurting the run.

mod actions;
mod checks;
pub(crate) mod clean;
mod console;
mod feed;
mod files;
mod json;
mod markdown;
pub mod mask;
#[cfg(test)]
mod rehearsal;
mod story;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::task::JoinHandle;

use crate::engine::EventReceiver;
use crate::engine::event::EventKind;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::{CiFacts, ReportKind, ReportPlan, Secret};
use actions::Actions;
pub use checks::complete_left_open;
use checks::{Checks, Links, Record};
use console::Console;
pub use console::{ConsoleStyle, Dialect};
use feed::{Feed, Feeding, feed};
use files::Files;
use mask::SharedMask;

/// What a sink may add to the end of a run, at most.
const SINK_LIMIT: Duration = Duration::from_secs(20);

/// The sinks beside the log, as warnings name them.
const CHECK_RUNS: &str = "check runs on GitHub";
const RECORD: &str = "deployment record on GitHub";
const STEP_FILES: &str = "step summary and outputs";
const REPORT_DIR: &str = "files of `report_dir`";

/// The sinks of a run.
pub struct Report {
    console: Console,
    out: Box<dyn AsyncWrite + Send + Unpin>,
    checks: Option<Checks>,
    record: Option<Record>,
    actions: Option<Actions>,
    files: Option<Files>,
    masks: Vec<Secret>,
}

impl Report {
    /// The sinks that the plan asks for. `name` is the application's, before the slash of every check run's name.
    ///
    /// It writes to standard output and names the run by chance, unless [`Report::writing_to`] and [`Report::named`] say
    /// otherwise.
    pub fn new(plan: &ReportPlan, name: &str, ci: &CiFacts, console: ConsoleStyle) -> Self {
        let wants_checks = matches!(plan.kind, ReportKind::Auto | ReportKind::Checks | ReportKind::Statuses);
        let record = plan.deployment.as_ref().zip(plan.github.as_ref());
        let github = plan.github.as_ref().filter(|_| wants_checks);
        let token = plan.github.iter().map(|github| github.token.clone());
        let masks: Vec<Secret> = plan.masks.iter().cloned().chain(token).filter(Secret::is_masked).collect();
        let summary = plan.summary_file.clone().filter(|_| plan.kind != ReportKind::None);
        let links = Links::default();
        let actions = Actions::new(summary, plan.output_file.clone(), ci.run_url.clone());
        Self {
            console: Console::new(console, name, &masks),
            out: Box::new(tokio::io::stdout()),
            checks: github.map(|github| Checks::new(github.clone(), plan.kind, name, ci).linking(links.clone())),
            record: record.map(|(name, github)| Record::new(github.clone(), name, ci.run_url.clone())),
            actions: actions.map(|actions| actions.linking(name, links)),
            files: plan.report_dir.clone().map(|directory| Files::new(directory, ci.run_url.clone())),
            masks,
        }
    }

    /// The same, with the log written to `out`.
    #[must_use]
    pub fn writing_to(self, out: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { out: Box::new(out), ..self }
    }

    /// The same, with check runs that carry this run's id, and how long it may take.
    #[must_use]
    pub fn named(self, run_id: &str, timeout: Duration) -> Self {
        Self {
            console: self.console.bounded_by(timeout),
            checks: self.checks.map(|checks| checks.named(run_id, timeout)),
            record: self.record.map(|record| record.named(run_id)),
            actions: self.actions.map(|actions| actions.bounded_by(timeout)),
            files: self.files.map(|files| files.bounded_by(timeout)),
            ..self
        }
    }

    /// Reports until the run has finished and every sink is done with it, which GitHub may delay by 20 s at most.
    pub async fn run(self, mut events: EventReceiver) {
        let (console, console_feeding) = feed();
        let console_task = tokio::spawn(self.console.run(self.out, console_feeding));
        let mask = SharedMask::new(&self.masks);
        let checks = self.checks.map(|checks| {
            let (told, shown) = (console.clone(), mask.clone());
            let tell = move |text: String| {
                let text = shown.lock().shown(&text);
                told.trouble(text);
            };
            sink(CHECK_RUNS, &console, &mask, |feeding| checks.run(feeding, tell))
        });
        let record = self.record.map(|record| sink(RECORD, &console, &mask, |feeding| record.run(feeding)));
        let actions = self.actions.map(|actions| sink(STEP_FILES, &console, &mask, |feeding| actions.run(feeding)));
        let files = self.files.map(|files| sink(REPORT_DIR, &console, &mask, |feeding| files.run(feeding)));
        while let Some(event) = events.next().await {
            if let EventKind::SecretLearnt { secret } = &event.kind {
                mask.lock().learn(secret);
                console.secret(secret);
                continue;
            }
            let event = Arc::new(mask.lock().event(event));
            let sinks = [&checks, &record, &actions, &files].map(|sink| sink.as_ref().map(|sink| &sink.0));
            for feed in std::iter::once(Some(&console)).chain(sinks) {
                feed.iter().for_each(|feed| feed.event(&event));
            }
            if is_last(&event.kind) {
                break;
            }
        }
        // The feeds end here, and with them what the sinks wait for.
        let [actions, checks, record, files] = [actions, checks, record, files].map(|sink| sink.map(|(_, task)| task));
        let too_slow = |what: &'static str| {
            let console = &console;
            move || console.trouble(words::too_slow(what, SINK_LIMIT))
        };
        tokio::join!(
            finish(actions, SINK_LIMIT, too_slow(STEP_FILES)),
            finish(files, SINK_LIMIT, too_slow(REPORT_DIR)),
            finish(checks, SINK_LIMIT, too_slow(CHECK_RUNS)),
            finish(record, SINK_LIMIT, too_slow(RECORD))
        );
        drop(console);
        finish(Some(console_task), SINK_LIMIT, || ()).await;
    }
}

fn is_last(kind: &EventKind) -> bool {
    matches!(kind, EventKind::RunFinished { .. })
}

/// Starts a sink; when it breaks, the console is told once.
fn sink<F>(
    name: &'static str,
    console: &Feed,
    mask: &SharedMask,
    run: impl FnOnce(Feeding) -> F,
) -> (Feed, JoinHandle<()>)
where
    F: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let (feed, feeding) = feed::feed();
    let (work, console, mask) = (run(feeding), console.clone(), mask.clone());
    let task = tokio::spawn(async move {
        if let Err(fault) = work.await {
            let text = words::broken(name, &fault);
            console.trouble(mask.lock().shown(&text));
        }
    });
    (feed, task)
}

/// Waits for a sink's task, and ends it when the limit is reached.
async fn finish<T>(task: Option<JoinHandle<T>>, limit: Duration, too_slow: impl FnOnce()) {
    let Some(mut task) = task else { return };
    tokio::select! {
        _ = &mut task => {}
        () = pause(limit) => {
            task.abort();
            too_slow();
        }
    }
}
