//! What is found and given under a tag.

use super::*;

#[tokio::test]
async fn a_digest_is_found_whatever_the_registry_leaves_out() {
    for (without_head, without_digest) in [(true, false), (false, true), (true, true)] {
        let fake = Quirks { without_head, without_digest, ..Quirks::default() };
        let image = fake.hold("1", &manifest(&Digest::of(b"c")));
        let registry = open(&fake.serve().await, Some(USER)).await;
        assert_eq!(registry.digest(&tag("1")).await.unwrap(), Some(image));
        assert_eq!(registry.digest(&tag("2")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_repository_that_is_refused_may_not_be_there_yet() {
    let fake = Quirks { refuses_missing: true, ..Quirks::default() };
    let registry = open(&fake.serve().await, Some(USER)).await;
    assert_eq!(registry.digest_if_seen(&tag("1")).await.unwrap(), None);
    let fault = registry.digest(&tag("1")).await.unwrap_err();
    assert!(fault.to_string().contains("403"), "{fault}");
}

#[tokio::test]
async fn a_tag_is_given_by_the_same_bytes_and_moved_from_another_image() {
    let fake = Quirks { basic: true, ..Quirks::default() };
    let (ours, others) =
        (fake.hold("1", &manifest(&Digest::of(b"a"))), fake.hold("latest", &manifest(&Digest::of(b"b"))));
    let registry = open(&fake.serve().await, Some(USER)).await;
    let held = registry.held(ours.as_str()).await.unwrap().unwrap();
    for name in ["latest", "1.0", "latest"] {
        registry.give_tag(&held, &tag(name)).await.unwrap();
        assert_eq!(fake.named(name).as_ref(), Some(&ours));
    }
    assert!(registry.held(others.as_str()).await.unwrap().is_some() && registry.held("none").await.unwrap().is_none());
    assert!(!registry.take_tag(&tag("1.0")).await.unwrap(), "the request could take the image with it");
    assert!(fake.named("1.0").is_some() && !registry.keeps(&tag("1.0")).await.unwrap());
}

#[tokio::test]
async fn a_tag_that_is_kept_is_no_failure_where_it_names_the_image_already() {
    let fake = Quirks { keeps: &["stable"], ..Quirks::default() };
    let (ours, _) = (fake.hold("stable", &manifest(&Digest::of(b"a"))), fake.hold("2", &manifest(&Digest::of(b"b"))));
    let registry = open(&fake.serve().await, Some(USER)).await;
    let held = async |name: &str| registry.held(name).await.unwrap().unwrap();
    registry.give_tag(&held(ours.as_str()).await, &tag("stable")).await.unwrap();
    let fault = registry.give_tag(&held("2").await, &tag("stable")).await.unwrap_err();
    assert!(fault.hints().iter().any(|hint| hint.contains("immutable")), "{fault}");
    assert_eq!(fake.named("stable"), Some(ours));
}
