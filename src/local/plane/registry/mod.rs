//! The registry: the distribution API over HTTP, and what the control plane asks about the same contents.

mod blobs;
mod lists;
mod manifests;
mod path;
mod refusal;
mod store;
mod uploads;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::Utc;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::REGISTRY_USER;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::secret::Secret;
pub use manifests::LONGEST_MANIFEST;
use path::Resource;
pub use refusal::Refusal;
use store::{Contents, Store};
pub use store::{RegistryWrite, WriteKind};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A repository, as the control plane lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryRepository {
    /// Its name.
    pub name: String,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Whether a tag that exists is kept as it is.
    pub immutable_tags: bool,
}

/// A manifest in a repository, as the control plane lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryImage {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// Bytes of the configuration and the compressed layers; 0 for an index.
    pub size: u64,
    /// When it was first pushed, unix milliseconds.
    pub pushed_at: i64,
    /// All tags that stand for it, sorted.
    pub tags: Vec<String>,
}

/// A manifest itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// Its bytes, which are JSON.
    pub body: String,
}

/// Why the registry refused a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryRefusal {
    /// The distribution specification's word: `NAME_UNKNOWN`, `TAG_INVALID`, `MANIFEST_BLOB_UNKNOWN`, ...
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// An OCI distribution registry with one login.
#[derive(Debug)]
pub struct Registry {
    store: Store,
    authorization: Secret,
}

impl Registry {
    /// A registry that keeps its blobs in this directory and lets [`REGISTRY_USER`] in with this password.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub async fn open(directory: &Path, password: Secret) -> Result<Self, Fault> {
        let refused = |error| {
            Fault::new(format!("could not make the registry's directory {}", directory.display())).because(error)
        };
        let store = Store::open(directory).await.map_err(refused)?;
        let login = STANDARD.encode(format!("{REGISTRY_USER}:{}", password.reveal()));
        Ok(Self { store, authorization: Secret::new(format!("Basic {login}")) })
    }

    /// Everything written so far, oldest first.
    pub fn log(&self) -> Vec<RegistryWrite> {
        self.store.state().log.clone()
    }

    /// All repositories, sorted.
    pub fn repositories(&self) -> Vec<RegistryRepository> {
        let state = self.store.state();
        let facts = |(name, contents): (&String, &Contents)| RegistryRepository {
            name: name.clone(),
            created_at: contents.created_at,
            immutable_tags: contents.immutable_tags,
        };
        state.repositories.iter().map(facts).collect()
    }

    /// Makes a repository. `false` when there is one of this name, which is left as it is.
    ///
    /// # Errors
    /// NAME_INVALID.
    pub fn create_repository(&self, name: &str, immutable_tags: bool) -> Result<bool, Refusal> {
        if !path::is_repository_name(name) {
            return Err(Refusal::name_invalid(name));
        }
        let mut state = self.store.state();
        if state.repositories.contains_key(name) {
            return Ok(false);
        }
        let contents = Contents { created_at: Utc::now().timestamp_millis(), immutable_tags, ..Contents::default() };
        state.repositories.insert(name.to_owned(), contents);
        Ok(true)
    }

    /// Says whether a tag that exists is kept as it is from now on.
    ///
    /// # Errors
    /// NAME_UNKNOWN.
    pub fn keep_tags(&self, name: &str, immutable_tags: bool) -> Result<(), Refusal> {
        self.store.state().repository_mut(name)?.immutable_tags = immutable_tags;
        Ok(())
    }

    /// Forgets a repository and everything in it. `false` when there is none.
    pub fn remove_repository(&self, name: &str) -> bool {
        self.store.state().repositories.remove(name).is_some()
    }

    /// All manifests of a repository, newest first.
    ///
    /// # Errors
    /// NAME_UNKNOWN.
    pub fn images(&self, name: &str) -> Result<Vec<RegistryImage>, Refusal> {
        let state = self.store.state();
        let contents = state.repository(name)?;
        let tags_of = |digest: &Digest| {
            contents.tags.iter().filter(|(_, target)| *target == digest).map(|(tag, _)| tag.clone()).collect()
        };
        let mut images: Vec<RegistryImage> = contents
            .manifests
            .iter()
            .map(|(digest, manifest)| RegistryImage {
                digest: digest.clone(),
                media_type: manifest.media_type.clone(),
                size: manifest.content_bytes,
                pushed_at: manifest.pushed_at,
                tags: tags_of(digest),
            })
            .collect();
        images.sort_by(|a, b| b.pushed_at.cmp(&a.pushed_at).then_with(|| a.digest.as_str().cmp(b.digest.as_str())));
        Ok(images)
    }

    /// A manifest by tag or digest.
    ///
    /// # Errors
    /// NAME_UNKNOWN, MANIFEST_UNKNOWN.
    pub fn manifest(&self, name: &str, reference: &str) -> Result<RegistryManifest, Refusal> {
        let state = self.store.state();
        let found = state.repository(name)?.resolve(reference);
        let (digest, manifest) = found.ok_or_else(|| Refusal::manifest_unknown(reference))?;
        let body = String::from_utf8_lossy(&manifest.bytes).into_owned();
        Ok(RegistryManifest { digest, media_type: manifest.media_type.clone(), body })
    }

    /// Puts a manifest under a tag or its digest, as a push would.
    ///
    /// # Errors
    /// What a push would be told.
    pub async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest, Refusal> {
        manifests::put(&self.store, name, reference, media_type, bytes).await
    }

    /// Removes a tag, or by digest a manifest with all of its tags.
    ///
    /// # Errors
    /// NAME_UNKNOWN, MANIFEST_UNKNOWN.
    pub fn remove_manifest(&self, name: &str, reference: &str) -> Result<(), Refusal> {
        manifests::remove(&self.store, name, reference).map(drop)
    }
}

