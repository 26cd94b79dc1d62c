//! A GitHub that is not github.com: its API lies where `GITHUB_API_URL` says, on an Enterprise Server below a path.

use crate::inputs::{ReportKind, ReportPlan, Secret};
use crate::local::github::{GithubState, GithubWorld, Refusal};
use crate::report::ConsoleStyle;
use crate::report::rehearsal::*;

/// What an App gets for its installation. It belongs to nobody: whoever asks for its user is refused.
const INSTALLATION: &str = "ghs_obviously_fake";

async fn told(kind: ReportKind) -> GithubWorld {
    let world = GithubWorld::start_below("/api/v3", GithubState::default()).await.unwrap();
    world.github.set(|settings| {
        settings.token = Some(INSTALLATION.to_owned());
        settings.next_writes.push_back(Refusal::LostAnswer);
    });
    let mut plan = ReportPlan { kind, deployment: Some("production".to_owned()), ..plan(Some(&world)) };
    plan.github.iter_mut().for_each(|github| github.token = Secret::new(INSTALLATION));
    let log = reported(&plan, ConsoleStyle::default(), async |events| {
        deployed().into_iter().for_each(|kind| events.emit(kind));
    })
    .await;
    assert!(!log.contains("warning"), "{log}");
    world
}

#[tokio::test]
async fn check_runs_and_a_deployment_go_below_the_path_of_an_enterprise_server_with_an_apps_token() {
    let world = told(ReportKind::Auto).await;
    let state = world.github.state();
    assert!(state.check_runs.len() == 11 && state.statuses.is_empty());
    assert!(state.check_runs.iter().all(|run| run.conclusion.as_deref() == Some("success")));
    assert_eq!(state.deployments[0].statuses.last().map(|status| status.state.as_str()), Some("success"));
    let log = world.github.log();
    assert!(log.iter().any(|logged| logged.method == "GET"), "look-ups go there too");
    assert!(log.iter().all(|logged| logged.path.starts_with("/repos/o/r/")), "nothing is asked about a user");
}

#[tokio::test]
async fn so_do_commit_statuses() {
    let world = told(ReportKind::Statuses).await;
    let state = world.github.state();
    assert!(state.check_runs.is_empty());
    assert!(state.statuses.iter().any(|status| status.context == "beanline" && status.state == "success"));
}
