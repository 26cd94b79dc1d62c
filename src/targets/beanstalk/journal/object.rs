//! The journal as an object in S3, beside the bundles. Compare-and-swap is S3's own: `If-Match` and `If-None-Match`
//! (S3 User Guide, "How to prevent object overwrites with conditional writes").

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;

use super::super::api::Api;
use super::super::call::{ApiError, refused};
use crate::clock::Clock;
use crate::engine::journal::desk::{Store, Trouble, Version};
use crate::fault::Fault;

/// A journal that is larger is none of ours; bytes.
const LARGEST: i64 = 4 << 20;

/// A journal in S3.
#[derive(Debug)]
pub struct JournalObject {
    /// The client.
    pub api: Api,
    /// The bucket.
    pub bucket: String,
    /// The account that must own it, if its name says so.
    pub owner: Option<String>,
    /// The object's key.
    pub key: String,
    /// The cloud's time.
    pub clock: Clock,
}

impl JournalObject {
    /// The key of the journal of an application's live CNAME.
    pub fn key(application: &str, live_cname: &str) -> String {
        format!("beanline/journal/{application}/{live_cname}.json")
    }

    /// The keys of the journals beside this one.
    async fn keys(&self) -> Result<Vec<String>, ApiError> {
        let prefix = self.key.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let request = self.api.s3.list_objects_v2().bucket(&self.bucket).prefix(format!("{prefix}/"));
            let request = request.set_expected_bucket_owner(self.owner.clone()).set_continuation_token(next);
            let page = request.send().await.map_err(|error| refused("ListObjectsV2", error))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                keys.retain(|key| key.ends_with(".json"));
                return Ok(keys);
            }
        }
    }

    fn trouble(&self, call: &str, error: ApiError) -> Trouble {
        let (passing, denied) = (error.passing, error.is_denied());
        let fault = Fault::new(format!("could not {call} the journal {}", self.place())).because(error.into_fault());
        match (passing, denied) {
            (true, _) => Trouble::Passing(fault),
            (false, true) => Trouble::Denied(fault),
            (false, false) => Trouble::Broken(fault),
        }
    }
}

#[async_trait]
impl Store for JournalObject {
    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    fn now(&self) -> i64 {
        self.clock.unix()
    }

    async fn read(&self) -> Result<Option<(String, Version)>, Trouble> {
        let request = self.api.s3.get_object().bucket(&self.bucket).key(&self.key);
        let answer = request.set_expected_bucket_owner(self.owner.clone()).send().await;
        let answer = match answer.map_err(|error| refused("GetObject", error)) {
            // Who may not list the bucket is not told that an object is missing. Writing tells.
            Err(error) if error.code == "NoSuchKey" || error.is_denied() => return Ok(None),
            answer => answer.map_err(|error| self.trouble("read", error))?,
        };
        if answer.content_length().is_some_and(|length| length > LARGEST) {
            let fault = Fault::new(format!("{} is no journal: it is too large", self.place()));
            return Err(Trouble::Broken(fault));
        }
        let version = answer.e_tag().unwrap_or_default().to_owned();
        let broken = |fault: Fault| Trouble::Passing(fault);
        let bytes = answer.body.collect().await;
        let bytes = bytes.map_err(|error| broken(Fault::new("the journal did not arrive whole").because(error)))?;
        match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Ok(Some((text, version))),
            Err(_) => Err(Trouble::Broken(Fault::new(format!("{} is no journal: it is no text", self.place())))),
        }
    }

    async fn write(&self, text: &str, expected: Option<&Version>) -> Result<Option<Version>, Trouble> {
        let request = self.api.s3.put_object().bucket(&self.bucket).key(&self.key).content_type("application/json");
        let request = match expected {
            Some(version) => request.if_match(version),
            None => request.if_none_match("*"),
        };
        let request = request.set_expected_bucket_owner(self.owner.clone());
        let answer = request.body(ByteStream::from(text.as_bytes().to_vec())).send().await;
        match answer.map_err(|error| refused("PutObject", error)) {
            Ok(answer) => Ok(Some(answer.e_tag().unwrap_or_default().to_owned())),
            // The second: two conditional writes met. The third: what was to be replaced is gone.
            Err(error)
                if ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"].contains(&error.code.as_str()) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.trouble("write", error)),
        }
    }

    async fn beside(&self) -> Result<Vec<Arc<dyn Store>>, Trouble> {
        let keys = self.keys().await.map_err(|error| self.trouble("list what is beside", error))?;
        let store = |key| {
            let Self { api, bucket, owner, clock, .. } = self;
            let (api, bucket, owner, clock) = (api.clone(), bucket.clone(), owner.clone(), clock.clone());
            Arc::new(Self { api, bucket, owner, key, clock }) as Arc<dyn Store>
        };
        Ok(keys.into_iter().map(store).collect())
    }
}
