//! What the registry holds: repositories in memory, blobs in files, and a log of everything written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refusal::Refusal;
use super::uploads::Upload;
use crate::image::Digest;

/// One write that the registry took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryWrite {
    /// Unix milliseconds.
    pub at: i64,
    /// The request's method: `PUT`, `POST` (a blob uploaded in one request, or mounted) or `DELETE`.
    pub method: String,
    /// What was written.
    pub kind: WriteKind,
    /// The repository.
    pub repository: String,
    /// A blob's digest, or the tag or digest by which a manifest was written.
    pub reference: String,
}

/// What a write was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteKind {
    /// A layer or a configuration.
    Blob,
    /// A manifest or a tag of one.
    Manifest,
}

/// A manifest as it was pushed.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub media_type: String,
    pub bytes: Bytes,
    /// Sizes of the configuration and layers it names, summed.
    pub content_bytes: u64,
    /// Unix milliseconds.
    pub pushed_at: i64,
}

/// One repository.
#[derive(Debug, Default)]
pub struct Contents {
    /// Unix milliseconds.
    pub created_at: i64,
    /// Whether a tag that exists is kept as it is.
    pub immutable_tags: bool,
    pub blobs: HashSet<Digest>,
    pub manifests: HashMap<Digest, Manifest>,
    pub tags: BTreeMap<String, Digest>,
}

impl Contents {
    /// The digest that a tag or a digest in text stands for, if there is such a manifest.
    pub fn resolve(&self, reference: &str) -> Option<(Digest, &Manifest)> {
        let digest = Digest::parse(reference).ok().or_else(|| self.tags.get(reference).cloned())?;
        self.manifests.get(&digest).map(|manifest| (digest, manifest))
    }
}

/// Everything of the registry that is not a file.
#[derive(Debug, Default)]
pub struct State {
    pub repositories: BTreeMap<String, Contents>,
    pub log: Vec<RegistryWrite>,
    pub uploads: HashMap<Uuid, Arc<tokio::sync::Mutex<Upload>>>,
}

impl State {
    /// A repository.
    ///
    /// # Errors
    /// NAME_UNKNOWN, unless somebody created it.
    pub fn repository(&self, name: &str) -> Result<&Contents, Refusal> {
        self.repositories.get(name).ok_or_else(|| Refusal::name_unknown(name))
    }

    /// A repository, to be changed.
    ///
    /// # Errors
    /// NAME_UNKNOWN, unless somebody created it.
    pub fn repository_mut(&mut self, name: &str) -> Result<&mut Contents, Refusal> {
        self.repositories.get_mut(name).ok_or_else(|| Refusal::name_unknown(name))
    }

    /// Writes a line of the log.
    pub fn wrote(&mut self, method: &str, kind: WriteKind, repository: &str, reference: &str) {
        self.log.push(RegistryWrite {
            at: Utc::now().timestamp_millis(),
            method: method.to_owned(),
            kind,
            repository: repository.to_owned(),
            reference: reference.to_owned(),
        });
    }
}

/// The registry's memory and directory.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    state: Mutex<State>,
}

impl Store {
    /// Makes the directory.
    ///
    /// # Errors
    /// The file system's.
    pub async fn open(directory: &Path) -> io::Result<Self> {
        for part in ["blobs", "uploads"] {
            tokio::fs::create_dir_all(directory.join(part)).await?;
        }
        Ok(Self { directory: directory.to_owned(), state: Mutex::default() })
    }

    /// The state, for a moment in which nothing is awaited.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a blob's bytes are. A digest is hex digits, so the path stays inside the directory.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs").join(digest.as_str().trim_start_matches("sha256:"))
    }

    /// Where the bytes of an upload are collected.
    pub fn upload(&self, id: Uuid) -> PathBuf {
        self.directory.join("uploads").join(id.to_string())
    }

    /// A blob's size in bytes, if this repository has it.
    ///
    /// # Errors
    /// NAME_UNKNOWN, BLOB_UNKNOWN, or the file system's.
    pub async fn blob_size(&self, repository: &str, digest: &Digest) -> Result<u64, Refusal> {
        if !self.state().repository(repository)?.blobs.contains(digest) {
            return Err(Refusal::blob_unknown(digest.as_str()));
        }
        let facts = tokio::fs::metadata(self.blob(digest)).await;
        facts.map(|facts| facts.len()).map_err(|error| Refusal::storage(&error))
    }
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// A store in a directory of its own, which goes with it.
    pub struct Scratch(pub Store);

    impl Scratch {
        /// With empty repositories of these names.
        pub async fn with(names: &[&str]) -> Self {
            let directory = std::env::temp_dir().join(format!("beanline-registry-{}", Uuid::new_v4()));
            let store = Store::open(&directory).await.unwrap();
            for name in names {
                store.state().repositories.insert((*name).to_owned(), Contents::default());
            }
            Self(store)
        }

        /// A blob that is in a repository without having been uploaded.
        pub fn plant(&self, name: &str, bytes: &[u8]) -> Digest {
            let digest = Digest::of(bytes);
            std::fs::write(self.0.blob(&digest), bytes).unwrap();
            self.0.state().repository_mut(name).unwrap().blobs.insert(digest.clone());
            digest
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0.directory);
        }
    }
}
