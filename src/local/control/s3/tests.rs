//! S3 asked by the real client.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, ServerSideEncryption};

use crate::local::control::tests::{World, local};

fn client(world: &World, credentials: Credentials) -> Client {
    Client::from_conf(Builder::from(&world.sdk(credentials)).force_path_style(true).build())
}

fn text(text: &'static str) -> ByteStream {
    ByteStream::from_static(text.as_bytes())
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let world = World::start().await;
    let s3 = client(&world, local());
    s3.create_bucket().bucket("bundles").send().await.unwrap();
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets()[0].name(), Some("bundles"));
    let region = s3.head_bucket().bucket("bundles").send().await.unwrap();
    assert_eq!(region.bucket_region(), Some("local"));
    let put = s3.put_object().bucket("bundles").key("shop/1 é.zip").body(text("hello world"));
    let put = put.metadata("run", "7").server_side_encryption(ServerSideEncryption::Aes256).send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));

    let got = s3.get_object().bucket("bundles").key("shop/1 é.zip").send().await.unwrap();
    assert_eq!(got.metadata().unwrap()["run"], "7");
    assert_eq!(got.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
    assert_eq!(&got.body.collect().await.unwrap().into_bytes()[..], b"hello world");
    let part = s3.get_object().bucket("bundles").key("shop/1 é.zip").range("bytes=6-").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 6-10/11"));
    assert_eq!(&part.body.collect().await.unwrap().into_bytes()[..], b"world");
    let head = s3.head_object().bucket("bundles").key("shop/1 é.zip").send().await.unwrap();
    assert_eq!(head.content_length(), Some(11));

    let (_, mut file) = world.control.objects().open("bundles", "shop/1 é.zip").await.unwrap();
    let mut read = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut file, &mut read).await.unwrap();
    assert_eq!(read, "hello world");
    let counts = world.control.calls().counts();
    assert!(counts.contains(&("s3", "GetObject".to_owned(), 2)), "{counts:?}");
}

#[tokio::test]
async fn a_write_happens_only_under_its_condition() {
    let world = World::start().await;
    let s3 = client(&world, local());
    s3.create_bucket().bucket("journal").send().await.unwrap();
    let put = || s3.put_object().bucket("journal").key("shop");
    let first = put().if_none_match("*").body(text("1")).send().await.unwrap();
    let refused = put().if_none_match("*").body(text("2")).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 412);
    assert_eq!(refused.code(), Some("PreconditionFailed"));
    let etag = first.e_tag().unwrap();
    put().if_match(etag).body(text("3")).send().await.unwrap();
    let refused = put().if_match(etag).body(text("4")).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("PreconditionFailed"));
    let body = s3.get_object().bucket("journal").key("shop").send().await.unwrap().body;
    assert_eq!(&body.collect().await.unwrap().into_bytes()[..], b"3");
    let nowhere =
        s3.put_object().bucket("journal").key("none").if_match(etag).body(text("5")).send().await.unwrap_err();
    assert_eq!(nowhere.code(), Some("NoSuchKey"));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_deleting_again_is_fine() {
    let world = World::start().await;
    let s3 = client(&world, local());
    s3.create_bucket().bucket("bundles").send().await.unwrap();
    for key in ["a", "b/1", "b/2"] {
        s3.put_object().bucket("bundles").key(key).body(text("x")).send().await.unwrap();
    }
    let again = s3.create_bucket().bucket("bundles").send().await.unwrap_err();
    assert_eq!(again.code(), Some("BucketAlreadyOwnedByYou"));
    let list = s3.list_objects_v2().bucket("bundles").delimiter("/").send().await.unwrap();
    assert_eq!((list.key_count(), list.common_prefixes()[0].prefix()), (Some(2), Some("b/")));

    s3.delete_object().bucket("bundles").key("a").send().await.unwrap();
    s3.delete_object().bucket("bundles").key("a").send().await.unwrap();
    let named = |key| ObjectIdentifier::builder().key(key).build().unwrap();
    let several = Delete::builder().objects(named("b/1")).objects(named("b/2")).build().unwrap();
    let gone = s3.delete_objects().bucket("bundles").delete(several).send().await.unwrap();
    assert_eq!(gone.deleted().len(), 2);
    let missing = s3.get_object().bucket("bundles").key("a").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchKey"));
    s3.delete_bucket().bucket("bundles").send().await.unwrap();
    let missing = s3.list_objects_v2().bucket("bundles").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchBucket"));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_a_presigned_url_needs_none() {
    let world = World::start().await;
    let wrong = client(&world, Credentials::new("local", "wrong", None, None, "test"));
    let refused = wrong.list_buckets().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("SignatureDoesNotMatch"));

    let s3 = client(&world, local());
    s3.create_bucket().bucket("logs").send().await.unwrap();
    s3.put_object().bucket("logs").key("tail.txt").body(text("last lines")).send().await.unwrap();
    let ask = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url = s3.get_object().bucket("logs").key("tail.txt").presigned(ask).await.unwrap();
    assert_eq!(get(url.uri()).await, "last lines");
    let link = world.control.beanstalk().objects().link("logs", "tail.txt").unwrap();
    assert_eq!(get(&link).await, "last lines");
    assert!(get(link.split('?').next().unwrap()).await.contains("MissingAuthenticationToken"));
}

/// What somebody without credentials reads at an address.
async fn get(url: &str) -> String {
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    let http = http.build_http::<http_body_util::Empty<bytes::Bytes>>();
    let answer = http.get(url.parse().unwrap()).await.unwrap();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_upload_in_parts_becomes_one_object() {
    let world = World::start().await;
    let s3 = client(&world, local());
    s3.create_bucket().bucket("bundles").send().await.unwrap();
    let begun = s3.create_multipart_upload().bucket("bundles").key("big").content_type("application/zip").send();
    let id = begun.await.unwrap().upload_id.unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for (number, body) in [(2, "world"), (1, "hello ")] {
        let part = s3.upload_part().bucket("bundles").key("big").upload_id(&id).part_number(number).body(text(body));
        let part = CompletedPart::builder().part_number(number).set_e_tag(part.send().await.unwrap().e_tag).build();
        done = done.parts(part);
    }
    let mut parts = done.get_parts().clone().unwrap();
    parts.reverse();
    let done = done.set_parts(Some(parts)).build();
    let complete = || s3.complete_multipart_upload().bucket("bundles").key("big").upload_id(&id);
    complete().multipart_upload(done.clone()).send().await.unwrap();
    let got = s3.get_object().bucket("bundles").key("big").send().await.unwrap();
    assert_eq!(got.content_type(), Some("application/zip"));
    assert_eq!(&got.body.collect().await.unwrap().into_bytes()[..], b"hello world");
    let again = complete().multipart_upload(done).send().await.unwrap_err();
    assert_eq!(again.code(), Some("NoSuchUpload"));
}
