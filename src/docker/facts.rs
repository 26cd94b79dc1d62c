//! What the daemon knows about images and containers.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, Health, HealthStatusEnum, ImageInspect, PortMap,
};

use super::Labels;
use crate::fault::{Fault, cut};
use crate::image::Digest;

/// Longest words of a health check that are passed on, in letters.
const LONGEST_WORDS: usize = 300;

/// How a daemon keeps images, and with it what an image's id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStore {
    /// Docker's own: the id is the digest of the configuration.
    Own,
    /// containerd's, the default of new installations since Docker 29: the id is the digest of the manifest, or of the index
    /// that it is in (docker's manual, "containerd image store").
    Containerd,
}

impl ImageStore {
    /// By what the daemon says of its driver (engine API, `/info`, `DriverStatus`).
    pub(super) fn read(driver: &[Vec<String>]) -> Self {
        let is_containerds = |pair: &Vec<String>| matches!(pair.as_slice(), [name, kind] if name == "driver-type" && kind.starts_with("io.containerd.snapshotter"));
        if driver.iter().any(is_containerds) { Self::Containerd } else { Self::Own }
    }

    /// Whether the image with this id is what the registry holds: this manifest, which names this configuration.
    pub fn proves(self, id: &Digest, manifest: &Digest, config: &Digest) -> bool {
        match self {
            Self::Own => config == id,
            // One that was pulled by a daemon of the other kind may be known by its configuration there.
            Self::Containerd => manifest == id || config == id,
        }
    }
}

/// What the daemon knows about an image.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// Its id: the digest of its configuration, or of its manifest; [`ImageStore`] tells which.
    pub id: Digest,
    /// Size on the daemon's disk, in bytes.
    pub bytes: u64,
    /// TCP ports it declares by `EXPOSE`, in ascending order.
    pub ports: Vec<u16>,
    /// Processor architecture, such as `amd64`.
    pub architecture: String,
    /// Working directory of its processes; `/` unless the image says otherwise.
    pub working_dir: String,
    /// The user of its processes as the image says it: names or numbers, with or without a group; empty for root.
    pub user: String,
    /// Whether it has a `HEALTHCHECK`.
    pub has_healthcheck: bool,
    /// Its entrypoint.
    pub entrypoint: Vec<String>,
    /// Its labels.
    pub labels: Labels,
}

impl ImageFacts {
    pub(super) fn read(reference: &str, image: ImageInspect) -> Result<Self, Fault> {
        let id = Digest::parse(image.id.as_deref().unwrap_or_default())
            .map_err(|why| Fault::new(format!("could not read the id of image {reference}")).cause(why))?;
        let config = image.config.unwrap_or_default();
        let mut ports: Vec<u16> =
            config.exposed_ports.unwrap_or_default().iter().filter_map(|port| tcp_port(port)).collect();
        ports.sort_unstable();
        ports.dedup();
        let check = config.healthcheck.and_then(|check| check.test).unwrap_or_default();
        Ok(Self {
            id,
            bytes: image.size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
            ports,
            architecture: image.architecture.unwrap_or_default(),
            working_dir: config.working_dir.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".into()),
            user: config.user.unwrap_or_default(),
            has_healthcheck: check.first().is_some_and(|kind| kind != "NONE"),
            entrypoint: config.entrypoint.unwrap_or_default(),
            labels: config.labels.unwrap_or_default(),
        })
    }
}

/// What the daemon knows about a container.
#[derive(Clone, Debug)]
pub struct ContainerFacts {
    /// Its id.
    pub id: String,
    /// Its name, without the slash that the API puts before it.
    pub name: String,
    /// The image it was made from.
    pub image_id: String,
    /// Whether its process runs.
    pub running: bool,
    /// How its process ended; `None` while it runs or has not been started.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed a process of it for want of memory.
    pub out_of_memory: bool,
    /// `starting`, `healthy` or `unhealthy`; `None` without a health check.
    pub health: Option<String>,
    /// What the last health check said, trimmed; `None` when none has run.
    pub health_said: Option<String>,
    /// Its address on each network, by the network's name.
    pub addresses: HashMap<String, IpAddr>,
    /// Published TCP ports: the container's, and the host's it is published on.
    pub ports: HashMap<u16, u16>,
    /// Its labels.
    pub labels: Labels,
}

