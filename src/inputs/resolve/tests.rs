//! What a plan is made of, and what is told when none can be made.

use std::io;
use std::time::Duration;

use super::super::{Command, Health, KeepPrevious, OnBusy, Place, ReportKind, Secret};
use super::*;

const SHA: &str = "1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5";

const NEEDED: &[(&str, &str)] = &[
    ("BEANLINE_IMAGE", "registry.example.com/team/shop"),
    ("BEANLINE_APPLICATION", "shop"),
    ("BEANLINE_ENVIRONMENT", "shop-live"),
    ("BEANLINE_REVISION", SHA),
    ("BEANLINE_AWS_REGION", "eu-west-1"),
];

fn plan_of(variables: &[(&str, &str)], ci: &CiFacts) -> Result<Plan, Vec<Problem>> {
    let raw = RawInputs::read(variables.iter().map(|(name, value)| (name.into(), value.into())));
    let read_file = |_: &Path| Err(io::ErrorKind::NotFound.into());
    resolve(&raw, &Surroundings { ci, local_registry: "127.0.0.1:5000", read_file: &read_file })
}

fn plan(more: &[(&str, &str)]) -> Plan {
    match plan_of(&[NEEDED, more].concat(), &CiFacts::default()) {
        Ok(plan) => plan,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    match plan_of(variables, &CiFacts::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

fn only_problem(more: &[(&str, &str)]) -> String {
    let problems = problems(&[NEEDED, more].concat());
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.concat()
}

#[test]
fn five_inputs_are_a_pipeline_with_the_defaults_of_the_table() {
    let plan = plan(&[]);
    assert_eq!((plan.run, plan.cloud, plan.name.as_str()), (RunKind::Pipeline, CloudKind::Aws, "shop"));
    assert_eq!(plan.image.tag.as_str(), SHA);
    assert_eq!((plan.timeout, plan.acceptance.timeout), (Duration::from_secs(3600), Duration::from_secs(600)));
    assert_eq!(plan.acceptance.on, [Place::Container, Place::Candidate, Place::Live]);
    assert!(plan.unit_test.is_none() && plan.notes.is_empty() && plan.acceptance.verify_tls);
    assert_eq!((plan.report.kind, plan.run_id.len(), plan.run_key.len()), (ReportKind::Auto, 8, 16));
    let [SitePlan::Beanstalk(site)] = plan.sites.as_slice() else { panic!("one site") };
    assert_eq!((site.live.as_str(), site.version_label.as_str()), ("shop-live", SHA));
    assert_eq!((site.minimum_health, site.keep_previous), (Health::Green, KeepPrevious::UntilNextDeploy));
    assert_eq!(site.deploy_timeout, Duration::from_secs(2400));
}

#[test]
fn a_role_is_stood_for_by_the_jobs_token_where_it_may_have_one() {
    let role = ("BEANLINE_ROLE_TO_ASSUME", "arn:aws:iam::123456789012:role/ci/deploy");
    let ambient = plan(&[role]).aws.role.unwrap();
    assert!(ambient.token.is_none() && ambient.session.starts_with("beanline-"));
    let url = ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://token.example/x?y=1");
    let bearer = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "obvious-fake");
    let token = plan(&[role, url, bearer]).aws.role.unwrap().token.unwrap();
    assert_eq!((token.url.as_str(), token.bearer.reveal()), (url.1, bearer.1));
    for bad in ["deploy", "arn:aws:iam::12:role/x", "arn:aws:iam::123456789012:user/x"] {
        let problem = only_problem(&[("BEANLINE_ROLE_TO_ASSUME", bad)]);
        assert!(problem.contains("write an ARN"), "{problem}");
    }
}

#[test]
fn a_test_run_needs_nothing_but_a_context() {
    let plan = plan_of(&[("BEANLINE_RUN", "test"), ("BEANLINE_CONTEXT", "/nowhere/My App")], &CiFacts::default());
    let plan = plan.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(plan.image.repository.to_string(), "localhost/my-app");
    assert_eq!((plan.image.tag.as_str(), plan.revision.as_str()), ("untagged", "unknown"));
    assert!(plan.sites.is_empty());
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let told = problems(&[("BEANLINE_CONTEXT", "/nowhere")]);
    let names: Vec<&str> = told.iter().filter_map(|text| text.split(' ').next()).collect();
    let missing = ["APPLICATION", "AWS_REGION", "ENVIRONMENT", "IMAGE", "REVISION"];
    assert_eq!(names, missing.map(|name| format!("BEANLINE_{name}")));
    let on_github = CiFacts { is_github_actions: true, event: Some("push".into()), ..CiFacts::default() };
    let told = plan_of(&[("INPUT_CONTEXT", "/nowhere")], &on_github).err().unwrap_or_default();
    assert!(told.len() == 5 && told.iter().all(|problem| problem.input.starts_with("INPUT_")), "{told:?}");
}

#[test]
fn the_event_picks_the_part_of_the_story() {
    let kind = |ci: CiFacts| plan_of(NEEDED, &ci).map(|plan| (plan.run, plan.notes.len())).ok();
    let event = |name: &str| CiFacts { event: Some(name.into()), ..CiFacts::default() };
    for name in ["push", "workflow_dispatch"] {
        assert_eq!(kind(event(name)), Some((RunKind::Pipeline, 0)), "{name}");
    }
    for name in ["pull_request", "pull_request_target", "merge_group", "issue_comment"] {
        assert_eq!(kind(event(name)), Some((RunKind::Test, 1)), "{name}");
    }
    assert_eq!(kind(CiFacts { is_fork: true, ..event("push") }), Some((RunKind::Test, 1)));
    assert_eq!(kind(CiFacts { pull_request: Some(3), ..CiFacts::default() }), Some((RunKind::Test, 1)));
    let asked = [NEEDED, &[("BEANLINE_RUN", "pipeline")]].concat();
    let told = plan_of(&asked, &event("pull_request")).map(|plan| plan.run).ok();
    assert_eq!(told, Some(RunKind::Pipeline));
}

#[test]
fn what_is_not_built_yet_is_said_in_a_sentence() {
    let not_offered = INPUTS.iter().filter(|input| !input.built && input.name != "build_contexts");
    for (name, variable) in not_offered.map(|later| (later.name, format!("BEANLINE_{}", later.name.to_uppercase()))) {
        let told = format!("{variable} is set, but `{name}` is not built yet: leave it out");
        assert_eq!(only_problem(&[(&variable, "x")]), told);
    }
    assert_eq!(plan(&[("BEANLINE_SERVICES", "none"), ("BEANLINE_ON_BUSY", "fail")]).run, RunKind::Pipeline);
}

#[test]
fn named_contexts_are_refused_with_the_reason_and_beside_everything_else() {
    let told = "BEANLINE_BUILD_CONTEXTS is set, but the engine's build API has no place for named contexts: use \
                `COPY --from=IMAGE`, or put the directories under one `context`";
    assert_eq!(only_problem(&[("BEANLINE_BUILD_CONTEXTS", "lib=../lib")]), told);
    plan(&[("BEANLINE_BUILD_CONTEXTS", "none")]);
    let both = [NEEDED, &[("BEANLINE_BUILD_CONTEXTS", "lib=../lib"), ("BEANLINE_PORT", "x")]].concat();
    assert_eq!(plan_of(&both, &CiFacts::default()).unwrap_err().len(), 2);
}

#[test]
fn agents_and_caches_of_a_build_are_read_and_what_the_engine_cannot_do_is_refused() {
    assert!(
        only_problem(&[("BEANLINE_CACHE_TO", "type=registry,ref=r.example/a")]).contains("no docker engine writes")
    );
    assert!(only_problem(&[("BEANLINE_CACHE_FROM", "type=gha")]).contains("type=gha"));
    assert!(only_problem(&[("BEANLINE_BUILD_SSH", "default")]).contains("SSH_AUTH_SOCK is not set"));
    let agent = ("SSH_AUTH_SOCK", "/run/agent");
    assert!(only_problem(&[agent, ("BEANLINE_BUILD_SSH", "git\ngit=/x")]).contains("`git` twice"));
    plan(&[
        agent,
        ("BEANLINE_BUILD_SSH", "default"),
        ("BEANLINE_CACHE_TO", "inline"),
        ("BEANLINE_CACHE_FROM", "a/b:1"),
    ]);
}

#[test]
fn strategies_say_what_an_environment_is_called() {
    let needed: Vec<_> = NEEDED.iter().copied().filter(|(name, _)| *name != "BEANLINE_ENVIRONMENT").collect();
    let site = |environment: &str, strategy: &str| {
        let more = [("BEANLINE_ENVIRONMENT", environment), ("BEANLINE_STRATEGY", strategy)];
        let plan = plan_of(&[&needed[..], &more].concat(), &CiFacts::default());
        let told = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect::<String>();
        plan.map_err(told).map(|plan| {
            let SitePlan::Beanstalk(site) = &plan.sites[0];
            (site.strategy.word(), site.live.clone())
        })
    };
    assert_eq!(site("Shop-Prod", "in-place"), Ok(("in-place", "Shop-Prod".to_owned())));
    assert_eq!(site("Shop-Prod", "pair"), Ok(("pair", "shop-prod".to_owned())));
    assert!(site("shop_prod", "in-place").unwrap_err().contains("4 to 40 letters"));
    let problem = only_problem(&[("BEANLINE_STRATEGY", "in-place"), ("BEANLINE_PROMOTE", "manual")]);
    assert!(problem.contains("nothing to promote"), "{problem}");
    assert!(only_problem(&[("BEANLINE_KEEP_VERSIONS", "0")]).contains("none to keep all"));
    assert_eq!(plan(&[("BEANLINE_RUN", "rollback")]).run, RunKind::Rollback);
}

#[test]
fn what_is_there_already_is_met_as_the_inputs_say() {
    let site = |more: &[(&str, &str)]| match plan(more).sites.pop() {
        Some(SitePlan::Beanstalk(site)) => site.on_busy,
        None => panic!("one site"),
    };
    assert_eq!((site(&[]), site(&[("BEANLINE_ON_BUSY", "wait")])), (OnBusy::Wait, OnBusy::Wait));
    assert_eq!(site(&[("BEANLINE_ON_BUSY", "fail")]), OnBusy::Fail);
    assert_eq!(site(&[("BEANLINE_ON_BUSY", "abort")]), OnBusy::Abort);
    assert!(!plan(&[]).build.if_missing && !plan(&[("BEANLINE_BUILD", "always")]).build.if_missing);
    assert!(plan(&[("BEANLINE_BUILD", "if-missing")]).build.if_missing);
    assert!(only_problem(&[("BEANLINE_BUILD", "never")]).ends_with("write always or if-missing"));
}

#[test]
fn placeholders_are_filled_in_tag_and_label() {
    let ci = CiFacts { branch: Some("feature/ä".into()), build: Some("42".into()), ..CiFacts::default() };
    let more = [("BEANLINE_TAG", "{branch}.{build}-{short_sha}"), ("BEANLINE_VERSION_LABEL", "v-{tag}")];
    let plan = plan_of(&[NEEDED, &more].concat(), &ci).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(plan.image.tag.as_str(), "feature--.42-1f0c2aa");
    let [SitePlan::Beanstalk(site)] = plan.sites.as_slice() else { panic!("one site") };
    assert_eq!(site.version_label, "v-feature--.42-1f0c2aa");
    assert!(only_problem(&[("BEANLINE_TAG", "{build}")]).contains("no CI tells a build number"));
    assert!(only_problem(&[("BEANLINE_TAG", "{nonsense}")]).contains("{short_sha}"));
}

#[test]
fn secrets_are_masked_and_never_told() {
    let more = [
        ("BEANLINE_TEST_COMMAND", "[\"run\"]"),
        ("BEANLINE_TEST_ENV", "OPEN=1\nHIDDEN"),
        ("HIDDEN", "obvious-fake-1"),
        ("BEANLINE_BUILD_SECRETS", "npm=obvious-fake-2"),
        ("BEANLINE_GITHUB_TOKEN", "obvious-fake-3"),
        ("BEANLINE_MASK", "obvious-fake-4\nobvious-fake-5"),
        ("DOCKER_AUTH_CONFIG", r#"{"auths":{"quay.io":{"username":"me","password":"obvious-fake-6"}}}"#),
        ("AWS_SECRET_ACCESS_KEY", "obvious-fake-7"),
    ];
    let plan = plan(&more);
    let masks: Vec<&str> = plan.report.masks.iter().map(Secret::reveal).collect();
    assert_eq!(masks, (1..=7).map(|n| format!("obvious-fake-{n}")).collect::<Vec<_>>());
    let unit_test = plan.unit_test.unwrap_or_else(|| panic!("tests"));
    assert_eq!(unit_test.command, Command::Exec(vec!["run".into()]));
    assert!(!unit_test.env[0].1.is_masked() && unit_test.env[1].1.is_masked());
    for (name, value) in [
        ("BEANLINE_BUILD_SECRETS", "obvious-fake"),
        ("BEANLINE_APP_ENV", "obvious-fake"),
        ("BEANLINE_REGISTRY_PASSWORD", "obvious-fake"),
        ("BEANLINE_BUILD_ARGS", "obvious-fake"),
        ("DOCKER_AUTH_CONFIG", "obvious-fake"),
    ] {
        let problem = only_problem(&[(name, value)]);
        assert!(!problem.contains("obvious-fake"), "{problem}");
    }
}

#[test]
fn on_local_an_image_without_a_host_lives_in_the_local_registry() {
    let more = [("BEANLINE_CLOUD", "local"), ("BEANLINE_IMAGE", "shop")];
    let plan = plan(&more[..1]);
    assert_eq!(plan.aws.region.as_deref(), Some("local"));
    let local = plan_of(&[&NEEDED[1..], &more].concat(), &CiFacts::default());
    assert_eq!(local.map(|plan| plan.image.repository.to_string()).ok(), Some("127.0.0.1:5000/shop".to_owned()));
}

#[test]
fn checks_go_to_the_commit_that_is_reported_on() {
    let ci = CiFacts { repository: Some("team/shop".into()), sha: Some("a".repeat(40)), ..CiFacts::default() };
    let variables = [NEEDED, &[("BEANLINE_GITHUB_TOKEN", "obvious-fake")]].concat();
    let github = plan_of(&variables, &ci).ok().and_then(|plan| plan.report.github);
    assert_eq!(github.map(|github| (github.repository, github.sha)), Some(("team/shop".into(), "a".repeat(40))));
    let told = problems(&[NEEDED, &[("BEANLINE_REPORT", "checks")]].concat());
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn wrong_values_name_the_variable_and_what_to_write() {
    let cases = [
        ("TIMEOUT", "soon", "90s"),
        ("PULL", "yes", "true or false"),
        ("PORT", "80,81", "1 to 65535"),
        ("IMAGE", "shop:1", "without"),
        ("ENVIRONMENT", "a.b", "elasticbeanstalk.com"),
        ("ENVIRONMENT_NAME", "shop-live", "CNAME"),
        ("ACCEPTANCE_HTTP", "GET ping", "GET /ping 200"),
        ("ACCEPTANCE_ON", "everywhere", "container"),
        ("BUILD_PLATFORM", "linux/amd64,linux/arm64", "one"),
        ("REGISTRY_USERNAME", "me", "password"),
        ("HEALTHY_FOR", "6m", "health_timeout"),
        ("TEST_FILES", "a", "test_command"),
        ("SHA", "abc1234", "40 hex digits"),
        ("IMGE", "x", "BEANLINE_IMAGE"),
    ];
    for (name, value, instead) in cases {
        let name = format!("BEANLINE_{name}");
        let others = NEEDED.iter().filter(|(needed, _)| !name.starts_with(needed)).copied();
        let variables: Vec<_> = others.chain([(name.as_str(), value)]).collect();
        let told = problems(&variables);
        assert!(told.len() == 1 && (told[0].contains(instead) || instead == "without"), "{name}: {told:?}");
    }
}

mod any_text;
mod build;
mod registry;
mod report;
mod settings;
mod unit_test;
