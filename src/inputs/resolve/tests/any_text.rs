//! Whatever the environment says, there is a plan or there are messages, and no message tells a secret.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::inputs::definition::{ALIASES, SECRET};

/// A part of every secret in here; nothing else has it.
const HIDDEN: &str = "obvious-fake";

/// Variables of others that are read.
const OTHERS: &[&str] = &[
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "CI",
    "CIRCLECI",
    "CIRCLE_SHA1",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_CONFIG",
    "GITHUB_ACTIONS",
    "GITHUB_API_URL",
    "GITHUB_EVENT_NAME",
    "GITHUB_EVENT_PATH",
    "GITHUB_OUTPUT",
    "GITHUB_REF",
    "GITHUB_REPOSITORY",
    "GITHUB_SHA",
    "HOME",
    "KEY",
];

/// The name of a variable: an input or an alias behind either prefix, as text or as a file; somebody else's; anything.
fn variable() -> impl Strategy<Value = String> {
    let names = INPUTS.iter().map(|input| input.name).chain(ALIASES.iter().map(|(alias, _)| *alias));
    let names: Vec<String> = names.map(str::to_uppercase).collect();
    let ours = (any::<bool>(), proptest::sample::select(names), any::<bool>());
    prop_oneof![
        8 => ours.prop_map(|(github, name, file)| {
            format!("{}{name}{}", if github { "INPUT_" } else { "BEANLINE_" }, if file { "_FILE" } else { "" })
        }),
        2 => proptest::sample::select(OTHERS).prop_map(str::to_owned),
        1 => "(BEANLINE_|INPUT_)?.{0,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let check = r#"GET /.{0,6} [0-9]{3}( has ".{0,4})?"#;
    let shaped = r"([0-9]{1,22}[hms]?){1,3}|\[.{0,8}|[A-Z]{1,4}=.{0,8}|\{[a-z_]{3,9}\}.{0,4}|[a-z./:@-]{1,30}";
    let words =
        vec!["", "none", "true", "false", "aws", "local", "test", "deploy", "KEY", "checks", "{bundle}", "/file"];
    prop_oneof![any::<String>(), check, shaped, proptest::sample::select(words).prop_map(str::to_owned)]
}

/// What a run makes of these variables when every file holds this text.
fn outcome(variables: &[(String, String)], file: &str) -> Result<Plan, Vec<Problem>> {
    let read_file = |_: &Path| Ok(file.to_owned());
    let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let raw = RawInputs::read_with(environment, &read_file);
    let ci = CiFacts::detect(raw.variables(), &read_file);
    let around = Surroundings { ci: &ci, local_registry: "127.0.0.1:5000", read_file: &read_file };
    report_alone(&raw, &around);
    resolve(&raw, &around)
}

fn needed() -> Vec<(String, String)> {
    NEEDED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

proptest! {
    // Nothing is left behind in the tree when a case fails; the message shows the case.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_variable_and_file_gives_a_plan_or_problems(
        inputs in vec((variable(), text()), 0..6),
        file in text(),
        with_needed in any::<bool>(),
    ) {
        let mut variables = if with_needed { needed() } else { Vec::new() };
        variables.retain(|(name, _)| inputs.iter().all(|(given, _)| given != name));
        variables.extend(inputs);
        match outcome(&variables, &file) {
            Ok(plan) => prop_assert!(plan.timeout > Duration::ZERO && plan.run_key.len() == 16),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    let told = problem.to_string();
                    prop_assert!(!told.contains('\n') && !problem.instead.is_empty(), "{}", told);
                }
            }
        }
    }

    #[test]
    fn in_a_secret_is_never_told(
        secret in "[a-z]{0,9}obvious-fake[=a-z\\n ,\"{}]{0,9}",
        as_file in any::<bool>(),
        slip in any::<bool>(),
        others in vec((variable(), text()), 0..3),
    ) {
        let mut variables = needed();
        // A file that somebody names for an open input is no secret.
        variables.extend(others.into_iter().filter(|(name, _)| !name.ends_with("_FILE")));
        let names = SECRET.iter().map(|name| name.to_uppercase());
        variables.extend(names.map(|name| match as_file {
            // Whoever writes the secret where the path belongs has no such file.
            true => (format!("BEANLINE_{name}_FILE"), secret.clone()),
            false => (format!("BEANLINE_{name}"), secret.clone()),
        }));
        let lists = ["TEST_ENV", "APP_ENV", "ENVIRONMENT_VARIABLES"];
        variables.extend(lists.map(|name| (format!("BEANLINE_{name}"), "HIDDEN\nOPEN=1".to_owned())));
        for name in ["HIDDEN", "DOCKER_AUTH_CONFIG", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            variables.push((name.to_owned(), secret.clone()));
        }
        let told = match slip && as_file {
            true => {
                let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
                let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
                let raw = RawInputs::read_with(environment, &none);
                let around = Surroundings { ci: &CiFacts::default(), local_registry: "x:1", read_file: &none };
                resolve(&raw, &around).err()
            }
            false => outcome(&variables, &secret).err(),
        };
        for problem in told.unwrap_or_default() {
            // The name of a file of others is told; what it holds is not.
            let is_path = problem.input.contains("config.json");
            prop_assert!(is_path || !problem.to_string().contains(HIDDEN), "{}", problem);
        }
    }
}
