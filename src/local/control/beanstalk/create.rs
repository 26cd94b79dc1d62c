//! CreateEnvironment, and how a new environment comes up.

use crate::local::control::REGION;
use crate::local::control::chance::Chance;
use crate::local::control::query::{Answer, ApiError, Form};
use crate::local::control::state::State;

use super::ids::random_word;
use super::model::{Environment, HealthStatus, Kind, Operation, Settings, Status};
use super::operations::{self, Next, fail, say};
use super::{
    Ask, applications, bucket, deployment, environments, platforms, processing, settings, tags, templates, versions,
};

/// `CreateEnvironment`.
pub fn create(state: &mut State, ask: &Ask<'_>) -> Answer {
    let form = ask.form;
    let application = form.sized("ApplicationName", 1..=100)?;
    applications::must_exist(state, application)?;
    let name = legal_name(ask)?;
    let living = |environment: &&Environment| environment.status != Status::Terminated;
    if state.environments.iter().filter(living).any(|environment| environment.name == name) {
        return Err(ApiError::invalid(format!("Environment {name} already exists.")));
    }
    let quota = platforms::quota(state, "CreateEnvironment");
    if state.environments.iter().filter(living).count() >= quota {
        let message = format!("You cannot have more than {quota} Environments.");
        return Err(ApiError::new("TooManyEnvironmentsException", message));
    }
    let tier = form.text("Tier.Name").unwrap_or("WebServer");
    if !matches!(tier, "WebServer" | "Worker") {
        return Err(ApiError::invalid(format!("Invalid Tier name '{tier}'.")));
    }
    let cname = wanted_cname(state, ask, name, tier)?;
    // The real service runs its sample application without a label; there is none here.
    let label = form.sized("VersionLabel", 1..=100)?;
    processing::deployable(versions::must_exist(state, application, label)?)?;
    let (stack, mut options) = base(state, ask, application)?;
    settings::apply(&mut options, form)?;
    let id = format!("e-{}", random_word(&state.chance, 10));
    let environment = Environment {
        name: name.to_owned(),
        application: application.to_owned(),
        description: form.sized_if_given("Description", 0..=200)?.unwrap_or_default().to_owned(),
        version_label: Some(label.to_owned()),
        deployed_label: None,
        deployment: 0,
        stack,
        tier: tier.to_owned(),
        status: Status::Launching,
        color: "Grey".to_owned(),
        health: HealthStatus::NoData,
        causes: Vec::new(),
        health_held_until: ask.now,
        last_operation: None,
        abortable: false,
        cname,
        endpoint: endpoint(&state.chance, &id, &options),
        settings: options,
        tags: tags::read(form, "Tags")?,
        created: ask.now,
        updated: ask.now,
        instances: Vec::new(),
        new_share: None,
        samples: Vec::new(),
        id: id.clone(),
    };
    let result = environments::element(&environment);
    state.environments.push(environment);
    operations::begin(state, ask, &id, Kind::Create, Status::Launching);
    state.tell(&id, Some(ask.id), super::model::Severity::Info, "createEnvironment is starting.");
    Ok(Some(result))
}

fn legal_name<'a>(ask: &Ask<'a>) -> Result<&'a str, ApiError> {
    let name = ask.form.sized("EnvironmentName", 4..=40)?;
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !legal || name.starts_with('-') || name.ends_with('-') {
        let rule =
            "Member must contain only letters, digits, and the dash character and may not start or end with a dash";
        return Err(ApiError::constraint(name, "EnvironmentName", rule));
    }
    Ok(name)
}

fn wanted_cname(state: &mut State, ask: &Ask<'_>, name: &str, tier: &str) -> Result<String, ApiError> {
    let prefix = ask.form.sized_if_given("CNAMEPrefix", 4..=63)?;
    if tier == "Worker" {
        return match prefix {
            None => Ok(String::new()),
            Some(_) => Err(ApiError::invalid("CNAMEPrefix is not a valid parameter for the Worker tier.")),
        };
    }
    let cname = match prefix {
        Some(prefix) => environments::cname(prefix),
        None => environments::cname(&format!("{name}.eba-{}", random_word(&state.chance, 8))),
    };
    match environments::is_taken(state, &cname) || environments::is_taken_meanwhile(state, name) {
        true => Err(ApiError::invalid(format!("DNS name ({cname}) is not available."))),
        false => Ok(cname),
    }
}

