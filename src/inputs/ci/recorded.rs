//! What each CI tells, by its variables for a push and for a pull request.

use std::collections::BTreeMap;
use std::io;

use super::CiFacts;

/// The commit that was pushed, or the merge that is built for a pull request.
const BUILT: &str = "1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5";
/// The head of the pull request.
const HEAD: &str = "aaaabbbbccccddddeeeeffff0000111122223333";

macro_rules! recorded {
    ($($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../../tests/fixtures/ci/", $file, ".env")))),*]
    };
}

/// The variables by the file's name: the CI, a dash, and what began the run.
const RECORDED: &[(&str, &str)] = recorded! {
    "github-push" "github-pull-request" "circleci-push" "circleci-pull-request" "codeship-push" "codeship-pull-request"
    "travis-push" "travis-pull-request" "gitlab-push" "gitlab-pull-request" "buildkite-push" "buildkite-pull-request"
    "jenkins-push" "jenkins-pull-request" "bitbucket-push" "bitbucket-pull-request" "drone-push" "drone-pull-request"
    "woodpecker-push" "woodpecker-pull-request" "codebuild-push" "codebuild-pull-request" "azure-push"
    "azure-pull-request" "semaphore-push" "semaphore-pull-request" "teamcity-push"
};

fn facts(text: &str) -> CiFacts {
    let variables: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let payload = format!(
        r#"{{"number":12,"pull_request":{{"head":{{"sha":"{HEAD}","repo":{{"full_name":"team/shop"}}}},
            "base":{{"repo":{{"full_name":"team/shop"}}}}}}}}"#
    );
    CiFacts::detect(&variables, &|path| match path.to_str() {
        Some("/event.json") => Ok(payload.clone()),
        _ => Err(io::ErrorKind::NotFound.into()),
    })
}

#[test]
fn a_push_tells_commit_branch_repository_build_and_where_its_log_is() {
    let pushes = RECORDED.iter().filter(|(name, _)| name.ends_with("-push"));
    for (name, text) in pushes {
        let facts = facts(text);
        assert_eq!((facts.revision.as_deref(), facts.sha.as_deref()), (Some(BUILT), Some(BUILT)), "{name}");
        // TeamCity keeps these in a file that no container sees.
        let expected = (*name != "teamcity-push").then_some(("main", "team/shop"));
        assert_eq!(facts.branch.as_deref().zip(facts.repository.as_deref()), expected, "{name}");
        assert!(facts.build.as_deref().is_some_and(|build| build.ends_with("42")), "{name}");
        // Codeship's Pro tells no address.
        assert_eq!(facts.run_url.is_some(), *name != "codeship-push", "{name}");
        assert_eq!((facts.tag, facts.is_fork, facts.pull_request), (None, false, None), "{name}");
    }
}

#[test]
fn a_pull_request_tells_its_number_its_branch_and_both_commits() {
    let pull_requests = RECORDED.iter().filter(|(name, _)| name.ends_with("-pull-request"));
    for (name, text) in pull_requests {
        let facts = facts(text);
        let merges = ["github", "travis", "gitlab", "jenkins", "azure", "semaphore"];
        let built = if merges.iter().any(|merges| name.starts_with(merges)) { BUILT } else { HEAD };
        // Bitbucket tells twelve digits.
        let tells = |told: &Option<String>, whole: &str| told.as_deref().is_some_and(|told| whole.starts_with(told));
        let commits = (&facts.revision, &facts.sha);
        assert!(tells(commits.0, built) && tells(commits.1, HEAD), "{name}: {commits:?}");
        assert_eq!((facts.pull_request, facts.repository.as_deref()), (Some(12), Some("team/shop")), "{name}");
        let branch = if name.starts_with("circleci") { "pull/12" } else { "feature/x" };
        assert_eq!(facts.branch.as_deref(), Some(branch), "{name}");
    }
}

#[test]
fn every_ci_we_know_is_among_them() {
    let known: Vec<&str> = RECORDED.iter().filter_map(|(_, text)| facts(text).vendor).collect();
    for vendor in super::vendors::ALL {
        let imitates = ["Gitea Actions", "Forgejo Actions"].contains(&vendor.name);
        assert!(imitates || known.contains(&vendor.name), "{}", vendor.name);
    }
}
