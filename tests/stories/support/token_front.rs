//! A door before a registry that lets in who has a token for what is asked, and a service that gives such tokens.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use super::ReferenceRegistry;

/// The door.
#[derive(Clone)]
pub struct TokenFront {
    /// `127.0.0.1:PORT`: the registry's address for everybody else.
    pub host: String,
    behind: String,
    realm: String,
    client: Client<HttpConnector, Body>,
    /// Statuses with which the next manifests are refused, the last one first.
    refusals: Arc<Mutex<Vec<StatusCode>>>,
    scopes: Arc<Mutex<Vec<String>>>,
}

impl TokenFront {
    /// Opens the door before a registry.
    pub async fn start(registry: &ReferenceRegistry) -> Self {
        let [door, tokens] = [TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await];
        let (door, tokens) = (door.unwrap(), tokens.unwrap());
        let front = Self {
            host: door.local_addr().unwrap().to_string(),
            behind: registry.host.clone(),
            realm: format!("http://{}/token", tokens.local_addr().unwrap()),
            client: Client::builder(TokioExecutor::new()).build_http(),
            refusals: Arc::default(),
            scopes: Arc::default(),
        };
        for (listener, router) in [(door, Router::new().fallback(let_in)), (tokens, Router::new().fallback(token))] {
            let router = router.with_state(front.clone());
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        front
    }

    /// Refuses the next manifests that are put, one status each.
    pub fn refuse(&self, statuses: &[u16]) {
        let statuses = statuses.iter().rev().map(|status| StatusCode::from_u16(*status).unwrap());
        self.refusals.lock().unwrap().extend(statuses);
    }

    /// The scopes that tokens were asked for.
    pub fn scopes(&self) -> Vec<String> {
        self.scopes.lock().unwrap().clone()
    }

    fn challenge(&self) -> HeaderValue {
        // A service names the scope of what was asked; this one does not, as some do not.
        HeaderValue::from_str(&format!(r#"Bearer realm="{}",service="story""#, self.realm)).unwrap()
    }
}

fn login() -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", ReferenceRegistry::USER, ReferenceRegistry::PASSWORD)))
}

fn empty(status: StatusCode) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

/// Gives whoever knows the password a token that is the scope it was asked for.
async fn token(State(front): State<TokenFront>, request: Request) -> Response {
    if request.headers().get(AUTHORIZATION).is_none_or(|shown| *shown != login()) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let query: Vec<(String, String)> = serde_urlencoded::from_str(request.uri().query().unwrap_or_default()).unwrap();
    let scope = query.into_iter().find(|(name, _)| name == "scope").map(|(_, scope)| scope).unwrap_or_default();
    front.scopes.lock().unwrap().push(scope.clone());
    Response::new(format!(r#"{{"token":"story.{}"}}"#, STANDARD.encode(scope)).into())
}

/// Lets a request pass to the registry behind when its token allows that.
async fn let_in(State(front): State<TokenFront>, mut request: Request) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|shown| shown.to_str().ok()).unwrap_or_default();
    let token = shown.strip_prefix("Bearer story.").map(|scope| STANDARD.decode(scope).unwrap_or_default());
    let allows = |word: &str| token.as_ref().is_some_and(|scope| String::from_utf8_lossy(scope).contains(word));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_allowed = match request.uri().path() {
        "/v2/" => token.is_some(),
        _ if is_read => allows("pull"),
        _ => allows("push"),
    };
    let puts_manifest = *request.method() == Method::PUT && request.uri().path().contains("/manifests/");
    let refusal = if puts_manifest && is_allowed { front.refusals.lock().unwrap().pop() } else { None };
    if refusal.is_some() || !is_allowed {
        let mut answer = empty(refusal.unwrap_or(StatusCode::UNAUTHORIZED));
        answer.headers_mut().insert(WWW_AUTHENTICATE, front.challenge());
        return answer;
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // The name that it was asked by goes along: the registry answers with addresses that begin with it.
    *request.uri_mut() = format!("http://{}{path}", front.behind).parse::<Uri>().unwrap();
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&login()).unwrap());
    match front.client.request(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => empty(StatusCode::BAD_GATEWAY),
    }
}