impl ContainerFacts {
    pub(super) fn read(container: ContainerInspectResponse) -> Self {
        let state = container.state.unwrap_or_default();
        let running = state.running.unwrap_or_default();
        let started = state.status != Some(ContainerStateStatusEnum::CREATED);
        let network = container.network_settings.unwrap_or_default();
        let address = |text: Option<String>| text.and_then(|text| text.parse::<IpAddr>().ok());
        Self {
            id: container.id.unwrap_or_default(),
            name: container.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            image_id: container.image.unwrap_or_default(),
            running,
            exit_code: state.exit_code.filter(|_| started && !running),
            out_of_memory: state.oom_killed.unwrap_or_default(),
            health_said: state.health.as_ref().and_then(last_words),
            health: state.health.and_then(|health| health.status).and_then(|status| match status {
                HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
                other => Some(other.to_string()),
            }),
            addresses: network
                .networks
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(name, endpoint)| Some((name, address(endpoint.ip_address)?)))
                .collect(),
            ports: published(network.ports.unwrap_or_default()),
            labels: container.config.and_then(|config| config.labels).unwrap_or_default(),
        }
    }
}

/// Exit code and output of the newest check, on one line; docker keeps the last five, and 4 KiB of each.
fn last_words(health: &Health) -> Option<String> {
    let last = health.log.as_ref()?.last()?;
    let said = last.output.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let code = last.exit_code.unwrap_or_default();
    Some(if said.is_empty() {
        format!("exit code {code}")
    } else {
        format!("exit code {code}: {}", cut(&said, LONGEST_WORDS))
    })
}

/// `80` out of `80/tcp`; nothing out of `53/udp`.
fn tcp_port(text: &str) -> Option<u16> {
    match text.split_once('/') {
        Some((port, "tcp")) => port.parse().ok(),
        None => text.parse().ok(),
        Some(_) => None,
    }
}

fn published(ports: PortMap) -> HashMap<u16, u16> {
    let host_port = |bindings: Option<Vec<bollard::models::PortBinding>>| {
        bindings?.into_iter().find_map(|binding| binding.host_port?.parse().ok())
    };
    ports.into_iter().filter_map(|(port, bindings)| Some((tcp_port(&port)?, host_port(bindings)?))).collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::HealthcheckResult;

    use super::*;

    #[test]
    fn words_of_a_health_check_that_are_cut_end_in_an_ellipsis() {
        let said = |output: &str| {
            let result = HealthcheckResult { output: Some(output.to_owned()), ..HealthcheckResult::default() };
            last_words(&Health { log: Some(vec![result]), ..Health::default() }).unwrap()
        };
        assert_eq!((said(" not\ntoday "), said("")), ("exit code 0: not today".into(), "exit code 0".into()));
        let cut = said(&"ä".repeat(LONGEST_WORDS + 1));
        assert!(cut.ends_with("ä…") && cut.chars().filter(|letter| *letter == 'ä').count() == LONGEST_WORDS, "{cut}");
    }

    #[test]
    fn an_id_is_the_configurations_digest_in_one_store_and_the_manifests_in_the_other() {
        let driver = |pairs: &[[&str; 2]]| {
            ImageStore::read(&pairs.iter().map(|pair| pair.map(str::to_owned).to_vec()).collect::<Vec<_>>())
        };
        let containerd = driver(&[["driver-type", "io.containerd.snapshotter.v1"]]);
        let own = driver(&[["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]);
        assert_eq!((containerd, own, driver(&[])), (ImageStore::Containerd, ImageStore::Own, ImageStore::Own));
        let [manifest, config, other] = [b"m", b"c", b"o"].map(|bytes| Digest::of(bytes));
        assert!(own.proves(&config, &manifest, &config) && !own.proves(&manifest, &manifest, &config));
        assert!(containerd.proves(&manifest, &manifest, &config));
        assert!(!containerd.proves(&other, &manifest, &config) && !own.proves(&other, &manifest, &config));
    }
}
