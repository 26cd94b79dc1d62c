//! The object storage as Beanstalk uses it.

use std::pin::Pin;

use crate::fault::Fault;

/// What an asynchronous call to the storage returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Where bundles are read from and logs are written to.
pub trait Objects: Send + Sync {
    /// Makes a bucket, unless it is there.
    fn make_bucket<'a>(&'a self, bucket: &'a str) -> Pending<'a, ()>;

    /// An object's bytes; a fault when there is no such object.
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> Pending<'a, Vec<u8>>;

    /// Writes an object.
    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, bytes: Vec<u8>) -> Pending<'a, ()>;

    /// Removes an object; one that is not there is fine.
    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> Pending<'a, ()>;

    /// An address that gives the object to whoever asks, without credentials.
    ///
    /// # Errors
    /// A name that no address can hold.
    fn link(&self, bucket: &str, key: &str) -> Result<String, Fault>;
}
