//! The processor that the instances have and the one that the image is for.

use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;

use super::{Beanstalk, Survey};
use crate::fault::Fault;
use crate::inputs::OptionSetting;

/// What instances have where nothing is set (developer guide, "General options for all environments").
const DEFAULT: &str = "amd64";

impl Beanstalk {
    /// Makes sure that the instances can run an image for these architectures. Of an image that does not tell nothing is
    /// known.
    ///
    /// # Errors
    /// They cannot.
    pub fn check_architecture(&self, survey: &Survey, image: &[String]) -> Result<(), Fault> {
        let needed = &survey.architectures;
        let Some(lacking) = needed.iter().find(|needed| !image.contains(needed)).filter(|_| !image.is_empty()) else {
            return Ok(());
        };
        let whose = match &survey.live {
            Some(live) => format!("the instances of {} are {lacking}", live.name),
            None => format!("the first environment's instances will be {lacking}"),
        };
        Err(Fault::new(format!("the image is for {}, and {whose}", image.join(", ")))
            .cause("an image runs on the processor that it was built for and on no other")
            .hint(format!("set build_platform to linux/{lacking}, and build on a machine that can"))
            .hint("or change the instances: option_settings takes InstanceTypes of aws:ec2:instances"))
    }

    /// The architectures that the instances have by these settings, ours on top. On the local cloud it is the daemon's, and
    /// only what is set counts.
    pub(super) fn architectures(&self, settings: &[ConfigurationOptionSetting]) -> Vec<String> {
        let default = (self.region != "local").then_some(DEFAULT);
        told_by(settings, &self.plan.option_settings, default)
    }
}

fn told_by(settings: &[ConfigurationOptionSetting], ours: &[OptionSetting], default: Option<&str>) -> Vec<String> {
    let value = |namespace: &str, option: &str| -> Vec<String> {
        let asked = ours.iter().rev().find(|setting| setting.namespace == namespace && setting.option == option);
        let there = settings.iter().find(|s| s.namespace() == Some(namespace) && s.option_name() == Some(option));
        let text = asked.map(|setting| setting.value.reveal()).or_else(|| there?.value()).unwrap_or_default();
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let types_are_ours =
        ours.iter().any(|setting| ["InstanceTypes", "InstanceType"].contains(&setting.option.as_str()));
    let mut types = value("aws:ec2:instances", "InstanceTypes");
    if types.is_empty() {
        types = value("aws:autoscaling:launchconfiguration", "InstanceType");
    }
    let supported = value("aws:ec2:instances", "SupportedArchitectures");
    // Types that are asked for decide; else what the environment says of itself.
    let by_types = types.iter().map(|instance| of_type(instance).to_owned()).collect::<Vec<_>>();
    let mut told: Vec<String> = match supported.is_empty() || types_are_ours {
        true => by_types,
        false => supported.iter().map(|name| as_go_says(name).to_owned()).collect(),
    };
    if told.is_empty() {
        told.extend(default.map(str::to_owned));
    }
    told.sort();
    told.dedup();
    told
}

/// A family's name is letters, a generation, and letters for what is special; `g` is AWS's own Graviton processor (EC2
/// user guide, "Instance type naming conventions"). `a1` is older than the rule.
fn of_type(instance: &str) -> &'static str {
    let family = instance.split('.').next().unwrap_or_default();
    let special =
        family.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    if family == "a1" || special.contains('g') { "arm64" } else { "amd64" }
}

/// Elastic Beanstalk's word for an architecture in Go's, which images have.
fn as_go_says(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "i386" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Secret;

    fn set(namespace: &str, option: &str, value: &str) -> ConfigurationOptionSetting {
        ConfigurationOptionSetting::builder().namespace(namespace).option_name(option).value(value).build()
    }

    fn ours(option: &str, value: &str) -> OptionSetting {
        let namespace = "aws:ec2:instances".into();
        OptionSetting { namespace, option: option.into(), resource: None, value: Secret::open(value) }
    }

    #[test]
    fn instance_types_tell_their_processor() {
        for (instance, wanted) in [
            ("t3.micro", "amd64"),
            ("t4g.small", "arm64"),
            ("a1.large", "arm64"),
            ("c7gn.large", "arm64"),
            ("im4gn.large", "arm64"),
            ("x2gd.large", "arm64"),
            ("g4dn.xlarge", "amd64"),
            ("m5zn.large", "amd64"),
            ("", "amd64"),
        ] {
            assert_eq!(of_type(instance), wanted, "{instance}");
        }
    }

    #[test]
    fn what_is_asked_for_counts_before_what_is_there_and_nothing_is_what_aws_takes() {
        let (instances, launch) = ("aws:ec2:instances", "aws:autoscaling:launchconfiguration");
        assert_eq!(told_by(&[], &[], Some(DEFAULT)), ["amd64"]);
        assert!(told_by(&[], &[], None).is_empty());
        assert_eq!(told_by(&[set(launch, "InstanceType", "t4g.micro")], &[], None), ["arm64"]);
        let there = [set(instances, "SupportedArchitectures", "arm64"), set(instances, "InstanceTypes", "t4g.micro")];
        assert_eq!(told_by(&there, &[], Some(DEFAULT)), ["arm64"]);
        assert_eq!(told_by(&there, &[ours("InstanceTypes", "t3.micro, t3.small")], Some(DEFAULT)), ["amd64"]);
        assert_eq!(told_by(&there, &[ours("SupportedArchitectures", "x86_64,arm64")], None), ["amd64", "arm64"]);
    }
}
