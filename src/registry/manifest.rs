//! What is read of manifests and configurations (OCI image specification).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The parts of a manifest that we read: an image's, or an index of several
/// (OCI image specification, `manifest.md` and `image-index.md`).
#[derive(Deserialize)]
pub(super) struct Manifest {
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
pub(super) struct Descriptor {
    pub(super) digest: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) platform: Option<Platform>,
}

/// Of an image in an index.
#[derive(Deserialize)]
pub(super) struct Platform {
    pub(super) architecture: String,
}

/// The label that names the commit an image was built from (OCI image specification, `annotations.md`).
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The parts of an image's configuration that we read.
#[derive(Deserialize)]
pub(super) struct ImageConfig {
    pub(super) architecture: Option<String>,
    pub(super) config: Option<RunConfig>,
}

#[derive(Default, Deserialize)]
pub(super) struct RunConfig {
    /// `8080/tcp` and the like, each with an empty object.
    #[serde(rename = "ExposedPorts")]
    pub(super) exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(rename = "Labels")]
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// What an image's configuration in the registry says (OCI image specification, `config.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The TCP ports that it exposes, in ascending order.
    pub ports: Vec<u16>,
    /// The commit that it was built from, if it has the label for it (OCI image specification, `annotations.md`).
    pub revision: Option<String>,
    /// The processor architecture that it is for, as Go names them: `amd64`, `arm64`.
    pub architecture: Option<String>,
}

impl Descriptor {
    /// Whether it describes another manifest of the same index, as BuildKit's attestations do, and is no image.
    pub(super) fn is_attestation(&self) -> bool {
        self.annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
    }
}
