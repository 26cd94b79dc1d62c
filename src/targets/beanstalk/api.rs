//! The clients, and the calls that only read. Each is sent once; [`super::call::again`] repeats.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_elasticbeanstalk::types::{
    ApplicationVersionDescription, ConfigurationDeploymentStatus as Deployment, ConfigurationOptionSetting,
    ConfigurationSettingsDescription, EnvironmentInfoDescription, EnvironmentInfoType, InstancesHealthAttribute,
};
use aws_sdk_s3::config::RequestChecksumCalculation;

use super::call::{ApiError, refused};
use super::events::Reader;
use super::platform::{Environment, Instance, PlatformEvent};

/// Pages followed in one reading; a thousand events each.
const MOST_PAGES: usize = 20;

/// How long one attempt of a call may take.
const ATTEMPT: Duration = Duration::from_secs(30);

/// How long one attempt to send a bundle may take.
const UPLOAD: Duration = Duration::from_secs(120);

/// Both clients of one account and region. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    /// Elastic Beanstalk.
    pub beanstalk: aws_sdk_elasticbeanstalk::Client,
    /// Where bundles are.
    pub s3: aws_sdk_s3::Client,
}

/// An application version that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its label.
    pub label: String,
    /// Where its bundle is.
    pub bucket: String,
    /// The bundle's key.
    pub key: String,
    /// What was written about it.
    pub description: String,
    /// `UNPROCESSED`, `PROCESSED`, `FAILED`, …
    pub status: String,
    /// When it was made, in Unix milliseconds.
    pub created: i64,
}

impl Version {
    fn read(wire: &ApplicationVersionDescription) -> Self {
        let (bundle, text) = (wire.source_bundle(), |field: Option<&str>| field.unwrap_or_default().to_owned());
        Self {
            label: text(wire.version_label()),
            bucket: text(bundle.and_then(|bundle| bundle.s3_bucket())),
            key: text(bundle.and_then(|bundle| bundle.s3_key())),
            description: text(wire.description()),
            status: text(wire.status().map(|status| status.as_str())),
            created: wire.date_created().and_then(|time| time.to_millis().ok()).unwrap_or_default(),
        }
    }
}

