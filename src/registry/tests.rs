//! The client against a small registry that asks for a password or for a token, and against a small ECR.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;

use super::*;
use crate::inputs::Secret;

/// The digest in it is that of no bytes.
const MANIFEST: &str = concat!(
    r#"{"schemaVersion":2,"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb924"#,
    r#"27ae41e4649b934ca495991b7852b855"}}"#
);
/// Two images, and what BuildKit says about one.
const INDEX: &str = r#"{"manifests":[{"digest":"sha256:1","platform":{"architecture":"amd64","os":"linux"}},
    {"digest":"sha256:2","platform":{"architecture":"arm64","os":"linux"}},
    {"digest":"sha256:3","platform":{"architecture":"unknown","os":"unknown"},
    "annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}"#;
/// base64 of `me:obvious-fake`.
const BASIC: &str = "Basic bWU6b2J2aW91cy1mYWtl";

/// What the fake is like.
#[derive(Clone, Default)]
struct Fake {
    bearer: bool,
    without_digest: bool,
    redirect_to: Option<String>,
    repository_is_missing: bool,
    is_busy_once: Arc<Mutex<bool>>,
    address: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Serves from now on; returns `127.0.0.1:PORT`.
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        *self.address.lock().unwrap() = address.clone();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let builder = headers.iter().fold(Response::builder().status(status), |b, (name, value)| b.header(*name, *value));
    builder.body(Body::from(body.to_owned())).unwrap()
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let uri = head.uri.to_string();
    if let Some((_, action)) = header("x-amz-target").split_once('.') {
        let body = axum::body::to_bytes(body, 1 << 16).await.unwrap_or(Bytes::new());
        return ecr(&fake, action, &body);
    }
    fake.seen.lock().unwrap().push(format!("{} {uri} {}", head.method, header("authorization")));
    if std::mem::take(&mut *fake.is_busy_once.lock().unwrap()) {
        return reply(503, &[], "");
    }
    if uri.starts_with("/token") {
        return match header("authorization") {
            BASIC => reply(200, &[], r#"{"access_token":"t0"}"#),
            _ => reply(401, &[], r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#),
        };
    }
    let expected = if fake.bearer { "Bearer t0" } else { BASIC };
    if header("authorization") != expected && !uri.starts_with("/elsewhere") {
        let realm =
            format!(r#"Bearer realm="http://{}/token",service="fake",scope="a:b:pull""#, fake.address.lock().unwrap());
        let challenge = if fake.bearer { realm.as_str() } else { "Basic realm=\"fake\"" };
        return reply(401, &[("www-authenticate", challenge)], "");
    }
    let digest = Digest::of(MANIFEST.as_bytes());
    let headers: &[(&str, &str)] =
        if fake.without_digest { &[] } else { &[("docker-content-digest", digest.as_str())] };
    match (uri.as_str(), &fake.redirect_to) {
        ("/v2/", _) => reply(200, &[], "{}"),
        ("/v2/shop/manifests/moved", Some(to)) => reply(307, &[("location", &format!("http://{to}/elsewhere"))], ""),
        ("/v2/shop/manifests/none", _) => reply(404, &[], r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        (index, _) if index.ends_with(Digest::of(INDEX.as_bytes()).as_str()) => reply(200, &[], INDEX),
        _ if head.method == Method::HEAD => reply(200, headers, ""),
        _ => reply(200, headers, MANIFEST),
    }
}

fn ecr(fake: &Fake, action: &str, body: &[u8]) -> Response {
    fake.seen.lock().unwrap().push(format!("{action} {}", String::from_utf8_lossy(body)));
    let json: &[(&str, &str)] = &[("content-type", "application/x-amz-json-1.1")];
    match action {
        "GetAuthorizationToken" => {
            let (token, address) = (BASIC.trim_start_matches("Basic "), fake.address.lock().unwrap());
            let data = format!(r#"{{"authorizationToken":"{token}","proxyEndpoint":"http://{address}"}}"#);
            reply(200, json, &format!(r#"{{"authorizationData":[{data}]}}"#))
        }
        "DescribeRepositories" if fake.repository_is_missing => {
            reply(400, json, r#"{"__type":"RepositoryNotFoundException","message":"The repository does not exist"}"#)
        }
        "DescribeRepositories" => reply(200, json, r#"{"repositories":[]}"#),
        "CreateRepository" => reply(400, json, r#"{"__type":"AccessDeniedException","message":"not authorized"}"#),
        _ => reply(400, json, "{}"),
    }
}

fn plan(password: Option<&str>) -> RegistryPlan {
    let login = password.map(|password| ("me".to_owned(), Secret::new(password)));
    RegistryPlan { login, ..RegistryPlan::default() }
}

async fn open(address: &str, password: Option<&str>) -> Registry {
    let repository = Repository::parse("shop", address).unwrap();
    Registry::open(&repository, &plan(password), None).await.unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

#[tokio::test]
async fn digests_are_read_with_a_password_and_with_a_token() {
    for fake in
        [Fake::default(), Fake { bearer: true, ..Fake::default() }, Fake { without_digest: true, ..Fake::default() }]
    {
        let registry = open(&fake.serve().await, Some("obvious-fake")).await;
        assert_eq!(registry.check(true).await.unwrap().len(), 2);
        let digest = registry.digest(&tag("1")).await.unwrap().unwrap();
        assert_eq!(digest, Digest::of(MANIFEST.as_bytes()));
        assert_eq!(registry.config_digest(&digest).await.unwrap(), Digest::of(b""));
        assert_eq!(registry.digest(&tag("none")).await.unwrap(), None);
        assert!(registry.config_digest(&Digest::of(b"other")).await.is_err());
    }
}

#[tokio::test]
async fn an_index_tells_the_processors_of_its_images() {
    let registry = open(&Fake::default().serve().await, Some("obvious-fake")).await;
    let index = Digest::of(INDEX.as_bytes());
    assert_eq!(registry.architectures(&index).await.unwrap(), ["amd64", "arm64"]);
    assert!(registry.is_of_several(&index).await.unwrap());
    assert!(registry.architectures(&Digest::of(MANIFEST.as_bytes())).await.unwrap().is_empty());
    let home = registry.home();
    assert!(home.ecr.is_none() && home.login.is_some_and(|login| login.username == "me"));
}

#[tokio::test]
async fn a_wrong_password_is_a_fault_that_does_not_hold_it() {
    for bearer in [false, true] {
        let address = Fake { bearer, ..Fake::default() }.serve().await;
        for password in [None, Some("also-fake")] {
            let fault = open(&address, password).await.check(false).await.err().unwrap();
            assert_eq!(fault.what(), format!("could not log in to {address}"));
            assert!(fault.hints()[0].contains("registry_password") && !fault.to_string().contains("also-fake"));
        }
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_credentials() {
    let other = Fake::default();
    let fake = Fake { redirect_to: Some(other.serve().await), ..Fake::default() };
    let registry = open(&fake.serve().await, Some("obvious-fake")).await;
    assert!(registry.digest(&tag("moved")).await.unwrap().is_some());
    assert_eq!(other.seen(), ["HEAD /elsewhere "]);
}

#[tokio::test]
async fn a_busy_registry_is_asked_again() {
    let fake = Fake { is_busy_once: Arc::new(Mutex::new(true)), ..Fake::default() };
    let registry = open(&fake.serve().await, Some("obvious-fake")).await;
    assert!(registry.digest(&tag("1")).await.unwrap().is_some());
}

#[tokio::test]
async fn the_registry_that_the_authorization_token_names_is_ecr() {
    let fake = Fake { repository_is_missing: true, ..Fake::default() };
    let address = fake.serve().await;
    let sdk = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_sdk_ecr::config::Region::new("local"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(aws_sdk_ecr::config::SharedCredentialsProvider::new(
            aws_sdk_ecr::config::Credentials::new("local", "local", None, None, "test"),
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let repository = Repository::parse("shop", &address).unwrap();
    let registry = Registry::open(&repository, &plan(None), Some(&sdk)).await.unwrap();
    assert!(registry.is_ecr());
    assert_eq!(registry.login().map(|login| login.username.as_str()), Some("me"));
    assert!(registry.digest(&tag("1")).await.unwrap().is_some());
    let missing = registry.check(false).await.err().unwrap();
    assert!(missing.hints()[0].contains("aws ecr create-repository --region local --repository-name shop"));
    let denied = registry.check(true).await.err().unwrap();
    assert!(denied.hints()[0].contains(r#""Action":"ecr:CreateRepository""#), "{denied}");
    let other = Repository::parse("shop", &Fake::default().serve().await).unwrap();
    assert!(!Registry::open(&other, &plan(None), Some(&sdk)).await.unwrap().is_ecr());
}

#[tokio::test]
async fn a_registry_whose_line_breaks_is_asked_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let attempt = *count.lock().unwrap();
            *count.lock().unwrap() += 1;
            let _ = stream.read(&mut [0; 4096]).await;
            let (status, body) = [("", ""), ("200 OK", "{"), ("429 Slow", "{}"), ("200 OK", "{}")][attempt.min(3)];
            if !status.is_empty() {
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{body}");
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        }
    });
    let registry = open(&address, None).await;
    assert!(registry.check_login().await.is_ok());
    assert_eq!(*asked.lock().unwrap(), 4, "closed, broken off, throttled, answered");
}
