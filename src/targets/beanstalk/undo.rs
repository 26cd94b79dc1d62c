//! Putting things back. Each may be done twice: what is not there is undone.

mod redeploy;

use std::time::Duration;

use aws_sdk_elasticbeanstalk::operation::RequestId;
use tokio::time::Instant;

use super::call::{ApiError, Told, again, refused, while_doing};
use super::events::Anchor;
use super::operation::{Kind, Operation};
use super::platform::{Environment, Status};
use super::pull::label_of;
use super::scale::Size;
use super::{Beanstalk, scale, settings, wait};
use crate::engine::event::Fact;
use crate::engine::in_words;
use crate::engine::retry::pause;
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::registry::EcrRepository;
use redeploy::Redeployment;

/// How long an environment that cannot be terminated yet is waited for: a first launch ends or fails within this.
const BUSY_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How long a swap back that is refused is tried again.
const REFUSED_LIMIT: Duration = Duration::from_secs(60);

/// How long a termination may take; published logs show two and a half to ten minutes.
const END_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Carries one out.
pub async fn perform(site: &Beanstalk, undo: &Undo, receipt: &Receipt) -> Result<(), Fault> {
    match undo {
        Undo::EndEnvironment { environment, live_cname, .. } => match of_this_run(site, environment).await? {
            Some(ours) => site.end(None, &ours, live_cname.as_deref(), receipt).await,
            None => Ok(()),
        },
        Undo::SwapBack { cname, from, back, .. } => swap_back(site, cname, from, back).await,
        Undo::RemoveTemplate { template, .. } => {
            let delete = async || site.delete_template(template).await;
            again(None, "DeleteConfigurationTemplate", delete).await?;
            if site.asked_template.borrow().as_deref() == Some(template) {
                // It may be made after it was deleted.
                pause(site.pace.late_events).await;
                again(None, "DeleteConfigurationTemplate", delete).await?;
            }
            Ok(())
        }
        Undo::Redeploy { application, environment, environment_id, label, instead_of, .. } => {
            let name = environment;
            Redeployment { application, name, id: environment_id, label, instead_of }.perform(site, receipt).await
        }
        Undo::RemoveApplication { application, .. } => remove_application(site, application).await,
        Undo::RestoreSettings { environment_id, template, remove, .. } => {
            settings::restore(site, environment_id, template, remove, receipt).await
        }
        Undo::GiveSizeBack { environment, live_cname, raised, min, .. } => {
            let size = Size { min: *min, raised: *raised };
            scale::give_back(site, environment, live_cname, size, receipt).await
        }
        Undo::RemoveTag { repository, registry_id, tag, region } => {
            let (registry_id, region) = (registry_id.clone(), region.clone());
            remove_tag(site, &EcrRepository { registry_id, region, name: repository.clone() }, tag).await
        }
        other => Err(Fault::new(format!("could not {other}")).cause("it is none of Elastic Beanstalk's things")),
    }
}

/// A version that is there by now, whoever made it, has the tag for its own.
async fn remove_tag(site: &Beanstalk, ecr: &EcrRepository, tag: &str) -> Result<(), Fault> {
    if !site.applications_with(label_of(tag).unwrap_or(tag)).await?.is_empty() {
        return Ok(());
    }
    site.remove_tag(ecr, tag).await?;
    if site.asked_tag.borrow().as_deref() == Some(tag) {
        // It may be given after it was taken away.
        pause(site.pace.late_events).await;
        site.remove_tag(ecr, tag).await?;
    }
    Ok(())
}

/// The environment that this run made, and the application around it, for somebody to look at.
pub async fn keeps(site: &Beanstalk, undo: &Undo) -> Option<Fact> {
    let (what, why) = match undo {
        Undo::EndEnvironment { environment: name, .. } => {
            let (what, bill) = match of_this_run(site, name).await {
                Ok(Some(ours)) if !ours.status.is_ending() => {
                    (format!("environment {name} ({})", ours.id), site.bill(&ours.id).await)
                }
                Ok(_) => return None,
                // What is left alone by mistake can still be removed.
                Err(fault) => (format!("environment {name}, if it was made ({fault})"), "what it runs".to_owned()),
            };
            let why =
                "keep_failed is set, so that somebody can look at it; the clean up of a later deployment may end it";
            (what, format!("{why}; until then it costs {bill}"))
        }
        Undo::RemoveApplication { application, .. } => {
            let ask = async || site.api.environments(Some(application), &[]).await;
            let all = again(None, "DescribeEnvironments", ask).await.ok()?;
            all.iter().find(|e| site.is_of_this_run(e) && !e.status.is_ending())?;
            (format!("application {application}"), "its environment is kept".to_owned())
        }
        _ => return None,
    };
    Some(Fact::Kept { what, why, command: Some(undo.command()) })
}

/// The environment of that name, if this run made it: the name was on the stack before it was asked for, so it may
/// belong to another run. One that was asked for may show late, so that a no is believed only when it lasts.
pub(super) async fn of_this_run(site: &Beanstalk, name: &str) -> Result<Option<Environment>, Fault> {
    let began = Instant::now();
    let standing = |e: &Environment| e.name == name && e.status != Status::Terminated;
    loop {
        let all = again(None, "DescribeEnvironments", async || site.api.environments(None, &[]).await).await?;
        if let Some(found) = all.into_iter().find(standing) {
            return Ok(Some(found).filter(|environment| site.is_of_this_run(environment)));
        }
        let was_asked_for = site.asked_for.borrow().as_deref() == Some(name);
        if !was_asked_for || began.elapsed() >= site.pace.late_events {
            return Ok(None);
        }
        pause(site.pace.first).await;
    }
}

