//! Where an image goes and how to log in there.
//!
//! The only place with an HTTP client for registries and with ECR's client.

mod advice;
#[cfg(test)]
mod amazon_tests;
mod answer;
mod basic;
mod challenge;
mod client;
mod ecr;
#[cfg(test)]
mod fuzz_tests;
mod manifest;
mod naming;
mod opening;
mod program;
mod public;
#[cfg(test)]
pub(crate) mod quirks;
mod tags;
mod token;
mod transport;

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::docker::Login;
use crate::fault::Fault;
use crate::image::{Digest, Repository, Tag};
use crate::inputs::RegistryPlan;
use client::Client;
pub use ecr::EcrRepository;
pub use manifest::{Configuration, REVISION_LABEL};
use manifest::{Descriptor, ImageConfig, Manifest};
pub use naming::{Held, IMMUTABLE};
use opening::{Amazon, Opened};
pub use tags::{EcrTags, Put};

/// After this time a login that can be asked for anew is: the shortest that are given last a quarter of an hour.
const STALE: Duration = Duration::from_secs(10 * 60);

/// One repository's registry, logged in.
pub struct Registry {
    repository: Repository,
    client: Client,
    login: Option<Login>,
    /// Whether the login ends too soon for instances.
    is_short: bool,
    /// Whether the login can be asked for anew.
    is_renewable: bool,
    opened: Instant,
    amazon: Option<Amazon>,
    /// Why the AWS credentials gave no login, where that was no reason to stop.
    without_aws: Option<String>,
    plan: RegistryPlan,
    sdk: Option<aws_config::SdkConfig>,
}

/// Where an image lives, as far as it concerns those who pull it.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// The repository, when it is one of ECR's: instances log in there by their own rights.
    pub ecr: Option<EcrRepository>,
    /// The login for any other registry, if there is one.
    pub login: Option<Login>,
}

/// The login for an image's registry alone, if there is one: for who has nothing to ask of the registry but images.
///
/// # Errors
/// As [`Registry::open`].
pub async fn login(
    repository: &Repository,
    plan: &RegistryPlan,
    sdk: Option<&aws_config::SdkConfig>,
) -> Result<Option<Login>, Fault> {
    Ok(Opened::by(repository, plan, sdk).await?.found.map(|found| found.login))
}

/// What came of the question for a tag.
pub enum Look {
    /// It names a manifest.
    Names(Digest),
    /// There is no such tag, or no such repository.
    Missing,
    /// We are not let in; why.
    Refused(Fault),
}

impl Registry {
    /// Finds out which registry it is and logs in.
    ///
    /// A login that is an input wins; else that of the AWS credentials in `sdk`, where the host has ECR's shape, is that of
    /// ECR's public registry, or is named by ECR's authorization token; else docker's configuration; else the CI's own, at
    /// its vendor's registry; else nobody's. On a loopback host ECR is asked first: the local cloud's registry lives there.
    ///
    /// # Errors
    /// When ECR gives no token, or when docker's configuration names a login that cannot be used.
    pub async fn open(
        repository: &Repository,
        plan: &RegistryPlan,
        sdk: Option<&aws_config::SdkConfig>,
    ) -> Result<Registry, Fault> {
        let Opened { amazon, found, without_aws } = Opened::by(repository, plan, sdk).await?;
        let (is_short, is_renewable) =
            found.as_ref().map_or((false, false), |found| (found.is_short, found.is_renewable));
        let login = found.map(|found| found.login);
        Ok(Registry {
            repository: repository.clone(),
            client: Client::new(repository, login.clone(), &plan.proxies)?,
            login,
            is_short,
            is_renewable,
            opened: Instant::now(),
            amazon,
            without_aws,
            plan: plan.clone(),
            sdk: sdk.cloned(),
        })
    }

