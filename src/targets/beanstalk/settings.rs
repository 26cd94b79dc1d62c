//! Option settings as data: what a plan wants, what the platform has, and what changes.

mod apply;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;

use crate::fault::Fault;
use crate::inputs::{BeanstalkPlan, FETCHED, MOST_PROPERTY_BYTES, OptionSetting, PROPERTIES, Secret};

pub use apply::Configured;
pub(super) use apply::say;
pub(super) use restore::restore;

/// Namespace of the instances' group.
pub(super) const GROUP: &str = "aws:autoscaling:asg";

/// Namespace of what an environment is.
pub(super) const ENVIRONMENT: &str = "aws:elasticbeanstalk:environment";

/// Namespace of what instances are launched with.
pub(super) const LAUNCH: &str = "aws:autoscaling:launchconfiguration";

/// The only namespace where one option may stand several times, once for each resource.
const SCHEDULED: &str = "aws:autoscaling:scheduledaction";

/// One option that an environment will have otherwise. Printed as one line that holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the option will be.
    pub wanted: OptionSetting,
    /// What it is.
    pub before: Before,
}

/// What an option is before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// It has no value.
    Unset,
    /// It has one that may be a secret.
    Hidden,
    /// Its value.
    Is(String),
}

impl Change {
    /// Namespace and name.
    pub fn option(&self) -> String {
        format!("{}/{}", self.wanted.namespace, self.wanted.option)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.option())?;
        if let Some(resource) = &self.wanted.resource {
            write!(f, " of {resource}")?;
        }
        match &self.before {
            Before::Unset => f.write_str(": (not set) → ")?,
            Before::Hidden => f.write_str(": (set) → ")?,
            Before::Is(text) => write!(f, ": {} → ", on_one_line(text))?,
        }
        match self.wanted.value.is_masked() {
            true => f.write_str("(a secret)"),
            false if self.wanted.value.reveal().is_empty() => f.write_str("(not set)"),
            false => f.write_str(&on_one_line(self.wanted.value.reveal())),
        }
    }
}

fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Everything that the inputs want of an environment's settings.
pub(super) fn wanted(plan: &BeanstalkPlan) -> Vec<OptionSetting> {
    let setting = |namespace: &str, option: &str, value: Secret| OptionSetting {
        namespace: namespace.to_owned(),
        option: option.to_owned(),
        resource: None,
        value,
    };
    let properties = plan.environment_variables.iter().map(|(name, value)| setting(PROPERTIES, name, value.clone()));
    let fetched = plan.environment_secrets.iter().map(|(name, arn)| setting(FETCHED, name, Secret::open(arn)));
    plan.option_settings.iter().cloned().chain(properties).chain(fetched).collect()
}

/// What changes when an environment with the settings `current` gets `wanted`.
pub(super) fn diff(current: &[ConfigurationOptionSetting], wanted: &[OptionSetting]) -> Vec<Change> {
    let change = |wanted: &OptionSetting| {
        let is = current.iter().find(|set| is_of(set, wanted)).and_then(|set| set.value()).filter(|is| !is.is_empty());
        if is_same(is.unwrap_or_default(), wanted) {
            return None;
        }
        // What stands there may have been put there as a secret, by whoever it was.
        let is_hidden = wanted.value.is_masked() || wanted.namespace == PROPERTIES;
        let before = match is {
            None => Before::Unset,
            Some(_) if is_hidden => Before::Hidden,
            Some(text) => Before::Is(text.to_owned()),
        };
        Some(Change { wanted: wanted.clone(), before })
    };
    wanted.iter().filter_map(change).collect()
}

/// Whether a setting of the platform is the option that is wanted. It names a resource with many options of which there
/// is only one.
fn is_of(set: &ConfigurationOptionSetting, wanted: &OptionSetting) -> bool {
    let names = (set.namespace(), set.option_name());
    names == (Some(&wanted.namespace), Some(&wanted.option))
        && (wanted.namespace != SCHEDULED || set.resource_name() == wanted.resource.as_deref())
}

