//! Unit tests, and the image that they run in.

use super::super::super::{Elsewhere, OtherImage};
use super::*;

const COMMAND: (&str, &str) = ("BEANLINE_TEST_COMMAND", "pytest");
const ACCEPTED: (&str, &str) = ("BEANLINE_ACCEPTANCE_HTTP", "GET / 200");

fn other(name: &str, value: &str) -> OtherImage {
    let plan = plan(&[COMMAND, ACCEPTED, ("BEANLINE_BUILD_TARGET", "app"), (name, value)]);
    let tests = plan.unit_test.unwrap();
    let other = tests.elsewhere.as_ref().map(Elsewhere::image).unwrap().clone();
    // The shipped image stays what it is; the cache of its build is used.
    let recipe = other.recipe(&plan.build.recipe);
    assert_eq!((plan.build.recipe.target.as_deref(), recipe.no_cache), (Some("app"), false));
    assert_eq!(recipe.context, plan.build.recipe.context);
    other
}

#[test]
fn unit_tests_may_run_in_another_stage_or_dockerfile() {
    let target = other("BEANLINE_TEST_TARGET", "test");
    assert_eq!((&target, target.to_string().as_str()), (&OtherImage::Target("test".into()), "the stage `test`"));
    let dockerfile = other("BEANLINE_TEST_DOCKERFILE", "./ci/Dockerfile.test");
    assert_eq!(dockerfile, OtherImage::Dockerfile("ci/Dockerfile.test".into()));
    assert!(plan(&[COMMAND]).unit_test.unwrap().elsewhere.is_none());
}

#[test]
fn then_an_acceptance_test_has_to_prove_the_shipped_bytes() {
    let target = ("BEANLINE_TEST_TARGET", "test");
    let missing = "no acceptance test runs against a container of those";
    let elsewhere_only = ("BEANLINE_ACCEPTANCE_ON", "candidate, live");
    for more in [&[][..], &[ACCEPTED, elsewhere_only], &[ACCEPTED, ("BEANLINE_ACCEPTANCE_ON", "none")]] {
        let problem = only_problem(&[&[COMMAND, target], more].concat());
        assert!(problem.contains("TEST_TARGET") && problem.contains(missing), "{problem}");
        assert!(problem.contains("set acceptance_http"), "{problem}");
    }
    // One mistake is told once.
    let problem = only_problem(&[COMMAND, target, ("BEANLINE_ACCEPTANCE_HTTP", "GET")]);
    assert!(problem.contains("ACCEPTANCE_HTTP"), "{problem}");
}

#[test]
fn one_other_image_is_enough_and_needs_a_command() {
    let both = [ACCEPTED, ("BEANLINE_TEST_TARGET", "test"), ("BEANLINE_TEST_DOCKERFILE", "Dockerfile.test")];
    let problem = only_problem(&[&[COMMAND][..], &both].concat());
    assert!(problem.contains("is set beside test_dockerfile"), "{problem}");
    let problem = only_problem(&[ACCEPTED, both[1]]);
    assert!(problem.contains("there is no test_command"), "{problem}");
    let problem = only_problem(&[COMMAND, ACCEPTED, ("BEANLINE_TEST_DOCKERFILE", "../Dockerfile")]);
    assert!(problem.contains("without `..`"), "{problem}");
}

#[test]
fn bare_names_of_the_environment_are_secrets() {
    let plan = plan(&[COMMAND, ("BEANLINE_TEST_ENV", "MODE=fast\nTOKEN"), ("TOKEN", "obvious-fake")]);
    let [(mode, fast), (token, secret)] = plan.unit_test.unwrap().env.try_into().unwrap_or_else(|_| panic!("two"));
    assert_eq!((mode.as_str(), fast.reveal(), fast.is_masked()), ("MODE", "fast", false));
    assert_eq!((token.as_str(), secret.reveal(), secret.is_masked()), ("TOKEN", "obvious-fake", true));
    assert!(plan.report.masks.iter().any(|mask| mask.reveal() == "obvious-fake"));
}

#[test]
fn reports_are_paths_and_patterns() {
    let reports = |text| plan(&[COMMAND, ("BEANLINE_TEST_REPORTS", text)]).unit_test.unwrap().reports;
    assert_eq!(reports("junit.xml\n **/surefire-reports/*.xml\n"), ["junit.xml", "**/surefire-reports/*.xml"]);
    for (bad, why) in [("reports/[a", "unclosed"), ("../junit.xml", "leads upwards")] {
        let problem = only_problem(&[COMMAND, ("BEANLINE_TEST_REPORTS", bad)]);
        assert!(problem.contains(why), "{problem}");
    }
}
