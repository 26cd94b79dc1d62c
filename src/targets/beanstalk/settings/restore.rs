//! The way back: before settings change, the platform saves the old ones as a configuration template, so that secrets among
//! them go nowhere. To restore is to update the environment from that template.

use aws_sdk_elasticbeanstalk::operation::RequestId;
use aws_sdk_elasticbeanstalk::types::{ConfigurationOptionSetting, OptionSpecification};
use tokio::time::Instant;

use super::super::call::{again, refused, while_doing};
use super::super::events::Anchor;
use super::super::operation::{Kind, Operation};
use super::super::platform::{Environment, Status};
use super::super::undo::is_gone;
use super::super::{Beanstalk, wait};
use super::{Before, Change};
use crate::engine::retry::pause;
use crate::engine::undo::{Receipt, Undo};
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::inputs::{OptionSetting, Secret};

impl Beanstalk {
    /// Saves an environment's settings, and registers what puts them back.
    pub(super) async fn save_settings(
        &self,
        cx: &StageCx,
        environment: &Environment,
        changes: &[Change],
    ) -> Result<(), Fault> {
        let template = format!("beanline-settings-{}", self.context.run_id);
        self.save_as(cx, &template, &environment.id, &environment.name).await?;
        let new = changes.iter().filter(|change| change.before == Before::Unset);
        let undo = Undo::RestoreSettings {
            application: self.plan.application.clone(),
            environment: environment.name.clone(),
            environment_id: environment.id.clone(),
            template: template.clone(),
            remove: new.map(|change| (change.wanted.namespace.clone(), change.wanted.option.clone())).collect(),
            region: self.region.clone(),
        };
        self.restoring.replace(Some(undo.clone()));
        self.register(cx, &undo).await?;
        // From here on the template is what the way back needs, and goes when that is gone.
        self.unregister(cx, &self.template_undo(&template)).await
    }
}

/// Puts saved settings back. What is as it was counts as done, and so does an environment that is gone.
pub(in super::super) async fn restore(
    site: &Beanstalk,
    id: &str,
    template: &str,
    remove: &[(String, String)],
    receipt: &Receipt,
) -> Result<(), Fault> {
    let began = Instant::now();
    let limit = site.plan.deploy_timeout;
    loop {
        let Some(environment) = site.look(None, id).await?.filter(|found| !found.status.is_ending()) else {
            return forget(site, template).await;
        };
        if environment.status == Status::Ready {
            let Some(saved) = saved(site, template).await? else { return Ok(()) };
            let is_restored = is_restored(site, &environment, &saved, remove).await?;
            if is_restored && (!site.sent_settings.get() || began.elapsed() >= site.pace.late_events) {
                return forget(site, template).await;
            }
            // What was sent and not answered may begin yet.
            let sent = if is_restored { None } else { send(site, &environment, template, remove).await? };
            match sent {
                Some(operation) => {
                    receipt.taken();
                    wait::conclude(&site.watcher, None, &operation, &site.demand(), limit).await?;
                    return forget(site, template).await;
                }
                None if began.elapsed() < limit => {}
                None => {
                    return Err(Fault::timed_out(format!("{} was busy for {}", environment.name, in_words(limit))));
                }
            }
        } else if began.elapsed() >= limit {
            let (name, status) = (&environment.name, environment.status);
            return Err(Fault::timed_out(format!("{name} is still {status} after {}", in_words(limit))));
        }
        pause(site.pace.interval(began.elapsed())).await;
    }
}

/// Deletes the template once it has served.
async fn forget(site: &Beanstalk, template: &str) -> Result<(), Fault> {
    again(None, "DeleteConfigurationTemplate", async || site.delete_template(template).await).await
}

/// The settings in the template; `None` when it is gone: it is deleted when the new settings are there to stay.
async fn saved(site: &Beanstalk, template: &str) -> Result<Option<Vec<OptionSetting>>, Fault> {
    let ask = async || match site.api.saved_settings(&site.plan.application, template).await {
        Err(error) if is_gone(&error) => Ok(None),
        settings => settings.map(Some),
    };
    let found = again(None, "DescribeConfigurationSettings", ask).await?;
    let setting = |set: ConfigurationOptionSetting| {
        let value = Secret::new(set.value.unwrap_or_default());
        Some(OptionSetting { namespace: set.namespace?, option: set.option_name?, resource: set.resource_name, value })
    };
    Ok(found.map(|found| found.into_iter().filter_map(setting).collect()))
}

async fn is_restored(
    site: &Beanstalk,
    environment: &Environment,
    saved: &[OptionSetting],
    remove: &[(String, String)],
) -> Result<bool, Fault> {
    let ask = async || site.api.settings(&environment.application, &environment.name).await;
    let current = again(None, "DescribeConfigurationSettings", ask).await?;
    let is_there = |(namespace, option): &(String, String)| super::value(&current, namespace, option).is_some();
    Ok(!remove.iter().any(is_there) && super::diff(&current, saved).is_empty())
}

/// Asks for it; `None` when the environment is busy by now. Sent twice it would do the same twice.
async fn send(
    site: &Beanstalk,
    environment: &Environment,
    template: &str,
    remove: &[(String, String)],
) -> Result<Option<Operation>, Fault> {
    let id = &environment.id;
    let before = again(None, "DescribeEvents", async || site.api.newest_events(id).await).await?;
    let specification = |(namespace, option): &(String, String)| {
        OptionSpecification::builder().namespace(namespace).option_name(option).build()
    };
    let remove = (!remove.is_empty()).then(|| remove.iter().map(specification).collect());
    let sent = again(None, "UpdateEnvironment", async || {
        site.hold().await?;
        let request = site.api.beanstalk.update_environment().environment_id(id).template_name(template);
        match request.set_options_to_remove(remove.clone()).send().await.map_err(|e| refused("UpdateEnvironment", e)) {
            Err(error) if error.is_busy() => Ok(None),
            answer => answer.map(|answer| Some(answer.request_id().map(str::to_owned))),
        }
    });
    let what = format!("could not put the settings of {} back", environment.name);
    let sent = sent.await.map_err(|fault| while_doing(what, fault))?;
    Ok(sent.map(|request_id| Operation {
        kind: Kind::Configure { label: environment.version_label.clone() },
        environment_id: id.clone(),
        environment: environment.name.clone(),
        request_id,
        anchor: Anchor::after(&before),
    }))
}
