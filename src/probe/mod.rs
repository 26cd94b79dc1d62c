//! Questions asked from inside a container network: one JSON request a line goes in, one JSON answer a line comes out.

pub mod client;
mod http;
pub mod serve;
mod tls;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What is read of an answer's body unless more is asked for, in bytes.
pub const LONGEST_BODY: usize = 64 * 1024;

/// The most that is ever read of a body, in bytes. As JSON in memory it may take 16 times as much.
pub const MOST_BODY: usize = 1024 * 1024;

/// A line of input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by whoever asks; the answer carries it. Answers come in the order in which they are ready.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub question: Question,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Question {
    /// An HTTP/1.1 request on a connection of its own; redirects are answers.
    Http(HttpQuestion),
    /// Whether a TCP connection can be opened.
    Tcp {
        /// `host:port`.
        address: String,
        /// Milliseconds until it counts as refused.
        timeout_ms: u64,
    },
    /// The addresses of a name, as any program in this container would find them.
    Resolve {
        /// Without a port.
        name: String,
        /// Milliseconds until it counts as unknown.
        #[serde(default = "ten_seconds")]
        timeout_ms: u64,
    },
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpQuestion {
    /// `GET`, `POST`, ...
    pub method: String,
    /// `http` or `https`, with host.
    pub url: String,
    /// The Host header; the URL's own host if absent.
    #[serde(default)]
    pub host: Option<String>,
    /// `host:port` to connect to in place of the URL's; certificate and SNI stay those of the URL.
    #[serde(default)]
    pub connect_to: Option<String>,
    /// Further headers; a name may come twice.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Sent as it is.
    #[serde(default)]
    pub body: Option<String>,
    /// Whether the certificate must be good.
    #[serde(default = "yes")]
    pub verify_tls: bool,
    /// Milliseconds for everything up to the last byte of the body.
    pub timeout_ms: u64,
    /// Bytes of the body to hand back, at most [`MOST_BODY`]; [`LONGEST_BODY`] if absent.
    #[serde(default = "longest_body")]
    pub max_body: usize,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request's; 0 when a line could not be read.
    pub id: u64,
    /// What came of it.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Finding {
    /// There was an answer, whatever its status.
    Http(HttpFinding),
    /// The connection was opened, and closed again.
    Tcp {
        /// How long opening took.
        millis: u64,
    },
    /// The name exists.
    Resolve {
        /// Each address once.
        addresses: Vec<IpAddr>,
    },
    /// Why there is no answer.
    Error {
        /// A fragment such as `connection refused`, outermost cause first.
        error: String,
    },
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFinding {
    /// The status.
    pub status: u16,
    /// By lower-case name; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The beginning of the body as text; bytes that are no UTF-8 are replaced.
    pub body: String,
    /// Whether there is more of the body.
    pub cut: bool,
    /// From the connection's begin to the last byte that was read.
    pub millis: u64,
}

fn yes() -> bool {
    true
}

fn ten_seconds() -> u64 {
    10_000
}

fn longest_body() -> usize {
    LONGEST_BODY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_flat_object_and_reads_back() {
        let line = r#"{"id":7,"kind":"http","method":"GET","url":"http://shop/","timeout_ms":100}"#;
        let request: Request = serde_json::from_str(line).unwrap();
        let Question::Http(question) = &request.question else { panic!("not http") };
        assert!(question.verify_tls && question.max_body == LONGEST_BODY && question.host.is_none());
        let again: Request = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!(again, request);
        let answer = Answer { id: 7, finding: Finding::Resolve { addresses: vec![[10, 0, 0, 1].into()] } };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"id":7,"kind":"resolve","addresses":["10.0.0.1"]}"#);
    }
}
