//! Manifests and tags: taken only when everything they name is here, and given back byte for byte.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use chrono::Utc;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;

use super::refusal::Refusal;
use super::store::{Contents, Manifest, Store, WriteKind};
use super::{CONTENT_DIGEST, ascii};
use crate::image::{Digest, Tag};

/// A manifest may have this many bytes, as the specification asks for at least.
pub const LONGEST_MANIFEST: usize = 4 * 1024 * 1024;

/// Types of manifests that name a configuration and layers.
const IMAGES: [&str; 2] =
    ["application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"];

/// Types of manifests that name manifests.
const INDEXES: [&str; 2] =
    ["application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    /// Where a layer lies that no registry may hold (Windows base layers).
    #[serde(default)]
    urls: Vec<String>,
}

/// HEAD and GET.
///
/// # Errors
/// NAME_UNKNOWN, MANIFEST_UNKNOWN.
pub fn read(store: &Store, method: &Method, name: &str, reference: &str) -> Result<Response, Refusal> {
    let state = store.state();
    let found = state.repository(name)?.resolve(reference);
    let (digest, manifest) = found.ok_or_else(|| Refusal::manifest_unknown(reference))?;
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(manifest.bytes.clone()) };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, ascii(&manifest.media_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(manifest.bytes.len()));
    headers.insert(CONTENT_DIGEST, ascii(digest.as_str()));
    Ok(answer)
}

/// PUT, as a client sends it.
///
/// # Errors
/// Those of [`put`].
pub async fn write(
    store: &Store,
    name: &str,
    reference: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let too_long = |_| Refusal::manifest_invalid(format!("no manifest, or more than {LONGEST_MANIFEST} bytes"));
    let bytes = Limited::new(body, LONGEST_MANIFEST).collect().await.map_err(too_long)?.to_bytes();
    let digest = put(store, name, reference, media_type, bytes).await?;
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::CREATED;
    answer.headers_mut().insert(header::LOCATION, ascii(&format!("/v2/{name}/manifests/{digest}")));
    answer.headers_mut().insert(CONTENT_DIGEST, ascii(digest.as_str()));
    Ok(answer)
}

/// Stores a manifest under a tag or its digest.
///
/// # Errors
/// NAME_UNKNOWN, TAG_INVALID, DIGEST_INVALID, MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, SIZE_INVALID.
pub async fn put(
    store: &Store,
    name: &str,
    reference: &str,
    media_type: &str,
    bytes: Bytes,
) -> Result<Digest, Refusal> {
    store.state().repository(name)?;
    let digest = Digest::of(&bytes);
    let tag = match Digest::parse(reference) {
        Ok(named) if named == digest => None,
        Ok(_) => return Err(Refusal::digest_invalid(format!("the manifest's digest is {digest}"))),
        Err(_) => {
            let bad = |why| Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", format!("a tag {why}"));
            Some(Tag::parse(reference).map_err(bad)?)
        }
    };
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let document = document(media_type, &bytes)?;
    let content_bytes = check_blobs(store, name, &document).await?;
    let mut state = store.state();
    let contents = state.repository_mut(name)?;
    check_manifests(contents, &document)?;
    if let Some(tag) = &tag {
        check_tag(contents, name, tag, &digest)?;
        contents.tags.insert(tag.as_str().to_owned(), digest.clone());
    }
    let pushed_at = Utc::now().timestamp_millis();
    let manifest = Manifest { media_type: media_type.to_owned(), bytes, content_bytes, pushed_at };
    contents.manifests.entry(digest.clone()).or_insert(manifest);
    state.wrote("PUT", WriteKind::Manifest, name, reference);
    Ok(digest)
}

