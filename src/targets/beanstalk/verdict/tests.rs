//! Event streams as the platform tells them, and the verdict that each must get.

use super::super::platform::ServerTime;
use super::*;

const OURS: &str = "request-1";

/// An environment with enhanced health.
pub fn environment(status: Status, label: &str, health: Health) -> Environment {
    Environment {
        id: "e-1".into(),
        name: "shop-1".into(),
        application: "shop".into(),
        version_label: label.into(),
        status,
        health,
        health_status: Some("Ok".into()),
        cname: "shop-1.eu-west-1.elasticbeanstalk.com".into(),
        endpoint: String::new(),
        tier: "WebServer".into(),
        description: String::new(),
        arn: String::new(),
        abortable: false,
    }
}

fn operation(kind: Kind) -> Operation {
    let (environment_id, environment) = ("e-1".into(), "shop-1".into());
    Operation { kind, environment_id, environment, request_id: Some(OURS.into()), anchor: None }
}

fn create() -> Operation {
    operation(Kind::Create { label: "2".into() })
}

fn update() -> Operation {
    operation(Kind::Update { label: "2".into() })
}

/// `!` begins an ERROR, `?` an event of another request, `~` one without any; anything else is INFO and ours.
fn events(texts: &[&str]) -> Vec<PlatformEvent> {
    let read = |(at, text): (usize, &&str)| {
        let (mark, message) = match text.chars().next() {
            Some(mark @ ('!' | '?' | '~')) => (mark, &text[1..]),
            _ => (' ', *text),
        };
        let severity = if message.starts_with('!') || mark == '!' { Severity::Error } else { Severity::Info };
        let request_id = match mark {
            '?' => Some("request-2".into()),
            '~' => None,
            _ => Some(OURS.into()),
        };
        let message = message.trim_start_matches('!').to_owned();
        PlatformEvent { at: ServerTime(at as i64), severity, message, request_id }
    };
    texts.iter().enumerate().map(read).collect()
}

fn demand() -> Demand {
    let s = Duration::from_secs;
    Demand {
        minimum_health: Health::Green,
        healthy_for: s(15),
        health_timeout: s(300),
        late_events: s(10),
        rolled_back_after: s(30),
        unconfirmed_after: s(60),
    }
}

/// `Ready` for so many seconds, with the wanted version or not, healthy for so many.
fn held(ready: u64, on_target: bool, healthy: Option<u64>) -> Held {
    let time = Some(Duration::from_secs(ready));
    Held {
        ready: time,
        on_target: time.filter(|_| on_target),
        off_target: time.filter(|_| !on_target),
        healthy: healthy.map(Duration::from_secs),
        missing: None,
    }
}

fn instance(label: &str, deployment: &str) -> Instance {
    Instance { id: "i-1".into(), version_label: label.into(), deployment: deployment.into(), causes: Vec::new() }
}

const LAUNCHED: &[&str] = &[
    "createEnvironment is starting.",
    "~Environment health has transitioned to Pending. Initialization in progress (running for 3 seconds).",
    "Instance deployment completed successfully.",
    "Successfully launched environment: shop-1",
];

const UPDATED: &[&str] = &[
    "Environment update is starting.",
    "Deploying new version to instance(s).",
    "Instance deployment completed successfully.",
    "New application version was deployed to running EC2 instances.",
    "Environment update completed successfully.",
];

const BROKEN: &[&str] = &[
    "Environment update is starting.",
    "!Instance deployment: The Docker container unexpectedly ended after it was started.",
    "!Unsuccessful command execution on instance id(s) 'i-1'. Aborting the operation.",
    "!Failed to deploy application.",
];

fn verdict(operation: &Operation, texts: &[&str], seen: &Environment, fleet: Fleet, held: Held) -> Verdict {
    judge(operation, &events(texts), Some(seen), fleet, held, &demand())
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Moving(_) => "moving",
        Verdict::Succeeded(Proof { by: Witness::Event, .. }) => "by event",
        Verdict::Succeeded(Proof { by: Witness::State, .. }) => "by state",
        Verdict::Failed { .. } => "failed",
    }
}

