//! Objects in buckets, kept as files: what the S3 protocol of the local cloud reads and writes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt};
use s3s::crypto::{Checksum, Md5};
use serde::{Deserialize, Serialize};
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::sync::RwLock;

use crate::image::Digest;
use crate::local::directory;

/// All buckets of the local cloud, in one directory.
///
/// A bucket is a directory; an object is a file of facts named by its key's hash, and a file of bytes that the facts
/// name. An object is replaced by renaming new facts over the old ones, so that it is always old or new, never both.
#[derive(Clone)]
pub struct Objects {
    root: Arc<PathBuf>,
    /// Held for writing only while facts change, never while bytes travel.
    turn: Arc<RwLock<()>>,
}

/// What is known of one object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectFacts {
    /// The key.
    pub key: String,
    /// MD5 of the bytes in hex, without quotes: what S3 gives as the ETag of an object that was put at once.
    pub etag: String,
    /// Length in bytes.
    pub size: u64,
    /// When it was put.
    pub modified: DateTime<Utc>,
    /// What the writer said about it.
    #[serde(flatten)]
    pub labels: ObjectLabels,
    /// The file of bytes, in the bucket's directory.
    body: String,
}

/// What the writer of an object says about it, given back as it was.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ObjectLabels {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The `x-amz-meta-` headers, without that prefix.
    pub metadata: HashMap<String, String>,
    /// `x-amz-server-side-encryption`, remembered and otherwise without effect.
    pub encryption: Option<String>,
}

