//! Platforms that the local Beanstalk offers: Docker on Amazon Linux 2023.

use crate::local::control::REGION;
use crate::local::control::query::{Answer, ApiError, members, text, tree, words};

use super::Ask;

/// Solution stacks, in no useful order, as the real list has none.
const STACKS: [&str; 3] = [
    "64bit Amazon Linux 2023 v4.9.3 running Docker",
    "64bit Amazon Linux 2023 v4.13.5 running Docker",
    "64bit Amazon Linux 2023 v4.12.1 running Docker",
];

/// The newest stack.
pub fn newest() -> &'static str {
    STACKS[1]
}

/// The version and the rest of a stack's name: `v4.13.5`, as in `64bit Amazon Linux 2023 v4.13.5 running Docker`.
fn version(stack: &str) -> &str {
    stack.split(" v").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// The ARN of a stack.
pub fn arn_of(stack: &str) -> String {
    let version = version(stack);
    format!("arn:aws:elasticbeanstalk:{REGION}::platform/Docker running on 64bit Amazon Linux 2023/{version}")
}

/// The stack that a request names by `SolutionStackName` or `PlatformArn`; an ARN without a version means the newest.
///
/// # Errors
/// `InvalidParameterCombination` for both, `InvalidParameterValue` for one that is not there.
pub fn named(ask: &Ask<'_>) -> Result<Option<&'static str>, ApiError> {
    match (ask.form.text("SolutionStackName"), ask.form.text("PlatformArn")) {
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "You cannot specify both SolutionStackName and PlatformArn.",
        )),
        (None, None) => Ok(None),
        (Some(name), None) => match STACKS.into_iter().find(|stack| *stack == name) {
            Some(stack) => Ok(Some(stack)),
            None => Err(ApiError::invalid(format!("No Solution Stack named '{name}' found."))),
        },
        (None, Some(arn)) => {
            let newest = newest();
            let branch = arn_of(newest).replace(&format!("/{}", version(newest)), "");
            let exact = STACKS.into_iter().find(|stack| arn_of(stack) == arn);
            (exact.or((arn == branch).then_some(newest)))
                .map(Some)
                .ok_or_else(|| ApiError::invalid(format!("No Platform named '{arn}' found.")))
        }
    }
}

/// `ListAvailableSolutionStacks`.
pub fn list_stacks() -> Answer {
    let details =
        STACKS.map(|stack| vec![text("SolutionStackName", stack), words("PermittedFileTypes", ["zip"])]).into_iter();
    Ok(Some(vec![words("SolutionStacks", STACKS), members("SolutionStackDetails", details)]))
}

/// `ListPlatformVersions`, without filters.
pub fn list_versions() -> Answer {
    let summary = |stack: &str| {
        vec![
            text("PlatformArn", arn_of(stack)),
            text("PlatformOwner", "AWSElasticBeanstalk"),
            text("PlatformStatus", "Ready"),
            text("PlatformCategory", "Docker"),
            text("OperatingSystemName", "Amazon Linux"),
            text("OperatingSystemVersion", "2023"),
            text("PlatformVersion", version(stack)),
            text("PlatformBranchName", "Docker running on 64bit Amazon Linux 2023"),
            text("PlatformBranchLifecycleState", "Supported"),
        ]
    };
    Ok(Some(vec![members("PlatformSummaryList", STACKS.map(summary))]))
}

/// `DescribeAccountAttributes`: the default quotas of an account.
pub fn account_attributes() -> Answer {
    let quota = |name, maximum: u32| tree(name, vec![text("Maximum", maximum)]);
    let quotas = vec![
        quota("ApplicationQuota", 75),
        quota("ApplicationVersionQuota", 1000),
        quota("EnvironmentQuota", 200),
        quota("ConfigurationTemplateQuota", 2000),
        quota("CustomPlatformQuota", 50),
    ];
    Ok(Some(vec![tree("ResourceQuotas", quotas)]))
}
