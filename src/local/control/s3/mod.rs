//! The local cloud's S3: the protocol by the s3s crate, the objects by [`Objects`].

mod action;
mod link;
mod listing;
mod multipart;
mod shelf;
mod store;
#[cfg(test)]
mod tests;

use std::io::SeekFrom;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, BucketLocationConstraint, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, Owner, PutObjectInput, PutObjectOutput,
    ServerSideEncryption, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::skew;
use super::{ACCOUNT, KEYS, REGION};
pub(super) use action::action;
use listing::Question;
use multipart::Upload;
pub(super) use shelf::Shelf;
pub use store::{Condition, ObjectFacts, ObjectLabels, Objects, Refusal};

/// The service to answer HTTP requests with; signatures are checked against the local cloud's keys.
pub(super) fn service(objects: Objects) -> S3Service {
    let mut auth = SimpleAuth::new();
    for (access_key, secret_key) in KEYS {
        auth.register((*access_key).to_owned(), (*secret_key).into());
    }
    let mut builder = S3ServiceBuilder::new(Wire(objects));
    builder.set_auth(auth);
    builder.set_access(Gate);
    // The front door has looked at the time by now, and it goes by the world's clock.
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

/// Turns away who has not signed.
struct Gate;

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_some() { Ok(()) } else { Err(s3_error!(AccessDenied, "the request is not signed")) }
    }
}

/// S3's operations on our objects.
struct Wire(Objects);

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::NoSuchBucket => S3ErrorCode::NoSuchBucket,
            Refusal::NoSuchKey => S3ErrorCode::NoSuchKey,
            Refusal::BucketExists => S3ErrorCode::BucketAlreadyOwnedByYou,
            Refusal::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
            Refusal::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            Refusal::NoSuchPart => S3ErrorCode::InvalidPart,
            Refusal::Precondition => S3ErrorCode::PreconditionFailed,
            Refusal::Body(_) => S3ErrorCode::IncompleteBody,
            Refusal::Disk(_) => S3ErrorCode::InternalError,
        };
        S3Error::with_message(code, refusal.to_string())
    }
}

/// Refuses a request that expects the bucket to be somebody else's.
fn owned(expected: Option<&String>) -> S3Result<()> {
    match expected {
        Some(owner) if owner != ACCOUNT => Err(s3_error!(AccessDenied, "the bucket is owned by {ACCOUNT}")),
        _ => Ok(()),
    }
}

fn condition(none_match: Option<ETagCondition>, matches: Option<ETagCondition>) -> S3Result<Condition> {
    match none_match {
        None | Some(ETagCondition::Any) => {}
        // API reference, PutObject: "Expects the '*' (asterisk) character."
        Some(ETagCondition::ETag(_)) => return Err(s3_error!(NotImplemented, "If-None-Match takes `*` only")),
    }
    let etag = matches.and_then(ETagCondition::into_etag).map(ETag::into_value);
    Ok(Condition { absent: none_match.is_some(), etag })
}

/// `If-Match` and `If-None-Match` of a reading request (RFC 9110, 13.1).
fn readable(facts: &ObjectFacts, matches: Option<&ETagCondition>, none_match: Option<&ETagCondition>) -> S3Result<()> {
    let same = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == facts.etag);
    if !matches.is_none_or(same) {
        return Err(Refusal::Precondition.into());
    }
    if none_match.is_some_and(same) { Err(s3_error!(NotModified)) } else { Ok(()) }
}

fn etag(facts: &ObjectFacts) -> ETag {
    ETag::Strong(facts.etag.clone())
}

fn time(at: chrono::DateTime<chrono::Utc>) -> Timestamp {
    SystemTime::from(skew::told(at)).into()
}

fn length(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}

/// The body of an object without bytes.
fn nothing() -> StreamingBlob {
    StreamingBlob::wrap(stream::empty::<std::io::Result<bytes::Bytes>>())
}

fn encryption(facts: &ObjectFacts) -> Option<ServerSideEncryption> {
    facts.labels.encryption.clone().map(ServerSideEncryption::from)
}

