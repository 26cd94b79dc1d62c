//! Logins by user and password: from the inputs, from docker's configuration, from the CI.

use super::program::{self, Kept};
use crate::docker::Login;
use crate::fault::Fault;
use crate::inputs::docker_config::{DockerConfig, Entry};
use crate::inputs::{RegistryPlan, Secret};

/// A login, and what is known of its life.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) login: Login,
    /// Whether it can be asked for anew: a program gives it.
    pub(super) is_renewable: bool,
    /// Whether it ends too soon for instances, which pull whenever they are launched.
    pub(super) is_short: bool,
}

impl Found {
    fn lasting(login: Login) -> Self {
        // Whoever gave them: Google's access tokens live for an hour, ECR's for twelve.
        let is_short = login.is_identity_token() || ["oauth2accesstoken", "AWS"].contains(&login.username.as_str());
        Self { login, is_renewable: false, is_short }
    }
}

/// The login of the inputs.
pub(super) fn input(host: &str, plan: &RegistryPlan) -> Option<Found> {
    let (username, password) = plan.login.as_ref()?;
    Some(Found::lasting(login(host, username, password)))
}

/// Looks for another login for `host`: in docker's configuration, then at the CI.
///
/// # Errors
/// When docker's configuration cannot be read, or leaves the login to a program that does not give it.
pub(super) async fn ambient(host: &str, plan: &RegistryPlan) -> Result<Option<Found>, Fault> {
    if let Some(found) = configured(host, plan).await? {
        return Ok(Some(found));
    }
    let job = plan.job.as_ref().filter(|job| job.host == host);
    let found = |login| Found { login, is_renewable: false, is_short: true };
    Ok(job.map(|job| found(login(host, &job.username, &job.password))))
}

async fn configured(host: &str, plan: &RegistryPlan) -> Result<Option<Found>, Fault> {
    let Some(config) = &plan.docker_config else { return Ok(None) };
    let config = DockerConfig::parse(config.reveal())
        .map_err(|wrong| Fault::new("could not read docker's configuration").cause(format!("it {wrong}")))?;
    let (name, server, is_listed) = match config.entry(host) {
        Entry::Login(username, password) => return Ok(Some(Found::lasting(login(host, &username, &password)))),
        Entry::IdentityToken(token) => {
            return Ok(Some(Found::lasting(login(host, Login::IDENTITY_TOKEN, &token))));
        }
        Entry::Program { name, server, is_listed } => (name, server, is_listed),
        Entry::Absent => return Ok(None),
    };
    match program::ask(&name, &server, host).await? {
        // Most of them give tokens of an hour or two.
        Kept::Login(login) => Ok(Some(Found { login, is_renewable: true, is_short: true })),
        Kept::Nothing => Ok(None),
        Kept::NoProgram if !is_listed => Ok(None),
        Kept::NoProgram => Err(Fault::new(format!("could not log in to {host}"))
            .cause(format!(
                "docker's configuration leaves the login to docker-credential-{name}, a program that is not here"
            ))
            .hint("set registry_username and registry_password, or DOCKER_AUTH_CONFIG with a login in `auths`")
            .hint("in a container no program of the machine around it can be run")),
    }
}

fn login(host: &str, username: &str, password: &Secret) -> Login {
    Login { host: host.to_owned(), username: username.to_owned(), password: password.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::JobLogin;

    fn plan(config: &str) -> RegistryPlan {
        let job = JobLogin { host: "ghcr.io".into(), username: "octo".into(), password: Secret::new("obvious-fake") };
        RegistryPlan { docker_config: Some(Secret::new(config)), job: Some(job), ..RegistryPlan::default() }
    }

    async fn user(host: &str, config: &str) -> Option<(String, bool)> {
        let found = ambient(host, &plan(config)).await.unwrap();
        found.map(|found| (found.login.username, found.is_short))
    }

    #[tokio::test]
    async fn dockers_configuration_wins_over_the_jobs_own_login() {
        let config = r#"{"auths":{"ghcr.io":{"username":"config","password":"obvious-fake"}}}"#;
        assert_eq!(user("ghcr.io", config).await, Some(("config".to_owned(), false)));
        assert_eq!(user("ghcr.io", "{}").await, Some(("octo".to_owned(), true)));
        assert_eq!(user("quay.io", config).await, None, "the job's token goes to its own registry alone");
        let token = r#"{"auths":{"shop.azurecr.io":{"identitytoken":"obvious-fake"}}}"#;
        assert_eq!(user("shop.azurecr.io", token).await, Some((Login::IDENTITY_TOKEN.to_owned(), true)));
        let amazon = r#"{"auths":{"public.ecr.aws":{"username":"AWS","password":"obvious-fake"}}}"#;
        assert_eq!(user("public.ecr.aws", amazon).await, Some(("AWS".to_owned(), true)));
        let google = r#"{"auths":{"gcr.io":{"username":"oauth2accesstoken","password":"obvious-fake"}}}"#;
        assert_eq!(user("gcr.io", google).await, Some(("oauth2accesstoken".to_owned(), true)));
    }

    #[tokio::test]
    async fn a_program_that_is_not_here_is_named_where_it_has_the_login() {
        let config = r#"{"auths":{"quay.io":{}},"credsStore":"not-here"}"#;
        let fault = ambient("quay.io", &plan(config)).await.unwrap_err();
        assert!(fault.to_string().contains("docker-credential-not-here"), "{fault}");
        assert!(fault.hints()[0].contains("registry_username"));
        assert_eq!(user("docker.io", config).await, None, "it may have none");
        let path = r#"{"credHelpers":{"quay.io":"x/../../tmp/evil"}}"#;
        assert!(ambient("quay.io", &plan(path)).await.is_err());
    }
}
