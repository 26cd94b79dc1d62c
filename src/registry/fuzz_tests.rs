//! What registries answer, changed byte by byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};

use super::challenge::{self, Challenge};
use super::manifest::{ImageConfig, Manifest};
use super::token::lets_push;
use super::{ecr, naming};
use crate::fuzz_driver::fuzz;

#[test]
fn fuzz_challenges() {
    let target = |bytes: &[u8]| {
        let mut headers = HeaderMap::new();
        for line in bytes.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(WWW_AUTHENTICATE, line);
        }
        if let Some(Challenge::Bearer { realm, .. }) = challenge::read(&headers) {
            assert!(realm.len() <= bytes.len());
        }
    };
    let bearer =
        br#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push""#;
    fuzz(
        &[bearer, b"Basic realm=\"x\"\nBearer realm=\"https://x\\\"y\"", b"bearer realm=https://x, error=\"x\""],
        target,
    );
}

#[test]
fn fuzz_manifests_and_configurations() {
    let target = |bytes: &[u8]| {
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
            let attestations = manifest.manifests.iter().filter(|one| one.is_attestation()).count();
            assert!(attestations <= manifest.manifests.len());
        }
        let _ = serde_json::from_slice::<ImageConfig>(bytes);
    };
    let manifest = br#"{"schemaVersion":2,"config":{"mediaType":"x","size":2,"digest":"sha256:aa"},"layers":[]}"#;
    let index =
        br#"{"manifests":[{"digest":"sha256:aa","annotations":{"vnd.docker.reference.type":"attestation-manifest"},
        "platform":{"os":"unknown"}},{"digest":"sha256:bb"}]}"#;
    let config = br#"{"architecture":"amd64","config":{"ExposedPorts":{"8080/tcp":{},"x":{}},"Env":["A=b"]}}"#;
    fuzz(&[manifest, index, config], target);
}

#[test]
fn fuzz_claims_of_tokens_and_filters_of_tags() {
    let target = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let _ = lets_push(&text, "team/shop");
        let _ = lets_push(&format!("e30.{}.c2ln", STANDARD.encode(bytes)), "team/shop");
        assert!(naming::is_about("*", &text) && naming::is_about(&text.replace('*', ""), &text.replace('*', "")));
        let _ = naming::is_about(&text, "release-1.0");
    };
    fuzz(&[br#"{"access":[{"name":"team/shop","actions":["pull","push"]}]}"#, b"release-*.*", b"**"], target);
}

#[test]
fn fuzz_hosts_and_tokens_of_ecr() {
    let target = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if let Some(host) = ecr::EcrHost::parse(&text) {
            assert_eq!(host.account.len(), 12);
        }
        if let Some((username, password)) = ecr::user_and_password(&text) {
            assert!(password.is_masked() && !username.contains(':'));
            assert_eq!(STANDARD.encode(format!("{username}:{}", password.reveal())), text);
        }
    };
    let token = STANDARD.encode("AWS:obvious-fake");
    let standard = b"123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    fuzz(&[standard, b"123456789012.dkr-ecr.eu-west-1.on.aws", token.as_bytes()], target);
}
