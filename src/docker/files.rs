//! Files into and out of containers, as tar files; no host path is ever mounted.

use std::io::Read;

use bollard::errors::Error;
use bollard::query_parameters::{DownloadFromContainerOptions, UploadToContainerOptions};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::Docker;
use super::again::{again, or_none};
use crate::fault::Fault;

impl Docker {
    /// Unpacks a tar file into a directory of a container, running or not. The directory must be there.
    ///
    /// # Errors
    /// No such container or directory, or the daemon refuses.
    pub async fn put_tar(&self, container: &str, directory: &str, tar: Vec<u8>) -> Result<(), Fault> {
        let options = &UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
        let tar = &Bytes::from(tar);
        // Unpacked twice, it is there once.
        again(format!("could not copy files into {directory} of container {container}"), |_| async move {
            let body = bollard::body_full(tar.clone());
            self.client.upload_to_container(container, Some(options.clone()), body).await
        })
        .await
    }

    /// Regular files at or below `path` of a container, running or not, with names that begin with the last part of
    /// `path`. `None` when there is no such path. `limit` bounds the tar file that carries them, in bytes.
    ///
    /// # Errors
    /// There is more than `limit`, or the daemon refuses.
    pub async fn get_files(
        &self,
        container: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<(String, Vec<u8>)>>, Fault> {
        let what = format!("could not copy {path} out of container {container}");
        let options = &DownloadFromContainerOptions { path: path.to_owned() };
        let read = again(&what, |_| async move { or_none(self.read_tar(container, options, limit).await) });
        let Some(tar) = read.await? else { return Ok(None) };
        if tar.len() as u64 > limit {
            return Err(Fault::new(what).cause(format!("it is larger than {limit} bytes")));
        }
        regular_files(&tar).map(Some).map_err(|error| Fault::new(what).because(error))
    }

    /// A tar file of a container, or little more than `limit` bytes of it.
    async fn read_tar(
        &self,
        container: &str,
        options: &DownloadFromContainerOptions,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut chunks = self.client.download_from_container(container, Some(options.clone()));
        let mut tar = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            tar.extend_from_slice(&chunk);
            if tar.len() as u64 > limit {
                break;
            }
        }
        Ok(tar)
    }
}

/// Names and contents of the regular files in a tar file.
fn regular_files(tar: &[u8]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.push((name, content));
        }
    }
    Ok(files)
}
