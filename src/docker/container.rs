//! Containers: made, started, looked at, stopped, removed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerStateStatusEnum, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig,
    PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};

use super::again::{again, is_labelled, or_none};
use super::refusal::status;
use super::{ContainerFacts, Docker, Extras, Labels};
use crate::fault::Fault;
use crate::inputs::Secret;

/// A container to be made.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// The image: an id or a reference that the daemon has.
    pub image: String,
    /// Replaces the image's entrypoint; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment, added to the image's.
    pub env: Vec<(String, Secret)>,
    /// Labels.
    pub labels: Labels,
    /// The one network it is on; the daemon's default, if absent.
    pub network: Option<String>,
    /// Names it has on that network besides its own.
    pub aliases: Vec<String>,
    /// DNS servers, asked for what docker's own does not know.
    pub dns: Vec<String>,
    /// Memory limit in bytes, swap included.
    pub memory: Option<i64>,
    /// TCP ports published on 127.0.0.1, on host ports that the daemon chooses.
    pub publish: Vec<u16>,
    /// Whether its standard input is open until the first who writes to it leaves.
    pub open_stdin: bool,
    /// Whether the daemon starts it again when it ends, until it is stopped.
    pub restart: bool,
    /// Whether the daemon keeps no copy of its output: for what [`Docker::run_to_end`] reads as it comes.
    /// [`Docker::last_lines`] finds nothing then.
    pub unlogged: bool,
    /// What only services ask for.
    pub extras: Extras,
}

impl ContainerSpec {
    /// The body of `POST /containers/create`.
    fn body(&self) -> ContainerCreateBody {
        let port = |port: &u16| format!("{port}/tcp");
        let loopback = || vec![PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) }];
        let endpoint = EndpointSettings { aliases: Some(self.aliases.clone()), ..Default::default() };
        let mut body = ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: self.entrypoint.clone(),
            cmd: self.command.clone(),
            env: Some(self.env.iter().map(|(name, value)| format!("{name}={}", value.reveal())).collect()),
            labels: Some(self.labels.clone()),
            open_stdin: Some(self.open_stdin),
            stdin_once: Some(self.open_stdin),
            attach_stdin: Some(self.open_stdin),
            exposed_ports: (!self.publish.is_empty()).then(|| self.publish.iter().map(port).collect()),
            host_config: Some(HostConfig {
                network_mode: self.network.clone(),
                dns: (!self.dns.is_empty()).then(|| self.dns.clone()),
                memory: self.memory,
                memory_swap: self.memory,
                port_bindings: (!self.publish.is_empty())
                    .then(|| self.publish.iter().map(|number| (port(number), Some(loopback()))).collect()),
                restart_policy: self.restart.then_some(RestartPolicy {
                    name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                    maximum_retry_count: None,
                }),
                log_config: Some(log_config(self.unlogged)),
                ..Default::default()
            }),
            networking_config: self
                .network
                .as_ref()
                .map(|name| NetworkingConfig { endpoints_config: Some(HashMap::from([(name.clone(), endpoint)])) }),
            ..Default::default()
        };
        self.extras.add_to(&mut body);
        body
    }
}

/// The daemon's own default keeps output without bound. Two files, since one alone is emptied when it is full, and with it
/// the last lines go; this driver is the one that every engine has.
fn log_config(unlogged: bool) -> HostConfigLogConfig {
    if unlogged {
        return HostConfigLogConfig { typ: Some("none".into()), config: None };
    }
    let config = HashMap::from([("max-size".into(), "2m".into()), ("max-file".into(), "2".into())]);
    HostConfigLogConfig { typ: Some("json-file".into()), config: Some(config) }
}

