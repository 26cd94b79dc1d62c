//! What may be taken, as a rule and on the docker daemon of this machine. The daemon's tests live in a time of their own,
//! long ago, so that nothing of anybody else's has expired.

use bytes::Bytes;

use super::*;
use crate::docker::{ContainerSpec, DaemonEnv};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn temporary() -> Temporary {
    Temporary { run: "1f0c2aa1".into(), what: String::new(), expires: None, job: String::new() }
}

#[test]
fn a_temporary_name_says_whose_it_is_and_until_when() {
    let name = Temporary { expires: Some(1_800_000_000), job: "abc123".into(), ..temporary() };
    assert_eq!(name.to_string(), "beanline-run:1f0c2aa1.1800000000.abc123");
    assert_eq!(Temporary::parse(&name.to_string()), Some(name));
    let nobody = Temporary { expires: Some(5), ..temporary() };
    assert_eq!(Temporary::parse(&nobody.to_string()), Some(nobody.clone()));
    let other = nobody.with("unit");
    assert_eq!(other.to_string(), "beanline-run:1f0c2aa1_unit.5.");
    assert_eq!(Temporary::parse(&other.to_string()), Some(other));
    let old = Temporary::parse("beanline-run:1f0c2aa1").unwrap();
    assert_eq!((old.run.as_str(), old.expires), ("1f0c2aa1", None));
    assert_eq!(Temporary::parse("beanline-runner:1"), None);
}

#[test]
fn words_are_only_for_what_was_there() {
    assert_eq!(Swept::default().words(), None);
    let swept = Swept { containers: 2, images: 1, ..Swept::default() };
    assert_eq!(swept.words().as_deref(), Some("2 containers, 1 image"));
}

/// A daemon and names of this test's own; `None` where there is no daemon.
async fn daemon() -> Option<(Docker, String)> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    Docker::connect(&DaemonEnv::default()).await.ok().map(|docker| (docker, id[..12].to_owned()))
}

async fn container(docker: &Docker, image: &str, name: &str, labels: Labels) -> String {
    let spec = ContainerSpec { name: name.into(), image: image.into(), labels, ..ContainerSpec::default() };
    let spec = ContainerSpec { command: Some(vec!["/nothing".into()]), ..spec };
    docker.create(&spec).await.unwrap()
}

#[tokio::test]
async fn what_has_expired_or_is_of_our_job_goes_and_nothing_else() {
    let Some((docker, id)) = daemon().await else { return };
    let (job, others) = (format!("job-{id}"), format!("other-{id}"));
    let mut tar = tar::Builder::new(Vec::new());
    let mut head = tar::Header::new_gnu();
    head.set_size(0);
    tar.append_data(&mut head, &id, &b""[..]).unwrap();
    let base = format!("beanline-test-sweep-{id}:1");
    docker.import(Bytes::from(tar.into_inner().unwrap()), &base, &Labels::new(), &["/x"]).await.unwrap();
    let image = docker.image(&base).await.unwrap().unwrap().id.to_string();
    let cases = [
        ("expired", labels(&[(RUN_LABEL, "r1"), (EXPIRES_LABEL, "500"), (JOB_LABEL, &others)]), false),
        ("job", labels(&[(RUN_LABEL, "r2"), (EXPIRES_LABEL, "5000"), (JOB_LABEL, &job)]), false),
        ("ours", labels(&[(RUN_LABEL, "now"), (EXPIRES_LABEL, "500"), (JOB_LABEL, &job)]), true),
        ("active", labels(&[(RUN_LABEL, "r3"), (EXPIRES_LABEL, "5000"), (JOB_LABEL, &others)]), true),
        ("world", labels(&[(RUN_LABEL, "r4"), (EXPIRES_LABEL, "500"), (WORLD_LABEL, "w")]), true),
    ];
    for (what, labels, _) in &cases {
        let name = format!("beanline-test-sweep-{what}-{id}");
        container(&docker, &image, &name, labels.clone()).await;
        docker.create_network(&name, labels).await.unwrap();
    }
    let temporary = |run: &str, expires, job: &str| {
        Temporary { run: run.into(), expires, job: job.into(), ..temporary() }.to_string()
    };
    let hash = id.clone();
    let images = [
        (temporary(&format!("a{id}"), Some(500), "none"), false),
        (temporary(&format!("b{id}"), Some(5000), &hash), false),
        (temporary(&format!("c{id}"), Some(5000), "none"), true),
    ];
    for (reference, _) in &images {
        docker.import(Bytes::from(vec![0; 1024]), reference, &Labels::new(), &["/x"]).await.unwrap();
    }

    let broom = Broom { docker: &docker, run: "now", job: Some(&job), job_hash: &hash, now: 1000 };
    let (mut first, mut second) = (Swept::default(), Swept::default());
    let swept = broom.sweep(&mut first).await;
    let again = broom.sweep(&mut second).await;
    let mut wrong = Vec::new();
    for (what, labels, stays) in &cases {
        let name = format!("beanline-test-sweep-{what}-{id}");
        let label = format!("{RUN_LABEL}={}", labels[RUN_LABEL]);
        let is_there = docker.container(&name).await.unwrap().is_some();
        let has_network = docker.networks_labelled(&label).await.unwrap().contains(&name);
        wrong.extend((is_there != *stays || has_network != *stays).then_some(*what));
        docker.remove_container(&name).await.unwrap();
        docker.remove_network(&name).await.unwrap();
    }
    for (reference, stays) in &images {
        let is_there = docker.image(reference).await.unwrap().is_some();
        wrong.extend((is_there != *stays).then_some("an image"));
        docker.remove_image(reference).await.unwrap();
    }
    docker.remove_image(&base).await.unwrap();
    swept.unwrap();
    again.unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!((first.containers, first.networks, first.images, first.left.len()), (2, 2, 2, 0));
    assert_eq!(second.words(), None, "swept once, there is nothing left to sweep");
}
