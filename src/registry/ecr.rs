//! ECR: a login out of AWS credentials, and the repository asked for or made.

use std::time::Duration;

use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::config::retry::RetryConfig;
use aws_sdk_ecr::config::timeout::TimeoutConfig;
use aws_sdk_ecr::config::{Builder, Region};
use aws_sdk_ecr::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::ImageTagMutability;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::naming::is_about;
use crate::cloud::code;
use crate::docker::Login;
use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;
use crate::image::Repository;
use crate::inputs::Secret;

/// Time for a call with its repetitions.
const LIMIT: Duration = Duration::from_secs(45);

/// The same while ECR throttles us or is at fault itself.
const BUSY: Duration = Duration::from_secs(180);

/// Time for one attempt, the search for credentials included.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(15);

/// Account and region in the host of an ECR registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EcrHost {
    pub account: String,
    pub region: String,
}

impl EcrHost {
    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, also with `ecr-fips`, in China and in the European cloud, and
    /// `ACCOUNT.dkr-ecr.REGION.on.aws` (Amazon ECR's page on registry endpoints, and its credential helper).
    pub(super) fn parse(host: &str) -> Option<Self> {
        let parts: Vec<&str> = host.split('.').collect();
        let (account, region) = match parts.as_slice() {
            [account, "dkr", "ecr" | "ecr-fips", region, "amazonaws", "com" | "eu"]
            | [account, "dkr", "ecr" | "ecr-fips", region, "amazonaws", "com", "cn"]
            | [account, "dkr-ecr" | "dkr-ecr-fips", region, "on", "aws"]
            | [account, "dkr-ecr", region, "on", "amazonwebservices", "com", "cn"] => (*account, *region),
            _ => return None,
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        is_account.then(|| Self { account: account.to_owned(), region: region.to_owned() })
    }
}

/// A repository in ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrRepository {
    /// The account that owns the registry, where the image's name tells it; else the caller's.
    pub registry_id: Option<String>,
    /// Its region.
    pub region: String,
    /// Its name: the path in the image's name.
    pub name: String,
}

impl EcrRepository {
    /// What the image's name tells. On a loopback host it is the local cloud's, in `region`.
    pub fn of(repository: &Repository, region: &str) -> Option<Self> {
        let name = repository.path().to_owned();
        match EcrHost::parse(repository.host()) {
            Some(EcrHost { account, region }) => Some(Self { registry_id: Some(account), region, name }),
            None if repository.is_loopback() => Some(Self { registry_id: None, region: region.to_owned(), name }),
            None => None,
        }
    }

    /// The policy statement that allows these actions, a JSON text or list, on the repository.
    pub(super) fn statement(&self, actions: &str) -> String {
        let Self { registry_id, region, name } = self;
        let account = registry_id.as_deref().unwrap_or("*");
        let partition = match region.split('-').collect::<Vec<_>>().as_slice() {
            ["cn", ..] => "aws-cn",
            ["us", "gov", ..] => "aws-us-gov",
            ["eusc", ..] => "aws-eusc",
            _ => "aws",
        };
        let resource = format!("arn:{partition}:ecr:{region}:{account}:repository/{name}");
        format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":"{resource}"}}"#)
    }
}

/// An ECR registry and the repository in it.
pub(super) struct Ecr {
    client: aws_sdk_ecr::Client,
    /// The account that owns the registry, where the host names it; else the caller's.
    account: Option<String>,
    region: String,
    path: String,
}