async fn swap_back(site: &Beanstalk, cname: &str, from: &str, back: &str) -> Result<(), Fault> {
    let began = Instant::now();
    loop {
        let (there, here) = (site.look(None, from).await?, site.look(None, back).await?);
        let Some(here) = here.filter(|here| !here.status.is_ending()) else {
            return Err(Fault::new(format!("environment {back}, which was live before, is gone")));
        };
        let there = there.filter(|there| !there.status.is_ending());
        let busy = [Some(&here), there.as_ref()].into_iter().flatten().any(|e| e.status != Status::Ready);
        if busy {
            // A swap may be under way: who holds the name is known when both are Ready.
            if began.elapsed() >= BUSY_LIMIT {
                let time = in_words(BUSY_LIMIT);
                return Err(Fault::timed_out(format!("the environments were not Ready to swap within {time}")));
            }
            pause(site.pace.interval(began.elapsed())).await;
            continue;
        }
        if here.cname == cname && site.sent_swap_was_awaited().await? {
            continue;
        }
        return match there {
            _ if here.cname == cname => Ok(()),
            Some(there) if there.cname == cname => {
                match site.swap(None, (&here.id, &here.name), &there.id, cname).await {
                    // One of them may have become busy since it was looked at: who is live is worth another look.
                    Err(_) if began.elapsed() < REFUSED_LIMIT => {
                        pause(site.pace.interval(began.elapsed())).await;
                        continue;
                    }
                    swapped => swapped?,
                }
                site.swapped.set(Some(Instant::now()));
                Ok(())
            }
            _ => Err(Fault::new(format!("{cname} is held by neither of the two environments of this run"))
                .cause("somebody else has swapped since")),
        };
    }
}

async fn remove_application(site: &Beanstalk, application: &str) -> Result<(), Fault> {
    let known = again(None, "DescribeApplications", async || site.api.applications_described().await).await?;
    // One that another made under the name is not ours to undo.
    if !known.iter().any(|(name, words)| name == application && site.made_application(words)) {
        return Ok(());
    }
    let ask = async || site.api.environments(Some(application), &[]).await;
    let standing = again(None, "DescribeEnvironments", ask).await?;
    let standing: Vec<String> =
        standing.into_iter().filter(|e| e.status != Status::Terminated).map(|e| e.name).collect();
    if !standing.is_empty() {
        return Err(Fault::new(format!("application {application} still has environments: {}", standing.join(", "))));
    }
    let ask = async || site.api.count_versions(Some(application)).await;
    let versions = again(None, "DescribeApplicationVersions", ask).await?;
    if versions > 1 {
        return Err(Fault::new(format!("application {application} has {versions} versions, and this run made one")));
    }
    again(None, "DeleteApplication", async || {
        site.hold().await?;
        let answer = site.api.beanstalk.delete_application().application_name(application).send().await;
        gone_is_fine(answer.map(drop).map_err(|e| refused("DeleteApplication", e)))
    })
    .await
}

pub(super) fn gone_is_fine(answer: Result<(), ApiError>) -> Result<(), ApiError> {
    match answer {
        Err(error) if is_gone(&error) => Ok(()),
        answer => answer,
    }
}

pub(super) fn is_gone(error: &ApiError) -> bool {
    [
        "No Environment found",
        "No Application named",
        "No Configuration Template named",
        "No Application Version named",
        "does not exist",
    ]
    .iter()
    .any(|text| error.says(text))
}

impl Beanstalk {
    pub(super) async fn delete_template(&self, name: &str) -> Result<(), ApiError> {
        let request = self.api.beanstalk.delete_configuration_template().application_name(&self.plan.application);
        self.hold().await?;
        let answer = request.template_name(name).send().await;
        gone_is_fine(answer.map(drop).map_err(|e| refused("DeleteConfigurationTemplate", e)))
    }

    /// Terminates an environment and waits until it is gone, unless it holds `live_cname` by now.
    pub(super) async fn end(
        &self,
        told: Told<'_>,
        environment: &Environment,
        live_cname: Option<&str>,
        receipt: &Receipt,
    ) -> Result<(), Fault> {
        let (id, name) = (&environment.id, &environment.name);
        let began = Instant::now();
        let (request_id, anchor) = loop {
            let Some(now) = self.look(told, id).await? else { return Ok(()) };
            if now.status == Status::Terminated {
                return Ok(());
            }
            if live_cname.is_some_and(|live| now.cname == live) {
                return Err(Fault::new(format!("environment {name} holds {}: it is live and stays", now.cname)));
            }
            let before = again(told, "DescribeEvents", async || self.api.newest_events(id).await).await?;
            let anchor = Anchor::after(&before);
            if now.status == Status::Terminating {
                break (None, anchor);
            }
            let request = self.api.beanstalk.terminate_environment().environment_id(id);
            self.hold().await.map_err(ApiError::into_fault)?;
            match request.send().await.map_err(|e| refused("TerminateEnvironment", e)) {
                Ok(answer) => break (answer.request_id().map(str::to_owned), anchor),
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) if (error.is_busy() || error.passing) && began.elapsed() < BUSY_LIMIT => {
                    pause(self.pace.interval(began.elapsed())).await;
                }
                Err(error) => {
                    return Err(while_doing(format!("could not terminate environment {name}"), error.into_fault()));
                }
            }
        };
        receipt.taken();
        let operation = Operation {
            kind: Kind::Terminate,
            environment_id: id.clone(),
            environment: name.clone(),
            request_id,
            anchor,
        };
        wait::conclude(&self.watcher, told, &operation, &self.demand(), END_LIMIT).await.map(drop)
    }
}
