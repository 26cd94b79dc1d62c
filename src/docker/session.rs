//! The session that BuildKit asks during a build: the files of the context, secrets and SSH agents for its mounts, and
//! logins for base images.
//!
//! A session is a connection turned round: we open it, it is upgraded to HTTP/2, and the daemon is the one that calls
//! (moby's `/session` endpoint; services of `moby.buildkit.secrets.v1`, `moby.filesync.v1` and `moby.sshforward.v1`).

mod entries;
mod ssh;
mod stats;
mod sync;
mod wanted;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use sha2::{Digest, Sha256};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};

use super::again::failure;
use super::{Docker, Keys};
use crate::engine::retry::Failure;
use crate::fault::Fault;
use crate::inputs::Secret;
pub(super) use sync::Shared;

/// Bytes of one call's metadata: patterns of a long `.dockerignore` come in it. gRPC's own servers take as much.
const MOST_METADATA: u32 = 16 << 20;

/// Bytes that may be on their way to us. The daemon asks for each file in a message of few bytes, for thousands at a
/// time, and the HTTP/2 library takes more of those than fit a small window for an attack (h2, `data_frame_budget`).
const WINDOW: u32 = 256 << 20;

/// What the daemon may ask for.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// Secrets by id.
    pub(super) secrets: Vec<(String, Secret)>,
    /// Logins for registries.
    pub(super) keys: Keys,
    /// Sockets of SSH agents by id.
    pub(super) agents: Vec<(String, PathBuf)>,
    /// The build context.
    pub(super) directory: Option<Arc<Shared>>,
}

/// An open session; it ends with the value.
pub(super) struct Session {
    /// Its name in the build request.
    pub(super) id: String,
    _serving: AbortOnDropHandle<()>,
}

/// What we serve, as the daemon wants to be told.
const METHODS: [&str; 6] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.filesync.v1.Auth/Credentials",
    "/grpc.health.v1.Health/Check",
];

/// What came of asking for a session.
pub(super) enum Opening {
    /// There is one.
    Open(Session),
    /// The daemon has no BuildKit, or somebody on the way does not let us; in its words.
    Refused(String),
}

impl Session {
    /// Opens a session on the daemon.
    ///
    /// # Errors
    /// The daemon does not answer, or answers with a fault of its own.
    pub(super) async fn open(docker: &Docker, offer: Offer) -> Result<Opening, Failure> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let key = offer.directory.as_ref().map(|shared| key_of(shared.root())).unwrap_or_default();
        let answer = docker.wire.clone().send(request(&id, &key)?).await;
        let answer = answer.map_err(|error| failure(WHAT, error, 1))?;
        let status = answer.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            // The reason is worth showing, but a daemon that does not give one still has none.
            let text = answer.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let said = format!("it answered {status} to a build session: {}", String::from_utf8_lossy(&text).trim());
            return match status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED {
                true => Ok(Opening::Refused(said)),
                false => Err(Fault::new(WHAT).cause(said).into()),
            };
        }
        let line = hyper::upgrade::on(answer).await.map_err(|error| failure(WHAT, error.into(), 1))?;
        let offer = Arc::new(offer);
        let routes = tonic::service::Routes::new(HealthServer::from_arc(offer.clone()))
            .add_service(SecretsServer::from_arc(offer.clone()))
            .add_service(FileSyncServer::from_arc(offer.clone()))
            .add_service(SshServer::from_arc(offer.clone()))
            .add_service(AuthServer::from_arc(offer))
            .prepare();
        let serving = tokio::spawn(async move {
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_header_list_size(MOST_METADATA).initial_connection_window_size(WINDOW);
            if let Err(error) = server.serve_connection(line, TowerToHyperService::new(routes)).await {
                // The daemon drops the line when the build is done; what matters is said by the build.
                tracing::debug!(%error, "build session ended");
            }
        });
        Ok(Opening::Open(Self { id, _serving: AbortOnDropHandle::new(serving) }))
    }
}

