//! A small Elastic Beanstalk: its real API, and environments whose instances are containers.
//!
//! This directory decides and remembers; containers are run by `nodes`, which asks [`Beanstalk::due`] what is to be
//! done and reports back. States and texts are those that the documentation and published logs of the real service show;
//! the speed is a value.

mod applications;
pub mod bundle;
mod create;
mod deployment;
mod environments;
mod events;
pub mod faults;
mod health;
mod health_answers;
mod ids;
mod immutable;
mod logs;
mod managed;
pub mod model;
pub mod objects;
mod operations;
mod platforms;
mod policy;
mod processing;
mod rolling;
mod rollout;
mod scale;
mod settings;
mod swap;
mod tags;
mod templates;
mod terminate;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_calls;
#[cfg(test)]
mod tests_of_faults;
#[cfg(test)]
mod tests_of_policies;
mod update;
mod versions;
pub mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use chrono::{DateTime, Utc};
use http::Response;

use super::query::{self, Answer, ApiError, Form, text};
use super::state::{State, Store};
use super::{ACCOUNT, REGION};
use crate::fault::Fault;
use model::Reading;
use objects::Objects;
use work::{Outcome, Work};

const NAMESPACE: &str = "http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/";

/// How fast the local Beanstalk is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one step of an operation to the next; the real service takes between seconds and minutes.
    pub step: Duration,
    /// How long a terminated environment is still listed; people report twenty minutes to ninety of the real one.
    pub linger: Duration,
    /// From one question about an instance's health to the next.
    pub ask_every: Duration,
    /// How long a new container is watched for an early end before it counts as started.
    pub watch: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            step: Duration::from_millis(250),
            linger: Duration::from_secs(3600),
            ask_every: Duration::from_millis(500),
            watch: Duration::from_secs(3),
        }
    }
}

/// A request that is being answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    form: &'a Form,
    id: &'a str,
    now: DateTime<Utc>,
    pace: &'a Pace,
}

/// The Elastic Beanstalk of a world. Clones are the same Beanstalk.
#[derive(Clone)]
pub struct Beanstalk {
    store: Store,
    pace: Pace,
    objects: Arc<dyn Objects>,
}

/// Where requests to one CNAME go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The name that the CNAME points to.
    pub endpoint: String,
    /// `ip:port` of the healthy instances.
    pub backends: Vec<String>,
}

impl Beanstalk {
    /// A Beanstalk that remembers in `store` and finds bundles in `objects`. Operations that were under way when the
    /// store was last written go on.
    pub fn new(store: Store, pace: Pace, objects: Arc<dyn Objects>) -> Self {
        Self { store, pace, objects }
    }

    /// How fast it is.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Where bundles are, and where logs go.
    pub fn objects(&self) -> &dyn Objects {
        self.objects.as_ref()
    }

    /// Answers a request, given as its form body.
    pub async fn answer(&self, body: &str) -> Response<Body> {
        let form = Form::parse(body);
        let (id, now) = self.store.read(|state| (state.chance.uuid().to_string(), state.now()));
        let action = form.text("Action").unwrap_or_default();
        self.process(now);
        let answer = match self.remember(action, &id) {
            Ok(()) => {
                let ask = Ask { form: &form, id: &id, now, pace: &self.pace };
                self.act(action, &ask).await
            }
            Err(fault) => Err(ApiError::internal(fault.to_string())),
        };
        query::response(NAMESPACE, action, &id, &answer)
    }

    /// Remembers a call that changes something or tries to.
    ///
    /// # Errors
    /// A state that cannot be written down.
    pub(super) fn remember(&self, action: &str, id: &str) -> Result<(), Fault> {
        match is_ours(action) || is_reading(action) {
            true => Ok(()),
            false => self.store.change(|state| state.record(action, id)),
        }
    }

