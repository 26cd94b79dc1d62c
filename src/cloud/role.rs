//! A role that the run takes on: by the token that GitHub gives a job, else by the credentials that are there anyhow.
//!
//! The SDK's cache asks anew shortly before a session is over, so a deployment may take longer than one session.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Fetching;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::config::Credentials;
use aws_sdk_sts::error::DisplayErrorContext;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::fault::Fault;
use crate::inputs::{RolePlan, TokenSource};

/// Who the token is for; what the trust policy of the role has to name.
const AUDIENCE: &str = "sts.amazonaws.com";

/// Largest answer that holds a token, in bytes.
const LARGEST: usize = 64 << 10;

/// The same configuration with the role's credentials, which are fetched once to see that they can be.
///
/// # Errors
/// Why the role is not given.
pub async fn assume(sdk: SdkConfig, plan: &RolePlan) -> Result<SdkConfig, Fault> {
    let provider = match &plan.token {
        Some(source) => {
            let (plan, source) = (plan.clone(), source.clone());
            SharedCredentialsProvider::new(ByToken(Arc::new((aws_sdk_sts::Client::new(&sdk), plan, source))))
        }
        None => {
            let provider = AssumeRoleProvider::builder(&plan.arn).session_name(&plan.session).configure(&sdk);
            SharedCredentialsProvider::new(provider.build().await)
        }
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(sdk.into_builder().credentials_provider(provider).build()),
        Err(error) => Err(refused(plan, error)),
    }
}

fn refused(plan: &RolePlan, error: CredentialsError) -> Fault {
    let fault = Fault::new(format!("the role {} was not given: nothing was changed", plan.arn)).because(error);
    match &plan.token {
        Some(_) => fault.hint(format!(
            "the role's trust policy must name GitHub's OIDC provider, the audience {AUDIENCE}, and a pattern that the \
             subject fits"
        )),
        None => fault
            .hint("on GitHub give the job `permissions: id-token: write`: then no other credentials are needed")
            .hint("elsewhere let the credentials that are there assume the role: sts:AssumeRole, and its trust policy"),
    }
}

/// Credentials for which a token of the CI stands. Clones share the client.
#[derive(Clone, Debug)]
struct ByToken(Arc<(aws_sdk_sts::Client, RolePlan, TokenSource)>);

impl ProvideCredentials for ByToken {
    fn provide_credentials<'a>(&'a self) -> Fetching<'a>
    where
        Self: 'a,
    {
        Fetching::new(self.fetch())
    }
}

impl ByToken {
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let (sts, plan, source) = &*self.0;
        // A token is good for minutes, so each session begins with a fresh one.
        let token = token(source).await.map_err(CredentialsError::provider_error)?;
        let request = sts.assume_role_with_web_identity().role_arn(&plan.arn).role_session_name(&plan.session);
        let answer = request.web_identity_token(&token).send().await.map_err(|error| {
            let subject = subject(&token).unwrap_or_else(|| "unknown".to_owned());
            let why = DisplayErrorContext(&error);
            CredentialsError::provider_error(format!("the token's subject is {subject}; AWS said: {why}"))
        })?;
        let given = answer.credentials.ok_or_else(|| CredentialsError::provider_error("AWS gave no credentials"))?;
        let until = (*given.expiration()).try_into().ok();
        let session = Some(given.session_token);
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, session, until, "the role's session"))
    }
}

/// Asks GitHub for a token (runner's `ACTIONS_ID_TOKEN_REQUEST_URL`, as its toolkit does).
async fn token(source: &TokenSource) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
    let failed = || Fault::new("GitHub gave no token for AWS");
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| failed().because(error))?
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let between = if source.url.contains('?') { '&' } else { '?' };
    let request = http::Request::get(format!("{}{between}audience={AUDIENCE}", source.url))
        .header("authorization", format!("Bearer {}", source.bearer.reveal()))
        .header("accept", "application/json")
        .body(Empty::new())
        .map_err(|_| failed().cause("the address that the runner gave is malformed"))?;
    let answer = client.request(request).await.map_err(|error| failed().because(error))?;
    if !answer.status().is_success() {
        return Err(failed().cause(format!("HTTP status {}", answer.status().as_u16())));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| failed().because(error))?;
    let answer: Result<Answer, _> = serde_json::from_slice(&body.to_bytes());
    answer.map(|answer| answer.value).map_err(|_| failed().cause("its answer holds none"))
}

