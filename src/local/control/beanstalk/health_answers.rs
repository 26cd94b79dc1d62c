//! DescribeEnvironmentHealth and DescribeInstancesHealth: there with enhanced reporting alone.

use crate::local::control::REGION;
use crate::local::control::query::{Answer, ApiError, Element, members, text, time, tree, words};
use crate::local::control::state::State;

use super::model::{Environment, HealthStatus, Instance, Reading};
use super::{Ask, environments, settings};

fn watched<'a>(state: &'a State, ask: &Ask<'_>) -> Result<&'a Environment, ApiError> {
    let environment = environments::named(state, ask.form, "")?;
    match settings::is_enhanced(environment) {
        true => Ok(environment),
        false => Err(ApiError::new(
            "InvalidRequestException",
            format!("DescribeEnvironmentHealth is not supported. Environment {} has basic health.", environment.name),
        )),
    }
}

/// Whether a request asks for an attribute, by name or with `All`.
fn wants(ask: &Ask<'_>, attribute: &str) -> bool {
    ask.form.list("AttributeNames").iter().any(|name| *name == attribute || *name == "All")
}

/// What instances are counted by (API reference, InstanceHealthSummary).
const COUNTED: [&str; 8] = ["NoData", "Unknown", "Pending", "Ok", "Info", "Warning", "Degraded", "Severe"];

/// `DescribeEnvironmentHealth`.
pub fn environment(state: &State, ask: &Ask<'_>) -> Answer {
    let environment = watched(state, ask)?;
    let counts = COUNTED.map(|word| {
        let count = environment.instances.iter().filter(|instance| instance_health(instance).0.word() == word).count();
        text(word, count)
    });
    let metrics = vec![text("Duration", 10), text("RequestCount", 0)];
    let attributes = [
        ("HealthStatus", text("HealthStatus", environment.health.word())),
        ("Color", text("Color", &environment.color)),
        // The SDKs' model says a colour; the service sends the status.
        ("Status", text("Status", environment.status.word())),
        ("Causes", words("Causes", &environment.causes)),
        ("ApplicationMetrics", tree("ApplicationMetrics", metrics)),
        ("InstancesHealth", tree("InstancesHealth", counts.to_vec())),
        ("RefreshedAt", time("RefreshedAt", ask.now)),
    ];
    let mut result = vec![text("EnvironmentName", &environment.name)];
    result.extend(attributes.into_iter().filter(|(name, _)| wants(ask, name)).map(|(_, element)| element));
    Ok(Some(result))
}

/// `DescribeInstancesHealth`.
pub fn instances(state: &State, ask: &Ask<'_>) -> Answer {
    let environment = watched(state, ask)?;
    let list = environment.instances.iter().map(|instance| element(instance, ask));
    Ok(Some(vec![members("InstanceHealthList", list), time("RefreshedAt", ask.now)]))
}

fn element(instance: &Instance, ask: &Ask<'_>) -> Vec<Element> {
    let (health, cause) = instance_health(instance);
    let mut children = vec![text("InstanceId", &instance.id)];
    let attributes = [
        ("HealthStatus", text("HealthStatus", health.word())),
        ("Color", text("Color", health.color())),
        ("Causes", words("Causes", cause)),
        ("LaunchedAt", time("LaunchedAt", instance.launched)),
        ("AvailabilityZone", text("AvailabilityZone", format!("{REGION}a"))),
        ("InstanceType", text("InstanceType", "container")),
    ];
    children.extend(attributes.into_iter().filter(|(name, _)| wants(ask, name)).map(|(_, element)| element));
    if let Some(deployment) = instance.deployment.as_ref().filter(|_| wants(ask, "Deployment")) {
        let deployment = vec![
            text("VersionLabel", &deployment.label),
            text("DeploymentId", deployment.number),
            text("Status", &deployment.status),
            time("DeploymentTime", deployment.time),
        ];
        children.push(tree("Deployment", deployment));
    }
    children
}

/// An instance's health, and why it is not well.
fn instance_health(instance: &Instance) -> (HealthStatus, Option<String>) {
    match (&instance.deployment, instance.reading) {
        (None, _) => (HealthStatus::Pending, None),
        (Some(deployment), _) if deployment.status == "In Progress" => {
            (HealthStatus::Info, Some("Performing application deployment.".to_owned()))
        }
        (Some(deployment), _) if deployment.status == "Failed" => {
            (HealthStatus::Severe, Some("Application deployment failed.".to_owned()))
        }
        (_, Reading::Unasked) => (HealthStatus::Pending, None),
        (_, reading) if reading.is_good() => (HealthStatus::Ok, None),
        (_, Reading::Answered(status)) => {
            (HealthStatus::Severe, Some(format!("The health check is answered with HTTP {status}.")))
        }
        (_, Reading::Silent) => (HealthStatus::Severe, Some("The application does not answer.".to_owned())),
        (_, Reading::Ended) => (HealthStatus::Severe, Some("The application's container has ended.".to_owned())),
    }
}
