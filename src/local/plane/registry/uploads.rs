//! Blob uploads: begun by POST, continued by PATCH, ended by PUT, hashed while they stream into their file.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use super::refusal::Refusal;
use super::store::{Store, WriteKind};
use super::{CONTENT_DIGEST, ascii, digest_of_path};
use crate::image::Digest;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// A blob on its way in.
#[derive(Debug)]
pub struct Upload {
    repository: String,
    file: File,
    hash: Sha256,
    size: u64,
}

/// What the query of an upload's requests may say.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    digest: Option<String>,
    mount: Option<String>,
    from: Option<String>,
}

impl Upload {
    /// Appends a body. What an earlier, broken request left behind the last whole piece is cut off first.
    async fn append(&mut self, mut body: Body) -> Result<(), Refusal> {
        let storage = |error| Refusal::storage(&error);
        self.file.flush().await.map_err(storage)?;
        self.file.set_len(self.size).await.map_err(storage)?;
        self.file.seek(SeekFrom::Start(self.size)).await.map_err(storage)?;
        while let Some(frame) = body.frame().await {
            let broken = |error| {
                let sentence = format!("the upload broke off after {} bytes: {error}", self.size);
                Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", sentence)
            };
            let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
            self.file.write_all(&piece).await.map_err(storage)?;
            self.hash.update(&piece);
            self.size += piece.len() as u64;
        }
        self.file.flush().await.map_err(storage)
    }

    /// `Range` of what is here: inclusive, so that `0-0` stands for one byte, and for none as well.
    fn range(&self) -> HeaderValue {
        ascii(&format!("0-{}", self.size.saturating_sub(1)))
    }
}

/// POST: begins an upload, mounts a blob of another repository, or takes a whole blob at once.
///
/// # Errors
/// NAME_UNKNOWN, DIGEST_INVALID, or the file system's.
pub async fn begin(store: &Store, name: &str, asked: &Asked, body: Body) -> Result<Response, Refusal> {
    store.state().repository(name)?;
    if let (Some(mount), Some(from)) = (&asked.mount, &asked.from) {
        let digest = digest_of_path(mount)?;
        let mut state = store.state();
        if state.repository(from).is_ok_and(|source| source.blobs.contains(&digest)) {
            state.repository_mut(name)?.blobs.insert(digest.clone());
            state.wrote("POST", WriteKind::Blob, name, digest.as_str());
            return Ok(created(name, &digest));
        }
    }
    let id = Uuid::new_v4();
    let file = File::create(store.upload(id)).await.map_err(|error| Refusal::storage(&error))?;
    let mut upload = Upload { repository: name.to_owned(), file, hash: Sha256::new(), size: 0 };
    if let Some(digest) = &asked.digest {
        return finish(store, id, &mut upload, "POST", digest, body).await;
    }
    let range = upload.range();
    store.state().uploads.insert(id, Arc::new(Mutex::new(upload)));
    Ok(progress(StatusCode::ACCEPTED, name, id, range))
}

/// PATCH: the next piece.
///
/// # Errors
/// BLOB_UPLOAD_UNKNOWN; 416 with the range we have when the piece begins elsewhere; or the file system's.
pub async fn piece(store: &Store, name: &str, id: &str, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let (id, mut upload) = hold(store, name, id).await?;
    check_start(headers, &upload, name, id)?;
    upload.append(body).await?;
    Ok(progress(StatusCode::ACCEPTED, name, id, upload.range()))
}

/// PUT: the last piece, if any, and the digest of the whole.
///
/// # Errors
/// BLOB_UPLOAD_UNKNOWN, DIGEST_INVALID; 416 when the piece begins elsewhere; or the file system's.
pub async fn end(
    store: &Store,
    name: &str,
    id: &str,
    asked: &Asked,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (id, mut upload) = hold(store, name, id).await?;
    check_start(headers, &upload, name, id)?;
    let digest = asked.digest.as_deref().ok_or_else(|| Refusal::digest_invalid("the digest of the blob is missing"))?;
    finish(store, id, &mut upload, "PUT", digest, body).await
}

