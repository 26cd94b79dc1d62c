//! Runs about what stands, with the real SDK and a real journal: what is promoted, rolled back, ended, or only named.

use std::path::PathBuf;

use super::*;
use crate::engine::change::Change;
use crate::engine::event::Fact;
use crate::engine::journal::desk::Store;
use crate::engine::journal::{Journal, Passed};
use crate::inputs::{KeepPrevious, Promotion, RunKind};
use crate::local::journal::JournalFile;

const LIVE: &str = "shop.local.elasticbeanstalk.com";
const CNAME: &str = ".local.elasticbeanstalk.com";
/// Now, and an hour ago, by the cloud's clock.
const HOUR: i64 = 3600;

/// An environment of the town.
#[derive(Clone)]
struct House {
    name: &'static str,
    prefix: &'static str,
    label: String,
    status: &'static str,
    /// When its tag says that it expires; without tags, if absent.
    expires: Option<i64>,
    events: Vec<String>,
}

/// Environments that can be swapped, updated and terminated at once, and the journal of their site.
struct Town {
    houses: Arc<Mutex<Vec<House>>>,
    world: Arc<Mutex<World>>,
    sdk: SdkConfig,
    directory: PathBuf,
}

fn now() -> i64 {
    Clock::new().unix()
}

fn house(name: &'static str, prefix: &'static str, label: &str, expires: Option<i64>) -> House {
    House { name, prefix, label: label.into(), status: "Ready", expires, events: Vec::new() }
}

fn answer(houses: &mut [House], fields: &Fields) -> (u16, String) {
    let at = |houses: &[House], key: &str| {
        let name = fields.get(key).cloned().unwrap_or_default();
        houses.iter().position(|house| house.name == name)
    };
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let event = |text: &str| {
        format!(
            "<member><EventDate>{time}</EventDate><Message>{text}</Message><RequestId>request-1</RequestId>\
             <Severity>INFO</Severity></member>"
        )
    };
    match fields["Action"].as_str() {
        "DescribeEnvironments" => environments(&houses.iter().map(described).collect::<Vec<_>>()),
        "DescribeApplications" => ok(
            "DescribeApplications",
            "<Applications><member><ApplicationName>shop</ApplicationName></member></Applications>",
        ),
        "DescribeApplicationVersions" => {
            let label = &fields["VersionLabels.member.1"];
            let version = format!("<member><VersionLabel>{label}</VersionLabel><Status>PROCESSED</Status></member>");
            ok("DescribeApplicationVersions", &format!("<ApplicationVersions>{version}</ApplicationVersions>"))
        }
        "DescribeEvents" => {
            let events = at(houses, "EnvironmentId").map(|at| houses[at].events.concat()).unwrap_or_default();
            ok("DescribeEvents", &format!("<Events>{events}</Events>"))
        }
        "DescribeEnvironmentResources" => ok(
            "DescribeEnvironmentResources",
            "<EnvironmentResources><Instances><member><Id>i-1</Id></member><member><Id>i-2</Id></member></Instances>\
             <LoadBalancers><member><Name>lb</Name></member></LoadBalancers></EnvironmentResources>",
        ),
        "ListTagsForResource" => {
            let name = fields["ResourceArn"].rsplit('/').next().unwrap_or_default();
            let expires = houses.iter().find(|house| house.name == name).and_then(|house| house.expires);
            let tag = |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
            let tags = expires.map(|at| {
                [("beanline:run", "run-0"), ("beanline:live", LIVE), ("beanline:expires", &at.to_string())]
                    .map(|(key, value)| tag(key, value))
                    .concat()
            });
            ok("ListTagsForResource", &format!("<ResourceTags>{}</ResourceTags>", tags.unwrap_or_default()))
        }
        "SwapEnvironmentCNAMEs" => {
            let (one, other) =
                (at(houses, "SourceEnvironmentId").unwrap(), at(houses, "DestinationEnvironmentId").unwrap());
            (houses[one].prefix, houses[other].prefix) = (houses[other].prefix, houses[one].prefix);
            let names = format!("'{}' and '{}'", houses[one].name, houses[other].name);
            for at in [one, other] {
                houses[at].events.insert(0, event("swapEnvironmentCNAMEs is starting."));
                houses[at].events.insert(0, event(&format!("Completed swapping CNAMEs for environments {names}.")));
            }
            ok("SwapEnvironmentCNAMEs", "")
        }
        "UpdateEnvironment" => {
            let at = at(houses, "EnvironmentId").unwrap();
            houses[at].label.clone_from(&fields["VersionLabel"]);
            houses[at].events.insert(0, event("Environment update is starting."));
            houses[at].events.insert(0, event("Environment update completed successfully."));
            ok("UpdateEnvironment", "")
        }
        "TerminateEnvironment" => {
            let at = at(houses, "EnvironmentId").unwrap();
            houses[at].status = "Terminated";
            ok("TerminateEnvironment", "")
        }
        "CheckDNSAvailability" => ok("CheckDNSAvailability", "<Available>true</Available>"),
        "DescribeInstancesHealth" => error("InvalidRequestException", "basic health"),
        action => ok(action, ""),
    }
}

