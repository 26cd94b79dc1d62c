//! The API against a world in memory. Work on containers is answered here as data, as `nodes.rs` would.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::model::Container;
use super::objects::Pending;
use super::work::{Cause, DeployWork, Placed};
use super::*;

/// Objects in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Objects for Memory {
    fn make_bucket<'a>(&'a self, _bucket: &'a str) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> Pending<'a, Vec<u8>> {
        let found = self.0.lock().unwrap().get(&format!("{bucket}/{key}")).cloned();
        Box::pin(async { found.ok_or_else(|| Fault::new("no such object")) })
    }

    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, bytes: Vec<u8>) -> Pending<'a, ()> {
        self.0.lock().unwrap().insert(format!("{bucket}/{key}"), bytes);
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> Pending<'a, ()> {
        self.0.lock().unwrap().remove(&format!("{bucket}/{key}"));
        Box::pin(async { Ok(()) })
    }

    fn link(&self, bucket: &str, key: &str) -> Result<String, Fault> {
        Ok(format!("http://127.0.0.1/{bucket}/{key}"))
    }
}

/// A world whose steps follow one another at once.
pub(super) struct World {
    pub beanstalk: Beanstalk,
    pub store: Store,
}

pub(super) const ENHANCED: &str = "&OptionSettings.member.2.Namespace=aws:elasticbeanstalk:healthreporting:system\
     &OptionSettings.member.2.OptionName=SystemType&OptionSettings.member.2.Value=enhanced";

impl World {
    /// With an application `shop` and its versions `1` and `2`.
    pub async fn with_shop() -> Self {
        Self::with_steps_of(Duration::ZERO).await
    }

    /// The same, with so much time between steps that each can be looked at.
    pub async fn with_steps_of(step: Duration) -> Self {
        Self::at_pace(Pace { step, linger: Duration::ZERO, ask_every: Duration::ZERO, ..Pace::default() }).await
    }

    /// The same, whose terminated environments are listed for long.
    pub async fn lingering() -> Self {
        Self::at_pace(Pace { step: Duration::ZERO, ask_every: Duration::ZERO, ..Pace::default() }).await
    }

    async fn at_pace(pace: Pace) -> Self {
        let objects = Arc::new(Memory::default());
        objects.put("b", "k", b"{}".to_vec()).await.unwrap();
        let store = Store::in_memory(State::new("w"));
        let world = Self { beanstalk: Beanstalk::new(store.clone(), pace, objects), store };
        world.ok("CreateApplication&ApplicationName=shop").await;
        for label in ["1", "2"] {
            let bundle = "SourceBundle.S3Bucket=b&SourceBundle.S3Key=k";
            world.ok(&format!("CreateApplicationVersion&ApplicationName=shop&VersionLabel={label}&{bundle}")).await;
        }
        world
    }

    /// Calls; gives status and body.
    pub async fn call(&self, form: &str) -> (u16, String) {
        let response = self.beanstalk.answer(&format!("Action={form}&Version=2010-12-01")).await;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap_or_default();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Calls something that works.
    pub async fn ok(&self, form: &str) -> String {
        let (status, body) = self.call(form).await;
        assert_eq!(status, 200, "{form}: {body}");
        body
    }

    /// Calls something that is refused; gives the message.
    pub async fn refused(&self, form: &str) -> String {
        let (status, body) = self.call(form).await;
        assert_ne!(status, 200, "{form}: {body}");
        texts(&body, "Message").remove(0)
    }

    /// Creates an environment of version 1 that comes up, and gives its id.
    pub async fn environment(&self, name: &str, more: &str) -> String {
        let id = self.launch(name, more).await;
        self.go_on(&|_| None);
        id
    }

    /// Creates an environment of version 1 and gives its id.
    pub async fn launch(&self, name: &str, more: &str) -> String {
        let stack = "64bit+Amazon+Linux+2023+v4.13.5+running+Docker";
        let body = self
            .ok(&format!(
                "CreateEnvironment&ApplicationName=shop&EnvironmentName={name}&CNAMEPrefix={name}&VersionLabel=1\
                 &SolutionStackName={stack}&OptionSettings.member.1.Namespace=aws:autoscaling:launchconfiguration\
                 &OptionSettings.member.1.OptionName=IamInstanceProfile&OptionSettings.member.1.Value=ec2{more}"
            ))
            .await;
        texts(&body, "EnvironmentId").remove(0)
    }

    /// Lets operations end; `fails` says on which instances of a batch a deployment does not work.
    pub fn go_on(&self, fails: &dyn Fn(usize) -> Option<Cause>) {
        self.go_on_until(fails, 200, &|state| state.operations.is_empty());
    }

    /// Lets operations go on until `enough`; every instance answers with `status`.
    pub fn go_on_until(&self, fails: &dyn Fn(usize) -> Option<Cause>, status: u16, enough: &dyn Fn(&State) -> bool) {
        let began = std::time::Instant::now();
        loop {
            let work = self.beanstalk.due().unwrap();
            if work.is_empty() && self.store.read(enough) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "it does not go on");
            self.hear(status);
            for (operation, work) in work {
                let outcome = match work {
                    Work::Deploy(work) => Outcome::Placed(placed(&work, fails)),
                    Work::Remove(_) => Outcome::Removed,
                    Work::Tail(work) => {
                        Outcome::Tailed(work.instances.into_iter().map(|(id, _)| (id, "http://x/log".into())).collect())
                    }
                };
                self.beanstalk.finish(operation, outcome).unwrap();
            }
        }
        self.store
            .change(|state| state.environments.iter_mut().for_each(|e| e.health_held_until = state.created))
            .unwrap();
        self.hear(status);
        self.beanstalk.due().unwrap();
    }

