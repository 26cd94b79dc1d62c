//! Networks: a bridge for the containers of one run or one local cloud.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{Network, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;
use tokio::time::Instant;

use super::again::{again, is_labelled, or_none};
use super::refusal::status;
use super::{Docker, Labels};
use crate::engine::retry::pause;
use crate::fault::Fault;

/// How long containers that are being removed may still hold a network.
const LET_GO: Duration = Duration::from_secs(10);

impl Docker {
    /// Makes a bridge network. Old engines allow a second one of the same name, so a name that is taken is refused here.
    ///
    /// # Errors
    /// The name is taken, the daemon has no addresses left, or it refuses.
    pub async fn create_network(&self, name: &str, labels: &Labels) -> Result<(), Fault> {
        let what = format!("could not create network {name}");
        if self.networks("name", name).await?.iter().any(|(known, _)| known == name) {
            return Err(Fault::new(what).cause("a network of that name is there already"));
        }
        let request = &NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".into()),
            labels: Some(labels.clone()),
            ..Default::default()
        };
        again(what, |attempt| async move {
            // What an attempt made whose answer was lost has our labels.
            if attempt > 1 && self.ask_networks("name", name).await?.iter().any(|made| is_ours(made, name, labels)) {
                return Ok(());
            }
            self.client.create_network(request.clone()).await.map(|_| ())
        })
        .await
    }

    /// Removes a network. One that is not there is removed.
    ///
    /// # Errors
    /// Containers are on it, or the daemon refuses.
    pub async fn remove_network(&self, name: &str) -> Result<(), Fault> {
        let deadline = Instant::now() + LET_GO;
        loop {
            let removed = again(format!("could not remove network {name}"), |_| async move {
                match or_none(self.client.remove_network(name).await) {
                    Err(held) if status(&held) == Some(403) && Instant::now() < deadline => Ok(false),
                    removed => removed.map(|_| true),
                }
            });
            if removed.await? {
                return Ok(());
            }
            pause(Duration::from_millis(250)).await;
        }
    }

    /// Names of the networks that carry a label: `name` or `name=value`.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn networks_labelled(&self, label: &str) -> Result<Vec<String>, Fault> {
        Ok(self.networks("label", label).await?.into_iter().map(|(name, _)| name).collect())
    }

    /// Networks that carry a label, `name` or `name=value`, with all their labels.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn networks_with(&self, label: &str) -> Result<Vec<(String, Labels)>, Fault> {
        self.networks("label", label).await
    }

    pub(super) async fn networks(&self, filter: &str, value: &str) -> Result<Vec<(String, Labels)>, Fault> {
        let what = format!("could not list networks with {filter} {value}");
        let listed = again(what, |_| async move { self.ask_networks(filter, value).await }).await?;
        let known = |network: Network| Some((network.name?, network.labels.unwrap_or_default()));
        Ok(listed.into_iter().filter_map(known).collect())
    }

    async fn ask_networks(&self, filter: &str, value: &str) -> Result<Vec<Network>, Error> {
        let filters = HashMap::from([(filter.to_owned(), vec![value.to_owned()])]);
        self.client.list_networks(Some(ListNetworksOptions { filters: Some(filters) })).await
    }
}

fn is_ours(network: &Network, name: &str, labels: &Labels) -> bool {
    network.name.as_deref() == Some(name) && is_labelled(network.labels.as_ref(), labels)
}
