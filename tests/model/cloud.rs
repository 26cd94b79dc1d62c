//! A world: the control plane in this process, a registry that is a table, and instances that are entries in another.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use beanline::clock::Clock;
use beanline::engine::retry::pause;
use beanline::image::{Digest, Repository, Tag, TaggedRef};
use beanline::inputs::Secret;
use beanline::local::control::beanstalk::{Pace, bucket};
use beanline::local::control::chance::Chance;
use beanline::local::control::state::{State, Store};
use beanline::local::control::{ControlPlane, Settings};
use beanline::local::plane::PlaneClient;
use beanline::targets::beanstalk::bundle::{Bundle, Names};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::promises::Ledger;
use crate::schedule::Schedule;
use crate::trace::Trace;

/// The application of every world.
pub const APPLICATION: &str = "shop";
/// The prefix of its live CNAME.
pub const LIVE: &str = "shop";
/// The live CNAME.
pub const LIVE_CNAME: &str = "shop.local.elasticbeanstalk.com";
/// The environment that is live before the first run, where there is one.
pub const BLUE: &str = "shop-blue";
/// Its version.
const BASE: &str = "base";
/// The port that every image listens on.
pub const PORT: u16 = 8080;

/// How fast the platform is: minutes become seconds.
const PACE: Pace = Pace {
    step: Duration::from_millis(250),
    linger: Duration::from_secs(600),
    ask_every: Duration::from_millis(500),
    watch: Duration::from_secs(1),
};

/// A world.
pub struct Cloud {
    /// What goes wrong in it.
    pub schedule: Schedule,
    /// What happens in it.
    pub trace: Trace,
    /// Its control plane.
    pub control: ControlPlane,
    /// What that remembers.
    pub store: Store,
    /// What must hold.
    pub ledger: Ledger,
    /// What time it is there.
    clock: Clock,
    registry: Mutex<BTreeMap<String, Digest>>,
    pub(crate) containers: Mutex<BTreeMap<String, Running>>,
    directory: PathBuf,
}

/// A container of an instance.
#[derive(Clone, Debug)]
pub struct Running {
    /// The image that was pulled.
    pub digest: Digest,
    /// When it was started.
    pub since: Instant,
}

/// The name of a revision's image.
pub fn reference(tag: &str) -> TaggedRef {
    let repository = Repository::parse("registry.test/shop", Repository::DOCKER_HUB).unwrap();
    TaggedRef { repository, tag: Tag::parse(tag).unwrap() }
}

impl Cloud {
    /// A world for this schedule.
    pub fn new(schedule: Schedule) -> Arc<Self> {
        let clock = Clock::simulated(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let store = Store::in_memory(State::at("model", clock.clone(), Chance::seeded(schedule.seed)));
        let directory = std::env::temp_dir().join(format!("beanline-model-{}", uuid::Uuid::new_v4()));
        let settings = Settings {
            port: 0,
            directory: directory.clone(),
            store: store.clone(),
            pace: PACE,
            plane: PlaneClient::new("plane.test", Secret::open("nobody asks it")),
            registry: "registry.test".into(),
        };
        Arc::new(Self {
            trace: Trace::begin(),
            control: ControlPlane::in_process(settings, "http://cloud.test".into()),
            ledger: Ledger::new(&schedule),
            schedule,
            store,
            clock,
            registry: Mutex::default(),
            containers: Mutex::default(),
            directory,
        })
    }

    /// Answers a call of a run, and looks whether the world is still as it must be.
    pub fn answer(
        &self,
        run: usize,
        name: &str,
        changes: bool,
        request: http::Request<Bytes>,
    ) -> http::Response<SdkBody> {
        let (head, body) = at_once(self.control.answer(request)).into_parts();
        let body = at_once(body.collect()).map(|body| body.to_bytes()).unwrap_or_default();
        if changes {
            self.ledger.changed(run, name);
        }
        self.look();
        http::Response::from_parts(head, SdkBody::from(body))
    }

    /// Compares the world with the promises.
    pub fn look(&self) {
        let containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = self.store.read(|state| self.ledger.during(state, &containers));
        broken.into_iter().for_each(|promise| self.trace.line(format!("BROKEN: {promise}")));
    }

    /// Gives an image its tag in the registry.
    pub fn push(&self, tag: &str, digest: &Digest) {
        let name = reference(tag).to_string();
        self.trace.line(format!("{name} is {} now", digest.short()));
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).insert(name, digest.clone());
    }

