//! Settings on the wire: what is sent, what it is waited for, and the way back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::Notify;

use super::*;
use crate::engine::journal::desk::Store;
use crate::inputs::{OptionSetting, PROPERTIES, Secret};
use crate::local::journal::JournalFile;

pub(super) const LIVE: &str = "shop.local.elasticbeanstalk.com";

pub(super) type Options = BTreeMap<(String, String), String>;

/// What the platform has of an environment that is live, and of its templates.
#[derive(Default)]
pub(super) struct Shop {
    /// The name of the environment that is live.
    pub name: String,
    pub options: Options,
    pub templates: BTreeMap<String, Options>,
    /// Requests that changed something, with the options that they had.
    pub sent: Vec<(String, Options)>,
    /// How many instances report.
    pub instances: usize,
    events: Vec<(String, String)>,
    /// How often it is still said to be updating.
    busy: u32,
    pub fails: bool,
    /// An update that is on its way: it is never answered, and taken so many looks later.
    on_its_way: Option<(Fields, u32)>,
    /// Tells that one is.
    silent: Option<Arc<Notify>>,
    pub loses_answer: bool,
    pub is_taken_back: bool,
}

/// The options of a request.
fn options_in(fields: &Fields) -> Options {
    let field = |number: usize, name: &str| fields.get(&format!("OptionSettings.member.{number}.{name}")).cloned();
    let one = |number| {
        Some(((field(number, "Namespace")?, field(number, "OptionName")?), field(number, "Value").unwrap_or_default()))
    };
    (1..).map_while(one).collect()
}

fn listed(options: &Options) -> (u16, String) {
    let one = |((namespace, option), value): (&(String, String), &String)| {
        format!(
            "<member><Namespace>{namespace}</Namespace><OptionName>{option}</OptionName><Value>{value}</Value></member>"
        )
    };
    let options: String = options.iter().map(one).collect();
    let settings = format!(
        "<ConfigurationSettings><member><OptionSettings>{options}</OptionSettings></member></ConfigurationSettings>"
    );
    ok("DescribeConfigurationSettings", &settings)
}

impl Shop {
    fn tell(&mut self, message: &str) {
        let at = format!("2026-11-20T10:00:{:02}.000Z", self.events.len());
        self.events.push((at, message.to_owned()));
    }

    fn update(&mut self, fields: &Fields) -> (u16, String) {
        let new = options_in(fields);
        self.sent.push(("UpdateEnvironment".into(), new.clone()));
        self.tell("Environment update is starting.");
        self.busy = 2;
        if self.fails {
            self.tell("Failed to deploy configuration.");
            self.tell("The environment was reverted to the previous configuration setting.");
            return ok("UpdateEnvironment", "");
        }
        if let Some(template) = fields.get("TemplateName") {
            self.options = self.templates[template].clone();
        }
        for number in 1.. {
            let field = |name: &str| fields.get(&format!("OptionsToRemove.member.{number}.{name}")).cloned();
            let (Some(namespace), Some(option)) = (field("Namespace"), field("OptionName")) else { break };
            self.options.remove(&(namespace, option));
        }
        self.options.extend(new);
        self.tell("Environment update completed successfully.");
        match std::mem::take(&mut self.loses_answer) {
            true => (500, String::new()),
            false => ok("UpdateEnvironment", ""),
        }
    }

    fn arrive(&mut self) {
        match self.on_its_way.take() {
            Some((fields, 0)) => drop(self.update(&fields)),
            Some((fields, looks)) => self.on_its_way = Some((fields, looks - 1)),
            None => {}
        }
    }

