//! Environments: found, described, named.

use std::collections::BTreeMap;

use crate::local::control::query::{Answer, ApiError, Element, Form, members, text, time, tree};
use crate::local::control::state::State;
use crate::local::control::{ACCOUNT, REGION};

use super::faults::{FaultName, Target};
use super::model::{Environment, Instance, Reading, Status, arn};
use super::{Ask, Way, platforms, settings};

/// The refusal when no environment has that id.
pub fn no_such_id(id: &str) -> ApiError {
    ApiError::invalid(format!("No Environment found for EnvironmentId = '{id}'."))
}

/// The refusal when an environment is busy or gone.
pub fn must_be_ready(name: &str) -> ApiError {
    let message = format!("Environment named {name} is in an invalid state for this operation. Must be Ready.");
    ApiError::invalid(message)
}

impl State {
    /// The environment with that id, terminated or not.
    pub fn environment(&self, id: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.id == id)
    }

    /// The same, to be changed.
    pub fn environment_mut(&mut self, id: &str) -> Option<&mut Environment> {
        self.environments.iter_mut().find(|environment| environment.id == id)
    }
}

/// The environment that a request names in the fields `<prefix>EnvironmentId` or `<prefix>EnvironmentName`. Terminated
/// ones are not found.
///
/// # Errors
/// `MissingParameter` for neither, `InvalidParameterValue` for one that is not there.
pub fn named<'a>(state: &'a State, form: &Form, prefix: &str) -> Result<&'a Environment, ApiError> {
    let mut living = state.environments.iter().filter(|environment| environment.status != Status::Terminated);
    let (id, name) = (form.text(&format!("{prefix}EnvironmentId")), form.text(&format!("{prefix}EnvironmentName")));
    match (id, name) {
        (Some(id), name) => living
            .find(|environment| environment.id == id && name.is_none_or(|name| environment.name == name))
            .ok_or_else(|| no_such_id(id)),
        (None, Some(name)) => living
            .find(|environment| environment.name == name)
            .ok_or_else(|| ApiError::invalid(format!("No Environment found for EnvironmentName = '{name}'."))),
        (None, None) => {
            let message = "Either the parameter EnvironmentName or EnvironmentId must be specified.";
            Err(ApiError::new("MissingRequiredParameter", message))
        }
    }
}

/// The environment that a request names, which must be Ready.
///
/// # Errors
/// As [`named`], and `InvalidParameterValue` when it is busy.
pub fn ready<'a>(state: &'a State, form: &Form, prefix: &str) -> Result<&'a Environment, ApiError> {
    let environment = named(state, form, prefix)?;
    match environment.status {
        Status::Ready => Ok(environment),
        _ => Err(must_be_ready(&environment.name)),
    }
}

/// The full name for a CNAME prefix.
pub fn cname(prefix: &str) -> String {
    format!("{}.{REGION}.elasticbeanstalk.com", prefix.to_ascii_lowercase())
}

/// Whether an environment holds that name.
pub fn is_taken(state: &State, cname: &str) -> bool {
    state.environments.iter().any(|environment| environment.status != Status::Terminated && environment.cname == cname)
}

/// Whether somebody took the name that an environment is to have after it was seen to be free: the fault `cname-taken`,
/// for environments of that name, since there is none with an id yet.
pub fn is_taken_meanwhile(state: &mut State, environment: &str) -> bool {
    state.use_fault(FaultName::CnameTaken, Target::Environment { id: environment, name: environment })
}

/// `CheckDNSAvailability`.
pub fn check_dns(state: &State, ask: &Ask<'_>) -> Answer {
    let cname = cname(ask.form.sized("CNAMEPrefix", 4..=63)?);
    let available = !is_taken(state, &cname);
    Ok(Some(vec![text("FullyQualifiedCNAME", cname), text("Available", available)]))
}

/// `DescribeEnvironments`. What is not there is left out, never an error.
pub fn describe(state: &State, ask: &Ask<'_>) -> Answer {
    let form = ask.form;
    let (ids, names) = (form.list("EnvironmentIds"), form.list("EnvironmentNames"));
    let (application, label) = (form.text("ApplicationName"), form.text("VersionLabel"));
    let (deleted, back_to) = (form.flag("IncludeDeleted")?, form.time("IncludedDeletedBackTo")?);
    let most = form.number("MaxRecords", 1..=1000)?.unwrap_or(usize::MAX);
    let skip = match form.text("NextToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| ApiError::invalid(format!("Invalid NextToken: {token}")))?,
    };
    let is_listed = |environment: &Environment| {
        if environment.status != Status::Terminated {
            return true;
        }
        let age = (ask.now - environment.updated).to_std().unwrap_or_default();
        age < ask.pace.linger || (deleted && back_to.is_none_or(|time| environment.updated >= time))
    };
    let found: Vec<&Environment> = (state.environments.iter())
        .filter(|environment| ids.is_empty() || ids.contains(&environment.id.as_str()))
        .filter(|environment| names.is_empty() || names.contains(&environment.name.as_str()))
        .filter(|environment| application.is_none_or(|wanted| environment.application == wanted))
        .filter(|environment| label.is_none_or(|wanted| environment.version_label.as_deref() == Some(wanted)))
        .filter(|environment| is_listed(environment))
        .collect();
    let mut result = vec![members("Environments", found.iter().skip(skip).take(most).map(|found| element(found)))];
    if found.len() > skip.saturating_add(most) {
        result.push(text("NextToken", skip + most));
    }
    Ok(Some(result))
}

