//! Refusals, faults, paging, logs, settings: the API against a world in memory.

use super::tests::{ENHANCED, World, texts, zipped};

#[tokio::test]
async fn what_cannot_be_is_refused_in_the_services_words() {
    let world = World::with_shop().await;
    world.environment("shop-a", "").await;
    let bundle = "SourceBundle.S3Bucket=b&SourceBundle.S3Key=k";
    let create = "CreateEnvironment&ApplicationName=shop";
    let cases = [
        (
            format!("CreateApplicationVersion&ApplicationName=shop&VersionLabel=1&{bundle}"),
            "Application Version 1 already exists.",
        ),
        (
            format!("CreateApplicationVersion&ApplicationName=x&VersionLabel=1&{bundle}"),
            "No Application named 'x' found.",
        ),
        (
            "CreateApplicationVersion&ApplicationName=shop&VersionLabel=3&SourceBundle.S3Bucket=b&SourceBundle.S3Key=z"
                .into(),
            "Unable to download from S3 location (Bucket: b  Key: z). Reason: Not Found",
        ),
        (
            format!("{create}&EnvironmentName=shop_a"),
            "Value shop_a at 'EnvironmentName' failed to satisfy constraint: Member must contain only letters, digits, \
             and the dash character and may not start or end with a dash",
        ),
        (format!("{create}&EnvironmentName=shop-a"), "Environment shop-a already exists."),
        (
            format!("{create}&EnvironmentName=shop-b&CNAMEPrefix=Shop-A"),
            "DNS name (shop-a.local.elasticbeanstalk.com) is not available.",
        ),
        (format!("{create}&EnvironmentName=shop-b&VersionLabel=9"), "No Application Version named '9' found."),
        (
            format!("{create}&EnvironmentName=shop-b&VersionLabel=1"),
            "Unable to determine base for template pack (no solution stack)",
        ),
        ("UpdateEnvironment&EnvironmentName=shop-z".into(), "No Environment found for EnvironmentName = 'shop-z'."),
        (
            "AbortEnvironmentUpdate&EnvironmentName=shop-a".into(),
            "Environment named shop-a is in an invalid state for this operation. Must be pending deployment.",
        ),
        (
            "DeleteApplicationVersion&ApplicationName=shop&VersionLabel=1".into(),
            "Application Version 1 is associated with a running environment.",
        ),
        ("Dance".into(), "The action Dance is not valid for this web service."),
    ];
    for (form, message) in cases {
        assert_eq!(world.refused(&form).await, message, "{form}");
    }
    let (status, body) = world.call("DescribeInstancesHealth&EnvironmentName=shop-a").await;
    assert_eq!((status, texts(&body, "Code").remove(0).as_str()), (400, "InvalidRequestException"));
}

#[tokio::test]
async fn a_template_carries_an_environments_settings_to_the_next() {
    let world = World::with_shop().await;
    let variable = "&OptionSettings.member.3.Namespace=aws:elasticbeanstalk:application:environment\
                    &OptionSettings.member.3.OptionName=COLOUR&OptionSettings.member.3.Value=green";
    let id = world.environment("shop-a", &format!("{ENHANCED}{variable}")).await;
    world.ok(&format!("CreateConfigurationTemplate&ApplicationName=shop&TemplateName=t&EnvironmentId={id}")).await;
    let again = format!("CreateConfigurationTemplate&ApplicationName=shop&TemplateName=t&EnvironmentId={id}");
    assert_eq!(world.refused(&again).await, "Configuration Template t already exists.");
    let create = "CreateEnvironment&ApplicationName=shop&EnvironmentName=shop-b&VersionLabel=2&TemplateName=t";
    world.ok(create).await;
    world.go_on(&|_| None);
    let settings = world.ok("DescribeConfigurationSettings&ApplicationName=shop&EnvironmentName=shop-b").await;
    assert!(settings.contains("<OptionName>COLOUR</OptionName><Value>green</Value>"), "{settings}");
    assert!(settings.contains("<OptionName>DeploymentPolicy</OptionName><Value>AllAtOnce</Value>"));
    let body = world.ok("DescribeEnvironments&EnvironmentNames.member.1=shop-b").await;
    assert!(texts(&body, "CNAME")[0].starts_with("shop-b.eba-"));
    world.ok("DeleteConfigurationTemplate&ApplicationName=shop&TemplateName=t").await;
    assert!(world.refused(&create.replace("shop-b", "shop-c")).await.starts_with("No Configuration Template"));
}

