//! Tokens: how a registry that asks for one is given it (distribution's pages on token authentication).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;

use super::challenge::Challenge;
use super::client::{Ask, Client};
use crate::docker::Login;
use crate::engine::retry::Failure;
use crate::fault::Fault;
use crate::image::is_loopback;

/// The kind of body that a token service is posted.
const FORM: &str = "application/x-www-form-urlencoded";

/// What a request has to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// To be known.
    Login,
    /// To read in the repository.
    Pull,
    /// To write in it.
    Push,
}

impl Need {
    /// The scope of a token for it. What the registry's challenge names is left aside, as docker does: some name the scope
    /// of another repository where none was asked for.
    fn scope(self, path: &str) -> Option<String> {
        match self {
            Need::Login => None,
            Need::Pull => Some(format!("repository:{path}:pull")),
            Need::Push => Some(format!("repository:{path}:pull,push")),
        }
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What distribution's tokens say of themselves; others may be opaque.
#[derive(Deserialize)]
struct Claims {
    access: Option<Vec<Access>>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

impl Client {
    /// What the registry wants to be shown, by its challenge; `None` when there is no login for it.
    pub(super) async fn authorization(
        &self,
        challenge: &Challenge,
        need: Need,
    ) -> Result<Option<HeaderValue>, Failure> {
        match challenge {
            // A token that stands for a login is for token services alone.
            Challenge::Basic => Ok(self.login().filter(|login| !login.is_identity_token()).map(basic)),
            Challenge::Bearer { realm, service } => {
                let token = self.token(realm, service.as_deref(), need).await?;
                secret_header(&format!("Bearer {token}")).map(Some).ok_or_else(|| self.gave_no_token().into())
            }
        }
    }

    /// Fetches a token.
    pub(super) async fn token(&self, realm: &str, service: Option<&str>, need: Need) -> Result<String, Failure> {
        let uri = realm.parse::<Uri>().ok();
        // A registry on this machine may have its token service there too; a password never leaves it in the clear.
        let is_safe = uri.as_ref().is_some_and(|uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.is_plain() && uri.authority().is_some_and(|host| is_loopback(host.as_str())),
            _ => false,
        });
        if !is_safe {
            return Err(self.fault("names a token service without HTTPS").into());
        }
        let mut fields: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let scope = need.scope(self.path());
        fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let identity = self.login().filter(|login| login.is_identity_token());
        if let Some(login) = identity {
            fields.extend([("grant_type", "refresh_token"), ("client_id", "beanline")]);
            fields.push(("refresh_token", login.password.reveal()));
        }
        let fields = serde_urlencoded::to_string(fields)
            .map_err(|error| self.fault("names a token service that cannot be asked").because(error))?;
        let answer = match identity {
            Some(_) => {
                let (accept, kind) = ("application/json", Some(FORM.to_owned()));
                let ask = Ask { method: Method::POST, accept, kind, body: fields.into() };
                self.follow(&ask, realm, None).await?
            }
            None => {
                let joint = if realm.contains('?') { '&' } else { '?' };
                let ask = Ask::read(Method::GET, "application/json");
                let login = self.login().map(basic);
                self.follow(&ask, &format!("{realm}{joint}{fields}"), login).await?
            }
        };
        let answer = answer.or_busy()?;
        if answer.status != StatusCode::OK {
            return Err(answer.fault(format!("could not log in to {}", self.host())).into());
        }
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| self.gave_no_token())?;
        let token = token.token.filter(|token| !token.is_empty()).or(token.access_token);
        token.filter(|token| !token.is_empty()).ok_or_else(|| self.gave_no_token().into())
    }

    fn gave_no_token(&self) -> Fault {
        self.fault("has a token service that gave no token")
    }
}

/// Whether a token lets its holder push to the repository; `None` when it does not say.
pub(super) fn lets_push(token: &str, path: &str) -> Option<bool> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let access = serde_json::from_slice::<Claims>(&claims).ok()?.access?;
    let mut actions = access.iter().filter(|access| access.name == path).flat_map(|access| &access.actions);
    Some(actions.any(|action| action == "push" || action == "*"))
}

fn basic(login: &Login) -> HeaderValue {
    let text = STANDARD.encode(format!("{}:{}", login.username, login.password.reveal()));
    // Base64 is always legal in a header.
    secret_header(&format!("Basic {text}")).unwrap_or(HeaderValue::from_static(""))
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_says_what_it_allows_is_believed_and_any_other_says_nothing() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let with = |actions: &str| {
            token(&format!(r#"{{"access":[{{"type":"repository","name":"team/shop","actions":[{actions}]}}]}}"#))
        };
        assert_eq!(lets_push(&with(r#""pull","push""#), "team/shop"), Some(true));
        assert_eq!(lets_push(&with(r#""*""#), "team/shop"), Some(true));
        assert_eq!(lets_push(&with(r#""pull""#), "team/shop"), Some(false));
        assert_eq!(lets_push(&with(r#""push""#), "team/other"), Some(false));
        assert_eq!(lets_push(&token(r#"{"access":[]}"#), "team/shop"), Some(false));
        for silent in [token("{}"), token("no"), "opaque".to_owned(), String::new()] {
            assert_eq!(lets_push(&silent, "team/shop"), None, "{silent}");
        }
    }
}