    fn hear(&self, status: u16) {
        let questions = self.beanstalk.questions().into_iter();
        let answers: Vec<_> = questions.map(|(id, _, _)| (id, Reading::Answered(status))).collect();
        self.beanstalk.heard(&answers).unwrap();
    }

    /// The messages of an environment's events, oldest first, with those of `request` alone if given.
    pub async fn events(&self, filter: &str) -> Vec<String> {
        let mut found = texts(&self.ok(&format!("DescribeEvents&{filter}")).await, "Message");
        found.reverse();
        found
    }

    /// One field of one environment.
    pub async fn field(&self, id: &str, name: &str) -> String {
        let body = self.ok(&format!("DescribeEnvironments&EnvironmentIds.member.1={id}&IncludeDeleted=true")).await;
        texts(&body, name).first().cloned().unwrap_or_default()
    }
}

fn placed(work: &DeployWork, fails: &dyn Fn(usize) -> Option<Cause>) -> Vec<Placed> {
    let one = |(index, (instance, old)): (usize, &(String, Option<Container>))| {
        let failed = fails(index);
        let (number, key) = (work.number, &work.key);
        let new = Container {
            id: format!("{instance}-{number}"),
            image: key.clone(),
            address: format!("10.0.0.{}:80", index + 1),
        };
        Placed { instance: instance.clone(), container: if failed.is_some() { old.clone() } else { Some(new) }, failed }
    };
    work.instances.iter().enumerate().map(one).collect()
}

/// A zip of these files.
pub(super) fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The texts of all elements of that name.
pub(super) fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let rest = xml.split(&open).skip(1);
    let unescaped = |text: &str| text.replace("&apos;", "'").replace("&quot;", "\"").replace("&gt;", ">");
    rest.filter_map(|rest| Some(unescaped(rest.split(&close).next()?))).collect()
}

#[tokio::test]
async fn an_environment_comes_up_with_the_events_of_the_real_one() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", ENHANCED).await;
    let events = world.events(&format!("EnvironmentId={id}")).await;
    assert_eq!(events[0], "createEnvironment is starting.");
    for text in [
        "Using elasticbeanstalk-local-000000000000 as Amazon S3 storage bucket for environment data.",
        "Instance deployment completed successfully.",
        "Application available at shop-a.local.elasticbeanstalk.com.",
        "Successfully launched environment: shop-a",
    ] {
        assert!(events.iter().any(|event| event == text), "{text} is missing in {events:#?}");
    }
    assert!(
        events.last().unwrap().starts_with("Environment health has transitioned from Pending to Ok. Initialization")
    );
    assert_eq!(world.field(&id, "Status").await, "Ready");
    assert_eq!(world.field(&id, "Health").await, "Green");
    assert_eq!(world.field(&id, "HealthStatus").await, "Ok");
    let health = world.ok(&format!("DescribeInstancesHealth&EnvironmentId={id}&AttributeNames.member.1=All")).await;
    assert_eq!((texts(&health, "VersionLabel"), texts(&health, "Status")), (vec!["1".into()], vec!["Deployed".into()]));
    let way = &world.beanstalk.ways()["shop-a.local.elasticbeanstalk.com"];
    assert_eq!(way.backends, ["10.0.0.1:80"]);
}

