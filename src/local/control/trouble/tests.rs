//! Every kind of trouble, at every service, as the real clients see it.

use std::time::Instant;

use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use super::*;
use crate::image::Repository;
use crate::inputs::RegistryPlan;
use crate::local::control::tests::{World, local};
use crate::registry::Registry;

fn set(world: &World, name: FaultName, service: &str, millis: u32) {
    let (service, times) = (Some(service.to_owned()), Some(1));
    world.control.beanstalk().set_fault(SetFault { service, times, millis, ..SetFault::new(name) }).unwrap();
}

#[tokio::test]
async fn each_service_refuses_in_its_own_words_before_anything_happens() {
    let world = World::start().await;
    let sdk = world.sdk(local());
    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build());
    let (ecr, eb) = (aws_sdk_ecr::Client::new(&sdk), aws_sdk_elasticbeanstalk::Client::new(&sdk));
    let expected = [
        (FaultName::Throttle, ["SlowDown", "ThrottlingException", "Throttling", "Throttling"]),
        (FaultName::InternalError, ["InternalError", "ServerException", "InternalFailure", "InternalFailure"]),
        (
            FaultName::ServerError,
            ["ServiceUnavailable", "ServiceUnavailableException", "ServiceUnavailable", "ServiceUnavailable"],
        ),
        (FaultName::ExpiredToken, ["ExpiredToken", "ExpiredTokenException", "ExpiredToken", "ExpiredToken"]),
    ];
    for (name, codes) in expected {
        ["s3", "ecr", "elasticbeanstalk", "sts"].iter().for_each(|service| set(&world, name, service, 0));
        let refused = s3.create_bucket().bucket("bundles").send().await.unwrap_err();
        assert_eq!(refused.code(), Some(codes[0]));
        let refused = ecr.create_repository().repository_name("shop").send().await.unwrap_err();
        assert_eq!(refused.code(), Some(codes[1]));
        let refused = eb.create_application().application_name("shop").send().await.unwrap_err();
        assert_eq!(refused.code(), Some(codes[2]));
        let refused = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send().await.unwrap_err();
        assert_eq!(refused.code(), Some(codes[3]));
    }
    assert!(s3.list_buckets().send().await.unwrap().buckets().is_empty(), "nothing took effect");
    assert!(ecr.describe_repositories().send().await.unwrap().repositories().is_empty());
    assert!(eb.describe_applications().send().await.unwrap().applications().is_empty());
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_call_took_effect() {
    let world = World::start().await;
    let sdk = world.sdk(local());
    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build());
    s3.create_bucket().bucket("bundles").send().await.unwrap();
    let put = || s3.put_object().bucket("bundles").key("shop/1.zip").body(ByteStream::from_static(b"zip")).send();
    let has = async || s3.head_object().bucket("bundles").key("shop/1.zip").send().await.is_ok();
    set(&world, FaultName::Reset, "s3", 0);
    let broken = put().await.unwrap_err();
    assert!(matches!(broken, SdkError::DispatchFailure(_)), "{broken:?}");
    assert!(!has().await);
    set(&world, FaultName::AnswerLost, "s3", 0);
    let broken = put().await.unwrap_err();
    assert!(matches!(broken, SdkError::DispatchFailure(_)), "{broken:?}");
    assert!(has().await);

    let ecr = aws_sdk_ecr::Client::new(&sdk);
    set(&world, FaultName::AnswerLost, "ecr", 0);
    assert!(ecr.create_repository().repository_name("shop").send().await.is_err());
    assert_eq!(ecr.describe_repositories().send().await.unwrap().repositories().len(), 1);
    set(&world, FaultName::Slow, "ecr", 300);
    let begun = Instant::now();
    ecr.describe_repositories().send().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));

    let calls = world.control.beanstalk().calls();
    let calls: Vec<_> = calls.iter().map(|it| (&*it.service, &*it.action, it.resource.as_deref())).collect();
    let put = ("s3", "PutObject", Some("bundles/shop/1.zip"));
    let made = ("ecr", "CreateRepository", Some("shop"));
    assert_eq!(calls, [("s3", "CreateBucket", Some("bundles")), put, put, made], "also what took no effect");
}

#[tokio::test]
async fn the_registry_is_opened_and_its_repository_made_once_through_all_of_it() {
    let world = World::start().await;
    let sdk = world.sdk(local());
    for name in [FaultName::Throttle, FaultName::Reset, FaultName::AnswerLost] {
        set(&world, name, "ecr", 0);
    }
    let repository = Repository::parse("shop", &world.registry).unwrap();
    let plan = RegistryPlan { create_repository: true, ..RegistryPlan::default() };
    let registry = Registry::open(&repository, &plan, Some(&sdk)).await.unwrap();
    assert!(registry.is_ecr());
    for name in [FaultName::InternalError, FaultName::AnswerLost] {
        let (service, action) = (Some("ecr".to_owned()), Some("CreateRepository".to_owned()));
        let fault = SetFault { service, action, times: Some(1), ..SetFault::new(name) };
        world.control.beanstalk().set_fault(fault).unwrap();
    }
    registry.check(true).await.unwrap();
    let ecr = aws_sdk_ecr::Client::new(&sdk);
    assert_eq!(ecr.describe_repositories().send().await.unwrap().repositories().len(), 1);
    let asked = world.control.calls().counts();
    assert!(asked.contains(&("ecr", "CreateRepository".to_owned(), 3)), "{asked:?}");
}

#[tokio::test]
async fn a_caller_without_the_right_is_told_which_one_on_what() {
    let world = World::start().await;
    let sdk = world.sdk(local());
    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build());
    let (ecr, eb) = (aws_sdk_ecr::Client::new(&sdk), aws_sdk_elasticbeanstalk::Client::new(&sdk));
    ["s3", "ecr", "elasticbeanstalk"].iter().for_each(|service| set(&world, FaultName::Denied, service, 0));
    let denied = s3.get_object().bucket("bundles").key("shop/1.zip").send().await.unwrap_err();
    let told = |right: &str, arn: &str| {
        format!(
            "User: arn:aws:iam::000000000000:root is not authorized to perform: {right} on resource: {arn} because no \
             identity-based policy allows the {right} action"
        )
    };
    let (code, message) = (denied.code().unwrap(), denied.message().unwrap());
    assert_eq!((code, message), ("AccessDenied", &*told("s3:GetObject", "\"arn:aws:s3:::bundles/shop/1.zip\"")));
    let denied = ecr.list_images().repository_name("shop").send().await.unwrap_err();
    let (code, message) = (denied.code().unwrap(), denied.message().unwrap());
    let arn = "arn:aws:ecr:local:000000000000:repository/shop";
    assert_eq!((code, message), ("AccessDeniedException", &*told("ecr:ListImages", arn)));
    let version = eb.create_application_version().application_name("shop").version_label("1").send();
    let denied = version.await.unwrap_err();
    let (code, message) = (denied.code().unwrap(), denied.message().unwrap());
    let arn = "arn:aws:elasticbeanstalk:local:000000000000:applicationversion/shop/1";
    assert_eq!((code, message), ("AccessDenied", &*told("elasticbeanstalk:CreateApplicationVersion", arn)));
    assert_eq!(denied.raw_response().unwrap().status().as_u16(), 403);
}
