//! The control plane of the local cloud: Beanstalk, ECR, STS and S3 behind one address, with the real wire protocols.
//!
//! A client is sent to the service that it signed for, so `AWS_ENDPOINT_URL` alone is all that it has to be told.

pub mod beanstalk;
mod call;
pub mod chance;
mod denied;
mod ecr;
mod front;
pub mod nodes;
pub mod query;
pub mod s3;
mod skew;
pub mod state;
mod sts;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::plane::PlaneClient;
use crate::docker::Docker;
use crate::fault::Fault;
use crate::inputs::secret::Secret;
use beanstalk::{Beanstalk, Pace};
pub use call::{CallLog, Service};
use ecr::Ecr;
use front::Front;
use nodes::{Ground, Nodes};
use s3::{Objects, Shelf};
use state::Store;
use trouble::Closed;

/// The account id of the local cloud.
pub const ACCOUNT: &str = "000000000000";
/// The region of the local cloud.
pub const REGION: &str = "local";
/// The access key of the local cloud, and its secret.
pub const ACCESS_KEY: &str = "local";
/// What sessions for roles are given as access key; shaped as AWS shapes it, since clients check its length.
const SESSION_KEY: &str = "ASIALOCAL00000000000";
const SESSION_SECRET: &str = "local-session-secret-0000000000000000000";
/// All access keys with their secrets.
const KEYS: &[(&str, &str)] = &[(ACCESS_KEY, ACCESS_KEY), (SESSION_KEY, SESSION_SECRET)];

/// What a control plane is started with.
pub struct Settings {
    /// The port on 127.0.0.1; 0 lets the system choose a free one.
    pub port: u16,
    /// Where buckets are kept.
    pub directory: PathBuf,
    /// What it remembers.
    pub store: Store,
    /// How fast its Beanstalk is.
    pub pace: Pace,
    /// The data plane, which has the registry.
    pub plane: PlaneClient,
    /// Where docker finds the registry: `127.0.0.1:PORT`.
    pub registry: String,
}

/// A running control plane. It ends when this is dropped, and with it every request that it is serving.
pub struct ControlPlane {
    endpoint: String,
    front: Arc<Front>,
    objects: Objects,
    plane: PlaneClient,
    tasks: Vec<JoinHandle<()>>,
}

impl ControlPlane {
    /// Begins to listen and to answer.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(settings: Settings) -> Result<Self, Fault> {
        let port = settings.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
            let fault = Fault::new(format!("could not listen on 127.0.0.1:{port}")).because(error);
            fault.hint("another local cloud may be running; end it, or choose another port")
        })?;
        let address =
            listener.local_addr().map_err(|error| Fault::new("could not learn our own port").because(error))?;
        let mut control = Self::in_process(settings, format!("http://{address}"));
        control.tasks.push(tokio::spawn(serve(listener, control.front.clone())));
        Ok(control)
    }

    /// One that nobody reaches but by [`ControlPlane::answer`]; `endpoint` stands in the addresses that it gives out.
    pub fn in_process(settings: Settings, endpoint: String) -> Self {
        let objects = Objects::in_directory(&settings.directory.join("s3"));
        let password = Secret::new(settings.store.read(|state| state.registry_password.clone()));
        let shelf = Arc::new(Shelf { objects: objects.clone(), endpoint: endpoint.clone() });
        let front = Arc::new(Front {
            calls: CallLog::default(),
            store: settings.store.clone(),
            beanstalk: Beanstalk::new(settings.store, settings.pace, shelf),
            s3: s3::service(objects.clone()),
            ecr: Ecr { plane: settings.plane.clone(), host: settings.registry, password },
        });
        Self { endpoint, front, objects, plane: settings.plane, tasks: Vec::new() }
    }

    /// Answers one request as if it had come over a socket.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        self.front.answer(request.map(s3s::Body::from)).await
    }

    /// Runs the instances of its environments, as containers, until it ends. Without this every environment stays as it
    /// is.
    pub fn run_instances(&mut self, docker: Docker, ground: Ground) {
        let nodes = Nodes::new(self.front.beanstalk.clone(), docker, self.plane.clone(), ground);
        self.tasks.push(tokio::spawn(nodes.run()));
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it was asked so far.
    pub fn calls(&self) -> &CallLog {
        &self.front.calls
    }

    /// The objects behind its S3.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Its Beanstalk.
    pub fn beanstalk(&self) -> &Beanstalk {
        &self.front.beanstalk
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The answer, unless the connection is to be closed instead.
fn open(answer: Response<Body>) -> io::Result<Response<Body>> {
    match answer.extensions().get::<Closed>() {
        None => Ok(answer),
        Some(Closed) => Err(io::Error::other("closed as it was told")),
    }
}

/// Accepts connections. They belong to this task and end with it.
async fn serve(listener: TcpListener, front: Arc<Front>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // A refused connection (too many open files) is that client's trouble; the next may work.
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let front = front.clone();
                let service = service_fn(move |request| {
                    let front = front.clone();
                    async move { open(front.answer(request.map(s3s::Body::from)).await) }
                });
                connections.spawn(async move {
                    // A client that hangs up is no concern of ours.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
