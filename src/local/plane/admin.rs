//! The admin API, on a port of its own behind a bearer token: how the control plane moves and looks at the data plane.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ask::{Asked, Question, ask};
use super::registry::{LONGEST_MANIFEST, Refusal, Registry};
use super::routes::Routes;
use crate::inputs::secret::Secret;

#[derive(Clone, Debug)]
struct Plane {
    routes: Routes,
    registry: Arc<Registry>,
}

/// A repository to be made or changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewRepository {
    pub name: String,
    #[serde(default)]
    pub immutable_tags: bool,
}

/// Which repository, and what in it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Selection {
    pub repository: String,
    #[serde(default)]
    pub reference: String,
}

/// The API, answering only to this token.
pub fn service(routes: Routes, registry: Arc<Registry>, token: Secret) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/routes", put(replace_routes))
        .route("/ask", post(ask_instance))
        .route("/registry/log", get(async |State(plane): State<Plane>| json(&plane.registry.log())))
        .route("/registry/repositories", repositories_service())
        .route("/registry/images", get(images))
        .route("/registry/manifest", get(manifest).put(put_manifest).delete(remove_manifest))
        .layer(DefaultBodyLimit::max(LONGEST_MANIFEST))
        .with_state(Plane { routes, registry })
        .layer(from_fn_with_state(token, authorize))
}

async fn authorize(State(token): State<Secret>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if given == token.reveal() => next.run(request).await,
        _ => {
            let sentence = "the admin API of a local cloud answers to its own token only";
            Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", sentence).into_response()
        }
    }
}

async fn replace_routes(State(plane): State<Plane>, body: Bytes) -> Result<StatusCode, Refusal> {
    plane.routes.replace(&read(&body)?).map_err(Refusal::malformed)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ask_instance(body: Bytes) -> Result<Response, Refusal> {
    let question: Question = read(&body)?;
    Ok(json(&ask(&question).await.map_or_else(Asked::Error, Asked::Status)))
}

async fn repositories(State(plane): State<Plane>) -> Response {
    json(&plane.registry.repositories())
}

fn repositories_service() -> MethodRouter<Plane> {
    get(repositories).post(create_repository).put(change_repository).delete(remove_repository)
}

/// Whether tags are kept is all that can change of a repository.
async fn change_repository(State(plane): State<Plane>, body: Bytes) -> Result<StatusCode, Refusal> {
    let wanted: NewRepository = read(&body)?;
    plane.registry.keep_tags(&wanted.name, wanted.immutable_tags)?;
    Ok(StatusCode::NO_CONTENT)
}

/// 201 when it was made, 200 when it was there.
async fn create_repository(State(plane): State<Plane>, body: Bytes) -> Result<StatusCode, Refusal> {
    let new: NewRepository = read(&body)?;
    let made = plane.registry.create_repository(&new.name, new.immutable_tags)?;
    Ok(if made { StatusCode::CREATED } else { StatusCode::OK })
}

async fn remove_repository(State(plane): State<Plane>, Query(which): Query<Selection>) -> Result<StatusCode, Refusal> {
    match plane.registry.remove_repository(&which.repository) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal::name_unknown(&which.repository)),
    }
}

async fn images(State(plane): State<Plane>, Query(which): Query<Selection>) -> Result<Response, Refusal> {
    plane.registry.images(&which.repository).map(|images| json(&images))
}

async fn manifest(State(plane): State<Plane>, Query(which): Query<Selection>) -> Result<Response, Refusal> {
    plane.registry.manifest(&which.repository, &which.reference).map(|manifest| json(&manifest))
}

/// A tag for a manifest, without anything being pulled: what ECR calls PutImage.
async fn put_manifest(
    State(plane): State<Plane>,
    Query(which): Query<Selection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let digest = plane.registry.put_manifest(&which.repository, &which.reference, media_type, body).await?;
    Ok(json(&digest))
}

async fn remove_manifest(State(plane): State<Plane>, Query(which): Query<Selection>) -> Result<StatusCode, Refusal> {
    plane.registry.remove_manifest(&which.repository, &which.reference)?;
    Ok(StatusCode::NO_CONTENT)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::malformed(error.to_string()))
}

fn json<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
