//! What a login has to be at the registries that most images go to, in a sentence.

use super::ecr::EcrHost;
use crate::image::Repository;

/// The host of ECR's public registry.
pub(super) const ECR_PUBLIC: &str = "public.ecr.aws";

/// What to do when the registry `host` did not take the login, or there was none.
pub(super) fn login(host: &str, has_login: bool) -> String {
    let begin = match has_login {
        true => "check registry_username and registry_password, and what the user may do",
        false => "no login is known: set registry_username and registry_password",
    };
    match special(host) {
        Some(special) => format!("{begin}; {special}"),
        None => begin.to_owned(),
    }
}

/// What is special about the registry's logins (each vendor's page on authentication).
fn special(host: &str) -> Option<&'static str> {
    let is_google = host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with("-docker.pkg.dev");
    match host {
        Repository::DOCKER_HUB => {
            Some("Docker Hub takes an access token with the scope Read & Write in place of the password")
        }
        "ghcr.io" => Some(
            "GHCR takes a token with write:packages; a workflow's own has it by `permissions: packages: write`, for \
             packages that its repository may write",
        ),
        "quay.io" => Some("Quay's robot accounts are named organisation+robot, and need the role Write"),
        "registry.gitlab.com" => Some("GitLab takes a deploy token with write_registry, or CI_REGISTRY_USER's login"),
        ECR_PUBLIC => Some(
            "ECR Public takes the AWS credentials, with ecr-public:GetAuthorizationToken and \
             sts:GetServiceBearerToken",
        ),
        _ if EcrHost::parse(host).is_some() => Some("ECR takes the AWS credentials, without these two inputs"),
        _ if is_google => Some(
            "Google takes the user _json_key with a service account's key, or oauth2accesstoken with an access token",
        ),
        _ if host.ends_with(".azurecr.io") => {
            Some("Azure takes a token's name, or a service principal's id, with its password, and the role AcrPush")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_registry_has_its_own_advice() {
        for (host, word) in [
            ("docker.io", "access token"),
            ("ghcr.io", "packages: write"),
            ("quay.io", "robot"),
            ("eu.gcr.io", "_json_key"),
            ("europe-west1-docker.pkg.dev", "oauth2accesstoken"),
            ("public.ecr.aws", "sts:GetServiceBearerToken"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS credentials"),
        ] {
            assert!(login(host, true).contains(word), "{host}");
        }
        assert_eq!(
            login("registry.example.com", false),
            "no login is known: set registry_username and registry_password"
        );
    }
}
