//! Applications.

use crate::local::control::query::{Answer, ApiError, Element, members, text, time, tree, words};
use crate::local::control::state::State;

use super::model::{Application, Severity, Status, arn};
use super::{Ask, platforms, tags, terminate};

/// The refusal when there is no such application.
///
/// # Errors
/// `InvalidParameterValue`.
pub fn must_exist(state: &State, name: &str) -> Result<(), ApiError> {
    match state.applications.contains_key(name) {
        true => Ok(()),
        false => Err(ApiError::invalid(format!("No Application named '{name}' found."))),
    }
}

/// Makes an application, if the quota allows.
///
/// # Errors
/// `TooManyApplicationsException`.
pub fn make(state: &mut State, ask: &Ask<'_>, name: &str, description: &str) -> Result<(), ApiError> {
    let quota = platforms::quota(state, "CreateApplication");
    if state.applications.len() >= quota {
        let message = format!("You cannot have more than {quota} Applications.");
        return Err(ApiError::new("TooManyApplicationsException", message));
    }
    let tags = tags::read(ask.form, "Tags")?;
    let application = Application { description: description.to_owned(), created: ask.now, tags };
    state.applications.insert(name.to_owned(), application);
    state.tell_application(name, None, ask.id, Severity::Info, "createApplication is starting.");
    state.tell_application(name, None, ask.id, Severity::Info, &format!("Created new Application: {name}"));
    Ok(())
}

/// `CreateApplication`.
pub fn create(state: &mut State, ask: &Ask<'_>) -> Answer {
    let name = ask.form.sized("ApplicationName", 1..=100)?;
    let description = ask.form.sized_if_given("Description", 0..=200)?.unwrap_or_default();
    if state.applications.contains_key(name) {
        return Err(ApiError::invalid(format!("Application {name} already exists.")));
    }
    make(state, ask, name, description)?;
    Ok(Some(vec![tree("Application", element(state, name))]))
}

/// `DescribeApplications`.
pub fn describe(state: &State, ask: &Ask<'_>) -> Answer {
    let wanted = ask.form.list("ApplicationNames");
    let names = state.applications.keys().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str()));
    Ok(Some(vec![members("Applications", names.map(|name| element(state, name)))]))
}

/// `DeleteApplication`: with its versions and templates; with `TerminateEnvByForce` its environments too.
pub fn delete(state: &mut State, ask: &Ask<'_>) -> Answer {
    let name = ask.form.sized("ApplicationName", 1..=100)?.to_owned();
    must_exist(state, &name)?;
    let living = |status| !matches!(status, Status::Terminated | Status::Terminating);
    let running: Vec<String> = (state.environments.iter())
        .filter(|environment| environment.application == name && living(environment.status))
        .map(|environment| environment.id.clone())
        .collect();
    if !running.is_empty() && !ask.form.flag("TerminateEnvByForce")? {
        let message = format!("Unable to delete application {name} because it has a running environment.");
        return Err(ApiError::new("OperationInProgressFailure", message));
    }
    for id in running {
        terminate::begin(state, ask, &id);
    }
    state.applications.remove(&name);
    state.versions.retain(|version| version.application != name);
    state.templates.retain(|template| template.application != name);
    Ok(None)
}

fn element(state: &State, name: &str) -> Vec<Element> {
    let Some(application) = state.applications.get(name) else { return Vec::new() };
    let labels = state.versions.iter().rev().filter(|version| version.application == name);
    let templates = state.templates.iter().filter(|template| template.application == name);
    vec![
        text("ApplicationArn", arn(&format!("application/{name}"))),
        text("ApplicationName", name),
        text("Description", &application.description),
        time("DateCreated", application.created),
        time("DateUpdated", application.created),
        words("Versions", labels.map(|version| &version.label)),
        words("ConfigurationTemplates", templates.map(|template| &template.name)),
    ]
}
