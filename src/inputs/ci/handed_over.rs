//! Which variables a container must be given so that it knows as much as the CI's own shell.

use std::collections::{BTreeMap, BTreeSet};

use super::vendors::{self, Vendor};

/// What the cloud's clients read, and docker's logins, in any CI.
///
/// `DOCKER_HOST` is not among them: it says how the CI's shell reaches the engine, and a container of that engine is
/// given its socket.
const ANYWHERE: [&str; 8] = [
    "CI",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "DOCKER_AUTH_CONFIG",
];

/// What tells of GitHub's events, where a vendor has them.
const EVENTS: [&str; 3] = ["GITHUB_ACTOR", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"];

/// The names of all vendors.
pub fn vendors() -> impl Iterator<Item = &'static str> {
    vendors::ALL.iter().map(|vendor| vendor.name)
}

/// What is read of the vendor of that name; nothing of one that is not known.
pub fn variables_of(vendor: &str) -> BTreeSet<&'static str> {
    vendors::ALL.iter().find(|known| known.name == vendor).map(of).unwrap_or_default()
}

/// A fact that no report to GitHub does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// The commit.
    Commit,
    /// `owner/name`.
    Repository,
}

/// What a container of this CI has not been given and would learn the fact from, as options of `docker run`:
/// `-e CIRCLE_SHA1`. `None` when the CI does not tell it, or has.
pub fn options_for(needed: Needed, vendor: Option<&str>, variables: &BTreeMap<String, String>) -> Option<String> {
    let vendor = vendors::ALL.iter().find(|known| Some(known.name) == vendor)?;
    let sources = match needed {
        Needed::Commit => vendor.revision,
        Needed::Repository => vendor.repository,
    };
    let is_unset = |name: &&str| variables.get(*name).is_none_or(|value| value.trim().is_empty());
    let names: Vec<&str> = names_in(sources.first()?).into_iter().filter(is_unset).collect();
    (!names.is_empty()).then(|| names.iter().map(|name| format!("-e {name}")).collect::<Vec<_>>().join(" "))
}

/// The variables to hand over: those that Beanline reads of the vendor and the cloud whether or not they
/// are set, and the inputs that are. The vendor is the one whose name begins so, else the one that `variables`
/// belong to. `None` when there is none.
pub fn handed_over(vendor: Option<&str>, variables: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let vendor = match vendor {
        Some(name) => vendors::ALL.iter().find(|vendor| is_called(vendor, name)),
        None => vendors::ALL.iter().find(|vendor| vendor.is_here(variables)),
    }?;
    let inputs = variables.keys().filter(|name| name.starts_with("BEANLINE_")).map(String::as_str);
    let names = of(vendor).into_iter().chain(ANYWHERE).chain(inputs);
    let mut seen = BTreeSet::new();
    Some(names.filter(|name| seen.insert(*name)).map(str::to_owned).collect())
}

fn is_called(vendor: &Vendor, name: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let wanted = letters(name);
    !wanted.is_empty() && letters(vendor.name).starts_with(&wanted)
}

/// Every variable that something is learnt from, in the order of the alphabet.
fn of(vendor: &Vendor) -> BTreeSet<&'static str> {
    let sources = [
        vendor.revision,
        vendor.sha,
        vendor.branch,
        vendor.tag,
        vendor.pull_request,
        vendor.repository,
        vendor.run_url,
        vendor.build,
        vendor.job,
    ];
    let marks = vendor.detect.iter().filter_map(|mark| mark.split('=').next());
    let events = EVENTS.into_iter().filter(|_| vendor.has_github_events);
    sources.into_iter().flatten().flat_map(|source| names_in(source)).chain(marks).chain(events).collect()
}

/// The variables of a source: `NAME`, `NAME:prefix`, or a text with `{NAME}` in it.
fn names_in(source: &'static str) -> Vec<&'static str> {
    if source.contains('{') {
        return source.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
    }
    source.split(':').take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(vendor: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        handed_over(vendor, &variables).map(|names| names.join(" "))
    }

    #[test]
    fn a_ci_is_known_by_its_variables_or_by_its_name() {
        let found = options(None, &[("CIRCLECI", "true"), ("BEANLINE_IMAGE", "shop")]).unwrap();
        assert!(found.starts_with("CIRCLECI CIRCLE_BRANCH CIRCLE_BUILD_NUM CIRCLE_BUILD_URL "), "{found}");
        assert!(found.contains(" CIRCLE_SHA1 ") && found.contains(" AWS_SESSION_TOKEN "), "{found}");
        assert!(found.ends_with(" BEANLINE_IMAGE"), "{found}");
        for name in ["gitlab", "GitLab CI", "GITLAB-CI"] {
            assert!(options(Some(name), &[]).is_some_and(|names| names.contains("CI_MERGE_REQUEST_IID")), "{name}");
        }
        assert_eq!(options(None, &[("CI", "true")]), None);
        assert_eq!(options(Some("a laptop"), &[]), None);
        assert_eq!(options(Some(" "), &[]), None);
    }

    #[test]
    fn what_a_container_was_not_given_is_asked_for_by_the_cis_own_name() {
        let asked = |needed, vendor, set: &[&str]| {
            let variables = set.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
            options_for(needed, Some(vendor), &variables).unwrap_or_default()
        };
        let commits: Vec<String> = vendors().map(|vendor| asked(Needed::Commit, vendor, &[])).collect();
        let expected = [
            "-e GITHUB_SHA",
            "-e GITHUB_SHA",
            "-e GITHUB_SHA",
            "-e CIRCLE_SHA1",
            "-e CI_COMMIT_ID",
            "-e TRAVIS_COMMIT",
            "-e CI_COMMIT_SHA",
            "-e BUILDKITE_COMMIT",
            "-e GIT_COMMIT",
            "-e BITBUCKET_COMMIT",
            "-e DRONE_COMMIT_SHA",
            "-e CI_COMMIT_SHA",
            "-e CODEBUILD_RESOLVED_SOURCE_VERSION",
            "-e BUILD_SOURCEVERSION",
            "-e SEMAPHORE_GIT_SHA",
            "-e BUILD_VCS_NUMBER",
        ];
        assert_eq!(commits, expected);
        let both = "-e CIRCLE_PROJECT_USERNAME -e CIRCLE_PROJECT_REPONAME";
        assert_eq!(asked(Needed::Repository, "CircleCI", &[]), both);
        assert_eq!(asked(Needed::Repository, "CircleCI", &["CIRCLE_PROJECT_USERNAME"]), "-e CIRCLE_PROJECT_REPONAME");
        assert_eq!(asked(Needed::Repository, "TeamCity", &[]), "", "it has none");
        assert_eq!(asked(Needed::Commit, "CircleCI", &["CIRCLE_SHA1"]), "", "it was given, and is no help");
        assert_eq!(options_for(Needed::Commit, None, &BTreeMap::new()), None);
    }

    #[test]
    fn names_are_found_in_every_form_of_a_source() {
        assert_eq!(names_in("{A}/x/{B_C}"), ["A", "B_C"]);
        assert_eq!(names_in("GITHUB_REF:refs/tags/"), ["GITHUB_REF"]);
        assert_eq!(names_in("CI_JOB_ID"), ["CI_JOB_ID"]);
        for vendor in vendors::ALL {
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            assert!(of(vendor).iter().all(|name| is_name(name)), "{}", vendor.name);
        }
    }
}
