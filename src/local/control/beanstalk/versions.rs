//! Application versions.

use crate::local::control::query::{Answer, ApiError, Element, members, text, time, tree};
use crate::local::control::state::State;

use super::faults::{FaultName, Target};
use super::model::{Severity, Status, Version, arn};
use super::processing::Processing;
use super::{Ask, applications, platforms, tags};

impl State {
    /// The version of `application` with that label.
    pub fn version(&self, application: &str, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.application == application && version.label == label)
    }
}

/// The version that a request names for an environment.
///
/// # Errors
/// `InvalidParameterValue` when there is none.
pub fn must_exist<'a>(state: &'a State, application: &str, label: &str) -> Result<&'a Version, ApiError> {
    (state.version(application, label))
        .ok_or_else(|| ApiError::invalid(format!("No Application Version named '{label}' found.")))
}

/// The bucket and key that a request wants to make a version of.
///
/// # Errors
/// `MissingParameter`. The real service takes its sample application then; there is none here.
pub fn bundle<'a>(ask: &Ask<'a>) -> Result<(&'a str, &'a str), ApiError> {
    Ok((ask.form.required("SourceBundle.S3Bucket")?, ask.form.required("SourceBundle.S3Key")?))
}

/// `CreateApplicationVersion`, once it is known that the bundle is there, and what is wrong with its files.
pub fn create(state: &mut State, ask: &Ask<'_>, flaw: Option<String>) -> Answer {
    let form = ask.form;
    let application = form.sized("ApplicationName", 1..=100)?;
    let label = form.sized("VersionLabel", 1..=100)?;
    let description = form.sized_if_given("Description", 0..=200)?.unwrap_or_default();
    let (bucket, key) = bundle(ask)?;
    let (tags, process) = (tags::read(form, "Tags")?, form.flag("Process")?);
    if !(form.flag("AutoCreateApplication")?) {
        applications::must_exist(state, application)?;
    }
    let target = Target::Environment { id: label, name: label };
    if state.version(application, label).is_some() || state.use_fault(FaultName::LabelTaken, target) {
        return Err(ApiError::invalid(format!("Application Version {label} already exists.")));
    }
    let quota = platforms::quota(state, "CreateApplicationVersion");
    if state.versions.len() >= quota {
        let message = format!(
            "You cannot have more than {quota} Application Versions. Either remove some Application Versions or \
             request a limit increase."
        );
        return Err(ApiError::new("TooManyApplicationVersionsException", message));
    }
    if !state.applications.contains_key(application) {
        applications::make(state, ask, application, "")?;
    }
    let version = Version {
        application: application.to_owned(),
        label: label.to_owned(),
        description: description.to_owned(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        status: "UNPROCESSED".to_owned(),
        processing: process.then(|| Processing { request_id: ask.id.to_owned(), due: ask.now + ask.pace.step, flaw }),
        created: ask.now,
        tags,
    };
    let result = tree("ApplicationVersion", element(&version));
    state.versions.push(version);
    let mut tell = |message: &str| state.tell_application(application, Some(label), ask.id, Severity::Info, message);
    tell("createApplicationVersion is starting.");
    tell(&format!("Created new Application Version: {label}"));
    tell("createApplicationVersion completed successfully.");
    Ok(Some(vec![result]))
}

/// `DescribeApplicationVersions`: newest first.
pub fn describe(state: &State, ask: &Ask<'_>) -> Answer {
    let (application, labels) = (ask.form.text("ApplicationName"), ask.form.list("VersionLabels"));
    let most = ask.form.number("MaxRecords", 1..=1000)?.unwrap_or(usize::MAX);
    let skip = match ask.form.text("NextToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| ApiError::invalid(format!("Invalid NextToken: {token}")))?,
    };
    let found: Vec<&Version> = (state.versions.iter().rev())
        .filter(|version| application.is_none_or(|wanted| version.application == wanted))
        .filter(|version| labels.is_empty() || labels.contains(&version.label.as_str()))
        .collect();
    let page = found.iter().skip(skip).take(most).map(|version| element(version));
    let mut result = vec![members("ApplicationVersions", page)];
    if found.len() > skip.saturating_add(most) {
        result.push(text("NextToken", skip + most));
    }
    Ok(Some(result))
}

/// `DeleteApplicationVersion`: the version, whose bundle the caller may remove then. `None`: it was not there, which is
/// no error.
///
/// # Errors
/// `InvalidParameterValue` when the application is not there, or while an environment runs the version (the API's page
/// says that it cannot be deleted then; its exact words are not known).
pub fn delete(state: &mut State, ask: &Ask<'_>) -> Result<Option<Version>, ApiError> {
    let application = ask.form.sized("ApplicationName", 1..=100)?;
    let label = ask.form.sized("VersionLabel", 1..=100)?;
    applications::must_exist(state, application)?;
    let runs = state.environments.iter().any(|environment| {
        environment.status != Status::Terminated
            && environment.application == application
            && [&environment.version_label, &environment.deployed_label].iter().any(|l| l.as_deref() == Some(label))
    });
    if runs {
        let message = format!("Application Version {label} is associated with a running environment.");
        return Err(ApiError::invalid(message));
    }
    let index = state.versions.iter().position(|version| version.application == application && version.label == label);
    let version = index.map(|index| state.versions.remove(index));
    if version.is_some() {
        let message = format!("Deleted Application Version: {label}");
        state.tell_application(application, Some(label), ask.id, Severity::Info, &message);
    }
    Ok(version)
}

fn element(version: &Version) -> Vec<Element> {
    let Version { application, label, .. } = version;
    vec![
        text("ApplicationVersionArn", arn(&format!("applicationversion/{application}/{label}"))),
        text("ApplicationName", application),
        text("VersionLabel", label),
        text("Description", &version.description),
        tree("SourceBundle", vec![text("S3Bucket", &version.bucket), text("S3Key", &version.key)]),
        time("DateCreated", version.created),
        time("DateUpdated", version.created),
        text("Status", &version.status),
    ]
}
