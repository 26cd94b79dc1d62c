//! Tags in a registry as others have it, and in ECR.

use std::rc::Rc;
use std::time::Duration;

use aws_sdk_ecr::types::ImageTagMutability;

use super::*;
use crate::engine::cancel::Cancel;
use crate::engine::event::{EventKind, Stage};
use crate::engine::{Engine, Perform, events};
use crate::image::Repository;
use crate::inputs::RegistryPlan;
use crate::local::control::tests::{World, local};
use crate::registry::quirks::{Quirks, USER, manifest, open, tag};

/// What became of a push stage that gives these tags: its fault, and the tags that it told of.
async fn given(registry: &Registry, address: &str, digest: &Digest, tags: &[&str]) -> (Option<Fault>, Vec<String>) {
    let perform: Perform = Rc::new(|_, _| Box::pin(async { Ok(()) }));
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), perform);
    let image = TaggedRef { repository: Repository::parse("team/shop", address).unwrap(), tag: tag("sha") };
    let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
    let mut fault = None;
    let work = async |cx: &StageCx| {
        fault = give(cx, registry, &image, digest, &tags).await.err();
        Ok(())
    };
    engine.stage(Stage::Push, Duration::from_secs(60), work).await.unwrap();
    drop(engine);
    let mut told = Vec::new();
    while let Some(event) = receiver.next().await {
        if let EventKind::StageFact { fact: Fact::Tagged { tag, .. }, .. } = event.kind {
            told.push(tag);
        }
    }
    (fault, told)
}

fn image_of(config: &[u8]) -> String {
    manifest(&Digest::of(config))
}

#[tokio::test]
async fn every_tag_names_the_image_and_is_told() {
    let fake = Quirks::default();
    let ours = fake.hold("sha", &image_of(b"ours"));
    fake.hold("latest", &image_of(b"others"));
    fake.hold("1.0", &image_of(b"ours"));
    let address = fake.serve().await;
    let registry = open(&address, Some(USER)).await;
    let (fault, told) = given(&registry, &address, &ours, &["latest", "1.0", "new"]).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(told, ["latest", "1.0", "new"]);
    assert!(told.iter().all(|name| fake.named(name).as_ref() == Some(&ours)));
    assert_eq!(given(&registry, &address, &ours, &[]).await.1, Vec::<String>::new());
}

#[tokio::test]
async fn when_one_is_refused_the_others_name_again_what_they_named() {
    let fake = Quirks { keeps: &["stable"], ..Quirks::default() };
    let (ours, others) = (fake.hold("sha", &image_of(b"ours")), fake.hold("latest", &image_of(b"others")));
    fake.hold("stable", &image_of(b"others"));
    let address = fake.serve().await;
    let registry = open(&address, Some(USER)).await;
    let (fault, told) = given(&registry, &address, &ours, &["latest", "new", "stable", "never"]).await;
    let fault = fault.unwrap();
    assert!(told.is_empty() && fault.hints().iter().any(|hint| hint.contains("immutable")), "{fault}");
    assert_eq!(fake.named("latest"), Some(others.clone()));
    assert_eq!((fake.named("new"), fake.named("never")), (Some(ours), None));
    let said = fault.to_string();
    assert!(said.contains("the tag latest names again what it named before"), "{said}");
    assert!(said.contains("the tag new names the tested image from now on"), "{said}");
    assert!(said.contains(&format!("before this run latest named {others}")), "{said}");
}

#[tokio::test]
async fn an_image_that_is_gone_gets_no_tag() {
    let fake = Quirks::default();
    let address = fake.serve().await;
    let registry = open(&address, Some(USER)).await;
    let (fault, _) = given(&registry, &address, &Digest::of(b"gone"), &["latest"]).await;
    assert!(fault.unwrap().to_string().contains("does not hold"));
    assert_eq!(fake.named("latest"), None);
}

#[tokio::test]
async fn in_ecr_a_kept_tag_is_seen_before_the_push_and_a_new_one_is_taken_away_again() {
    let world = World::start().await;
    let sdk = world.sdk(local());
    let ecr = aws_sdk_ecr::Client::new(&sdk);
    ecr.create_repository().repository_name("team/shop").send().await.unwrap();
    // An index needs nothing else to be in the registry.
    let index = |space: &str| {
        format!(r#"{{"schemaVersion":2,{space}"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}}"#)
    };
    let put = async |text: String, name: &str| {
        ecr.put_image().repository_name("team/shop").image_manifest(&text).image_tag(name).send().await.unwrap();
        Digest::of(text.as_bytes())
    };
    let (ours, others) = (put(index(""), "sha").await, put(index(" "), "stable").await);
    let repository = Repository::parse("team/shop", &world.registry).unwrap();
    let registry = Registry::open(&repository, &RegistryPlan::default(), Some(&sdk)).await.unwrap();
    let change = ecr.put_image_tag_mutability().repository_name("team/shop");
    change.image_tag_mutability(ImageTagMutability::Immutable).send().await.unwrap();

    let image = TaggedRef { repository, tag: tag("sha") };
    check(&registry, &image, &[tag("new"), tag("sha")], &ours).await.unwrap();
    let kept = check(&registry, &image, &[tag("new"), tag("stable")], &ours).await.unwrap_err();
    assert!(kept.to_string().contains(others.as_str()) && kept.hints()[0].contains("immutable"), "{kept}");

    let (fault, _) = given(&registry, &world.registry, &ours, &["new", "stable"]).await;
    let said = fault.unwrap().to_string();
    assert!(said.contains("the tag new is taken away again"), "{said}");
    let tags: Vec<_> =
        world.plane.images("team/shop").await.unwrap().unwrap().into_iter().flat_map(|i| i.tags).collect();
    assert!(tags.contains(&"sha".to_owned()) && !tags.contains(&"new".to_owned()), "{tags:?}");
}
