//! What each CI vendor tells unasked.

mod github_event;
mod handed_over;
mod vendors;

use std::collections::BTreeMap;
use std::path::Path;

use super::files::ReadFile;
pub use handed_over::{Needed, handed_over, options_for, variables_of, vendors};
use vendors::Vendor;

/// Who GitHub says began the runs of Dependabot.
const DEPENDABOT: &str = "dependabot[bot]";

/// Facts about the CI run we are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CiFacts {
    /// `GitHub Actions`, `CircleCI`, …; absent on a laptop.
    pub vendor: Option<&'static str>,
    /// Where the run's log can be read.
    pub run_url: Option<String>,
    /// What tells this job from others of the same CI.
    pub job: Option<String>,
    /// The branch, without `refs/heads/`.
    pub branch: Option<String>,
    /// The build's number, for `{build}`.
    pub build: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Whether we run in GitHub Actions, whose log has groups and commands.
    pub is_github_actions: bool,
    /// The commit that is built; on a pull request this may be a merge commit. Lower-case hex, 7 digits at least.
    pub revision: Option<String>,
    /// The commit that is reported on; on a pull request its head.
    pub sha: Option<String>,
    /// The git tag that is built.
    pub tag: Option<String>,
    /// The number of the pull or merge request.
    pub pull_request: Option<u64>,
    /// What began the run, in GitHub's words: `push`, `pull_request`, …
    pub event: Option<String>,
    /// Whether the code comes from a fork, or the repository is one.
    pub is_fork: bool,
    /// Whether Dependabot began the run: unless the workflow says otherwise, GitHub gives it no more rights than a fork.
    pub is_dependabot: bool,
}

impl CiFacts {
    /// Finds out which CI this is and what it tells. `variables` is the environment; the event's payload is read if
    /// there is one.
    pub fn detect(variables: &BTreeMap<String, String>, read_file: ReadFile<'_>) -> Self {
        let Some(vendor) = vendors::ALL.iter().find(|vendor| vendor.is_here(variables)) else {
            return Self::default();
        };
        let mut facts = Self::from_variables(vendor, variables);
        if vendor.has_github_events {
            facts.is_dependabot = variables.get("GITHUB_ACTOR").is_some_and(|actor| actor == DEPENDABOT);
            facts.event = variables.get("GITHUB_EVENT_NAME").filter(|name| !name.is_empty()).cloned();
            let payload = variables
                .get("GITHUB_EVENT_PATH")
                .and_then(|path| read_file(Path::new(path)).ok())
                .and_then(|text| serde_json::from_str(&text).ok());
            if let (Some(event), Some(payload)) = (&facts.event, &payload) {
                let told = github_event::read(event, payload);
                facts.sha = told.sha.and_then(|sha| commit(&sha)).or(facts.sha);
                facts.pull_request = facts.pull_request.or(told.pull_request);
                facts.is_fork = told.is_fork;
            }
        }
        facts
    }

    fn from_variables(vendor: &Vendor, variables: &BTreeMap<String, String>) -> Self {
        let tell = |sources: &[&str], clean: fn(&str) -> Option<String>| {
            sources.iter().find_map(|source| vendors::expand(source, variables).and_then(|text| clean(&text)))
        };
        let revision = tell(vendor.revision, commit);
        let repository = tell(vendor.repository, slug);
        let job = tell(vendor.job, any).map(|job| match &repository {
            Some(repository) => format!("{}/{repository}/{job}", vendor.name),
            None => format!("{}/{job}", vendor.name),
        });
        Self {
            vendor: Some(vendor.name),
            run_url: tell(vendor.run_url, url),
            job,
            branch: tell(vendor.branch, branch),
            build: tell(vendor.build, any),
            is_github_actions: vendor.is_github,
            sha: tell(vendor.sha, commit).or_else(|| revision.clone()),
            revision,
            repository,
            tag: tell(vendor.tag, tag),
            // Codeship says 0 for none.
            pull_request: tell(vendor.pull_request, number).and_then(|number| number.parse().ok()).filter(|n| *n > 0),
            event: None,
            is_fork: false,
            is_dependabot: false,
        }
    }
}