/// What a failed opening could not do.
const WHAT: &str = "could not open a build session on the docker daemon";

/// A name for a directory that is the same as long as the directory is, so that the daemon finds the copy it kept. Two
/// directories never share one: the copy is compared by size and time, not by content.
fn key_of(directory: &Path) -> String {
    let mut hash = Sha256::new();
    // The same in every container of a machine, which a machine's name is not (proc(5)).
    hash.update(std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default());
    if let Ok(facts) = directory.metadata() {
        hash.update(facts.dev().to_le_bytes());
        hash.update(facts.ino().to_le_bytes());
    }
    hash.update(directory.as_os_str().as_encoded_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request(id: &str, key: &str) -> Result<http::Request<Empty<Bytes>>, Fault> {
    let head = http::Request::post("/session")
        .header("Connection", "Upgrade")
        .header("Upgrade", "h2c")
        .header("X-Docker-Expose-Session-Uuid", id)
        .header("X-Docker-Expose-Session-Name", "beanline")
        .header("X-Docker-Expose-Session-Sharedkey", key);
    METHODS
        .iter()
        .fold(head, |head, method| head.header("X-Docker-Expose-Session-Grpc-Method", *method))
        .body(Empty::new())
        .map_err(|error| Fault::new("could not write the request for a build session").because(error))
}

#[tonic::async_trait]
impl Secrets for Offer {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        // "Not found" makes BuildKit leave an optional mount out, and fail a required one by its name.
        let (_, secret) = self
            .secrets
            .iter()
            .find(|(known, _)| known == id)
            .ok_or_else(|| Status::not_found(format!("secret {id} is not among the build secrets")))?;
        Ok(Response::new(GetSecretResponse { data: secret.reveal().as_bytes().to_vec() }))
    }
}

#[tonic::async_trait]
impl Auth for Offer {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let known = self.keys.find(&request.get_ref().host).await.map(|login| CredentialsResponse {
            // A token in place of a password goes without a name.
            username: if login.is_identity_token() { String::new() } else { login.username.clone() },
            secret: login.password.reveal().to_owned(),
        });
        Ok(Response::new(known.unwrap_or_default()))
    }

    // The daemon fetches tokens itself when we say that we cannot.

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("no tokens here"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("no tokens here"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("no tokens here"))
    }
}

#[tonic::async_trait]
impl Health for Offer {
    type WatchStream = tonic::codegen::BoxStream<HealthCheckResponse>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("ask for one service"))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask again instead"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{Login, Wish};

    fn offer() -> Offer {
        let (keys, mut wishes) = Keys::pair();
        tokio::spawn(async move {
            while let Some(Wish { host, answer }) = wishes.next().await {
                let is_known = ["docker.io", "127.0.0.1:5000"].contains(&host.as_str());
                let login = is_known.then(|| Login { host, username: "me".into(), password: Secret::new("pw") });
                answer.send(login).unwrap();
            }
        });
        Offer { secrets: vec![("token".into(), Secret::new("abc"))], keys, ..Offer::default() }
    }

    #[tokio::test]
    async fn only_secrets_that_were_given_are_served() {
        let ask = |id: &str| Request::new(GetSecretRequest { id: id.into(), ..Default::default() });
        assert_eq!(offer().get_secret(ask("token")).await.unwrap().get_ref().data, b"abc");
        assert_eq!(offer().get_secret(ask("other")).await.unwrap_err().code(), tonic::Code::NotFound);
    }

    #[tokio::test]
    async fn a_login_goes_to_its_own_registry_and_docker_hub_is_known_by_all_its_names() {
        for (host, username) in [("registry-1.docker.io", "me"), ("127.0.0.1:5000", "me"), ("127.0.0.1:5001", "")] {
            let asked = Request::new(CredentialsRequest { host: host.into() });
            assert_eq!(offer().credentials(asked).await.unwrap().get_ref().username, username, "{host}");
        }
    }
}
