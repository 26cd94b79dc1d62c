//! The control plane asked by the real clients: who is let in, and STS. Each service has further tests of its own.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::*;
use crate::local::control::state::State;
use crate::local::plane::{Plane, PlaneConfig};

/// A started control plane with a data plane, both in this process, and the directory that goes with them.
pub(crate) struct World {
    pub control: ControlPlane,
    pub plane: PlaneClient,
    /// Where docker would find the registry: `127.0.0.1:PORT`.
    pub registry: String,
    data_plane: JoinHandle<()>,
    directory: PathBuf,
}

impl World {
    pub async fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("beanline-control-{}", uuid::Uuid::new_v4()));
        let (password, token) = (Secret::new("password"), Secret::new("token"));
        let data_plane = Plane::bind(loopback(&directory, password, token.clone())).await.unwrap();
        let addresses = data_plane.addresses();
        let plane = PlaneClient::new(addresses.admin.to_string(), token);
        let settings = Settings {
            port: 0,
            directory: directory.clone(),
            store: Store::in_memory(State { registry_password: "password".into(), ..State::new("test") }),
            pace: Pace::default(),
            plane: plane.clone(),
            registry: addresses.registry.to_string(),
        };
        let control = ControlPlane::start(settings).await.unwrap();
        // It runs until its task is ended; if it breaks, the requests of the test do.
        let data_plane = tokio::spawn(async move { drop(data_plane.run().await) });
        Self { control, plane, registry: addresses.registry.to_string(), data_plane, directory }
    }

    /// What an AWS client needs to know, with these keys.
    pub fn sdk(&self, credentials: Credentials) -> SdkConfig {
        let tls = Provider::Rustls(CryptoMode::Ring);
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::from_static(REGION))
            .endpoint_url(self.control.endpoint())
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build()
    }
}

fn loopback(directory: &std::path::Path, registry_password: Secret, admin_token: Secret) -> PlaneConfig {
    let free = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    PlaneConfig {
        registry: free,
        router: free,
        admin: free,
        dns: free,
        directory: directory.join("registry"),
        ..PlaneConfig::in_container(registry_password, admin_token, i64::MAX, [])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.data_plane.abort();
        // File work that a blocking thread has taken up goes on after that, and may make the directory anew.
        for _ in 0..50 {
            let _ = std::fs::remove_dir_all(&self.directory);
            std::thread::sleep(std::time::Duration::from_millis(10));
            if !self.directory.exists() {
                return;
            }
        }
    }
}

pub(crate) fn local() -> Credentials {
    Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "test")
}

#[tokio::test]
async fn the_caller_is_the_account_until_it_takes_a_role() {
    let world = World::start().await;
    let sts = aws_sdk_sts::Client::new(&world.sdk(local()));
    let caller = sts.get_caller_identity().send().await.unwrap();
    assert_eq!((caller.account(), caller.arn()), (Some(ACCOUNT), Some("arn:aws:iam::000000000000:root")));

    // {"sub":"repo:o/r:ref:refs/heads/main","aud":"sts.amazonaws.com","iss":"https://token.example"}
    let token = "e30.eyJzdWIiOiJyZXBvOm8vcjpyZWY6cmVmcy9oZWFkcy9tYWluIiwiYXVkIjoic3RzLmFtYXpvbmF3cy5jb20iLCJpc3MiOiJodHRwczovL3Rva2VuLmV4YW1wbGUifQ.";
    let role = "arn:aws:iam::000000000000:role/ci/deployer";
    let ask = sts.assume_role_with_web_identity().role_arn(role).role_session_name("run-7").web_identity_token(token);
    let session = ask.send().await.unwrap();
    assert_eq!(session.subject_from_web_identity_token(), Some("repo:o/r:ref:refs/heads/main"));
    let keys = session.credentials().unwrap();
    let token = Some(keys.session_token().to_owned());
    let keys = Credentials::new(keys.access_key_id(), keys.secret_access_key(), token, None, "test");
    let caller = aws_sdk_sts::Client::new(&world.sdk(keys)).get_caller_identity().send().await.unwrap();
    assert_eq!(caller.arn(), Some("arn:aws:sts::000000000000:assumed-role/deployer/run-7"));

    let bad =
        sts.assume_role_with_web_identity().role_arn(role).role_session_name("run-7").web_identity_token("words!");
    let refused = bad.send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidIdentityToken"), "{}", DisplayErrorContext(&refused));
    let counts = world.control.calls().counts();
    assert!(counts.contains(&("sts", "AssumeRoleWithWebIdentity".to_owned(), 2)), "{counts:?}");
}

#[tokio::test]
async fn who_has_no_key_or_asks_for_another_service_is_told_so() {
    let world = World::start().await;
    let stranger = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let refused =
        aws_sdk_sts::Client::new(&world.sdk(stranger.clone())).get_caller_identity().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidClientTokenId"));
    let refused = aws_sdk_ecr::Client::new(&world.sdk(stranger)).describe_repositories().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("UnrecognizedClientException"));

    let address = world.control.endpoint().trim_start_matches("http://").to_owned();
    let scope = "Authorization: AWS4-HMAC-SHA256 Credential=local/20261120/local/sns/aws4_request, SignedHeaders=host, Signature=0\r\n";
    let (status, body) = post(&address, scope).await;
    assert!(status.contains("501") && body.contains("but not sns"), "{status} {body}");
    let (status, body) = post(&address, "").await;
    assert!(status.contains("403") && body.contains("MissingAuthenticationToken"), "{status} {body}");
}

/// The first line and the rest of the answer to a request that no client of AWS would send.
async fn post(address: &str, headers: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (status, rest) = answer.split_once("\r\n").unwrap();
    (status.to_owned(), rest.to_owned())
}
