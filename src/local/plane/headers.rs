//! Headers on their way through the router.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers that belong to one connection (RFC 9110, 7.6.1), and `Expect`, which has been answered here.
const HOP_BY_HOP: [&str; 8] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"];

/// A client's headers as a load balancer passes them on.
pub fn forwarded(mut headers: HeaderMap, host: &str, peer: SocketAddr, port: u16) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    let client = peer.ip().to_canonical();
    let earlier = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let chain = earlier.map_or_else(|| client.to_string(), |earlier| format!("{earlier}, {client}"));
    let text = |text: &str| HeaderValue::from_str(text).ok();
    let set = [
        (header::HOST, text(host)),
        (HeaderName::from_static("x-forwarded-for"), text(&chain)),
        (HeaderName::from_static("x-forwarded-proto"), Some(HeaderValue::from_static("http"))),
        (HeaderName::from_static("x-forwarded-port"), Some(HeaderValue::from(port))),
    ];
    for (name, value) in set {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    headers
}

/// Removes what concerns one connection only.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in HOP_BY_HOP.into_iter().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
}
