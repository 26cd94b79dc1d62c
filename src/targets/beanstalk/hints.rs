//! Well-known causes of a failed deployment, and what to do about each.

use super::denied::{Denial, statement};
use crate::fault::Fault;

/// A text in an event, a log or a cause of bad health, and what it calls for.
struct Known {
    /// In lower case.
    text: &'static str,
    hint: &'static str,
    /// What must be allowed for it.
    allow: &'static [&'static str],
}

const fn known(text: &'static str, hint: &'static str) -> Known {
    Known { text, hint, allow: &[] }
}

/// The first that is found counts: what names a cause stands before what only says that something failed.
const HINTS: &[Known] = &[
    Known {
        text: "failed to authenticate your private repository",
        hint: "the instance profile (not the role of this run) must read the repository: attach \
               AmazonEC2ContainerRegistryReadOnly to its role, or",
        allow: &[
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
        ],
    },
    known("exec format error", ARCHITECTURE),
    known("no matching manifest for", ARCHITECTURE),
    known("does not match the detected host platform", ARCHITECTURE),
    known(
        "no space left on device",
        "the instances' disks are full of images: raise RootVolumeSize (aws:autoscaling:launchconfiguration)",
    ),
    known(
        "toomanyrequests",
        "the registry limits how often the instances may pull: log in for them, or keep the image in ECR",
    ),
    Known {
        text: "failed to get one or more secrets",
        hint: "the instance profile (not the role of this run) must read them; narrow the resource to their ARNs:",
        allow: &["secretsmanager:GetSecretValue", "ssm:GetParameters", "kms:Decrypt"],
    },
    known(
        "failed to download the docker image",
        "the instances could not pull the image: check that its name is reachable from them and that the instance \
         profile may read it",
    ),
    known(
        "failed to build the docker image",
        "the instances built something: the bundle must name an image and have no Dockerfile",
    ),
    known("connection refused) while connecting to upstream", PORT),
    known("no expose directive found", PORT),
    known(
        "unexpectedly ended after it was started",
        "the container ended on the instance: read its last lines, and compare environment properties, memory and \
         processor with those of the container test",
    ),
    known("must have instance profile associated", "set instance_profile, usually to aws-elasticbeanstalk-ec2-role"),
    known(
        "associated with the environment does not exist",
        "the instance profile of the settings is not there: the console makes aws-elasticbeanstalk-ec2-role, the API \
         does not",
    ),
    known("service role is required", "set service_role, usually to aws-elasticbeanstalk-service-role"),
    known(
        "have not responded in the allowed command timeout",
        "raise Timeout in aws:elasticbeanstalk:command; the platform adds four minutes to it",
    ),
    known(
        "waitcondition",
        "the instances never reported: check that their subnets reach the internet or have endpoints for Elastic \
         Beanstalk and CloudFormation",
    ),
    known(
        "rollback_failed",
        "the environment's CloudFormation stack is stuck: continue its rollback in the CloudFormation console",
    ),
    known("http 4xx", PATH),
    known("do not pass their health check", PATH),
    known("zero healthy instances", PATH),
    known(
        "http 5xx",
        "the instances answer with errors: set port if the app listens on another than the bundle names, else read the \
         app's own log",
    ),
];

const ARCHITECTURE: &str = "the image was built for another processor than the instances have: set build_platform to theirs, \
                            such as linux/amd64";

const PORT: &str = "nothing listens on the port that the bundle names: set port to the one on which the app listens, on \
                    all addresses of its container";

const PATH: &str = "the load balancer asks for the health check's path: set ready_path to one that answers 200, and port to \
                    the one on which the app listens";

/// Adds the hints that the fault's causes or lines call for: what was denied, and the nearest well-known cause.
pub fn with_hints(fault: Fault) -> Fault {
    let said: Vec<&String> = fault.causes().iter().chain(fault.last_lines()).collect();
    let denied = said.iter().find_map(|text| Denial::read(text)).map(|denial| denial.hint());
    let said = said.into_iter().map(|text| text.to_ascii_lowercase()).collect::<Vec<_>>().join("\n");
    let hint = HINTS.iter().find(|known| said.contains(known.text)).map(|known| match known.allow {
        [] => known.hint.to_owned(),
        actions => format!("{} {}", known.hint, statement(actions, "*")),
    });
    let missing = denied.into_iter().chain(hint).filter(|hint| !fault.hints().contains(hint)).collect::<Vec<_>>();
    missing.into_iter().fold(fault, Fault::hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(cause: &str) -> Vec<String> {
        with_hints(Fault::new("x").cause(cause)).hints().to_vec()
    }

    #[test]
    fn each_well_known_cause_gets_its_hint() {
        // The events as the platform tells them, lines of eb-engine.log and of nginx, and causes of enhanced health.
        let cases = [
            (
                "Instance deployment: The ECR service failed to authenticate your private repository. The deployment failed.",
                r#""ecr:BatchGetImage"],"Resource":"*"}"#,
            ),
            ("exec /app: exec format error", "build_platform"),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries", "build_platform"),
            (
                "connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.7",
                "set port to the one",
            ),
            ("failed to register layer: write /usr/lib/x: no space left on device", "RootVolumeSize"),
            ("100.0 % of the requests to the ELB are erroring with HTTP 4xx (3 minutes ago).", "set ready_path"),
            ("Elastic Load Balancer awseb-e-x has zero healthy instances.", "set ready_path"),
            ("19.9 % of the requests are failing with HTTP 5xx.", "set port"),
            ("Environment must have instance profile associated with it.", "set instance_profile"),
            (
                "The instance profile aws-elasticbeanstalk-ec2-role associated with the environment does not exist.",
                "the console makes",
            ),
            ("A Service Role is required in this region.", "set service_role"),
            ("Instance deployment failed to get one or more secrets", r#""secretsmanager:GetSecretValue""#),
            ("The following resource(s) failed to create: [AWSEBInstanceLaunchWaitCondition].", "subnets"),
        ];
        for (cause, wanted) in cases {
            let hints = hints(cause);
            assert!(hints.len() == 1 && hints[0].contains(wanted), "{cause}: {hints:?}");
        }
        assert!(hints("something new").is_empty());
    }

    #[test]
    fn what_names_a_cause_counts_before_what_says_that_something_failed() {
        let fault = Fault::new("x")
            .cause("Instance deployment: The Docker container unexpectedly ended after it was started.")
            .lines(["exec /app: exec format error"]);
        assert!(with_hints(fault).hints()[0].contains("build_platform"));
    }

    #[test]
    fn a_denial_among_the_events_gets_its_statement_once() {
        let event = "User: arn:aws:sts::1:assumed-role/ci/run is not authorized to perform: iam:PassRole on resource: \
                     arn:aws:iam::1:role/aws-elasticbeanstalk-ec2-role";
        let fault = with_hints(with_hints(Fault::new("x").cause(event)));
        assert_eq!(fault.hints().len(), 1);
        assert!(fault.hints()[0].starts_with("allow it to the role of this run"), "{:?}", fault.hints());
    }

    #[test]
    fn texts_of_the_table_are_lower_case() {
        assert!(HINTS.iter().all(|known| known.text == known.text.to_ascii_lowercase()));
    }
}
