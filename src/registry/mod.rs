//! Where an image goes and how to log in there.
//!
//! The only place with an HTTP client for registries and with ECR's client.

mod basic;
mod challenge;
mod client;
mod ecr;
#[cfg(test)]
mod fuzz_tests;
mod tags;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::docker::Login;
use crate::fault::Fault;
use crate::image::{Digest, Repository, Tag};
use crate::inputs::RegistryPlan;
use basic::Found;
use client::Client;
use ecr::Ecr;
pub use ecr::EcrRepository;
pub use tags::{EcrTags, Put};

/// One repository's registry, logged in.
pub struct Registry {
    repository: Repository,
    client: Client,
    login: Option<Login>,
    ecr: Option<Ecr>,
    /// Why ECR gave no token, where that was no reason to stop.
    without_ecr: Option<String>,
}

/// The parts of a manifest that we read: an image's, or an index of several
/// (OCI image specification, `manifest.md` and `image-index.md`).
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

/// Of an image in an index.
#[derive(Deserialize)]
struct Platform {
    architecture: String,
}

/// The label that names the commit an image was built from (OCI image specification, `annotations.md`).
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The parts of an image's configuration that we read.
#[derive(Deserialize)]
struct ImageConfig {
    architecture: Option<String>,
    config: Option<RunConfig>,
}

#[derive(Default, Deserialize)]
struct RunConfig {
    /// `8080/tcp` and the like, each with an empty object.
    #[serde(rename = "ExposedPorts")]
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
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

/// Where an image lives, as far as it concerns those who pull it.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// The repository, when it is one of ECR's: instances log in there by their own rights.
    pub ecr: Option<EcrRepository>,
    /// The login for any other registry, if there is one.
    pub login: Option<Login>,
}

impl Descriptor {
    /// Whether it describes another manifest of the same index, as BuildKit's attestations do, and is no image.
    fn is_attestation(&self) -> bool {
        self.annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
    }
}

impl Registry {
    /// Finds out which registry it is and logs in.
    ///
    /// A login that is an input wins; else ECR by the AWS credentials in `sdk`, where the host has ECR's shape or the
    /// authorization token names it; else docker's configuration; else nobody. On a loopback host ECR is asked first:
    /// the local cloud's registry lives there.
    ///
    /// # Errors
    /// When ECR gives no token, or when docker's configuration names a login that cannot be used.
    pub async fn open(
        repository: &Repository,
        plan: &RegistryPlan,
        sdk: Option<&aws_config::SdkConfig>,
    ) -> Result<Registry, Fault> {
        let host = repository.host();
        let found = basic::find(host, plan)?;
        let is_ecrs = ecr::EcrHost::parse(host).is_some();
        let login_is_input = matches!(found, Found::Input(_)) && !repository.is_loopback();
        // Elsewhere ECR is asked only if there is no other login, so that who has none with AWS is not held up.
        let asks_ecr = !login_is_input && (is_ecrs || repository.is_loopback() || matches!(found, Found::Nothing));
        let mut without_ecr = None;
        let ecr = match sdk.filter(|_| asks_ecr) {
            Some(sdk) => match Ecr::authorize(repository, sdk).await {
                Ok(authorized) => authorized,
                Err(fault) if is_ecrs => return Err(fault),
                // Not a registry of ECR's by its host: most likely none at all.
                Err(fault) => {
                    without_ecr = Some(fault.to_string());
                    None
                }
            },
            None => None,
        };
        let (ecr, login) = match ecr {
            Some((ecr, login)) => (Some(ecr), Some(login)),
            None => (None, found.login()?),
        };
        let client = Client::new(repository, login.clone())?;
        Ok(Registry { repository: repository.clone(), client, login, ecr, without_ecr })
    }

    /// The login, for the daemon's push and pull.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether it is an ECR registry.
    pub fn is_ecr(&self) -> bool {
        self.ecr.is_some()
    }

    /// What those who pull from it must know. ECR stays ECR for them, also for who logs in there by a password.
    pub fn home(&self) -> Home {
        let by_name = || ecr::EcrHost::parse(self.repository.host()).and(EcrRepository::of(&self.repository, ""));
        match self.ecr.as_ref().map(Ecr::repository).or_else(by_name) {
            Some(ecr) => Home { ecr: Some(ecr), login: None },
            None => Home { ecr: None, login: self.login.clone() },
        }
    }

    /// Asks whether the registry answers, takes the login, and has the repository; a missing ECR repository is made if
    /// `create_repository` says so. Returns sentences about what was found.
    ///
    /// # Errors
    /// When it does not answer, refuses the login, or has no such repository.
    pub async fn check(&self, create_repository: bool) -> Result<Vec<String>, Fault> {
        let host = self.repository.host();
        let mut notes = self.check_login().await?;
        match &self.ecr {
            Some(ecr) => notes.extend(ecr.check_repository(create_repository).await?),
            None if create_repository => {
                notes.push(format!(
                    "{host} is not ECR: it makes a repository by itself on the first push, or not at all"
                ));
            }
            None => {}
        }
        Ok(notes)
    }

