//! One run: the half of the pipeline that ships, with the real engine, the real site and the real AWS clients.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use beanline::clock::Clock;
use beanline::cloud::keeping_time;
use beanline::engine::cancel::{Cancel, CancelReason};
use beanline::engine::event::{End, EventKind, Fact, Outcome, Stage};
use beanline::engine::retry::pause;
use beanline::engine::undo::Undo;
use beanline::engine::{Engine, EventReceiver, Stopped, events};
use beanline::fault::Fault;
use beanline::image::Digest;
use beanline::inputs::{BeanstalkPlan, Health, OnBusy, Promotion, Strategy};
use beanline::local::control::{ACCESS_KEY, REGION};
use beanline::registry::Home;
use beanline::stages;
use beanline::targets::beanstalk::{Beanstalk, Deployed, ImageToDeploy, SiteContext, Standing, Survey};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cloud::{APPLICATION, Cloud, LIVE, PORT, reference};
use crate::dice::Dice;
use crate::schedule::{Script, Stop};
use crate::wire::Wire;

/// A run of the model.
pub struct Run {
    number: usize,
    cloud: Arc<Cloud>,
    script: Script,
    digest: Digest,
    site: Rc<Beanstalk>,
    dice: Dice,
    handed_over: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which run it was.
    pub number: usize,
    /// How; `None` when it was killed.
    pub end: Option<End>,
    /// What it could not undo.
    pub left: Vec<Undo>,
    /// The environment that was live before it, by name.
    pub previous: Option<String>,
    /// Whether it handed its deployment over, whatever came after that.
    pub handed_over: bool,
}

