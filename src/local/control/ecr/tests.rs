//! ECR asked by the real client.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier, ImageTagMutability};
use base64::Engine as _;

use crate::local::control::tests::{World, local};

/// A manifest list without images: it needs nothing else to be in the registry.
const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const OTHER: &str = r#"{"schemaVersion":2, "mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fn tag(tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_tag(tag).build()
}

#[tokio::test]
async fn the_token_is_the_registrys_login() {
    let world = World::start().await;
    let ecr = Client::new(&world.sdk(local()));
    let answer = ecr.get_authorization_token().send().await.unwrap();
    let token = &answer.authorization_data()[0];
    let login = base64::engine::general_purpose::STANDARD.decode(token.authorization_token().unwrap()).unwrap();
    assert_eq!(login, b"AWS:password");
    assert!(token.proxy_endpoint().unwrap().starts_with("http://127.0.0.1:"));
    assert!(token.expires_at().unwrap().secs() > chrono::Utc::now().timestamp());
}

#[tokio::test]
async fn a_repository_is_made_once_described_and_removed() {
    let world = World::start().await;
    let ecr = Client::new(&world.sdk(local()));
    let made = ecr.create_repository().repository_name("team/shop").send().await.unwrap().repository.unwrap();
    assert_eq!(made.repository_arn(), Some("arn:aws:ecr:local:000000000000:repository/team/shop"));
    assert!(made.repository_uri().unwrap().ends_with("/team/shop") && made.created_at().is_some());
    let again = ecr.create_repository().repository_name("team/shop").send().await.unwrap_err();
    assert_eq!(again.code(), Some("RepositoryAlreadyExistsException"));
    let bad = ecr.create_repository().repository_name("Shop!").send().await.unwrap_err();
    assert_eq!(bad.code(), Some("InvalidParameterException"));
    let all = ecr.describe_repositories().send().await.unwrap();
    assert_eq!(all.repositories(), [made]);
    let none = ecr.describe_repositories().repository_names("none").send().await.unwrap_err();
    assert_eq!(none.code(), Some("RepositoryNotFoundException"));
    ecr.delete_repository().repository_name("team/shop").send().await.unwrap();
    let gone = ecr.list_images().repository_name("team/shop").send().await.unwrap_err();
    assert_eq!(gone.code(), Some("RepositoryNotFoundException"));
}

#[tokio::test]
async fn images_are_put_found_by_tag_and_digest_and_removed() {
    let world = World::start().await;
    let ecr = Client::new(&world.sdk(local()));
    ecr.create_repository().repository_name("shop").send().await.unwrap();
    let put = |manifest, tag| ecr.put_image().repository_name("shop").image_manifest(manifest).image_tag(tag).send();
    let image = put(INDEX, "1").await.unwrap().image.unwrap();
    let digest = image.image_id().unwrap().image_digest().unwrap().to_owned();
    assert_eq!(put(INDEX, "1").await.unwrap_err().code(), Some("ImageAlreadyExistsException"));
    put(INDEX, "2").await.unwrap();
    assert_eq!(world.plane.images("shop").await.unwrap().unwrap()[0].tags, ["1", "2"]);

    let described = ecr.describe_images().repository_name("shop").image_ids(tag("2")).send().await.unwrap();
    let detail = &described.image_details()[0];
    assert_eq!((detail.image_digest(), detail.image_tags()), (Some(&*digest), &["1".to_owned(), "2".to_owned()][..]));
    let missing = ecr.describe_images().repository_name("shop").image_ids(tag("3")).send().await.unwrap_err();
    assert_eq!(missing.code(), Some("ImageNotFoundException"));
    assert_eq!(ecr.list_images().repository_name("shop").send().await.unwrap().image_ids().len(), 2);

    let get = ecr.batch_get_image().repository_name("shop").image_ids(tag("1")).image_ids(tag("3"));
    let got = get.send().await.unwrap();
    assert_eq!(got.images()[0].image_manifest(), Some(INDEX));
    assert_eq!(got.failures()[0].failure_code(), Some(&ImageFailureCode::ImageNotFound));

    let kept = ecr.delete_repository().repository_name("shop").send().await.unwrap_err();
    assert_eq!(kept.code(), Some("RepositoryNotEmptyException"));
    ecr.batch_delete_image().repository_name("shop").image_ids(tag("1")).send().await.unwrap();
    assert_eq!(world.plane.images("shop").await.unwrap().unwrap()[0].tags, ["2"]);
}

#[tokio::test]
async fn an_immutable_tag_stays_where_it_is() {
    let world = World::start().await;
    let ecr = Client::new(&world.sdk(local()));
    ecr.create_repository().repository_name("shop").send().await.unwrap();
    let put = |manifest, tag| ecr.put_image().repository_name("shop").image_manifest(manifest).image_tag(tag).send();
    put(INDEX, "1").await.unwrap();
    let change = ecr.put_image_tag_mutability().repository_name("shop");
    change.image_tag_mutability(ImageTagMutability::Immutable).send().await.unwrap();
    let refused = put(OTHER, "1").await.unwrap_err();
    assert_eq!(refused.code(), Some("ImageTagAlreadyExistsException"));
    assert!(refused.message().unwrap().ends_with("because the tag is immutable."));
    put(OTHER, "2").await.unwrap();
    let found = ecr.describe_repositories().repository_names("shop").send().await.unwrap();
    assert_eq!(found.repositories()[0].image_tag_mutability(), Some(&ImageTagMutability::Immutable));
}
