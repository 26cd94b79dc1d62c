//! Platforms that the local Beanstalk offers: Docker on Amazon Linux 2023.

use crate::local::control::REGION;
use crate::local::control::query::{Answer, ApiError, Element, members, text, tree, words};
use crate::local::control::state::State;

use super::Ask;
use super::faults::{FaultName, Target};

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

/// The platform branch that all stacks are of.
const BRANCH: &str = "Docker running on 64bit Amazon Linux 2023";

/// What ListPlatformVersions and DescribePlatformVersion tell of a stack alike.
fn summary(stack: &str) -> Vec<Element> {
    // As on the real platform the newest version of a branch is the recommended one.
    let recommended = (stack == newest()).then(|| text("PlatformLifecycleState", "Recommended"));
    let mut told = vec![
        text("PlatformArn", arn_of(stack)),
        text("PlatformOwner", "AWSElasticBeanstalk"),
        text("PlatformStatus", "Ready"),
        text("PlatformCategory", "Docker"),
        text("OperatingSystemName", "Amazon Linux"),
        text("OperatingSystemVersion", "2023"),
        text("PlatformVersion", version(stack)),
        text("PlatformBranchName", BRANCH),
        text("PlatformBranchLifecycleState", "Supported"),
        words("SupportedTierList", ["WebServer/Standard", "Worker/SQS/HTTP"]),
    ];
    told.extend(recommended);
    told
}

/// Whether every filter of a request that names this attribute has one of these values.
fn passes(ask: &Ask<'_>, field: &str, attribute: &str, value: &str) -> bool {
    let filters = ask.form.structures("Filters");
    let mut own = filters.iter().filter(|filter| filter.text(field) == Some(attribute));
    own.all(|filter| filter.list("Values").contains(&value))
}

/// `ListPlatformVersions`, filtered by branch, name, version or `PlatformVersion=latest`.
pub fn list_versions(ask: &Ask<'_>) -> Answer {
    let is_wanted = |stack: &&str| {
        let latest = *stack == newest() && passes(ask, "Type", "PlatformVersion", "latest");
        (latest || passes(ask, "Type", "PlatformVersion", version(stack)))
            && passes(ask, "Type", "PlatformBranchName", BRANCH)
            && passes(ask, "Type", "PlatformName", BRANCH)
    };
    Ok(Some(vec![members("PlatformSummaryList", STACKS.into_iter().filter(is_wanted).map(summary))]))
}

/// `DescribePlatformVersion`.
pub fn describe_version(ask: &Ask<'_>) -> Answer {
    let stack = named(ask)?.ok_or_else(|| ApiError::missing("The request must contain the parameter PlatformArn."))?;
    let mut told = summary(stack);
    told.extend([text("PlatformName", BRANCH), text("SolutionStackName", stack)]);
    Ok(Some(vec![tree("PlatformDescription", told)]))
}

/// `ListPlatformBranches`, filtered by name.
pub fn list_branches(ask: &Ask<'_>) -> Answer {
    let branch = passes(ask, "Attribute", "BranchName", BRANCH).then(|| {
        vec![
            text("PlatformName", "Docker"),
            text("BranchName", BRANCH),
            text("LifecycleState", "Supported"),
            text("BranchOrder", 1),
            words("SupportedTierList", ["WebServer/Standard", "Worker/SQS/HTTP"]),
        ]
    });
    Ok(Some(vec![members("PlatformBranchSummaryList", branch)]))
}

/// What an account may have, before the fault `quota` lowers it (developer guide, "Elastic Beanstalk endpoints and
/// quotas"; API reference, DescribeAccountAttributes).
const QUOTAS: [(&str, &str, u32); 5] = [
    ("ApplicationQuota", "CreateApplication", 75),
    ("ApplicationVersionQuota", "CreateApplicationVersion", 1000),
    ("EnvironmentQuota", "CreateEnvironment", 200),
    ("ConfigurationTemplateQuota", "CreateConfigurationTemplate", 2000),
    ("CustomPlatformQuota", "CreatePlatformVersion", 50),
];

/// How many of what `action` makes the account may have.
pub fn quota(state: &State, action: &str) -> usize {
    let usual = QUOTAS.iter().find(|quota| quota.1 == action).map_or(0, |quota| quota.2);
    let target = Target::Call { service: "elasticbeanstalk", action };
    state.fault(FaultName::Quota, target).map_or(usual, |fault| fault.most.min(usual)) as usize
}

/// `DescribeAccountAttributes`.
pub fn account_attributes(state: &State) -> Answer {
    let quotas = QUOTAS.map(|(name, action, _)| tree(name, vec![text("Maximum", quota(state, action))]));
    Ok(Some(vec![tree("ResourceQuotas", quotas.to_vec())]))
}