impl Api {
    /// Clients without a retry of their own. `path_style` for object stores that have no name per bucket.
    pub fn new(sdk: &SdkConfig, path_style: bool) -> Self {
        let time = |attempt| {
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(10)).operation_attempt_timeout(attempt).build()
        };
        let beanstalk = aws_sdk_elasticbeanstalk::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(time(ATTEMPT))
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(time(UPLOAD))
            .force_path_style(path_style)
            // The body is signed by its hash already; trailers are more than some object stores understand.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Self {
            beanstalk: aws_sdk_elasticbeanstalk::Client::from_conf(beanstalk),
            s3: aws_sdk_s3::Client::from_conf(s3),
        }
    }

    /// Environments, of one application or of all, by id or all of them. Without ids the terminated are left out by the
    /// platform after an hour or so, not at once.
    pub async fn environments(&self, application: Option<&str>, ids: &[String]) -> Result<Vec<Environment>, ApiError> {
        let mut found = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let ids = (!ids.is_empty()).then(|| ids.to_vec());
            let request = self.beanstalk.describe_environments().include_deleted(false);
            let request = request.set_application_name(application.map(str::to_owned)).set_environment_ids(ids);
            let page = request.set_next_token(token).send().await.map_err(|e| refused("DescribeEnvironments", e))?;
            found.extend(page.environments().iter().map(Environment::read));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// One environment by its id.
    pub async fn environment(&self, id: &str) -> Result<Option<Environment>, ApiError> {
        let found = self.environments(None, &[id.to_owned()]).await?;
        Ok(found.into_iter().find(|environment| environment.id == id))
    }

    /// The events that `reader` has not seen, oldest first.
    pub async fn events(&self, environment_id: &str, reader: &mut Reader) -> Result<Vec<PlatformEvent>, ApiError> {
        let mut newest_first = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = self.beanstalk.describe_events().environment_id(environment_id).max_records(1000);
            let request = request.set_start_time(reader.start().map(|start| start.wire())).set_next_token(token);
            let page = request.send().await.map_err(|e| refused("DescribeEvents", e))?;
            newest_first.extend(page.events().iter().map(PlatformEvent::read));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(reader.take(newest_first))
    }

    /// The newest events of an environment, newest first, at most a hundred.
    pub async fn newest_events(&self, environment_id: &str) -> Result<Vec<PlatformEvent>, ApiError> {
        let request = self.beanstalk.describe_events().environment_id(environment_id).max_records(100);
        let page = request.send().await.map_err(|e| refused("DescribeEvents", e))?;
        Ok(page.events().iter().map(PlatformEvent::read).collect())
    }

    /// The instances of an environment with enhanced health; `None` with basic health.
    pub async fn instances(&self, environment_id: &str) -> Result<Option<Vec<Instance>>, ApiError> {
        let mut found = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = self.beanstalk.describe_instances_health().environment_id(environment_id);
            let request = request.attribute_names(InstancesHealthAttribute::All).set_next_token(token);
            let page = match request.send().await.map_err(|e| refused("DescribeInstancesHealth", e)) {
                Err(error) if error.code.starts_with("InvalidRequest") => return Ok(None),
                answer => answer?,
            };
            found.extend(page.instance_health_list().iter().map(Instance::read));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(Some(found))
    }

    /// The version with this label.
    pub async fn version(&self, application: &str, label: &str) -> Result<Option<Version>, ApiError> {
        let request = self.beanstalk.describe_application_versions().application_name(application);
        let answer =
            request.version_labels(label).send().await.map_err(|e| refused("DescribeApplicationVersions", e))?;
        let found = answer.application_versions().iter().find(|version| version.version_label() == Some(label));
        Ok(found.map(Version::read))
    }

    /// All versions of an application, newest first.
    pub async fn versions(&self, application: &str) -> Result<Vec<Version>, ApiError> {
        let mut found: Vec<Version> = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = self.beanstalk.describe_application_versions().application_name(application);
            let request = request.max_records(1000).set_next_token(token);
            let page = request.send().await.map_err(|e| refused("DescribeApplicationVersions", e))?;
            found.extend(page.application_versions().iter().map(Version::read));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        found.sort_by_key(|version| std::cmp::Reverse(version.created));
        Ok(found)
    }

    /// The applications that have a version with this label.
    pub async fn applications_with(&self, label: &str) -> Result<Vec<String>, ApiError> {
        let request = self.beanstalk.describe_application_versions().version_labels(label);
        let answer = request.send().await.map_err(|e| refused("DescribeApplicationVersions", e))?;
        let versions = answer.application_versions().iter().filter(|version| version.version_label() == Some(label));
        Ok(versions.filter_map(|version| version.application_name().map(str::to_owned)).collect())
    }

    /// What the platform said about a version, newest first.
    pub async fn events_of_version(&self, application: &str, label: &str) -> Result<Vec<PlatformEvent>, ApiError> {
        let request = self.beanstalk.describe_events().application_name(application).version_label(label);
        let page = request.max_records(100).send().await.map_err(|e| refused("DescribeEvents", e))?;
        Ok(page.events().iter().map(PlatformEvent::read).collect())
    }

    /// Whether an object is in its bucket.
    pub async fn has_object(&self, bucket: &str, key: &str) -> Result<bool, ApiError> {
        let answer = self.s3.head_object().bucket(bucket).key(key).send().await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
            Err(error) => Err(refused("HeadObject", error)),
        }
    }

    /// How many versions an application has, or all applications together; counts up to a thousand.
    pub async fn count_versions(&self, application: Option<&str>) -> Result<usize, ApiError> {
        let request = self.beanstalk.describe_application_versions().max_records(1000);
        let answer = request.set_application_name(application.map(str::to_owned)).send().await;
        Ok(answer.map_err(|e| refused("DescribeApplicationVersions", e))?.application_versions().len())
    }

    /// The names of all applications.
    pub async fn applications(&self) -> Result<Vec<String>, ApiError> {
        Ok(self.applications_described().await?.into_iter().map(|(name, _)| name).collect())
    }

    /// The applications with what somebody wrote about them.
    pub async fn applications_described(&self) -> Result<Vec<(String, String)>, ApiError> {
        let answer = self.beanstalk.describe_applications().send().await;
        let answer = answer.map_err(|e| refused("DescribeApplications", e))?;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok(answer.applications().iter().map(|a| (text(a.application_name()), text(a.description()))).collect())
    }

    /// Whether a CNAME prefix is free, and the whole name it would give.
    pub async fn dns(&self, prefix: &str) -> Result<(bool, String), ApiError> {
        let answer = self.beanstalk.check_dns_availability().cname_prefix(prefix).send().await;
        let answer = answer.map_err(|e| refused("CheckDNSAvailability", e))?;
        let cname = answer.fully_qualified_cname().unwrap_or_default().to_ascii_lowercase();
        Ok((answer.available().unwrap_or_default(), cname))
    }

    /// An environment's settings, as they are deployed: those of an update that is under way or has failed are listed
    /// beside them.
    pub async fn settings(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Vec<ConfigurationOptionSetting>, ApiError> {
        let request = self.beanstalk.describe_configuration_settings().application_name(application);
        let answer = request.environment_name(environment).send().await;
        let answer = answer.map_err(|e| refused("DescribeConfigurationSettings", e))?;
        let is_deployed = |set: &&ConfigurationSettingsDescription| {
            !matches!(set.deployment_status(), Some(Deployment::Pending | Deployment::Failed))
        };
        let deployed = answer.configuration_settings().iter().filter(is_deployed);
        Ok(deployed.flat_map(|set| set.option_settings().to_vec()).collect())
    }

    /// The settings in a configuration template.
    pub async fn saved_settings(
        &self,
        application: &str,
        template: &str,
    ) -> Result<Vec<ConfigurationOptionSetting>, ApiError> {
        let request = self.beanstalk.describe_configuration_settings().application_name(application);
        let answer = request.template_name(template).send().await;
        let answer = answer.map_err(|e| refused("DescribeConfigurationSettings", e))?;
        Ok(answer.configuration_settings().iter().flat_map(|set| set.option_settings().to_vec()).collect())
    }

    /// How many instances an environment has now.
    pub async fn fleet(&self, environment_id: &str) -> Result<usize, ApiError> {
        if let Some(instances) = self.instances(environment_id).await? {
            return Ok(instances.len());
        }
        let answer = self.beanstalk.describe_environment_resources().environment_id(environment_id).send().await;
        let answer = answer.map_err(|e| refused("DescribeEnvironmentResources", e))?;
        Ok(answer.environment_resources().map_or(0, |resources| resources.instances().len()))
    }

    /// The names of all platforms on offer.
    pub async fn solution_stacks(&self) -> Result<Vec<String>, ApiError> {
        let answer = self.beanstalk.list_available_solution_stacks().send().await;
        Ok(answer.map_err(|e| refused("ListAvailableSolutionStacks", e))?.solution_stacks().to_vec())
    }

    /// A resource's tags.
    pub async fn tags(&self, arn: &str) -> Result<Vec<(String, String)>, ApiError> {
        let answer = self.beanstalk.list_tags_for_resource().resource_arn(arn).send().await;
        let answer = answer.map_err(|e| refused("ListTagsForResource", e))?;
        let pair = |tag: &aws_sdk_elasticbeanstalk::types::Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
        Ok(answer.resource_tags().iter().filter_map(pair).collect())
    }

    /// Log samples that were asked for, of all times.
    pub async fn log_samples(&self, environment_id: &str) -> Result<Vec<EnvironmentInfoDescription>, ApiError> {
        let request = self.beanstalk.retrieve_environment_info().environment_id(environment_id);
        let answer = request.info_type(EnvironmentInfoType::Tail).send().await;
        Ok(answer.map_err(|e| refused("RetrieveEnvironmentInfo", e))?.environment_info().to_vec())
    }
}