impl Ecr {
    /// Asks for an authorization token. `None` when the token is for another registry and the host is not of ECR's
    /// shape.
    pub(super) async fn authorize(
        repository: &Repository,
        sdk: &aws_config::SdkConfig,
    ) -> Result<Option<(Ecr, Login)>, Fault> {
        let host = EcrHost::parse(repository.host());
        let ecr = Self::new(repository, host.as_ref(), sdk);
        let what = format!("could not get an ECR login for {}", repository.host());
        // Anywhere else it is a question by the way, and asked once.
        let insists = host.is_some() || repository.is_loopback();
        let policy = if insists { policy() } else { Policy::within(Duration::ZERO) };
        let answer = retry(
            policy,
            |_| (),
            async |_| {
                ecr.client.get_authorization_token().send().await.map_err(|error| {
                    let statement = r#"{"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}"#;
                    failure(&what, &error, statement)
                })
            },
        )
        .await?;
        let mut tokens = answer.authorization_data().iter();
        let ours = match host {
            // A token is good for every registry that its holder may use, also in another account.
            Some(_) => tokens.next(),
            None => tokens.find(|token| token.proxy_endpoint().is_some_and(|url| is_at(url, repository.host()))),
        };
        let Some(token) = ours else { return Ok(None) };
        let unreadable = || Fault::new(what.clone()).cause("the authorization token is not base64 of user:password");
        let token = token.authorization_token().unwrap_or_default();
        let (username, password) = user_and_password(token).ok_or_else(unreadable)?;
        let login = Login { host: repository.host().to_owned(), username, password };
        Ok(Some((ecr, login)))
    }

    fn new(repository: &Repository, host: Option<&EcrHost>, sdk: &aws_config::SdkConfig) -> Self {
        let region = host.map(|host| host.region.clone()).or_else(|| sdk.region().map(Region::to_string));
        Self {
            client: client(sdk, host.map(|host| host.region.as_str())),
            account: host.map(|host| host.account.clone()),
            region: region.unwrap_or_default(),
            path: repository.path().to_owned(),
        }
    }

    /// Asks whether the repository is there; makes it if `create` says so. Returns a sentence when it was made.
    pub(super) async fn check_repository(&self, create: bool) -> Result<Option<String>, Fault> {
        if self.is_there().await? {
            return Ok(None);
        }
        if !create {
            let (path, region) = (&self.path, &self.region);
            return Err(Fault::new(format!("could not find the ECR repository {path} in {region}")).hint(format!(
                "set create_repository=true, or: aws ecr create-repository --region {region} --repository-name {path}"
            )));
        }
        self.make().await?;
        Ok(Some(format!("made the ECR repository {}", self.path)))
    }

    async fn is_there(&self) -> Result<bool, Fault> {
        Ok(self.describe().await?.is_some())
    }

    /// Whether a tag that an image has cannot be given to another.
    pub(super) async fn keeps(&self, tag: &str) -> Result<bool, Fault> {
        let Some(repository) = self.describe().await?.and_then(|mut found| found.pop()) else { return Ok(false) };
        let filters = repository.image_tag_mutability_exclusion_filters();
        let is_excluded = filters.iter().any(|filter| is_about(filter.filter(), tag));
        Ok(match repository.image_tag_mutability() {
            Some(ImageTagMutability::Immutable) => true,
            Some(ImageTagMutability::ImmutableWithExclusion) => !is_excluded,
            Some(ImageTagMutability::MutableWithExclusion) => is_excluded,
            _ => false,
        })
    }

    /// What ECR says of the repository; `None` when it is not there.
    async fn describe(&self) -> Result<Option<Vec<aws_sdk_ecr::types::Repository>>, Fault> {
        let what = format!("could not ask for the ECR repository {}", self.path);
        let call = async |_| {
            let request = self.client.describe_repositories().repository_names(&self.path);
            match request.set_registry_id(self.account.clone()).send().await {
                Ok(answer) => Ok(Some(answer.repositories.unwrap_or_default())),
                Err(error) if error.code() == Some("RepositoryNotFoundException") => Ok(None),
                Err(error) => Err(failure(&what, &error, &self.statement("ecr:DescribeRepositories"))),
            }
        };
        retry(policy(), |_| (), call).await
    }

