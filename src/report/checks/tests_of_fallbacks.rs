//! What GitHub gets when it does not take check runs, and the record of a deployment.

use crate::engine::event::{End, Outcome, Stage};
use crate::inputs::{CiFacts, ReportKind, ReportPlan};
use crate::local::github::{CheckRun, GithubState, GithubWorld, Refusal, Status};
use crate::report::ConsoleStyle;
use crate::report::rehearsal::*;

async fn told(plan: &ReportPlan, kinds: Vec<crate::engine::event::EventKind>) -> String {
    reported(plan, ConsoleStyle::default(), async |events| kinds.into_iter().for_each(|kind| events.emit(kind))).await
}

/// The newest status of a context.
fn newest(world: &GithubWorld, context: &str) -> Option<Status> {
    world.github.state().statuses.iter().filter(|status| status.context == context).max_by_key(|s| s.id).cloned()
}

#[tokio::test]
async fn a_token_that_may_not_write_check_runs_writes_statuses_and_says_so_once() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    world.github.set(|settings| settings.on_path = Some(("/check-runs".into(), Refusal::NotAccessible)));
    let log = told(&plan(Some(&world)), deployed()).await;
    assert_eq!(log.matches("commit statuses stand for check runs").count(), 1, "{log}");
    assert!(log.contains("Resource not accessible by integration") && log.contains("statuses: write"), "{log}");
    assert!(world.github.state().check_runs.is_empty());
    for context in Stage::PIPELINE.iter().map(|stage| format!("shop / {}", stage.name())).chain(["beanline".into()]) {
        let status = newest(&world, &context).unwrap_or_else(|| panic!("{context} has no status"));
        assert_eq!((status.state.as_str(), status.sha.as_str()), ("success", SHA), "{context}");
        assert_eq!(status.target_url.as_deref(), Some("https://ci.example/runs/7"));
    }
    let words = newest(&world, "beanline").and_then(|status| status.description);
    assert_eq!(words.as_deref(), Some("live serves version 42 at http://shop.local/"));
    let asked = world.github.log().len();
    assert!(asked <= 40, "{asked} requests");
}

#[tokio::test]
async fn with_no_right_at_all_the_log_says_it_once_and_the_run_goes_on() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    world.github.set(|settings| settings.always = Some(Refusal::NotAccessible));
    let log = told(&plan(Some(&world)), deployed()).await;
    assert_eq!(log.matches("Resource not accessible by integration").count(), 1, "{log}");
    assert!(log.contains("the run goes on without it") && log.contains("result: deployed (exit code 0)"), "{log}");
}

#[tokio::test]
async fn what_was_asked_for_is_not_replaced() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let of = |kind| ReportPlan { kind, ..plan(Some(&world)) };
    told(&of(ReportKind::Statuses), deployed()).await;
    let state = world.github.state();
    assert!(state.check_runs.is_empty() && !state.statuses.is_empty());
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    world.github.set(|settings| settings.on_path = Some(("/check-runs".into(), Refusal::NotAccessible)));
    let log = told(&ReportPlan { kind: ReportKind::Checks, ..plan(Some(&world)) }, deployed()).await;
    assert!(world.github.state().statuses.is_empty() && log.contains("the run goes on without it"), "{log}");
}

#[tokio::test]
async fn a_failed_stage_is_a_failed_status_with_its_reason() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let mut kinds = failing(Stage::UnitTest);
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    told(&ReportPlan { kind: ReportKind::Statuses, ..plan(Some(&world)) }, kinds).await;
    let status = newest(&world, "shop / unit test").unwrap();
    assert_eq!(status.state, "failure");
    assert!(status.description.unwrap().starts_with("the environment did not become healthy"));
    assert_eq!(newest(&world, "beanline").unwrap().state, "failure");
}