/// The distribution API of a registry.
pub fn service(registry: Arc<Registry>) -> Router {
    Router::new().fallback(answer).with_state(registry)
}

async fn answer(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let mut answer = match registry.dispatch(request).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.into_response(),
    };
    answer.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    answer
}

impl Registry {
    async fn dispatch(&self, request: Request) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        self.authorize(&head.headers)?;
        let store = &self.store;
        let path = head.uri.path().replace("%3A", ":").replace("%3a", ":");
        let query = head.uri.query().unwrap_or_default();
        let method = &head.method;
        let reads = [Method::GET, Method::HEAD].contains(method);
        let resource = path::resource(&path).ok_or_else(no_such_path)?;
        match (resource, method.as_str()) {
            (Resource::Base, _) if reads => Ok(Response::new(Body::from("{}"))),
            (Resource::Catalog, "GET") => lists::catalog(store, &read_query(query)?),
            (Resource::Tags { name }, "GET") => lists::tags(store, name, &read_query(query)?),
            (Resource::Blob { name, digest }, _) if reads => {
                blobs::read(store, method, name, digest, &head.headers).await
            }
            (Resource::Uploads { name }, "POST") => uploads::begin(store, name, &read_query(query)?, body).await,
            (Resource::Upload { name, id }, "GET") => uploads::status(store, name, id).await,
            (Resource::Upload { name, id }, "PATCH") => uploads::piece(store, name, id, &head.headers, body).await,
            (Resource::Upload { name, id }, "PUT") => {
                uploads::end(store, name, id, &read_query(query)?, &head.headers, body).await
            }
            (Resource::Upload { name, id }, "DELETE") => uploads::cancel(store, name, id).await,
            (Resource::Manifest { name, reference }, _) if reads => manifests::read(store, method, name, reference),
            (Resource::Manifest { name, reference }, "PUT") => {
                manifests::write(store, name, reference, &head.headers, body).await
            }
            (Resource::Manifest { name, reference }, "DELETE") => manifests::remove(store, name, reference),
            _ => Err(Refusal::unsupported()),
        }
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        if given == Some(self.authorization.reveal().as_bytes()) { Ok(()) } else { Err(Refusal::unauthorized()) }
    }
}

fn no_such_path() -> Refusal {
    Refusal::new(http::StatusCode::NOT_FOUND, "UNSUPPORTED", "the distribution API has no such path")
}

fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    let bad = |error| Refusal::malformed(format!("the query cannot be read: {error}"));
    serde_urlencoded::from_str(query).map_err(bad)
}

fn digest_of_path(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text).map_err(Refusal::digest_invalid)
}

/// A header's value out of text that has been checked, or that we made of digits and checked names.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
