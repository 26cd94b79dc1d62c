//! The real SDK against a small server: what retry, reuse and undo do on the wire.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_elasticbeanstalk::config::Credentials;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, post};
use bytes::Bytes;

use super::*;
use crate::clock::Clock;
use crate::engine::cancel::Cancel;
use crate::engine::event::{EventKind, Outcome, Stage};
use crate::engine::{Engine, StageCx, events};
use crate::image::{Digest, Repository, Tag, TaggedRef};
use crate::registry::Home;

mod blue_green;
mod explained;
mod in_flight;
mod in_place;
mod judged;
mod pair;
mod play;
mod scaled;
mod settled;
mod shop;
mod shown;
mod standing;
mod told;
mod troubled;
mod versions;

/// The status of an answer that never comes.
const NEVER: u16 = 0;

type Fields = HashMap<String, String>;
type Answer = Box<dyn FnMut(&Fields) -> (u16, String) + Send>;

/// What the server answers, and what it was asked.
struct World {
    answer: Answer,
    asked: Vec<String>,
    /// Objects that were put: their path, how they are to be encrypted, and their bytes.
    put: Vec<(String, String, Vec<u8>)>,
}

/// A server that answers as `answer` says; every object may be put.
async fn world(answer: impl FnMut(&Fields) -> (u16, String) + Send + 'static) -> (SdkConfig, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(World { answer: Box::new(answer), asked: Vec::new(), put: Vec::new() }));
    let ask = async |State(world): State<Arc<Mutex<World>>>, headers: HeaderMap, body: String| {
        let fields = fields_of(&headers, &body);
        let (status, body) = {
            let mut world = world.lock().unwrap();
            world.asked.push(fields["Action"].clone());
            (world.answer)(&fields)
        };
        if status == NEVER {
            std::future::pending::<()>().await;
        }
        (StatusCode::from_u16(status).unwrap(), [("x-amzn-requestid", "request-1")], body)
    };
    let put = async |State(world): State<Arc<Mutex<World>>>, uri: Uri, headers: HeaderMap, body: Bytes| {
        let encryption = headers.get("x-amz-server-side-encryption").map_or("", |it| it.to_str().unwrap());
        world.lock().unwrap().put.push((uri.path().to_owned(), encryption.to_owned(), body.to_vec()));
        StatusCode::OK
    };
    let routes = axum::Router::new().route("/", post(ask)).route("/{*object}", any(put));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = axum::serve(listener, routes.with_state(world.clone()));
    tokio::spawn(async move { server.await });
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let sdk = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("local")).endpoint_url(endpoint);
    let sdk = sdk.credentials_provider(Credentials::new("local", "local", None, None, "test")).http_client(http);
    (sdk.load().await, world)
}

/// What is asked: the form of the query protocol, or, for ECR, the JSON body beside the operation's name.
fn fields_of(headers: &HeaderMap, body: &str) -> Fields {
    let operation = headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.rsplit_once('.'));
    match operation {
        None => serde_urlencoded::from_str(body).unwrap(),
        Some((_, operation)) => [("Action", operation), ("Body", body)].map(|(k, v)| (k.into(), v.into())).into(),
    }
}

fn site(sdk: &SdkConfig) -> Beanstalk {
    site_with(sdk, live::tests::plan())
}

fn site_with(sdk: &SdkConfig, plan: BeanstalkPlan) -> Beanstalk {
    let context = SiteContext {
        run_id: "run-1".into(),
        run_key: "key".into(),
        revision: "1f0c2aa".into(),
        run_url: None,
        job: None,
        about: "shop at 1f0c2aa".into(),
        lifetime: Duration::ZERO,
        clock: Clock::new(),
        journals: None,
        url_of: Rc::new(|cname| format!("http://{cname}/")),
    };
    Beanstalk::new(sdk, true, plan, context)
}

