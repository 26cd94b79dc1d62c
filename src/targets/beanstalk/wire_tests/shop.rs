//! The local control plane in this process and in simulated time, with an application `shop`. Instances are entries in
//! its state; versions can be told not to come up.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Wake};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::BodyExt;

use super::*;
use crate::cloud::keeping_time;
use crate::engine::retry::pause;
use crate::inputs::Secret;
use crate::local::control::beanstalk::model::{Container, Environment, Reading};
use crate::local::control::beanstalk::work::{Cause, DeployWork, Outcome as WorkOutcome, Placed, Work};
use crate::local::control::beanstalk::{Pace as PlatformPace, bucket};
use crate::local::control::chance::Chance;
use crate::local::control::state::{State as CloudState, Store};
use crate::local::control::{ACCESS_KEY, ControlPlane, REGION, Settings};
use crate::local::plane::PlaneClient;

/// A world.
pub struct Shop {
    control: ControlPlane,
    pub store: Store,
    clock: Clock,
    directory: PathBuf,
    /// What was asked, by action and subject.
    asked: Mutex<Vec<String>>,
    /// Versions that come up on the first instance alone.
    breaks: Mutex<BTreeSet<String>>,
    /// Actions whose next answer is lost after they took effect.
    loses: Mutex<BTreeSet<String>>,
    /// An action of a run, and what somebody else calls right before it.
    meanwhile: Mutex<Option<(String, String)>>,
}

impl Shop {
    /// A world with versions `1` and `2`, whose instances are looked after.
    pub async fn open() -> Arc<Self> {
        let clock = Clock::simulated(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000));
        let store = Store::in_memory(CloudState::at("shop", clock.clone(), Chance::seeded(7)));
        let directory = std::env::temp_dir().join(format!("beanline-shop-{}", uuid::Uuid::new_v4()));
        let settings = Settings {
            port: 0,
            directory: directory.clone(),
            store: store.clone(),
            pace: PlatformPace::default(),
            plane: PlaneClient::new("plane.test", Secret::new("nobody asks it")),
            registry: "registry.test".into(),
        };
        let control = ControlPlane::in_process(settings, "http://cloud.test".into());
        let (asked, breaks, loses, meanwhile) = Default::default();
        let shop = Arc::new(Self { control, store, clock, directory, asked, breaks, loses, meanwhile });
        at_once(shop.control.beanstalk().objects().make_bucket(&bucket())).unwrap();
        shop.ask("CreateApplication&ApplicationName=shop");
        for label in ["1", "2"] {
            let objects = shop.control.beanstalk().objects();
            at_once(objects.put(&bucket(), &format!("{label}.zip"), Vec::new())).unwrap();
            let source = format!("SourceBundle.S3Bucket={}&SourceBundle.S3Key={label}.zip", bucket());
            shop.ask(&format!("CreateApplicationVersion&ApplicationName=shop&VersionLabel={label}&{source}"));
        }
        tokio::spawn(look_after(shop.clone()));
        shop
    }

    /// Makes an environment of version 1 with two instances, and waits until it stands.
    pub async fn environment(&self, name: &str, more: &str) -> String {
        let options = [
            ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", "web"),
            ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"),
            ("aws:autoscaling:asg", "MinSize", "2"),
        ];
        let options = (1..).zip(options).map(|(at, (namespace, name, value))| {
            let member = format!("OptionSettings.member.{at}");
            format!("&{member}.Namespace={namespace}&{member}.OptionName={name}&{member}.Value={value}")
        });
        self.ask(&format!(
            "CreateEnvironment&ApplicationName=shop&EnvironmentName={name}&VersionLabel=1\
             &SolutionStackName=64bit+Amazon+Linux+2023+v4.13.5+running+Docker{}{more}",
            options.collect::<String>()
        ));
        self.rest().await;
        self.seen(name).id
    }

    /// Calls something behind everybody's back.
    pub fn ask(&self, form: &str) {
        let answer = at_once(self.control.beanstalk().answer(&format!("Action={form}&Version=2010-12-01")));
        assert!(answer.status().is_success(), "{form}");
    }

    /// Waits until nothing is under way and health was read since.
    pub async fn rest(&self) {
        while !self.store.read(|state| state.operations.is_empty()) {
            pause(Duration::from_secs(1)).await;
        }
        pause(Duration::from_secs(5)).await;
    }

    /// An environment as it is.
    pub fn seen(&self, name: &str) -> Environment {
        let find = |state: &CloudState| state.environments.iter().rfind(|e| e.name == name).cloned();
        self.store.read(find).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// What the instances of an environment say that they run.
    pub fn fleet(&self, name: &str) -> Vec<String> {
        let instances = self.seen(name).instances;
        instances.iter().filter_map(|i| i.deployment.as_ref()).map(|d| format!("{} {}", d.label, d.status)).collect()
    }

    /// From now on this version comes up on the first instance alone.
    pub fn break_version(&self, label: &str) {
        self.breaks.lock().unwrap().insert(label.into());
    }

    /// The next answer to this action is lost.
    pub fn lose(&self, action: &str) {
        self.loses.lock().unwrap().insert(action.into());
    }

    /// Right before a run's next such call somebody else calls this.
    pub fn meanwhile(&self, action: &str, form: String) {
        self.meanwhile.lock().unwrap().replace((action.into(), form));
    }

    /// How often an action was called by a run.
    pub fn count(&self, action: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == action).count()
    }

    /// A run with this plan. The same commit has the same key.
    pub fn run(self: &Arc<Self>, id: &str, plan: BeanstalkPlan) -> Beanstalk {
        let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(Line(self.clone()))
            .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(credentials))
            .region(Region::from_static(REGION))
            .endpoint_url("http://cloud.test")
            .build();
        let context = SiteContext {
            run_id: id.into(),
            run_key: format!("key of {}", plan.version_label),
            revision: "1f0c2aa".into(),
            run_url: None,
            job: Some("the job".into()),
            about: format!("shop at {}", plan.version_label),
            lifetime: Duration::from_secs(600),
            clock: self.clock.clone(),
            journals: None,
            url_of: Rc::new(|cname| format!("http://{cname}/")),
        };
        Beanstalk::new(&keeping_time(sdk, &self.clock), true, plan, context)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // What is left is small files in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Does the instances' work, for as long as somebody else looks at the world.
