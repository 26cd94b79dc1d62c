//! The table of CI vendors: which variables tell what.

use std::collections::BTreeMap;

/// One vendor. Every list holds sources in order of preference; the first that gives a usable text wins.
///
/// A source is a variable's name; or `NAME:prefix`, whose value counts when it begins with the prefix, which is cut
/// off; or a text with `{NAME}` in it, which counts when all its variables are set.
pub(super) struct Vendor {
    pub name: &'static str,
    /// Any of these tells that it is this vendor: a variable that is set, or `NAME=value`.
    pub detect: &'static [&'static str],
    /// The commit that is built.
    pub revision: &'static [&'static str],
    /// The commit that is reported on, where it is another one.
    pub sha: &'static [&'static str],
    pub branch: &'static [&'static str],
    pub tag: &'static [&'static str],
    pub pull_request: &'static [&'static str],
    pub repository: &'static [&'static str],
    pub run_url: &'static [&'static str],
    pub build: &'static [&'static str],
    pub job: &'static [&'static str],
    /// Whether it is GitHub itself.
    pub is_github: bool,
    /// Whether it has `GITHUB_EVENT_NAME` and a payload.
    pub has_github_events: bool,
}

impl Vendor {
    pub(super) fn is_here(&self, variables: &BTreeMap<String, String>) -> bool {
        self.detect.iter().any(|mark| match mark.split_once('=') {
            Some((name, value)) => variables.get(name).is_some_and(|text| text.eq_ignore_ascii_case(value)),
            None => variables.get(*mark).is_some_and(|text| !text.is_empty() && text != "false"),
        })
    }
}

/// The text of a source, if its variables are set.
pub(super) fn expand(source: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let set = |name: &str| variables.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    if !source.contains('{') {
        return match source.split_once(':') {
            Some((name, prefix)) => set(name)?.strip_prefix(prefix).map(str::to_owned),
            None => set(source).map(str::to_owned),
        };
    }
    let mut text = String::new();
    for part in source.split_inclusive(['{', '}']) {
        match part.strip_suffix('}') {
            Some(name) => text.push_str(set(name)?),
            None => text.push_str(part.strip_suffix('{').unwrap_or(part)),
        }
    }
    Some(text)
}

const NOBODY: Vendor = Vendor {
    name: "",
    detect: &[],
    revision: &[],
    sha: &[],
    branch: &[],
    tag: &[],
    pull_request: &[],
    repository: &[],
    run_url: &[],
    build: &[],
    job: &[],
    is_github: false,
    has_github_events: false,
};

const GITHUB: Vendor = Vendor {
    name: "GitHub Actions",
    detect: &["GITHUB_ACTIONS=true"],
    revision: &["GITHUB_SHA"],
    branch: &["GITHUB_HEAD_REF", "GITHUB_REF:refs/heads/"],
    tag: &["GITHUB_REF:refs/tags/"],
    pull_request: &["GITHUB_REF:refs/pull/"],
    repository: &["GITHUB_REPOSITORY"],
    run_url: &[
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}/attempts/{GITHUB_RUN_ATTEMPT}",
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
    ],
    build: &["GITHUB_RUN_NUMBER"],
    // A runner has one job at a time: its name tells the legs of a matrix apart.
    job: &["{GITHUB_RUN_ID}/{GITHUB_JOB}/{RUNNER_NAME}"],
    is_github: true,
    has_github_events: true,
    ..NOBODY
};