/// What must hold for an object to be written, judged at the moment of writing.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// `If-None-Match: *`: there must be no object.
    pub absent: bool,
    /// `If-Match`: the ETag it must have now.
    pub etag: Option<String>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such bucket.
    #[error("the specified bucket does not exist")]
    NoSuchBucket,
    /// There is no such object.
    #[error("the specified key does not exist")]
    NoSuchKey,
    /// The bucket is there already, and is ours.
    #[error("the bucket exists and is owned by you")]
    BucketExists,
    /// A bucket with objects in it cannot be removed.
    #[error("the bucket you tried to delete is not empty")]
    BucketNotEmpty,
    /// There is no such upload in parts.
    #[error("the specified upload does not exist")]
    NoSuchUpload,
    /// A part that was named never arrived.
    #[error("one or more of the specified parts could not be found")]
    NoSuchPart,
    /// The [`Condition`] does not hold.
    #[error("at least one of the pre-conditions you specified did not hold")]
    Precondition,
    /// The body did not arrive, or is not what its writer said.
    #[error("the body could not be read: {0}")]
    Body(String),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Objects {
    /// The objects kept under this directory, which is made when the first bucket is.
    pub fn in_directory(root: &Path) -> Self {
        Self { root: Arc::new(root.to_owned()), turn: Arc::default() }
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// [`Refusal::BucketExists`], or the disk.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), Refusal> {
        directory::make(&self.root)?;
        match directory::make_new(&self.root.join(bucket)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Refusal::BucketExists),
            other => Ok(other?),
        }
    }

    /// Removes an empty bucket.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBucket`], [`Refusal::BucketNotEmpty`], or the disk.
    pub async fn remove_bucket(&self, bucket: &str) -> Result<(), Refusal> {
        let _turn = self.turn.write().await;
        if !self.facts_in(bucket).await?.is_empty() {
            return Err(Refusal::BucketNotEmpty);
        }
        Ok(fs::remove_dir_all(self.root.join(bucket)).await?)
    }

    /// Names and creation times of all buckets, by name.
    ///
    /// # Errors
    /// The disk.
    pub async fn buckets(&self) -> Result<Vec<(String, DateTime<Utc>)>, Refusal> {
        let mut found = Vec::new();
        let mut entries = match fs::read_dir(&*self.root).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            other => other?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let facts = entry.metadata().await?;
            let made = facts.created().or_else(|_| facts.modified())?;
            found.push((entry.file_name().to_string_lossy().into_owned(), made.into()));
        }
        found.sort();
        Ok(found)
    }

    /// The bucket's directory, if there is such a bucket.
    pub(super) async fn bucket(&self, bucket: &str) -> Result<PathBuf, Refusal> {
        let path = self.root.join(bucket);
        if fs::try_exists(&path).await? { Ok(path) } else { Err(Refusal::NoSuchBucket) }
    }

    /// Whether there is such a bucket.
    ///
    /// # Errors
    /// The disk.
    pub async fn has_bucket(&self, bucket: &str) -> Result<bool, Refusal> {
        Ok(fs::try_exists(self.root.join(bucket)).await?)
    }

    /// Facts of all objects in a bucket, in the order of their keys' bytes.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBucket`], or the disk.
    pub async fn list(&self, bucket: &str) -> Result<Vec<ObjectFacts>, Refusal> {
        let _turn = self.turn.read().await;
        self.facts_in(bucket).await
    }

    async fn facts_in(&self, bucket: &str) -> Result<Vec<ObjectFacts>, Refusal> {
        let mut entries = fs::read_dir(self.bucket(bucket).await?).await?;
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                found.push(read_facts(&entry.path()).await?);
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Facts of one object.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBucket`], [`Refusal::NoSuchKey`], or the disk.
    pub async fn facts(&self, bucket: &str, key: &str) -> Result<ObjectFacts, Refusal> {
        read_facts(&self.bucket(bucket).await?.join(facts_name(key))).await
    }

    /// One object, its bytes still to be read. What was opened stays readable when the object is replaced.
    ///
    /// # Errors
    /// As [`Objects::facts`].
    pub async fn open(&self, bucket: &str, key: &str) -> Result<(ObjectFacts, fs::File), Refusal> {
        let _turn = self.turn.read().await;
        let facts = self.facts(bucket, key).await?;
        let file = fs::File::open(self.root.join(bucket).join(&facts.body)).await?;
        Ok((facts, file))
    }

    /// Writes one object, streaming its bytes to the disk.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBucket`], [`Refusal::Precondition`], [`Refusal::NoSuchKey`] when an ETag was asked for and
    /// there is no object, [`Refusal::Body`], or the disk.
    pub async fn put<E: std::fmt::Display>(
        &self,
        bucket: &str,
        key: &str,
        labels: ObjectLabels,
        condition: &Condition,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<ObjectFacts, Refusal> {
        let directory = self.bucket(bucket).await?;
        let name = format!("{}.body", uuid::Uuid::new_v4().simple());
        let written = async {
            let (etag, size) = write_body(&directory.join(&name), body).await?;
            let facts = ObjectFacts { key: key.into(), etag, size, modified: Utc::now(), labels, body: name.clone() };
            self.commit(&directory, &facts, condition).await?;
            Ok(facts)
        };
        let written = written.await;
        if written.is_err() {
            // The reason is worth more than what becomes of the bytes.
            let _ = fs::remove_file(directory.join(&name)).await;
        }
        written
    }

    async fn commit(&self, directory: &Path, facts: &ObjectFacts, condition: &Condition) -> Result<(), Refusal> {
        let _turn = self.turn.write().await;
        let path = directory.join(facts_name(&facts.key));
        let old = match read_facts(&path).await {
            Err(Refusal::NoSuchKey) => None,
            other => Some(other?),
        };
        condition.judge(old.as_ref())?;
        let new = directory.join(format!("{}.new", facts.body));
        fs::write(&new, serde_json::to_vec(facts).map_err(io::Error::from)?).await?;
        fs::rename(&new, &path).await?;
        if let Some(old) = old {
            fs::remove_file(directory.join(old.body)).await?;
        }
        Ok(())
    }

    /// Removes one object, if it is there.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBucket`], [`Refusal::Precondition`], or the disk.
    pub async fn remove(&self, bucket: &str, key: &str, condition: &Condition) -> Result<(), Refusal> {
        let _turn = self.turn.write().await;
        let directory = self.bucket(bucket).await?;
        let path = directory.join(facts_name(key));
        let facts = match read_facts(&path).await {
            Err(Refusal::NoSuchKey) if condition.etag.is_none() => return Ok(()),
            other => other?,
        };
        condition.judge(Some(&facts))?;
        fs::remove_file(&path).await?;
        Ok(fs::remove_file(directory.join(facts.body)).await?)
    }
}

impl Condition {
    fn judge(&self, now: Option<&ObjectFacts>) -> Result<(), Refusal> {
        match (now, &self.etag) {
            (Some(_), _) if self.absent => Err(Refusal::Precondition),
            (None, Some(_)) => Err(Refusal::NoSuchKey),
            (Some(now), Some(wanted)) if now.etag != *wanted => Err(Refusal::Precondition),
            _ => Ok(()),
        }
    }
}

/// Keys may be longer than file names and hold any character, so a file is named by the key's hash.
fn facts_name(key: &str) -> String {
    let digest = Digest::of(key.as_bytes());
    format!("{}.json", digest.as_str().trim_start_matches("sha256:"))
}

async fn read_facts(path: &Path) -> Result<ObjectFacts, Refusal> {
    match fs::read(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::NoSuchKey),
        other => Ok(serde_json::from_slice(&other?).map_err(io::Error::from)?),
    }
}

/// Writes what streams in; its MD5 in hex, and how many bytes it was.
pub(super) async fn write_body<E: std::fmt::Display>(
    path: &Path,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(String, u64), Refusal> {
    let mut body = std::pin::pin!(body);
    let mut file = fs::File::create(path).await?;
    let (mut md5, mut size) = (Md5::new(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Refusal::Body(error.to_string()))?;
        md5.update(&chunk);
        size += chunk.len() as u64;
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok((md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), size))
}