    pub fn answer(&mut self, fields: &Fields) -> (u16, String) {
        let action = fields["Action"].as_str();
        match action {
            "DescribeConfigurationSettings" => match fields.get("TemplateName") {
                Some(name) => match self.templates.get(name) {
                    Some(options) => listed(options),
                    None => error("InvalidParameterValue", "No Configuration Template named 'x' found."),
                },
                None => listed(&self.options),
            },
            "CreateConfigurationTemplate" => {
                self.templates.insert(fields["TemplateName"].clone(), self.options.clone());
                ok(action, "")
            }
            "DeleteConfigurationTemplate" => {
                self.templates.remove(&fields["TemplateName"]);
                ok(action, "")
            }
            "CreateEnvironment" => {
                self.sent.push((action.into(), options_in(fields)));
                ok(action, "<EnvironmentId>e-green</EnvironmentId>")
            }
            "UpdateEnvironment" => match self.silent.take() {
                Some(sent) => {
                    self.on_its_way = Some((fields.clone(), 2));
                    sent.notify_one();
                    (NEVER, String::new())
                }
                None => self.update(fields),
            },
            "DescribeEnvironments" => {
                self.arrive();
                let status = if self.busy > 0 { "Updating" } else { "Ready" };
                self.busy = self.busy.saturating_sub(1);
                let cname = if self.is_taken_back { "other.local.elasticbeanstalk.com" } else { LIVE };
                let one = format!(
                    "<member><EnvironmentId>e-blue</EnvironmentId><EnvironmentName>{}</EnvironmentName>\
                     <Status>{status}</Status><ApplicationName>shop</ApplicationName><CNAME>{cname}</CNAME>\
                     <Health>Green</Health><HealthStatus>Ok</HealthStatus><VersionLabel>1</VersionLabel></member>",
                    self.name
                );
                environments(&[one])
            }
            "DescribeEvents" => {
                let one = |(at, message): &(String, String)| {
                    format!(
                        "<member><Message>{message}</Message><EventDate>{at}</EventDate><RequestId>request-1</RequestId>\
                         <Severity>INFO</Severity></member>"
                    )
                };
                let events: String = self.events.iter().rev().map(one).collect();
                ok(action, &format!("<Events>{events}</Events>"))
            }
            "DescribeInstancesHealth" => {
                let one = |number: usize| {
                    format!(
                        "<member><InstanceId>i-{number}</InstanceId><Deployment><VersionLabel>1</VersionLabel>\
                         <Status>Deployed</Status></Deployment></member>"
                    )
                };
                let all: String = (0..self.instances).map(one).collect();
                ok(action, &format!("<InstanceHealthList>{all}</InstanceHealthList>"))
            }
            _ => ok(action, ""),
        }
    }
}

pub(super) fn option(namespace: &str, option: &str, value: &str) -> ((String, String), String) {
    ((namespace.to_owned(), option.to_owned()), value.to_owned())
}

/// A shop with one instance, two of whose options are known.
pub(super) fn shop() -> Arc<Mutex<Shop>> {
    let options = [option("aws:autoscaling:asg", "MinSize", "1"), option(PROPERTIES, "TOKEN", "obvious-fake-old")];
    Arc::new(Mutex::new(Shop { name: "shop-blue".into(), options: options.into(), instances: 1, ..Shop::default() }))
}

pub(super) async fn site_of(shop: &Arc<Mutex<Shop>>) -> Beanstalk {
    let answers = shop.clone();
    let (sdk, _) = world(move |fields| answers.lock().unwrap().answer(fields)).await;
    let mut site = site(&sdk);
    let setting = |namespace: &str, option: &str, value| OptionSetting {
        namespace: namespace.into(),
        option: option.into(),
        resource: None,
        value,
    };
    site.plan.option_settings = vec![setting("aws:elasticbeanstalk:command", "Timeout", Secret::open("900"))];
    site.plan.environment_variables = vec![("TOKEN".into(), Secret::new("obvious-fake-new"))];
    site
}

/// A run of a CI job with a journal: a later one of the same job knows that it is over.
pub(super) async fn run_of(shop: &Arc<Mutex<Shop>>, run: &str, directory: &Path) -> Beanstalk {
    let mut site = site_of(shop).await;
    site.context.run_id = run.into();
    site.context.job = Some("job".into());
    let directory = directory.to_owned();
    let journal = move |application: &str, cname: &str| -> Arc<dyn Store> {
        Arc::new(JournalFile::new(&directory, application, cname))
    };
    site.context.journals = Some(Rc::new(journal));
    site
}

/// A directory for a test's journal.
pub(super) fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("beanline-journal-{}", uuid::Uuid::new_v4().simple()))
}

async fn blue(site: &Beanstalk) -> platform::Environment {
    site.look(None, "e-blue").await.unwrap().unwrap()
}

fn wanted() -> Options {
    [option("aws:elasticbeanstalk:command", "Timeout", "900"), option(PROPERTIES, "TOKEN", "obvious-fake-new")].into()
}

