//! ECR's operations on images.

use serde_json::{Value, json};

use super::super::ACCOUNT;
use super::request::{ImageId, Refusal, Request};
use super::{Ecr, seconds, with_token};
use crate::image::Digest;
use crate::local::plane::{RegistryImage, RegistryManifest, RegistryRefusal};

/// What a manifest is when nobody says (image manifest version 2, schema 2).
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

impl Ecr {
    /// All images of a repository that must be there, the newest first.
    async fn all_images(&self, repository: &str) -> Result<Vec<RegistryImage>, Refusal> {
        let all = self.plane.images(repository).await.map_err(Refusal::server)?;
        all.ok_or_else(|| Refusal::no_repository(repository))
    }

    pub(super) async fn describe_images(&self, request: &Request) -> Result<Value, Refusal> {
        let repository = request.repository()?;
        let all = self.all_images(repository).await?;
        let chosen = match request.image_ids.as_deref() {
            None | Some([]) => all.iter().filter(|image| request.filter.takes(!image.tags.is_empty())).collect(),
            Some(ids) => {
                let find = |id: &ImageId| find(&all, id).ok_or_else(|| Refusal::no_image(repository, id));
                ids.iter().map(find).collect::<Result<Vec<_>, _>>()?
            }
        };
        let (page, next) = request.page(chosen)?;
        let page: Vec<Value> = page.into_iter().map(|image| described(repository, image)).collect();
        Ok(with_token(json!({ "imageDetails": page }), next))
    }

    pub(super) async fn list_images(&self, request: &Request) -> Result<Value, Refusal> {
        let all = self.all_images(request.repository()?).await?;
        let mut ids = Vec::new();
        for image in all.iter().filter(|image| request.filter.takes(!image.tags.is_empty())) {
            let id = |tag: Option<&String>| ImageId {
                image_digest: Some(image.digest.to_string()),
                image_tag: tag.cloned(),
            };
            ids.extend(image.tags.iter().map(|tag| id(Some(tag))));
            if image.tags.is_empty() {
                ids.push(id(None));
            }
        }
        let (page, next) = request.page(ids)?;
        Ok(with_token(json!({ "imageIds": page }), next))
    }

    pub(super) async fn get_images(&self, request: &Request) -> Result<Value, Refusal> {
        let repository = request.repository()?;
        self.repository(repository).await?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in request.images()? {
            match self.manifest_of(repository, id).await? {
                Ok(manifest) => images.push(image(repository, id.image_tag.as_deref(), &manifest)),
                Err(failure) => failures.push(failure),
            }
        }
        Ok(json!({ "images": images, "failures": failures }))
    }

    /// The manifest that a name stands for, or the name among the failures.
    async fn manifest_of(&self, repository: &str, id: &ImageId) -> Result<Result<RegistryManifest, Value>, Refusal> {
        let (None, Some(reference)) = (id.flaw(), id.reference()) else {
            return Ok(Err(id.failure(id.flaw().unwrap_or_default())));
        };
        let found = self.plane.manifest(repository, reference).await.map_err(Refusal::server)?;
        Ok(match found {
            None => Err(id.failure(("ImageNotFound", "Requested image not found"))),
            Some(manifest) if id.image_digest.as_deref().is_some_and(|digest| digest != manifest.digest.as_str()) => {
                Err(id.failure(("ImageTagDoesNotMatchDigest", "Requested image tag does not match its digest")))
            }
            Some(manifest) => Ok(manifest),
        })
    }