/// Name, operation, events, environment, instances, how long what has held, and the verdict.
type Case<'a> = (&'a str, &'a Operation, &'a [&'a str], &'a Environment, Fleet<'a>, Held, &'a str);

#[test]
fn deployments_are_judged_by_everything_they_show() {
    let ready = environment(Status::Ready, "2", Health::Green);
    let old = environment(Status::Ready, "1", Health::Green);
    let red = environment(Status::Ready, "2", Health::Red);
    let updating = environment(Status::Updating, "2", Health::Grey);
    let ended = environment(Status::Terminated, "2", Health::Grey);
    let good = [instance("2", "Deployed"), instance("2", "Deployed")];
    let mixed = [instance("2", "Deployed"), instance("1", "Deployed")];
    let failed = [instance("2", "Deployed"), instance("2", "Failed")];
    let (good, mixed, failed) = (Fleet::Listed(&good), Fleet::Listed(&mixed), Fleet::Listed(&failed));
    let well = held(20, true, Some(20));
    let cut = |texts: &'static [&str], n: usize| &texts[..n];
    let issues: &[&str] = &["Launched environment: shop-1. However, there were issues during launch. See event log."];
    let summary: &[&str] = &["Summary: [Successful: 1, Failed: 1].", UPDATED[3], UPDATED[4]];
    let timed_out: &[&str] = &["Command execution completed. Summary: [Successful: 0, TimedOut: 1]."];
    let fine_summary: &[&str] = &["Summary: [Successful: 2, Failed: 0].", UPDATED[4]];
    let red_text: &[&str] = &["~!Environment health has been set to RED", UPDATED[4]];
    let others: &[&str] = &["?!Failed to deploy application.", "?Environment update completed successfully."];
    let cases: &[Case] = &[
        ("launched", &create(), LAUNCHED, &ready, good, well, "by event"),
        ("updated", &update(), UPDATED, &ready, good, well, "by event"),
        ("updated, basic health", &update(), UPDATED, &ready, Fleet::Basic, well, "by event"),
        ("one instance is done, not the update", &update(), cut(UPDATED, 3), &ready, good, well, "moving"),
        ("not healthy long enough", &update(), UPDATED, &ready, good, held(20, true, Some(5)), "moving"),
        ("events may still come", &update(), UPDATED, &ready, good, held(5, true, Some(5)), "moving"),
        ("still updating", &update(), UPDATED, &updating, Fleet::Unknown, Held::default(), "moving"),
        ("errors, still updating", &update(), BROKEN, &updating, Fleet::Unknown, Held::default(), "moving"),
        ("errors, back on the old version", &update(), BROKEN, &old, good, held(10, false, None), "failed"),
        ("errors, causes may still come", &update(), BROKEN, &old, good, held(2, false, None), "moving"),
        ("rolled back, for a moment", &update(), cut(UPDATED, 1), &old, good, held(29, false, None), "moving"),
        ("rolled back", &update(), cut(UPDATED, 1), &old, good, held(30, false, None), "failed"),
        ("late success", &update(), cut(UPDATED, 4), &ready, good, held(59, true, Some(59)), "moving"),
        ("no success event", &update(), cut(UPDATED, 4), &ready, good, held(60, true, Some(60)), "by state"),
        ("no event, mixed", &update(), cut(UPDATED, 4), &ready, mixed, held(60, true, Some(60)), "moving"),
        ("no event, basic", &update(), cut(UPDATED, 4), &ready, Fleet::Basic, held(60, true, Some(60)), "failed"),
        ("mixed fleet", &update(), UPDATED, &ready, mixed, well, "moving"),
        ("mixed fleet for ever", &update(), UPDATED, &ready, mixed, held(300, true, Some(300)), "failed"),
        ("no instance", &update(), UPDATED, &ready, Fleet::Listed(&[]), held(300, true, Some(9)), "failed"),
        ("nobody can be asked", &update(), UPDATED, &ready, Fleet::Unknown, held(300, true, Some(9)), "failed"),
        ("an instance failed", &update(), UPDATED, &ready, failed, well, "failed"),
        ("a failed summary that is INFO", &update(), summary, &ready, good, well, "failed"),
        ("a summary of time-outs", &update(), timed_out, &ready, good, well, "failed"),
        ("a summary without failures", &update(), fine_summary, &ready, good, well, "by event"),
        ("RED in a text without request", &update(), red_text, &ready, good, well, "by event"),
        ("errors of another request", &update(), others, &ready, good, well, "moving"),
        ("Red after an update may pass", &update(), UPDATED, &red, good, held(60, true, None), "moving"),
        ("Red for ever", &update(), UPDATED, &red, good, held(300, true, None), "failed"),
        ("came up Red", &create(), LAUNCHED, &red, good, held(10, true, None), "failed"),
        ("came up with issues", &create(), issues, &ready, good, well, "failed"),
        ("terminated while it came up", &create(), &LAUNCHED[..1], &ended, Fleet::Unknown, Held::default(), "failed"),
    ];
    for (name, operation, texts, seen, fleet, held, wanted) in cases {
        assert_eq!(word(&verdict(operation, texts, seen, *fleet, *held)), *wanted, "{name}");
    }
}

