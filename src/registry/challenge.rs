//! What a registry asks for when it answers 401: RFC 9110, section 11, and distribution's page on token authentication.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// How a registry wants to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With user and password.
    Basic,
    /// With a token, to be fetched at `realm`.
    Bearer {
        /// URL of the token service.
        realm: String,
        /// Its name for the registry.
        service: Option<String>,
    },
}

/// The challenge in an answer's headers. A token is preferred: it is what the password is made for.
pub(super) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let challenges: Vec<Challenge> = texts.filter_map(parse).collect();
    let bearer = challenges.iter().find(|challenge| **challenge != Challenge::Basic);
    bearer.or(challenges.first()).cloned()
}

fn parse(text: &str) -> Option<Challenge> {
    let text = text.trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    let mut rest = rest;
    while let Some((name, value, tail)) = parameter(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            _ => {}
        }
        rest = tail;
    }
    Some(Challenge::Bearer { realm: realm?, service })
}

/// The first `name=value` or `name="value"` of a list, and what follows it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.trim_start_matches([' ', ',', '\t']).split_once('=')?;
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, tail) = rest.split_once(',').unwrap_or((rest, ""));
        return Some((name.trim(), value.trim().to_owned(), tail));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((name.trim(), value, quoted.get(at + 1..)?)),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_challenge_is_taken_apart_at_commas_outside_quotes() {
        let text = concat!(
            r#"Bearer realm="https://auth.example.com/token",service=registry, "#,
            r#"scope="repository:a/b:pull,push",error="x\"y""#
        );
        let challenge =
            Challenge::Bearer { realm: "https://auth.example.com/token".into(), service: Some("registry".into()) };
        assert_eq!(parse(text), Some(challenge));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        assert_eq!(parse("basic realm=\"x\""), Some(Challenge::Basic));
        for text in ["", "Bearer", "Bearer realm", "Bearer realm=\"x", "Negotiate", "Bearer service=\"é\\"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_preferred() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static("Basic realm=\"x\""));
        assert_eq!(read(&headers), Some(Challenge::Basic));
        headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer realm=\"https://x\""));
        assert!(matches!(read(&headers), Some(Challenge::Bearer { .. })));
    }
}
