//! The control plane's side of the admin API.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::admin::{NewRepository, Selection};
use super::ask::{Asked, Question};
use super::registry::{RegistryImage, RegistryManifest, RegistryRefusal, RegistryRepository, RegistryWrite};
use super::routes::RouteTable;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::secret::Secret;

/// The plane is on this machine and never waits for anybody, except when it asks an instance.
const LIMIT: Duration = Duration::from_secs(20);

/// Talks to the admin API of a running data plane. Clones share connections.
#[derive(Clone, Debug)]
pub struct PlaneClient {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
    token: Secret,
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl PlaneClient {
    /// A client for the admin API at `address` (`127.0.0.1:49153`). Nothing is sent yet.
    pub fn new(address: impl Into<String>, token: Secret) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address: address.into(), token }
    }

    /// Whether the plane is there and the token is its own.
    ///
    /// # Errors
    /// When it cannot be reached or refuses us.
    pub async fn health(&self) -> Result<(), Fault> {
        self.send(Method::GET, "/health", "", Bytes::new(), LIMIT).await?.accepted().map(drop)
    }

    /// Puts a whole route table in place, in one step.
    ///
    /// # Errors
    /// When the plane cannot be reached, or the table has a backend that is no `ip:port`; the old table then stays.
    pub async fn route(&self, table: &RouteTable) -> Result<(), Fault> {
        self.send(Method::PUT, "/routes", JSON, body(table)?, LIMIT).await?.accepted().map(drop)
    }

    /// An HTTP GET of `path` at `address` (`ip:port`), made by the plane: the status of the answer.
    ///
    /// # Errors
    /// Why there was none, in words.
    pub async fn ask(&self, address: &str, path: &str, limit: Duration) -> Result<u16, String> {
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let question = Question { address: address.into(), path: path.into(), host: None, timeout_ms };
        let asked = async {
            self.send(Method::POST, "/ask", JSON, body(&question)?, LIMIT.saturating_add(limit)).await?.read()
        };
        match asked.await.map_err(|fault| fault.to_string())? {
            Asked::Status(status) => Ok(status),
            Asked::Error(why) => Err(why),
        }
    }

    /// Everything that was written to the registry, oldest first.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn registry_log(&self) -> Result<Vec<RegistryWrite>, Fault> {
        self.get("/registry/log").await?.read()
    }

    /// All repositories, sorted.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn repositories(&self) -> Result<Vec<RegistryRepository>, Fault> {
        self.get("/registry/repositories").await?.read()
    }

    /// Makes a repository; a push to one that nobody made is refused. `false` when it was there.
    ///
    /// # Errors
    /// When the plane cannot be reached or the name is not legal.
    pub async fn create_repository(&self, name: &str, immutable_tags: bool) -> Result<bool, Fault> {
        let new = body(&NewRepository { name: name.to_owned(), immutable_tags })?;
        let answer = self.send(Method::POST, "/registry/repositories", JSON, new, LIMIT).await?;
        Ok(answer.accepted()?.status == StatusCode::CREATED)
    }

    /// Says whether tags of a repository that exist are kept as they are. `false` when there is no such repository.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn keep_tags(&self, name: &str, immutable_tags: bool) -> Result<bool, Fault> {
        let wanted = body(&NewRepository { name: name.to_owned(), immutable_tags })?;
        let answer = self.send(Method::PUT, "/registry/repositories", JSON, wanted, LIMIT).await?;
        Ok(answer.found()?.is_some())
    }

    /// Forgets a repository with everything in it. `false` when there was none.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn remove_repository(&self, name: &str) -> Result<bool, Fault> {
        let path = path("/registry/repositories", name, "")?;
        Ok(self.send(Method::DELETE, &path, "", Bytes::new(), LIMIT).await?.found()?.is_some())
    }

    /// All manifests of a repository with their tags, newest first; `None` when there is no such repository.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn images(&self, repository: &str) -> Result<Option<Vec<RegistryImage>>, Fault> {
        let answer = self.get(&path("/registry/images", repository, "")?).await?;
        answer.found()?.map(Answer::read).transpose()
    }

    /// A manifest by tag or digest; `None` when the repository or the manifest is not there.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<Option<RegistryManifest>, Fault> {
        let answer = self.get(&path("/registry/manifest", repository, reference)?).await?;
        answer.found()?.map(Answer::read).transpose()
    }

    /// Puts a manifest under a tag or its digest without a push: ECR's PutImage.
    ///
    /// # Errors
    /// Outside: when the plane cannot be reached. Inside: what the registry has against it.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &str,
    ) -> Result<Result<Digest, RegistryRefusal>, Fault> {
        let path = path("/registry/manifest", repository, reference)?;
        let answer = self.send(Method::PUT, &path, media_type, Bytes::from(manifest.to_owned()), LIMIT).await?;
        match answer.refusal() {
            Some(refusal) => Ok(Err(refusal)),
            None => answer.read().map(Ok),
        }
    }

    /// Removes a tag, or by digest a manifest with all of its tags. `false` when it was not there.
    ///
    /// # Errors
    /// When the plane cannot be reached.
    pub async fn remove_manifest(&self, repository: &str, reference: &str) -> Result<bool, Fault> {
        let path = path("/registry/manifest", repository, reference)?;
        Ok(self.send(Method::DELETE, &path, "", Bytes::new(), LIMIT).await?.found()?.is_some())
    }

    async fn get(&self, path: &str) -> Result<Answer, Fault> {
        self.send(Method::GET, path, "", Bytes::new(), LIMIT).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let unreachable = || {
            Fault::new(format!("could not reach the data plane of the local cloud at {}", self.address))
                .hint("run `beanline local stop`, then start again: it makes a new one")
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.reveal()))
            .header(header::CONTENT_TYPE, media_type)
            .body(Full::new(body))
            .map_err(|error| unreachable().because(error))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| unreachable().because(error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| unreachable().because(error))?.to_bytes();
            Ok(Answer { status, body })
        };
        let late = |_| unreachable().cause(format!("no answer within {} s", limit.as_secs()));
        timeout(limit, exchange).await.map_err(late)?
    }
}

