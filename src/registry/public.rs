//! ECR's public registry: `public.ecr.aws/ALIAS/NAME`. Its API lives in one region (Amazon ECR Public's page on endpoints).

use aws_sdk_ecrpublic::config::retry::RetryConfig;
use aws_sdk_ecrpublic::config::timeout::TimeoutConfig;
use aws_sdk_ecrpublic::config::{Builder, Region};
use aws_sdk_ecrpublic::error::ProvideErrorMetadata;

use super::ecr::{CALL_LIMIT, failure, policy, user_and_password};
use crate::docker::Login;
use crate::engine::retry::retry;
use crate::fault::Fault;
use crate::image::Repository;

/// Where the API is asked, whatever the run's region.
const REGION: &str = "us-east-1";

/// A repository in the public registry.
pub(super) struct EcrPublic {
    client: aws_sdk_ecrpublic::Client,
    /// The name of the owner's registry: the first part of the path.
    alias: String,
    /// The repository's name in it: the rest.
    name: String,
}

impl EcrPublic {
    /// The API for a repository.
    ///
    /// # Errors
    /// When its name has no alias.
    pub(super) fn new(repository: &Repository, sdk: &aws_config::SdkConfig) -> Result<Self, Fault> {
        let (alias, name) = repository.path().split_once('/').ok_or_else(|| {
            Fault::new(format!("could not use the repository {repository}"))
                .cause("it has no alias")
                .hint("write public.ecr.aws/ALIAS/NAME; `aws ecr-public describe-registries` shows your alias")
        })?;
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(CALL_LIMIT).build();
        let config = Builder::from(sdk).retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        let client = aws_sdk_ecrpublic::Client::from_conf(config.region(Region::new(REGION)).build());
        Ok(Self { client, alias: alias.to_owned(), name: name.to_owned() })
    }

    /// Asks for a login, which is good for twelve hours.
    pub(super) async fn login(&self) -> Result<Login, Fault> {
        let what = format!("could not get a login for {}", super::advice::ECR_PUBLIC);
        let statement = concat!(
            r#"{"Effect":"Allow","Action":["ecr-public:GetAuthorizationToken","sts:GetServiceBearerToken"],"#,
            r#""Resource":"*"}"#
        );
        let call = async |_| {
            let answer = self.client.get_authorization_token().send().await;
            answer.map_err(|error| failure(&what, &error, statement))
        };
        let answer = retry(policy(), |_| (), call).await?;
        let token = answer.authorization_data().and_then(|data| data.authorization_token()).unwrap_or_default();
        let (username, password) = user_and_password(token)
            .ok_or_else(|| Fault::new(what.clone()).cause("the authorization token is not base64 of user:password"))?;
        Ok(Login { host: super::advice::ECR_PUBLIC.to_owned(), username, password })
    }

    /// Asks whether the repository is there; makes it if `create` says so. Returns a sentence when it was made.
    pub(super) async fn check_repository(&self, create: bool) -> Result<Option<String>, Fault> {
        let Self { alias, name, .. } = self;
        self.check_alias().await?;
        if self.is_there().await? {
            return Ok(None);
        }
        if !create {
            return Err(Fault::new(format!("could not find the public ECR repository {alias}/{name}")).hint(format!(
                "set create_repository=true, or: aws ecr-public create-repository --region {REGION} \
                 --repository-name {name}"
            )));
        }
        self.make().await?;
        Ok(Some(format!("made the public ECR repository {alias}/{name}")))
    }

    /// A repository is looked up in the caller's own registry, which has to be the one that the image names.
    async fn check_alias(&self) -> Result<(), Fault> {
        let what = "could not ask for the public ECR registry of this account".to_owned();
        let call = async |_| {
            let answer = self.client.describe_registries().send().await;
            answer.map_err(|error| failure(&what, &error, &statement("ecr-public:DescribeRegistries")))
        };
        let answer = retry(policy(), |_| (), call).await?;
        let aliases: Vec<&str> =
            answer.registries().iter().flat_map(|one| one.aliases()).map(|alias| alias.name()).collect();
        // An account that has never made a public repository has no alias yet.
        if aliases.is_empty() || aliases.contains(&self.alias.as_str()) {
            return Ok(());
        }
        Err(Fault::new(format!("could not use the public ECR registry {}", self.alias))
            .cause(format!("the AWS credentials are for an account whose registry is called {}", aliases.join(" or ")))
            .hint("write that alias in `image`, or use credentials of the account that owns the registry"))
    }

    async fn is_there(&self) -> Result<bool, Fault> {
        let what = format!("could not ask for the public ECR repository {}", self.name);
        let call = async |_| match self.client.describe_repositories().repository_names(&self.name).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("RepositoryNotFoundException") => Ok(false),
            Err(error) => Err(failure(&what, &error, &statement("ecr-public:DescribeRepositories"))),
        };
        retry(policy(), |_| (), call).await
    }

    /// Has no undo: a repository may be pushed to by others from the moment it is there.
    async fn make(&self) -> Result<(), Fault> {
        let what = format!("could not make the public ECR repository {}", self.name);
        let call = async |_| match self.client.create_repository().repository_name(&self.name).send().await {
            Ok(_) => Ok(()),
            // Somebody else's, or ours of an attempt whose answer was lost.
            Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => Ok(()),
            Err(error) => Err(failure(&what, &error, &statement("ecr-public:CreateRepository"))),
        };
        retry(policy(), |_| (), call).await
    }
}

fn statement(action: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#)
}