impl Run {
    /// A run that goes by this script, and what tells that a call has stopped it.
    pub fn new(number: usize, cloud: &Arc<Cloud>, script: &Script) -> (Self, watch::Receiver<bool>) {
        let dice = Dice::new(cloud.schedule.seed).fork(number as u64);
        let (wire, stopped) = Wire::new(number, cloud.clone(), script, dice.fork(1));
        let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "the model");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(wire)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::from_static(REGION))
            .endpoint_url("http://cloud.test")
            .build();
        let clock = Clock::simulated(cloud.now() + chrono::TimeDelta::hours(script.skew));
        let sdk = keeping_time(sdk, &clock);
        let context = SiteContext {
            run_id: format!("run{number:05}"),
            run_key: format!("key of revision {}", script.revision),
            revision: format!("{:040x}", script.revision),
            run_url: None,
            job: script.has_job.then(|| format!("job {}", number % 10)),
            about: format!("{APPLICATION} at {}", label(script)),
            lifetime: script.timeout + Duration::from_secs(600),
            clock,
            journals: None,
            url_of: Rc::new(|cname| format!("http://{cname}/")),
        };
        let site = Rc::new(Beanstalk::new(&sdk, true, plan(script), context));
        let digest = Digest::of(format!("{} {}", script.revision, script.build).as_bytes());
        (Self { number, cloud: cloud.clone(), script: script.clone(), digest, site, dice, handed_over: false }, stopped)
    }

    /// Tells the story to its end, as `run::run` and `pipeline::tell` do.
    pub async fn tell(mut self, stopped: watch::Receiver<bool>) -> Told {
        let (events, receiver) = events();
        let (cloud, number) = (self.cloud.clone(), self.number);
        tokio::spawn(listen(receiver, cloud, number));
        let site = self.site.clone();
        let perform: beanline::engine::Perform = Rc::new(move |undo, receipt| {
            let site = site.clone();
            Box::pin(async move { site.perform(&undo, &receipt).await })
        });
        let engine = Engine::new(events, signals(&self.script, stopped), perform);
        let mut previous = None;
        let told = self.pipeline(&engine, &mut previous).await;
        if let Err(stopped) = &told
            && stopped.cancelled.is_none_or(|reason| reason == CancelReason::RunTimeout)
        {
            engine.keep(stopped, async |undo| self.site.keeps(undo).await).await;
        }
        if told.is_err() && self.site.has_lost_the_site().await {
            engine.forget(|undo| !undo.is_on_the_daemon());
        }
        let swaps_back = |undo: &Undo| matches!(undo, Undo::SwapBack { .. });
        let touched = engine.pending().iter().any(swaps_back);
        let left = engine.unwind().await;
        let is_signalled =
            matches!(&told, Err(Stopped { cancelled: Some(reason), .. }) if *reason > CancelReason::RunTimeout);
        let limit = Duration::from_secs(if is_signalled { 2 } else { 60 });
        match timeout(limit, self.site.close(&left, told.is_ok())).await {
            Ok(Ok(())) => {}
            _ => self.cloud.trace.line(format!("run {} could not give the site back", self.number)),
        }
        let end = match told {
            Ok(()) => End::Deployed,
            Err(Stopped { cancelled: Some(reason), .. }) => End::Cancelled(reason),
            Err(Stopped { key, .. }) if !left.is_empty() => End::NeedsHuman(key.stage),
            Err(Stopped { key, .. }) if touched && key.stage == Stage::AcceptanceLive => End::RolledBack(key.stage),
            Err(Stopped { key, .. }) => End::Failed(key.stage),
        };
        Told { number: self.number, end: Some(end), left, previous, handed_over: self.handed_over }
    }

    async fn pipeline(&mut self, engine: &Engine, previous: &mut Option<String>) -> Result<(), Stopped> {
        let limit = self.script.timeout;
        let survey = engine.stage(Stage::Check, limit, async |cx| self.site.survey(cx).await).await?;
        *previous = survey.live.as_ref().map(|live| live.name.clone());
        // Here the image is built, tested and pushed: promise 1 holds by the types, and there is no way around them.
        pause(self.dice.time(100, 5_000)).await;
        self.cloud.ledger.tested(&label(&self.script), &self.digest);
        self.cloud.push(&label(&self.script), &self.digest);
        self.ship(engine, &survey, previous).await
    }

    /// The stages of `pipeline::ship`, in its order.
    async fn ship(&mut self, engine: &Engine, surveyed: &Survey, previous: &mut Option<String>) -> Result<(), Stopped> {
        let (site, limit) = (self.site.clone(), self.site.plan().deploy_timeout * 3 + Duration::from_secs(300));
        let deployed = engine.stage(Stage::Deploy, limit, async |cx| self.deploy(cx, surveyed).await).await?;
        let Deployed { survey, candidate } = deployed;
        // A run that finds its version live replaces nothing: what it found stays what is to be live.
        if candidate.standing != Standing::Before {
            *previous = survey.live.as_ref().map(|live| live.name.clone());
        }
        if matches!(candidate.standing, Standing::Apart | Standing::Swapped) {
            if candidate.standing == Standing::Apart && !site.was_accepted() {
                self.accept(engine, Stage::AcceptanceCandidate, self.script.candidate_passes).await?;
                self.cloud.ledger.accepted(&candidate.environment_id);
                site.accept().await;
            }
            let promote = async |cx: &_| site.promote(cx, &survey, &candidate).await;
            engine.stage(Stage::Promote, self.script.timeout, promote).await?;
        }
        self.accept(engine, Stage::AcceptanceLive, self.script.live_passes).await?;
        let handed = site.hand_over(&survey, &candidate, &self.image()).await;
        engine.hand_over();
        self.handed_over = true;
        let clean_up = async |cx: &_| stages::clean_up::clean_up(cx, &site, &survey, &candidate, handed).await;
        engine.stage(Stage::CleanUp, limit, clean_up).await?;
        self.cloud.deployed(self.number, &label(&self.script), &self.digest);
        Ok(())
    }

    /// As `stages::deploy`: the tag must name the tested image before the environment is told and after it has reported.
    async fn deploy(&self, cx: &beanline::engine::StageCx, survey: &Survey) -> Result<Deployed, Fault> {
        let image = self.image();
        let holds = || match self.cloud.digest(&image.image.to_string()).as_ref() == Some(&self.digest) {
            true => Ok(()),
            false => Err(Fault::new(format!("{} no longer names the tested image", image.image))),
        };
        holds()?;
        let deployed = self.site.deploy(cx, survey, &image).await?;
        holds().map(|()| deployed)
    }

    fn image(&self) -> ImageToDeploy {
        let digest = self.digest.clone();
        ImageToDeploy {
            image: reference(&label(&self.script)),
            digest,
            image_id: None,
            port: PORT,
            home: Home::default(),
        }
    }

    async fn accept(&mut self, engine: &Engine, stage: Stage, passes: bool) -> Result<(), Stopped> {
        let time = self.dice.time(50, 4_000);
        let work = async |_: &_| {
            pause(time).await;
            if passes { Ok(()) } else { Err(Fault::new("the tests did not pass")) }
        };
        engine.stage(stage, Duration::from_secs(600), work).await
    }
}

