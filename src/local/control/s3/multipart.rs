//! Uploads in parts, which is how clients send what is larger than a few megabytes.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::fs;
use tokio_util::io::ReaderStream;

use super::store::{Condition, ObjectFacts, ObjectLabels, Objects, Refusal, write_body};
use crate::local::directory;

/// The file that says what the object is to be called and labelled with.
const ABOUT: &str = "about";

/// An upload that was begun: its parts lie in a directory beside the bucket's objects until it is completed.
pub(super) struct Upload {
    objects: Objects,
    bucket: String,
    key: String,
    directory: PathBuf,
}

impl Upload {
    /// Begins an upload; its id.
    pub async fn begin(objects: &Objects, bucket: &str, key: &str, labels: &ObjectLabels) -> Result<String, Refusal> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let directory = objects.bucket(bucket).await?.join(format!("{id}.upload"));
        directory::make_new(&directory)?;
        fs::write(directory.join(ABOUT), serde_json::to_vec(&(key, labels)).map_err(io::Error::from)?).await?;
        Ok(id)
    }

    /// Finds an upload of this object.
    pub async fn find(objects: &Objects, bucket: &str, key: &str, id: &str) -> Result<Self, Refusal> {
        let id = uuid::Uuid::parse_str(id).map_err(|_| Refusal::NoSuchUpload)?.simple();
        let directory = objects.bucket(bucket).await?.join(format!("{id}.upload"));
        let upload = Self { objects: objects.clone(), bucket: bucket.into(), key: key.into(), directory };
        if upload.about().await?.0 == key { Ok(upload) } else { Err(Refusal::NoSuchUpload) }
    }

    async fn about(&self) -> Result<(String, ObjectLabels), Refusal> {
        match fs::read(self.directory.join(ABOUT)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::NoSuchUpload),
            other => Ok(serde_json::from_slice(&other?).map_err(io::Error::from)?),
        }
    }

    /// Takes a part; its ETag. A part that comes again replaces the one before.
    pub async fn take<E: std::fmt::Display>(
        &self,
        number: i32,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<String, Refusal> {
        let arriving = self.directory.join(uuid::Uuid::new_v4().simple().to_string());
        let (etag, _) = write_body(&arriving, body).await?;
        fs::rename(&arriving, self.directory.join(number.to_string())).await?;
        Ok(etag)
    }

    /// Makes the object out of these parts, in their order.
    pub async fn complete(self, parts: &[i32], condition: &Condition) -> Result<ObjectFacts, Refusal> {
        let mut files = Vec::new();
        for number in parts {
            let file = fs::File::open(self.directory.join(number.to_string())).await;
            files.push(Ok::<_, io::Error>(ReaderStream::new(file.map_err(|_| Refusal::NoSuchPart)?)));
        }
        let (_, labels) = self.about().await?;
        let body = stream::iter(files).try_flatten().boxed();
        let facts = self.objects.put(&self.bucket, &self.key, labels, condition, body).await?;
        self.abort().await?;
        Ok(facts)
    }

    /// Forgets the upload and its parts.
    pub async fn abort(self) -> Result<(), Refusal> {
        Ok(fs::remove_dir_all(&self.directory).await?)
    }
}