#[tokio::test]
async fn an_environment_without_an_instance_profile_ends_at_once() {
    let world = World::with_shop().await;
    let id = world.launch("shop-a", "&OptionSettings.member.1.Value=").await;
    world.go_on(&|_| None);
    let events = world.events(&format!("EnvironmentId={id}&Severity=ERROR")).await;
    assert_eq!(events[0], "Environment must have instance profile associated with it.");
    assert_eq!(world.field(&id, "Status").await, "Terminated");
    assert_eq!(world.events("EnvironmentName=shop-a&Severity=FATAL").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_environment_whose_container_ends_is_ready_and_red() {
    let world = World::with_shop().await;
    let id = world.launch("shop-a", "").await;
    world.go_on(&|_| Some(Cause::Ended));
    let events = world.events(&format!("EnvironmentId={id}")).await;
    let told = |start: &str| events.iter().any(|event| event.starts_with(start));
    assert!(told("Instance deployment: The Docker container unexpectedly ended after it was started."));
    assert!(told("Launched environment: shop-a. However, there were issues during launch."));
    assert!(!told("Successfully launched environment"));
    assert_eq!(world.field(&id, "Status").await, "Ready");
    assert_eq!(world.field(&id, "HealthStatus").await, "");
}

#[tokio::test]
async fn an_update_shows_the_new_label_and_goes_back_to_the_old_one_when_it_fails() {
    let world = World::with_shop().await;
    let two = "&OptionSettings.member.3.Namespace=aws:autoscaling:asg&OptionSettings.member.3.OptionName=MinSize\
               &OptionSettings.member.3.Value=2";
    let id = world.environment("shop-a", &format!("{ENHANCED}{two}")).await;
    let update = format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2");
    let body = world.ok(&update).await;
    assert_eq!((texts(&body, "Status"), texts(&body, "Health")), (vec!["Updating".into()], vec!["Grey".into()]));
    assert_eq!(world.field(&id, "VersionLabel").await, "2");
    assert_eq!(world.field(&id, "AbortableOperationInProgress").await, "true");
    let busy = "Environment named shop-a is in an invalid state for this operation. Must be Ready.";
    assert_eq!(world.refused(&update).await, busy);
    let terminate = format!("TerminateEnvironment&EnvironmentId={id}");
    let pending = "Cannot terminate environment named shop-a. It is currently pending deployment.";
    assert_eq!(world.refused(&terminate).await, pending);
    world.go_on(&|index| (index == 1).then_some(Cause::NotPulled));
    assert_eq!(world.field(&id, "VersionLabel").await, "1");
    assert_eq!(world.field(&id, "HealthStatus").await, "Degraded");
    let request = texts(&body, "RequestId").remove(0);
    let events = world.events(&format!("RequestId={request}")).await;
    assert_eq!(
        events[..5],
        [
            "Environment update is starting.",
            "Deploying new version to instance(s).",
            "Instance deployment completed successfully.",
            "Instance deployment failed to download the Docker image. The deployment failed.",
            "Instance deployment failed. For details, see 'eb-engine.log'.",
        ]
    );
    assert_eq!(events[6], "Command execution completed on all instances. Summary: [Successful: 1, Failed: 1].");
    assert_eq!(events[8], "Failed to deploy application.");
    let health =
        world.ok(&format!("DescribeEnvironmentHealth&EnvironmentId={id}&AttributeNames.member.1=Causes")).await;
    assert!(health.contains("Incorrect application version found on 1 out of 2 instances."), "{health}");
    world.ok(&update).await;
    world.go_on(&|_| None);
    assert_eq!(world.field(&id, "VersionLabel").await, "2");
    assert_eq!(world.field(&id, "HealthStatus").await, "Ok");
}

#[tokio::test]
async fn a_swap_exchanges_the_names_and_nothing_else() {
    let world = World::with_shop().await;
    let (a, b) = (world.environment("shop-a", "").await, world.environment("shop-b", "").await);
    let endpoint = world.field(&a, "EndpointURL").await;
    let swap = format!("SwapEnvironmentCNAMEs&SourceEnvironmentId={a}&DestinationEnvironmentId={b}");
    let body = world.ok(&swap).await;
    assert!(!body.contains("SwapEnvironmentCNAMEsResult"));
    assert_eq!(world.field(&b, "Status").await, "Updating");
    world.go_on(&|_| None);
    assert_eq!(world.field(&a, "CNAME").await, "shop-b.local.elasticbeanstalk.com");
    assert_eq!(world.field(&b, "CNAME").await, "shop-a.local.elasticbeanstalk.com");
    assert_eq!(world.field(&a, "EndpointURL").await, endpoint);
    assert_eq!(world.beanstalk.ways()["shop-b.local.elasticbeanstalk.com"].endpoint, endpoint);
    let request = texts(&body, "RequestId").remove(0);
    for id in [&a, &b] {
        let events = world.events(&format!("RequestId={request}&EnvironmentId={id}")).await;
        let last = "Completed swapping CNAMEs for environments 'shop-a' and 'shop-b'.";
        assert_eq!(events.last().map(String::as_str), Some(last));
    }
    world.ok(&format!("TerminateEnvironment&EnvironmentId={a}")).await;
    assert!(world.refused(&swap).await.ends_with("Must be Ready."));
    world.go_on(&|_| None);
    let gone = format!("No Environment found for EnvironmentId = '{a}'.");
    assert_eq!(world.refused(&swap).await, gone);
    let free = world.ok("CheckDNSAvailability&CNAMEPrefix=shop-b").await;
    assert_eq!(texts(&free, "Available"), ["true"]);
    assert!(!world.ok("DescribeEnvironments&ApplicationName=shop").await.contains(&a));
}
