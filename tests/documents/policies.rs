//! Policies on the pages: they are policies, and what the source calls is in them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::pages::{files, pages, root};
use super::snippets::snippets;

/// Services whose actions may stand in a policy.
const SERVICES: [&str; 16] = [
    "autoscaling",
    "cloudformation",
    "cloudwatch",
    "ec2",
    "ecr",
    "ecr-public",
    "elasticbeanstalk",
    "elasticloadbalancing",
    "iam",
    "kms",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
];

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The actions of a policy's statements, after each was found to be one.
fn actions(page: &str, policy: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow", "{page}");
        assert!(statement.get("Resource").is_some() != statement.get("Principal").is_some(), "{page}: {statement}");
        for action in list(&statement["Action"]) {
            let (service, name) = action.split_once(':').unwrap();
            assert!(service == "sts" || SERVICES.contains(&service), "{page}: {action}");
            assert!(name.starts_with(|c: char| c.is_ascii_uppercase()) || name == "*", "{page}: {action}");
            found.insert(action.to_owned());
        }
    }
    found
}

/// The operations of a service that the source asks for: the calls of its client, in their methods' names.
fn operations(source: &str, names: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names {
        if source.contains(&format!(".{name}()")) {
            let camel = name.split('_').map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_uppercase() + rest
            });
            found.insert(camel.collect::<String>().replace("Cnames", "CNAMEs").replace("Dns", "DNS"));
        }
    }
    found
}

#[test]
fn every_policy_is_one_and_they_cover_what_is_called() {
    let mut on_the_page = BTreeSet::new();
    let mut count = 0;
    for (page, text) in pages() {
        let name = page.display().to_string();
        for snippet in snippets(&text, "json") {
            let value: Value = serde_json::from_str(&snippet).unwrap_or_else(|error| panic!("{name}: {error}"));
            if value.get("Statement").is_some() {
                count += 1;
                let actions = actions(&name, &value);
                if page.ends_with("iam.md") {
                    on_the_page.extend(actions);
                }
            }
        }
    }
    assert!(count >= 10, "{count}");
    let source: String = ["src/targets/beanstalk", "src/registry"]
        .iter()
        .flat_map(|directory| files(&root().join(directory), ".rs"))
        .filter(|path| !path.to_string_lossy().contains("test"))
        .map(|path| fs::read_to_string(path).unwrap().split_whitespace().collect::<String>())
        .collect();
    // Every operation of the two services whose name begins as one that something could be asked by.
    let words: BTreeSet<&str> = source
        .split('.')
        .filter_map(|rest| rest.split_once("()").map(|(word, _)| word))
        .filter(|word| word.contains('_') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .collect();
    let beginnings = [
        "abort_environment",
        "check_dns",
        "create_",
        "delete_application",
        "delete_conf",
        "describe",
        "list_available",
        "list_tags",
    ];
    let more =
        ["request_environment", "retrieve_environment", "swap_environment", "terminate_env", "update_environment"];
    let named = |word: &&str| beginnings.iter().chain(&more).any(|begin| word.starts_with(begin));
    let words: Vec<&str> = words.into_iter().filter(named).collect();
    let called = operations(&source, &words);
    assert!(called.len() > 15, "{called:?}");
    for operation in called {
        let names = ["elasticbeanstalk", "ecr", "ecr-public", "s3"].map(|service| format!("{service}:{operation}"));
        assert!(
            names.iter().any(|name| on_the_page.contains(name)),
            "no policy on docs/reference/iam.md has {operation}"
        );
    }
}

#[test]
fn every_kind_of_run_has_a_policy() {
    let page = fs::read_to_string(root().join("docs/reference/iam.md")).unwrap();
    let kinds = beanline::inputs::definition::find("run").unwrap().about.split_once(": ").unwrap().1;
    for kind in kinds.split(", ") {
        assert!(page.contains(&format!("\n### run: {kind}\n")), "{kind} has none");
    }
}
