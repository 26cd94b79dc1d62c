//! The data plane's container: made, found, reached and removed from outside.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::forward::{self, Forward};
use super::plane::{ADMIN_PORT, PlaneClient, PlaneConfig, REGISTRY_PORT, ROUTER_PORT};
use crate::docker::{ContainerFacts, ContainerSpec, Docker, Labels};
use crate::engine::retry;
use crate::fault::Fault;
use crate::inputs::Secret;

/// Label of everything that belongs to one local cloud.
pub const WORLD_LABEL: &str = "io.beanline.world";

/// How long a data plane lives when nobody stops it.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// How images begin that were made of our executable.
const OWN_IMAGES: &str = "beanline-own:";

/// Where the data plane finds its configuration.
const CONFIG: &str = "beanline-plane.json";

/// What every CNAME of the local cloud ends in.
pub const CNAME_SUFFIX: &str = ".local.elasticbeanstalk.com";

/// The domains that the name server answers for.
const SUFFIXES: [&str; 2] = ["local.elasticbeanstalk.com", "local.elb.amazonaws.com"];

/// What reaches the data plane through the API, as a file.
#[derive(Serialize, Deserialize)]
struct Config {
    registry_password: String,
    admin_token: String,
    expires: i64,
}

/// A running data plane and the ways to it.
pub struct PlaneContainer {
    /// The network that it, the instances and the tests share.
    pub network: String,
    /// Its address there, which is also the name server's.
    pub address: IpAddr,
    /// The registry's port on 127.0.0.1.
    pub registry_port: u16,
    /// The router's port on 127.0.0.1.
    pub router_port: u16,
    /// Its admin API.
    pub client: PlaneClient,
    _forwards: Vec<Forward>,
}

impl PlaneContainer {
    /// The registry as docker names it.
    pub fn registry(&self) -> String {
        format!("127.0.0.1:{}", self.registry_port)
    }

    /// What other clients need to reach it, as `NAME=value` lines.
    pub fn status(&self, world: &str) -> String {
        let Self { network, address, registry_port, router_port, .. } = self;
        format!(
            "WORLD={world}\nNETWORK={network}\nDNS={address}\nREGISTRY=127.0.0.1:{registry_port}\n\
             ROUTER=127.0.0.1:{router_port}\n"
        )
    }
}

/// The name of a world's network and of its data plane.
pub fn name_of(world: &str) -> String {
    format!("beanline-local-{world}")
}

/// Labels of a world's docker objects.
pub fn labels_of(world: &str) -> Labels {
    let expires = (chrono::Utc::now().timestamp() + LIFE.as_secs() as i64).to_string();
    Labels::from([(WORLD_LABEL.to_owned(), world.to_owned()), ("io.beanline.expires".to_owned(), expires)])
}

/// Finds the world's data plane, or starts one, and waits until it answers.
///
/// # Errors
/// When the daemon refuses, or the data plane does not answer within 30 s.
pub async fn ensure(docker: &Docker, world: &str, password: &str, token: &str) -> Result<PlaneContainer, Fault> {
    let facts = match running(docker, world).await? {
        Some(facts) => facts,
        None => start(docker, world, password, token).await?,
    };
    reach(docker, world, facts, token).await
}

/// Finds the world's data plane, if it runs, and waits until it answers.
///
/// # Errors
/// As [`ensure`].
pub async fn find(docker: &Docker, world: &str, token: &str) -> Result<Option<PlaneContainer>, Fault> {
    match running(docker, world).await? {
        Some(facts) => reach(docker, world, facts, token).await.map(Some),
        None => Ok(None),
    }
}

async fn running(docker: &Docker, world: &str) -> Result<Option<ContainerFacts>, Fault> {
    Ok(docker.container(&name_of(world)).await?.filter(|facts| facts.running))
}

