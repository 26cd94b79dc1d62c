//! Saved configurations.

use crate::local::control::query::{Answer, ApiError, text, time};
use crate::local::control::state::State;

use super::model::{Environment, Status, Template};
use super::{Ask, applications, environments, platforms, settings};

/// A template by name.
///
/// # Errors
/// `InvalidParameterValue` when there is none.
pub fn must_exist<'a>(state: &'a State, application: &str, name: &str) -> Result<&'a Template, ApiError> {
    let found = state.templates.iter().find(|template| template.application == application && template.name == name);
    found.ok_or_else(|| ApiError::invalid(format!("No Configuration Template named '{name}' found.")))
}

/// `CreateConfigurationTemplate`, from an environment, another template or a platform.
pub fn create(state: &mut State, ask: &Ask<'_>) -> Answer {
    let form = ask.form;
    let application = form.sized("ApplicationName", 1..=100)?;
    let name = form.sized("TemplateName", 1..=100)?;
    let description = form.sized_if_given("Description", 0..=200)?.unwrap_or_default();
    applications::must_exist(state, application)?;
    if must_exist(state, application, name).is_ok() {
        return Err(ApiError::invalid(format!("Configuration Template {name} already exists.")));
    }
    let quota = platforms::quota(state, "CreateConfigurationTemplate");
    if state.templates.len() >= quota {
        let message = format!("You cannot have more than {quota} Configuration Templates.");
        return Err(ApiError::new("TooManyConfigurationTemplatesException", message));
    }
    let source = form.text("SourceConfiguration.TemplateName");
    let (stack, mut options, environment) = if form.text("EnvironmentId").is_some() {
        let from = source_environment(state, ask)?;
        (from.stack.clone(), from.settings.clone(), Some(from.name.clone()))
    } else if let Some(source) = source {
        let other = form.text("SourceConfiguration.ApplicationName").unwrap_or(application);
        let from = must_exist(state, other, source)?;
        (from.stack.clone(), from.settings.clone(), from.environment.clone())
    } else {
        let stack = platforms::named(ask)?.ok_or_else(no_platform)?;
        (stack.to_owned(), Default::default(), None)
    };
    settings::apply(&mut options, form)?;
    let template = Template {
        application: application.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        environment,
        stack,
        settings: options,
        created: ask.now,
    };
    let result = vec![
        text("SolutionStackName", &template.stack),
        text("PlatformArn", platforms::arn_of(&template.stack)),
        text("ApplicationName", application),
        text("TemplateName", name),
        text("Description", description),
        time("DateCreated", ask.now),
        time("DateUpdated", ask.now),
    ];
    state.templates.push(template);
    Ok(Some(result))
}

/// A new environment cannot be saved yet, a terminated one no longer.
fn source_environment<'a>(state: &'a State, ask: &Ask<'_>) -> Result<&'a Environment, ApiError> {
    let environment = environments::named(state, ask.form, "")?;
    match environment.status {
        Status::Launching | Status::Terminating => Err(environments::must_be_ready(&environment.name)),
        _ => Ok(environment),
    }
}

/// The refusal when a request does not say what to run on.
pub fn no_platform() -> ApiError {
    ApiError::invalid("Unable to determine base for template pack (no solution stack)")
}

/// `DeleteConfigurationTemplate`; one that is not there is no error.
pub fn delete(state: &mut State, ask: &Ask<'_>) -> Answer {
    let application = ask.form.sized("ApplicationName", 1..=100)?;
    let name = ask.form.sized("TemplateName", 1..=100)?;
    applications::must_exist(state, application)?;
    state.templates.retain(|template| template.application != application || template.name != name);
    Ok(None)
}