#[tokio::test]
async fn a_deployment_is_recorded_once_with_its_url() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let plan = ReportPlan { deployment: Some("production".into()), ..plan(Some(&world)) };
    world.github.set(|settings| settings.on_path = Some(("/deployments".into(), Refusal::LostAnswer)));
    let reported = reported(&plan, ConsoleStyle::default(), async |events| {
        let mut kinds = deployed().into_iter();
        for kind in kinds.by_ref() {
            let begins =
                matches!(&kind, crate::engine::event::EventKind::StageStarted { key } if key.stage == Stage::Deploy);
            events.emit(kind);
            if begins {
                break;
            }
        }
        while world.github.state().deployments.is_empty() {
            crate::engine::retry::pause(std::time::Duration::from_millis(5)).await;
        }
        world.github.set(|settings| settings.on_path = None);
        kinds.for_each(|kind| events.emit(kind));
    });
    let log = reported.await;
    let deployments = world.github.state().deployments;
    assert_eq!(deployments.len(), 1, "{log}");
    assert_eq!((deployments[0].environment.as_str(), deployments[0].r#ref.as_str()), ("production", SHA));
    let states: Vec<&str> = deployments[0].statuses.iter().map(|status| status.state.as_str()).collect();
    assert_eq!(states, ["in_progress", "success"]);
    assert_eq!(deployments[0].statuses[1].environment_url, "http://shop.local/");
}

#[tokio::test]
async fn a_run_that_never_deploys_leaves_no_record_and_one_that_fails_says_so() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let plan = ReportPlan { deployment: Some("production".into()), ..plan(Some(&world)) };
    let mut kinds = failing(Stage::UnitTest);
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    told(&plan, kinds).await;
    assert!(world.github.state().deployments.is_empty());
    let mut kinds = story_until(Stage::Deploy);
    kinds.push(begin(Stage::Deploy));
    kinds.push(end(Stage::Deploy, Outcome::Failed(crate::fault::Fault::new("the environment did not come up"))));
    kinds.push(finish(End::Failed(Stage::Deploy), Vec::new()));
    told(&plan, kinds).await;
    let states: Vec<String> = world.github.state().deployments[0].statuses.iter().map(|s| s.state.clone()).collect();
    assert_eq!(states, ["in_progress", "failure"]);
}

#[tokio::test]
async fn a_run_with_fewer_rights_is_told_why_in_one_sentence() {
    let event = |name: &str| CiFacts { event: Some(name.to_owned()), ..CiFacts::default() };
    let fork = CiFacts { is_fork: true, ..event("pull_request") };
    let dependabot = CiFacts { is_dependabot: true, ..event("push") };
    let own = CiFacts { is_fork: true, ..event("push") };
    let cases = [
        (fork, "this run is for a fork, whose token may only read", 1),
        (dependabot, "this run is Dependabot's, whose token may only read", 1),
        (own, "this run is", 0),
    ];
    for (ci, said, times) in cases {
        for refused in ["/check-runs", ""] {
            let world = GithubWorld::start(GithubState::default()).await.unwrap();
            world.github.set(|settings| settings.on_path = Some((refused.into(), Refusal::NotAccessible)));
            let report = report_in(ci.clone(), "shop", &plan(Some(&world)), ConsoleStyle::default());
            let log =
                reported_by(report, async |events| deployed().into_iter().for_each(|kind| events.emit(kind))).await;
            assert_eq!(log.matches(said).count(), times, "{log}");
            assert!(log.contains("result: deployed (exit code 0)"), "{log}");
        }
    }
}

#[tokio::test]
async fn two_services_on_one_commit_keep_their_check_runs_apart() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let of = |name: &'static str, run: &'static str| {
        let report = report_in(CiFacts::default(), name, &plan(Some(&world)), ConsoleStyle::default());
        report.named(run, std::time::Duration::from_secs(3600))
    };
    let mut bad = failing(Stage::UnitTest);
    bad.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    world.github.set(|settings| settings.next_writes.extend([Refusal::LostAnswer, Refusal::LostAnswer]));
    tokio::join!(
        reported_by(of("shop", "run8"), async |events| deployed().into_iter().for_each(|kind| events.emit(kind))),
        reported_by(of("stock", "run9"), async |events| bad.into_iter().for_each(|kind| events.emit(kind)))
    );
    let runs = world.github.state().check_runs;
    assert_eq!(runs.len(), 22, "{runs:?}");
    let ended = |run: &str, name: &str| {
        let owner = format!("beanline-1/{run}/");
        let is_ours = |one: &&CheckRun| one.external_id.as_ref().is_some_and(|id| id.starts_with(&owner));
        let ours = runs.iter().filter(is_ours).find(|one| one.name == name);
        ours.and_then(|one| one.conclusion.clone())
    };
    assert_eq!(ended("run8", "shop / unit test").as_deref(), Some("success"));
    assert_eq!(ended("run9", "stock / unit test").as_deref(), Some("failure"));
    assert_eq!(ended("run8", "beanline").as_deref(), Some("success"));
    assert_eq!(ended("run9", "beanline").as_deref(), Some("failure"));
}
