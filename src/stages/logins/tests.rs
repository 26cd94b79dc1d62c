//! Who gets which login.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;

use super::*;
use crate::engine::cancel::Cancel;
use crate::engine::event::{EventKind, Stage};
use crate::engine::{Engine, Perform, events};
use crate::fault::Fault;
use crate::inputs::resolve::{Surroundings, resolve};
use crate::inputs::{CiFacts, RawInputs};

const CONFIG: &str = r#"{
    "auths": {
        "https://index.docker.io/v1/": {"username": "hub", "password": "obvious-fake-hub"},
        "quay.io": {"username": "other", "password": "obvious-fake-quay"},
        "r.example.com": {"username": "config", "password": "obvious-fake-config"}
    },
    "credHelpers": {"gcr.io": "not-here"}
}"#;

/// A plan that only tests, with an image of its own registry.
fn plan() -> Plan {
    let set = [
        ("BEANLINE_RUN", "test"),
        ("BEANLINE_CONTEXT", "/nowhere"),
        ("BEANLINE_IMAGE", "r.example.com/team/shop"),
        ("BEANLINE_REGISTRY_USERNAME", "input"),
        ("BEANLINE_REGISTRY_PASSWORD", "obvious-fake-input"),
        ("DOCKER_AUTH_CONFIG", CONFIG),
    ];
    let raw = RawInputs::read(set.into_iter().map(|(name, text)| (name.into(), text.into())));
    let read_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let around = Surroundings { ci: &CiFacts::default(), local_registry: "127.0.0.1:5000", read_file: &read_file };
    resolve(&raw, &around).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The users that a build gets for these hosts; the warnings and the secrets that are learnt by it.
async fn lent(hosts: &[&str]) -> (Vec<Option<String>>, Vec<String>, Vec<String>) {
    let (sender, mut receiver) = events();
    let (_cancel, reasons) = watch::channel(Vec::new());
    let perform: Perform = Rc::new(|_, _| Box::pin(async { Ok(()) }));
    let engine = Engine::new(sender, Cancel::by(reasons), perform);
    let mut users = Vec::new();
    let work = async |cx: &StageCx| {
        let build = async |keys: Keys| {
            for host in hosts {
                users.push(keys.find(host).await.map(|login| login.username));
            }
        };
        Logins::of(&plan(), None).lend(cx, build).await;
        Ok::<(), Fault>(())
    };
    engine.stage(Stage::Build, Duration::from_secs(60), work).await.unwrap();
    drop(engine);
    let (mut warnings, mut secrets) = (Vec::new(), Vec::new());
    while let Some(event) = receiver.next().await {
        match event.kind {
            EventKind::StageWarning { text, .. } => warnings.push(text),
            EventKind::SecretLearnt { secret } => secrets.push(secret.reveal().to_owned()),
            _ => {}
        }
    }
    (users, warnings, secrets)
}

#[tokio::test]
async fn a_build_gets_the_login_of_the_host_that_is_asked_also_when_nothing_is_pushed() {
    let hosts = ["r.example.com", "quay.io", "registry-1.docker.io", "ghcr.io", "quay.io"];
    let (users, warnings, secrets) = lent(&hosts).await;
    let user = |name: &str| Some(name.to_owned());
    assert_eq!(users, [user("input"), user("other"), user("hub"), None, user("other")]);
    assert_eq!(secrets, ["obvious-fake-input", "obvious-fake-quay", "obvious-fake-hub"], "before they are lent");
    assert_eq!(warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_login_that_cannot_be_had_costs_one_warning() {
    let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let (users, warnings, secrets) = lent(&["gcr.io", "gcr.io", ecr]).await;
    assert_eq!(users, [None, None, None], "ECR's needs AWS");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("gcr.io") && warnings[0].contains("docker-credential-not-here"), "{warnings:?}");
    assert_eq!(secrets, Vec::<String>::new());
}
