//! The way to a registry: TLS with the system's roots, through the proxy that the environment names.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;

use crate::fault::Fault;
use crate::inputs::ProxyPlan;

type Http<C> = legacy::Client<HttpsConnector<C>, Full<Bytes>>;

/// Sends requests, each on the way that its host needs.
pub(super) struct Transport {
    direct: Http<HttpConnector>,
    /// Through the proxy; only what is encrypted goes there.
    tunnel: Option<Http<Tunnel<HttpConnector>>>,
    proxies: Matcher,
}

impl Transport {
    /// A way to a registry that speaks plain HTTP, or TLS.
    ///
    /// # Errors
    /// When the system has no certificates to trust, or the proxy is one that cannot be used.
    pub(super) fn new(is_plain: bool, proxies: &ProxyPlan) -> Result<Self, Fault> {
        let tls = tls(is_plain)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http().enable_http1();
        let direct = legacy::Client::builder(TokioExecutor::new()).build(connector.build());
        let proxy = proxies.https.as_ref().map_or("", |proxy| proxy.reveal());
        let matcher = Matcher::builder().https(proxy).no(proxies.except.as_deref().unwrap_or_default()).build();
        // The list of exceptions may hold everything; what matters is asked for each request.
        let any = Matcher::builder().https(proxy).build().intercept(&Uri::from_static("https://registry.invalid/"));
        let tunnel = match any {
            None if proxy.is_empty() => None,
            Some(found) if found.uri().scheme_str() == Some("http") => {
                let tunnel = Tunnel::new(found.uri().clone(), HttpConnector::new());
                let tunnel = match found.basic_auth() {
                    Some(login) => tunnel.with_auth(login.clone()),
                    None => tunnel,
                };
                let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
                let connector = connector.wrap_connector(tunnel);
                Some(legacy::Client::builder(TokioExecutor::new()).build(connector))
            }
            _ => {
                return Err(Fault::new("could not use the proxy that HTTPS_PROXY or ALL_PROXY names")
                    .cause("only proxies that speak plain HTTP are supported")
                    .hint("write it as http://host:port, or name the registry's host in NO_PROXY"));
            }
        };
        Ok(Self { direct, tunnel, proxies: matcher })
    }

    /// Sends a request.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        match self.tunnel.as_ref().filter(|_| self.proxies.intercept(request.uri()).is_some()) {
            Some(tunnel) => tunnel.request(request).await,
            None => self.direct.request(request).await,
        }
    }
}

/// TLS with the system's roots. Where the registry speaks plain HTTP there may be none, so that an image without
/// certificates will do; its tokens may still come from a place that speaks TLS.
fn tls(is_plain: bool) -> Result<rustls::ClientConfig, Fault> {
    let refused = |error: &dyn std::fmt::Display| {
        Fault::new("could not set up TLS")
            .cause(error.to_string())
            .hint("install CA certificates (ca-certificates), or set SSL_CERT_FILE")
    };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let builder = match is_plain {
        true => match builder.clone().with_native_roots() {
            Ok(builder) => builder,
            Err(_) => builder.with_root_certificates(rustls::RootCertStore::empty()),
        },
        false => builder.with_native_roots().map_err(|error| refused(&error))?,
    };
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::inputs::Secret;

    fn plan(proxy: &str, except: &str) -> ProxyPlan {
        ProxyPlan { https: Some(Secret::new(proxy)), except: Some(except.to_owned()) }
    }

    fn get(uri: &str) -> Request<Full<Bytes>> {
        Request::get(uri).body(Full::default()).unwrap()
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_what_is_encrypted_and_is_no_exception() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&bytes[..count]).into_owned()
        });
        let proxy = format!("http://me:obvious-fake@{address}");
        let transport = Transport::new(true, &plan(&proxy, "exempt.invalid")).unwrap();
        assert!(transport.send(get("http://plain.invalid/")).await.is_err());
        assert!(transport.send(get("https://exempt.invalid/")).await.is_err());
        assert!(transport.send(get("https://registry.invalid/v2/")).await.is_err());
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("CONNECT registry.invalid:443 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("proxy-authorization: basic "), "{asked}");
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_and_its_password_not_shown() {
        for proxy in ["socks5://me:obvious-fake@127.0.0.1:1", "https://me:obvious-fake@127.0.0.1:1"] {
            let fault = Transport::new(true, &plan(proxy, "")).err().unwrap();
            assert!(fault.hints()[0].contains("NO_PROXY") && !fault.to_string().contains("obvious-fake"), "{fault}");
        }
        assert!(Transport::new(true, &ProxyPlan::default()).is_ok_and(|transport| transport.tunnel.is_none()));
    }
}
