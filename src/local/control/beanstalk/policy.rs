//! Deployment policies: what the options say, and which of them the platform refuses (developer guide, "Deployment
//! policies and settings").

use std::time::Duration;

use crate::local::control::query::ApiError;

use super::model::{Environment, Settings};
use super::settings;

const COMMAND: &str = "aws:elasticbeanstalk:command";
const SPLITTING: &str = "aws:elasticbeanstalk:trafficsplitting";

/// How a new version reaches the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All at the same time.
    AllAtOnce,
    /// One batch after the other, each out of service meanwhile.
    Rolling {
        /// A batch of new instances comes first, so that as many as before serve all the time.
        additional: bool,
    },
    /// On new instances, which then replace the old ones.
    Immutable,
    /// The same, with a part of the requests for a while before.
    TrafficSplitting,
}

impl Policy {
    /// The word that options have for it.
    fn word(self) -> &'static str {
        match self {
            Self::AllAtOnce => "AllAtOnce",
            Self::Rolling { additional: false } => "Rolling",
            Self::Rolling { additional: true } => "RollingWithAdditionalBatch",
            Self::Immutable => "Immutable",
            Self::TrafficSplitting => "TrafficSplitting",
        }
    }

    fn named(word: &str) -> Option<Self> {
        let all = [
            Self::AllAtOnce,
            Self::Rolling { additional: false },
            Self::Rolling { additional: true },
            Self::Immutable,
            Self::TrafficSplitting,
        ];
        all.into_iter().find(|policy| policy.word() == word)
    }

    /// The policy that is set.
    pub fn of(settings: &Settings) -> Self {
        settings::option(settings, COMMAND, "DeploymentPolicy").and_then(Self::named).unwrap_or(Self::AllAtOnce)
    }
}

/// Refuses options that do not go together: a single instance has nothing to roll over or to split between, splitting
/// needs an application load balancer, and new instances are judged by enhanced health. Nobody has published the words
/// of these refusals; they follow those of other options.
///
/// # Errors
/// `ConfigurationValidationException`.
pub fn check(settings: &Settings) -> Result<(), ApiError> {
    let word = settings::option(settings, COMMAND, "DeploymentPolicy").unwrap_or_default();
    let place = format!("'{word}' (Namespace: '{COMMAND}', OptionName: 'DeploymentPolicy')");
    let refused = |why: &str| Err(settings::invalid(&format!("Invalid option value: {place}: {why}")));
    let environment = |name| settings::option(settings, "aws:elasticbeanstalk:environment", name);
    let single = environment("EnvironmentType") == Some("SingleInstance");
    let balancer = environment("LoadBalancerType").filter(|_| !single);
    match Policy::named(word) {
        None => refused("Value is not one of the allowed values."),
        Some(Policy::Rolling { .. }) if single => refused("A single-instance environment has AllAtOnce and Immutable."),
        Some(Policy::TrafficSplitting) if balancer != Some("application") => {
            refused("Traffic splitting needs an Application Load Balancer.")
        }
        Some(Policy::Immutable | Policy::TrafficSplitting) if !settings::has_enhanced_health(settings) => {
            refused("The policy needs enhanced health reporting.")
        }
        Some(_) => Ok(()),
    }
}

fn number(settings: &Settings, namespace: &str, name: &str) -> Option<usize> {
    settings::option(settings, namespace, name)?.parse().ok()
}

/// How many of `count` instances are a batch: at least one.
pub fn batch_size(settings: &Settings, count: usize) -> usize {
    let size = number(settings, COMMAND, "BatchSize").unwrap_or(100);
    match settings::option(settings, COMMAND, "BatchSizeType") {
        Some("Fixed") => size.clamp(1, count.max(1)),
        _ => (count * size / 100).clamp(1, count.max(1)),
    }
}

/// How long a batch or a new instance may take to be healthy: the command timeout.
pub fn patience(settings: &Settings) -> Duration {
    let seconds = number(settings, COMMAND, "Timeout").unwrap_or(600);
    Duration::from_secs(seconds.clamp(1, 3600) as u64)
}

/// Whether the health of a batch does not matter.
pub fn ignores_health(environment: &Environment) -> bool {
    settings::option(&environment.settings, COMMAND, "IgnoreHealthCheck") == Some("true")
}

/// What share of the requests the new version gets, in percent, and for how many minutes.
pub fn split(settings: &Settings) -> (u8, u32) {
    let percent = number(settings, SPLITTING, "NewVersionPercent").unwrap_or(10).clamp(1, 100);
    let minutes = number(settings, SPLITTING, "EvaluationTime").unwrap_or(5).clamp(3, 600);
    (u8::try_from(percent).unwrap_or(100), u32::try_from(minutes).unwrap_or(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[(&str, &str, &str)]) -> Settings {
        let mut settings = Settings::new();
        for (namespace, name, value) in options {
            settings.entry((*namespace).to_owned()).or_default().insert((*name).to_owned(), (*value).to_owned());
        }
        settings
    }

    #[test]
    fn what_the_platform_does_not_combine_is_refused() {
        let enhanced = ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced");
        let single = ("aws:elasticbeanstalk:environment", "EnvironmentType", "SingleInstance");
        let balancer = ("aws:elasticbeanstalk:environment", "LoadBalancerType", "application");
        let policy = |word| (COMMAND, "DeploymentPolicy", word);
        let is_legal = |options: &[_]| check(&settings(options)).is_ok();
        assert!(is_legal(&[]) && is_legal(&[policy("Rolling")]) && is_legal(&[policy("Immutable"), enhanced]));
        assert!(is_legal(&[policy("TrafficSplitting"), enhanced, balancer]));
        assert!(is_legal(&[policy("Immutable"), enhanced, single]));
        assert!(!is_legal(&[policy("Immutable")]), "basic health");
        assert!(!is_legal(&[policy("TrafficSplitting"), enhanced]), "a classic load balancer");
        assert!(!is_legal(&[policy("Rolling"), single]) && !is_legal(&[policy("Sometimes")]));
    }

    #[test]
    fn a_batch_has_at_least_one_instance() {
        let size = |kind, size, count| {
            batch_size(&settings(&[(COMMAND, "BatchSizeType", kind), (COMMAND, "BatchSize", size)]), count)
        };
        assert_eq!((size("Fixed", "2", 5), size("Fixed", "9", 5)), (2, 5));
        assert_eq!((size("Percentage", "30", 10), size("Percentage", "30", 2)), (3, 1));
        assert_eq!(batch_size(&Settings::new(), 4), 4, "the default is all of them");
    }
}