/// GET: how much is here.
///
/// # Errors
/// BLOB_UPLOAD_UNKNOWN.
pub async fn status(store: &Store, name: &str, id: &str) -> Result<Response, Refusal> {
    let (id, upload) = hold(store, name, id).await?;
    Ok(progress(StatusCode::NO_CONTENT, name, id, upload.range()))
}

/// DELETE: gives an upload up.
///
/// # Errors
/// BLOB_UPLOAD_UNKNOWN, or the file system's.
pub async fn cancel(store: &Store, name: &str, id: &str) -> Result<Response, Refusal> {
    let (id, _upload) = hold(store, name, id).await?;
    discard(store, id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Appends what is left, compares the digest and makes the file a blob of the repository.
async fn finish(
    store: &Store,
    id: Uuid,
    upload: &mut Upload,
    method: &str,
    digest: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let digest = digest_of_path(digest)?;
    upload.append(body).await?;
    let found = upload.hash.clone().finalize();
    let found = format!("sha256:{}", found.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    if found != digest.as_str() {
        discard(store, id).await?;
        return Err(Refusal::digest_invalid(format!("{} bytes with digest {found} were sent", upload.size)));
    }
    // Nobody may append any more once the file has become the blob.
    store.state().uploads.remove(&id);
    tokio::fs::rename(store.upload(id), store.blob(&digest)).await.map_err(|error| Refusal::storage(&error))?;
    let name = &upload.repository;
    let mut state = store.state();
    state.repository_mut(name)?.blobs.insert(digest.clone());
    state.wrote(method, WriteKind::Blob, name, digest.as_str());
    Ok(created(name, &digest))
}

/// An upload that is going on, for one request alone.
async fn hold(store: &Store, name: &str, id: &str) -> Result<(Uuid, OwnedMutexGuard<Upload>), Refusal> {
    let id = Uuid::parse_str(id).map_err(|_| Refusal::upload_unknown())?;
    let upload = store.state().uploads.get(&id).cloned().ok_or_else(Refusal::upload_unknown)?;
    let upload = upload.lock_owned().await;
    // It may have ended while we waited for it.
    if upload.repository != name || !store.state().uploads.contains_key(&id) {
        return Err(Refusal::upload_unknown());
    }
    Ok((id, upload))
}

async fn discard(store: &Store, id: Uuid) -> Result<(), Refusal> {
    store.state().uploads.remove(&id);
    tokio::fs::remove_file(store.upload(id)).await.map_err(|error| Refusal::storage(&error))
}

/// A piece that says where it begins must begin where we are.
fn check_start(headers: &HeaderMap, upload: &Upload, name: &str, id: Uuid) -> Result<(), Refusal> {
    let Some(range) = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let start = range.trim_start_matches("bytes ").split('-').next().and_then(|first| first.trim().parse().ok());
    if start == Some(upload.size) {
        return Ok(());
    }
    let sentence = format!("the next piece begins at byte {}", upload.size);
    Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", sentence)
        .with(header::RANGE, upload.range())
        .with(header::LOCATION, ascii(&format!("/v2/{name}/blobs/uploads/{id}"))))
}

fn progress(status: StatusCode, name: &str, id: Uuid, range: HeaderValue) -> Response {
    let mut answer = empty(status);
    let headers = answer.headers_mut();
    headers.insert(header::LOCATION, ascii(&format!("/v2/{name}/blobs/uploads/{id}")));
    headers.insert(header::RANGE, range);
    headers.insert(UPLOAD_ID, ascii(&id.to_string()));
    answer
}

fn created(name: &str, digest: &Digest) -> Response {
    let mut answer = empty(StatusCode::CREATED);
    answer.headers_mut().insert(header::LOCATION, ascii(&format!("/v2/{name}/blobs/{digest}")));
    answer.headers_mut().insert(CONTENT_DIGEST, ascii(digest.as_str()));
    answer
}

fn empty(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    answer
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::super::store::testing::Scratch;
    use super::*;

    fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
        answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Begins an upload: its id.
    async fn begun(store: &Store, name: &str) -> String {
        let answer = begin(store, name, &Asked::default(), Body::empty()).await.unwrap();
        assert_eq!((answer.status(), header(&answer, "range")), (StatusCode::ACCEPTED, "0-0"));
        let id = header(&answer, "docker-upload-uuid").to_owned();
        assert_eq!(header(&answer, "location"), format!("/v2/{name}/blobs/uploads/{id}"));
        id
    }

    fn digest(bytes: &[u8]) -> Asked {
        Asked { digest: Some(Digest::of(bytes).to_string()), ..Asked::default() }
    }

    fn starts_at(byte: u64) -> HeaderMap {
        [(header::CONTENT_RANGE, ascii(&format!("{byte}-99")))].into_iter().collect()
    }

    #[tokio::test]
    async fn pieces_add_up_and_ranges_name_the_last_byte() {
        let scratch = Scratch::with(&["shop"]).await;
        let (store, none) = (&scratch.0, HeaderMap::new());
        let id = begun(store, "shop").await;
        let answer = piece(store, "shop", &id, &none, Body::from("hello ")).await.unwrap();
        assert_eq!((answer.status(), header(&answer, "range")), (StatusCode::ACCEPTED, "0-5"));
        let refused = piece(store, "shop", &id, &starts_at(7), Body::from("x")).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE);
        piece(store, "shop", &id, &starts_at(6), Body::from("wor")).await.unwrap();
        assert_eq!(header(&status(store, "shop", &id).await.unwrap(), "range"), "0-8");
        let asked = digest(b"hello world");
        let answer = end(store, "shop", &id, &asked, &none, Body::from("ld")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(std::fs::read(store.blob(&Digest::of(b"hello world"))).unwrap(), b"hello world");
        assert_eq!(
            end(store, "shop", &id, &asked, &none, Body::empty()).await.unwrap_err().code,
            "BLOB_UPLOAD_UNKNOWN"
        );
    }

    #[tokio::test]
    async fn a_broken_piece_keeps_what_came_and_the_upload_goes_on() {
        let scratch = Scratch::with(&["shop"]).await;
        let (store, none) = (&scratch.0, HeaderMap::new());
        let id = begun(store, "shop").await;
        let broken = Body::from_stream(stream::iter([Ok("abc"), Err(std::io::Error::other("line cut"))]));
        let refused = piece(store, "shop", &id, &none, broken).await.unwrap_err();
        assert!(refused.message.contains("after 3 bytes"), "{}", refused.message);
        assert_eq!(header(&status(store, "shop", &id).await.unwrap(), "range"), "0-2");
        end(store, "shop", &id, &digest(b"abcdef"), &none, Body::from("def")).await.unwrap();
    }

    #[tokio::test]
    async fn a_wrong_digest_is_refused_and_leaves_nothing() {
        let scratch = Scratch::with(&["shop"]).await;
        let (store, none) = (&scratch.0, HeaderMap::new());
        let id = begun(store, "shop").await;
        let refused = end(store, "shop", &id, &digest(b"this"), &none, Body::from("that")).await.unwrap_err();
        assert_eq!(refused.code, "DIGEST_INVALID");
        assert!(!store.upload(id.parse().unwrap()).exists() && !store.blob(&Digest::of(b"that")).exists());
        assert!(store.state().log.is_empty());
    }

    #[tokio::test]
    async fn a_blob_comes_in_one_request_or_from_another_repository_but_into_a_known_one_only() {
        let scratch = Scratch::with(&["shop", "team/shop"]).await;
        let store = &scratch.0;
        let answer = begin(store, "shop", &digest(b"blob"), Body::from("blob")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let mount = |from: &str| Asked {
            mount: Some(Digest::of(b"blob").to_string()),
            from: Some(from.into()),
            ..Asked::default()
        };
        let answer = begin(store, "team/shop", &mount("shop"), Body::empty()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(store.blob_size("team/shop", &Digest::of(b"blob")).await.unwrap(), 4);
        let answer = begin(store, "shop", &mount("nobody"), Body::empty()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let refused = begin(store, "other", &Asked::default(), Body::empty()).await.unwrap_err();
        assert_eq!(refused.code, "NAME_UNKNOWN");
        let methods: Vec<String> = store.state().log.iter().map(|write| write.method.clone()).collect();
        assert_eq!(methods, ["POST", "POST"]);
    }
}
