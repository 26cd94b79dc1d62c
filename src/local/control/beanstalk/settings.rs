//! Option settings.

use crate::local::control::query::{Answer, ApiError, Element, Form, members, text, time, tree};
use crate::local::control::state::State;

use super::model::{Environment, Kind, Settings};
use super::{Ask, applications, environments, platforms, policy, templates};

/// What an environment has without being told (developer guide, "General options"): the API's defaults, which
/// are not the console's.
const DEFAULTS: [(&str, &str, &str); 21] = [
    ("aws:autoscaling:asg", "MinSize", "1"),
    ("aws:autoscaling:asg", "MaxSize", "4"),
    ("aws:autoscaling:updatepolicy:rollingupdate", "RollingUpdateEnabled", "false"),
    ("aws:ec2:instances", "InstanceTypes", INSTANCE_TYPES),
    ("aws:ec2:instances", "SupportedArchitectures", ARCHITECTURE),
    ("aws:elasticbeanstalk:application", "Application Healthcheck URL", ""),
    ("aws:elasticbeanstalk:command", "BatchSize", "100"),
    ("aws:elasticbeanstalk:command", "BatchSizeType", "Percentage"),
    ("aws:elasticbeanstalk:command", "DeploymentPolicy", "AllAtOnce"),
    ("aws:elasticbeanstalk:command", "IgnoreHealthCheck", "false"),
    ("aws:elasticbeanstalk:command", "Timeout", "600"),
    ("aws:elasticbeanstalk:environment", "EnvironmentType", "LoadBalanced"),
    ("aws:elasticbeanstalk:environment", "LoadBalancerType", "classic"),
    ("aws:elasticbeanstalk:environment:process:default", "DeregistrationDelay", "20"),
    ("aws:elasticbeanstalk:environment:process:default", "HealthCheckPath", "/"),
    ("aws:elasticbeanstalk:environment:process:default", "Port", "80"),
    ("aws:elasticbeanstalk:healthreporting:system", "HealthCheckSuccessThreshold", "Ok"),
    ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "basic"),
    ("aws:elasticbeanstalk:managedactions", "ManagedActionsEnabled", "false"),
    ("aws:elasticbeanstalk:trafficsplitting", "EvaluationTime", "5"),
    ("aws:elasticbeanstalk:trafficsplitting", "NewVersionPercent", "10"),
];

/// What the instances run, since they are containers on this machine, in the option's words.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// Instance types that go with it.
const INSTANCE_TYPES: &str = if cfg!(target_arch = "aarch64") { "t4g.micro, t4g.small" } else { "t3.micro, t3.small" };

/// Namespaces that options may be set in.
const NAMESPACES: [&str; 6] =
    ["aws:autoscaling:", "aws:ec2:", "aws:elasticbeanstalk:", "aws:elb:", "aws:elbv2:", "aws:cloudformation:"];

/// How many instances there may be.
const AUTOSCALING: &str = "aws:autoscaling:asg";

/// Environment variables of the application.
pub const VARIABLES: &str = "aws:elasticbeanstalk:application:environment";

/// Environment variables whose values are in a secret store.
pub const SECRETS: &str = "aws:elasticbeanstalk:application:environmentsecrets";

/// An option's value: what was set, else the default, else nothing.
pub fn option<'a>(settings: &'a Settings, namespace: &str, name: &str) -> Option<&'a str> {
    let set = settings.get(namespace).and_then(|options| options.get(name)).map(String::as_str);
    let default =
        || DEFAULTS.iter().find(|default| (default.0, default.1) == (namespace, name)).map(|default| default.2);
    set.or_else(default).filter(|value| !value.is_empty())
}

/// How few and how many instances there may be: `MinSize` and `MaxSize`, and one without a load balancer.
pub fn sizes(settings: &Settings) -> (usize, usize) {
    let size = |name| option(settings, AUTOSCALING, name).and_then(|text| text.parse().ok()).unwrap_or(1);
    if option(settings, "aws:elasticbeanstalk:environment", "EnvironmentType") == Some("SingleInstance") {
        (1, 1)
    } else {
        (size("MinSize"), size("MaxSize"))
    }
}

/// How many instances there are to be when there are `count`: as many, unless that is too few or too many.
pub fn fleet(settings: &Settings, count: usize) -> usize {
    let (least, most) = sizes(settings);
    count.min(most).max(least)
}

/// Whether a change of options is one that instances notice. Their number, how they are reached, watched and updated is
/// no business of theirs.
pub fn reaches_instances(before: &Settings, after: &Settings) -> bool {
    const BESIDE: [&str; 7] = [
        AUTOSCALING,
        "aws:autoscaling:trigger",
        "aws:autoscaling:updatepolicy:rollingupdate",
        "aws:elasticbeanstalk:command",
        "aws:elasticbeanstalk:healthreporting:system",
        "aws:elasticbeanstalk:managedactions",
        "aws:elasticbeanstalk:trafficsplitting",
    ];
    let differs = |namespace: &String| before.get(namespace) != after.get(namespace);
    before.keys().chain(after.keys()).any(|namespace| differs(namespace) && !BESIDE.contains(&namespace.as_str()))
}

/// Whether a load balancer stands before the instances.
pub fn is_load_balanced(environment: &Environment) -> bool {
    let kind = option(&environment.settings, "aws:elasticbeanstalk:environment", "EnvironmentType");
    kind != Some("SingleInstance")
}

