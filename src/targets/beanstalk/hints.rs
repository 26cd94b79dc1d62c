//! Well-known causes of a failed deployment, and what to do about each. Three principals must not be confused: the role
//! of this run, the service role, and the instance profile.

use crate::fault::Fault;

/// Text in an event or a log, in lower case, and the hint it calls for. The first that is found is given.
const HINTS: &[(&str, &str)] = &[
    (
        "failed to authenticate your private repository",
        "the instance profile (not the role of this run) must read the repository: attach \
         AmazonEC2ContainerRegistryReadOnly to it",
    ),
    (
        "exec format error",
        "the image was built for another processor than the instances have: set build_platform to theirs, \
         such as linux/amd64",
    ),
    (
        "no space left on device",
        "the instances' disks are full of images: raise RootVolumeSize (aws:autoscaling:launchconfiguration)",
    ),
    (
        "toomanyrequests",
        "the registry limits how often the instances may pull: log in for them, or keep the image in ECR",
    ),
    (
        "failed to download the docker image",
        "the instances could not pull the image: check that its name is reachable from them and that the instance \
         profile may read it",
    ),
    (
        "failed to get one or more secrets",
        "the instance profile must read them: secretsmanager:GetSecretValue or ssm:GetParameter, and kms:Decrypt",
    ),
    (
        "failed to build the docker image",
        "the instances built something: the bundle must name an image and have no Dockerfile",
    ),
    (
        "unexpectedly ended after it was started",
        "the container ended on the instance: read its last lines, and compare environment properties, memory and \
         processor with those of the container test",
    ),
    ("must have instance profile associated", "set instance_profile, usually to aws-elasticbeanstalk-ec2-role"),
    (
        "associated with the environment does not exist",
        "the instance profile of the settings is not there: the console makes aws-elasticbeanstalk-ec2-role, the API \
         does not",
    ),
    ("service role is required", "set service_role, usually to aws-elasticbeanstalk-service-role"),
    (
        "access denied: s3bucket=elasticbeanstalk-platform-assets",
        "the role of this run must read the platform's files: s3:GetObject on \
         arn:aws:s3:::elasticbeanstalk-platform-assets-*",
    ),
    (
        "not authorized to perform",
        "Elastic Beanstalk acts with the rights of this run's role: add the action that is named",
    ),
    (
        "have not responded in the allowed command timeout",
        "raise Timeout in aws:elasticbeanstalk:command; the platform adds four minutes to it",
    ),
    (
        "waitcondition",
        "the instances never reported: check that their subnets reach the internet or have endpoints for Elastic \
         Beanstalk and CloudFormation",
    ),
    (
        "rollback_failed",
        "the environment's CloudFormation stack is stuck: continue its rollback in the CloudFormation console",
    ),
    ("http 4xx", "the load balancer asks for the health check's path: set ready_path to one that answers 200"),
];

/// Adds the hint that the fault's causes or lines call for.
pub fn with_hints(fault: Fault) -> Fault {
    let said = fault.causes().iter().chain(fault.last_lines()).map(|text| text.to_ascii_lowercase());
    let said: String = said.collect::<Vec<_>>().join("\n");
    match HINTS.iter().find(|(text, _)| said.contains(text)) {
        Some((_, hint)) => fault.hint(*hint),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_cause_gets_its_hint() {
        let fault = Fault::new("x")
            .cause("Instance deployment: The Docker container unexpectedly ended after it was started.")
            .lines(["exec /app: exec format error"]);
        assert!(with_hints(fault).hints()[0].contains("build_platform"));
        assert!(with_hints(Fault::new("x").cause("something new")).hints().is_empty());
    }

    #[test]
    fn texts_of_the_table_are_lower_case() {
        assert!(HINTS.iter().all(|(text, _)| *text == text.to_ascii_lowercase()));
    }
}
