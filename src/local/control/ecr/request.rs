//! What ECR is asked, and how it refuses (AWS JSON 1.1 protocol, API version 2015-09-21).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::ACCOUNT;
use super::super::call::Answer;
use crate::image::{Digest, Repository};

/// The members of all requests that we serve; each operation reads its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Request {
    pub repository_name: Option<String>,
    pub repository_names: Option<Vec<String>>,
    pub image_ids: Option<Vec<ImageId>>,
    pub image_manifest: Option<String>,
    pub image_manifest_media_type: Option<String>,
    pub image_tag: Option<String>,
    pub image_digest: Option<String>,
    pub image_tag_mutability: Option<String>,
    pub filter: Filter,
    pub force: bool,
    pub next_token: Option<String>,
    pub max_results: Option<usize>,
}

/// Which images are listed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Filter {
    pub tag_status: Option<String>,
}

/// A name for an image: a tag, a digest, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ImageId {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
}

impl Request {
    /// The repository that is meant.
    pub fn repository(&self) -> Result<&str, Refusal> {
        let name = self.repository_name.as_deref().unwrap_or_default();
        let legal = (2..=256).contains(&name.len()) && Repository::parse(name, "local").is_ok();
        if legal { Ok(name) } else { Err(Refusal::invalid("repositoryName", "must be a repository's name")) }
    }

    /// Whether tags are to stay where they are.
    pub fn immutable(&self) -> Result<bool, Refusal> {
        match self.image_tag_mutability.as_deref() {
            None | Some("MUTABLE") => Ok(false),
            Some("IMMUTABLE") => Ok(true),
            Some(_) => Err(Refusal::invalid("imageTagMutability", "the local cloud has MUTABLE and IMMUTABLE")),
        }
    }

    /// The images that are meant, of which there must be some.
    pub fn images(&self) -> Result<&[ImageId], Refusal> {
        match self.image_ids.as_deref() {
            None | Some([]) => Err(Refusal::invalid("imageIds", "must not be empty")),
            Some(some) => Ok(some),
        }
    }

    /// The part of `all` that this request is about, and the token for the next one.
    pub fn page<T>(&self, all: Vec<T>) -> Result<(Vec<T>, Option<String>), Refusal> {
        let from = match self.next_token.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Err(Refusal::invalid("nextToken", "must come from an answer")),
        };
        let to = all.len().min(self.max_results.unwrap_or(100).clamp(1, 1000).saturating_add(from));
        let next = (to < all.len()).then(|| to.to_string());
        Ok((all.into_iter().take(to).skip(from).collect(), next))
    }
}

impl Filter {
    /// Whether an image is listed that has tags or has none.
    pub fn takes(&self, tagged: bool) -> bool {
        match self.tag_status.as_deref() {
            Some("TAGGED") => tagged,
            Some("UNTAGGED") => !tagged,
            _ => true,
        }
    }
}

impl ImageId {
    /// What the registry knows the image by: the tag when there is one.
    pub fn reference(&self) -> Option<&str> {
        self.image_tag.as_deref().or(self.image_digest.as_deref())
    }

    /// Why nothing can have this name; the failure code and its reason.
    pub fn flaw(&self) -> Option<(&'static str, &'static str)> {
        match (&self.image_digest, &self.image_tag) {
            (None, None) => {
                Some(("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"))
            }
            (Some(digest), _) if Digest::parse(digest).is_err() => Some((
                "InvalidImageDigest",
                "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
            )),
            _ => None,
        }
    }

    /// This name among the failures of a batch.
    pub fn failure(&self, (code, reason): (&str, &str)) -> Value {
        json!({ "imageId": self, "failureCode": code, "failureReason": reason })
    }
}

/// A refusal: the exception's name and its sentence.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// An exception with status 400, as all of ECR's but one.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// A member with an impossible value.
    pub fn invalid(member: &str, rule: &str) -> Self {
        let message = format!("Invalid parameter at '{member}' failed to satisfy constraint: '{rule}'");
        Self::new("InvalidParameterException", message)
    }

    /// The registry behind us does not do its part.
    pub fn server(message: impl std::fmt::Display) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, code: "ServerException", message: message.to_string() }
    }

    /// There is no such repository.
    pub fn no_repository(name: &str) -> Self {
        let message = format!("The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'");
        Self::new("RepositoryNotFoundException", message)
    }

    /// There is no such image.
    pub fn no_image(repository: &str, id: &ImageId) -> Self {
        let quoted = |part: &Option<String>| part.as_deref().unwrap_or("null").to_owned();
        let (digest, tag) = (quoted(&id.image_digest), quoted(&id.image_tag));
        let message = format!(
            "The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository \
             with name '{repository}' in the registry with id '{ACCOUNT}'"
        );
        Self::new("ImageNotFoundException", message)
    }

    /// The refusal as an answer.
    pub fn answer(&self) -> Answer {
        Answer::json(self.status, &json!({ "__type": self.code, "message": self.message }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        let mut request = Request { max_results: Some(2), ..Request::default() };
        let (first, next) = request.page(vec![1, 2, 3]).unwrap();
        assert_eq!((first, next.as_deref()), (vec![1, 2], Some("2")));
        request.next_token = next;
        assert_eq!(request.page(vec![1, 2, 3]).unwrap(), (vec![3], None));
        request.next_token = Some("words".into());
        assert!(request.page(vec![1]).is_err());
    }

    #[test]
    fn a_missing_image_is_told_in_the_words_of_the_real_service() {
        let id = ImageId { image_tag: Some("28f3d25".into()), image_digest: None };
        let text = "The image with imageId {imageDigest:'null', imageTag:'28f3d25'} does not exist within the repository \
                    with name 'y' in the registry with id '000000000000'";
        assert_eq!(Refusal::no_image("y", &id).message, text);
    }
}