    /// Has no undo: a repository may be pushed to by others from the moment it is there.
    async fn make(&self) -> Result<(), Fault> {
        let what = format!("could not make the ECR repository {}", self.path);
        let call = async |_| {
            let request = self.client.create_repository().repository_name(&self.path);
            match request.set_registry_id(self.account.clone()).send().await {
                Ok(_) => Ok(()),
                // Somebody else's, or ours of an attempt whose answer was lost.
                Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => Ok(()),
                Err(error) => Err(failure(&what, &error, &self.statement("ecr:CreateRepository"))),
            }
        };
        retry(policy(), |_| (), call).await
    }

    fn statement(&self, action: &str) -> String {
        self.repository().statement(&format!("\"{action}\""))
    }

    pub(super) fn repository(&self) -> EcrRepository {
        let (registry_id, region) = (self.account.clone(), self.region.clone());
        EcrRepository { registry_id, region, name: self.path.clone() }
    }
}

/// A client without a retry of its own, for a region that may be another than ours.
pub(super) fn client(sdk: &aws_config::SdkConfig, region: Option<&str>) -> aws_sdk_ecr::Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(CALL_LIMIT).build();
    let mut config = Builder::from(sdk).retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    if let Some(region) = region {
        config = config.region(Region::new(region.to_owned()));
    }
    aws_sdk_ecr::Client::from_conf(config.build())
}

/// How often and how long a call to ECR is repeated.
pub(super) fn policy() -> Policy {
    Policy::within(LIMIT).busy_for(BUSY)
}

/// What an authorization token holds.
pub(super) fn user_and_password(token: &str) -> Option<(String, Secret)> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), Secret::new(password)))
}

/// Whether a URL is that host's.
fn is_at(url: &str, host: &str) -> bool {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/') == host
}

/// What to make of a call that failed, and the policy statement that is needed when it was denied.
pub(super) fn failure<E>(what: &str, error: &SdkError<E, HttpResponse>, statement: &str) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    let fault = Fault::new(what);
    let fault = match error.message() {
        Some(message) => fault.cause(format!("{code}: {message}")),
        None if !code.is_empty() => fault.cause(code),
        None => fault.cause(DisplayErrorContext(error).to_string()),
    };
    match error {
        unanswered if code::is_unanswered(unanswered) => Failure::Passing(fault),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => Failure::Final(
            fault.hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of credentials"),
        ),
        _ if code::is_throttling(code) || code::is_passing(code) => Failure::Busy(fault),
        _ if error.raw_response().is_some_and(|answer| answer.status().is_server_error()) => Failure::Busy(fault),
        _ if code::is_out_of_time(code, message) => Failure::Passing(fault),
        _ if code::is_denial(code) => {
            Failure::Final(fault.hint(format!("give the caller this statement: {statement}")))
        }
        _ if code::is_expired(code) => Failure::Final(code::session_is_over(&format!("{what}: {code}: {message}"))),
        _ if code::is_unknown_caller(code) => {
            Failure::Final(fault.hint("check the AWS credentials in the environment"))
        }
        _ => Failure::Final(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_region_stand_in_the_host() {
        for host in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
            "123456789012.dkr-ecr.eu-west-1.on.amazonwebservices.com.cn",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.eu",
        ] {
            let parsed = EcrHost::parse(host).map(|host| (host.account, host.region));
            assert_eq!(parsed, Some(("123456789012".into(), "eu-west-1".into())), "{host}");
        }
        for host in ["public.ecr.aws", "127.0.0.1:5000", "1.dkr.ecr.eu-west-1.amazonaws.com", "docker.io"] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
    }

    #[test]
    fn a_token_names_its_registry_by_url() {
        assert!(is_at("http://127.0.0.1:5000", "127.0.0.1:5000") && is_at("https://a.example.com/", "a.example.com"));
        assert!(!is_at("https://a.example.com.evil", "a.example.com"));
    }
}
