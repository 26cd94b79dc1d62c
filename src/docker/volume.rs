//! Volumes: only those that somebody named. A container's anonymous ones go with it.

use std::collections::HashMap;

use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use super::again::{again, or_none};
use super::{Docker, Labels};
use crate::fault::Fault;

impl Docker {
    /// Volumes that carry a label, `name` or `name=value`, with all their labels.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn volumes_with(&self, label: &str) -> Result<Vec<(String, Labels)>, Fault> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = &ListVolumesOptions { filters: Some(filters) };
        let listed = again(format!("could not list volumes with label {label}"), |_| async move {
            self.client.list_volumes(Some(options.clone())).await
        });
        Ok(listed.await?.volumes.unwrap_or_default().into_iter().map(|volume| (volume.name, volume.labels)).collect())
    }

    /// Removes a volume. One that is not there is removed.
    ///
    /// # Errors
    /// A container uses it, or the daemon refuses.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Fault> {
        let removed = again(format!("could not remove volume {name}"), |_| async move {
            or_none(self.client.remove_volume(name, None::<RemoveVolumeOptions>).await)
        });
        removed.await.map(|_| ())
    }
}
