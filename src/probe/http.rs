//! One HTTP request on a connection of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout};

use super::tls::Tls;
use super::{HttpFinding, HttpQuestion, MOST_BODY};

/// Asks.
///
/// # Errors
/// Why there is no answer, outermost cause first.
pub async fn ask(question: &HttpQuestion, tls: &Tls) -> Result<HttpFinding, String> {
    let limit = Duration::from_millis(question.timeout_ms);
    let late = |_| format!("no complete answer within {} ms", question.timeout_ms);
    timeout(limit, exchange(question, tls)).await.map_err(late)?
}

async fn exchange(question: &HttpQuestion, tls: &Tls) -> Result<HttpFinding, String> {
    let (request, server) = request(question)?;
    let builder = HttpsConnectorBuilder::new();
    let config = match request.uri().scheme() == Some(&Scheme::HTTPS) {
        true => tls.config(question.verify_tls)?,
        // Nothing is encrypted, so nothing is read to check it with.
        false => tls.config(false)?,
    };
    let named = builder.with_tls_config(config).https_or_http();
    let connector = named.with_server_name_resolver(FixedServerNameResolver::new(server)).enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build::<_, Full<Bytes>>(connector);
    let began = Instant::now();
    let answer = client.request(request).await.map_err(|error| chain(&error))?;
    let (head, body) = answer.into_parts();
    let (body, cut) = beginning(body, question.max_body.min(MOST_BODY)).await?;
    Ok(HttpFinding {
        status: head.status.as_u16(),
        headers: joined(&head.headers),
        body: String::from_utf8_lossy(&body).into_owned(),
        cut,
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The request, addressed to where the connection goes, and the name that the server's certificate must have.
fn request(question: &HttpQuestion) -> Result<(Request<Full<Bytes>>, ServerName<'static>), String> {
    let url: Uri = question.url.parse().map_err(|error| format!("`{}` is no URL: {error}", question.url))?;
    let (scheme, authority) = match (url.scheme(), url.authority()) {
        (Some(scheme), Some(authority)) if [Scheme::HTTP, Scheme::HTTPS].contains(scheme) => (scheme, authority),
        _ => return Err(format!("`{}` is no http or https URL", question.url)),
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let server = ServerName::try_from(name).map_err(|error| format!("`{authority}` is no host: {error}"))?;
    let target = match &question.connect_to {
        Some(address) => address.parse().map_err(|error| format!("`{address}` is no address: {error}"))?,
        None => authority.clone(),
    };
    let host = question.host.as_deref().unwrap_or_else(|| without_default_port(scheme, authority));
    let method = Method::from_bytes(question.method.as_bytes());
    let mut request = Request::builder()
        .method(method.map_err(|_| format!("`{}` is no method", question.method))?)
        .uri(address(scheme.clone(), target, url.path_and_query().cloned())?)
        .body(Full::from(question.body.clone().unwrap_or_default()))
        .map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, header_value("host", host)?);
    for (name, value) in &question.headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header's name"))?;
        let value = header_value(name, value)?;
        if key == HOST {
            request.headers_mut().insert(key, value);
        } else {
            request.headers_mut().append(key, value);
        }
    }
    Ok((request, server))
}

fn address(scheme: Scheme, authority: Authority, path: Option<PathAndQuery>) -> Result<Uri, String> {
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    uri.map_err(|error| error.to_string())
}

/// A host as browsers write it.
fn without_default_port<'a>(scheme: &Scheme, authority: &'a Authority) -> &'a str {
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    if authority.port_u16() == Some(default) { authority.host() } else { authority.as_str() }
}

/// A header's value; it may be a secret, so it is not repeated in the error.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` has characters it may not have"))
}

/// At most `most` bytes of a body, and whether there was more.
async fn beginning(mut body: Incoming, most: usize) -> Result<(Vec<u8>, bool), String> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| format!("the answer broke off: {}", chain(&error)))?.into_data() else {
            continue;
        };
        let room = most - read.len();
        read.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((read, true));
        }
    }
    Ok((read, false))
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|known| *known = format!("{known}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    joined
}

/// An error with what is behind it, each thing said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(cause) = link {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        link = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(json: serde_json::Value) -> HttpQuestion {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_connection_may_go_elsewhere_than_the_name() {
        let asked = question(serde_json::json!({
            "method": "GET", "url": "https://shop.example.com/a?b=1", "connect_to": "10.0.0.7:8443", "timeout_ms": 1,
            "headers": [["X-A", "1"], ["x-a", "2"]],
        }));
        let (request, server) = request(&asked).unwrap();
        assert_eq!(request.uri(), "https://10.0.0.7:8443/a?b=1");
        assert_eq!(request.headers()[HOST], "shop.example.com");
        assert_eq!(request.headers().get_all("x-a").iter().count(), 2);
        assert_eq!(server.to_str(), "shop.example.com");
        assert_eq!(joined(request.headers())["x-a"], "1, 2");
    }

    #[test]
    fn what_is_wrong_with_a_question_is_said_without_its_secrets() {
        let wrong = |url: &str, value: &str| {
            let headers = [["authorization", value]];
            let asked = question(serde_json::json!({
                "method": "GET", "url": url, "headers": headers, "timeout_ms": 1,
            }));
            request(&asked).unwrap_err()
        };
        assert!(wrong("ftp://shop/", "x").contains("no http or https URL"));
        assert!(wrong("/path", "x").contains("no http or https URL"));
        let said = wrong("http://shop/", "obvious-fake\n");
        assert!(said.contains("`authorization`") && !said.contains("obvious-fake"));
    }
}
