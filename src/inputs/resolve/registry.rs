//! How to log in to the registry, and the way there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Surroundings;
use super::reading::{Reading, field};
use crate::inputs::docker_config::DockerConfig;
use crate::inputs::problem::Wrong;
use crate::inputs::{JobLogin, ProxyPlan, RegistryPlan, RunKind, Secret, values};

/// The user whose password at Google's registries is the key of a service account, as it is or as base64.
const JSON_KEY: &str = "_json_key";

pub(super) fn resolve(reading: &mut Reading<'_>, around: &Surroundings<'_>, run: RunKind) -> RegistryPlan {
    let raw = reading.raw;
    let username = reading.value(field!(raw, registry_username), values::line);
    let password = raw.texts.registry_password.as_deref();
    let login = match (username, password) {
        (Some(username), Some(password)) => {
            if username == JSON_KEY && serde_json::from_str::<BTreeMap<String, serde_json::Value>>(password).is_err() {
                let instead = "write the key's JSON text; for its base64 the user is _json_key_base64";
                reading.problem("registry_password", Wrong::new("is no JSON, as the user _json_key needs it", instead));
            }
            Some((username, Secret::new(password)))
        }
        (None, Some(_)) if raw.written("registry_username").is_none() => {
            reading.problem("registry_username", Wrong::new("is missing", "write the user of registry_password"));
            None
        }
        (Some(_), None) if raw.written("registry_password").is_none() => {
            reading.problem("registry_password", Wrong::new("is missing", "write the password of registry_username"));
            None
        }
        _ => None,
    };
    let docker_config = docker_config(raw.variables(), around);
    if let Some((source, text)) = &docker_config
        && let Err(wrong) = DockerConfig::parse(text.reveal())
    {
        let instead = "write what `docker login` writes: {\"auths\": {\"host\": {\"auth\": \"…\"}}}";
        reading.problem_with(source, Wrong::new(wrong, instead));
    }
    // Who only reads may do so without a login, or needs one that lasts: the job's may have no right to read.
    let job = job_login(raw.variables(), field!(raw, github_token).text, around).filter(|_| run.makes_image());
    RegistryPlan {
        login,
        docker_config: docker_config.map(|(_, text)| text),
        job,
        create_repository: reading.value_or(field!(raw, create_repository), false, values::boolean),
        proxies: proxies(raw.variables()),
    }
}

/// Docker's own configuration and where it was found: `DOCKER_AUTH_CONFIG`, else `config.json` in `DOCKER_CONFIG` or in
/// `.docker` at home.
pub(super) fn docker_config(
    variables: &BTreeMap<String, String>,
    around: &Surroundings<'_>,
) -> Option<(String, Secret)> {
    if let Some(text) = set(variables, "DOCKER_AUTH_CONFIG") {
        return Some(("DOCKER_AUTH_CONFIG".to_owned(), Secret::new(text)));
    }
    let directory = match set(variables, "DOCKER_CONFIG") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(set(variables, "HOME")?).join(".docker"),
    };
    let path = directory.join("config.json");
    let text = (around.read_file)(&path).ok().filter(|text| !text.trim().is_empty())?;
    Some((path.display().to_string(), Secret::new(text)))
}

/// What must not be shown of it.
pub(super) fn secrets(variables: &BTreeMap<String, String>, around: &Surroundings<'_>) -> Vec<Secret> {
    let config = docker_config(variables, around).and_then(|(_, text)| DockerConfig::parse(text.reveal()).ok());
    let mut secrets = config.iter().flat_map(DockerConfig::secrets).collect::<Vec<_>>();
    secrets.extend(set(variables, "CI_REGISTRY_PASSWORD").map(Secret::new));
    let proxy = proxies(variables).https;
    let uri = proxy.as_ref().and_then(|proxy| proxy.reveal().parse::<http::Uri>().ok());
    let user_info = uri.as_ref().and_then(|uri| uri.authority()?.as_str().rsplit_once('@')).map(|(user, _)| user);
    secrets.extend(user_info.and_then(|user| user.split_once(':')).map(|(_, password)| Secret::new(password)));
    secrets
}

/// The login that the CI gives to this job: at GHCR by the workflow's token (GitHub's page on the container registry), at
/// GitLab's registry by its predefined variables.
fn job_login(
    variables: &BTreeMap<String, String>,
    github_token: Option<&str>,
    around: &Surroundings<'_>,
) -> Option<JobLogin> {
    let login = |host: &str, username: &str, password: &str| JobLogin {
        host: host.to_owned(),
        username: username.to_owned(),
        password: Secret::new(password),
    };
    if around.ci.is_github_actions {
        let is_github_com = set(variables, "GITHUB_SERVER_URL").is_none_or(|url| url == "https://github.com");
        return Some(login("ghcr.io", set(variables, "GITHUB_ACTOR")?, github_token?)).filter(|_| is_github_com);
    }
    let [host, username, password] = ["CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"]
        .map(|name| set(variables, name).filter(|_| variables.contains_key("GITLAB_CI")));
    Some(login(host?, username?, password?))
}

/// Programs differ in which case they read; the lower one is the older.
fn proxies(variables: &BTreeMap<String, String>) -> ProxyPlan {
    let first = |names: &[&str]| names.iter().find_map(|name| set(variables, name)).map(str::trim);
    ProxyPlan {
        https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).map(Secret::new),
        except: first(&["no_proxy", "NO_PROXY"]).map(str::to_owned),
    }
}

fn set<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
}