/// Whether the platform's text means what is wanted: it writes booleans, numbers and lists in its own way, and adds a
/// security group of its own to those that are set. The application's properties are taken letter by letter.
fn is_same(is: &str, wanted: &OptionSetting) -> bool {
    let text = wanted.value.reveal();
    if is == text || [PROPERTIES, FETCHED].contains(&wanted.namespace.as_str()) {
        return is == text;
    }
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let list = |text: &str| -> BTreeSet<String> {
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let is_boolean = |text: &str| ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let (has, wants) = (list(is), list(text));
    is_boolean(text) && is.eq_ignore_ascii_case(text)
        || number(text).is_some() && number(is) == number(text)
        || has == wants
        || wanted.option == "SecurityGroups" && !wants.is_empty() && wants.is_subset(&has)
}

/// What of `current` an option is; nothing when it is empty.
pub(super) fn value<'a>(current: &'a [ConfigurationOptionSetting], namespace: &str, option: &str) -> Option<&'a str> {
    let is_it =
        |set: &&ConfigurationOptionSetting| (set.namespace(), set.option_name()) == (Some(namespace), Some(option));
    current.iter().find(is_it).and_then(|set| set.value()).filter(|value| !value.is_empty())
}

/// Whether the environment properties of `current` have room for those that the plan adds.
///
/// # Errors
/// They would be longer than the platform takes.
pub(super) fn fit(name: &str, current: &[ConfigurationOptionSetting], plan: &BeanstalkPlan) -> Result<(), Fault> {
    let ours: usize = plan.properties().map(|(key, value)| key.len() + 1 + value.reveal().len()).sum();
    let kept = current.iter().filter(|set| set.namespace() == Some(PROPERTIES));
    let kept = kept.filter(|set| !plan.properties().any(|(key, _)| set.option_name() == Some(key)));
    let kept: usize =
        kept.map(|set| set.option_name().unwrap_or_default().len() + 1 + set.value().unwrap_or_default().len()).sum();
    match ours == 0 || ours + kept <= MOST_PROPERTY_BYTES {
        true => Ok(()),
        false => Err(Fault::new(format!(
            "the environment properties would take {} bytes, and {MOST_PROPERTY_BYTES} is the limit",
            ours + kept
        ))
        .cause(format!("{name} has {kept} bytes of its own that stay, and {ours} are to be set"))
        .hint("remove properties that are not needed any more, or keep long values in environment_secrets")),
    }
}

/// The settings of a first environment: what the console would recommend and the API alone does not set, unless the
/// inputs say otherwise. Without them it gets a classic load balancer, basic health and no instance profile.
pub(super) fn first(plan: &BeanstalkPlan) -> Vec<ConfigurationOptionSetting> {
    let is =
        |option: &str, value: &str| plan.option(ENVIRONMENT, option).is_some_and(|is| is.eq_ignore_ascii_case(value));
    let path = Some(plan.ready_path.as_str());
    let (balancer, path) = match () {
        () if is("EnvironmentType", "SingleInstance") => (None, None),
        () if is("LoadBalancerType", "classic") => {
            (None, Some(("aws:elasticbeanstalk:application", "Application Healthcheck URL", path)))
        }
        () => {
            let health = ("aws:elasticbeanstalk:environment:process:default", "HealthCheckPath", path);
            (Some((ENVIRONMENT, "LoadBalancerType", Some("application"))), Some(health))
        }
    };
    let fixed = [
        Some((ENVIRONMENT, "EnvironmentType", Some("LoadBalanced"))),
        balancer,
        Some((ENVIRONMENT, "ServiceRole", plan.service_role.as_deref())),
        Some(("aws:elasticbeanstalk:healthreporting:system", "SystemType", Some("enhanced"))),
        path,
        Some((LAUNCH, "IamInstanceProfile", plan.instance_profile.as_deref())),
        Some((LAUNCH, "DisableIMDSv1", Some("true"))),
        Some((LAUNCH, "EC2KeyName", plan.key_pair.as_deref())),
    ];
    let fixed = fixed.into_iter().flatten().filter(|(namespace, option, _)| plan.option(namespace, option).is_none());
    let setting = |(namespace, option, value): (&str, &str, Option<&str>)| {
        let setting = ConfigurationOptionSetting::builder().namespace(namespace).option_name(option);
        value.map(|value| setting.value(value).build())
    };
    fixed.filter_map(setting).chain(wanted(plan).iter().map(wire)).collect()
}

/// As it is sent.
pub(super) fn wire(setting: &OptionSetting) -> ConfigurationOptionSetting {
    let wire = ConfigurationOptionSetting::builder().namespace(&setting.namespace).option_name(&setting.option);
    wire.set_resource_name(setting.resource.clone()).value(setting.value.reveal()).build()
}
