//! The questions that are asked before anything is changed.

mod blue_green;
mod busy;
mod first;
mod in_place;
mod pair;
mod quotas;
mod version_only;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::{again, while_doing};
use super::platform::Environment;
use super::{Beanstalk, names};
use crate::engine::StageCx;
use crate::fault::Fault;
use crate::inputs::Strategy;

/// Who asks, and when.
struct Surveyor<'a> {
    cx: &'a StageCx,
    /// How long a busy live environment is waited for; absent in the check stage, which only looks.
    patience: Option<Duration>,
}

impl Surveyor<'_> {
    /// Says something, unless the check stage said it.
    fn note(&self, text: impl Into<String>) {
        if self.patience.is_none() {
            self.cx.note(text);
        }
    }

    fn warn(&self, text: impl Into<String>) {
        if self.patience.is_none() {
            self.cx.warn(text);
        }
    }
}

impl Beanstalk {
    /// Finds out what is there and whether a deployment can begin. Changes nothing.
    ///
    /// # Errors
    /// The first reason why it cannot.
    pub async fn survey(&self, cx: &StageCx) -> Result<Survey, Fault> {
        self.survey_by(&Surveyor { cx, patience: None }).await
    }

    /// The same for a run that has the site to itself by now: it waits that long for a live environment that is busy, and
    /// does not say again what the check stage said.
    pub(super) async fn survey_within(&self, cx: &StageCx, patience: Duration) -> Result<Survey, Fault> {
        self.survey_by(&Surveyor { cx, patience: Some(patience) }).await
    }

    async fn survey_by(&self, by: &Surveyor<'_>) -> Result<Survey, Fault> {
        let plan = &self.plan;
        if !self.label_is_open() {
            names::legal_label(self.label()).map_err(Fault::new)?;
        }
        if self.region.is_empty() {
            return Err(Fault::new("no AWS region is known").hint("set aws_region, or AWS_REGION"));
        }
        let environments = self.all_environments(by).await?;
        let application_exists = self.survey_application(by).await?;
        if application_exists {
            self.survey_version(by).await?;
        }
        let survey = match plan.strategy {
            Strategy::BlueGreen => self.survey_blue_green(by, &environments, application_exists).await?,
            Strategy::Pair => self.survey_pair(by, &environments, application_exists).await?,
            Strategy::InPlace => self.survey_in_place(by, &environments, application_exists).await?,
            Strategy::VersionOnly => self.survey_version_only(by, &environments, application_exists)?,
        };
        self.survey_quotas(by, &environments).await?;
        Ok(survey)
    }

    /// The environments of the whole region, as often as they are wanted anew.
    async fn all_environments(&self, by: &Surveyor<'_>) -> Result<Vec<Environment>, Fault> {
        let ask = async || self.api.environments(None, &[]).await;
        let environments = again(Some(by.cx), "DescribeEnvironments", ask).await;
        environments
            .map_err(|fault| while_doing(format!("could not ask Elastic Beanstalk in region {}", self.region), fault))
    }

    async fn survey_application(&self, by: &Surveyor<'_>) -> Result<bool, Fault> {
        let name = &self.plan.application;
        let known = again(Some(by.cx), "DescribeApplications", async || self.api.applications().await).await?;
        if known.contains(name) {
            return Ok(true);
        }
        if self.plan.create {
            by.note(format!("application {name} is not there and will be made"));
            return Ok(false);
        }
        let fault = Fault::new(format!("there is no application {name} in region {}", self.region));
        let fault = match known.is_empty() {
            true => fault.cause("there are no applications that these credentials may see"),
            false => fault.cause(format!("there are: {}", known.join(", "))),
        };
        Err(fault.hint("correct application or aws_region; or set create=true to make it with its first environment"))
    }

    /// Whether the label is taken is not the end: the same image may have it. That is compared once the image is known.
    async fn survey_version(&self, by: &Surveyor<'_>) -> Result<(), Fault> {
        let (application, label) = (&self.plan.application, self.label());
        if self.label_is_open() {
            return Ok(());
        }
        let ask = async || self.api.version(application, label).await;
        if let Some(version) = again(Some(by.cx), "DescribeApplicationVersions", ask).await? {
            let (bucket, key) = (version.bucket, version.key);
            by.note(format!("version {label} is there already (s3://{bucket}/{key}); it must name the same image"));
        }
        Ok(())
    }
}

/// What is there before anything is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The region.
    pub region: String,
    /// Whether the application is there.
    pub application_exists: bool,
    /// The environment that holds the live CNAME, or that is updated in place; `None` when the first is to be made.
    pub live: Option<Live>,
    /// The live CNAME's prefix.
    pub live_prefix: String,
    /// The live CNAME; empty where there is none to be: a worker has no address.
    pub live_cname: String,
    /// The name that the candidate is given, if nobody else takes it meanwhile.
    pub candidate_name: String,
    /// The platform of a first environment.
    pub solution_stack: Option<String>,
    /// Which of the candidate's possible names it is.
    pub(super) attempt: u32,
    /// The standing environment that is given the version: live itself in place, the idle one of a pair. `None` when
    /// an environment is made for it.
    #[serde(default)]
    pub update: Option<Live>,
    /// The processor architectures of its instances, as images name them; empty when that does not matter.
    #[serde(default)]
    pub(super) architectures: Vec<String>,
}

/// The live environment, or one that may become it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Its id.
    pub environment_id: String,
    /// Its name.
    pub name: String,
    /// The version that it runs.
    pub version_label: String,
    /// Its CNAME at the time of the survey.
    pub cname: String,
}

impl Survey {
    /// The name of the site's journal: the live CNAME, which strategies share, or the name of a worker.
    pub fn site_name(&self) -> &str {
        match &self.live {
            Some(live) if self.live_cname.is_empty() => &live.name,
            _ => &self.live_cname,
        }
    }

    /// Whether live itself is given the version.
    pub fn is_in_place(&self) -> bool {
        self.update.is_some() && self.update == self.live
    }
}

impl Live {
    /// What is remembered of an environment.
    pub(super) fn of(environment: &Environment) -> Self {
        Self {
            environment_id: environment.id.clone(),
            name: environment.name.clone(),
            version_label: environment.version_label.clone(),
            cname: environment.cname.clone(),
        }
    }
}