/// DELETE: a tag alone, or by digest a manifest with all of its tags.
///
/// # Errors
/// NAME_UNKNOWN, MANIFEST_UNKNOWN.
pub fn remove(store: &Store, name: &str, reference: &str) -> Result<Response, Refusal> {
    let mut state = store.state();
    let contents = state.repository_mut(name)?;
    let found = match Digest::parse(reference) {
        Ok(digest) => {
            contents.tags.retain(|_, target| *target != digest);
            contents.manifests.remove(&digest).is_some()
        }
        Err(_) => contents.tags.remove(reference).is_some(),
    };
    if !found {
        return Err(Refusal::manifest_unknown(reference));
    }
    state.wrote("DELETE", WriteKind::Manifest, name, reference);
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

/// Reads a manifest and holds it against its type.
fn document(media_type: &str, bytes: &[u8]) -> Result<Document, Refusal> {
    if !IMAGES.contains(&media_type) && !INDEXES.contains(&media_type) {
        return Err(Refusal::manifest_invalid(format!("'{media_type}' is no type of manifest that is kept here")));
    }
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::manifest_invalid(format!("this is no manifest: {error}")))?;
    if document.schema_version != 2 {
        return Err(Refusal::manifest_invalid("schemaVersion is not 2"));
    }
    if let Some(said) = document.media_type.as_deref().filter(|said| *said != media_type) {
        return Err(Refusal::manifest_invalid(format!("sent as '{media_type}', but says '{said}' of itself")));
    }
    if IMAGES.contains(&media_type) && document.config.is_none() {
        return Err(Refusal::manifest_invalid("an image manifest names its config"));
    }
    Ok(document)
}

/// Everything an image names must be in the repository, with the size it is named with: a wrong size is what a client
/// writes that was told wrong ranges, and it would change the digest. Gives the sizes' sum.
async fn check_blobs(store: &Store, name: &str, document: &Document) -> Result<u64, Refusal> {
    let mut sum = 0;
    for blob in document.config.iter().chain(&document.layers) {
        sum += blob.size;
        if !blob.urls.is_empty() {
            continue;
        }
        let digest = Digest::parse(&blob.digest).map_err(Refusal::manifest_invalid)?;
        let size = store.blob_size(name, &digest).await.map_err(|refusal| missing(refusal, &blob.digest))?;
        if size != blob.size {
            let sentence = format!("{digest} has {size} bytes, the manifest says {}", blob.size);
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", sentence));
        }
    }
    Ok(sum)
}

fn check_manifests(contents: &Contents, document: &Document) -> Result<(), Refusal> {
    let absent = |named: &&Descriptor| contents.resolve(&named.digest).is_none();
    match document.manifests.iter().find(absent) {
        Some(named) => Err(missing(Refusal::blob_unknown(&named.digest), &named.digest)),
        None => Ok(()),
    }
}

fn missing(refusal: Refusal, digest: &str) -> Refusal {
    if refusal.code != "BLOB_UNKNOWN" {
        return refusal;
    }
    let sentence = format!("the manifest names {digest}, which is not in this repository");
    Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", sentence)
}