fn described(house: &House) -> String {
    let House { name, prefix, label, status, .. } = house;
    format!(
        "<member><EnvironmentId>{name}</EnvironmentId><EnvironmentName>{name}</EnvironmentName><Status>{status}</Status>\
         <ApplicationName>shop</ApplicationName><CNAME>{prefix}{CNAME}</CNAME><Health>Green</Health>\
         <Description>beanline run run-0; revision 1</Description><VersionLabel>{label}</VersionLabel>\
         <EnvironmentArn>arn:aws:elasticbeanstalk:local:0:environment/shop/{name}</EnvironmentArn></member>"
    )
}

impl Town {
    async fn new(houses: Vec<House>, journal: &Journal<Progress>) -> Self {
        let houses = Arc::new(Mutex::new(houses));
        let town = houses.clone();
        let (sdk, world) = world(move |fields| answer(&mut town.lock().unwrap(), fields)).await;
        let directory = std::env::temp_dir().join(format!("beanline-town-{}", uuid::Uuid::new_v4()));
        let town = Self { houses, world, sdk, directory };
        town.store().write(&serde_json::to_string(journal).unwrap(), None).await.ok().unwrap();
        town
    }

    fn store(&self) -> JournalFile {
        JournalFile::new(&self.directory, "shop", LIVE)
    }

    async fn journal(&self) -> Journal<Progress> {
        serde_json::from_str(&self.store().read().await.ok().unwrap().unwrap().0).unwrap()
    }

    /// The site as a run of this name sees it, whose plan is changed so.
    fn site(&self, run: &str, change: impl FnOnce(&mut BeanstalkPlan)) -> Beanstalk {
        let mut site = site(&self.sdk);
        let directory = self.directory.clone();
        site.context.run_id = run.into();
        site.context.journals =
            Some(Rc::new(move |application, cname| Arc::new(JournalFile::new(&directory, application, cname))));
        change(&mut site.plan);
        site
    }

    /// Prefix and version of every environment that stands.
    fn standing(&self) -> Vec<(&'static str, &'static str, String)> {
        let houses = self.houses.lock().unwrap();
        let standing = houses.iter().filter(|house| house.status == "Ready");
        standing.map(|house| (house.name, house.prefix, house.label.clone())).collect()
    }

    /// What was asked for that changes something.
    fn changes(&self) -> Vec<String> {
        let reads = ["Describe", "List", "Check"];
        let asked = self.world.lock().unwrap().asked.clone();
        asked.into_iter().filter(|action| !reads.iter().any(|read| action.starts_with(read))).collect()
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Runs `work` as a stage: its result or the whole fault, and the facts that it told.
async fn told<T>(work: impl AsyncFnOnce(&StageCx) -> Result<T, Fault>) -> (Result<T, String>, Vec<Fact>) {
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    let result = engine.stage(Stage::Promote, Duration::from_secs(60), work).await;
    drop(engine);
    let (mut facts, mut why) = (Vec::new(), String::new());
    while let Some(event) = receiver.next().await {
        match event.kind {
            EventKind::StageFact { fact, .. } => facts.push(fact),
            EventKind::StageFinished { outcome: Outcome::Failed(fault), .. } => {
                why = [&[fault.to_string()], fault.causes(), fault.hints()].concat().join("; ");
            }
            _ => {}
        }
    }
    (result.map_err(|_| why), facts)
}

fn good(label: &str, house: &str) -> Good {
    Good {
        version_label: label.into(),
        image: format!("registry.test/shop:{label}"),
        digest: image().digest.to_string(),
        environment_id: house.into(),
        key: "key".into(),
        run: "run-0".into(),
        at: 1,
        is_withdrawn: false,
    }
}

fn survey(live: &str, label: &str) -> Survey {
    Survey {
        region: "local".into(),
        application_exists: true,
        live: Some(Live {
            environment_id: live.into(),
            name: live.into(),
            version_label: label.into(),
            cname: LIVE.into(),
        }),
        live_prefix: "shop".into(),
        live_cname: LIVE.into(),
        candidate_name: "shop-0b0b0b0b".into(),
        solution_stack: None,
        attempt: 1,
        architectures: Vec::new(),
        update: None,
    }
}

/// `shop-0a0a0a0a` is live with version 1, `shop-0b0b0b0b` waits with version 2.
fn waiting() -> (Vec<House>, Journal<Progress>) {
    let houses =
        vec![house("shop-0a0a0a0a", "shop", "1", Some(1)), house("shop-0b0b0b0b", "shop-0b0b0b0b", "2", Some(1))];
    let undo = Undo::EndEnvironment {
        application: "shop".into(),
        environment: "shop-0b0b0b0b".into(),
        region: "local".into(),
        live_cname: Some(LIVE.into()),
    };
    let site = Progress {
        survey: survey("shop-0a0a0a0a", "1"),
        digest: image().digest,
        asked: Some("shop-0b0b0b0b".into()),
        accepted: true,
        swap: None,
        update: None,
    };
    let passed = Passed {
        good: good("2", "shop-0b0b0b0b"),
        name: "shop-0b0b0b0b".into(),
        runs: vec!["run-0".into()],
        undo: vec![undo],
        site,
    };
    let live = Good { key: "another key".into(), ..good("1", "shop-0a0a0a0a") };
    let journal = Journal { good: vec![live], waiting: Some(passed), ..Journal::default() };
    (houses, journal)
}

mod cleaned;
mod in_place;
mod promoted;
mod rolled_back;
