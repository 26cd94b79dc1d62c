//! Who we are at the registry, how it is reached, and which tags the image gets there.

use super::*;
use crate::image::Tag;

fn github() -> CiFacts {
    CiFacts { is_github_actions: true, event: Some("push".into()), build: Some("17".into()), ..CiFacts::default() }
}

#[test]
fn extra_tags_are_filled_in_and_each_is_written_once() {
    let ci = CiFacts { branch: Some("feature/x".into()), ..github() };
    let tags = |text: &str| {
        let variables = [NEEDED, &[("BEANLINE_EXTRA_TAGS", text), ("BEANLINE_TAG", "v1")]].concat();
        let plan = plan_of(&variables, &ci).map(|plan| plan.image.extra_tags);
        plan.map(|tags| tags.iter().map(Tag::to_string).collect::<Vec<_>>())
            .map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>())
    };
    let filled = ["latest", "feature-x-17", "1f0c2aa"].map(str::to_owned).to_vec();
    assert_eq!(tags("latest\n\n  {branch}-{build}\n{short_sha}"), Ok(filled));
    assert_eq!(tags("none"), Ok(Vec::new()));
    for (text, word) in [("v1", "the tag itself"), ("a\n{build}\na", "`a` twice"), ("-x", "gives `-x`")] {
        let told = tags(text).unwrap_err();
        assert!(told.len() == 1 && told[0].starts_with("BEANLINE_EXTRA_TAGS") && told[0].contains(word), "{told:?}");
    }
    let told = tags("a b\n{sha}{sha}{sha}{sha}").unwrap_err();
    assert_eq!(told.len(), 2, "{told:?}");
    let nowhere = [NEEDED, &[("BEANLINE_EXTRA_TAGS", "{build}")]].concat();
    assert!(problems(&nowhere).concat().contains("no CI tells a build number"));
    let tests_alone = [&nowhere[..], &[("BEANLINE_RUN", "test")]].concat();
    assert!(problems(&tests_alone).is_empty(), "it pushes nothing");
}

#[test]
fn the_jobs_own_login_is_for_the_registry_of_its_vendor() {
    let job = |variables: &[(&str, &str)], ci: &CiFacts| {
        let job = plan_of(&[NEEDED, variables].concat(), ci).unwrap().registry.job;
        job.map(|job| (job.host, job.username, job.password.reveal().to_owned()))
    };
    let token = ("INPUT_GITHUB_TOKEN", "obvious-fake");
    let login = |host: &str, user: &str| Some((host.to_owned(), user.to_owned(), "obvious-fake".to_owned()));
    assert_eq!(job(&[token, ("GITHUB_ACTOR", "octo")], &github()), login("ghcr.io", "octo"));
    assert_eq!(job(&[token, ("GITHUB_ACTOR", "octo"), ("BEANLINE_RUN", "deploy")], &github()), None);
    let elsewhere = ("GITHUB_SERVER_URL", "https://github.example.com");
    assert_eq!(job(&[token, ("GITHUB_ACTOR", "octo"), elsewhere], &github()), None);
    assert_eq!(job(&[token, ("GITHUB_ACTOR", "octo")], &CiFacts::default()), None, "another CI's token is no login");
    let gitlab = [("CI_REGISTRY", "registry.gitlab.com"), ("CI_REGISTRY_USER", "bot")];
    let gitlab = [&gitlab[..], &[("CI_REGISTRY_PASSWORD", "obvious-fake")]].concat();
    assert_eq!(job(&gitlab, &CiFacts::default()), None);
    let gitlab = [&gitlab[..], &[("GITLAB_CI", "true")]].concat();
    assert_eq!(job(&gitlab, &CiFacts::default()), login("registry.gitlab.com", "bot"));
    let masks = plan(&gitlab).report.masks;
    assert!(masks.iter().any(|mask| mask.reveal() == "obvious-fake"), "nor is it shown");
}

#[test]
fn a_proxy_is_taken_from_the_variables_of_other_programs_and_its_password_is_not_shown() {
    let proxied = plan(&[
        ("HTTPS_PROXY", "http://upper.example.com:1"),
        ("https_proxy", "http://me:obvious-fake@lower.example.com:1"),
        ("NO_PROXY", "localhost,.example.com"),
    ]);
    let proxy = proxied.registry.proxies.https.as_ref().map(Secret::reveal);
    assert_eq!(proxy, Some("http://me:obvious-fake@lower.example.com:1"));
    assert_eq!(proxied.registry.proxies.except.as_deref(), Some("localhost,.example.com"));
    assert!(proxied.report.masks.iter().any(|mask| mask.reveal() == "obvious-fake"));
    let any = plan(&[("ALL_PROXY", "http://all.example.com:1"), ("HTTPS_PROXY", " ")]);
    assert_eq!(any.registry.proxies.https.as_ref().map(Secret::reveal), Some("http://all.example.com:1"));
    assert!(plan(&[]).registry.proxies.https.is_none());
}

#[test]
fn a_key_of_google_s_is_json() {
    let key = |password: &'static str| {
        [("BEANLINE_REGISTRY_USERNAME", "_json_key"), ("BEANLINE_REGISTRY_PASSWORD", password)]
    };
    let problem = only_problem(&key("b2J2aW91cy1mYWtl"));
    assert!(problem.contains("_json_key_base64") && !problem.contains("b2J2aW91cy1mYWtl"), "{problem}");
    assert!(plan(&key(r#"{"type": "service_account", "private_key": "obvious-fake"}"#)).registry.login.is_some());
}
