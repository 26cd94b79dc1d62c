//! A small registry with the ways of the large ones, and the real client against it.

mod logins;
mod names;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use tokio::net::TcpListener;

use super::*;
use crate::inputs::Secret;

/// Who may come in.
pub const USER: &str = "me";
/// The user's password, or the token that stands for it.
pub const PASSWORD: &str = "obvious-fake";

/// The kind of manifest that the fake holds.
const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest of an image whose configuration has this digest.
pub fn manifest(config: &Digest) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{KIND}","config":{{"digest":"{config}","size":2}},"layers":[]}}"#)
}

/// A registry. What differs from a plain one with tokens is set.
#[derive(Clone, Default)]
pub struct Quirks {
    /// It asks for user and password, not for a token.
    pub basic: bool,
    /// The realm that it names, instead of its own token service.
    pub realm: Option<String>,
    /// What its tokens say that their holder may do; without it they say nothing.
    pub claims: Option<&'static str>,
    /// It knows no HEAD.
    pub without_head: bool,
    /// It leaves `Docker-Content-Digest` out.
    pub without_digest: bool,
    /// It refuses to say that something is not there.
    pub refuses_missing: bool,
    /// Tags that it keeps for the image that has them.
    pub keeps: &'static [&'static str],
    /// The quota of pulls is used up.
    pub quota: bool,
    /// What it holds and has seen.
    pub state: Arc<Mutex<Holdings>>,
}

/// What a registry holds and has seen.
#[derive(Default)]
pub struct Holdings {
    address: String,
    /// Manifests by tag and by digest.
    manifests: BTreeMap<String, String>,
    /// How many tokens were given; only the newest is taken.
    tokens: usize,
    is_expired: bool,
    seen: Vec<String>,
}

impl Quirks {
    /// Serves from now on, on two ports: the registry, whose address it returns, and the token service.
    pub async fn serve(&self) -> String {
        let [registry, tokens] = [TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await];
        let (registry, tokens) = (registry.unwrap(), tokens.unwrap());
        self.state.lock().unwrap().address = tokens.local_addr().unwrap().to_string();
        let address = registry.local_addr().unwrap().to_string();
        for (listener, router) in [(registry, Router::new().fallback(answer)), (tokens, Router::new().fallback(token))]
        {
            let router = router.with_state(self.clone());
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        address
    }

    /// Puts a manifest under a name, as somebody else would.
    pub fn hold(&self, tag: &str, manifest: &str) -> Digest {
        let digest = Digest::of(manifest.as_bytes());
        let mut state = self.state.lock().unwrap();
        state.manifests.extend([tag, digest.as_str()].map(|name| (name.to_owned(), manifest.to_owned())));
        digest
    }

    /// The digest that a tag names.
    pub fn named(&self, tag: &str) -> Option<Digest> {
        self.state.lock().unwrap().manifests.get(tag).map(|text| Digest::of(text.as_bytes()))
    }

    fn expire(&self) {
        self.state.lock().unwrap().is_expired = true;
    }

    fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }
}

/// The repository `team/shop` there, opened with the login of the inputs.
pub async fn open(address: &str, user: Option<&str>) -> Registry {
    let login = user.map(|user| (user.to_owned(), Secret::new(PASSWORD)));
    let plan = RegistryPlan { login, ..RegistryPlan::default() };
    Registry::open(&Repository::parse("team/shop", address).unwrap(), &plan, None).await.unwrap()
}

/// A tag.
pub fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let builder = headers.iter().fold(Response::builder().status(status), |b, (name, value)| b.header(*name, *value));
    builder.body(body.into()).unwrap()
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

async fn taken_apart(request: Request) -> (Method, String, String, Bytes) {
    let (head, body) = request.into_parts();
    let shown = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    (head.method, head.uri.to_string(), shown.to_owned(), axum::body::to_bytes(body, 1 << 16).await.unwrap())
}

async fn token(State(fake): State<Quirks>, request: Request) -> Response {
    let (method, uri, shown, body) = taken_apart(request).await;
    let form = String::from_utf8_lossy(&body).into_owned();
    let mut state = fake.state.lock().unwrap();
    state.seen.push(format!("{method} {uri} {form}").trim().to_owned());
    let is_known = shown == basic() || form.contains(&format!("refresh_token={PASSWORD}"));
    if !is_known && !shown.is_empty() {
        return reply(401, &[], r#"{"details":"incorrect username or password"}"#);
    }
    (state.tokens, state.is_expired) = (state.tokens + 1, false);
    let claims = fake.claims.unwrap_or("{}");
    let token = format!("e30.{}.{}", URL_SAFE_NO_PAD.encode(claims), state.tokens);
    reply(200, &[], format!(r#"{{"token":"","access_token":"{token}"}}"#))
}

async fn answer(State(fake): State<Quirks>, request: Request) -> Response {
    let (method, uri, shown, body) = taken_apart(request).await;
    let mut state = fake.state.lock().unwrap();
    let is_in = match fake.basic {
        true => shown == basic(),
        false => shown.starts_with("Bearer ") && !state.is_expired,
    };
    if !is_in {
        // The scope of another repository, as one of the large registries names it.
        let realm = fake.realm.clone().unwrap_or_else(|| format!("http://{}/token", state.address));
        let bearer = format!(r#"Bearer realm="{realm}",service="fake",scope="repository:user/image:pull""#);
        let challenge = if fake.basic { "Basic realm=\"fake\"" } else { &bearer };
        return reply(401, &[("www-authenticate", challenge)], r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#);
    }
    let Some(name) = uri.strip_prefix("/v2/team/shop/manifests/") else { return reply(200, &[], "{}") };
    if fake.quota {
        let text = "You have reached your pull rate limit.";
        return reply(429, &[], format!(r#"{{"errors":[{{"code":"TOOMANYREQUESTS","message":"{text}"}}]}}"#));
    }
    if method == Method::PUT {
        if fake.keeps.contains(&name) && state.manifests.contains_key(name) {
            return reply(400, &[], r#"{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}"#);
        }
        state.manifests.insert(name.to_owned(), String::from_utf8(body.to_vec()).unwrap());
        return reply(201, &[], "");
    }
    if method == Method::HEAD && fake.without_head {
        return reply(405, &[], "");
    }
    match state.manifests.get(name) {
        Some(text) => {
            let digest = Digest::of(text.as_bytes());
            let told = [("content-type", KIND), ("docker-content-digest", digest.as_str())];
            let told = if fake.without_digest { &told[..1] } else { &told };
            reply(200, told, if method == Method::HEAD { String::new() } else { text.clone() })
        }
        None if fake.refuses_missing => reply(403, &[], r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
        None => reply(404, &[], r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
    }
}