#[test]
fn a_proof_counts_the_instances_that_were_asked() {
    let ready = environment(Status::Ready, "2", Health::Green);
    let instances = [instance("2", "Deployed"), instance("2", "Deployed")];
    for (fleet, count) in [(Fleet::Listed(&instances), Some(2)), (Fleet::Basic, None)] {
        let wanted = Proof { by: Witness::Event, instances: count };
        let verdict = verdict(&create(), LAUNCHED, &ready, fleet, held(20, true, Some(20)));
        assert_eq!(verdict, Verdict::Succeeded(wanted));
    }
}

#[test]
fn a_failure_names_what_runs_and_every_cause_once() {
    let old = environment(Status::Ready, "1", Health::Green);
    let texts: Vec<&str> = BROKEN.iter().chain(&BROKEN[1..]).copied().collect();
    let Verdict::Failed { what, causes } = verdict(&update(), &texts, &old, Fleet::Basic, held(10, false, None)) else {
        panic!("no failure")
    };
    assert_eq!(what, "failed and runs version 1");
    assert_eq!(causes, BROKEN[1..].iter().map(|text| text.trim_start_matches('!')).collect::<Vec<_>>());
}

#[test]
fn an_operation_whose_answer_was_lost_is_known_by_its_first_event() {
    let ready = environment(Status::Ready, "2", Health::Green);
    let lost = Operation { request_id: None, ..update() };
    let good = [instance("2", "Deployed")];
    let well = held(20, true, Some(20));
    assert_eq!(word(&verdict(&lost, UPDATED, &ready, Fleet::Listed(&good), well)), "by event");
    assert_eq!(word(&verdict(&lost, &UPDATED[1..], &ready, Fleet::Listed(&good), well)), "moving");
}

#[test]
fn a_swap_is_over_when_the_name_is_there() {
    let swap = operation(Kind::Swap { cname: "shop.eu-west-1.elasticbeanstalk.com".into() });
    let ready = environment(Status::Ready, "2", Health::Green);
    let done: &[&str] = &["Completed swapping CNAMEs for environments 'shop-1' and 'shop-0'."];
    let cases: &[(&[&str], Held, &str)] = &[
        (done, held(0, true, None), "by event"),
        (&[], held(0, true, None), "moving"),
        (&[], held(10, true, None), "by state"),
        (&["!Cannot swap."], held(5, false, None), "moving"),
        (&["!Cannot swap."], held(10, false, None), "failed"),
        (&[], held(30, false, None), "failed"),
    ];
    for (texts, held, wanted) in cases {
        assert_eq!(word(&verdict(&swap, texts, &ready, Fleet::Unknown, *held)), *wanted);
    }
}