fn any(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn url(text: &str) -> Option<String> {
    (text.starts_with("https://") || text.starts_with("http://")).then(|| text.to_owned())
}

/// A commit: 7 to 64 hex digits (Bitbucket gives 12, a SHA-256 repository 64). Buildkite may say `HEAD`, which tells
/// nothing.
pub(super) fn commit(text: &str) -> Option<String> {
    let legal = (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    legal.then(|| text.to_ascii_lowercase())
}

fn branch(text: &str) -> Option<String> {
    if text.starts_with("refs/tags/") || text.starts_with("refs/pull/") {
        return None;
    }
    let name = text.trim_start_matches("refs/heads/").trim_start_matches("origin/");
    (!name.is_empty() && name != "HEAD").then(|| name.to_owned())
}

fn tag(text: &str) -> Option<String> {
    Some(text.trim_start_matches("refs/tags/").to_owned()).filter(|tag| !tag.is_empty())
}

/// The number of a pull request: at the start (`12/merge`), or behind the last `/` of a URL. `false` is none.
fn number(text: &str) -> Option<String> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let last = || text.rsplit('/').next().map(digits);
    Some(digits(text)).filter(|number| !number.is_empty()).or_else(last).filter(|number| !number.is_empty())
}

/// `owner/name`, also out of a clone URL. A path of another length is no GitHub repository.
pub(super) fn slug(text: &str) -> Option<String> {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => match text.split_once(':') {
            Some((_, path)) => path,
            None => text,
        },
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (owner, name) = path.split_once('/')?;
    let legal = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && part != ".."
    };
    (legal(owner) && legal(name)).then(|| path.to_owned())
}

