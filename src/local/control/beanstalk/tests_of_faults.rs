//! What the local Beanstalk can be told to do wrong, one thing after the other.

use std::time::Duration;

use super::tests::{ENHANCED, World, texts};

const TWO: &str = "&OptionSettings.member.3.Namespace=aws:autoscaling:asg&OptionSettings.member.3.OptionName=MinSize\
                   &OptionSettings.member.3.Value=2";

async fn update(world: &World, id: &str) -> String {
    let body = world.ok(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2")).await;
    world.go_on(&|_| None);
    texts(&body, "RequestId").remove(0)
}

#[tokio::test]
async fn names_labels_and_quotas_turn_out_to_be_taken() {
    let world = World::with_shop().await;
    let version =
        "CreateApplicationVersion&ApplicationName=shop&SourceBundle.S3Bucket=b&SourceBundle.S3Key=k&VersionLabel";
    world.ok("BeanlineSetFault&Name=label-taken&Times=1").await;
    assert_eq!(world.refused(&format!("{version}=7")).await, "Application Version 7 already exists.");
    world.ok(&format!("{version}=7")).await;
    world.ok("BeanlineSetFault&Name=cname-taken&Times=1").await;
    let free = world.ok("CheckDNSAvailability&CNAMEPrefix=shop-a").await;
    assert_eq!(texts(&free, "Available"), ["true"]);
    let create = "CreateEnvironment&ApplicationName=shop&EnvironmentName=shop-a&CNAMEPrefix=shop-a&VersionLabel=1\
                  &SolutionStackName=64bit+Amazon+Linux+2023+v4.13.5+running+Docker";
    assert_eq!(world.refused(create).await, "DNS name (shop-a.local.elasticbeanstalk.com) is not available.");
    world.ok("BeanlineSetFault&Name=quota&ForAction=CreateEnvironment&Most=0").await;
    let (_, body) = world.call(create).await;
    assert_eq!(texts(&body, "Code"), ["TooManyEnvironmentsException"]);
    let told = world.ok("DescribeAccountAttributes").await;
    assert!(told.contains("<EnvironmentQuota><Maximum>0</Maximum>"), "{told}");
    world.ok("BeanlineSetFault&Name=quota&ForAction=CreateApplicationVersion&Most=3").await;
    let (_, body) = world.call(&format!("{version}=8")).await;
    assert_eq!(texts(&body, "Code"), ["TooManyApplicationVersionsException"]);
}

#[tokio::test]
async fn a_terminated_environment_and_its_successor_of_the_same_name_are_both_listed() {
    let world = World::lingering().await;
    let first = world.environment("shop-a", "").await;
    world.ok(&format!("TerminateEnvironment&EnvironmentId={first}")).await;
    world.go_on(&|_| None);
    let second = world.environment("shop-a", "").await;
    let both = world.ok("DescribeEnvironments&EnvironmentNames.member.1=shop-a").await;
    assert_eq!(texts(&both, "EnvironmentId"), [first, second]);
    assert_eq!(texts(&both, "Status"), ["Terminated", "Ready"]);
}

#[tokio::test]
async fn events_come_without_request_id_or_change_places_in_the_same_millisecond() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", ENHANCED).await;
    world.ok("BeanlineSetFault&Name=no-request-id&Environment=shop-a").await;
    let request = update(&world, &id).await;
    assert_eq!(world.events(&format!("RequestId={request}")).await, Vec::<String>::new());
    let events = world.events(&format!("EnvironmentId={id}")).await;
    assert!(events.contains(&"Environment update completed successfully.".to_owned()));
    world.ok("BeanlineClearFaults").await;
    world.ok("BeanlineSetFault&Name=shuffled-events").await;
    let request = update(&world, &id).await;
    let body = world.ok(&format!("DescribeEvents&RequestId={request}&MaxRecords=1000")).await;
    let dates = texts(&body, "EventDate");
    assert!(dates.is_sorted_by(|a, b| a >= b) && dates.iter().all(|date| date.ends_with("00Z")), "{dates:?}");
    let mut events = texts(&body, "Message");
    events.reverse();
    // These three are told in one step, so one of the two pairs that they make has changed places.
    let order = [
        "Instance deployment completed successfully.",
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ];
    events.retain(|event| order.contains(&event.as_str()));
    assert!(events.len() == 3 && events != order, "{events:#?}");
}

#[tokio::test]
async fn a_failure_leaves_a_mixed_fleet_and_red_health() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", &format!("{ENHANCED}{TWO}")).await;
    world.ok("BeanlineSetFault&Name=last-fails&Times=1").await;
    let request = update(&world, &id).await;
    assert_eq!((world.field(&id, "VersionLabel").await, world.field(&id, "Health").await), ("1".into(), "Red".into()));
    let events = world.events(&format!("RequestId={request}")).await;
    let summary = "Command execution completed on all instances. Summary: [Successful: 1, Failed: 1].";
    assert!(events.contains(&summary.to_owned()), "{events:#?}");
    assert!(events.last().unwrap().starts_with("During an aborted deployment"), "{events:#?}");
}

#[tokio::test]
async fn health_is_red_for_a_while_or_flaps() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", ENHANCED).await;
    world.ok("BeanlineSetFault&Name=health-red&Millis=200").await;
    update(&world, &id).await;
    let seen = async |length| {
        let (began, mut colors) = (std::time::Instant::now(), Vec::new());
        while began.elapsed() < Duration::from_millis(length) {
            world.beanstalk.due().unwrap();
            let color = world.field(&id, "Health").await;
            if colors.last() != Some(&color) {
                colors.push(color);
            }
        }
        colors
    };
    assert_eq!(seen(400).await, ["Red", "Green"]);
    assert_eq!(
        (world.field(&id, "VersionLabel").await, world.field(&id, "Status").await),
        ("2".into(), "Ready".into())
    );
    world.ok("BeanlineClearFaults").await;
    world.ok("BeanlineSetFault&Name=health-flaps&Millis=50").await;
    let colors = seen(400).await;
    assert!(colors.len() >= 4 && colors.contains(&"Red".to_owned()), "{colors:?}");
}

#[tokio::test]
async fn a_stack_that_cannot_be_rolled_back_is_told_and_the_environment_stays_updating() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", "").await;
    world.ok("BeanlineSetFault&Name=stack-stuck").await;
    world.ok(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2")).await;
    for _ in 0..3 {
        world.beanstalk.due().unwrap();
        crate::engine::retry::pause(Duration::from_millis(30)).await;
    }
    let errors = world.events(&format!("EnvironmentId={id}&Severity=ERROR")).await;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].ends_with(&format!("associated with environment {id} is in UPDATE_ROLLBACK_FAILED state.")));
    assert_eq!(world.field(&id, "Status").await, "Updating");
    world.ok("BeanlineClearFaults").await;
    world.go_on(&|_| None);
    assert_eq!(world.field(&id, "VersionLabel").await, "2");
}