fn ok(action: &str, result: &str) -> (u16, String) {
    (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

fn error(code: &str, message: &str) -> (u16, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (400, format!("<ErrorResponse>{error}<RequestId>x</RequestId></ErrorResponse>"))
}

fn environment(id: &str, prefix: &str, description: &str) -> String {
    format!(
        "<member><EnvironmentId>{id}</EnvironmentId><EnvironmentName>{id}</EnvironmentName><Status>Ready</Status>\
         <ApplicationName>shop</ApplicationName><CNAME>{prefix}.local.elasticbeanstalk.com</CNAME>\
         <Description>{description}</Description><VersionLabel>2</VersionLabel></member>"
    )
}

fn environments(all: &[String]) -> (u16, String) {
    ok("DescribeEnvironments", &format!("<Environments>{}</Environments>", all.concat()))
}

/// Runs `work` as a stage: its result or fault, and how many calls it repeated.
async fn staged<T>(work: impl AsyncFnOnce(&StageCx) -> Result<T, Fault>) -> (Result<T, String>, usize) {
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    let result = engine.stage(Stage::Deploy, Duration::from_secs(60), work).await;
    drop(engine);
    let (mut retried, mut why) = (0, String::new());
    while let Some(event) = receiver.next().await {
        match event.kind {
            EventKind::StageRetrying { .. } => retried += 1,
            EventKind::StageFinished { outcome: Outcome::Failed(fault), .. } => why = fault.to_string(),
            _ => {}
        }
    }
    (result.map_err(|_| why), retried)
}

/// What `work` warns of as a stage.
async fn warnings<T>(work: impl AsyncFnOnce(&StageCx) -> Result<T, Fault>) -> Vec<String> {
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    assert!(engine.stage(Stage::Deploy, Duration::from_secs(60), work).await.is_ok());
    drop(engine);
    let mut said = Vec::new();
    while let Some(event) = receiver.next().await {
        if let EventKind::StageWarning { text, .. } = event.kind {
            said.push(text);
        }
    }
    said
}

fn image() -> ImageToDeploy {
    let repository = Repository::parse("registry.test/shop", "docker.io").unwrap();
    let image = TaggedRef { repository, tag: Tag::parse("2").unwrap() };
    ImageToDeploy { image, digest: Digest::of(b"image"), image_id: None, port: 80, home: Home::default() }
}

/// The hash of the bundle of that image alone.
fn packed() -> Digest {
    let ImageToDeploy { image, digest, .. } = image();
    let names = bundle::Names {
        image: &image,
        known_as: &image,
        digest: &digest,
        port: 80,
        version_label: "2",
        bucket: "bundles",
    };
    bundle::Bundle::default().pack(&names, None).unwrap().digest
}

#[tokio::test]
async fn a_throttled_call_is_sent_again_and_a_refused_one_is_not() {
    let mut calls = 0;
    let (sdk, world) = world(move |_| {
        calls += 1;
        match calls {
            1 => error("Throttling", "Rate exceeded"),
            2 => ok("DescribeApplications", "<Applications/>"),
            _ => {
                error("AccessDenied", "User: arn:x is not authorized to perform: elasticbeanstalk:DescribeApplications")
            }
        }
    })
    .await;
    let site = site(&sdk);
    let ask =
        async |cx: &StageCx| again(Some(cx), "DescribeApplications", async || site.api.applications().await).await;
    assert_eq!(staged(ask).await, (Ok(Vec::new()), 1));
    let (refused, retried) = staged(ask).await;
    assert!(refused.unwrap_err().starts_with("elasticbeanstalk:DescribeApplications was denied to arn:x"));
    assert_eq!((retried, world.lock().unwrap().asked.len()), (0, 3));
}

#[tokio::test]
async fn a_label_that_another_run_made_meanwhile_is_reused_for_the_same_image_alone() {
    for (digest, same) in [(image().digest, true), (Digest::of(b"another"), false)] {
        let key = format!("shop/2-{}.zip", packed().short());
        let mut made = false;
        let (sdk, world) = world(move |fields| match fields["Action"].as_str() {
            "CreateStorageLocation" => ok("CreateStorageLocation", "<S3Bucket>bundles</S3Bucket>"),
            "CreateApplicationVersion" => {
                made = true;
                error("InvalidParameterValue", "Application Version 2 already exists.")
            }
            "DescribeApplicationVersions" if made => ok(
                "DescribeApplicationVersions",
                &format!(
                    "<ApplicationVersions><member><VersionLabel>2</VersionLabel><Description>r/shop:2@{digest}\
                     </Description><SourceBundle><S3Bucket>bundles</S3Bucket><S3Key>{key}</S3Key></SourceBundle>\
                     <Status>UNPROCESSED</Status></member></ApplicationVersions>"
                ),
            ),
            action => ok(action, "<ApplicationVersions/>"),
        })
        .await;
        let site = site(&sdk);
        let (result, _) = staged(async |cx| site.make_version(cx, &image(), &bundle::Bundle::default()).await).await;
        match same {
            true => assert_eq!(result, Ok(())),
            false => assert!(result.unwrap_err().contains("is there already with another image")),
        }
        let creations = world.lock().unwrap().asked.iter().filter(|a| *a == "CreateApplicationVersion").count();
        assert_eq!(creations, 1);
    }
}

#[tokio::test]
async fn a_swap_whose_answer_was_lost_is_not_sent_twice() {
    let mut swapped = false;
    let (sdk, world) = world(move |fields| match fields["Action"].as_str() {
        "SwapEnvironmentCNAMEs" => {
            swapped = !swapped;
            (500, String::new())
        }
        "DescribeEnvironments" => {
            let (green, blue) = if swapped { ("shop", "shop-x") } else { ("shop-x", "shop") };
            environments(&[environment("e-green", green, ""), environment("e-blue", blue, "")])
        }
        action => ok(action, "<Events/>"),
    })
    .await;
    let site = site(&sdk);
    let swap = site.swap(None, ("e-green", "green"), "e-blue", "shop.local.elasticbeanstalk.com").await;
    assert_eq!(swap.map_err(|fault| fault.to_string()), Ok(()));
    let undo = Undo::SwapBack {
        cname: "shop.local.elasticbeanstalk.com".into(),
        from: "e-blue".into(),
        back: "e-green".into(),
        region: "local".into(),
    };
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok(), "who has the name already gets it for nothing");
    assert_eq!(world.lock().unwrap().asked.iter().filter(|action| *action == "SwapEnvironmentCNAMEs").count(), 1);
}

#[tokio::test]
async fn undo_ends_only_what_this_run_made_and_nothing_that_is_live() {
    let (sdk, world) = world(|fields| match fields["Action"].as_str() {
        "DescribeEnvironments" => environments(&[
            environment("theirs", "theirs", "beanline run run-2; revision 1"),
            environment("ours", "shop", "beanline run run-1; revision 1"),
        ]),
        action => ok(action, ""),
    })
    .await;
    let site = site(&sdk);
    let end = |environment: &str| Undo::EndEnvironment {
        application: "shop".into(),
        environment: environment.into(),
        region: "local".into(),
        live_cname: Some("shop.local.elasticbeanstalk.com".into()),
    };
    assert!(site.perform(&end("theirs"), &Receipt::default()).await.is_ok(), "what is not ours counts as not there");
    let refused = site.perform(&end("ours"), &Receipt::default()).await.unwrap_err();
    assert!(refused.to_string().contains("it is live and stays"));
    assert!(!world.lock().unwrap().asked.iter().any(|action| action == "TerminateEnvironment"));
}
