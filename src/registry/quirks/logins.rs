//! How the client comes in.

use super::*;

#[tokio::test]
async fn a_token_is_asked_for_where_the_registry_says_and_for_our_repository() {
    let fake = Quirks::default();
    let image = fake.hold("1", &manifest(&Digest::of(b"c")));
    let registry = open(&fake.serve().await, Some(USER)).await;
    registry.check_login().await.unwrap();
    assert_eq!(registry.digest(&tag("1")).await.unwrap(), Some(image.clone()));
    let held = registry.held("1").await.unwrap().unwrap();
    registry.give_tag(&held, &tag("2")).await.unwrap();
    let push = "scope=repository%3Ateam%2Fshop%3Apull%2Cpush";
    let scopes =
        ["service=fake", "service=fake&scope=repository%3Ateam%2Fshop%3Apull", &format!("service=fake&{push}")]
            .map(|query| format!("GET /token?{query}"));
    assert_eq!(fake.seen(), scopes, "one token for each need");
}

#[tokio::test]
async fn a_token_that_has_expired_is_renewed() {
    let fake = Quirks::default();
    let image = fake.hold("1", &manifest(&Digest::of(b"c")));
    let registry = open(&fake.serve().await, Some(USER)).await;
    for _ in 0..2 {
        assert_eq!(registry.digest(&tag("1")).await.unwrap().as_ref(), Some(&image));
        fake.expire();
    }
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn a_token_in_place_of_a_password_is_posted_and_stands_in_no_address() {
    let fake = Quirks::default();
    let registry = open(&fake.serve().await, Some(Login::IDENTITY_TOKEN)).await;
    registry.check_login().await.unwrap();
    let seen = fake.seen().concat();
    assert!(seen.starts_with("POST /token service=fake&grant_type=refresh_token&"), "{seen}");
    assert!(registry.home().login.is_none(), "it may end before an instance is launched");
    let strict = Quirks { basic: true, ..Quirks::default() };
    assert!(open(&strict.serve().await, Some(Login::IDENTITY_TOKEN)).await.check_login().await.is_err());
}

#[tokio::test]
async fn a_password_is_not_sent_to_another_machine_in_the_clear() {
    for realm in ["http://auth.example.com/token", "http://127.0.0.1.example.com/token", "ftp://127.0.0.1/", "token"] {
        let fake = Quirks { realm: Some(realm.to_owned()), ..Quirks::default() };
        let fault = open(&fake.serve().await, Some(USER)).await.check_login().await.unwrap_err();
        assert!(fault.to_string().contains("without HTTPS"), "{realm}: {fault}");
    }
}

#[tokio::test]
async fn who_may_not_push_hears_it_before_anything_is_built() {
    const READER: &str = r#"{"access":[{"type":"repository","name":"team/shop","actions":["pull"]}]}"#;
    const WRITER: &str = r#"{"access":[{"type":"repository","name":"team/shop","actions":["pull","push"]}]}"#;
    let told = async |fake: Quirks, user| open(&fake.serve().await, user).await.check_push().await;
    let reader = told(Quirks { claims: Some(READER), ..Quirks::default() }, Some(USER)).await.unwrap_err();
    assert!(reader.to_string().contains("without the right to push"), "{reader}");
    told(Quirks { claims: Some(WRITER), ..Quirks::default() }, Some(USER)).await.unwrap();
    told(Quirks::default(), Some(USER)).await.unwrap();
    told(Quirks { basic: true, ..Quirks::default() }, Some(USER)).await.unwrap();
    let nobody = told(Quirks::default(), None).await.unwrap_err();
    assert!(nobody.hints()[0].contains("registry_username"), "{nobody}");
    let stranger = told(Quirks::default(), Some("you")).await.unwrap_err();
    assert!(stranger.to_string().contains("incorrect username or password"), "{stranger}");
    assert!(!stranger.to_string().contains(PASSWORD));
}

#[tokio::test]
async fn a_quota_of_hours_is_not_waited_for() {
    let registry = open(&Quirks { quota: true, ..Quirks::default() }.serve().await, Some(USER)).await;
    let fault = registry.held("1").await.unwrap_err();
    assert!(fault.to_string().contains("pull rate limit"), "{fault}");
}