async fn reach(docker: &Docker, world: &str, facts: ContainerFacts, token: &str) -> Result<PlaneContainer, Fault> {
    let name = name_of(world);
    let address = facts.addresses.get(&name).copied();
    let address = address.ok_or_else(|| Fault::new("the local cloud's data plane has no address on its network"))?;
    let port = |inside: u16| {
        let published = facts.ports.get(&inside).copied();
        published.ok_or_else(|| Fault::new(format!("the local cloud's port {inside} is not published")))
    };
    let (registry_port, router_port, admin_port) = (port(REGISTRY_PORT)?, port(ROUTER_PORT)?, port(ADMIN_PORT)?);
    let mut forwards = Vec::new();
    for (outside, inside) in [(registry_port, REGISTRY_PORT), (router_port, ROUTER_PORT), (admin_port, ADMIN_PORT)] {
        forwards.extend(forward::ensure(docker, &name, outside, inside).await?);
    }
    let client = PlaneClient::new(format!("127.0.0.1:{admin_port}"), Secret::new(token));
    let plane =
        PlaneContainer { network: name.clone(), address, registry_port, router_port, client, _forwards: forwards };
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(fault) = plane.client.health().await {
        if Instant::now() > deadline {
            return Err(fault.hint(format!("look at its log: docker logs {name}")));
        }
        retry::pause(Duration::from_millis(100)).await;
    }
    Ok(plane)
}

async fn start(docker: &Docker, world: &str, password: &str, token: &str) -> Result<ContainerFacts, Fault> {
    let (name, labels) = (name_of(world), labels_of(world));
    // One that ended (its expiry, a restart of the machine) has lost its ports; its registry went with it.
    docker.remove_container(&name).await?;
    if !docker.networks_labelled(&format!("{WORLD_LABEL}={world}")).await?.contains(&name) {
        docker.create_network(&name, &labels).await?;
    }
    let own = docker.own_image(&labels).await?;
    let spec = ContainerSpec {
        name: name.clone(),
        image: own.reference,
        entrypoint: Some(vec!["/beanline".into()]),
        command: Some(vec!["data-plane".into(), format!("/{CONFIG}")]),
        labels,
        network: Some(name.clone()),
        publish: vec![REGISTRY_PORT, ROUTER_PORT, ADMIN_PORT],
        ..ContainerSpec::default()
    };
    if let Err(fault) = docker.create(&spec).await {
        // Another run of the same program may have taken the image away between our look and our use of it.
        docker.own_image(&spec.labels).await?;
        docker.create(&spec).await.map_err(|_| fault)?;
    }
    let expires = chrono::Utc::now().timestamp() + LIFE.as_secs() as i64;
    let config = Config { registry_password: password.into(), admin_token: token.into(), expires };
    let config =
        serde_json::to_vec(&config).map_err(|error| Fault::new("could not write its configuration").because(error))?;
    docker.put_tar(&name, "/", tar_of(CONFIG, &config)?).await?;
    docker.start(&name).await?;
    let facts = docker.container(&name).await?;
    facts.ok_or_else(|| Fault::new("the local cloud's data plane is gone right after its start"))
}

fn tar_of(name: &str, content: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o400);
    let packed = tar.append_data(&mut header, name, content).and_then(|()| tar.into_inner());
    packed.map_err(|error| Fault::new("could not pack the data plane's configuration").because(error))
}

/// Reads the configuration inside the container.
///
/// # Errors
/// When the file is missing or damaged.
pub fn read_config(path: &str) -> Result<PlaneConfig, Fault> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Fault::new(format!("could not read the data plane's configuration {path}")).because(error)
    };
    let text = std::fs::read(path).map_err(|error| unreadable(error.into()))?;
    let config: Config = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
    let (password, token) = (Secret::new(config.registry_password), Secret::new(config.admin_token));
    Ok(PlaneConfig::in_container(password, token, config.expires, SUFFIXES.map(str::to_owned)))
}

/// Removes everything that a world has on the daemon: containers, the images that instances `pulled`, network.
///
/// # Errors
/// The first thing that the daemon would not remove.
pub async fn remove_all(docker: &Docker, world: &str, pulled: &[String]) -> Result<(), Fault> {
    let label = format!("{WORLD_LABEL}={world}");
    let plane = docker.container(&name_of(world)).await?;
    let port = plane.as_ref().and_then(|facts| facts.ports.get(&REGISTRY_PORT).copied());
    let mut images = pulled.to_vec();
    if let Some(port) = port {
        images.extend(docker.references_in(&format!("127.0.0.1:{port}/")).await?);
    }
    // The program that the data plane was made of. What a container uses stays, for whoever removes that one.
    images.extend(docker.references_in(OWN_IMAGES).await?);
    for container in docker.containers_labelled(&label).await? {
        docker.remove_container(&container.id).await?;
    }
    for image in images {
        docker.remove_image(&image).await?;
    }
    for network in docker.networks_labelled(&label).await? {
        docker.remove_network(&network).await?;
    }
    Ok(())
}
