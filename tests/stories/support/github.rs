//! What GitHub shows of a run.

use std::collections::BTreeMap;

use beanline::local::github::{CheckRun, GithubWorld, Logged};

// The same eyes that look at our own GitHub look at what the program sent.
#[path = "../../../src/local/github/contract.rs"]
mod contract;

/// The check runs on a commit, by name.
pub fn check_runs(github: &GithubWorld, sha: &str) -> BTreeMap<String, CheckRun> {
    let all = github.github.state().check_runs.into_iter();
    all.filter(|run| run.head_sha == sha).map(|run| (run.name.clone(), run)).collect()
}

/// Name and conclusion of every check run on a commit; `open` for one that was never completed.
pub fn conclusions(github: &GithubWorld, sha: &str) -> BTreeMap<String, String> {
    let open = || "open".to_owned();
    check_runs(github, sha).into_iter().map(|(name, run)| (name, run.conclusion.unwrap_or_else(open))).collect()
}

/// Names of check runs on a commit that nobody completed, also those that later ones of the same name hide.
pub fn open_check_runs(github: &GithubWorld, sha: &str) -> Vec<String> {
    let all = github.github.state().check_runs.into_iter();
    all.filter(|run| run.head_sha == sha && run.conclusion.is_none()).map(|run| run.name).collect()
}

/// Fails the story if anything was sent that GitHub's published description does not allow; where a copy of it lies
/// beside the project.
#[track_caller]
pub fn assert_contract_kept(github: &GithubWorld) {
    let Some(contract) = contract::Contract::beside_the_project() else { return };
    for logged in github.github.log() {
        let problems = contract.problems(&logged);
        assert!(problems.is_empty(), "{} {}: {problems:?}\n{}", logged.method, logged.path, logged.body);
    }
}