    /// What a name resolves to.
    pub fn digest(&self, name: &str) -> Option<Digest> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// What time it is there.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A run says that it has deployed: the world must be so.
    pub fn deployed(&self, run: usize, label: &str, digest: &Digest) {
        let containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = self.store.read(|state| self.ledger.deployed(state, &containers, run, label, digest));
        broken.into_iter().for_each(|promise| self.trace.line(format!("BROKEN: {promise}")));
    }

    /// Makes the environment that is live before the first run.
    pub async fn make_live(&self) {
        let digest = Digest::of(BASE.as_bytes());
        self.push(BASE, &digest);
        let (image, bucket_name) = (reference(BASE), bucket());
        let names = Names {
            image: &image,
            known_as: &image,
            digest: &digest,
            port: PORT,
            version_label: BASE,
            bucket: &bucket_name,
        };
        let bundle = Bundle::default().pack(&names, None).unwrap();
        let objects = self.control.beanstalk().objects();
        at_once(objects.make_bucket(&bucket())).unwrap();
        at_once(objects.put(&bucket(), "base.zip", bundle.bytes)).unwrap();
        self.ledger.tested(BASE, &digest);
        self.ask(&format!("CreateApplication&ApplicationName={APPLICATION}"));
        let version = format!("CreateApplicationVersion&ApplicationName={APPLICATION}&VersionLabel={BASE}");
        let source = format!("SourceBundle.S3Bucket={}&SourceBundle.S3Key=base.zip", bucket());
        self.ask(&format!("{version}&{source}&Description=base@{digest}"));
        let options = [
            ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", "web".to_owned()),
            ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced".to_owned()),
            ("aws:autoscaling:asg", "MinSize", self.schedule.fleet.to_string()),
        ];
        let options: String = (1..)
            .zip(options)
            .map(|(at, (namespace, name, value))| {
                let member = format!("OptionSettings.member.{at}");
                format!("&{member}.Namespace={namespace}&{member}.OptionName={name}&{member}.Value={value}")
            })
            .collect();
        self.ask(&format!(
            "CreateEnvironment&ApplicationName={APPLICATION}&EnvironmentName={BLUE}&CNAMEPrefix={LIVE}\
             &VersionLabel={BASE}&SolutionStackName=64bit+Amazon+Linux+2023+v4.13.5+running+Docker{options}"
        ));
        self.rest().await;
        // Its health is read a moment later.
        pause(Duration::from_secs(5)).await;
        self.ledger.begins();
    }

    fn ask(&self, form: &str) {
        let answer = at_once(self.control.beanstalk().answer(&format!("Action={form}&Version=2010-12-01")));
        assert!(answer.status().is_success(), "{form}");
    }

    /// Waits until nothing is under way.
    pub async fn rest(&self) {
        while !self.store.read(|state| state.operations.is_empty()) {
            pause(Duration::from_secs(1)).await;
        }
    }
}

/// Waits for the cloud's disk without letting anything else go on meanwhile.
///
/// How long a real disk takes differs from one run to the next; whether a task is let in while it works would too, and
/// with it the order of everything after. In simulated time a disk takes none.
pub fn at_once<F: Future>(disk: F) -> F::Output {
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

impl Drop for Cloud {
    fn drop(&mut self) {
        // What is left of a world in the temporary directory is empty files.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
