//! A denied call: which action, which of the three principals, and the statement that mends it.
//!
//! Three principals must not be confused: the role of this run, with whose rights Elastic Beanstalk makes and changes
//! what an environment consists of; the service role; and the instance profile, with whose rights instances pull images.

use std::fmt;

use serde::Serialize;

use crate::fault::Fault;

/// Who is denied something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Whoever this run's credentials are.
    Run,
    /// Elastic Beanstalk itself, for health and managed updates.
    Service,
    /// An environment's instances.
    Instances,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run => "the role of this run",
            Self::Service => "the service role",
            Self::Instances => "the instance profile's role",
        })
    }
}

/// What AWS said when it denied something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `service:Action`.
    pub action: String,
    /// What it was to act on; `*` when that was not said.
    pub resource: String,
    /// Who is denied.
    pub principal: Principal,
    /// The same as an ARN, where it was said.
    pub arn: Option<String>,
    /// Whether a policy says no, so that another one's yes is no help.
    is_explicit: bool,
}

impl Denial {
    /// Finds a denial in an error's or an event's text: IAM's own sentence, `User: … is not authorized to perform: … on
    /// resource: …`; EC2's, which names the API call at best; and that of Elastic Beanstalk about its platform's files.
    pub fn read(text: &str) -> Option<Self> {
        if let Some(bucket) = after(text, "Access Denied: S3Bucket=") {
            let resource = format!("arn:aws:s3:::{}/*", bucket.trim_end_matches(','));
            return Some(Self::of_run("s3:GetObject", resource));
        }
        let Some(action) = after(text, "not authorized to perform: ") else {
            let is_ec2s = text.contains("You are not authorized to perform this operation");
            return after(text, "API: ").filter(|_| is_ec2s).map(|action| Self::of_run(action, "*".to_owned()));
        };
        let arn = after(text, "User: ").map(str::to_owned);
        Some(Self {
            action: action.to_owned(),
            resource: after(text, "on resource: ").unwrap_or("*").to_owned(),
            principal: arn.as_deref().map_or(Principal::Run, principal),
            arn,
            is_explicit: text.contains("explicit deny"),
        })
    }

    fn of_run(action: &str, resource: String) -> Self {
        Self { action: action.to_owned(), resource, principal: Principal::Run, arn: None, is_explicit: false }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        let Self { action, resource, principal, .. } = self;
        let who = match &self.arn {
            Some(arn) => format!("{principal} ({arn})"),
            None => principal.to_string(),
        };
        if self.is_explicit {
            return format!("a policy denies {action} to {who} explicitly: nothing helps but to change that policy");
        }
        format!("allow it to {who}: {}", statement(&[action], resource))
    }
}

/// The word after a mark.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let word = text.split_once(mark)?.1.split_whitespace().next()?;
    let word = word.trim_end_matches(['.', ',', ';', ')', '"', '\'']);
    (!word.is_empty()).then_some(word)
}

/// Which of the three has this ARN, `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`. An instance's session is its id;
/// service roles are known by the names that the console and the EB CLI give them.
fn principal(arn: &str) -> Principal {
    let mut parts = arn.split('/').skip(1);
    let (role, session) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match () {
        () if arn.contains(":assumed-role/") && session.starts_with("i-") => Principal::Instances,
        () if role.contains("elasticbeanstalk-service-role") => Principal::Service,
        () if role.contains("elasticbeanstalk-ec2-role") => Principal::Instances,
        () => Principal::Run,
    }
}

/// A statement of a policy that allows actions, as JSON on one line.
pub fn statement(actions: &[&str], resource: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Statement<'a> {
        effect: &'static str,
        action: &'a [&'a str],
        resource: &'a str,
    }
    serde_json::to_string(&Statement { effect: "Allow", action: actions, resource }).unwrap_or_default()
}

/// The fault of a call that was denied. `call` is the operation's name as the API reference has it.
pub fn fault(call: &str, message: &str) -> Fault {
    if let Some(denial) = Denial::read(message) {
        let to = denial.arn.as_deref().map_or_else(|| denial.principal.to_string(), str::to_owned);
        return Fault::new(format!("{} was denied to {to}", denial.action)).cause(message).hint(denial.hint());
    }
    let fault = Fault::new(format!("{call} was denied")).cause(message);
    if message.contains("Encoded authorization failure message") {
        return fault.hint(
            "`aws sts decode-authorization-message --encoded-message …` says which action it is about; allow it to the \
             role of this run, with whose rights Elastic Beanstalk acts",
        );
    }
    let service = if call.ends_with("Object") || call.starts_with("ListObjects") { "s3" } else { "elasticbeanstalk" };
    let statement = statement(&[&format!("{service}:{}", action_of(call))], "*");
    fault.hint(format!("allow it to the role of this run, with whose rights Elastic Beanstalk acts: {statement}"))
}

