//! A world in simulated time: the control plane in this process, and clients that reach it without a socket.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use beanline::clock::Clock;
use beanline::cloud::keeping_time;
use beanline::engine::retry::pause;
use beanline::inputs::Secret;
use beanline::local::control::beanstalk::model::{Container, Reading};
use beanline::local::control::beanstalk::work::{DeployWork, Outcome, Placed, Work};
use beanline::local::control::beanstalk::{Pace, bucket};
use beanline::local::control::chance::Chance;
use beanline::local::control::state::{State, Store};
use beanline::local::control::{ACCESS_KEY, ControlPlane, REGION, Settings};
use beanline::local::plane::PlaneClient;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use http_body_util::BodyExt;
use tokio::time::Instant;

/// How often it is looked whether operations are due.
const TICK: Duration = Duration::from_millis(100);

/// How long a call travels, each way.
const TRAVEL: Duration = Duration::from_millis(40);

/// A world with one application and its versions `1` and `2`.
pub struct World {
    /// Its control plane.
    pub control: ControlPlane,
    /// The time in it.
    pub clock: Clock,
    store: Store,
    directory: PathBuf,
    state: Mutex<Watched>,
}

struct Watched {
    calls: Vec<String>,
    work: Duration,
    well_since: Option<Instant>,
}

impl World {
    /// A world whose operations take a step so often, and which follows from a seed.
    pub async fn new(seed: u64, step: Duration) -> Arc<Self> {
        let clock = Clock::simulated(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let store = Store::in_memory(State::at("bench", clock.clone(), Chance::seeded(seed)));
        let directory = std::env::temp_dir().join(format!("beanline-bench-{}", uuid::Uuid::new_v4()));
        let settings = Settings {
            port: 0,
            directory: directory.clone(),
            store: store.clone(),
            pace: Pace { step, linger: Duration::from_secs(600), ..Pace::default() },
            plane: PlaneClient::new("plane.test", Secret::open("nobody asks it")),
            registry: "registry.test".into(),
        };
        let control = ControlPlane::in_process(settings, "http://cloud.test".into());
        let objects = control.beanstalk().objects();
        objects.make_bucket(&bucket()).await.unwrap();
        objects.put(&bucket(), "shop.zip", b"{}".to_vec()).await.unwrap();
        let state = Mutex::new(Watched { calls: Vec::new(), work: Duration::ZERO, well_since: None });
        let world = Arc::new(Self { control, clock, store, directory, state });
        world.ask("CreateApplication&ApplicationName=shop").await;
        for label in ["1", "2"] {
            let source = format!("SourceBundle.S3Bucket={}&SourceBundle.S3Key=shop.zip", bucket());
            world.ask(&format!("CreateApplicationVersion&ApplicationName=shop&VersionLabel={label}&{source}")).await;
        }
        world
    }

    /// Sends a call past everything that counts; gives the answer's text.
    pub async fn ask(&self, form: &str) -> String {
        let answer = self.control.beanstalk().answer(&format!("Action={form}&Version=2010-12-01")).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        assert!(head.status.is_success(), "{form}");
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// The work of the next deployments takes so long, and what was counted is forgotten.
    pub fn begin(&self, work: Duration) {
        *self.watched() = Watched { calls: Vec::new(), work, well_since: None };
    }

    /// The calls since then.
    pub fn calls(&self) -> Vec<String> {
        self.watched().calls.clone()
    }

    /// Since when the environment has been Ready and Green.
    pub fn well_since(&self) -> Option<Instant> {
        self.watched().well_since
    }

    /// Waits until nothing is under way and everybody is well.
    pub async fn rest(&self) {
        while self.well_since().is_none() {
            pause(TICK).await;
        }
    }

    /// Clients of this world.
    pub fn sdk(self: &Arc<Self>) -> SdkConfig {
        let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "the bench");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(Line(self.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::from_static(REGION))
            .endpoint_url("http://cloud.test")
            .build();
        keeping_time(sdk, &self.clock)
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let well = self
            .store
            .read(|state| state.operations.is_empty() && state.environments.iter().all(|e| e.color == "Green"));
        let mut watched = self.watched();
        watched.well_since = well.then(|| watched.well_since.unwrap_or_else(Instant::now));
    }

    /// Does what is due, for ever: instances are entries, and all of them are well.
    pub async fn run(self: Arc<Self>) {
        let beanstalk = self.control.beanstalk();
        loop {
            for (operation, work) in beanstalk.due().unwrap() {
                let world = self.clone();
                tokio::spawn(async move {
                    let outcome = match work {
                        Work::Deploy(work) => {
                            let time = world.watched().work;
                            pause(time).await;
                            Outcome::Placed(placed(&work))
                        }
                        Work::Remove(_) => Outcome::Removed,
                        Work::Tail(_) => Outcome::Tailed(Vec::new()),
                    };
                    world.control.beanstalk().finish(operation, outcome).unwrap();
                });
            }
            let answers: Vec<_> =
                beanstalk.questions().into_iter().map(|(id, ..)| (id, Reading::Answered(200))).collect();
            beanstalk.heard(&answers).unwrap();
            self.look();
            pause(TICK).await;
        }
    }
}

fn placed(work: &DeployWork) -> Vec<Placed> {
    let one = |(instance, _): &(String, Option<Container>)| {
        let id = format!("{instance}-{}", work.number);
        let container = Some(Container { id, image: "shop".into(), address: format!("{instance}:80") });
        Placed { instance: instance.clone(), container, failed: None }
    };
    work.instances.iter().map(one).collect()
}

impl Drop for World {
    fn drop(&mut self) {
        // What is left of a world in the temporary directory is a few bytes.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The way from the clients to the control plane.
#[derive(Clone)]
struct Line(Arc<World>);

impl Line {
    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        // What an HTTP client makes of a request: the host goes from the address to a header.
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        request.headers_mut().insert(http::header::HOST, host.parse().unwrap());
        *request.uri_mut() = path.parse().unwrap();
        let (head, body) = request.into_parts();
        let body: Bytes = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
        let form: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
        let action = form.into_iter().find(|(name, _)| name == "Action").map(|(_, action)| action);
        self.0.watched().calls.extend(action);
        pause(TRAVEL).await;
        let (head, body) = self.0.control.answer(http::Request::from_parts(head, body)).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        pause(TRAVEL).await;
        let response = http::Response::from_parts(head, SdkBody::from(body));
        HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the line to the world")
    }
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().carry(request))
    }
}

impl HttpClient for Line {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
