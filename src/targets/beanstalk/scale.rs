//! A candidate that is as large as live is now: autoscaling may have made live larger than its settings say, and the
//! candidate takes all of its traffic at once. After the swap the smaller minimum is given back.

use std::time::Duration;

use aws_sdk_elasticbeanstalk::operation::RequestId;
use aws_sdk_elasticbeanstalk::types::ConfigurationOptionSetting;
use tokio::time::{Instant, timeout};

use super::call::{again, refused, while_doing};
use super::events::Anchor;
use super::operation::{Kind, Operation};
use super::platform::Status;
use super::settings::{ENVIRONMENT, GROUP, say, value};
use super::{Beanstalk, Live, Survey, settings, wait};
use crate::engine::StageCx;
use crate::engine::retry::pause;
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::inputs::{OptionSetting, Secret};

/// How long the size is being given back before the run ends without seeing it done.
const SHORTLY: Duration = Duration::from_secs(300);

/// The minimum size of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// What the settings say, and what it is given back to.
    pub min: u32,
    /// What it begins with.
    pub raised: u32,
}

/// What a candidate gets besides live's settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    /// Options that it has otherwise.
    pub settings: Vec<ConfigurationOptionSetting>,
    /// Its size, when that is not the settings'.
    pub size: Option<Size>,
}

impl Beanstalk {
    /// What a candidate has otherwise than live, which is told.
    pub(super) async fn overrides(&self, cx: &StageCx, live: &Live) -> Result<Overrides, Fault> {
        let current = self.settings_of(cx, &live.name).await?;
        settings::fit(&live.name, &current, &self.plan)?;
        let wanted = settings::wanted(&self.plan);
        let changes = settings::diff(&current, &wanted);
        if !changes.is_empty() {
            say(cx, &format!("the candidate, compared with {},", live.name), &changes);
        }
        let size = self.size(cx, live, &current).await;
        let changed = changes.iter().map(|change| settings::wire(&change.wanted));
        let is_size = |set: &ConfigurationOptionSetting| {
            size.is_some() && (set.namespace(), set.option_name()) == (Some(GROUP), Some("MinSize"))
        };
        let mut overrides: Vec<_> = changed.filter(|set| !is_size(set)).collect();
        overrides.extend(size.map(|size| settings::wire(&min_size(size.raised))));
        Ok(Overrides { settings: overrides, size })
    }

    /// The candidate's size, when live has more instances now than its settings make it begin with. Not to know it stops
    /// nothing: then the candidate grows as the settings say.
    async fn size(&self, cx: &StageCx, live: &Live, current: &[ConfigurationOptionSetting]) -> Option<Size> {
        let option = |namespace: &str, option: &str| {
            self.plan.option(namespace, option).or_else(|| value(current, namespace, option)).map(str::to_owned)
        };
        if option(ENVIRONMENT, "EnvironmentType").is_some_and(|kind| kind.eq_ignore_ascii_case("SingleInstance")) {
            return None;
        }
        let (min, max) = (option(GROUP, "MinSize")?.parse().ok()?, option(GROUP, "MaxSize")?.parse().ok()?);
        let count =
            match again(Some(cx), "DescribeInstancesHealth", async || self.api.fleet(&live.environment_id).await).await
            {
                Ok(count) => u32::try_from(count).unwrap_or(u32::MAX),
                Err(fault) => {
                    cx.warn(format!(
                        "{} may be larger than its settings say, but could not be counted: {fault}",
                        live.name
                    ));
                    return None;
                }
            };
        let raised = count.min(max);
        if raised <= min {
            return None;
        }
        cx.note(format!(
            "{} has {count} instances and MinSize {min}: the candidate begins with {raised}, and gets MinSize {min} \
             back when it is live",
            live.name
        ));
        Some(Size { min, raised })
    }

