//! How much a run asks of GitHub, whatever state that is in, and what its check runs end as.

use std::time::Duration;

use super::{Checks, Limits};
use crate::engine::event::{End, EventKind, Outcome, Stage};
use crate::engine::retry::pause;
use crate::local::github::{CheckRun, GithubState, GithubWorld, Refusal};
use crate::report::rehearsal::*;
use crate::report::{ConsoleStyle, Report};

/// Requests that a run of ten stages may send.
const BUDGET: usize = 40;

async fn world() -> GithubWorld {
    GithubWorld::start(GithubState::default()).await.unwrap()
}

/// A whole run that talks in every stage, and shows its output as often as it may.
async fn talkative(world: &GithubWorld, act: impl AsyncFn(usize)) -> String {
    let limits = Limits { progress: Duration::from_millis(1), ..Limits::default() };
    let plan = plan(Some(world));
    let report = report(&plan, ConsoleStyle::default());
    let report = Report { checks: report.checks.map(|checks| Checks { limits, ..checks }), ..report };
    reported_by(report, async |events| {
        for (at, kind) in deployed().into_iter().enumerate() {
            let begun = if let EventKind::StageStarted { key } = &kind { Some(key.clone()) } else { None };
            events.emit(kind);
            if let Some(key) = begun {
                for line in 0..5 {
                    events.emit(EventKind::StageLine { key: key.clone(), line: format!("line {line}") });
                    pause(Duration::from_millis(30)).await;
                }
            }
            act(at).await;
        }
    })
    .await
}

/// All check runs of the run, completed, and as often asked as a run may.
fn is_told_within_the_budget(world: &GithubWorld, log: &str) {
    let runs = world.github.state().check_runs;
    let well = |run: &CheckRun| run.conclusion.as_deref() == Some("success");
    assert!(runs.len() == 11 && runs.iter().all(well), "{runs:?}");
    assert!(world.github.log().len() <= BUDGET, "{} requests", world.github.log().len());
    assert!(log.contains("result: deployed (exit code 0)"), "{log}");
}

#[tokio::test]
async fn a_run_of_ten_stages_sends_at_most_forty_requests_however_much_it_says() {
    let world = world().await;
    let log = talkative(&world, async |_| ()).await;
    is_told_within_the_budget(&world, &log);
    let shown =
        world.github.log().into_iter().filter(|logged| {
            logged.body["status"] == "in_progress" && logged.body["output"]["text"].as_str().is_some()
        });
    assert!(shown.count() > 0, "output is shown while a stage is under way");
}

#[tokio::test]
async fn so_does_one_whose_github_is_slow() {
    let world = world().await;
    world.github.set(|settings| settings.latency = Duration::from_millis(200));
    let log = talkative(&world, async |_| ()).await;
    is_told_within_the_budget(&world, &log);
}

#[tokio::test]
async fn so_does_one_whose_github_is_down_for_a_while() {
    let world = world().await;
    world.github.set(|settings| settings.always = Some(Refusal::Server(503)));
    let log = talkative(&world, async |at| {
        if at == 25 {
            world.github.set(|settings| settings.always = None);
        }
    })
    .await;
    is_told_within_the_budget(&world, &log);
    assert!(!log.contains("warning"), "{log}");
}

#[tokio::test]
async fn so_does_one_that_is_throttled_again_and_again() {
    let world = world().await;
    let log = talkative(&world, async |at| {
        if at % 12 == 4 {
            world.github.set(|settings| settings.next_writes.push_back(Refusal::TooMany(1)));
        }
    })
    .await;
    is_told_within_the_budget(&world, &log);
}

#[tokio::test]
async fn what_waits_for_a_person_asks_for_action_and_what_only_names_changes_is_neutral() {
    let cases = [(End::Waiting, "shop / promote", "action_required"), (End::Planned, "beanline", "neutral")];
    for (end_of_run, name, expected) in cases {
        let world = world().await;
        let mut kinds = story_until(Stage::Promote);
        kinds.push(end(Stage::Promote, Outcome::Skipped("promote is manual: the candidate waits".to_owned())));
        kinds.push(finish(end_of_run, Vec::new()));
        reported(&plan(Some(&world)), ConsoleStyle::default(), async |events| {
            kinds.into_iter().for_each(|kind| events.emit(kind));
        })
        .await;
        let runs = world.github.state().check_runs;
        let found = runs.iter().find(|run| run.name == name).unwrap();
        assert_eq!(found.conclusion.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn the_step_summary_links_to_the_check_runs() {
    let world = world().await;
    let file = std::env::temp_dir().join(format!("beanline-summary-{}", uuid::Uuid::new_v4()));
    let plan = crate::inputs::ReportPlan { summary_file: Some(file.clone()), ..plan(Some(&world)) };
    reported(&plan, ConsoleStyle::default(), async |events| {
        for kind in deployed() {
            events.emit(kind);
            pause(Duration::from_millis(20)).await;
        }
    })
    .await;
    let summary = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(summary.contains("| [build](http://"), "{summary}");
    assert!(summary.contains("```mermaid\ngantt\n"), "{summary}");
}