/// Whom a token stands for: what trust policies are compared with, and no secret.
fn subject(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.sub)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Query;
    use axum::http::HeaderMap;
    use axum::routing::get;

    use super::*;
    use crate::clock::Clock;
    use crate::cloud::keeping_time;
    use crate::inputs::Secret;
    use crate::local::control::tests::{World, local};

    const ROLE: &str = "arn:aws:iam::000000000000:role/ci/deployer";

    /// What GitHub answers to a runner: a token for the audience that was asked for, to who shows the bearer.
    async fn github(Query(asked): Query<Vec<(String, String)>>, headers: HeaderMap) -> (http::StatusCode, String) {
        if headers.get("authorization").is_none_or(|it| it != "Bearer obvious-fake") {
            return (http::StatusCode::UNAUTHORIZED, String::new());
        }
        let audience = asked.iter().find(|pair| pair.0 == "audience").map(|pair| pair.1.clone()).unwrap_or_default();
        let claims = serde_json::json!({
            "sub": "repo:team/shop:environment:production", "aud": audience, "iss": "https://token.example",
        });
        let token = format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
        (http::StatusCode::OK, serde_json::json!({ "value": token }).to_string())
    }

    async fn token_server() -> (String, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token?api-version=2", listener.local_addr().unwrap());
        let serving = axum::serve(listener, Router::new().route("/token", get(github)));
        (url, tokio::spawn(async move { drop(serving.await) }))
    }

    fn plan(token: Option<(&str, &str)>) -> RolePlan {
        let source = |(url, bearer): (&str, &str)| TokenSource { url: url.to_owned(), bearer: Secret::new(bearer) };
        RolePlan { arn: ROLE.into(), session: "beanline-7".into(), token: token.map(source) }
    }

    /// What the run knows before it takes the role on.
    fn ambient(world: &World, credentials: Credentials) -> SdkConfig {
        keeping_time(world.sdk(credentials), &Clock::new())
    }

    async fn caller(sdk: &SdkConfig) -> String {
        let answer = aws_sdk_sts::Client::new(sdk).get_caller_identity().send().await.unwrap();
        answer.arn.unwrap_or_default()
    }

    #[tokio::test]
    async fn a_job_on_github_needs_no_credentials_but_its_token() {
        let world = World::start().await;
        let (url, server) = token_server().await;
        let nobody = Credentials::new("nobody", "nobody", None, None, "test");
        let sdk = assume(ambient(&world, nobody), &plan(Some((&url, "obvious-fake")))).await.unwrap();
        assert_eq!(caller(&sdk).await, "arn:aws:sts::000000000000:assumed-role/deployer/beanline-7");
        let refused = assume(ambient(&world, local()), &plan(Some((&url, "another")))).await.unwrap_err();
        let said = [&[refused.what().to_owned()], refused.causes(), refused.hints()].concat().join("\n");
        assert!(said.contains(ROLE) && said.contains("HTTP status 401") && said.contains("trust policy"), "{said}");
        assert!(!said.contains("another"), "{said}");
        server.abort();
    }

    #[tokio::test]
    async fn elsewhere_the_credentials_that_are_there_assume_the_role() {
        let world = World::start().await;
        let sdk = assume(ambient(&world, local()), &plan(None)).await.unwrap();
        assert_eq!(caller(&sdk).await, "arn:aws:sts::000000000000:assumed-role/deployer/beanline-7");
        let nobody = Credentials::new("nobody", "nobody", None, None, "test");
        let refused = assume(ambient(&world, nobody), &plan(None)).await.unwrap_err();
        assert!(refused.hints().iter().any(|hint| hint.contains("id-token: write")));
    }

    #[test]
    fn the_subject_is_read_out_of_a_token() {
        let payload = URL_SAFE_NO_PAD.encode(br#"{"sub":"repo:team/shop:environment:production","aud":"x"}"#);
        assert_eq!(subject(&format!("e30.{payload}.x")).as_deref(), Some("repo:team/shop:environment:production"));
        assert_eq!(subject("no token"), None);
    }
}