#[test]
fn a_termination_is_over_when_the_environment_is_gone() {
    let end = operation(Kind::Terminate);
    let at = |status| environment(status, "2", Health::Grey);
    let failed: &[&str] = &["The environment termination step failed because a workflow failed."];
    let none = Held::default();
    let judged = |texts, seen: &Environment, held| word(&verdict(&end, texts, seen, Fleet::Unknown, held));
    assert_eq!(judged(&[], &at(Status::Terminating), none), "moving");
    assert_eq!(judged(&[], &at(Status::Terminated), none), "by state");
    assert_eq!(judged(&["terminateEnvironment completed successfully."], &at(Status::Terminated), none), "by event");
    assert_eq!(judged(failed, &at(Status::Ready), held(1, false, None)), "failed");
    assert_eq!(word(&judge(&end, &[], None, Fleet::Unknown, none, &demand())), "by state");
}

/// What each deployment policy tells of one update, as published logs have it.
const POLICIES: [&[&str]; 3] = [
    &[
        "Environment update is starting.",
        "Batch 1: Starting application deployment on instance(s) [i-1].",
        "Instance deployment completed successfully.",
        "Batch 1: Completed application deployment command execution.",
        "Command execution completed on 1 of 2 instances in environment.",
        "Batch 1: Registering instance(s) with the load balancer and waiting for them to be healthy. ",
        "Batch 1: Completed application deployment.",
        "Batch 2: Starting application deployment on instance(s) [i-2].",
        "Instance deployment completed successfully.",
        "Command execution completed on all instances. Summary: [Successful: 1, Failed: 0].",
        "Batch 2: Completed application deployment.",
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ],
    &[
        "Environment update is starting.",
        "Rolling with Additional Batch deployment policy enabled. Launching  a new batch of 1 additional instance(s).",
        "Added instance [i-2] to your environment.",
        "Batch 1: 1 EC2 instance(s) [i-2] launched. Deploying application version '2'.",
        "Instance deployment completed successfully.",
        "Removed instance [i-2] from your environment.",
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ],
    &[
        "Environment update is starting.",
        "Immutable deployment policy enabled. Launching one instance with the new settings to verify health.",
        "Instance deployment completed successfully.",
        "Test instance passed health checks. Launching remaining new instances.",
        "Successfully launched all instances.",
        "Deployment succeeded. Terminating old instances and temporary Auto Scaling group.",
        "Removed instance [i-1] from your environment.",
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ],
];

#[test]
fn with_every_policy_nothing_but_the_last_event_is_success() {
    let ready = environment(Status::Ready, "2", Health::Green);
    let good = [instance("2", "Deployed")];
    let judged = |texts| word(&verdict(&update(), texts, &ready, Fleet::Listed(&good), held(20, true, Some(20))));
    for texts in POLICIES {
        for end in 1..texts.len() {
            assert_eq!(judged(&texts[..end]), "moving", "{}", texts[end - 1]);
        }
        assert_eq!(judged(texts), "by event");
    }
}

#[test]
fn a_change_of_settings_is_judged_by_its_own_texts() {
    let configure = operation(Kind::Configure { label: "1".into() });
    let ready = environment(Status::Ready, "1", Health::Green);
    let good = [instance("1", "Deployed")];
    let begin = "Environment update is starting.";
    let settings: &[&str] = &[begin, "Successfully deployed new configuration to environment.", UPDATED[4]];
    let failed: &[&str] = &[begin, "!Failed to deploy configuration."];
    let reverted: &[&str] = &[begin, "The environment was reverted to the previous configuration setting."];
    let cases = [
        (settings, held(20, true, Some(20)), "by event"),
        (&settings[..2], held(20, true, Some(20)), "moving"),
        (&settings[..2], held(60, true, Some(60)), "failed"),
        (failed, held(20, true, Some(20)), "failed"),
        (reverted, held(20, true, Some(20)), "failed"),
    ];
    for (texts, held, wanted) in cases {
        assert_eq!(word(&verdict(&configure, texts, &ready, Fleet::Listed(&good), held)), wanted, "{texts:?}");
    }
}

#[test]
fn instances_that_may_not_be_asked_are_no_proof() {
    let ready = environment(Status::Ready, "2", Health::Green);
    let judged = |held| word(&verdict(&update(), UPDATED, &ready, Fleet::Denied, held));
    assert_eq!((judged(held(5, true, Some(5))), judged(held(20, true, Some(20)))), ("moving", "failed"));
}
