//! A version that no environment is told of.

use super::super::names::is_cname;
use super::super::platform::Environment;
use super::super::{Beanstalk, live};
use super::{Live, Survey, Surveyor};
use crate::fault::Fault;

impl Beanstalk {
    /// An environment is looked for only when one is given: a slip in its name is told now and not by whoever deploys.
    pub(super) fn survey_version_only(
        &self,
        by: &Surveyor<'_>,
        environments: &[Environment],
        application_exists: bool,
    ) -> Result<Survey, Fault> {
        let (application, wanted) = (&self.plan.application, self.plan.live.as_str());
        let is_meant = |e: &&Environment| {
            e.application == *application
                && !e.status.is_ending()
                && (e.name == wanted || is_cname(&e.cname, wanted, &self.region))
        };
        let found = match environments.iter().find(is_meant) {
            None if !wanted.is_empty() => return Err(live::missing(environments, application, wanted)),
            found => found,
        };
        if let Some(found) = found {
            by.note(format!("{} runs version {}, and is not told of the new one", found.name, found.version_label));
        }
        Ok(Survey {
            region: self.region.clone(),
            application_exists,
            live: found.map(Live::of),
            live_prefix: String::new(),
            live_cname: found.map(|found| found.cname.clone()).unwrap_or_default(),
            candidate_name: String::new(),
            solution_stack: None,
            attempt: 1,
            update: None,
            architectures: Vec::new(),
        })
    }
}
