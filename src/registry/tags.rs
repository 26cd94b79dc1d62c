//! Tags in ECR that only we use: given to a digest, and taken away, without a pull.

use std::sync::LazyLock;

use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::{Image, ImageFailureCode, ImageIdentifier};

use super::client::MANIFESTS;
use super::ecr::{EcrRepository, client, failure, policy};
use crate::cloud::code;
use crate::engine::retry::{Failure, retry};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::Digest;

/// The kinds of manifest that we take as they are: without the list ECR would turn one kind into another.
static KINDS: LazyLock<Vec<String>> =
    LazyLock::new(|| MANIFESTS.split(',').map(|kind| kind.trim().to_owned()).collect());

/// ECR's API for tags, of any account and region that the credentials may use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EcrTags {
    sdk: aws_config::SdkConfig,
}

/// What became of a tag that was to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The digest has it.
    Done,
    /// We may not give it. It holds ECR's words and the statement that would allow it.
    Denied { why: String, statement: String },
}

/// A manifest that ECR holds, as it is.
#[derive(Clone, Debug)]
struct Manifest {
    digest: Digest,
    body: String,
    kind: Option<String>,
}

/// What a question for a manifest came to.
enum Asked {
    Found(Manifest),
    Missing,
    Denied(String),
}

impl EcrRepository {
    /// What takes a tag away again.
    pub fn remove_tag(&self, tag: &str) -> Undo {
        Undo::RemoveTag {
            repository: self.name.clone(),
            registry_id: self.registry_id.clone(),
            tag: tag.to_owned(),
            region: self.region.clone(),
        }
    }
}

impl EcrTags {
    /// The API with these credentials.
    pub fn new(sdk: &aws_config::SdkConfig) -> Self {
        Self { sdk: sdk.clone() }
    }

    /// What a tag names; `None` when there is no such tag, or when it may not be asked for.
    ///
    /// # Errors
    /// ECR cannot be asked.
    pub async fn digest(&self, repository: &EcrRepository, tag: &str) -> Result<Option<Digest>, Fault> {
        match self.manifest(repository, ImageIdentifier::builder().image_tag(tag).build()).await? {
            Asked::Found(manifest) => Ok(Some(manifest.digest)),
            Asked::Missing | Asked::Denied(_) => Ok(None),
        }
    }

    /// Gives `digest` a tag: the same manifest, of the same kind, is put under it; an index of several images as it is,
    /// since its images are there already. `hold` is called right before the tag is put. To give it twice changes nothing.
    ///
    /// # Errors
    /// ECR cannot be asked, does not hold the digest, or keeps the tag for another one.
    pub async fn put(
        &self,
        repository: &EcrRepository,
        digest: &Digest,
        tag: &str,
        hold: impl AsyncFn() -> Result<(), Fault>,
    ) -> Result<Put, Fault> {
        let EcrRepository { registry_id, region, name } = repository;
        let what = format!("could not give {name}@{digest} the tag {tag}");
        let statement = repository.statement(r#"["ecr:BatchGetImage","ecr:PutImage"]"#);
        let wanted = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let manifest = match self.manifest(repository, wanted).await? {
            Asked::Found(manifest) if manifest.digest == *digest => manifest,
            Asked::Found(other) => {
                return Err(Fault::new(what).cause(format!("ECR gave the manifest of {} for it", other.digest)));
            }
            Asked::Missing => return Err(Fault::new(what).cause("ECR does not hold it any more")),
            Asked::Denied(why) => return Ok(Put::Denied { why, statement }),
        };
        let ecr = client(&self.sdk, Some(region));
        let call = async |_| {
            let request = ecr.put_image().repository_name(name).set_registry_id(registry_id.clone()).image_tag(tag);
            let request = request.image_digest(digest.as_str()).image_manifest(&manifest.body);
            hold().await?;
            let put = request.set_image_manifest_media_type(manifest.kind.clone()).send().await;
            let Err(error) = put else { return Ok(Put::Done) };
            match error.code().unwrap_or_default() {
                // Ours of an attempt whose answer was lost, or an earlier run's.
                "ImageAlreadyExistsException" => Ok(Put::Done),
                denied if code::is_denial(denied) => {
                    let why = error.message().unwrap_or(denied).to_owned();
                    Ok(Put::Denied { why, statement: statement.clone() })
                }
                "ImageTagAlreadyExistsException" => Err(Failure::Final(
                    Fault::new(what.clone())
                        .cause("another image has the tag, and tags in this repository are immutable")
                        .hint(format!(
                            "take it away, if no environment runs that image: {}",
                            repository.remove_tag(tag).command()
                        )),
                )),
                _ => Err(failure(&what, &error, &statement)),
            }
        };
        retry(policy(), |_| (), call).await
    }

    /// Takes a tag away; the image goes with its last one. No such tag, or no such repository, is as good.
    ///
    /// # Errors
    /// ECR cannot be asked, or refuses.
    pub async fn remove(
        &self,
        repository: &EcrRepository,
        tag: &str,
        hold: impl AsyncFn() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let EcrRepository { registry_id, region, name } = repository;
        let what = format!("could not take the tag {tag} from the ECR repository {name}");
        let statement = repository.statement(r#""ecr:BatchDeleteImage""#);
        let ecr = client(&self.sdk, Some(region));
        let call = async |_| {
            let request = ecr.batch_delete_image().repository_name(name).set_registry_id(registry_id.clone());
            hold().await?;
            let answer = match request.image_ids(ImageIdentifier::builder().image_tag(tag).build()).send().await {
                Ok(answer) => answer,
                Err(error) if error.code() == Some("RepositoryNotFoundException") => return Ok(()),
                Err(error) => return Err(failure(&what, &error, &statement)),
            };
            let refused = answer.failures().iter().find(|f| f.failure_code() != Some(&ImageFailureCode::ImageNotFound));
            match refused {
                None => Ok(()),
                Some(refused) => {
                    Err(Failure::Final(Fault::new(what.clone()).cause(refused.failure_reason().unwrap_or_default())))
                }
            }
        };
        retry(policy(), |_| (), call).await
    }

    async fn manifest(&self, repository: &EcrRepository, image: ImageIdentifier) -> Result<Asked, Fault> {
        let EcrRepository { registry_id, region, name } = repository;
        let what = format!("could not ask ECR for an image of {name}");
        let ecr = client(&self.sdk, Some(region));
        let call = async |_| {
            let request = ecr.batch_get_image().repository_name(name).set_registry_id(registry_id.clone());
            let request = request.image_ids(image.clone()).set_accepted_media_types(Some(KINDS.clone()));
            match request.send().await {
                // A missing image is a failure in an answer, not an error.
                Ok(answer) => Ok(answer.images().first().and_then(read).map_or(Asked::Missing, Asked::Found)),
                Err(error) if error.code().is_some_and(code::is_denial) => {
                    Ok(Asked::Denied(error.message().unwrap_or("the call was denied").to_owned()))
                }
                Err(error) => Err(failure(&what, &error, &repository.statement(r#""ecr:BatchGetImage""#))),
            }
        };
        retry(policy(), |_| (), call).await
    }
}

fn read(image: &Image) -> Option<Manifest> {
    let body = image.image_manifest()?.to_owned();
    let kind = image.image_manifest_media_type().map(str::to_owned);
    Some(Manifest { digest: Digest::of(body.as_bytes()), body, kind })
}