    async fn act(&self, action: &str, ask: &Ask<'_>) -> Answer {
        match action {
            "CreateApplication" => self.change(|state| applications::create(state, ask)),
            "DescribeApplications" => self.store.read(|state| applications::describe(state, ask)),
            "DeleteApplication" => self.change(|state| applications::delete(state, ask)),
            "CreateApplicationVersion" => self.create_version(ask).await,
            "DescribeApplicationVersions" => self.store.read(|state| versions::describe(state, ask)),
            "DeleteApplicationVersion" => self.delete_version(ask).await,
            "CreateStorageLocation" => self.create_storage_location().await,
            "CheckDNSAvailability" => self.store.read(|state| environments::check_dns(state, ask)),
            "ListAvailableSolutionStacks" => platforms::list_stacks(),
            "ListPlatformVersions" => platforms::list_versions(ask),
            "ListPlatformBranches" => platforms::list_branches(ask),
            "DescribePlatformVersion" => platforms::describe_version(ask),
            "DescribeAccountAttributes" => self.store.read(platforms::account_attributes),
            "CreateConfigurationTemplate" => self.change(|state| templates::create(state, ask)),
            "DeleteConfigurationTemplate" => self.change(|state| templates::delete(state, ask)),
            "DescribeConfigurationSettings" => self.store.read(|state| settings::describe(state, ask)),
            "CreateEnvironment" => self.change(|state| create::create(state, ask)),
            "UpdateEnvironment" => self.change(|state| update::update(state, ask)),
            "AbortEnvironmentUpdate" => self.change(|state| update::abort(state, ask)),
            "SwapEnvironmentCNAMEs" => self.change(|state| swap::swap(state, ask)),
            "TerminateEnvironment" => self.change(|state| terminate::terminate(state, ask)),
            "DescribeEnvironments" => self.store.read(|state| environments::describe(state, ask)),
            "DescribeEnvironmentResources" => self.store.read(|state| environments::resources(state, ask)),
            "DescribeEnvironmentManagedActions" => self.store.read(|state| managed::describe(state, ask)),
            "DescribeEvents" => self.store.read(|state| events::describe(state, ask)),
            "DescribeEnvironmentHealth" => self.store.read(|state| health_answers::environment(state, ask)),
            "DescribeInstancesHealth" => self.store.read(|state| health_answers::instances(state, ask)),
            "RequestEnvironmentInfo" => self.change(|state| logs::request(state, ask)),
            "RetrieveEnvironmentInfo" => self.store.read(|state| logs::retrieve(state, ask)),
            "ListTagsForResource" => self.change(|state| tags::list(state, ask)),
            "UpdateTagsForResource" => self.change(|state| tags::update(state, ask)),
            "BeanlineSetFault" => self.change(|state| faults::set(state, ask.form)),
            "BeanlineManagedUpdate" => self.change(|state| managed::start(state, ask)),
            "BeanlineScale" => self.change(|state| scale::scale(state, ask)),
            "BeanlineClearFaults" => self.change(faults::clear),
            "BeanlineListCalls" => self.store.read(list_calls),
            other => {
                let message = format!("The action {other} is not valid for this web service.");
                Err(ApiError::new("InvalidAction", message))
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Answer) -> Answer {
        self.store.change(change).unwrap_or_else(|fault| Err(ApiError::internal(fault.to_string())))
    }

    async fn create_version(&self, ask: &Ask<'_>) -> Answer {
        let (bucket, key) = versions::bundle(ask)?;
        let Ok(bytes) = self.objects.get(bucket, key).await else {
            let reason =
                format!("Unable to download from S3 location (Bucket: {bucket}  Key: {key}). Reason: Not Found");
            return Err(ApiError::invalid(reason));
        };
        let flaw = bundle::flaw(ask.form.text("VersionLabel").unwrap_or_default(), &bytes);
        self.change(|state| versions::create(state, ask, flaw))
    }

    /// Versions are processed by whoever looks: nobody sees one that should have come further.
    fn process(&self, now: DateTime<Utc>) {
        if self.store.read(|state| processing::is_due(state, now)) {
            let advanced = self.store.change(|state| processing::advance(state, self.pace.step, now));
            advanced.unwrap_or_else(|fault| tracing::warn!("local cloud: {fault}"));
        }
    }

    async fn delete_version(&self, ask: &Ask<'_>) -> Answer {
        let with_bundle = ask.form.flag("DeleteSourceBundle")?;
        let deleted = self.store.change(|state| versions::delete(state, ask));
        let deleted = deleted.unwrap_or_else(|fault| Err(ApiError::internal(fault.to_string())))?;
        if let Some(version) = deleted.filter(|_| with_bundle)
            && let Err(fault) = self.objects.delete(&version.bucket, &version.key).await
        {
            return Err(ApiError::new("SourceBundleDeletionFailure", fault.to_string()));
        }
        Ok(None)
    }

    async fn create_storage_location(&self) -> Answer {
        let bucket = bucket();
        let made = self.objects.make_bucket(&bucket).await;
        made.map_err(|fault| ApiError::internal(fault.to_string()))?;
        Ok(Some(vec![text("S3Bucket", bucket)]))
    }

    /// Advances every operation that is due, and returns the work on containers that is to be done now, each piece with
    /// the number of its operation.
    ///
    /// # Errors
    /// A state that cannot be written down.
    pub fn due(&self) -> Result<Vec<(u64, Work)>, Fault> {
        let now = self.store.read(State::now);
        if !self.store.read(|state| operations::is_due(state, now) || health::is_due(state, now)) {
            return Ok(Vec::new());
        }
        self.store.change(|state| {
            let work = operations::advance_all(state, &self.pace, now);
            health::refresh_all(state, now);
            work
        })
    }

    /// Takes the outcome of a piece of work; its operation goes on.
    ///
    /// # Errors
    /// A state that cannot be written down.
    pub fn finish(&self, operation: u64, outcome: Outcome) -> Result<(), Fault> {
        self.store.change(|state| operations::finish(state, &self.pace, operation, outcome))
    }

    /// The containers that should be asked how they are: container id, `ip:port`, path.
    pub fn questions(&self) -> Vec<(String, String, String)> {
        self.store.read(health::questions)
    }

    /// Takes answers, by container id.
    ///
    /// # Errors
    /// A state that cannot be written down.
    pub fn heard(&self, answers: &[(String, Reading)]) -> Result<(), Fault> {
        match self.store.read(|state| health::is_news(state, answers)) {
            true => self.store.change(|state| {
                let now = state.now();
                health::hear(state, answers, now);
            }),
            false => Ok(()),
        }
    }

    /// Where requests go, by CNAME, for all environments that have one.
    pub fn ways(&self) -> BTreeMap<String, Way> {
        self.store.read(environments::ways)
    }

    /// Those of `images` that no instance runs.
    pub fn unused(&self, images: &[String]) -> Vec<String> {
        self.store.read(|state| {
            let mut used = state.environments.iter().flat_map(|e| &e.instances).filter_map(|i| i.container.as_ref());
            let used: Vec<&str> = used.by_ref().map(|container| container.image.as_str()).collect();
            images.iter().filter(|image| !used.contains(&image.as_str())).cloned().collect()
        })
    }

    /// The calls that changed something or tried to, of all services, oldest first.
    pub fn calls(&self) -> Vec<super::state::Call> {
        self.store.read(|state| state.calls.clone())
    }

    /// Makes something go wrong; the same as the call `BeanlineSetFault`.
    ///
    /// # Errors
    /// A state that cannot be written down.
    pub fn set_fault(&self, fault: faults::SetFault) -> Result<(), Fault> {
        self.store.change(|state| state.faults.push(fault))
    }
}

/// The bucket that Beanstalk makes for itself.
pub fn bucket() -> String {
    format!("elasticbeanstalk-{REGION}-{ACCOUNT}")
}

/// Whether it is a call of the local cloud's own.
pub(super) fn is_ours(action: &str) -> bool {
    action.starts_with("Beanline")
}

/// Whether it changes nothing.
pub(super) fn is_reading(action: &str) -> bool {
    ["Describe", "List", "Check", "Retrieve", "Get", "Head", "BatchGet", "BatchCheck"]
        .iter()
        .any(|verb| action.starts_with(verb))
}

fn list_calls(state: &State) -> Answer {
    let call = |call: &super::state::Call| {
        let mut told = vec![
            query::time("Time", call.time),
            text("Service", &call.service),
            text("Action", &call.action),
            text("RequestId", &call.request_id),
        ];
        told.extend(call.resource.as_ref().map(|resource| text("Resource", resource)));
        told
    };
    Ok(Some(vec![query::members("Calls", state.calls.iter().map(call))]))
}
