//! What a report to GitHub needs, and how it is asked for where the CI has not told it.

use super::*;

/// A container in CircleCI that was given too little.
fn circle() -> CiFacts {
    CiFacts { vendor: Some("CircleCI"), ..CiFacts::default() }
}

fn told(variables: &[(&str, &str)]) -> Vec<String> {
    plan_of(variables, &circle()).err().unwrap_or_default().iter().map(Problem::to_string).collect()
}

#[test]
fn what_the_ci_has_not_told_is_asked_for_by_its_own_name() {
    let without_commit: Vec<_> = NEEDED.iter().filter(|(name, _)| *name != "BEANLINE_REVISION").copied().collect();
    let asked = [("BEANLINE_REPORT", "checks"), ("BEANLINE_GITHUB_TOKEN", "obvious-fake")];
    let told = told(&[&without_commit[..], &asked].concat());
    assert_eq!(told.len(), 3, "{told:?}");
    let of = |name: &str| told.iter().find(|text| text.starts_with(name)).cloned().unwrap_or_default();
    assert_eq!(
        of("BEANLINE_SHA"),
        "BEANLINE_SHA is missing, and `report` needs it: write the whole commit that is reported on, or give the \
         container what CircleCI tells: -e CIRCLE_SHA1"
    );
    assert_eq!(
        of("BEANLINE_REPOSITORY"),
        "BEANLINE_REPOSITORY is missing, and `report` needs it: write owner/name, or give the container what CircleCI \
         tells: -e CIRCLE_PROJECT_USERNAME -e CIRCLE_PROJECT_REPONAME"
    );
    assert!(
        of("BEANLINE_REVISION")
            .ends_with("write the commit, or give the container what CircleCI tells: -e CIRCLE_SHA1")
    );
}

#[test]
fn the_token_is_asked_for_too_when_check_runs_are() {
    let told = told(&[NEEDED, &[("BEANLINE_REPORT", "checks"), ("BEANLINE_REPOSITORY", "team/shop")]].concat());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("BEANLINE_GITHUB_TOKEN is missing") && told[0].contains("checks: write"), "{told:?}");
}

#[test]
fn a_token_that_is_no_use_is_told_of_and_ends_no_run() {
    let token = ("BEANLINE_GITHUB_TOKEN", "obvious-fake");
    let notes = |more: &[(&str, &str)]| plan_of(&[NEEDED, more].concat(), &circle()).map(|plan| plan.notes).ok();
    let said = "GitHub is told nothing of this run, since `repository` is not known here: write owner/name, or give the \
                container what CircleCI tells: -e CIRCLE_PROJECT_USERNAME -e CIRCLE_PROJECT_REPONAME";
    assert_eq!(notes(&[token]), Some(vec![said.to_owned()]));
    assert_eq!(notes(&[]), Some(Vec::new()), "without a token nobody expects it");
    assert_eq!(notes(&[token, ("BEANLINE_REPOSITORY", "team/shop")]), Some(Vec::new()));
    assert_eq!(notes(&[token, ("BEANLINE_REPORT", "log")]), Some(Vec::new()));
}
