//! HTTP to a registry's API, with limits in time and size. Reads only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::challenge::{self, Challenge};
use crate::docker::Login;
use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;
use crate::image::Repository;

/// What we take as a manifest: docker's and OCI's, of one image and of several.
pub(super) const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.index.v1+json";

/// Time for one request with its answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// Time for a request with its repetitions.
const LIMIT: Duration = Duration::from_secs(60);

/// The same while the registry throttles us or is at fault itself.
const BUSY: Duration = Duration::from_secs(180);

/// The longest answer, in bytes: what registries must take as a manifest (distribution specification).
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// Redirects that are followed.
const REDIRECTS: usize = 3;

/// One registry.
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    base: String,
    host: String,
    login: Option<Login>,
    /// What the registry took last time.
    authorization: Mutex<Option<HeaderValue>>,
}

/// An answer.
pub(super) struct Answer {
    pub status: StatusCode,
    /// `Docker-Content-Digest`.
    pub digest: Option<String>,
    pub body: Bytes,
    headers: HeaderMap,
    has_login: bool,
}

impl Answer {
    /// The fault of an answer that is not the one that was hoped for.
    pub(super) fn fault(&self, what: String) -> Fault {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<ErrorText>,
        }
        #[derive(Deserialize)]
        struct ErrorText {
            code: String,
            #[serde(default)]
            message: String,
        }
        let fault = Fault::new(what).cause(format!("the registry answered {}", self.status));
        let errors = serde_json::from_slice::<Errors>(&self.body).map(|body| body.errors).unwrap_or_default();
        let fault = errors.iter().take(3).fold(fault, |fault, error| {
            let text = format!("{} {}", error.code, error.message);
            fault.cause(text.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
        });
        match (self.status.as_u16(), self.has_login) {
            (401 | 403, true) => fault.hint("check registry_username and registry_password, and what the user may do"),
            (401 | 403, false) => fault.hint("no login is known: set registry_username and registry_password"),
            (404, _) => fault.hint("check the host in `image`: it does not answer as a registry does"),
            _ => fault,
        }
    }
}