#[tokio::test]
async fn events_come_newest_first_in_pages_that_overlap_nowhere() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", ENHANCED).await;
    let all = world.ok(&format!("DescribeEvents&EnvironmentId={id}")).await;
    let (mut token, mut found) = (String::new(), Vec::new());
    loop {
        let page = world.ok(&format!("DescribeEvents&EnvironmentId={id}&MaxRecords=3{token}")).await;
        found.extend(texts(&page, "Message"));
        // What happens between two pages belongs to neither.
        world.ok("CreateApplication&ApplicationName=other").await;
        world.ok("DeleteApplication&ApplicationName=other").await;
        match texts(&page, "NextToken").pop() {
            Some(next) => token = format!("&NextToken={next}"),
            None => break,
        }
    }
    assert_eq!(found, texts(&all, "Message"));
    let dates = texts(&all, "EventDate");
    assert!(dates.is_sorted_by(|a, b| a >= b));
    let since = world.ok(&format!("DescribeEvents&EnvironmentId={id}&StartTime={}", dates[0])).await;
    assert!(!texts(&since, "Message").is_empty(), "StartTime is inclusive");
    let until = world.ok(&format!("DescribeEvents&EnvironmentId={id}&EndTime={}", dates[0])).await;
    assert!(!texts(&until, "EventDate").contains(&dates[0]), "EndTime is exclusive");
    let health = world.store.read(|state| {
        state
            .events
            .iter()
            .filter(|event| event.message.starts_with("Environment health"))
            .all(|e| e.request_id.is_none())
    });
    assert!(health, "nobody asked for a transition of health");
}

#[tokio::test]
async fn faults_happen_as_they_were_set() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", ENHANCED).await;
    let update = format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2");
    world.ok("BeanlineSetFault&Name=rollback&Times=1&Environment=shop-a").await;
    world.ok(&update).await;
    world.go_on(&|_| None);
    assert_eq!(world.field(&id, "VersionLabel").await, "1");
    assert!(world.events(&format!("EnvironmentId={id}")).await.contains(&"Failed to deploy application.".to_owned()));
    world.ok("BeanlineSetFault&Name=no-success-event").await;
    world.ok(&update).await;
    world.go_on(&|_| None);
    assert_eq!(world.field(&id, "VersionLabel").await, "2");
    let events = world.events(&format!("EnvironmentId={id}")).await;
    assert!(!events.contains(&"Environment update completed successfully.".to_owned()));
    world.ok("BeanlineSetFault&Name=health-red").await;
    world.beanstalk.due().unwrap();
    assert_eq!(world.field(&id, "Health").await, "Red");
    let calls = world.ok("BeanlineListCalls").await;
    let updates = texts(&calls, "Action").iter().filter(|action| *action == "UpdateEnvironment").count();
    assert_eq!(updates, 2);
}

#[tokio::test]
async fn a_stuck_update_can_be_aborted_and_an_operation_survives_a_restart() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", "").await;
    world.ok("BeanlineSetFault&Name=stuck").await;
    world.ok(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2")).await;
    assert!(world.beanstalk.due().unwrap().is_empty());
    let state = world.store.read(|state| serde_json::to_vec(state).unwrap());
    world.store.change(|now| *now = serde_json::from_slice(&state).unwrap()).unwrap();
    assert_eq!(world.field(&id, "Status").await, "Updating");
    world.ok(&format!("AbortEnvironmentUpdate&EnvironmentId={id}")).await;
    assert_eq!(world.field(&id, "Status").await, "Aborting");
    world.go_on(&|_| None);
    assert_eq!(world.field(&id, "Status").await, "Ready");
    assert_eq!(world.field(&id, "VersionLabel").await, "1");
}

#[tokio::test]
async fn logs_are_fetched_while_the_environment_stays_as_it_is() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", "").await;
    world.ok(&format!("RequestEnvironmentInfo&EnvironmentId={id}&InfoType=tail")).await;
    assert_eq!(world.field(&id, "Status").await, "Ready");
    world.go_on(&|_| None);
    let logs = world.ok(&format!("RetrieveEnvironmentInfo&EnvironmentId={id}&InfoType=tail")).await;
    assert_eq!(texts(&logs, "Message"), ["http://x/log"]);
    let events = world.events(&format!("EnvironmentId={id}")).await;
    assert!(events.contains(&"Pulled logs for environment instances.".to_owned()));
}

#[tokio::test]
async fn tags_are_kept_and_an_environment_is_busy_while_they_change() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", "&Tags.member.1.Key=run&Tags.member.1.Value=7").await;
    let arn = world.field(&id, "EnvironmentArn").await;
    let update = format!("UpdateTagsForResource&ResourceArn={arn}&TagsToAdd.member.1.Key=a&TagsToAdd.member.1.Value=b");
    world.ok(&update).await;
    assert!(world.refused(&update).await.contains("not in a Ready state"));
    world.go_on(&|_| None);
    let tags = world.ok(&format!("ListTagsForResource&ResourceArn={arn}")).await;
    assert_eq!(
        (texts(&tags, "Key"), texts(&tags, "Value")),
        (vec!["a".into(), "run".into()], vec!["b".into(), "7".into()])
    );
    assert!(world.refused("ListTagsForResource&ResourceArn=arn:x").await.contains("does not exist"));
}

