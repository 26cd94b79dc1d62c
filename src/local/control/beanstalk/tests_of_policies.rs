//! Deployment policies: what is told in which order, what serves meanwhile, and what a failure leaves.

use std::time::Duration;

use super::model::Environment;
use super::tests::{World, texts};
use super::work::Cause;

/// Options of an environment, beginning with the number that [`World::launch`] leaves free.
fn options(pairs: &[(&str, &str, &str)]) -> String {
    let one = |(index, (namespace, name, value)): (usize, &(&str, &str, &str))| {
        let member = format!("OptionSettings.member.{}", index + 2);
        format!("&{member}.Namespace=aws:{namespace}&{member}.OptionName={name}&{member}.Value={value}")
    };
    pairs.iter().enumerate().map(one).collect()
}

/// Each step can be looked at.
const STEP: Duration = Duration::from_millis(1);

const POLICY: &str = "elasticbeanstalk:command";

/// An environment with this policy, so many instances and batches of one.
async fn environment(world: &World, policy: &str, count: &str) -> String {
    let options = options(&[
        (POLICY, "DeploymentPolicy", policy),
        (POLICY, "BatchSizeType", "Fixed"),
        (POLICY, "BatchSize", "1"),
        (POLICY, "Timeout", "1"),
        ("autoscaling:asg", "MinSize", count),
        ("elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"),
        ("elasticbeanstalk:environment", "LoadBalancerType", "application"),
    ]);
    world.environment("shop-a", &options).await
}

fn look<T>(world: &World, look: impl Fn(&Environment) -> T) -> T {
    world.store.read(|state| look(&state.environments[0]))
}

fn ids(world: &World) -> Vec<String> {
    look(world, |it| it.instances.iter().map(|instance| instance.id.clone()).collect())
}

/// The labels on the instances, with what came of their deployments.
fn labels(world: &World) -> Vec<String> {
    look(world, |it| {
        let told = it.instances.iter().map(|instance| instance.deployment.as_ref().unwrap());
        told.map(|deployment| format!("{} {}", deployment.label, deployment.status)).collect()
    })
}

async fn update(world: &World, id: &str) -> String {
    let body = world.ok(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2")).await;
    format!("RequestId={}", texts(&body, "RequestId").remove(0))
}

#[tokio::test]
async fn a_rolling_deployment_goes_from_batch_to_batch() {
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "Rolling", "2").await;
    let (first, request) = (ids(&world)[0].clone(), update(&world, &id).await);
    let is_out = |state: &super::State| state.environments[0].instances[0].out_of_service;
    world.go_on_until(&|_| None, 200, &is_out);
    assert_eq!(world.beanstalk.ways()["shop-a.local.elasticbeanstalk.com"].backends, ["10.0.0.2:80"]);
    world.go_on(&|_| None);
    let events = world.events(&request).await;
    assert_eq!(
        events[..9],
        [
            "Environment update is starting.".to_owned(),
            format!("Batch 1: Starting application deployment on instance(s) [{first}]."),
            "Batch 1: De-registering instance(s) from the load balancer and waiting for them to go out of service."
                .into(),
            "Batch 1: Starting application deployment command execution.".into(),
            "Instance deployment completed successfully.".into(),
            "Batch 1: Completed application deployment command execution.".into(),
            "Command execution completed on 1 of 2 instances in environment.".into(),
            "Batch 1: Registering instance(s) with the load balancer and waiting for them to be healthy. ".into(),
            "Batch 1: Completed application deployment.".into(),
        ]
    );
    assert_eq!(events.last().unwrap(), "Environment update completed successfully.");
    assert_eq!(labels(&world), ["2 Deployed", "2 Deployed"]);
    assert_eq!(world.field(&id, "VersionLabel").await, "2");
}

#[tokio::test]
async fn a_rolling_deployment_that_fails_leaves_completed_batches_on_the_new_version() {
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "Rolling", "3").await;
    let request = update(&world, &id).await;
    // The second batch never answers well.
    world.go_on_until(&|_| None, 200, &|state| state.operations.iter().all(|it| it.rollout.batch == 1));
    world.go_on_until(&|_| None, 503, &|state| state.operations.is_empty());
    assert_eq!(labels(&world), ["2 Deployed", "2 Deployed", "1 Deployed"]);
    assert_eq!(
        (world.field(&id, "Status").await, world.field(&id, "VersionLabel").await),
        ("Ready".into(), "1".into())
    );
    let events = world.events(&request).await;
    assert!(events.contains(&"Failed to deploy application.".to_owned()), "{events:#?}");
    assert!(events.last().unwrap().starts_with("During an aborted deployment, some instances may have deployed"));
    assert!(!events.iter().any(|event| event.starts_with("New application version")), "{events:#?}");
}

#[tokio::test]
async fn an_additional_batch_comes_first_and_goes_again() {
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "RollingWithAdditionalBatch", "2").await;
    let before = ids(&world);
    let request = update(&world, &id).await;
    world.go_on(&|_| None);
    assert_eq!((ids(&world), labels(&world)), (before.clone(), vec!["2 Deployed".to_owned(); 2]));
    let events = world.events(&request).await;
    let launching =
        "Rolling with Additional Batch deployment policy enabled. Launching  a new batch of 1 additional instance(s).";
    assert_eq!(events[1], launching);
    assert!(
        events[2].starts_with("Added instance [i-")
            && events[3].contains("launched. Deploying application version '2'.")
    );
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "RollingWithAdditionalBatch", "2").await;
    let (before, _) = (ids(&world), update(&world, &id).await);
    world.go_on(&|_| Some(Cause::Ended));
    assert_eq!((ids(&world), labels(&world)), (before, vec!["1 Deployed".to_owned(); 2]), "the old ones are untouched");
}

