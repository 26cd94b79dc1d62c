//! An environment that goes by a script, in simulated time: no socket, and a real region's pace.

use aws_sdk_elasticbeanstalk::config::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http_body_util::BodyExt;

use super::super::events::Anchor;
use super::super::operation::{Kind, Operation};
use super::super::pace::Pace;
use super::super::verdict::{Proof, Witness};
use super::super::wait::conclude;
use super::super::watcher::Watcher;
use super::*;
use crate::inputs::Health;

/// What goes wrong: by a call's name, and the seconds since the play began; an answer, or `None` where it goes well.
pub type Trouble = fn(&str, u64) -> Option<(u16, String)>;

/// What an environment shows, by the seconds since the play began. What is given for a second holds until the next.
#[derive(Clone)]
pub struct Play {
    /// Status, version and health.
    pub states: Vec<(u64, &'static str, &'static str, &'static str)>,
    /// Events: `!` begins an ERROR, `?` one of another request, `~` one of none; anything else is INFO and ours.
    pub events: Vec<(u64, &'static str)>,
    /// How many seconds later they show.
    pub late: u64,
    /// Version and deployment of each instance, with commas between; with basic health, empty.
    pub instances: Vec<(u64, &'static str)>,
    /// Objects in Beanstalk's bucket: keys and texts.
    pub objects: Vec<(&'static str, &'static str)>,
    /// What goes wrong.
    pub trouble: Trouble,
    /// Whether the call's answer was lost, and with it the request id.
    pub is_lost: bool,
}

/// What came of a play.
pub struct Played {
    /// The verdict.
    pub verdict: Result<Proof, Fault>,
    /// When it was in, in seconds.
    pub took: u64,
    /// The events that were told.
    pub told: Vec<String>,
    /// What else was said.
    pub notes: Vec<String>,
    /// The calls.
    pub asked: Vec<String>,
}

impl Played {
    /// The verdict in a word, and when.
    pub fn word(&self) -> (&'static str, u64) {
        let word = match &self.verdict {
            Ok(Proof { by: Witness::Event, .. }) => "by event",
            Ok(Proof { by: Witness::State, .. }) => "by state",
            Err(fault) if fault.is_time_out() => "too late",
            Err(_) => "failed",
        };
        (word, self.took)
    }

    /// What the user reads of a failure.
    pub fn fault(&self) -> &Fault {
        self.verdict.as_ref().unwrap_err()
    }
}

impl Default for Play {
    /// An update to version 2 that takes half a minute and goes well.
    fn default() -> Self {
        Self {
            states: vec![(0, "Updating", "2", "Grey"), (30, "Ready", "2", "Green")],
            events: UPDATED.to_vec(),
            late: 0,
            instances: vec![(0, "1 Deployed,1 Deployed"), (30, "2 Deployed,2 Deployed")],
            objects: Vec::new(),
            trouble: |_, _| None,
            is_lost: false,
        }
    }
}

/// The events of an update that goes well.
pub const UPDATED: [(u64, &str); 5] = [
    (0, "Environment update is starting."),
    (5, "Deploying new version to instance(s)."),
    (28, "Instance deployment completed successfully."),
    (30, "New application version was deployed to running EC2 instances."),
    (30, "Environment update completed successfully."),
];

/// The answer to a call that a policy forbids.
pub fn denial(action: &str) -> Option<(u16, String)> {
    let who = "arn:aws:sts::1:assumed-role/ci/run";
    Some(error("AccessDenied", &format!("User: {who} is not authorized to perform: {action} on resource: *")))
}

/// The world of one play.
struct Scene {
    play: Play,
    began: Instant,
    asked: Mutex<Vec<String>>,
}

#[derive(Clone)]
struct Line(Arc<Scene>);

fn origin() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn date(second: u64) -> String {
    (origin() + TimeDelta::seconds(second as i64)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn held<T>(all: &[(u64, T)], now: u64) -> Option<&T> {
    all.iter().rev().find(|(from, _)| *from <= now).map(|(_, value)| value)
}

impl Scene {
    fn answer(&self, call: &str) -> (u16, String) {
        let now = self.began.elapsed().as_secs();
        self.asked.lock().unwrap().push(call.to_owned());
        if let Some(answer) = (self.play.trouble)(call, now) {
            return answer;
        }
        match call {
            "DescribeEnvironments" => environments(&[self.environment(now)]),
            "DescribeEvents" => ok(call, &format!("<Events>{}</Events>", self.events(now))),
            "DescribeInstancesHealth" => {
                let all = held(&self.play.instances, now).map(|all| instances(all)).unwrap_or_default();
                ok(call, &format!("<InstanceHealthList>{all}</InstanceHealthList>"))
            }
            "DescribeEnvironmentHealth" => {
                ok(call, "<Causes><member>Command failed on all instances.</member></Causes>")
            }
            read if read.starts_with("GET ") => self.object(read),
            other => ok(other, ""),
        }
    }

    fn environment(&self, now: u64) -> String {
        let states: Vec<_> =
            self.play.states.iter().map(|(at, status, label, health)| (*at, (status, label, health))).collect();
        let (status, label, health) = held(&states, now).unwrap();
        let enhanced = match self.play.instances.is_empty() {
            true => "",
            false => "<HealthStatus>Ok</HealthStatus>",
        };
        format!(
            "<member><EnvironmentId>e-1</EnvironmentId><EnvironmentName>shop-1</EnvironmentName>\
             <EnvironmentArn>arn:aws:elasticbeanstalk:eu-west-1:1:environment/shop/shop-1</EnvironmentArn>\
             <ApplicationName>shop</ApplicationName><Status>{status}</Status><VersionLabel>{label}</VersionLabel>\
             <Health>{health}</Health>{enhanced}</member>"
        )
    }

    fn events(&self, now: u64) -> String {
        let shown = self.play.events.iter().rev().filter(|(at, _)| at + self.play.late <= now);
        let one = |(at, text): &(u64, &str)| {
            let marks = text.chars().take_while(|mark| "!?~".contains(*mark)).count();
            let (marks, message) = text.split_at(marks);
            let severity = if marks.contains('!') { "ERROR" } else { "INFO" };
            let request = match () {
                () if marks.contains('?') => "<RequestId>theirs</RequestId>",
                () if marks.contains('~') => "",
                () => "<RequestId>ours</RequestId>",
            };
            let date = date(*at);
            format!(
                "<member><EventDate>{date}</EventDate><Message>{message}</Message><Severity>{severity}</Severity>\
                 {request}</member>"
            )
        };
        shown.map(one).collect()
    }

    fn object(&self, read: &str) -> (u16, String) {
        if read.contains("list-type=2") {
            let one = |(key, _): &(&str, &str)| {
                format!("<Contents><Key>{key}</Key><LastModified>{}</LastModified></Contents>", date(1))
            };
            let all: String = self.play.objects.iter().map(one).collect();
            return (200, format!("<ListBucketResult>{all}</ListBucketResult>"));
        }
        match self.play.objects.iter().find(|(key, _)| read.contains(key)) {
            Some((_, text)) => (200, (*text).to_owned()),
            None => (404, "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>".to_owned()),
        }
    }
}

fn instances(all: &str) -> String {
    let one = |(number, instance): (usize, &str)| {
        let (label, status) = instance.split_once(' ').unwrap();
        format!(
            "<member><InstanceId>i-{number}</InstanceId><Deployment><VersionLabel>{label}</VersionLabel>\
             <Status>{status}</Status></Deployment></member>"
        )
    };
    all.split(',').enumerate().map(one).collect()
}

impl Line {
    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
        let fields: Fields = serde_urlencoded::from_bytes(&body).unwrap_or_default();
        let path = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let call = fields.get("Action").cloned().unwrap_or_else(|| format!("{} {path}", head.method));
        let (status, text) = self.0.answer(&call);
        if status == NEVER {
            std::future::pending::<()>().await;
        }
        let response = http::Response::builder().status(status).header("x-amzn-requestid", "ours");
        let response = response.body(SdkBody::from(text)).map_err(|error| ConnectorError::user(error.into()))?;
        HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the line to the scene")
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

/// Health as the inputs' defaults demand it.
pub fn demand(pace: &Pace) -> Demand {
    let s = Duration::from_secs;
    Demand {
        minimum_health: Health::Green,
        healthy_for: s(15),
        health_timeout: s(300),
        late_events: pace.late_events,
        rolled_back_after: s(30),
        unconfirmed_after: s(60),
    }
}

/// Waits for the verdict on an operation whose call has just been answered, and explains a failure.
pub async fn play(play: Play, kind: Kind) -> Played {
    let is_lost = play.is_lost;
    let stage = Arc::new(Scene { play, began: Instant::now(), asked: Mutex::default() });
    let clock = Clock::simulated(origin());
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Line(stage.clone()))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "test")))
        .region(Region::new("eu-west-1"))
        .endpoint_url("http://cloud.test")
        .build();
    let api = Api::new(&crate::cloud::keeping_time(sdk, &clock), true);
    let pace = Pace::of("eu-west-1");
    let request_id = (!is_lost).then(|| "ours".to_owned());
    let (name, environment_id) = ("shop-1".to_owned(), "e-1".to_owned());
    let made = environment::Request { name: name.clone(), environment_id: environment_id.clone(), request_id };
    let request_id = made.request_id.clone();
    let anchor = Anchor::after(&[]);
    let operation = Operation { kind, environment_id, environment: name, request_id, anchor };
    let watcher = Watcher::start(api.clone(), pace, clock);
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    let took = Cell::new(0);
    let wait = async |cx: &StageCx| {
        let concluded = conclude(&watcher, Some(cx), &operation, &demand(&pace), Duration::from_secs(2400)).await;
        took.set(stage.began.elapsed().as_secs());
        match concluded {
            Ok(concluded) => Ok(Ok(concluded.proof)),
            Err(fault) => Ok(Err(hints::with_hints(logs::with_logs(&api, cx, &made, &pace, fault).await))),
        }
    };
    let verdict = engine.stage(Stage::Deploy, Duration::from_secs(3600), wait).await;
    drop(engine);
    let (mut told, mut notes) = (Vec::new(), Vec::new());
    while let Some(event) = receiver.next().await {
        match event.kind {
            EventKind::StageFact { fact: Fact::Platform { message, .. }, .. } => told.push(message),
            EventKind::StageNote { text, .. } | EventKind::StageWarning { text, .. } => notes.push(text),
            _ => {}
        }
    }
    let asked = stage.asked.lock().unwrap().clone();
    let Ok(verdict) = verdict else { panic!("the stage was stopped") };
    Played { verdict, took: took.get(), told, notes, asked }
}
