//! Logins by user and password: from the inputs, or from docker's configuration.

use crate::docker::Login;
use crate::fault::Fault;
use crate::inputs::RegistryPlan;
use crate::inputs::docker_config::{DockerConfig, Entry};

/// What is known of a login for a host.
pub(super) enum Found {
    /// The inputs have it.
    Input(Login),
    /// Docker's configuration has it.
    Config(Login),
    /// Docker's configuration says where it is, which is nowhere that we can look.
    Elsewhere(Fault),
    /// Nothing.
    Nothing,
}

impl Found {
    /// The login; nobody's, if there is none.
    pub(super) fn login(self) -> Result<Option<Login>, Fault> {
        match self {
            Found::Input(login) | Found::Config(login) => Ok(Some(login)),
            Found::Elsewhere(fault) => Err(fault),
            Found::Nothing => Ok(None),
        }
    }
}

/// Looks for a login for `host`.
///
/// # Errors
/// When docker's configuration cannot be read.
pub(super) fn find(host: &str, plan: &RegistryPlan) -> Result<Found, Fault> {
    let login = |username: &String, password| Login { host: host.to_owned(), username: username.clone(), password };
    if let Some((username, password)) = &plan.login {
        return Ok(Found::Input(login(username, password.clone())));
    }
    let Some(config) = &plan.docker_config else { return Ok(Found::Nothing) };
    let config = DockerConfig::parse(config.reveal())
        .map_err(|wrong| Fault::new("could not read docker's configuration").cause(format!("it {wrong}")))?;
    let elsewhere = |cause: String| {
        Found::Elsewhere(
            Fault::new(format!("could not log in to {host}"))
                .cause(cause)
                .hint("set registry_username and registry_password, or DOCKER_AUTH_CONFIG with a login in `auths`"),
        )
    };
    Ok(match config.entry(host) {
        Entry::Login(username, password) => Found::Config(login(&username, password)),
        Entry::IdentityToken => {
            elsewhere("docker's configuration holds an identity token for it, which is not supported".to_owned())
        }
        Entry::Program(program) => elsewhere(format!(
            "docker's configuration leaves the login to docker-credential-{program}, a program that does not run here"
        )),
        Entry::Absent => Found::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Secret;

    fn plan(login: Option<&str>, config: Option<&str>) -> RegistryPlan {
        RegistryPlan {
            login: login.map(|user| (user.to_owned(), Secret::new("obvious-fake"))),
            docker_config: config.map(Secret::new),
            create_repository: false,
        }
    }

    #[test]
    fn inputs_win_over_dockers_configuration() {
        let config = r#"{"auths":{"quay.io":{"username":"config","password":"obvious-fake"}}}"#;
        let user = |plan: &RegistryPlan| {
            find("quay.io", plan).and_then(Found::login).ok().flatten().map(|login| login.username)
        };
        assert_eq!(user(&plan(Some("input"), Some(config))).as_deref(), Some("input"));
        assert_eq!(user(&plan(None, Some(config))).as_deref(), Some("config"));
        assert_eq!(user(&plan(None, None)), None);
    }

    #[test]
    fn a_login_that_a_program_keeps_is_a_clear_fault() {
        let plan = plan(None, Some(r#"{"auths":{"quay.io":{}},"credsStore":"desktop"}"#));
        let fault = find("quay.io", &plan).and_then(Found::login).err().map(|fault| fault.to_string());
        assert!(fault.is_some_and(|fault| fault.contains("docker-credential-desktop")));
    }
}
