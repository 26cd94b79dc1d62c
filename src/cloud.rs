//! Where the APIs are: Amazon's, or the embedded cloud's. After this file the clients cannot tell the difference.

pub mod code;
mod listening;
mod role;

use std::rc::Rc;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls;

use crate::clock::Clock;
use crate::fault::Fault;
use crate::inputs::AwsPlan;
use crate::local::LocalCloud;
use crate::local::container::CNAME_SUFFIX;
use crate::local::journal::JournalFile;
use crate::probe::client::Standpoint;
use crate::targets::beanstalk::Journals;
pub use listening::keeping_time;

/// A cloud and how to reach it.
pub struct Cloud {
    sdk: Option<SdkConfig>,
    path_style: bool,
    local: Option<LocalCloud>,
    clock: Clock,
}

impl Cloud {
    /// No cloud: for runs that only build and test.
    pub fn none() -> Self {
        Self { sdk: None, path_style: false, local: None, clock: Clock::new() }
    }

    /// Amazon's APIs, with the ambient credentials; the SDK reads its own variables and files. `own_endpoint` says that
    /// another endpoint was configured, which cannot be expected to have a host name for every bucket.
    ///
    /// # Errors
    /// A role was asked for and is not given.
    pub async fn aws(plan: &AwsPlan, own_endpoint: bool) -> Result<Self, Fault> {
        // What fetches credentials is given the plain client: some of it asks this machine, whose time is no news.
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
        if let Some(region) = &plan.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let clock = Clock::new();
        let sdk = keeping_time(loader.load().await, &clock);
        let sdk = match &plan.role {
            Some(role) => role::assume(sdk, role).await?,
            None => sdk,
        };
        Ok(Self { sdk: Some(sdk), path_style: own_endpoint, local: None, clock })
    }

    /// The embedded cloud.
    pub async fn local(local: LocalCloud) -> Self {
        let credentials = aws_sdk_sts::config::Credentials::new("local", "local", None, None, "the local cloud");
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .endpoint_url(&local.endpoint)
            .region(Region::new(local.region.clone()))
            .credentials_provider(credentials)
            .load()
            .await;
        let clock = Clock::new();
        let sdk = keeping_time(sdk, &clock);
        Self { sdk: Some(sdk), path_style: true, local: Some(local), clock }
    }

    /// What time it is there; all clients of this cloud hear it and sign by it.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The SDK's configuration, unless the run needs none.
    pub fn sdk(&self) -> Option<&SdkConfig> {
        self.sdk.as_ref()
    }

    /// Whether buckets are named in the path instead of the host.
    pub fn path_style(&self) -> bool {
        self.path_style
    }

    /// The embedded cloud, if it is that.
    pub fn embedded(&self) -> Option<&LocalCloud> {
        self.local.as_ref()
    }

    /// From where environments are reached by their names.
    pub fn standpoint(&self) -> Standpoint {
        match &self.local {
            Some(local) => Standpoint { network: Some(local.network.clone()), dns: Some(local.dns) },
            None => Standpoint::default(),
        }
    }

    /// Where journals are, when they are not in S3: beside the embedded cloud's state.
    pub fn journals(&self) -> Option<Journals> {
        let directory = self.local.as_ref()?.directory.clone();
        Some(Rc::new(move |application, live_cname| Arc::new(JournalFile::new(&directory, application, live_cname))))
    }

    /// The URL that a person opens for a CNAME.
    pub fn urls(&self) -> Rc<dyn Fn(&str) -> String> {
        match self.local.as_ref().map(|local| local.public_port) {
            Some(port) => Rc::new(move |cname| {
                let prefix = cname.strip_suffix(CNAME_SUFFIX).unwrap_or(cname);
                format!("http://{prefix}.localhost:{port}/")
            }),
            None => Rc::new(|cname| format!("http://{cname}/")),
        }
    }
}

fn http_client() -> aws_sdk_sts::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}
