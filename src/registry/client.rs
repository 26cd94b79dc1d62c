//! HTTP to a registry's API, with limits in time and size.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy;

use super::answer::Answer;
use super::challenge::{self, Challenge};
use super::token::{Need, lets_push};
use super::transport::Transport;
use crate::docker::Login;
use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;
use crate::image::Repository;
use crate::inputs::ProxyPlan;

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

/// One repository's registry.
pub(super) struct Client {
    transport: Transport,
    base: String,
    repository: Repository,
    login: Option<Login>,
    /// What the registry took last time, for each need.
    authorizations: Mutex<BTreeMap<Need, HeaderValue>>,
}

/// What is asked, wherever it goes.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) accept: &'static str,
    /// The kind of the body.
    pub(super) kind: Option<String>,
    pub(super) body: Bytes,
}

impl Ask {
    /// A question without a body.
    pub(super) fn read(method: Method, accept: &'static str) -> Self {
        Self { method, accept, kind: None, body: Bytes::new() }
    }
}

impl Client {
    /// A client for the repository's registry: plain HTTP on loopback, as docker speaks it, HTTPS elsewhere.
    ///
    /// # Errors
    /// When the system has no certificates to trust, or the proxy cannot be used.
    pub(super) fn new(repository: &Repository, login: Option<Login>, proxies: &ProxyPlan) -> Result<Self, Fault> {
        let is_plain = repository.is_loopback();
        let transport = Transport::new(is_plain, proxies)?;
        let base = format!("{}://{}", if is_plain { "http" } else { "https" }, repository.api_host());
        Ok(Self { transport, base, repository: repository.clone(), login, authorizations: Mutex::default() })
    }

    /// Whether it speaks plain HTTP.
    pub(super) fn is_plain(&self) -> bool {
        self.base.starts_with("http://")
    }

    pub(super) fn host(&self) -> &str {
        self.repository.host()
    }

    /// The repository's path in the registry.
    pub(super) fn path(&self) -> &str {
        self.repository.path()
    }

    pub(super) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Asks whether the registry answers, and takes the login.
    pub(super) async fn hello(&self) -> Result<Answer, Fault> {
        self.ask(&Ask::read(Method::GET, "application/json"), "/v2/", Need::Login).await
    }

    /// GET, repeated while failures pass.
    pub(super) async fn get(&self, path: &str, accept: &'static str) -> Result<Answer, Fault> {
        self.ask(&Ask::read(Method::GET, accept), path, Need::Pull).await
    }

    /// HEAD, likewise. Docker Hub does not count it as a pull.
    pub(super) async fn head(&self, path: &str, accept: &'static str) -> Result<Answer, Fault> {
        self.ask(&Ask::read(Method::HEAD, accept), path, Need::Pull).await
    }

    /// PUT, likewise: done twice, it is done once.
    pub(super) async fn put(&self, path: &str, kind: &str, body: Bytes) -> Result<Answer, Fault> {
        let ask = Ask { method: Method::PUT, accept: "application/json", kind: Some(kind.to_owned()), body };
        self.ask(&ask, path, Need::Push).await
    }

    /// Whether the registry wants a login, and lets ours push to the repository; `None` where it does not tell before.
    /// Nothing is changed by it.
    ///
    /// # Errors
    /// When the registry cannot be asked, or gives no token for a push.
    pub(super) async fn may_push(&self) -> Result<Option<bool>, Fault> {
        let url = format!("{}/v2/", self.base);
        let ask = Ask::read(Method::GET, "application/json");
        let asked = async |_| {
            let answer = self.follow(&ask, &url, None).await?.or_busy()?;
            let challenge = challenge::read(&answer.headers).filter(|_| answer.status == StatusCode::UNAUTHORIZED);
            match challenge {
                Some(_) if self.login.is_none() => Ok(Some(false)),
                Some(Challenge::Bearer { realm, service }) => {
                    Ok(lets_push(&self.token(&realm, service.as_deref(), Need::Push).await?, self.path()))
                }
                _ => Ok(None),
            }
        };
        retry(Policy::within(LIMIT).busy_for(BUSY), |_| (), asked).await
    }

    async fn ask(&self, ask: &Ask, path: &str, need: Need) -> Result<Answer, Fault> {
        let url = format!("{}{path}", self.base);
        retry(Policy::within(LIMIT).busy_for(BUSY), |_| (), async |_| self.ask_once(ask, &url, need).await).await
    }

    /// Asks; after a 401 asks once more with what the registry wants. A token that has expired is renewed by that.
    async fn ask_once(&self, ask: &Ask, url: &str, need: Need) -> Result<Answer, Failure> {
        let known = || self.authorizations.lock().unwrap_or_else(PoisonError::into_inner);
        let authorization = known().get(&need).cloned();
        let answer = self.follow(ask, url, authorization).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return answer.or_busy();
        }
        let authorization = match challenge::read(&answer.headers) {
            Some(challenge) => self.authorization(&challenge, need).await?,
            None => None,
        };
        let Some(authorization) = authorization else { return Ok(answer) };
        known().insert(need, authorization.clone());
        self.follow(ask, url, Some(authorization)).await?.or_busy()
    }

    /// Sends and follows redirects. Credentials go to the host that was asked and to no other.
    pub(super) async fn follow(
        &self,
        ask: &Ask,
        url: &str,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut url: Uri = url.parse().map_err(|error| self.fault("has no legal URL").because(error))?;
        let home = url.clone();
        for _ in 0..=REDIRECTS {
            let credentials = authorization.clone().filter(|_| is_same_place(&url, &home));
            let answer = self.send(ask, &url, credentials).await?;
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
            // What is sent may hold a credential, and stays with the host that it was meant for.
            let to = redirected(&url, location).filter(|to| ask.body.is_empty() || is_same_place(to, &home));
            url = to.ok_or_else(|| self.fault("redirects to nowhere, or away from HTTPS").cause(self.base.clone()))?;
        }
        Err(self.fault("redirects in a circle").into())
    }

    async fn send(&self, ask: &Ask, url: &Uri, authorization: Option<HeaderValue>) -> Result<Answer, Failure> {
        let request = Request::builder()
            .method(&ask.method)
            .uri(url)
            .header(USER_AGENT, concat!("beanline/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, ask.accept);
        let request = ask.kind.iter().fold(request, |request, kind| request.header(CONTENT_TYPE, kind));
        let mut request = request
            .body(Full::new(ask.body.clone()))
            .map_err(|error| self.fault("could not be asked").because(error))?;
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let exchange = async {
            let response = self.transport.send(request).await.map_err(|error| self.unreachable(error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_BODY).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => Failure::Final(self.fault("sent more than 4 MiB")),
                false => Failure::Passing(self.fault("broke off its answer").because(error)),
            })?;
            let digest = head.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
            Ok(Answer {
                status: head.status,
                digest: digest.map(str::to_owned),
                body: body.to_bytes(),
                headers: head.headers,
                host: self.host().to_owned(),
                has_login: self.login.is_some(),
            })
        };
        match tokio::time::timeout(REQUEST_LIMIT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Passing(self.fault("did not answer within 20 s"))),
        }
    }

    pub(super) fn fault(&self, cause: &str) -> Fault {
        Fault::new(format!("could not ask the registry {}", self.host())).cause(format!("it {cause}"))
    }

    fn unreachable(&self, error: legacy::Error) -> Failure {
        let hint = "check the host in `image`, and whether this machine reaches it, by HTTPS_PROXY if it must";
        Failure::Passing(Fault::new(format!("could not reach the registry {}", self.host())).because(error).hint(hint))
    }
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