#[async_trait::async_trait]
impl S3 for Wire {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        self.0.create_bucket(&req.input.bucket).await?;
        answer(CreateBucketOutput { location: Some(format!("/{}", req.input.bucket)) })
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        owned(req.input.expected_bucket_owner.as_ref())?;
        self.0.remove_bucket(&req.input.bucket).await?;
        answer(DeleteBucketOutput::default())
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        owned(req.input.expected_bucket_owner.as_ref())?;
        if !self.0.has_bucket(&req.input.bucket).await? {
            return Err(Refusal::NoSuchBucket.into());
        }
        answer(HeadBucketOutput { bucket_region: Some(REGION.into()), ..Default::default() })
    }

    async fn get_bucket_location(&self, req: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        owned(req.input.expected_bucket_owner.as_ref())?;
        if !self.0.has_bucket(&req.input.bucket).await? {
            return Err(Refusal::NoSuchBucket.into());
        }
        let location_constraint = Some(BucketLocationConstraint::from(REGION.to_owned()));
        answer(GetBucketLocationOutput { location_constraint })
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let bucket = |(name, made)| Bucket { name: Some(name), creation_date: Some(time(made)), bucket_region: None };
        let buckets = self.0.buckets().await?.into_iter().map(bucket).collect();
        let owner = Owner { display_name: Some("local".into()), id: Some(ACCOUNT.into()) };
        answer(ListBucketsOutput { buckets: Some(buckets), owner: Some(owner), ..Default::default() })
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        let labels = ObjectLabels {
            content_type: input.content_type,
            metadata: input.metadata.unwrap_or_default(),
            encryption: input.server_side_encryption.map(|kind| kind.as_str().to_owned()),
        };
        let condition = condition(input.if_none_match, input.if_match)?;
        let body = input.body.unwrap_or_else(nothing);
        let facts = self.0.put(&input.bucket, &input.key, labels, &condition, body).await?;
        answer(PutObjectOutput {
            e_tag: Some(etag(&facts)),
            server_side_encryption: encryption(&facts),
            ..Default::default()
        })
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        let (facts, mut file) = self.0.open(&input.bucket, &input.key).await?;
        readable(&facts, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let (range, content_range) = match input.range {
            None => (0..facts.size, None),
            Some(range) => {
                let range = range.check(facts.size).map_err(|_| s3_error!(InvalidRange))?;
                let text = format!("bytes {}-{}/{}", range.start, range.end - 1, facts.size);
                (range, Some(text))
            }
        };
        file.seek(SeekFrom::Start(range.start)).await.map_err(Refusal::Disk)?;
        let bytes = range.end - range.start;
        answer(GetObjectOutput {
            body: Some(StreamingBlob::wrap(ReaderStream::new(file.take(bytes)))),
            content_length: length(bytes),
            content_range,
            accept_ranges: Some("bytes".into()),
            e_tag: Some(etag(&facts)),
            last_modified: Some(time(facts.modified)),
            server_side_encryption: encryption(&facts),
            content_type: input.response_content_type.or(facts.labels.content_type),
            content_disposition: input.response_content_disposition,
            metadata: Some(facts.labels.metadata),
            ..Default::default()
        })
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        let facts = self.0.facts(&input.bucket, &input.key).await?;
        readable(&facts, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        answer(HeadObjectOutput {
            content_length: length(facts.size),
            accept_ranges: Some("bytes".into()),
            e_tag: Some(etag(&facts)),
            last_modified: Some(time(facts.modified)),
            server_side_encryption: encryption(&facts),
            content_type: facts.labels.content_type,
            metadata: Some(facts.labels.metadata),
            ..Default::default()
        })
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        self.0.remove(&input.bucket, &input.key, &condition(None, input.if_match)?).await?;
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.0.remove(&input.bucket, &object.key, &Condition::default()).await?;
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        answer(DeleteObjectsOutput { deleted: (!quiet).then_some(deleted), ..Default::default() })
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        let labels = ObjectLabels {
            content_type: input.content_type,
            metadata: input.metadata.unwrap_or_default(),
            encryption: input.server_side_encryption.map(|kind| kind.as_str().to_owned()),
        };
        let id = Upload::begin(&self.0, &input.bucket, &input.key, &labels).await?;
        answer(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let input = req.input;
        let upload = Upload::find(&self.0, &input.bucket, &input.key, &input.upload_id).await?;
        let etag = upload.take(input.part_number, input.body.unwrap_or_else(nothing)).await?;
        answer(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let input = req.input;
        let upload = Upload::find(&self.0, &input.bucket, &input.key, &input.upload_id).await?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let parts: Vec<i32> = parts.into_iter().filter_map(|part| part.part_number).collect();
        let facts = upload.complete(&parts, &condition(input.if_none_match, input.if_match)?).await?;
        answer(CompleteMultipartUploadOutput {
            e_tag: Some(etag(&facts)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            ..Default::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let input = req.input;
        Upload::find(&self.0, &input.bucket, &input.key, &input.upload_id).await?.abort().await?;
        answer(AbortMultipartUploadOutput::default())
    }

    /// The older form, which the EB CLI asks for.
    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        let marker = req.input.marker.clone();
        let page = self.list_objects_v2(req.map_input(Into::into)).await?;
        Ok(page.map_output(|page| ListObjectsOutput {
            name: page.name,
            prefix: page.prefix,
            marker,
            max_keys: page.max_keys,
            is_truncated: page.is_truncated,
            contents: page.contents,
            common_prefixes: page.common_prefixes,
            delimiter: page.delimiter,
            next_marker: page.next_continuation_token,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let input = req.input;
        owned(input.expected_bucket_owner.as_ref())?;
        let all = self.0.list(&input.bucket).await?;
        let limit = input.max_keys.unwrap_or(1000).clamp(0, 1000);
        let page = Question {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: input.continuation_token.as_deref().or(input.start_after.as_deref()).unwrap_or_default(),
            limit: usize::try_from(limit).unwrap_or_default(),
        };
        let page = page.answer(&all);
        let object = |facts: &&ObjectFacts| Object {
            key: Some(facts.key.clone()),
            size: length(facts.size),
            e_tag: Some(etag(facts)),
            last_modified: Some(time(facts.modified)),
            ..Default::default()
        };
        let prefix = |prefix: &&str| CommonPrefix { prefix: Some((*prefix).to_owned()) };
        answer(ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
            contents: Some(page.objects.iter().map(object).collect()),
            common_prefixes: Some(page.prefixes.iter().map(prefix).collect()),
            is_truncated: Some(page.more_after.is_some()),
            next_continuation_token: page.more_after.map(ToOwned::to_owned),
            max_keys: Some(limit),
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            ..Default::default()
        })
    }
}
