//! ECR and its public registry: whom the real clients ask, in which region, and what is made of the answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ecr::config::{Credentials, Region, SharedCredentialsProvider};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

use super::*;
use crate::inputs::Secret;

/// A host of another account, in another region than the run's.
const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// base64 of `AWS:obvious-fake`.
const TOKEN: &str = "QVdTOm9idmlvdXMtZmFrZQ==";

/// What Amazon answers, by action; anything else is an empty object.
#[derive(Clone, Default)]
struct Amazon {
    answers: Vec<(&'static str, u16, String)>,
    /// Region, service, action and body of each question.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Amazon {
    fn saying(answers: &[(&'static str, u16, &str)]) -> Self {
        let answers = answers.iter().map(|(action, status, text)| (*action, *status, (*text).to_owned())).collect();
        Self { answers, ..Self::default() }
    }

    /// Serves from now on, and returns what a client needs to know. The run's own region is `us-west-2`.
    async fn serve(&self) -> SdkConfig {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-west-2"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "fake", None, None, "test")))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State(amazon): State<Amazon>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    let (scope, target) = (header("authorization"), header("x-amz-target"));
    let scope: Vec<&str> = scope.split('/').collect();
    let action = target.split_once('.').unwrap().1;
    let line = format!("{} {} {action} {}", scope[2], scope[3], String::from_utf8_lossy(&body));
    amazon.seen.lock().unwrap().push(line);
    let known = amazon.answers.iter().find(|(known, ..)| *known == action);
    let (status, text) = known.map_or((200, "{}"), |(_, status, text)| (*status, text.as_str()));
    let builder = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
    builder.body(Body::from(text.to_owned())).unwrap()
}

fn private_token() -> String {
    format!(r#"{{"authorizationData":[{{"authorizationToken":"{TOKEN}","proxyEndpoint":"https://{HOST}"}}]}}"#)
}

fn public_token() -> String {
    format!(r#"{{"authorizationData":{{"authorizationToken":"{TOKEN}"}}}}"#)
}

const NO_REPOSITORY: &str = r#"{"__type":"RepositoryNotFoundException","message":"it does not exist"}"#;
const DENIED: &str = r#"{"__type":"AccessDeniedException","message":"not authorized"}"#;
const ALIASES: &str = r#"{"registries":[{"registryId":"1","registryArn":"a","registryUri":"u","verified":true,
    "aliases":[{"name":"octo","status":"ACTIVE","primaryRegistryAlias":true,"defaultRegistryAlias":false}]}]}"#;

async fn open(image: &str, config: Option<&str>, sdk: &SdkConfig) -> Result<Registry, Fault> {
    let repository = Repository::parse(image, "docker.io").unwrap();
    let plan = RegistryPlan { docker_config: config.map(Secret::new), ..RegistryPlan::default() };
    Registry::open(&repository, &plan, Some(sdk)).await
}

#[tokio::test]
async fn another_accounts_registry_in_another_region_is_asked_there_and_by_its_account() {
    let amazon = Amazon::saying(&[
        ("GetAuthorizationToken", 200, &private_token()),
        ("DescribeRepositories", 400, NO_REPOSITORY),
    ]);
    let registry = open(&format!("{HOST}/team/shop"), None, &amazon.serve().await).await.unwrap();
    assert_eq!(registry.login().map(|login| login.username.as_str()), Some("AWS"));
    let Some(opening::Amazon::Private(ecr)) = &registry.amazon else { panic!("it is ECR") };
    let made = ecr.check_repository(true).await.unwrap();
    assert_eq!(made.as_deref(), Some("made the ECR repository team/shop"));
    let seen = amazon.seen();
    assert!(seen.iter().all(|line| line.starts_with("eu-west-1 ecr ")), "{seen:?}");
    let of_account =
        |action: &str| seen.iter().any(|line| line.contains(action) && line.contains(r#""registryId":"123456789012""#));
    assert!(of_account("DescribeRepositories") && of_account("CreateRepository"), "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("ImageScanning")), "how it scans is left alone: {seen:?}");
    assert!(registry.home().login.is_none() && registry.warning_for_instances().is_none());
}

#[tokio::test]
async fn a_rule_for_tags_is_read_with_its_exceptions() {
    let rule = |mutability: &str| {
        format!(
            r#"{{"repositories":[{{"repositoryName":"shop","imageTagMutability":"{mutability}",
            "imageTagMutabilityExclusionFilters":[{{"filterType":"WILDCARD","filter":"dev-*"}}]}}]}}"#
        )
    };
    for (mutability, of_release, of_dev) in [
        ("IMMUTABLE", true, true),
        ("IMMUTABLE_WITH_EXCLUSION", true, false),
        ("MUTABLE_WITH_EXCLUSION", false, true),
        ("MUTABLE", false, false),
    ] {
        let answers =
            [("GetAuthorizationToken", 200, private_token()), ("DescribeRepositories", 200, rule(mutability))];
        let amazon = Amazon { answers: answers.to_vec(), ..Amazon::default() };
        let registry = open(&format!("{HOST}/shop"), None, &amazon.serve().await).await.unwrap();
        let keeps = async |tag: &str| registry.keeps(&Tag::parse(tag).unwrap()).await.unwrap();
        assert_eq!((keeps("1.0").await, keeps("dev-1").await), (of_release, of_dev), "{mutability}");
    }
}

#[tokio::test]
async fn where_aws_refuses_the_login_an_earlier_step_left_is_taken() {
    let sdk = Amazon::saying(&[("GetAuthorizationToken", 400, DENIED)]).serve().await;
    let image = format!("{HOST}/shop");
    let refused = open(&image, Some("{}"), &sdk).await.err().unwrap();
    assert!(refused.hints()[0].contains("ecr:GetAuthorizationToken"), "{refused}");
    let config = format!(r#"{{"auths":{{"{HOST}":{{"auth":"{TOKEN}"}}}}}}"#);
    let registry = open(&image, Some(&config), &sdk).await.unwrap();
    assert_eq!(registry.login().map(|login| login.password.reveal()), Some("obvious-fake"));
    assert!(registry.home().ecr.is_some(), "instances log in by their own rights all the same");
}

#[tokio::test]
async fn the_public_registry_is_asked_in_its_own_region_and_made_where_the_alias_is_ours() {
    let token = public_token();
    let amazon = Amazon::saying(&[
        ("GetAuthorizationToken", 200, &token),
        ("DescribeRegistries", 200, ALIASES),
        ("DescribeRepositories", 400, NO_REPOSITORY),
    ]);
    let sdk = amazon.serve().await;
    let registry = open("public.ecr.aws/octo/team/shop", None, &sdk).await.unwrap();
    let Some(opening::Amazon::Public(public)) = &registry.amazon else { panic!("it is ECR Public") };
    let missing = public.check_repository(false).await.unwrap_err();
    assert!(
        missing.hints()[0].contains("aws ecr-public create-repository --region us-east-1 --repository-name team/shop")
    );
    let made = public.check_repository(true).await.unwrap();
    assert_eq!(made.as_deref(), Some("made the public ECR repository octo/team/shop"));
    let seen = amazon.seen();
    assert!(seen.iter().all(|line| line.starts_with("us-east-1 ecr-public ")), "{seen:?}");
    assert!(registry.home().ecr.is_none() && registry.home().login.is_none() && !registry.is_ecr());

    let other = open("public.ecr.aws/stranger/shop", None, &sdk).await.unwrap();
    let Some(opening::Amazon::Public(public)) = &other.amazon else { panic!("it is ECR Public") };
    let fault = public.check_repository(true).await.unwrap_err();
    assert!(fault.to_string().contains("is called octo"), "{fault}");
    assert!(
        open("public.ecr.aws/shop", None, &sdk).await.unwrap().without_aws.is_some_and(|why| why.contains("alias"))
    );
}

#[tokio::test]
async fn a_public_image_may_be_read_without_aws() {
    let sdk = Amazon::saying(&[("GetAuthorizationToken", 400, DENIED)]).serve().await;
    let registry = open("public.ecr.aws/octo/shop", None, &sdk).await.unwrap();
    assert!(registry.login().is_none() && registry.amazon.is_none());
    assert!(registry.without_aws.as_ref().is_some_and(|why| why.contains("not authorized")));
}

#[tokio::test]
async fn a_login_that_may_end_soon_is_asked_for_anew() {
    let token = private_token();
    let amazon = Amazon::saying(&[("GetAuthorizationToken", 200, &token)]);
    let registry = open(&format!("{HOST}/shop"), None, &amazon.serve().await).await.unwrap();
    assert!(registry.renewed().await.unwrap().is_none(), "it is fresh");
    tokio::time::pause();
    tokio::time::advance(STALE + Duration::from_secs(1)).await;
    tokio::time::resume();
    assert!(registry.renewed().await.unwrap().is_some_and(|renewed| renewed.login().is_some()));
    assert_eq!(amazon.seen().len(), 2);
}