/// In a repository with immutable tags, a tag stays on its first manifest. Refused as ECR does.
fn check_tag(contents: &Contents, name: &str, tag: &Tag, digest: &Digest) -> Result<(), Refusal> {
    match contents.tags.get(tag.as_str()) {
        Some(held) if contents.immutable_tags && held != digest => {
            let sentence = format!(
                "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the \
                 repository is immutable."
            );
            Err(Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", sentence))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::store::testing::Scratch;
    use super::*;

    const DOCKER: &str = IMAGES[0];
    const OCI: &str = IMAGES[1];

    fn image(media_type: &str, blobs: [(&Digest, u64); 2]) -> Value {
        let [config, layer] = blobs.map(|(digest, size)| json!({ "digest": digest, "size": size, "mediaType": "x" }));
        json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] })
    }

    async fn put_text(store: &Store, reference: &str, media_type: &str, manifest: &Value) -> Result<Digest, Refusal> {
        put(store, "shop", reference, media_type, Bytes::from(manifest.to_string())).await
    }

    #[tokio::test]
    async fn a_manifest_waits_for_everything_it_names_in_its_true_size() {
        let scratch = Scratch::with(&["shop"]).await;
        let store = &scratch.0;
        let (config, layer) = (scratch.plant("shop", b"config"), Digest::of(b"layer"));
        let code = |result: Result<Digest, Refusal>| result.map_err(|refusal| refusal.code);
        let good = image(DOCKER, [(&config, 6), (&layer, 5)]);
        assert_eq!(code(put_text(store, "1", DOCKER, &good).await), Err("MANIFEST_BLOB_UNKNOWN"));
        scratch.plant("shop", b"layer");
        let one_too_big = image(DOCKER, [(&config, 6), (&layer, 6)]);
        assert_eq!(code(put_text(store, "1", DOCKER, &one_too_big).await), Err("SIZE_INVALID"));
        assert_eq!(code(put_text(store, "1", OCI, &good).await), Err("MANIFEST_INVALID"));
        assert_eq!(code(put_text(store, "1", "application/json", &good).await), Err("MANIFEST_INVALID"));
        assert_eq!(code(put_text(store, ".1", DOCKER, &good).await), Err("TAG_INVALID"));
        assert_eq!(code(put_text(store, config.as_str(), DOCKER, &good).await), Err("DIGEST_INVALID"));
        let digest = Digest::of(good.to_string().as_bytes());
        assert_eq!(code(put_text(store, "1", DOCKER, &good).await), Ok(digest.clone()));
        let index = json!({ "schemaVersion": 2, "manifests": [{ "digest": digest, "size": 1 }] });
        assert!(put_text(store, "all", INDEXES[1], &index).await.is_ok());
        let index = json!({ "schemaVersion": 2, "manifests": [{ "digest": config, "size": 1 }] });
        assert_eq!(code(put_text(store, "all", INDEXES[0], &index).await), Err("MANIFEST_BLOB_UNKNOWN"));
        let log: Vec<String> = store.state().log.iter().map(|write| write.reference.clone()).collect();
        assert_eq!(log, ["1", "all"]);
    }

    #[tokio::test]
    async fn a_manifest_comes_back_as_it_was_pushed_until_it_is_deleted() {
        let scratch = Scratch::with(&["shop"]).await;
        let store = &scratch.0;
        let (config, layer) = (scratch.plant("shop", b"config"), scratch.plant("shop", b"layer"));
        let manifest = image(OCI, [(&config, 6), (&layer, 5)]);
        let digest = put_text(store, "1", OCI, &manifest).await.unwrap();
        put_text(store, "2", OCI, &manifest).await.unwrap();
        for reference in ["1", "2", digest.as_str()] {
            let answer = read(store, &Method::GET, "shop", reference).unwrap();
            assert_eq!(answer.headers()["docker-content-digest"], digest.as_str());
            assert_eq!(answer.headers()["content-type"], OCI);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, manifest.to_string());
        }
        assert!(remove(store, "shop", "1").is_ok());
        assert_eq!(remove(store, "shop", "1").unwrap_err().code, "MANIFEST_UNKNOWN");
        assert!(read(store, &Method::HEAD, "shop", "2").is_ok());
        assert!(remove(store, "shop", digest.as_str()).is_ok());
        assert_eq!(read(store, &Method::HEAD, "shop", "2").unwrap_err().code, "MANIFEST_UNKNOWN");
    }

    #[tokio::test]
    async fn an_immutable_tag_stays_where_it_is() {
        let scratch = Scratch::with(&["shop"]).await;
        let store = &scratch.0;
        store.state().repository_mut("shop").unwrap().immutable_tags = true;
        let (config, layer) = (scratch.plant("shop", b"config"), scratch.plant("shop", b"layer"));
        let (first, second) = (image(OCI, [(&config, 6), (&layer, 5)]), image(OCI, [(&layer, 5), (&config, 6)]));
        put_text(store, "1", OCI, &first).await.unwrap();
        let refused = put_text(store, "1", OCI, &second).await.unwrap_err();
        assert!(refused.code == "TAG_INVALID" && refused.message.contains("immutable"), "{}", refused.message);
        assert!(put_text(store, "1", OCI, &first).await.is_ok());
        assert!(put_text(store, "2", OCI, &second).await.is_ok());
    }
}