impl Docker {
    /// Makes a container and gives its id. It does not run yet.
    ///
    /// # Errors
    /// The image is not there, the name is taken, or the daemon refuses.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<String, Fault> {
        again(format!("could not create container {}", spec.name), |attempt| async move {
            if attempt > 1
                && let Some(id) = self.made_before(spec).await?
            {
                return Ok(id);
            }
            let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
            match self.client.create_container(Some(options), spec.body()).await {
                Ok(created) => Ok(created.id),
                // The attempt before took effect after our look.
                Err(taken) if attempt > 1 && status(&taken) == Some(409) => self.made_before(spec).await?.ok_or(taken),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// What an earlier attempt made, whose answer was lost: the name with our labels.
    async fn made_before(&self, spec: &ContainerSpec) -> Result<Option<String>, Error> {
        let found = or_none(self.client.inspect_container(&spec.name, None::<InspectContainerOptions>).await)?;
        let ours = found
            .filter(|found| is_labelled(found.config.as_ref().and_then(|config| config.labels.as_ref()), &spec.labels));
        Ok(ours.and_then(|ours| ours.id))
    }

    /// Starts a container.
    ///
    /// # Errors
    /// Its command is not in the image, or the daemon refuses.
    pub async fn start(&self, container: &str) -> Result<(), Fault> {
        again(format!("could not start container {container}"), |attempt| async move {
            // One that has come to its end since would run once more.
            if attempt > 1 && self.has_started(container).await? {
                return Ok(());
            }
            self.client.start_container(container, None::<StartContainerOptions>).await
        })
        .await
    }

    async fn has_started(&self, container: &str) -> Result<bool, Error> {
        let found = or_none(self.client.inspect_container(container, None::<InspectContainerOptions>).await)?;
        let status = found.and_then(|found| found.state).and_then(|state| state.status);
        Ok(status.is_some_and(|status| status != ContainerStateStatusEnum::CREATED))
    }

    /// What the daemon knows about a container; `None` when there is no such container.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn container(&self, container: &str) -> Result<Option<ContainerFacts>, Fault> {
        let found = again(format!("could not inspect container {container}"), |_| async move {
            or_none(self.client.inspect_container(container, None::<InspectContainerOptions>).await)
        });
        Ok(found.await?.map(ContainerFacts::read))
    }

    /// Asks a container to end by its stop signal, and kills it after `grace`. One that does not run, or is not there,
    /// is stopped.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<(), Fault> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = &StopContainerOptions { t: Some(seconds), signal: None };
        let patient = &self.client.clone().with_timeout(grace + Duration::from_secs(60));
        let stopped = again(format!("could not stop container {container}"), |_| async move {
            or_none(patient.stop_container(container, Some(options.clone())).await)
        });
        stopped.await.map(|_| ())
    }

    /// Removes a container with its anonymous volumes, running or not. One that is not there is removed.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn remove_container(&self, container: &str) -> Result<(), Fault> {
        let options = &RemoveContainerOptions { force: true, v: true, link: false };
        let removed = again(format!("could not remove container {container}"), |_| async move {
            match self.client.remove_container(container, Some(options.clone())).await {
                // Somebody else is removing it at this moment, or an attempt of ours whose answer was lost.
                Err(busy) if status(&busy) == Some(409) && busy.to_string().contains("already in progress") => Ok(()),
                removed => or_none(removed).map(|_| ()),
            }
        });
        removed.await
    }

    /// All containers, running or not, that carry a label: `name` or `name=value`.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn containers_labelled(&self, label: &str) -> Result<Vec<ContainerFacts>, Fault> {
        let options = &ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])])),
            ..Default::default()
        };
        let listed = again(format!("could not list containers with label {label}"), |_| async move {
            self.client.list_containers(Some(options.clone())).await
        });
        let mut found = Vec::new();
        for id in listed.await?.into_iter().filter_map(|container| container.id) {
            // One that has gone since is no longer there to be listed.
            found.extend(self.container(&id).await?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_asked_for_as_it_was_described() {
        let spec = ContainerSpec {
            image: "shop:1".into(),
            env: vec![("A".into(), Secret::new("b=c"))],
            network: Some("net".into()),
            aliases: vec!["db".into()],
            memory: Some(1 << 20),
            publish: vec![80],
            open_stdin: true,
            restart: true,
            ..ContainerSpec::default()
        };
        let body = serde_json::to_value(spec.body()).unwrap();
        let host = &body["HostConfig"];
        assert_eq!((&body["Image"], &body["Env"][0]), (&"shop:1".into(), &"A=b=c".into()));
        assert_eq!(body["NetworkingConfig"]["EndpointsConfig"]["net"]["Aliases"][0], "db");
        assert_eq!((&host["NetworkMode"], &host["Memory"]), (&"net".into(), &(1 << 20).into()));
        assert_eq!(host["PortBindings"]["80/tcp"][0], serde_json::json!({"HostIp": "127.0.0.1", "HostPort": ""}));
        assert_eq!((&host["RestartPolicy"]["Name"], &body["StdinOnce"]), (&"unless-stopped".into(), &true.into()));
        assert_eq!(host["LogConfig"]["Config"], serde_json::json!({"max-size": "2m", "max-file": "2"}));

        let plain = serde_json::to_value(ContainerSpec { unlogged: true, ..ContainerSpec::default() }.body()).unwrap();
        assert_eq!(plain["HostConfig"]["LogConfig"]["Type"], "none");
        for absent in ["Entrypoint", "Cmd", "ExposedPorts", "NetworkingConfig"] {
            assert!(plain.get(absent).is_none(), "{absent}");
        }
    }
}