    /// The same with a new login, when this one may end soon: hours of tests may lie behind it.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub async fn renewed(&self) -> Result<Option<Registry>, Fault> {
        if !self.is_renewable || self.opened.elapsed() < STALE {
            return Ok(None);
        }
        Registry::open(&self.repository, &self.plan, self.sdk.as_ref()).await.map(Some)
    }

    /// The login, for the daemon's push and pull.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether it is an ECR registry.
    pub fn is_ecr(&self) -> bool {
        matches!(self.amazon, Some(Amazon::Private(_)))
    }

    /// What those who pull from it must know. ECR stays ECR for them, also for who logs in there by a password.
    pub fn home(&self) -> Home {
        let by_name = || ecr::EcrHost::parse(self.repository.host()).and(EcrRepository::of(&self.repository, ""));
        let told = match &self.amazon {
            Some(Amazon::Private(ecr)) => Some(ecr.repository()),
            Some(Amazon::Public(_)) | None => by_name(),
        };
        match told {
            Some(ecr) => Home { ecr: Some(ecr), login: None },
            None => Home { ecr: None, login: self.login.clone().filter(|_| !self.is_short) },
        }
    }

    /// What has to be known before instances pull from here: a login that ends soon is not given to them.
    pub fn warning_for_instances(&self) -> Option<String> {
        let (login, host) = (self.login.as_ref().filter(|_| self.is_short)?, self.repository.host());
        self.amazon.is_none().then(|| {
            format!(
                "the login of {} at {host} ends soon and is not given to the instances: if the image is not public, set \
                 registry_username and registry_password to a login that lasts",
                login.username
            )
        })
    }

    /// Asks whether the registry answers, takes the login, and has the repository; a missing ECR repository is made if
    /// `create_repository` says so. Returns sentences about what was found.
    ///
    /// # Errors
    /// When it does not answer, refuses the login, or has no such repository.
    pub async fn check(&self, create_repository: bool) -> Result<Vec<String>, Fault> {
        let host = self.repository.host();
        let mut notes = self.check_login().await?;
        match &self.amazon {
            Some(Amazon::Private(ecr)) => notes.extend(ecr.check_repository(create_repository).await?),
            Some(Amazon::Public(public)) if create_repository => notes.extend(public.check_repository(true).await?),
            Some(Amazon::Public(_)) => {}
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
        let answer = self.client.hello().await?;
        if answer.status.as_u16() != 200 {
            return Err(self.without_login(answer.fault(format!("could not log in to {host}"))));
        }
        Ok(vec![match &self.login {
            Some(_) if self.amazon.is_some() => format!("logged in to {host} by the AWS credentials"),
            Some(login) => format!("logged in to {host} as {}", login.username),
            None => format!("{host} answers; no login is known for it"),
        }])
    }

    /// Asks whether the login may push here, as far as the registry tells without a push.
    ///
    /// # Errors
    /// When it may not.
    pub async fn check_push(&self) -> Result<(), Fault> {
        if let Some(Amazon::Public(public)) = self.amazon.as_ref().filter(|_| !self.plan.create_repository) {
            public.check_repository(false).await?;
        }
        if self.client.may_push().await? != Some(false) {
            return Ok(());
        }
        let host = self.repository.host();
        let fault = match &self.login {
            Some(login) => Fault::new(format!("could not get leave to push to {}", self.repository))
                .cause(format!("{host} gave {} a token without the right to push", login.username)),
            None => Fault::new(format!("could not log in to {host}"))
                .cause("it wants a login, and lets nobody push without one"),
        };
        Err(self.without_login(fault).hint(advice::login(host, self.login.is_some())))
    }

    /// Adds why there is no login.
    fn without_login(&self, fault: Fault) -> Fault {
        let why = self.without_aws.iter().filter(|_| self.login.is_none());
        why.fold(fault, |fault, why| fault.cause(why))
    }

    /// What a tag points to; `None` when there is no such tag or no such repository.
    ///
    /// # Errors
    /// When the registry cannot be asked or refuses the answer.
    pub async fn digest(&self, tag: &Tag) -> Result<Option<Digest>, Fault> {
        match self.look(tag).await? {
            Look::Names(digest) => Ok(Some(digest)),
            Look::Missing => Ok(None),
            Look::Refused(fault) => Err(fault),
        }
    }

    /// The same, where a repository that we are not let into counts as one that is not there: many registries answer so for
    /// one that is not made yet.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn digest_if_seen(&self, tag: &Tag) -> Result<Option<Digest>, Fault> {
        match self.look(tag).await? {
            Look::Names(digest) => Ok(Some(digest)),
            Look::Missing | Look::Refused(_) => Ok(None),
        }
    }

    /// What a tag points to, as far as we are let see it.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn look(&self, tag: &Tag) -> Result<Look, Fault> {
        let path = self.manifest_path(tag.as_str());
        let asked = || format!("could not ask for the digest of {}:{tag}", self.repository);
        let mut answer = self.client.head(&path, client::MANIFESTS).await?;
        // Some do not know HEAD, some leave the digest out.
        if answer.status == StatusCode::METHOD_NOT_ALLOWED || answer.status.is_success() && answer.digest.is_none() {
            answer = self.client.get(&path, client::MANIFESTS).await?;
        }
        match (answer.status.as_u16(), &answer.digest) {
            (404, _) => Ok(Look::Missing),
            (401 | 403, _) => Ok(Look::Refused(answer.fault(asked()))),
            (200, Some(digest)) => {
                Digest::parse(digest).map(Look::Names).map_err(|wrong| Fault::new(asked()).cause(wrong))
            }
            (200, None) => Ok(Look::Names(Digest::of(&answer.body))),
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

    /// Whether a manifest is an index of several images, of which none can be meant alone.
    ///
    /// # Errors
    /// When the manifest is not there, or is not what its digest says.
    pub async fn is_of_several(&self, manifest: &Digest) -> Result<bool, Fault> {
        let found = self.manifest(manifest).await?;
        Ok(found.config.is_none() && found.manifests.iter().filter(|image| !image.is_attestation()).count() > 1)
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
