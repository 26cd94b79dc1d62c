//! The docker daemon, through its engine API. Nothing outside this directory speaks to it.
//!
//! One connection a request, on a unix socket, TCP or TLS ([`wire`]); the API's version is negotiated. BuildKit is the
//! daemon's own, driven over a session that serves secrets and registry credentials ([`session`]).

mod again;
mod archive;
mod build;
mod container;
mod context;
#[cfg(test)]
mod daemon_tests;
mod extras;
mod facts;
mod files;
#[cfg(test)]
mod fuzz_tests;
mod ignore;
mod image;
mod keys;
mod network;
mod output;
mod own;
mod pipe;
mod progress;
mod push;
mod refusal;
mod session;
mod tarball;
mod volume;
mod wire;
#[cfg(test)]
mod wire_tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use archive::Archive;
pub use build::BuildRequest;
pub use container::ContainerSpec;
pub use context::leaves_out;
pub use extras::Extras;
pub use facts::{ContainerFacts, ImageFacts, ImageStore};
pub use files::Owner;
pub use keys::{Keys, Wish};
pub use output::Ended;
pub use own::OwnImage;
pub use pipe::Pipe;

use bollard::errors::Error;
use bollard::models::SystemVersion;
use tokio::sync::Mutex;

use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;
use crate::inputs::Secret;
use wire::Wire;

/// Labels of a container, an image or a network, by name.
pub type Labels = HashMap<String, String>;

/// How long the first answer may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long the head of any later answer may take. Uploads and stops are answered when they are done; what takes longer
/// by its nature is a stream, whose head comes at once.
const ANSWER_LIMIT_SECONDS: u64 = 300;

/// What the environment says about the daemon, as the docker command reads it.
#[derive(Clone, Debug, Default)]
pub struct DaemonEnv {
    /// `DOCKER_HOST`: `unix:///var/run/docker.sock` (the default), `tcp://host:port`.
    pub docker_host: Option<String>,
    /// `DOCKER_TLS_VERIFY`: TCP means TLS when it is not empty.
    pub tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`: directory with `ca.pem`, `cert.pem` and `key.pem`.
    pub cert_path: Option<String>,
}

/// Credentials for one registry.
#[derive(Clone, Debug)]
pub struct Login {
    /// The registry's host, with its port if it has one; `docker.io` is Docker Hub.
    pub host: String,
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

impl Login {
    /// The user name that stands for a token which a registry gave in place of a password (docker's protocol for programs
    /// that keep logins).
    pub const IDENTITY_TOKEN: &str = "<token>";

    /// Whether the password is such a token.
    pub fn is_identity_token(&self) -> bool {
        self.username == Self::IDENTITY_TOKEN
    }
}

/// A docker daemon. Cheap to clone.
#[derive(Clone)]
pub struct Docker {
    client: bollard::Docker,
    wire: Wire,
    platform: String,
    /// Our own executable, read once: hashing it takes a while.
    own: Arc<Mutex<Option<own::Examined>>>,
    /// Held by whoever makes an image of it.
    importing: Arc<Mutex<()>>,
}

impl Docker {
    /// Reaches the daemon, agrees on a version of the API and asks what it is, within ten seconds.
    ///
    /// # Errors
    /// Distinct faults for: no daemon, no permission, something else answering, an address we do not speak, missing
    /// TLS files, no answer in time. Each says what to do.
    pub async fn connect(env: &DaemonEnv) -> Result<Docker, Fault> {
        let wire = Wire::from_env(env)?;
        let transport = wire.clone();
        let client = bollard::Docker::connect_with_custom_transport(
            move |request| transport.clone().send(request),
            Some("http://docker"),
            ANSWER_LIMIT_SECONDS,
            bollard::API_DEFAULT_VERSION,
        );
        let client = client.map_err(|error| refusal::unreachable(&wire, error))?;
        let hello = retry(
            Policy::within(CONNECT_LIMIT / 2),
            |_| (),
            async |_| {
                hello(&wire, client.clone()).await.map_err(|error| {
                    let passes = again::is_lost(&error);
                    let fault = refusal::unreachable(&wire, error);
                    if passes { Failure::Passing(fault) } else { Failure::Final(fault) }
                })
            },
        );
        let (version, client) = match tokio::time::timeout(CONNECT_LIMIT, hello).await {
            Ok(answer) => answer?,
            Err(_) => return Err(refusal::silent(&wire, CONNECT_LIMIT)),
        };
        let platform =
            format!("{}/{}", version.os.as_deref().unwrap_or("linux"), version.arch.as_deref().unwrap_or("amd64"));
        Ok(Docker { client, wire, platform, own: Arc::default(), importing: Arc::default() })
    }

    /// Whether what the daemon publishes on its loopback is on ours: it is reached by a unix socket or loopback TCP.
    pub fn is_on_this_machine(&self) -> bool {
        self.wire.is_on_this_machine()
    }

    /// The daemon's own platform: `linux/amd64`.
    pub fn platform(&self) -> &str {
        &self.platform
    }
}

/// Agrees on a version of the API, and asks what answers.
async fn hello(wire: &Wire, client: bollard::Docker) -> Result<(SystemVersion, bollard::Docker), Error> {
    let client = client.negotiate_version().await?;
    let agreed = client.client_version();
    wire.speak(agreed.major_version, agreed.minor_version);
    Ok((client.version().await?, client))
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker daemon at {}", self.wire)
    }
}
