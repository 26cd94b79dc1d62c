//! Tags.

use crate::local::control::query::{Answer, ApiError, Form, members, text};
use crate::local::control::state::State;

use super::Ask;
use super::model::{Kind, Status, Tags, arn};
use super::operations;

/// Tags that one resource may have (API reference, CreateEnvironment).
const QUOTA: usize = 50;

/// The tags in `field` of a request.
///
/// # Errors
/// `InvalidParameterValue` for keys or values of a wrong length or a reserved prefix, `TooManyTagsException`.
pub fn read(form: &Form, field: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in form.structures(field) {
        let key = tag.sized("Key", 1..=128)?;
        if key.starts_with("aws:") || key.starts_with("elasticbeanstalk:") {
            return Err(ApiError::constraint(key, "Key", "Member must not begin with a reserved prefix"));
        }
        let value = tag.sized_if_given("Value", 0..=256)?.unwrap_or_default();
        tags.insert(key.to_owned(), value.to_owned());
    }
    within_quota(&tags)?;
    Ok(tags)
}

fn within_quota(tags: &Tags) -> Result<(), ApiError> {
    match tags.len() {
        0..=QUOTA => Ok(()),
        count => {
            let message = format!("{count} tags are more than the {QUOTA} that a resource may have.");
            Err(ApiError::new("TooManyTagsException", message))
        }
    }
}

/// `ListTagsForResource`.
pub fn list(state: &mut State, ask: &Ask<'_>) -> Answer {
    let resource = ask.form.required("ResourceArn")?;
    let tags = tags_of(state, resource)?;
    let tags = tags.iter().map(|(key, value)| vec![text("Key", key), text("Value", value)]);
    Ok(Some(vec![text("ResourceArn", resource), members("ResourceTags", tags)]))
}

/// `UpdateTagsForResource`. An environment is Updating for a moment.
pub fn update(state: &mut State, ask: &Ask<'_>) -> Answer {
    let resource = ask.form.required("ResourceArn")?;
    let mut tags = tags_of(state, resource)?.clone();
    let environment = environment_of(state, resource);
    if let Some((_, status)) = &environment
        && *status != Status::Ready
    {
        let message = "The environment is not in a Ready state; tags cannot be changed now.";
        return Err(ApiError::new("OperationInProgressFailure", message));
    }
    tags.extend(read(ask.form, "TagsToAdd")?);
    for key in ask.form.list("TagsToRemove") {
        tags.remove(key);
    }
    within_quota(&tags)?;
    *tags_of(state, resource)? = tags;
    if let Some((id, _)) = environment {
        operations::begin(state, ask, &id, Kind::Tags, Status::Updating);
    }
    Ok(None)
}

fn environment_of(state: &State, resource: &str) -> Option<(String, Status)> {
    let found = state.environments.iter().rev().find(|environment| {
        arn(&format!("environment/{}/{}", environment.application, environment.name)) == resource
            && environment.status != Status::Terminated
    });
    found.map(|environment| (environment.id.clone(), environment.status))
}

fn tags_of<'a>(state: &'a mut State, resource: &str) -> Result<&'a mut Tags, ApiError> {
    let missing = || ApiError::new("ResourceNotFoundException", format!("Resource {resource} does not exist."));
    if let Some((id, _)) = environment_of(state, resource) {
        return state.environment_mut(&id).map(|environment| &mut environment.tags).ok_or_else(missing);
    }
    if let Some((_, path)) = resource.split_once(":application/") {
        return state.applications.get_mut(path).map(|application| &mut application.tags).ok_or_else(missing);
    }
    (state.versions.iter_mut())
        .find(|version| arn(&format!("applicationversion/{}/{}", version.application, version.label)) == resource)
        .map(|version| &mut version.tags)
        .ok_or_else(missing)
}