impl Client {
    /// A client for the repository's registry: plain HTTP on loopback, as docker speaks it, HTTPS elsewhere.
    ///
    /// # Errors
    /// When the system has no certificates to trust.
    pub(super) fn new(repository: &Repository, login: Option<Login>) -> Result<Self, Fault> {
        let is_plain = repository.is_loopback();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(is_plain)?).https_or_http().enable_http1();
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector.build());
        let base = format!("{}://{}", if is_plain { "http" } else { "https" }, repository.api_host());
        Ok(Self { http, base, host: repository.host().to_owned(), login, authorization: Mutex::new(None) })
    }

    /// GET, repeated while failures pass.
    pub(super) async fn get(&self, path: &str, accept: &'static str) -> Result<Answer, Fault> {
        self.ask(Method::GET, path, accept).await
    }

    /// HEAD, likewise. Docker Hub does not count it as a pull.
    pub(super) async fn head(&self, path: &str, accept: &'static str) -> Result<Answer, Fault> {
        self.ask(Method::HEAD, path, accept).await
    }

    async fn ask(&self, method: Method, path: &str, accept: &'static str) -> Result<Answer, Fault> {
        let url = format!("{}{path}", self.base);
        retry(Policy::within(LIMIT).busy_for(BUSY), |_| (), async |_| self.ask_once(&method, &url, accept).await).await
    }

    /// Asks; after a 401 asks once more with what the registry wants.
    async fn ask_once(&self, method: &Method, url: &str, accept: &'static str) -> Result<Answer, Failure> {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = self.follow(method, url, accept, known).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return passing_status(answer, &self.host);
        }
        let authorization = match challenge::read(&answer.headers) {
            Some(Challenge::Basic) => self.login.as_ref().map(basic),
            Some(Challenge::Bearer { realm, service, scope }) => Some(self.token(&realm, service, scope).await?),
            None => None,
        };
        let Some(authorization) = authorization else { return Ok(answer) };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization.clone());
        passing_status(self.follow(method, url, accept, Some(authorization)).await?, &self.host)
    }

    /// Sends and follows redirects. Credentials go to the registry's own host and to no other.
    async fn follow(
        &self,
        method: &Method,
        url: &str,
        accept: &'static str,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut url: Uri = url.parse().map_err(|error| self.fault("has no legal URL").because(error))?;
        let home = url.clone();
        for _ in 0..=REDIRECTS {
            let credentials = authorization.clone().filter(|_| is_same_place(&url, &home));
            let answer = self.send(method, &url, accept, credentials).await?;
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
            url = redirected(&url, location)
                .ok_or_else(|| self.fault("redirects to nowhere, or away from HTTPS").cause(self.base.clone()))?;
        }
        Err(self.fault("redirects in a circle").into())
    }

    async fn send(
        &self,
        method: &Method,
        url: &Uri,
        accept: &'static str,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(USER_AGENT, concat!("beanline/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept)
            .body(Empty::new())
            .map_err(|error| self.fault("could not be asked").because(error))?;
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| self.unreachable(error))?;
            let (head, body) = response.into_parts();
            let body =
                Limited::new(body, LONGEST_BODY).collect().await.map_err(|error| match error
                    .is::<http_body_util::LengthLimitError>(
                ) {
                    true => Failure::Final(self.fault("sent more than 4 MiB")),
                    false => Failure::Passing(self.fault("broke off its answer").because(error)),
                })?;
            let digest = head.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
            Ok(Answer {
                status: head.status,
                digest: digest.map(str::to_owned),
                body: body.to_bytes(),
                headers: head.headers,
                has_login: self.login.is_some(),
            })
        };
        match tokio::time::timeout(REQUEST_LIMIT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Passing(self.fault("did not answer within 20 s"))),
        }
    }

    /// Fetches a token: distribution's page on token authentication.
    async fn token(&self, realm: &str, service: Option<String>, scope: Option<String>) -> Result<HeaderValue, Failure> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let is_plain = self.base.starts_with("http://");
        let uri = realm.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https") || is_plain);
        if uri.is_none() {
            return Err(self.fault("names a token service without HTTPS").into());
        }
        let query: Vec<(&str, String)> =
            service.map(|text| ("service", text)).into_iter().chain(scope.map(|text| ("scope", text))).collect();
        let query = serde_urlencoded::to_string(query)
            .map_err(|error| self.fault("names a token service that cannot be asked").because(error))?;
        let joint = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{joint}{query}");
        let answer = self.follow(&Method::GET, &url, "application/json", self.login.as_ref().map(basic)).await?;
        let answer = passing_status(answer, &self.host)?;
        if answer.status != StatusCode::OK {
            return Err(answer.fault(format!("could not log in to {}", self.host)).into());
        }
        let refused = || self.fault("has a token service that gave no token");
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| refused())?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty()).ok_or_else(refused)?;
        secret_header(&format!("Bearer {token}")).ok_or_else(|| refused().into())
    }

    fn fault(&self, cause: &str) -> Fault {
        Fault::new(format!("could not ask the registry {}", self.host)).cause(format!("it {cause}"))
    }

    fn unreachable(&self, error: legacy::Error) -> Failure {
        let hint = "check the host in `image`, and whether this machine reaches it";
        Failure::Passing(Fault::new(format!("could not reach the registry {}", self.host)).because(error).hint(hint))
    }
}

/// Throttling and a server's own faults pass; everything else is an answer.
fn passing_status(answer: Answer, host: &str) -> Result<Answer, Failure> {
    match answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
        true => Err(Failure::Passing(answer.fault(format!("could not ask the registry {host}")))),
        false => Ok(answer),
    }
}

fn basic(login: &Login) -> HeaderValue {
    let text = STANDARD.encode(format!("{}:{}", login.username, login.password.reveal()));
    // Base64 is always legal in a header.
    secret_header(&format!("Basic {text}")).unwrap_or(HeaderValue::from_static(""))
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn is_same_place(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
}

/// Where a redirect leads; never from HTTPS to plain HTTP.
fn redirected(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = match location.starts_with('/') && !location.starts_with("//") {
        true => format!("{}://{}{location}", from.scheme_str()?, from.authority()?).parse().ok()?,
        false => location.parse().ok()?,
    };
    let is_legal = match to.scheme_str() {
        Some("https") => true,
        Some("http") => from.scheme_str() == Some("http"),
        _ => false,
    };
    (is_legal && to.host().is_some()).then_some(to)
}

/// TLS with the system's roots; with none where only plain HTTP is spoken, so that an image without certificates will
/// do.
fn tls(is_plain: bool) -> Result<rustls::ClientConfig, Fault> {
    let refused = |error: &dyn std::fmt::Display| {
        Fault::new("could not set up TLS")
            .cause(error.to_string())
            .hint("install CA certificates (ca-certificates), or set SSL_CERT_FILE")
    };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let builder = match is_plain {
        true => builder.with_root_certificates(rustls::RootCertStore::empty()),
        false => builder.with_native_roots().map_err(|error| refused(&error))?,
    };
    Ok(builder.with_no_client_auth())
}
