//! Docker's own configuration: which login it holds for a registry.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::Secret;
use crate::image::Repository;

/// The parts of `config.json` that are about logins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfig {
    // Tools write null where they have nothing.
    #[serde(default)]
    auths: Option<BTreeMap<String, Auth>>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

/// What the configuration holds for a registry.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// A user and a password.
    Login(String, Secret),
    /// A token of the kind that `docker login` gets from some registries.
    IdentityToken(Secret),
    /// A program on the machine that wrote the configuration keeps the login.
    Program {
        /// Its name behind `docker-credential-`.
        name: String,
        /// What it is asked for.
        server: String,
        /// Whether the configuration says that it has a login for this registry; else it is asked for every one.
        is_listed: bool,
    },
    /// Nothing.
    Absent,
}

/// The name under which docker keeps Docker Hub's login.
const DOCKER_HUB_LOGIN: &str = "https://index.docker.io/v1/";

impl DockerConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What kind of thing is wrong and on which line; the text itself is never shown.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            let kind = if error.is_data() { "is JSON of another shape" } else { "is no JSON" };
            format!("{kind} (line {})", error.line())
        })
    }

    /// What it holds for the registry `host`.
    pub fn entry(&self, host: &str) -> Entry {
        let host = plain_host(host);
        let program = |name: &String, server: &str, is_listed| Entry::Program {
            name: name.clone(),
            server: server.to_owned(),
            is_listed,
        };
        if let Some((key, name)) = self.cred_helpers.iter().flatten().find(|(key, _)| plain_host(key) == host) {
            return program(name, key, true);
        }
        let auth = self.auths.iter().flatten().find(|(key, _)| plain_host(key) == host).map(|(_, auth)| auth);
        if let Some((username, password)) = auth.and_then(Auth::login) {
            return Entry::Login(username, Secret::new(password));
        }
        match (auth, &self.creds_store) {
            (Some(auth), _) if !auth.identitytoken.is_empty() => {
                Entry::IdentityToken(Secret::new(auth.identitytoken.as_str()))
            }
            // With a store, docker leaves an empty entry for each registry that it is logged in to; not all do.
            (auth, Some(name)) if !name.is_empty() => {
                let server = if host == Repository::DOCKER_HUB { DOCKER_HUB_LOGIN } else { &host };
                program(name, server, auth.is_some())
            }
            _ => Entry::Absent,
        }
    }

    /// Every text in it that must not be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        let texts = self.auths.iter().flatten().flat_map(|(_, auth)| {
            let password = auth.login().map(|(_, password)| password);
            password.into_iter().chain([auth.auth.clone(), auth.identitytoken.clone()])
        });
        texts.filter(|text| !text.is_empty()).map(Secret::new).collect()
    }
}

impl Auth {
    fn login(&self) -> Option<(String, String)> {
        if !self.username.is_empty() && !self.password.is_empty() {
            return Some((self.username.clone(), self.password.clone()));
        }
        let text = self.auth.trim();
        let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (username, password) = text.trim_end_matches('\0').split_once(':')?;
        (!username.is_empty() && !password.is_empty()).then(|| (username.to_owned(), password.to_owned()))
    }
}

/// A key of the configuration, or a host, without scheme and path; Docker Hub has several names.
fn plain_host(text: &str) -> String {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    Repository::usual_host(text.split('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str, host: &str) -> Option<Entry> {
        DockerConfig::parse(json).ok().map(|config| config.entry(host))
    }

    #[test]
    fn a_login_is_found_under_any_name_of_its_host() {
        let login = || Some(Entry::Login("me".into(), Secret::new("obvious:fake")));
        let auth = STANDARD.encode("me:obvious:fake");
        let hub = format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}}}}}}"#);
        assert_eq!(entry(&hub, "docker.io"), login());
        let plain = r#"{"auths":{"quay.io":{"username":"me","password":"obvious:fake"}},"HttpHeaders":{}}"#;
        assert_eq!(entry(plain, "quay.io"), login());
        assert_eq!(entry(plain, "ghcr.io"), Some(Entry::Absent));
        assert_eq!(entry(r#"{"auths":null,"credHelpers":null}"#, "ghcr.io"), Some(Entry::Absent));
    }

    #[test]
    fn programs_that_keep_logins_are_named() {
        let json = r#"{"auths":{"quay.io":{}},"credsStore":"desktop","credHelpers":{"a.example.com":"ecr-login"}}"#;
        let program = |name: &str, server: &str, is_listed| {
            Some(Entry::Program { name: name.into(), server: server.into(), is_listed })
        };
        assert_eq!(entry(json, "quay.io"), program("desktop", "quay.io", true));
        assert_eq!(entry(json, "ghcr.io"), program("desktop", "ghcr.io", false));
        assert_eq!(entry(json, "docker.io"), program("desktop", "https://index.docker.io/v1/", false));
        assert_eq!(entry(json, "a.example.com"), program("ecr-login", "a.example.com", true));
        let token = r#"{"auths":{"quay.io":{"auth":"AAAA","identitytoken":"obvious-fake"}}}"#;
        assert_eq!(entry(token, "quay.io"), Some(Entry::IdentityToken(Secret::new("obvious-fake"))));
    }

    #[test]
    fn a_broken_configuration_is_not_shown() {
        let error = DockerConfig::parse(r#"{"auths": {"quay.io": "obvious-fake"}}"#).err().unwrap_or_default();
        assert!(error.contains("line 1") && !error.contains("obvious-fake"), "{error}");
    }
}
