//! `labels`, and what is behind those that an image gets by default.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Surroundings;
use super::commit::Commit;
use super::lists::{Kind, Line, pairs_as, read};
use super::reading::{Reading, field};
use crate::inputs::problem::Wrong;
use crate::inputs::values::lines;
use crate::inputs::{Origin, Secret, git};

/// The line that switches labels by default off.
const NONE: &str = "none";

/// Where each CI says what the repository's page, or its clone URL, is.
const PAGES: &[(&str, &str)] = &[
    ("GitLab CI", "CI_PROJECT_URL"),
    ("CircleCI", "CIRCLE_REPOSITORY_URL"),
    ("Buildkite", "BUILDKITE_REPO"),
    ("Jenkins", "GIT_URL"),
    ("Bitbucket", "BITBUCKET_GIT_HTTP_ORIGIN"),
    ("Drone", "DRONE_REPO_LINK"),
    ("Woodpecker", "CI_REPO_URL"),
    ("AWS CodeBuild", "CODEBUILD_SOURCE_REPO_URL"),
    ("Azure Pipelines", "BUILD_REPOSITORY_URI"),
    ("Semaphore", "SEMAPHORE_GIT_URL"),
];

/// The user's labels, and where the image comes from unless a line `none` says that nobody is to know.
pub(super) fn resolve(
    reading: &mut Reading<'_>,
    around: &Surroundings<'_>,
    commit: &Commit,
    if_missing: bool,
) -> (Vec<(String, String)>, Option<Origin>) {
    let raw = reading.raw;
    let has_none = lines(field!(raw, labels).text.unwrap_or_default()).any(|line| line == NONE);
    let own = pairs_as(reading, field!(raw, labels), |_, line| match line {
        NONE => Line::Pair(NONE, Secret::open("")),
        line => read(line, Kind::Public, raw.variables()),
    });
    let is_label = |(key, value): &(String, Secret)| !(has_none && key == NONE && value.reveal().is_empty());
    let own = own.into_iter().filter(is_label).map(|(key, value)| (key, value.reveal().to_owned())).collect();
    if !has_none {
        return (own, Some(origin(raw.variables(), around, commit)));
    }
    if if_missing {
        let wrong = "switches off the label that build=if-missing knows an image by";
        reading.problem("labels", Wrong::new(wrong, "leave `none` out, or set build=always"));
    }
    (own, None)
}

fn origin(variables: &BTreeMap<String, String>, around: &Surroundings<'_>, commit: &Commit) -> Origin {
    let set = |name: &str| variables.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let on_github = || {
        let repository = commit.ci.repository.as_ref().filter(|_| set("GITHUB_REPOSITORY").is_some())?;
        Some(format!("{}/{repository}", set("GITHUB_SERVER_URL")?))
    };
    let told = || {
        let (_, name) = PAGES.iter().find(|(vendor, _)| commit.ci.vendor == Some(vendor))?;
        set(name).map(str::to_owned)
    };
    let url = on_github().or_else(told).or_else(|| git::origin(&commit.directory, around.read_file));
    Origin { source: url.and_then(|url| git::page(&url)), created: created(variables, commit) }
}

/// When the commit was made, so that a second build of it says the same: `SOURCE_DATE_EPOCH`, as reproducible builds have
/// it; what GitLab tells; else git.
fn created(variables: &BTreeMap<String, String>, commit: &Commit) -> Option<DateTime<Utc>> {
    if let Some(seconds) = variables.get("SOURCE_DATE_EPOCH").and_then(|text| text.trim().parse().ok()) {
        return DateTime::from_timestamp(seconds, 0);
    }
    let revision = commit.revision.as_deref()?;
    let is_gitlabs = variables.get("CI_COMMIT_SHA").is_some_and(|sha| sha == revision);
    let told = variables.get("CI_COMMIT_TIMESTAMP").filter(|_| is_gitlabs);
    let told = told.and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
    told.map(|time| time.to_utc()).or_else(|| git::commit_time(&commit.directory, revision))
}