/// Whether health is reported in detail.
pub fn is_enhanced(environment: &Environment) -> bool {
    has_enhanced_health(&environment.settings)
}

/// Whether these options ask for health in detail.
pub fn has_enhanced_health(settings: &Settings) -> bool {
    option(settings, "aws:elasticbeanstalk:healthreporting:system", "SystemType") == Some("enhanced")
}

/// The path that instances are asked for.
pub fn health_path(settings: &Settings) -> String {
    let own = option(settings, "aws:elasticbeanstalk:application", "Application Healthcheck URL");
    let process = || option(settings, "aws:elasticbeanstalk:environment:process:default", "HealthCheckPath");
    let path = own.or_else(process).unwrap_or("/");
    // The classic form has a protocol and a port before the path: `HTTP:80/health`.
    let path = path.find('/').map_or("", |start| &path[start..]);
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}

/// Applies `OptionSettings` and `OptionsToRemove` of a request.
///
/// # Errors
/// `ConfigurationValidationException` for an option that cannot be.
pub fn apply(settings: &mut Settings, form: &Form) -> Result<(), ApiError> {
    for removal in form.structures("OptionsToRemove") {
        if let Some(options) = settings.get_mut(removal.required("Namespace")?) {
            options.remove(removal.required("OptionName")?);
        }
    }
    for option in form.structures("OptionSettings") {
        let (namespace, name) = (option.required("Namespace")?, option.required("OptionName")?);
        let value = option.value("Value").unwrap_or_default();
        let place = format!("(Namespace: '{namespace}', OptionName: '{name}')");
        if !NAMESPACES.iter().any(|known| namespace.starts_with(known)) {
            return Err(invalid(&format!("Invalid option specification {place}: Unknown configuration setting.")));
        }
        if namespace == AUTOSCALING && value.parse::<u16>().is_err() && name.ends_with("Size") {
            return Err(invalid(&format!("Invalid option value: '{value}' {place}: Value is not a number.")));
        }
        settings.entry(namespace.to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }
    let variables = settings.get(VARIABLES).into_iter().flatten();
    let bytes: usize = variables.map(|(name, value)| name.len() + 1 + value.len()).sum();
    if bytes > 4096 {
        let message = format!("Environment properties take {bytes} bytes, which is over the limit of 4096.");
        return Err(invalid(&message));
    }
    let (least, most) = sizes(settings);
    if least > most {
        return Err(invalid(&format!("MinSize {least} is greater than MaxSize {most}.")));
    }
    policy::check(settings)
}

/// The refusal of options.
pub fn invalid(message: &str) -> ApiError {
    let message = format!("Configuration validation exception: {message}");
    ApiError::new("ConfigurationValidationException", message)
}

/// `DescribeConfigurationSettings`, of an environment or a template. While an update is under way there are two: what
/// is deployed, and what will be.
pub fn describe(state: &State, ask: &Ask<'_>) -> Answer {
    let application = ask.form.sized("ApplicationName", 1..=100)?;
    applications::must_exist(state, application)?;
    if let Some(name) = ask.form.text("TemplateName") {
        let template = templates::must_exist(state, application, name)?;
        let mut children = vec![
            text("TemplateName", name),
            text("ApplicationName", application),
            text("SolutionStackName", &template.stack),
            text("PlatformArn", platforms::arn_of(&template.stack)),
            text("Description", &template.description),
            time("DateCreated", template.created),
            time("DateUpdated", template.created),
            options(&template.settings),
        ];
        children.extend(template.environment.as_ref().map(|name| text("EnvironmentName", name)));
        return Ok(Some(vec![members("ConfigurationSettings", [children])]));
    }
    let environment = environments::named(state, ask.form, "")?;
    let before =
        (state.operations.iter()).filter(|operation| operation.environment == environment.id).find_map(|operation| {
            match &operation.kind {
                Kind::Update { settings_before, .. } => settings_before.as_ref(),
                _ => None,
            }
        });
    let one = |settings: &Settings, status: &str| {
        vec![
            text("EnvironmentName", &environment.name),
            text("ApplicationName", application),
            text("SolutionStackName", &environment.stack),
            text("PlatformArn", platforms::arn_of(&environment.stack)),
            text("Description", &environment.description),
            text("DeploymentStatus", status),
            // Not in the public model; the service sends it, and the EB CLI reads it.
            tree("Tier", environments::tier(environment)),
            time("DateCreated", environment.created),
            time("DateUpdated", environment.updated),
            options(settings),
        ]
    };
    let all = match before {
        None => vec![one(&environment.settings, "deployed")],
        Some(before) => vec![one(before, "deployed"), one(&environment.settings, "pending")],
    };
    Ok(Some(vec![members("ConfigurationSettings", all)]))
}

fn options(settings: &Settings) -> Element {
    let element = |namespace: &str, name: &str, value: &str| {
        let mut children = vec![text("Namespace", namespace), text("OptionName", name)];
        // An option without a value has no element for it.
        children.extend((!value.is_empty()).then(|| text("Value", value)));
        children
    };
    let is_set =
        |namespace: &str, name: &str| settings.get(namespace).is_some_and(|options| options.contains_key(name));
    let defaults = DEFAULTS.iter().filter(|default| !is_set(default.0, default.1));
    let defaults = defaults.map(|(namespace, name, value)| element(namespace, name, value));
    let set = settings
        .iter()
        .flat_map(|(namespace, options)| options.iter().map(move |(name, value)| element(namespace, name, value)));
    members("OptionSettings", defaults.chain(set))
}