#[tokio::test]
async fn settings_are_a_step_of_their_own_that_can_be_undone() {
    let shop = shop();
    let site = site_of(&shop).await;
    let before = shop.lock().unwrap().options.clone();
    let environment = blue(&site).await;
    let (changes, _) = staged(async |cx| site.apply_settings(cx, &environment).await).await;
    let lines: Vec<String> = changes.unwrap().iter().map(Change::to_string).collect();
    let told = [
        "aws:elasticbeanstalk:command/Timeout: (not set) → 900",
        "aws:elasticbeanstalk:application:environment/TOKEN: (set) → (a secret)",
    ];
    assert_eq!(lines, told);
    assert_eq!(shop.lock().unwrap().sent, [("UpdateEnvironment".to_owned(), wanted())]);

    // Nothing is left to do for a second time.
    let (changes, _) = staged(async |cx| site.apply_settings(cx, &environment).await).await;
    assert_eq!(changes, Ok(Vec::new()));

    let undo = site.restoring.borrow().clone().unwrap();
    let command = undo.command();
    assert!(command.contains("--template-name beanline-settings-run-1 --options-to-remove Namespace="), "{command}");
    let written = serde_json::to_string(&undo).unwrap();
    assert!(!written.contains("obvious-fake") && !command.contains("obvious-fake"), "{written}");
    for _ in 0..2 {
        assert_eq!(site.perform(&undo, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
        assert_eq!(shop.lock().unwrap().options, before);
    }
    assert_eq!(shop.lock().unwrap().sent.len(), 2, "it is put back once");

    let kept = staged(async |cx| site.keep_settings(cx).await).await;
    assert!(kept.0.is_ok() && shop.lock().unwrap().templates.is_empty(), "the template has served");
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok(), "without it there is nothing to put back");
}

#[tokio::test]
async fn a_failed_change_names_its_options_and_the_platform_puts_them_back() {
    let shop = shop();
    shop.lock().unwrap().fails = true;
    let site = site_of(&shop).await;
    let environment = blue(&site).await;
    let (changes, _) = staged(async |cx| {
        site.apply_settings(cx, &environment).await.map_err(|fault| {
            assert!(fault.hints().iter().any(|hint| hint.contains("aws:elasticbeanstalk:command/Timeout")), "{fault}");
            fault
        })
    })
    .await;
    let fault = changes.unwrap_err();
    assert!(fault.starts_with("could not change the settings of environment shop-blue: it came back with"), "{fault}");
    assert!(fault.contains("The environment was reverted") && !fault.contains("obvious-fake"), "{fault}");
    let undo = site.restoring.borrow().clone().unwrap();
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok());
    assert_eq!(shop.lock().unwrap().sent.len(), 1, "nothing is sent: everything is as it was");
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_is_not_sent_twice() {
    let shop = shop();
    shop.lock().unwrap().loses_answer = true;
    let site = site_of(&shop).await;
    let environment = blue(&site).await;
    let (changes, retried) = staged(async |cx| site.apply_settings(cx, &environment).await).await;
    assert_eq!((changes.map(|changes| changes.len()), retried), (Ok(2), 1));
    assert_eq!(shop.lock().unwrap().sent.len(), 1);
}

#[tokio::test]
async fn settings_that_are_taken_after_their_stage_was_given_up_are_put_back() {
    let (shop, sent) = (shop(), Arc::new(Notify::new()));
    let before = shop.lock().unwrap().options.clone();
    let site = site_of(&shop).await;
    let environment = blue(&site).await;
    shop.lock().unwrap().silent = Some(sent.clone());
    let given_up = async |cx: &StageCx| {
        tokio::select! {
            _ = site.apply_settings(cx, &environment) => panic!("there was no answer"),
            () = sent.notified() => Ok(()),
        }
    };
    assert!(staged(given_up).await.0.is_ok());
    let undo = site.restoring.borrow().clone().unwrap();
    assert_eq!(site.perform(&undo, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    let shop = shop.lock().unwrap();
    assert_eq!((shop.sent.len(), &shop.options), (2, &before));
}

#[tokio::test]
async fn a_run_that_only_configures_does_so_while_live_is_who_it_was() {
    let (shop, directory, survey) = (shop(), directory(), survey());
    let site = run_of(&shop, "run-1", &directory).await;
    let before = shop.lock().unwrap().options.clone();
    let (diff, _) = staged(async |cx| site.settings_diff(cx, "shop-blue").await).await;
    assert_eq!(diff.map(|changes| changes.len()), Ok(2));
    assert!(shop.lock().unwrap().sent.is_empty(), "a look changes nothing");
    let (configured, _) = staged(async |cx| site.configure(cx, &survey).await).await;
    let configured = configured.unwrap();
    assert_eq!((configured.name.as_str(), configured.changes.len()), ("shop-blue", 2));

    // It was killed before anybody let the settings stand: the next run begins with what was there before.
    let next = run_of(&shop, "run-2", &directory).await;
    let (begun, _) = staged(async |cx| next.take_turn(cx, &survey).await.map(drop)).await;
    assert_eq!(begun, Ok(()));
    assert_eq!(shop.lock().unwrap().options, before);
    assert!(shop.lock().unwrap().templates.is_empty(), "the template has served");

    shop.lock().unwrap().is_taken_back = true;
    let (refused, _) = staged(async |cx| next.configure(cx, &survey).await).await;
    assert!(refused.unwrap_err().starts_with("shop-blue does not hold shop.local.elasticbeanstalk.com any more"));
    std::fs::remove_dir_all(directory).unwrap();
}

/// With `shop-blue` live.
pub(super) fn survey() -> Survey {
    Survey {
        region: "local".into(),
        application_exists: true,
        live: Some(Live {
            environment_id: "e-blue".into(),
            name: "shop-blue".into(),
            version_label: "1".into(),
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
