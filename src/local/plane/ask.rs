//! A health check: one HTTP GET to an instance, made from inside its network.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header;
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What to ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// `ip:port`.
    pub address: String,
    /// With its slash and query.
    pub path: String,
    /// The Host header; the address if absent.
    #[serde(default)]
    pub host: Option<String>,
    /// The status must be there within so many milliseconds.
    pub timeout_ms: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// The status of the answer.
    Status(u16),
    /// Why there was no answer.
    Error(String),
}

/// Asks. The body of the answer is not read.
///
/// # Errors
/// Why there is no status, in words.
pub async fn ask(question: &Question) -> Result<u16, String> {
    let limit = Duration::from_millis(question.timeout_ms);
    let answer = timeout(limit, status(question)).await;
    let answer = answer.map_err(|_| format!("no answer within {} ms", question.timeout_ms))?;
    answer.map_err(|error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

async fn status(question: &Question) -> Result<u16, Box<dyn Error + Send + Sync>> {
    let request = Request::get(&question.path)
        .header(header::HOST, question.host.as_ref().unwrap_or(&question.address))
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let stream = TcpStream::connect(&question.address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // The connection ends with this question, whether it was answered or given up.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok(sender.send_request(request).await?.status().as_u16())
}