#[cfg(test)]
mod recorded;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const SHA: &str = "1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5";
    const HEAD: &str = "aaaabbbbccccddddeeeeffff0000111122223333";

    fn detect(variables: &[(&str, &str)], payload: &str) -> CiFacts {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CiFacts::detect(&variables, &|path| match path.to_str() {
            Some("/event.json") => Ok(payload.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
    }

    const GITHUB: &[(&str, &str)] = &[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SHA", SHA),
        ("GITHUB_REF", "refs/pull/12/merge"),
        ("GITHUB_REF_NAME", "12/merge"),
        ("GITHUB_HEAD_REF", "feature/x"),
        ("GITHUB_REPOSITORY", "team/shop"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "7"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_RUN_NUMBER", "42"),
        ("GITHUB_JOB", "deploy"),
        ("RUNNER_NAME", "runner-3"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_EVENT_PATH", "/event.json"),
    ];

    #[test]
    fn on_a_pull_request_the_head_is_reported_on_and_the_merge_is_built() {
        let payload = format!(
            r#"{{"number":12,"pull_request":{{"head":{{"sha":"{HEAD}","repo":{{"full_name":"fork/shop"}}}},
               "base":{{"repo":{{"full_name":"team/shop"}}}}}}}}"#
        );
        let facts = detect(GITHUB, &payload);
        assert_eq!((facts.revision.as_deref(), facts.sha.as_deref()), (Some(SHA), Some(HEAD)));
        assert_eq!((facts.pull_request, facts.branch.as_deref()), (Some(12), Some("feature/x")));
        assert_eq!(facts.run_url.as_deref(), Some("https://github.com/team/shop/actions/runs/7/attempts/2"));
        assert_eq!(facts.job.as_deref(), Some("GitHub Actions/team/shop/7/deploy/runner-3"));
        assert!(facts.is_fork && facts.is_github_actions && !facts.is_dependabot);
        assert!(detect(&[GITHUB, &[("GITHUB_ACTOR", DEPENDABOT)]].concat(), "{}").is_dependabot);
        let without_payload = detect(GITHUB, "{");
        assert_eq!(without_payload.sha.as_deref(), Some(SHA));
    }

    #[test]
    fn who_imitates_github_is_told_apart() {
        let facts = detect(&[&[("GITEA_ACTIONS", "true")], GITHUB].concat(), "{}");
        assert_eq!(facts.vendor, Some("Gitea Actions"));
        assert!(!facts.is_github_actions);
        assert_eq!(facts.event.as_deref(), Some("pull_request"));
    }

    #[test]
    fn every_vendor_tells_the_commit() {
        type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
        let cases: &[Case] = &[
            (&[("CIRCLECI", "true"), ("CIRCLE_SHA1", SHA)], "CircleCI", SHA),
            (&[("CI_NAME", "codeship"), ("CI_COMMIT_ID", SHA)], "Codeship", SHA),
            (&[("TRAVIS", "true"), ("TRAVIS_COMMIT", SHA), ("TRAVIS_PULL_REQUEST_SHA", HEAD)], "Travis CI", HEAD),
            (&[("GITLAB_CI", "true"), ("CI_COMMIT_SHA", SHA)], "GitLab CI", SHA),
            (&[("BUILDKITE", "true"), ("BUILDKITE_COMMIT", SHA)], "Buildkite", SHA),
            (&[("JENKINS_URL", "http://j"), ("GIT_COMMIT", SHA), ("ghprbActualCommit", HEAD)], "Jenkins", HEAD),
            (&[("BITBUCKET_BUILD_NUMBER", "3"), ("BITBUCKET_COMMIT", "1f0c2aa5d3b1")], "Bitbucket", "1f0c2aa5d3b1"),
            (&[("DRONE", "true"), ("DRONE_COMMIT_SHA", SHA)], "Drone", SHA),
            (&[("CI", "woodpecker"), ("CI_COMMIT_SHA", SHA)], "Woodpecker", SHA),
            (&[("CODEBUILD_BUILD_ID", "x:1"), ("CODEBUILD_RESOLVED_SOURCE_VERSION", SHA)], "AWS CodeBuild", SHA),
            (&[("TF_BUILD", "True"), ("BUILD_SOURCEVERSION", SHA)], "Azure Pipelines", SHA),
            (&[("SEMAPHORE", "true"), ("SEMAPHORE_GIT_SHA", SHA)], "Semaphore", SHA),
            (&[("TEAMCITY_VERSION", "1"), ("BUILD_VCS_NUMBER", SHA)], "TeamCity", SHA),
        ];
        for (variables, vendor, sha) in cases {
            let facts = detect(variables, "");
            assert_eq!((facts.vendor, facts.sha.as_deref()), (Some(*vendor), Some(*sha)));
            assert!(facts.revision.is_some(), "{vendor}");
        }
        assert_eq!(detect(&[("BUILDKITE", "true"), ("BUILDKITE_COMMIT", "HEAD")], "").revision, None);
        assert_eq!(detect(&[("CI", "true")], ""), CiFacts::default());
    }

    #[test]
    fn one_variable_may_hold_a_branch_a_tag_or_a_pull_request() {
        let codebuild = |trigger| detect(&[("CODEBUILD_BUILD_ID", "x"), ("CODEBUILD_WEBHOOK_TRIGGER", trigger)], "");
        assert_eq!(codebuild("branch/main").branch.as_deref(), Some("main"));
        assert_eq!(codebuild("tag/v1").tag.as_deref(), Some("v1"));
        assert_eq!(codebuild("pr/9").pull_request, Some(9));
        let azure = detect(&[("TF_BUILD", "True"), ("BUILD_SOURCEBRANCH", "refs/tags/v2")], "");
        assert_eq!((azure.tag.as_deref(), azure.branch), (Some("v2"), None));
        let travis = detect(&[("TRAVIS", "true"), ("TRAVIS_PULL_REQUEST", "false")], "");
        assert_eq!(travis.pull_request, None);
    }

    #[test]
    fn repositories_are_read_from_names_and_clone_urls() {
        let cases =
            ["team/shop", "https://github.com/team/shop.git", "git@github.com:team/shop.git", "ssh://git@h/team/shop"];
        assert!(cases.iter().all(|text| slug(text).as_deref() == Some("team/shop")));
        assert!(["shop", "a/b/c", "a b/c", "", "https://github.com"].iter().all(|text| slug(text).is_none()));
    }
}