#[tokio::test]
async fn an_immutable_deployment_replaces_the_instances_or_leaves_them_alone() {
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "Immutable", "3").await;
    let before = ids(&world);
    update(&world, &id).await;
    world.go_on(&|_| Some(Cause::Ended));
    assert_eq!((ids(&world), labels(&world)), (before.clone(), vec!["1 Deployed".to_owned(); 3]), "clean");
    let request = update(&world, &id).await;
    world.go_on(&|_| None);
    assert!(ids(&world).iter().all(|id| !before.contains(id)), "other instances");
    assert_eq!(labels(&world), ["2 Deployed", "2 Deployed", "2 Deployed"]);
    let events = world.events(&request).await;
    let order = [
        "Immutable deployment policy enabled. Launching one instance with the new settings to verify health.",
        "Created temporary auto scaling group awseb-",
        "Instance deployment completed successfully.",
        "Adding new instance(s) (i-",
        "Waiting for instance(s) (i-",
        "Test instance passed health checks. Launching remaining new instances.",
        "Added instances [i-",
        "Successfully launched all instances.",
        "Detached new instance(s) from temporary auto scaling group awseb-",
        "Attached new instance(s) to the permanent auto scaling group awseb-",
        "Starting post-deployment configuration on new instances.",
        "Waiting for post-deployment configuration to complete.",
        "Deployment succeeded. Terminating old instances and temporary Auto Scaling group.",
        "Removed instances [i-",
        "New application version was deployed to running EC2 instances.",
        "Environment update completed successfully.",
    ];
    let mut rest = events.iter();
    for text in order {
        assert!(rest.any(|event| event.starts_with(text)), "{text} is missing or out of order in {events:#?}");
    }
}

#[tokio::test]
async fn traffic_is_split_before_the_instances_are_replaced() {
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "TrafficSplitting", "1").await;
    update(&world, &id).await;
    world.go_on_until(&|_| None, 200, &|state| state.environments[0].new_share.is_some());
    let backends = world.beanstalk.ways()["shop-a.local.elasticbeanstalk.com"].backends.clone();
    assert_eq!(backends.len(), 10, "one in ten");
    world.go_on_until(&|_| None, 503, &|state| state.operations.is_empty());
    assert_eq!(labels(&world), ["1 Deployed"], "new instances that are not well are given up");
    update(&world, &id).await;
    world.go_on(&|_| None);
    assert_eq!(labels(&world), ["2 Deployed"]);
    assert_eq!(look(&world, |environment| environment.new_share), None);
}

#[tokio::test]
async fn an_abort_leaves_what_the_policy_leaves() {
    for (policy, left) in [("Rolling", ["2 Deployed", "1 Deployed"]), ("Immutable", ["1 Deployed", "1 Deployed"])] {
        let world = World::with_steps_of(STEP).await;
        let id = environment(&world, policy, "2").await;
        update(&world, &id).await;
        let one_is_done = |state: &super::State| {
            let mut all = state.environments[0].instances.iter().filter_map(|it| it.deployment.as_ref());
            all.any(|deployment| deployment.label == "2" && deployment.status == "Deployed")
        };
        world.go_on_until(&|_| None, 503, &one_is_done);
        world.ok(&format!("AbortEnvironmentUpdate&EnvironmentId={id}")).await;
        world.go_on(&|_| None);
        assert_eq!(labels(&world), left, "{policy}");
        assert_eq!(world.field(&id, "VersionLabel").await, "1");
        let mixed = world.events(&format!("EnvironmentId={id}&Severity=ERROR")).await;
        assert_eq!(mixed.iter().any(|event| event.contains("aborted deployment")), policy == "Rolling", "{mixed:#?}");
    }
}

#[tokio::test]
async fn autoscaling_changes_the_number_of_instances_and_the_sizes_only_when_they_must() {
    let world = World::with_steps_of(STEP).await;
    let id = environment(&world, "AllAtOnce", "1").await;
    world.ok(&format!("BeanlineScale&EnvironmentId={id}&Instances=3")).await;
    world.go_on(&|_| None);
    assert_eq!((labels(&world), world.field(&id, "Status").await), (vec!["1 Deployed".to_owned(); 3], "Ready".into()));
    assert_eq!(world.field(&id, "HealthStatus").await, "Ok");
    assert!(world.refused(&format!("BeanlineScale&EnvironmentId={id}&Instances=5")).await.contains("between 1 and 4"));
    let containers =
        || look(&world, |it| it.instances.iter().map(|i| i.container.as_ref().unwrap().id.clone()).collect::<Vec<_>>());
    let before = containers();
    for (name, value, count) in [("MinSize", "2", 3), ("MaxSize", "2", 2), ("MaxSize", "4", 2), ("MinSize", "3", 3)] {
        let settings = options(&[("autoscaling:asg", name, value)]);
        world.ok(&format!("UpdateEnvironment&EnvironmentId={id}{settings}")).await;
        world.go_on(&|_| None);
        assert_eq!(ids(&world).len(), count, "{name} {value}");
        assert_eq!(containers()[..2], before[..2], "nothing is restarted by {name} {value}");
    }
    let settings = options(&[("autoscaling:asg", "MinSize", "9")]);
    assert!(world.refused(&format!("UpdateEnvironment&EnvironmentId={id}{settings}")).await.contains("MaxSize 4"));
    let settings = world.ok("DescribeConfigurationSettings&ApplicationName=shop&EnvironmentName=shop-a").await;
    assert!(settings.contains("<OptionName>SupportedArchitectures</OptionName>"), "{settings}");
}