/// Tag and version label of a revision.
pub fn label(script: &Script) -> String {
    format!("r{}", script.revision)
}

fn plan(script: &Script) -> BeanstalkPlan {
    let seconds = Duration::from_secs;
    BeanstalkPlan {
        application: APPLICATION.into(),
        live: LIVE.into(),
        version_label: label(script),
        port: Some(PORT),
        create: true,
        solution_stack: None,
        instance_profile: Some("web".into()),
        service_role: None,
        key_pair: None,
        deploy_timeout: seconds(90),
        minimum_health: Health::Green,
        healthy_for: seconds(1),
        health_timeout: seconds(60),
        keep_failed: script.keep_failed,
        keep_previous: script.keep_previous,
        bucket: None,
        on_busy: OnBusy::Wait,
        strategy: Strategy::BlueGreen,
        promote: Promotion::Auto,
        keep_versions: None,
        bundle: None,
        option_settings: Vec::new(),
        environment_secrets: Vec::new(),
        ready_path: "/".into(),
        environment_variables: Vec::new(),
    }
}

/// The signals and the time limit of a script.
fn signals(script: &Script, mut stopped: watch::Receiver<bool>) -> Cancel {
    let (sender, receiver) = watch::channel(Vec::new());
    let (stop, timeout) = (script.stop, script.timeout);
    tokio::spawn(async move {
        let interrupt = async {
            match stop {
                Stop::Signals(crate::schedule::Moment::After(time), again) => {
                    pause(time).await;
                    again
                }
                Stop::Signals(_, again) if stopped.wait_for(|stopped| *stopped).await.is_ok() => again,
                _ => std::future::pending().await,
            }
        };
        let (first, again) = tokio::select! {
            again = interrupt => (CancelReason::Interrupt, again),
            () = pause(timeout) => (CancelReason::RunTimeout, None),
            () = sender.closed() => return,
        };
        sender.send_modify(|reasons| reasons.push(first));
        if let Some(time) = again {
            pause(time).await;
            sender.send_modify(|reasons| reasons.push(CancelReason::Terminate));
        }
        sender.closed().await;
    });
    Cancel::by(receiver)
}

/// Writes down what a run tells.
async fn listen(mut receiver: EventReceiver, cloud: Arc<Cloud>, number: usize) {
    while let Some(event) = receiver.next().await {
        let text = match event.kind {
            EventKind::StageStarted { key } => format!("{key} begins"),
            EventKind::StageFinished { key, outcome, .. } => match outcome {
                Outcome::Failed(fault) => format!("{key} failed: {fault}"),
                Outcome::Passed => format!("{key} passed"),
                Outcome::Skipped(_) => continue,
                Outcome::Cancelled => format!("{key} was cancelled"),
            },
            EventKind::StageWarning { text, .. } => {
                cloud.ledger.said(number, &text);
                format!("warns: {text}")
            }
            EventKind::StageFact { fact: Fact::Kept { what, why, .. }, .. } => {
                cloud.ledger.kept(&what);
                format!("keeps {what}: {why}")
            }
            EventKind::Cancelling { reason } => format!("is told to stop: {reason:?}"),
            EventKind::Undone { undo, error } => {
                format!("undid: {undo}{}", error.map_or_else(String::new, |error| format!(" (not: {error})")))
            }
            EventKind::StageFact { fact: Fact::Platform { message, severity, .. }, .. } => {
                format!("hears {severity} {message}")
            }
            _ => continue,
        };
        cloud.trace.line(format!("run {number} {text}"));
    }
}