    /// What gives a candidate's minimum back.
    pub(super) fn give_back(&self, survey: &Survey, name: &str, size: Size) -> Undo {
        Undo::GiveSizeBack {
            environment: name.to_owned(),
            live_cname: survey.live_cname.clone(),
            raised: size.raised,
            min: size.min,
            region: self.region.clone(),
        }
    }

    /// Does what was put off until the deployment stands: sizes are given back, and templates deleted. What fails is
    /// left to the next run, by the journal.
    pub(super) async fn pay_what_is_owed(&self, cx: &StageCx) {
        let mut owed = self.left_over().await;
        // Without a journal nobody else knows of them.
        let template = match self.restoring.take() {
            Some(Undo::RestoreSettings { application, template, region, .. }) => {
                Some(Undo::RemoveTemplate { application, template, region })
            }
            _ => None,
        };
        for undo in self.raised.take().into_iter().chain(template) {
            if !owed.contains(&undo) {
                owed.push(undo);
            }
        }
        for undo in owed {
            match timeout(SHORTLY, self.perform(&undo, &Receipt::default())).await {
                Ok(Ok(())) => {
                    if matches!(undo, Undo::GiveSizeBack { .. }) {
                        cx.note(format!("done: {undo}"));
                    }
                    self.forget_left(&undo).await;
                }
                Ok(Err(fault)) => cx.warn(format!("could not {undo}: {fault}; do it with: {}", undo.command())),
                Err(_) => cx.note(format!("{undo}: under way")),
            }
        }
    }
}

fn min_size(size: u32) -> OptionSetting {
    let (namespace, option) = (GROUP.to_owned(), "MinSize".to_owned());
    OptionSetting { namespace, option, resource: None, value: Secret::open(size.to_string()) }
}

/// Gives an environment its minimum size back, when it is live and still has the one that a run gave it: another one
/// is somebody's wish, and what is not live goes away.
pub(super) async fn give_back(
    site: &Beanstalk,
    name: &str,
    live_cname: &str,
    size: Size,
    receipt: &Receipt,
) -> Result<(), Fault> {
    let began = Instant::now();
    loop {
        let named = again(None, "DescribeEnvironments", async || site.api.environments(None, &[]).await).await?;
        let found = named.into_iter().find(|e| e.name == name && e.cname == live_cname && !e.status.is_ending());
        let Some(live) = found else { return Ok(()) };
        if live.status == Status::Ready {
            let ask = async || site.api.settings(&live.application, name).await;
            let current = again(None, "DescribeConfigurationSettings", ask).await?;
            if value(&current, GROUP, "MinSize") != Some(size.raised.to_string().as_str()) {
                return Ok(());
            }
            let before = again(None, "DescribeEvents", async || site.api.newest_events(&live.id).await).await?;
            // Twice is once: the second finds it as wanted, or the environment busy with the first.
            let sent = again(None, "UpdateEnvironment", async || {
                site.hold().await?;
                let request = site.api.beanstalk.update_environment().environment_id(&live.id);
                let request = request.option_settings(settings::wire(&min_size(size.min)));
                match request.send().await.map_err(|e| refused("UpdateEnvironment", e)) {
                    Err(error) if error.is_busy() => Ok(None),
                    answer => answer.map(|answer| Some(answer.request_id().map(str::to_owned))),
                }
            });
            let sent =
                sent.await.map_err(|fault| while_doing(format!("could not change the size of {name}"), fault))?;
            if let Some(request_id) = sent {
                receipt.taken();
                let operation = Operation {
                    kind: Kind::Configure { label: live.version_label.clone() },
                    environment_id: live.id.clone(),
                    environment: name.to_owned(),
                    request_id,
                    anchor: Anchor::after(&before),
                };
                return wait::conclude(&site.watcher, None, &operation, &site.demand(), SHORTLY).await.map(drop);
            }
        }
        if began.elapsed() >= SHORTLY {
            return Err(Fault::timed_out(format!("environment {name} is still {}", live.status)));
        }
        pause(site.pace.interval(began.elapsed())).await;
    }
}
