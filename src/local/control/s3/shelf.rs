//! The objects as Beanstalk uses them: bundles are read here, logs are put here.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncReadExt;

use super::link;
use super::store::{Condition, ObjectLabels, Objects, Refusal};
use crate::fault::Fault;
use crate::local::control::beanstalk::objects::{Objects as Storage, Pending};

/// Objects, and where they can be had by others.
pub(in crate::local::control) struct Shelf {
    /// The objects.
    pub objects: Objects,
    /// The address of the control plane.
    pub endpoint: String,
}

fn fault(what: &str, bucket: &str, key: &str, refusal: Refusal) -> Fault {
    Fault::new(format!("could not {what} {bucket}/{key}")).because(refusal)
}

impl Storage for Shelf {
    fn make_bucket<'a>(&'a self, bucket: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            match self.objects.create_bucket(bucket).await {
                Ok(()) | Err(Refusal::BucketExists) => Ok(()),
                Err(refusal) => Err(Fault::new(format!("could not make the bucket {bucket}")).because(refusal)),
            }
        })
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> Pending<'a, Vec<u8>> {
        Box::pin(async move {
            let (_, mut file) = self.objects.open(bucket, key).await.map_err(|it| fault("read", bucket, key, it))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).await.map_err(|error| fault("read", bucket, key, error.into()))?;
            Ok(bytes)
        })
    }

    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, bytes: Vec<u8>) -> Pending<'a, ()> {
        Box::pin(async move {
            let body = stream::iter([Ok::<_, io::Error>(Bytes::from(bytes))]);
            let always = Condition::default();
            let put = self.objects.put(bucket, key, ObjectLabels::default(), &always, body).await;
            put.map(drop).map_err(|it| fault("write", bucket, key, it))
        })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            let removed = self.objects.remove(bucket, key, &Condition::default()).await;
            removed.map_err(|it| fault("remove", bucket, key, it))
        })
    }

    fn link(&self, bucket: &str, key: &str) -> Result<String, Fault> {
        link::presigned(&self.endpoint, bucket, key, SystemTime::now())
    }
}