/// All vendors, in the order in which they are looked for: who imitates another stands before it.
pub(super) const ALL: &[Vendor] = &[
    Vendor { name: "Gitea Actions", detect: &["GITEA_ACTIONS"], is_github: false, ..GITHUB },
    Vendor { name: "Forgejo Actions", detect: &["FORGEJO_ACTIONS"], is_github: false, ..GITHUB },
    GITHUB,
    Vendor {
        name: "CircleCI",
        detect: &["CIRCLECI"],
        revision: &["CIRCLE_SHA1"],
        branch: &["CIRCLE_BRANCH"],
        tag: &["CIRCLE_TAG"],
        pull_request: &["CIRCLE_PULL_REQUEST", "CIRCLE_PR_NUMBER"],
        repository: &["{CIRCLE_PROJECT_USERNAME}/{CIRCLE_PROJECT_REPONAME}"],
        run_url: &["CIRCLE_BUILD_URL"],
        build: &["CIRCLE_BUILD_NUM"],
        job: &["CIRCLE_WORKFLOW_JOB_ID", "CIRCLE_BUILD_NUM"],
        ..NOBODY
    },
    Vendor {
        name: "Codeship",
        detect: &["CI_NAME=codeship"],
        revision: &["CI_COMMIT_ID"],
        branch: &["CI_BRANCH"],
        pull_request: &["CI_PR_NUMBER", "CI_PULL_REQUEST"],
        repository: &["CI_REPO_NAME"],
        run_url: &["CI_BUILD_URL"],
        build: &["CI_BUILD_ID"],
        // Parallel steps share the build.
        job: &[],
        ..NOBODY
    },
    Vendor {
        name: "Travis CI",
        detect: &["TRAVIS"],
        revision: &["TRAVIS_COMMIT"],
        sha: &["TRAVIS_PULL_REQUEST_SHA"],
        branch: &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"],
        tag: &["TRAVIS_TAG"],
        pull_request: &["TRAVIS_PULL_REQUEST"],
        repository: &["TRAVIS_REPO_SLUG"],
        run_url: &["TRAVIS_BUILD_WEB_URL"],
        build: &["TRAVIS_BUILD_NUMBER"],
        job: &["TRAVIS_JOB_ID"],
        ..NOBODY
    },
    Vendor {
        name: "GitLab CI",
        detect: &["GITLAB_CI"],
        revision: &["CI_COMMIT_SHA"],
        sha: &["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"],
        branch: &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH"],
        tag: &["CI_COMMIT_TAG"],
        pull_request: &["CI_MERGE_REQUEST_IID", "CI_EXTERNAL_PULL_REQUEST_IID"],
        repository: &["CI_PROJECT_PATH"],
        run_url: &["CI_JOB_URL"],
        build: &["CI_PIPELINE_IID"],
        job: &["CI_JOB_ID"],
        ..NOBODY
    },
    Vendor {
        name: "Buildkite",
        detect: &["BUILDKITE"],
        revision: &["BUILDKITE_COMMIT"],
        branch: &["BUILDKITE_BRANCH"],
        tag: &["BUILDKITE_TAG"],
        pull_request: &["BUILDKITE_PULL_REQUEST"],
        repository: &["BUILDKITE_REPO"],
        run_url: &["{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}", "BUILDKITE_BUILD_URL"],
        build: &["BUILDKITE_BUILD_NUMBER"],
        job: &["BUILDKITE_JOB_ID"],
        ..NOBODY
    },
    Vendor {
        name: "Jenkins",
        detect: &["JENKINS_URL"],
        revision: &["GIT_COMMIT", "ghprbActualCommit"],
        sha: &["ghprbActualCommit"],
        branch: &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"],
        tag: &["TAG_NAME"],
        pull_request: &["CHANGE_ID", "ghprbPullId"],
        repository: &["GIT_URL"],
        run_url: &["BUILD_URL"],
        build: &["BUILD_NUMBER"],
        // Parallel branches share the build.
        job: &[],
        ..NOBODY
    },
    Vendor {
        name: "Bitbucket",
        detect: &["BITBUCKET_BUILD_NUMBER"],
        revision: &["BITBUCKET_COMMIT"],
        branch: &["BITBUCKET_BRANCH"],
        tag: &["BITBUCKET_TAG"],
        pull_request: &["BITBUCKET_PR_ID"],
        repository: &["BITBUCKET_REPO_FULL_NAME"],
        run_url: &["https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}"],
        build: &["BITBUCKET_BUILD_NUMBER"],
        job: &["{BITBUCKET_BUILD_NUMBER}/{BITBUCKET_STEP_UUID}"],
        ..NOBODY
    },
    Vendor {
        name: "Drone",
        detect: &["DRONE"],
        revision: &["DRONE_COMMIT_SHA"],
        branch: &["DRONE_SOURCE_BRANCH", "DRONE_BRANCH"],
        tag: &["DRONE_TAG"],
        pull_request: &["DRONE_PULL_REQUEST"],
        repository: &["DRONE_REPO"],
        run_url: &["DRONE_BUILD_LINK"],
        build: &["DRONE_BUILD_NUMBER"],
        job: &["{DRONE_BUILD_NUMBER}/{DRONE_STAGE_NUMBER}/{DRONE_STEP_NUMBER}"],
        ..NOBODY
    },
    Vendor {
        name: "Woodpecker",
        detect: &["CI=woodpecker"],
        revision: &["CI_COMMIT_SHA"],
        branch: &["CI_COMMIT_SOURCE_BRANCH", "CI_COMMIT_BRANCH"],
        tag: &["CI_COMMIT_TAG"],
        pull_request: &["CI_COMMIT_PULL_REQUEST"],
        repository: &["CI_REPO"],
        run_url: &["CI_PIPELINE_URL"],
        build: &["CI_PIPELINE_NUMBER"],
        job: &["{CI_PIPELINE_NUMBER}/{CI_STEP_NAME}"],
        ..NOBODY
    },
    Vendor {
        name: "AWS CodeBuild",
        detect: &["CODEBUILD_BUILD_ID"],
        revision: &["CODEBUILD_RESOLVED_SOURCE_VERSION"],
        branch: &["CODEBUILD_WEBHOOK_HEAD_REF:refs/heads/", "CODEBUILD_WEBHOOK_TRIGGER:branch/"],
        tag: &["CODEBUILD_WEBHOOK_TRIGGER:tag/"],
        pull_request: &["CODEBUILD_WEBHOOK_TRIGGER:pr/"],
        repository: &["CODEBUILD_SOURCE_REPO_URL"],
        run_url: &["CODEBUILD_BUILD_URL", "CODEBUILD_PUBLIC_BUILD_URL"],
        build: &["CODEBUILD_BUILD_NUMBER"],
        job: &["CODEBUILD_BUILD_ID"],
        ..NOBODY
    },
    Vendor {
        name: "Azure Pipelines",
        detect: &["TF_BUILD"],
        revision: &["BUILD_SOURCEVERSION"],
        sha: &["SYSTEM_PULLREQUEST_SOURCECOMMITID"],
        branch: &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH:refs/heads/"],
        tag: &["BUILD_SOURCEBRANCH:refs/tags/"],
        pull_request: &["SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "SYSTEM_PULLREQUEST_PULLREQUESTID"],
        repository: &["BUILD_REPOSITORY_NAME"],
        run_url: &["{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}"],
        build: &["BUILD_BUILDID"],
        job: &["{BUILD_BUILDID}/{SYSTEM_JOBID}"],
        ..NOBODY
    },
    Vendor {
        name: "Semaphore",
        detect: &["SEMAPHORE"],
        revision: &["SEMAPHORE_GIT_SHA"],
        sha: &["SEMAPHORE_GIT_PR_SHA"],
        branch: &["SEMAPHORE_GIT_PR_BRANCH", "SEMAPHORE_GIT_BRANCH"],
        tag: &["SEMAPHORE_GIT_TAG_NAME"],
        pull_request: &["SEMAPHORE_GIT_PR_NUMBER"],
        repository: &["SEMAPHORE_GIT_REPO_SLUG"],
        run_url: &["{SEMAPHORE_ORGANIZATION_URL}/jobs/{SEMAPHORE_JOB_ID}"],
        build: &["SEMAPHORE_WORKFLOW_NUMBER"],
        job: &["SEMAPHORE_JOB_ID"],
        ..NOBODY
    },
    Vendor {
        name: "TeamCity",
        detect: &["TEAMCITY_VERSION"],
        revision: &["BUILD_VCS_NUMBER"],
        run_url: &["BUILD_URL"],
        build: &["BUILD_NUMBER"],
        // Build configurations count each for itself.
        job: &[],
        ..NOBODY
    },
];