/// The platform and the options to begin with: a template's, an environment's, or a platform's without options. That an
/// environment may be named is not documented; the EB CLI clones so.
fn base(state: &State, ask: &Ask<'_>, application: &str) -> Result<(String, Settings), ApiError> {
    if let Some(name) = ask.form.text("TemplateSpecification.TemplateSource.EnvironmentName") {
        let form = Form::parse(&format!("EnvironmentName={name}"));
        let source = environments::ready(state, &form, "")?;
        return Ok((source.stack.clone(), source.settings.clone()));
    }
    match (ask.form.text("TemplateName"), platforms::named(ask)?) {
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "You cannot specify both a TemplateName and a SolutionStackName or PlatformArn.",
        )),
        (Some(name), None) => {
            let template = templates::must_exist(state, application, name)?;
            Ok((template.stack.clone(), template.settings.clone()))
        }
        (None, Some(stack)) => Ok((stack.to_owned(), Settings::new())),
        (None, None) => Err(templates::no_platform()),
    }
}

/// A load balancer's name, or the address of the single instance: one of 192.0.2.0/24, kept for examples by RFC 5737.
fn endpoint(chance: &Chance, id: &str, options: &Settings) -> String {
    let kind = settings::option(options, "aws:elasticbeanstalk:environment", "EnvironmentType");
    match kind {
        Some("SingleInstance") => format!("192.0.2.{}", chance.uuid().as_bytes()[0]),
        _ => format!("awseb-{id}-{}.{REGION}.elb.amazonaws.com", random_word(chance, 8)),
    }
}

/// How a new environment comes up, in the words and the order of published logs.
pub fn step(state: &mut State, operation: &mut Operation) -> Next {
    let Some(environment) = state.environment(&operation.environment).cloned() else { return Next::Done };
    let stack = format!("awseb-{}-stack", environment.id);
    // A worker's instances take their work from a queue.
    let works = environment.tier == "Worker";
    let balanced = settings::is_load_balanced(&environment) && !works;
    match operation.step {
        0 => {
            let bucket = bucket();
            say(state, operation, &format!("Using {bucket} as Amazon S3 storage bucket for environment data."));
            Next::Step
        }
        1 => {
            let launch = "aws:autoscaling:launchconfiguration";
            if settings::option(&environment.settings, launch, "IamInstanceProfile").is_none() {
                return refuse(state, operation, "Environment must have instance profile associated with it.");
            }
            say(state, operation, &format!("Created security group named: {stack}-AWSEBSecurityGroup"));
            if works {
                say(state, operation, &format!("Created SQS queue named: {stack}-AWSEBWorkerQueue"));
            } else if !balanced {
                say(state, operation, &format!("Created EIP: {}", environment.endpoint));
            }
            Next::Step
        }
        2 => {
            say(state, operation, &format!("Created Auto Scaling group named: {stack}-AWSEBAutoScalingGroup"));
            say(state, operation, "Waiting for EC2 instances to launch. This may take a few minutes.");
            Next::Step
        }
        3 => {
            deployment::fill(state, operation);
            if balanced {
                say(state, operation, &format!("Created load balancer named: {stack}-AWSEBLoadBalancer"));
            }
            Next::Step
        }
        4 => deployment::begin(state, operation),
        5 if deployment::tell(state, operation) => Next::Step,
        5 => {
            let see = "For more information, see troubleshooting documentation.";
            fail(state, operation, &format!("Create environment operation is complete, but with errors. {see}"));
            let name = &environment.name;
            let message = format!("Launched environment: {name}. However, there were issues during launch.");
            say(state, operation, &format!("{message} See event log for details."));
            Next::Done
        }
        _ => {
            if let Some(environment) = state.environment_mut(&operation.environment) {
                environment.deployed_label.clone_from(&environment.version_label);
            }
            if !environment.cname.is_empty() {
                say(state, operation, &format!("Application available at {}.", environment.cname));
            }
            say(state, operation, &format!("Successfully launched environment: {}", environment.name));
            Next::Done
        }
    }
}

/// An environment that cannot even begin: it ends at once.
fn refuse(state: &mut State, operation: &Operation, why: &str) -> Next {
    fail(state, operation, why);
    fail(state, operation, "Failed to launch environment.");
    if let Some(environment) = state.environment_mut(&operation.environment) {
        environment.status = Status::Terminated;
        let message = format!("Deleting SNS topic for environment {}.", environment.name);
        say(state, operation, &message);
    }
    Next::Done
}