    pub(super) async fn put_image(&self, request: &Request) -> Result<Value, Refusal> {
        let name = request.repository()?;
        let repository = self.repository(name).await?;
        let Some(text) = &request.image_manifest else {
            return Err(Refusal::invalid("imageManifest", "must not be null"));
        };
        let digest = Digest::of(text.as_bytes());
        if request.image_digest.as_deref().is_some_and(|given| given != digest.as_str()) {
            let message = "The provided digest does not match the digest of the image manifest";
            return Err(Refusal::new("ImageDigestDoesNotMatchException", message));
        }
        let tag = request.image_tag.as_deref();
        let reference = tag.unwrap_or(digest.as_str());
        match self.plane.manifest(name, reference).await.map_err(Refusal::server)? {
            Some(there) if there.digest == digest => return Err(image_exists(name, &digest, tag)),
            Some(_) if repository.immutable_tags => return Err(tag_exists(name, reference)),
            _ => {}
        }
        let said = request.image_manifest_media_type.clone();
        let media_type = said.or_else(|| media_type(text)).unwrap_or_else(|| DOCKER_MANIFEST.into());
        let put = self.plane.put_manifest(name, reference, &media_type, text).await.map_err(Refusal::server)?;
        let digest = put.map_err(refused)?;
        let stored = RegistryManifest { digest, media_type, body: text.clone() };
        Ok(json!({ "image": image(name, tag, &stored) }))
    }

    pub(super) async fn delete_images(&self, request: &Request) -> Result<Value, Refusal> {
        let repository = request.repository()?;
        self.repository(repository).await?;
        let (mut gone, mut failures) = (Vec::new(), Vec::new());
        for id in request.images()? {
            match self.manifest_of(repository, id).await? {
                Err(failure) => failures.push(failure),
                Ok(manifest) => {
                    let reference = id.reference().unwrap_or_default();
                    self.plane.remove_manifest(repository, reference).await.map_err(Refusal::server)?;
                    let image_digest = Some(manifest.digest.to_string());
                    gone.push(ImageId { image_digest, image_tag: id.image_tag.clone() });
                }
            }
        }
        Ok(json!({ "imageIds": gone, "failures": failures }))
    }
}

fn find<'a>(all: &'a [RegistryImage], id: &ImageId) -> Option<&'a RegistryImage> {
    let matches = |image: &&RegistryImage| {
        id.image_digest.as_deref().is_none_or(|digest| image.digest.as_str() == digest)
            && id.image_tag.as_ref().is_none_or(|tag| image.tags.contains(tag))
    };
    all.iter().find(matches)
}

fn described(repository: &str, image: &RegistryImage) -> Value {
    let mut details = json!({
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageDigest": image.digest,
        "imageSizeInBytes": image.size,
        "imagePushedAt": seconds(image.pushed_at),
        "imageManifestMediaType": image.media_type,
        "imageStatus": "ACTIVE",
    });
    if !image.tags.is_empty() {
        details["imageTags"] = json!(image.tags);
    }
    details
}

fn image(repository: &str, tag: Option<&str>, manifest: &RegistryManifest) -> Value {
    let id = ImageId { image_digest: Some(manifest.digest.to_string()), image_tag: tag.map(ToOwned::to_owned) };
    json!({
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageId": id,
        "imageManifest": manifest.body,
        "imageManifestMediaType": manifest.media_type,
    })
}

/// A manifest's own word for its type.
fn media_type(manifest: &str) -> Option<String> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    Some(manifest.get("mediaType")?.as_str()?.to_owned())
}

/// What the registry has against a manifest, in ECR's words.
fn refused(refusal: RegistryRefusal) -> Refusal {
    let exception = match refusal.code.as_str() {
        "MANIFEST_BLOB_UNKNOWN" => "LayersNotFoundException",
        "TAG_INVALID" | "MANIFEST_INVALID" | "NAME_INVALID" => "InvalidParameterException",
        "NAME_UNKNOWN" => "RepositoryNotFoundException",
        _ => "ServerException",
    };
    Refusal::new(exception, refusal.message)
}

fn image_exists(repository: &str, digest: &Digest, tag: Option<&str>) -> Refusal {
    let tag = tag.unwrap_or("null");
    let message = format!(
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{repository}' in \
         registry with id '{ACCOUNT}'"
    );
    Refusal::new("ImageAlreadyExistsException", message)
}

fn tag_exists(repository: &str, tag: &str) -> Refusal {
    let message = format!(
        "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the tag \
         is immutable."
    );
    Refusal::new("ImageTagAlreadyExistsException", message)
}
