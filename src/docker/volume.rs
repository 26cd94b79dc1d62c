//! Volumes: only those that somebody named. A container's anonymous ones go with it.

use std::collections::HashMap;

use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use super::refusal::{or_gone, refused};
use super::{Docker, Labels};
use crate::fault::Fault;

impl Docker {
    /// Volumes that carry a label, `name` or `name=value`, with all their labels.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn volumes_with(&self, label: &str) -> Result<Vec<(String, Labels)>, Fault> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let listed = self.client.list_volumes(Some(ListVolumesOptions { filters: Some(filters) })).await;
        let listed = listed.map_err(|error| refused(format!("could not list volumes with label {label}"), error))?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(|volume| (volume.name, volume.labels)).collect())
    }

    /// Removes a volume. One that is not there is removed.
    ///
    /// # Errors
    /// A container uses it, or the daemon refuses.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Fault> {
        let removed = self.client.remove_volume(name, None::<RemoveVolumeOptions>).await;
        or_gone(removed, format!("could not remove volume {name}"))
    }
}