    /// Asks whether the registry answers and takes the login. Returns sentences about what was found.
    ///
    /// # Errors
    /// When it does not answer, or refuses the login.
    pub async fn check_login(&self) -> Result<Vec<String>, Fault> {
        let host = self.repository.host();
        let answer = self.client.get("/v2/", "application/json").await?;
        if answer.status.as_u16() != 200 {
            let fault = answer.fault(format!("could not log in to {host}"));
            let why = self.without_ecr.iter().filter(|_| self.login.is_none());
            return Err(why.fold(fault, |fault, why| fault.cause(why)));
        }
        Ok(vec![match &self.login {
            Some(_) if self.is_ecr() => format!("logged in to {host} by the AWS credentials"),
            Some(login) => format!("logged in to {host} as {}", login.username),
            None => format!("{host} answers; no login is known for it"),
        }])
    }

    /// What a tag points to; `None` when there is no such tag or no such repository.
    ///
    /// # Errors
    /// When the registry cannot be asked or refuses the answer.
    pub async fn digest(&self, tag: &Tag) -> Result<Option<Digest>, Fault> {
        let path = self.manifest_path(tag.as_str());
        let asked = || format!("could not ask for the digest of {}:{tag}", self.repository);
        let answer = self.client.head(&path, client::MANIFESTS).await?;
        let answer = match answer.status.as_u16() {
            404 => return Ok(None),
            200 if answer.digest.is_some() => answer,
            200 => self.client.get(&path, client::MANIFESTS).await?,
            _ => return Err(answer.fault(asked())),
        };
        match (answer.status.as_u16(), &answer.digest) {
            (404, _) => Ok(None),
            (200, Some(digest)) => Digest::parse(digest).map(Some).map_err(|wrong| Fault::new(asked()).cause(wrong)),
            (200, None) => Ok(Some(Digest::of(&answer.body))),
            _ => Err(answer.fault(asked())),
        }
    }

    /// The digest of the configuration of a manifest's image, which is the image's id. An index with one image in it
    /// (and BuildKit's attestations) counts as that image.
    ///
    /// # Errors
    /// When the manifest is not there, is not what its digest says, or is an index of several images.
    pub async fn config_digest(&self, manifest: &Digest) -> Result<Digest, Fault> {
        let found = self.manifest(manifest).await?;
        let images: Vec<&Descriptor> = found.manifests.iter().filter(|image| !image.is_attestation()).collect();
        let inner = match (&found.config, images.as_slice()) {
            (Some(_), _) => None,
            (None, [image]) => Some(self.manifest(&self.parse(&image.digest)?).await?),
            (None, images) => {
                let what = format!("could not tell which image {}@{manifest} is", self.repository);
                return Err(Fault::new(what).cause(format!("it is an index of {} images", images.len())));
            }
        };
        match inner.unwrap_or(found).config {
            Some(config) => self.parse(&config.digest),
            None => Err(Fault::new(format!("could not read the manifest {}@{manifest}", self.repository))
                .cause("it names no configuration")),
        }
    }

    /// What an image's configuration says.
    ///
    /// # Errors
    /// When the configuration is not there, is not what its digest says, or cannot be read.
    pub async fn configuration(&self, config: &Digest) -> Result<Configuration, Fault> {
        let what = || format!("could not read the configuration {config} of an image in {}", self.repository);
        let path = format!("/v2/{}/blobs/{config}", self.repository.path());
        let answer = self.client.get(&path, "*/*").await?;
        if answer.status.as_u16() != 200 {
            return Err(answer.fault(what()));
        }
        if Digest::of(&answer.body) != *config {
            return Err(Fault::new(what()).cause("the registry sent other bytes than this digest is of"));
        }
        let image: ImageConfig =
            serde_json::from_slice(&answer.body).map_err(|error| Fault::new(what()).because(error))?;
        let architecture = image.architecture.filter(|name| !name.is_empty());
        let config = image.config.unwrap_or_default();
        let exposed = config.exposed_ports.unwrap_or_default();
        let mut ports: Vec<u16> =
            exposed.keys().filter_map(|port| port.trim_end_matches("/tcp").parse().ok()).collect();
        ports.sort_unstable();
        let revision = config.labels.and_then(|mut labels| labels.remove(REVISION_LABEL));
        Ok(Configuration { ports, revision, architecture })
    }

    /// The processor architectures of an index's images; empty when it is none, or does not tell.
    ///
    /// # Errors
    /// When the manifest is not there, or is not what its digest says.
    pub async fn architectures(&self, index: &Digest) -> Result<Vec<String>, Fault> {
        let found = self.manifest(index).await?;
        let images = found.manifests.into_iter().filter(|image| !image.is_attestation());
        let told: Option<Vec<String>> = images.map(|image| Some(image.platform?.architecture)).collect();
        Ok(told.unwrap_or_default())
    }

    async fn manifest(&self, digest: &Digest) -> Result<Manifest, Fault> {
        let what = || format!("could not read the manifest {}@{digest}", self.repository);
        let answer = self.client.get(&self.manifest_path(digest.as_str()), client::MANIFESTS).await?;
        if answer.status.as_u16() != 200 {
            return Err(answer.fault(what()));
        }
        if Digest::of(&answer.body) != *digest {
            return Err(Fault::new(what()).cause("the registry sent other bytes than this digest is of"));
        }
        serde_json::from_slice(&answer.body).map_err(|error| Fault::new(what()).because(error))
    }

    fn manifest_path(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository.path())
    }

    fn parse(&self, digest: &str) -> Result<Digest, Fault> {
        Digest::parse(digest)
            .map_err(|wrong| Fault::new(format!("could not read a manifest in {}", self.repository)).cause(wrong))
    }
}

#[cfg(test)]
mod tests;
