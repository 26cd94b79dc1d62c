//! What a user reads of a failure: the deployment's log, else tails, else health; and what could not be read.

use super::super::operation::Kind;
use super::play::{Play, Played, Trouble, denial, play};

const LOG: &str = "resources/environments/logs/deployments/e-1/eb-deployment-ours.log";

/// An update that fails, with these objects and this trouble.
async fn failed(objects: Vec<(&'static str, &'static str)>, trouble: Trouble) -> Played {
    let events = vec![
        (0, "Environment update is starting."),
        (29, "!Instance deployment failed. For details, see 'eb-engine.log'."),
        (30, "!Failed to deploy application."),
    ];
    let states = vec![(0, "Updating", "2", "Grey"), (30, "Ready", "1", "Red")];
    let instances = vec![(0, "1 Deployed,2 Failed")];
    let update = Kind::Update { label: "2".into() };
    play(Play { events, states, instances, objects, trouble, ..Play::default() }, update).await
}

/// Instances' tails, as texts in place of links.
fn tails(call: &str, _: u64) -> Option<(u16, String)> {
    let tail = |instance: &str, at: u32| {
        format!(
            "<member><InfoType>tail</InfoType><Ec2InstanceId>{instance}</Ec2InstanceId>\
             <SampleTimestamp>2024-10-04T00:{at:02}:00Z</SampleTimestamp><Message>the end of {instance}</Message></member>"
        )
    };
    (call == "RetrieveEnvironmentInfo").then(|| {
        let all = tail("i-0", 50) + &tail("i-1", 50);
        super::ok(call, &format!("<EnvironmentInfo>{all}</EnvironmentInfo>"))
    })
}

#[tokio::test(start_paused = true)]
async fn the_deployments_own_log_comes_first() {
    let played = failed(vec![(LOG, "[ERROR] exec /app: exec format error\n")], |_, _| None).await;
    let lines = played.fault().last_lines();
    assert_eq!(
        lines,
        [format!("s3://elasticbeanstalk-eu-west-1-1/{LOG}"), "[ERROR] exec /app: exec format error".into()]
    );
    assert!(played.fault().hints()[0].contains("build_platform"));
    assert!(!played.asked.iter().any(|call| call == "RequestEnvironmentInfo"));
}

#[tokio::test(start_paused = true)]
async fn under_another_name_it_is_found_by_its_place() {
    let other = "resources/environments/logs/deployments/e-1/eb-deployment-another.log";
    let itself = "resources/environments/logs/deployments/e-1/selfstartup/eb-deployment-20261120-i-1.log";
    let played = failed(vec![(itself, "[ERROR] itself"), (other, "[ERROR] boom")], |_, _| None).await;
    assert_eq!(played.fault().last_lines()[1], "[ERROR] boom");
    let played = failed(vec![(itself, "[ERROR] itself")], |_, _| None).await;
    assert_eq!(played.fault().last_lines()[1], "[ERROR] itself");
}

#[tokio::test(start_paused = true)]
async fn without_it_the_tails_of_the_failing_instances_are_shown() {
    let samples = |call: &str, now: u64| {
        // None is there before they are asked for.
        if now < 50 { None } else { tails(call, now) }
    };
    let played = failed(Vec::new(), samples).await;
    assert_eq!(played.fault().last_lines(), ["[i-1] the log", "the end of i-1"], "{:?}", played.asked);
}

#[tokio::test(start_paused = true)]
async fn without_logs_health_says_why_and_what_was_denied_is_said() {
    let denied = |call: &str, _| match call {
        read if read.starts_with("GET ") => Some((403, "<Error><Code>AccessDenied</Code></Error>".to_owned())),
        "RequestEnvironmentInfo" => denial("elasticbeanstalk:RequestEnvironmentInfo"),
        _ => None,
    };
    let played = failed(Vec::new(), denied).await;
    assert!(played.fault().causes().iter().any(|cause| cause == "Command failed on all instances."));
    let said = played.notes.join("\n");
    assert!(said.contains("the deployment log of shop-1 could not be read: GetObject was denied"), "{said}");
    assert!(said.contains(r#""Action":["s3:GetObject"]"#) && said.contains("RequestEnvironmentInfo"), "{said}");
}
