//! How the registry is reached, and who we are there.

use super::Secret;

/// How to log in to the registry.
#[derive(Clone, Debug, Default)]
pub struct RegistryPlan {
    /// User and password, if they are inputs.
    pub login: Option<(String, Secret)>,
    /// Docker's own configuration, as `DOCKER_AUTH_CONFIG` or the file holds it.
    pub docker_config: Option<Secret>,
    /// The job's own login at the CI vendor's registry, taken where there is no other.
    pub job: Option<JobLogin>,
    /// Whether a missing repository is made.
    pub create_repository: bool,
    /// The way there.
    pub proxies: ProxyPlan,
}

/// A login that a CI gives to each job, and that ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLogin {
    /// The registry's host.
    pub host: String,
    /// User name.
    pub username: String,
    /// The job's token.
    pub password: Secret,
}

/// Proxies, by the variables that most programs take them from.
#[derive(Clone, Debug, Default)]
pub struct ProxyPlan {
    /// The proxy for what is encrypted: `HTTPS_PROXY`, else `ALL_PROXY`, in either case of letters. It may hold a password.
    pub https: Option<Secret>,
    /// Hosts that are reached without one: `NO_PROXY`.
    pub except: Option<String>,
}