const JSON: &str = "application/json";

fn body<T: Serialize>(value: &T) -> Result<Bytes, Fault> {
    let bytes = serde_json::to_vec(value);
    bytes.map(Bytes::from).map_err(|error| Fault::new("could not write a request to the data plane").because(error))
}

fn path(path: &str, repository: &str, reference: &str) -> Result<String, Fault> {
    let selection = Selection { repository: repository.to_owned(), reference: reference.to_owned() };
    let query = serde_urlencoded::to_string(&selection)
        .map_err(|error| Fault::new("could not write a request to the data plane").because(error))?;
    Ok(format!("{path}?{query}"))
}

impl Answer {
    /// The answer, if it is a good one.
    fn accepted(self) -> Result<Self, Fault> {
        if self.status.is_success() {
            return Ok(self);
        }
        let said = match self.refusal() {
            Some(refusal) => refusal.message,
            None => String::from_utf8_lossy(&self.body).into_owned(),
        };
        Err(Fault::new(format!("the data plane of the local cloud answered {}", self.status)).cause(said))
    }

    /// The answer, unless it says that what was asked for is not there.
    fn found(self) -> Result<Option<Self>, Fault> {
        if self.status == StatusCode::NOT_FOUND && self.refusal().is_some() {
            return Ok(None);
        }
        self.accepted().map(Some)
    }

    fn read<T: DeserializeOwned>(self) -> Result<T, Fault> {
        let unread = |error| Fault::new("could not read an answer of the data plane").because(error);
        serde_json::from_slice(&self.accepted()?.body).map_err(unread)
    }

    /// The registry's own refusal, if this is one.
    fn refusal(&self) -> Option<RegistryRefusal> {
        if self.status.is_success() {
            return None;
        }
        let mut body: Value = serde_json::from_slice(&self.body).ok()?;
        serde_json::from_value(body.pointer_mut("/errors/0")?.take()).ok()
    }
}