#[tokio::test]
async fn a_worker_runs_without_a_name_of_its_own_and_is_never_swapped() {
    let world = World::with_shop().await;
    let worker = "&Tier.Name=Worker&Tier.Type=SQS/HTTP";
    let create = "CreateEnvironment&ApplicationName=shop&EnvironmentName=jobs&VersionLabel=1&CNAMEPrefix=jobs";
    let refused = world.refused(&format!("{create}{worker}")).await;
    assert_eq!(refused, "CNAMEPrefix is not a valid parameter for the Worker tier.");
    let id = world.environment("jobs", &format!("{worker}&CNAMEPrefix=")).await;
    assert_eq!((world.field(&id, "Status").await, world.field(&id, "CNAME").await), ("Ready".into(), String::new()));
    assert_eq!(world.field(&id, "EndpointURL").await, "");
    let resources = world.ok(&format!("DescribeEnvironmentResources&EnvironmentId={id}")).await;
    assert!(resources.contains("AWSEBWorkerQueue") && resources.contains("<Id>i-0"), "{resources}");
    let web = world.environment("shop-a", "").await;
    for (source, destination) in [(&id, &web), (&web, &id)] {
        let swap = format!("SwapEnvironmentCNAMEs&SourceEnvironmentId={source}&DestinationEnvironmentId={destination}");
        assert!(world.refused(&swap).await.contains("Worker tier"));
    }
}

#[tokio::test]
async fn the_platform_updates_itself_between_a_look_and_a_change() {
    let world = World::with_shop().await;
    let id = world.environment("shop-a", ENHANCED).await;
    let look = format!("DescribeEnvironmentManagedActions&EnvironmentId={id}&Status=Running");
    assert_eq!(texts(&world.ok(&look).await, "ActionId"), Vec::<String>::new());
    world.ok("BeanlineSetFault&Name=managed-update&Times=1&Millis=50").await;
    assert_eq!(world.field(&id, "Status").await, "Ready");
    let update = format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2");
    assert!(world.refused(&update).await.ends_with("Must be Ready."));
    let action = world.ok(&look).await;
    assert_eq!(texts(&action, "ActionType"), ["PlatformUpdate"]);
    world.go_on(&|_| None);
    assert_eq!(
        (world.field(&id, "Status").await, world.field(&id, "VersionLabel").await),
        ("Ready".into(), "1".into())
    );
    let own = world.events(&format!("RequestId={}", texts(&action, "ActionId")[0])).await;
    assert_eq!(own, ["Environment update is starting.", "Environment update completed successfully."]);
    world.ok(&format!("BeanlineManagedUpdate&EnvironmentId={id}&Millis=50")).await;
    assert_eq!(world.field(&id, "Status").await, "Updating");
    world.go_on(&|_| None);
    world.ok(&update).await;
}

#[tokio::test]
async fn a_version_is_processed_and_one_with_a_bad_configuration_file_cannot_be_deployed() {
    let world = World::with_steps_of(std::time::Duration::from_millis(40)).await;
    let id = world.environment("shop-a", ENHANCED).await;
    let run = ("Dockerrun.aws.json", "{}");
    for (label, extension, end) in [("3", "a: 1", "PROCESSED"), ("4", "a: [", "FAILED")] {
        let bundle = zipped(&[run, (".ebextensions/1.config", extension)]);
        world.beanstalk.objects().put("b", label, bundle).await.unwrap();
        let source = format!("SourceBundle.S3Bucket=b&SourceBundle.S3Key={label}&Process=true");
        let create = format!("CreateApplicationVersion&ApplicationName=shop&VersionLabel={label}&{source}");
        assert_eq!(texts(&world.ok(&create).await, "Status"), ["UNPROCESSED"]);
        let describe = format!("DescribeApplicationVersions&ApplicationName=shop&VersionLabels.member.1={label}");
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != end) {
            let status = texts(&world.ok(&describe).await, "Status").remove(0);
            if seen.last() != Some(&status) {
                seen.push(status);
            }
        }
        assert_eq!(seen, ["UNPROCESSED", "PROCESSING", end]);
        let events = world.events(&format!("ApplicationName=shop&VersionLabel={label}")).await;
        assert_eq!(*events.last().unwrap(), format!("Finished processing application version {label}"));
    }
    let update = format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel");
    assert_eq!(world.refused(&format!("{update}=4")).await, "Application Version 4 failed to be processed.");
    world.ok(&format!("{update}=3")).await;
}
