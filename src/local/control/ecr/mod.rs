//! The local cloud's ECR: the API in front of the data plane's registry.
//!
//! Every repository and image is asked for at the registry, so what docker pushes is seen here at once.

mod images;
mod request;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use http::StatusCode;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::{ACCOUNT, REGION, skew};
use crate::inputs::secret::Secret;
use crate::local::plane::{PlaneClient, REGISTRY_USER, RegistryRepository};
use request::{Refusal, Request};

/// How long a login is good for (GetAuthorizationToken, API reference).
const TOKEN_HOURS: i64 = 12;

/// ECR of one local cloud.
pub(super) struct Ecr {
    /// The data plane with the registry.
    pub plane: PlaneClient,
    /// Where docker finds the registry: `127.0.0.1:PORT`.
    pub host: String,
    /// What the registry's user logs in with.
    pub password: Secret,
}

impl Ecr {
    /// Answers one request.
    pub async fn answer(&self, call: &Call) -> Answer {
        let action = call.action().unwrap_or_default();
        let request = match serde_json::from_slice(&call.body) {
            Ok(request) => request,
            Err(error) => return Refusal::new("SerializationException", error.to_string()).answer(),
        };
        match self.perform(&action, &request).await {
            Ok(body) => Answer::json(StatusCode::OK, &body),
            Err(refusal) => refusal.answer(),
        }
    }

    async fn perform(&self, action: &str, request: &Request) -> Result<Value, Refusal> {
        match action {
            "GetAuthorizationToken" => Ok(self.token()),
            "CreateRepository" => self.create_repository(request).await,
            "DescribeRepositories" => self.describe_repositories(request).await,
            "DeleteRepository" => self.delete_repository(request).await,
            "PutImageTagMutability" => self.change_mutability(request).await,
            "DescribeImages" => self.describe_images(request).await,
            "ListImages" => self.list_images(request).await,
            "BatchGetImage" => self.get_images(request).await,
            "PutImage" => self.put_image(request).await,
            "BatchDeleteImage" => self.delete_images(request).await,
            other => Err(Refusal::new("UnknownOperationException", format!("the local cloud's ECR has no {other}"))),
        }
    }

    fn token(&self) -> Value {
        let login = STANDARD.encode(format!("{REGISTRY_USER}:{}", self.password.reveal()));
        let expires = skew::told(Utc::now() + Duration::hours(TOKEN_HOURS)).timestamp();
        let endpoint = format!("http://{}", self.host);
        json!({ "authorizationData": [
            { "authorizationToken": login, "expiresAt": expires, "proxyEndpoint": endpoint },
        ] })
    }

    async fn create_repository(&self, request: &Request) -> Result<Value, Refusal> {
        let name = request.repository()?;
        let immutable = request.immutable()?;
        if !self.plane.create_repository(name, immutable).await.map_err(Refusal::server)? {
            let message =
                format!("The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'");
            return Err(Refusal::new("RepositoryAlreadyExistsException", message));
        }
        Ok(json!({ "repository": self.described(&self.repository(name).await?) }))
    }

    async fn describe_repositories(&self, request: &Request) -> Result<Value, Refusal> {
        let all = self.plane.repositories().await.map_err(Refusal::server)?;
        let chosen = match &request.repository_names {
            None => all,
            Some(names) => {
                let find = |name: &String| {
                    let found = all.iter().find(|repository| repository.name == *name).cloned();
                    found.ok_or_else(|| Refusal::no_repository(name))
                };
                names.iter().map(find).collect::<Result<_, _>>()?
            }
        };
        let (page, next) = request.page(chosen)?;
        let page: Vec<Value> = page.iter().map(|repository| self.described(repository)).collect();
        Ok(with_token(json!({ "repositories": page }), next))
    }

    async fn delete_repository(&self, request: &Request) -> Result<Value, Refusal> {
        let name = request.repository()?;
        let repository = self.repository(name).await?;
        let images = self.plane.images(name).await.map_err(Refusal::server)?;
        if !request.force && images.is_some_and(|images| !images.is_empty()) {
            let message = format!(
                "The repository with name '{name}' in registry with id '{ACCOUNT}' cannot be deleted because it still \
                 contains images"
            );
            return Err(Refusal::new("RepositoryNotEmptyException", message));
        }
        self.plane.remove_repository(name).await.map_err(Refusal::server)?;
        Ok(json!({ "repository": self.described(&repository) }))
    }

    async fn change_mutability(&self, request: &Request) -> Result<Value, Refusal> {
        let name = request.repository()?;
        let immutable = request.immutable()?;
        if !self.plane.keep_tags(name, immutable).await.map_err(Refusal::server)? {
            return Err(Refusal::no_repository(name));
        }
        Ok(json!({
            "registryId": ACCOUNT, "repositoryName": name, "imageTagMutability": request.image_tag_mutability,
        }))
    }

    /// A repository that must be there.
    async fn repository(&self, name: &str) -> Result<RegistryRepository, Refusal> {
        let all = self.plane.repositories().await.map_err(Refusal::server)?;
        all.into_iter().find(|repository| repository.name == name).ok_or_else(|| Refusal::no_repository(name))
    }

    fn described(&self, repository: &RegistryRepository) -> Value {
        let name = &repository.name;
        json!({
            "repositoryArn": format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"),
            "registryId": ACCOUNT,
            "repositoryName": name,
            "repositoryUri": format!("{}/{name}", self.host),
            "createdAt": seconds(repository.created_at),
            "imageTagMutability": if repository.immutable_tags { "IMMUTABLE" } else { "MUTABLE" },
            "imageScanningConfiguration": { "scanOnPush": false },
            "encryptionConfiguration": { "encryptionType": "AES256" },
        })
    }
}

/// The repository that a call is about, if it names one.
pub(super) fn repository(call: &Call) -> Option<String> {
    let request: Request = serde_json::from_slice(&call.body).ok()?;
    request.repository().ok().map(str::to_owned)
}

/// Unix milliseconds as the protocol has times: seconds, with a fraction.
fn seconds(milliseconds: i64) -> Value {
    let told = DateTime::from_timestamp_millis(milliseconds).map(skew::told);
    json!(told.unwrap_or_default().timestamp_millis() as f64 / 1000.0)
}

fn with_token(mut body: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        body["nextToken"] = next.into();
    }
    body
}