/// An environment's tier.
pub fn tier(environment: &Environment) -> Vec<Element> {
    match environment.tier.as_str() {
        "Worker" => vec![text("Name", "Worker"), text("Type", "SQS/HTTP"), text("Version", "3.0")],
        name => vec![text("Name", name), text("Type", "Standard"), text("Version", "1.0")],
    }
}

/// An environment's description, as four operations return it.
pub fn element(environment: &Environment) -> Vec<Element> {
    let Environment { name, application, .. } = environment;
    let mut children = vec![
        text("EnvironmentArn", arn(&format!("environment/{application}/{name}"))),
        text("EnvironmentId", &environment.id),
        text("EnvironmentName", name),
        text("ApplicationName", application),
        text("Description", &environment.description),
        text("SolutionStackName", &environment.stack),
        text("PlatformArn", platforms::arn_of(&environment.stack)),
        text("Status", environment.status.word()),
        text("Health", &environment.color),
        text("AbortableOperationInProgress", environment.abortable),
        tree("Tier", tier(environment)),
        tree("EnvironmentLinks", Vec::new()),
        time("DateCreated", environment.created),
        time("DateUpdated", environment.updated),
    ];
    if let Some(label) = &environment.version_label {
        children.push(text("VersionLabel", label));
    }
    if settings::is_enhanced(environment) {
        children.push(text("HealthStatus", environment.health.word()));
    }
    // Its load balancer is the last thing that a new environment gets; its name it has from the beginning.
    if !environment.cname.is_empty() {
        children.push(text("CNAME", &environment.cname));
    }
    if !environment.instances.is_empty() && environment.tier != "Worker" {
        children.push(text("EndpointURL", &environment.endpoint));
    }
    children
}

/// `DescribeEnvironmentResources`.
pub fn resources(state: &State, ask: &Ask<'_>) -> Answer {
    let environment = named(state, ask.form, "")?;
    let named = |what: &str| format!("awseb-{}-stack-{what}", environment.id);
    let works = environment.tier == "Worker";
    let balanced = settings::is_load_balanced(environment) && !works;
    let queues = works.then(|| {
        let queue = named("AWSEBWorkerQueue");
        let url = format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}");
        vec![text("Name", queue), text("URL", url)]
    });
    let balancers = balanced.then(|| vec![text("Name", named("AWSEBLoadBalancer"))]);
    let instances = environment.instances.iter().map(|instance| vec![text("Id", &instance.id)]);
    let resources = vec![
        text("EnvironmentName", &environment.name),
        members("AutoScalingGroups", [vec![text("Name", named("AWSEBAutoScalingGroup"))]]),
        members("Instances", instances),
        members("LaunchConfigurations", []),
        members("LaunchTemplates", [vec![text("Id", named("AWSEBEC2LaunchTemplate"))]]),
        members("LoadBalancers", balancers),
        members("Triggers", []),
        members("Queues", queues),
    ];
    Ok(Some(vec![tree("EnvironmentResources", resources)]))
}

/// Where requests go, by CNAME. An environment that is being terminated has no load balancer any more.
pub fn ways(state: &State) -> BTreeMap<String, Way> {
    let living = |status| !matches!(status, Status::Terminating | Status::Terminated);
    let served = state.environments.iter().filter(|e| living(e.status) && !e.cname.is_empty());
    let way = |environment: &Environment| {
        let backends = backends(environment);
        // A single instance's CNAME points to its public name, which is made of its address.
        let endpoint = match settings::is_load_balanced(environment) {
            true => environment.endpoint.clone(),
            false => format!("ec2-{}.{REGION}.compute.amazonaws.com", environment.endpoint.replace('.', "-")),
        };
        (environment.cname.clone(), Way { endpoint, backends })
    };
    served.map(way).collect()
}

/// The healthy instances in service, with those that have just got a version and were not asked since: a load balancer
/// takes no target out before its checks fail. While traffic is split each stands there as often as its share wants it.
fn backends(environment: &Environment) -> Vec<String> {
    let is_fresh = |instance: &Instance| {
        let is_deployed = instance.deployment.as_ref().is_some_and(|deployment| deployment.status == "Deployed");
        instance.reading == Reading::Unasked && is_deployed
    };
    let serves = |instance: &&Instance| (instance.reading.is_good() || is_fresh(instance)) && !instance.out_of_service;
    let is_new = |instance: &&Instance| {
        instance.deployment.as_ref().is_some_and(|it| Some(&it.label) == environment.version_label.as_ref())
    };
    let (new, old): (Vec<&Instance>, Vec<&Instance>) =
        environment.instances.iter().filter(serves).partition(|instance| is_new(instance));
    let (turns_of_new, turns_of_old) = match environment.new_share.map(usize::from) {
        Some(share) if !old.is_empty() && !new.is_empty() => {
            let (new, old) = (share * old.len(), (100 - share) * new.len());
            let divisor = common_divisor(new, old);
            (new / divisor, old / divisor)
        }
        _ => (1, 1),
    };
    let address = |instance: &&Instance| Some(instance.container.as_ref()?.address.clone());
    let turns = |instances: &[&Instance], turns| -> Vec<String> {
        (0..turns).flat_map(|_| instances.iter().filter_map(address)).collect()
    };
    turns(&old, turns_of_old).into_iter().chain(turns(&new, turns_of_new)).collect()
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