/// The action that allows a call; they differ for listings of buckets alone.
fn action_of(call: &str) -> &str {
    if call.starts_with("ListObjects") { "ListBucket" } else { call }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CI: &str = "arn:aws:sts::123456789012:assumed-role/ci/run";

    #[test]
    fn a_denial_names_action_principal_and_the_statement() {
        let label = "arn:aws:elasticbeanstalk:eu-west-1:123456789012:applicationversion/app/label";
        let fault = fault(
            "CreateApplicationVersion",
            &format!(
                "User: {CI} is not authorized to perform: elasticbeanstalk:CreateApplicationVersion on resource: {label} \
                 because no identity-based policy allows the elasticbeanstalk:CreateApplicationVersion action"
            ),
        );
        assert_eq!(fault.what(), format!("elasticbeanstalk:CreateApplicationVersion was denied to {CI}"));
        let statement = format!(
            r#"{{"Effect":"Allow","Action":["elasticbeanstalk:CreateApplicationVersion"],"Resource":"{label}"}}"#
        );
        assert_eq!(fault.hints(), [format!("allow it to the role of this run ({CI}): {statement}")]);
    }

    #[test]
    fn a_denial_downstream_is_read_from_an_event() {
        let event = "Service:AmazonCloudFormation, Message:User: arn:aws:sts::1:assumed-role/ci/run is not authorized to \
                     perform: cloudformation:DescribeStackResources on resource: arn:aws:cloudformation:eu-west-1:1:stack/x.";
        let denial = Denial::read(event).unwrap();
        assert_eq!(denial.action, "cloudformation:DescribeStackResources");
        assert_eq!(
            (denial.resource.as_str(), denial.principal),
            ("arn:aws:cloudformation:eu-west-1:1:stack/x", Principal::Run)
        );
        let ec2 = Denial::read("API: ec2:RunInstances You are not authorized to perform this operation.").unwrap();
        assert_eq!((ec2.action.as_str(), ec2.resource.as_str()), ("ec2:RunInstances", "*"));
        let pack = "Access Denied: S3Bucket=elasticbeanstalk-platform-assets-eu-west-1, S3Key=stalks/x.pack";
        assert_eq!(Denial::read(pack).unwrap().resource, "arn:aws:s3:::elasticbeanstalk-platform-assets-eu-west-1/*");
        assert_eq!(Denial::read("Failed to deploy application."), None);
    }

    #[test]
    fn the_three_principals_are_told_apart() {
        let of = |role: &str| principal(&format!("arn:aws:sts::1:assumed-role/{role}"));
        assert_eq!(of("ci/GitHubActions"), Principal::Run);
        assert_eq!(of("aws-elasticbeanstalk-service-role/AWSElasticBeanstalk"), Principal::Service);
        assert_eq!(of("shop-nodes/i-0123456789abcdef0"), Principal::Instances);
        assert_eq!(of("aws-elasticbeanstalk-ec2-role/x"), Principal::Instances);
        assert_eq!(principal("arn:aws:iam::1:user/ci"), Principal::Run);
    }

    #[test]
    fn what_no_statement_mends_is_not_given_one() {
        let text = format!(
            "User: {CI} is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" with an \
                            explicit deny in a service control policy"
        );
        let hint = Denial::read(&text).unwrap().hint();
        assert!(hint.contains("explicitly") && !hint.contains("Allow"), "{hint}");
        let encoded = fault("CreateEnvironment", "You are not authorized. Encoded authorization failure message: xyz");
        assert!(encoded.hints()[0].contains("decode-authorization-message"));
    }

    #[test]
    fn a_denial_that_names_nothing_still_says_what_to_allow() {
        let fault = fault("ListObjectsV2", "Access Denied");
        assert_eq!(fault.what(), "ListObjectsV2 was denied");
        assert!(fault.hints()[0].ends_with(r#"{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":"*"}"#));
    }
}
