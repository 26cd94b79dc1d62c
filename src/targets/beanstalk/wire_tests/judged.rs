//! What the platform may do with an operation, and the verdict that each gets, with all that the user reads.

use super::super::operation::Kind;
use super::play::{Play, UPDATED, denial, play};
use super::*;

fn update() -> Kind {
    Kind::Update { label: "2".into() }
}

const STARTING: (u64, &str) = (0, "Environment update is starting.");

/// The events of an update that fails on every instance, and the version goes back.
const BROKEN: [(u64, &str); 4] = [
    STARTING,
    (28, "!Instance deployment: The Docker container unexpectedly ended after it was started."),
    (29, "Command execution completed on all instances. Summary: [Successful: 0, Failed: 2]."),
    (30, "!Failed to deploy application."),
];

/// An update that goes well until it is Ready, and what health does from then on.
fn with_health(health: &[(u64, &'static str)]) -> Play {
    let ready = health.iter().map(|(at, health)| (*at, "Ready", "2", *health));
    Play { states: std::iter::once((0, "Updating", "2", "Grey")).chain(ready).collect(), ..Play::default() }
}

#[tokio::test(start_paused = true)]
async fn an_update_costs_eight_calls_and_is_judged_when_health_has_lasted() {
    let played = play(Play::default(), update()).await;
    assert_eq!(played.word(), ("by event", 45));
    assert_eq!(played.told, UPDATED.map(|(_, text)| text));
    // With the update's own call, and the one before it for the newest event, eight.
    assert_eq!(played.asked.len(), 6, "{:?}", played.asked);
    let count = |call: &str| played.asked.iter().filter(|asked| *asked == call).count();
    assert_eq!((count("DescribeEvents"), count("DescribeInstancesHealth")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_creation_of_five_minutes_costs_forty_calls() {
    let events = vec![
        (0, "createEnvironment is starting."),
        (130, "Added instance [i-0] to your environment."),
        (300, "Instance deployment completed successfully."),
        (300, "Successfully launched environment: shop-1"),
    ];
    let states = vec![(0, "Launching", "2", "Grey"), (300, "Ready", "2", "Green")];
    let new = Play { states, events, instances: vec![(0, "2 Deployed")], ..Play::default() };
    let played = play(new, Kind::Create { label: "2".into() }).await;
    assert_eq!(played.word(), ("by event", 315));
    assert!(played.asked.len() < 40, "{}", played.asked.len());
}

#[tokio::test(start_paused = true)]
async fn events_that_come_late_or_out_of_order_are_told_once_and_count() {
    let played = play(Play { late: 10, ..Play::default() }, update()).await;
    assert_eq!((played.word().0, played.told.len()), ("by event", 5));
    assert!(played.took <= 50, "{}", played.took);
    let mut events = UPDATED.to_vec();
    events.reverse();
    let played = play(Play { events, ..Play::default() }, update()).await;
    assert_eq!((played.word(), played.told.len()), (("by event", 45), 5));
}

#[tokio::test(start_paused = true)]
async fn without_request_ids_the_instances_decide() {
    let nameless = |events: &[(u64, &'static str)]| {
        let nameless = |text: &'static str| -> &'static str { Box::leak(format!("~{text}").into_boxed_str()) };
        events.iter().map(|(at, text)| (*at, nameless(text))).collect::<Vec<_>>()
    };
    let played = play(Play { events: nameless(&UPDATED), ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "by state");
    let states = vec![(0, "Updating", "2", "Grey"), (30, "Ready", "1", "Green")];
    let played = play(Play { events: nameless(&BROKEN), states, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "failed");
    assert!(played.fault().what().contains("was rolled back by Elastic Beanstalk and runs version 1"));
    assert!(played.fault().causes()[0].contains("unexpectedly ended"), "{}", played.fault());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_found_in_the_events() {
    let played = play(Play { is_lost: true, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "by event");
}

#[tokio::test(start_paused = true)]
async fn a_return_to_the_old_version_with_green_is_a_failure_with_its_cause() {
    let states = vec![(0, "Updating", "2", "Grey"), (30, "Ready", "1", "Green")];
    let instances = vec![(0, "1 Deployed,1 Deployed")];
    let played = play(Play { events: BROKEN.to_vec(), states, instances, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "failed");
    assert_eq!(played.fault().what(), "could not update environment shop-1 to version 2: it failed and runs version 1");
    assert!(played.fault().causes()[0].contains("unexpectedly ended"), "{}", played.fault());
    assert_eq!(played.told.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_leaves_a_mixed_fleet_and_red_is_one() {
    let mut events = BROKEN.to_vec();
    let mixed = "!During an aborted deployment, some instances may have deployed the new application version. To ensure \
                 all instances are running the same version, re-deploy the appropriate application version.";
    events.push((30, mixed));
    let states = vec![(0, "Updating", "2", "Grey"), (30, "Ready", "1", "Red")];
    let instances = vec![(0, "2 Deployed,1 Deployed")];
    let played = play(Play { events, states, instances, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "failed");
    assert!(played.fault().causes().iter().any(|cause| cause.contains("some instances may have deployed")));
}

#[tokio::test(start_paused = true)]
async fn success_with_one_instance_wrong_is_none() {
    let wrong = |instances| Play { instances: vec![(0, instances)], ..Play::default() };
    let played = play(wrong("2 Deployed,1 Deployed"), update()).await;
    assert_eq!(played.word().0, "failed");
    assert!(played.fault().what().ends_with("has 1 of 2 instances that do not run version 2"));
    assert!(played.fault().causes()[0].contains("instance i-1 has version 1, deployed"), "{}", played.fault());
    let played = play(wrong("2 Deployed,2 Failed"), update()).await;
    assert!(played.fault().what().ends_with("has an instance whose deployment failed") && played.took < 60);
}

#[tokio::test(start_paused = true)]
async fn red_is_given_the_time_of_health_timeout() {
    let played = play(with_health(&[(30, "Red")]), update()).await;
    assert_eq!(played.word().0, "failed");
    assert!(played.fault().what().ends_with("its health is Red, not Green") && (330..345).contains(&played.took));
    let played = play(with_health(&[(30, "Red"), (200, "Green")]), update()).await;
    assert_eq!(played.word().0, "by event");
    assert!((215..230).contains(&played.took), "{}", played.took);
    let played = play(with_health(&[(30, "Red"), (400, "Green")]), update()).await;
    assert_eq!(played.word().0, "failed");
}

#[tokio::test(start_paused = true)]
async fn health_that_comes_and_goes_is_judged_when_it_stays() {
    let turns = (0..8).map(|turn| (30 + turn * 12, turn % 2 == 1));
    let health: Vec<_> = turns.clone().map(|(at, is_well)| (at, if is_well { "Green" } else { "Red" })).collect();
    let told = turns.map(|(at, is_well)| match is_well {
        true => (at, "~Environment health has transitioned from Severe to Ok."),
        false => (at, "~Environment health has transitioned from Ok to Severe."),
    });
    let events = UPDATED.into_iter().chain(told).collect();
    let played = play(Play { events, ..with_health(&health) }, update()).await;
    assert_eq!(played.word().0, "by event");
    assert!((114 + 15..114 + 30).contains(&played.took), "{}", played.took);
    // What happens between two looks is in the events.
    let mut events = UPDATED.to_vec();
    events.push((38, "~Environment health has transitioned from Ok to Severe."));
    events.push((41, "~Environment health has transitioned from Severe to Ok."));
    let played = play(Play { events, ..Play::default() }, update()).await;
    assert_eq!(played.word(), ("by event", 41 + 15));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_does_not_end_is_waited_for_until_the_limit() {
    let stuck = Play {
        states: vec![(0, "Updating", "2", "Grey")],
        events: vec![STARTING],
        instances: Vec::new(),
        ..Play::default()
    };
    let played = play(stuck, update()).await;
    assert_eq!(played.word(), ("too late", 2400));
    assert!(played.fault().to_string().contains("waited for: it is Updating"), "{}", played.fault());
}

#[tokio::test(start_paused = true)]
async fn an_update_of_the_platforms_own_is_not_ours() {
    let mut events = UPDATED.to_vec();
    events.extend([(35, "?Environment update is starting."), (70, "?!Failed to deploy configuration.")]);
    let states = vec![
        (0, "Updating", "2", "Grey"),
        (30, "Ready", "2", "Green"),
        (35, "Updating", "2", "Grey"),
        (70, "Ready", "2", "Green"),
    ];
    let played = play(Play { events, states, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "by event");
    assert!(played.took >= 85, "{}", played.took);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_settings_needs_its_event() {
    let configure = || Kind::Configure { label: "1".into() };
    let states = vec![(0, "Updating", "1", "Grey"), (30, "Ready", "1", "Green")];
    let instances = vec![(0, "1 Deployed")];
    let well = Play { states, instances, ..Play::default() };
    assert_eq!(play(well.clone(), configure()).await.word(), ("by event", 45));
    let silent = Play { events: vec![STARTING], ..well.clone() };
    let played = play(silent, configure()).await;
    assert!(played.fault().what().ends_with("no event says that its settings were changed"), "{}", played.fault());
    let reverted = "!The environment was reverted to the previous configuration setting.";
    let played = play(Play { events: vec![STARTING, (29, reverted)], ..well }, configure()).await;
    assert!(played.fault().causes()[0].contains("was reverted"), "{}", played.fault());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_said_with_the_statement_that_allows_it() {
    let events = |call: &str, _| (call == "DescribeEvents").then(|| denial("elasticbeanstalk:DescribeEvents"))?;
    let played = play(Play { trouble: events, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "by state");
    assert!(played.notes[0].starts_with("elasticbeanstalk:DescribeEvents was denied to"), "{:?}", played.notes);
    let basic = Play { trouble: events, instances: Vec::new(), ..Play::default() };
    let played = play(basic, update()).await;
    assert!(played.fault().what().contains("no success event came"), "{}", played.fault());
    assert!(played.fault().hints()[0].contains(r#""elasticbeanstalk:DescribeEvents""#), "{:?}", played.fault().hints());
    let health = |call: &str, _| {
        let action = "elasticbeanstalk:DescribeInstancesHealth";
        (call == "DescribeInstancesHealth").then(|| denial(action))?
    };
    let played = play(Play { trouble: health, ..Play::default() }, update()).await;
    assert!(played.fault().what().ends_with("instances that may not be asked for their version"), "{}", played.fault());
    assert!(played.took < 60 && played.fault().hints()[0].contains("DescribeInstancesHealth"));
    let all =
        |call: &str, _| (call == "DescribeEnvironments").then(|| denial("elasticbeanstalk:DescribeEnvironments"))?;
    let played = play(Play { trouble: all, ..Play::default() }, update()).await;
    assert!(played.fault().what().ends_with("goes on to update environment shop-1 to version 2 without us"));
}

#[tokio::test(start_paused = true)]
async fn questions_that_are_not_answered_cost_a_moment_each() {
    let once = |call: &str, now| {
        let silent = call == "DescribeInstancesHealth" && now < 45 || call == "DescribeEvents" && now == 36;
        silent.then(|| (NEVER, String::new()))
    };
    let played = play(Play { trouble: once, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "by event");
    assert!(played.took < 75, "{}", played.took);
    let throttled = |_: &str, now| (now < 60).then(|| error("Throttling", "Rate exceeded"));
    let played = play(Play { trouble: throttled, ..Play::default() }, update()).await;
    assert_eq!(played.word().0, "by event");
    assert!(played.asked.len() < 20, "{:?}", played.asked);
}

#[tokio::test(start_paused = true)]
async fn a_swap_that_does_not_move_the_name_has_failed() {
    let swap = || Kind::Swap { cname: "shop.eu-west-1.elasticbeanstalk.com".into() };
    let begun = (0, "swapEnvironmentCNAMEs is starting.");
    let states = vec![(0, "Updating", "2", "Green"), (5, "Ready", "2", "Green")];
    let refused = (5, "!Failed to swap CNAMEs.");
    let played = play(Play { states: states.clone(), events: vec![begun, refused], ..Play::default() }, swap()).await;
    assert!(played.fault().what().ends_with("it did not get the name") && played.took < 20, "{}", played.fault());
    let played = play(Play { states, events: vec![begun], ..Play::default() }, swap()).await;
    assert!(played.fault().what().contains("is Ready and still answers to"), "{}", played.fault());
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_is_hidden_by_partial_rights_is_said_to_be() {
    let hidden = |call: &str, _| (call == "DescribeEnvironments").then(|| environments(&[]));
    let played = play(Play { trouble: hidden, ..Play::default() }, update()).await;
    assert!(played.fault().what().ends_with("is not listed by Elastic Beanstalk any more"));
    assert!(played.fault().to_string().contains("without an error"), "{}", played.fault());
}