async fn look_after(shop: Arc<Shop>) {
    while Arc::strong_count(&shop) > 1 {
        let beanstalk = shop.control.beanstalk();
        for (operation, work) in beanstalk.due().unwrap() {
            let outcome = match work {
                Work::Deploy(work) => WorkOutcome::Placed(shop.place(&work)),
                Work::Remove(_) => WorkOutcome::Removed,
                Work::Tail(work) => {
                    let said = |(id, _)| (id, "the last line".to_owned());
                    WorkOutcome::Tailed(work.instances.into_iter().map(said).collect())
                }
            };
            beanstalk.finish(operation, outcome).unwrap();
        }
        let answers: Vec<(String, Reading)> =
            beanstalk.questions().into_iter().map(|(id, ..)| (id, Reading::Answered(200))).collect();
        beanstalk.heard(&answers).unwrap();
        pause(Duration::from_millis(100)).await;
    }
}

impl Shop {
    fn place(&self, work: &DeployWork) -> Vec<Placed> {
        let label = self.store.read(|state| {
            let environment = state.environments.iter().find(|environment| environment.id == work.environment);
            environment.and_then(|environment| environment.version_label.clone()).unwrap_or_default()
        });
        let breaks = self.breaks.lock().unwrap().contains(&label);
        let placed = work.instances.iter().enumerate().map(|(at, (instance, before))| {
            let runs = Container {
                id: format!("{instance}-{}", work.number),
                image: work.key.clone(),
                address: format!("{instance}:80"),
            };
            let failed = (breaks && at > 0).then_some(Cause::NotPulled);
            let container = if failed.is_some() { before.clone() } else { Some(runs) };
            Placed { instance: instance.clone(), container, failed }
        });
        placed.collect()
    }
}

/// The way from a run's clients to the world.
#[derive(Clone)]
struct Line(Arc<Shop>);

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the line to the shop")
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

impl Line {
    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
        let host = head.uri.authority().map(ToString::to_string).unwrap_or_default();
        head.headers.insert(http::header::HOST, host.parse().unwrap());
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        head.uri = path.parse().unwrap();
        let fields: Fields = serde_urlencoded::from_bytes(&body).unwrap_or_default();
        let action = fields.get("Action").cloned().unwrap_or_default();
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).push(action.clone());
        pause(Duration::from_millis(5)).await;
        let first = self.0.meanwhile.lock().unwrap().take_if(|(before, _)| *before == action);
        first.iter().for_each(|(_, form)| self.0.ask(form));
        let answer = at_once(self.0.control.answer(http::Request::from_parts(head, body)));
        if self.0.loses.lock().unwrap().remove(&action) {
            return Err(ConnectorError::io(std::io::Error::other("connection reset by peer").into()));
        }
        let (head, body) = answer.into_parts();
        let body = at_once(body.collect()).map(|body| body.to_bytes()).unwrap_or_default();
        let response = http::Response::from_parts(head, SdkBody::from(body));
        HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
    }
}

/// Waits for the world's disk, which takes no simulated time.
fn at_once<F: Future>(disk: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut disk = std::pin::pin!(tokio::task::unconstrained(disk));
    loop {
        match disk.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
