//! SSH agents for `RUN --mount=type=ssh`: each connection of the step is a stream, which we tie to the agent's socket
//! (`moby.sshforward.v1.SSH`). Keys never travel.

use std::path::{Path, PathBuf};

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::Ssh;
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio_util::io::ReaderStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::Offer;

/// The id of a mount that names none.
const DEFAULT: &str = "default";

/// Bytes of the agent's answer in one message.
const CHUNK: usize = 32 * 1024;

impl Offer {
    fn agent(&self, id: &str) -> Result<&PathBuf, Status> {
        let id = if id.is_empty() { DEFAULT } else { id };
        let found = self.agents.iter().find(|(known, _)| known == id).map(|(_, path)| path);
        found.ok_or_else(|| Status::not_found(format!("SSH agent {id} is not among the build's agents")))
    }
}

async fn connect(path: &Path) -> Result<UnixStream, Status> {
    UnixStream::connect(path).await.map_err(|error| {
        Status::failed_precondition(format!("the SSH agent at {} does not answer: {error}", path.display()))
    })
}

#[tonic::async_trait]
impl Ssh for Offer {
    type ForwardAgentStream = BoxStream<BytesMessage>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        connect(self.agent(&request.get_ref().id)?).await?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get("buildkit.ssh.id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (answers, mut questions) = connect(self.agent(id)?).await?.into_split();
        let mut asked = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = asked.message().await {
                if questions.write_all(&message.data).await.is_err() {
                    // The other direction ends with the socket, and says so.
                    return;
                }
            }
        });
        let answers = ReaderStream::with_capacity(answers, CHUNK)
            .map_ok(|data| BytesMessage { data: data.into() })
            .map_err(|error| Status::unavailable(format!("the SSH agent broke off: {error}")));
        Ok(Response::new(Box::pin(answers)))
    }
}
