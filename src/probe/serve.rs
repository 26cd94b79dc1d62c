//! The probe process: reads requests, works on all of them at once, writes answers as they are ready.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::http;
use super::tls::Tls;
use super::{Answer, Finding, Question, Request};
use crate::fault::Fault;

/// Answers every line of `input` with a line of `output`. Ends when the input has ended and what it asked is answered;
/// every request has a limit of its own.
///
/// # Errors
/// When the input breaks, or nobody reads the output.
pub async fn serve(input: impl AsyncRead + Unpin, mut output: impl AsyncWrite + Unpin) -> Result<(), Fault> {
    let (sender, mut answers) = mpsc::unbounded_channel();
    let read = async move {
        let tls = Arc::new(Tls::default());
        let mut lines = BufReader::new(input).lines();
        while let Some(line) = lines.next_line().await? {
            let (sender, tls) = (sender.clone(), tls.clone());
            tokio::spawn(async move { sender.send(answer(&line, &tls).await) });
        }
        Ok::<_, std::io::Error>(())
    };
    let write = async {
        while let Some(answer) = answers.recv().await {
            let mut line = serde_json::to_vec(&answer)?;
            line.push(b'\n');
            output.write_all(&line).await?;
            output.flush().await?;
        }
        Ok(())
    };
    let broken = |error| Fault::new("the probe lost whoever asked it").because(error);
    tokio::try_join!(read, write).map(drop).map_err(broken)
}

async fn answer(line: &str, tls: &Tls) -> Answer {
    match serde_json::from_str::<Request>(line) {
        Ok(request) => {
            let finding = find(&request.question, tls).await.unwrap_or_else(|error| Finding::Error { error });
            Answer { id: request.id, finding }
        }
        Err(error) => Answer { id: 0, finding: Finding::Error { error: format!("this is no request: {error}") } },
    }
}

async fn find(question: &Question, tls: &Tls) -> Result<Finding, String> {
    match question {
        Question::Http(question) => http::ask(question, tls).await.map(Finding::Http),
        Question::Tcp { address, timeout_ms } => {
            let began = Instant::now();
            within(*timeout_ms, TcpStream::connect(address)).await?;
            Ok(Finding::Tcp { millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) })
        }
        Question::Resolve { name, timeout_ms } => {
            let found = within(*timeout_ms, lookup_host((name.as_str(), 0))).await?;
            let addresses: BTreeSet<_> = found.map(|address| address.ip()).collect();
            Ok(Finding::Resolve { addresses: addresses.into_iter().collect() })
        }
    }
}

async fn within<T>(millis: u64, attempt: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    let attempt = timeout(Duration::from_millis(millis), attempt).await;
    attempt.map_err(|_| format!("nothing within {millis} ms"))?.map_err(|error| http::chain(&error))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use serde_json::json;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    /// A certificate for `probe.test` that nobody signed, and its key; both were made for this test.
    const CERTIFICATE: &str = "\
        MIIBlTCCATygAwIBAgIUD3A2aq6QXRtri6LXOF4CELR07yAwCgYIKoZIzj0EAwIwFTETMBEGA1UEAwwKcHJvYmUudGVzdDAeFw0y\
        NjExMjAyMTM2MzJaFw0zNjExMTcyMTM2MzJaMBUxEzARBgNVBAMMCnByb2JlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\
        AASzHc2hfu70pZ7ES+V+H/GIz8E6zjkybb6Fi+vYkmgK0WYX75xU41Ny5hB9ncMn1Crj94uS8dyr4lWhlYpgdlrDo2owaDAdBgNV\
        HQ4EFgQUxNPJBb/xuu6gOfQuSAQ9dkZGchYwHwYDVR0jBBgwFoAUxNPJBb/xuu6gOfQuSAQ9dkZGchYwDwYDVR0TAQH/BAUwAwEB\
        /zAVBgNVHREEDjAMggpwcm9iZS50ZXN0MAoGCCqGSM49BAMCA0cAMEQCICrfLfqAFA9cPsT29FSMBbD4OPC7AVTkAJxncEcc5WXI\
        AiAC7UHDY3+l1g6Nu4biD6ioQwKt+cUHU+cKA347ZNGbDQ==";
    const KEY: &str = "\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAK+cqJ45qY+g6TOPxrZ1LbhIw64fDZh0OMJggrPGaPihRANCAASz\
        Hc2hfu70pZ7ES+V+H/GIz8E6zjkybb6Fi+vYkmgK0WYX75xU41Ny5hB9ncMn1Crj94uS8dyr4lWhlYpgdlrD";

    /// The answers to these requests, by id.
    async fn ask(requests: &[serde_json::Value]) -> Vec<Finding> {
        let (mut asker, probe) = duplex(64 * 1024);
        let (input, output) = tokio::io::split(probe);
        let served = tokio::spawn(serve(input, output));
        for request in requests {
            asker.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        }
        asker.shutdown().await.unwrap();
        let mut text = String::new();
        asker.read_to_string(&mut text).await.unwrap();
        served.await.unwrap().unwrap();
        let mut answers: Vec<Answer> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        answers.sort_by_key(|answer| answer.id);
        answers.into_iter().map(|answer| answer.finding).collect()
    }

    fn error(finding: &Finding) -> &str {
        if let Finding::Error { error } = finding { error } else { panic!("not an error: {finding:?}") }
    }

    #[tokio::test]
    async fn requests_are_answered_each_by_its_id_and_the_end_of_input_ends_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = axum::Router::new().fallback(async |request: axum::extract::Request| {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            ([("x-path", request.uri().to_string())], host + &"x".repeat(100_000))
        });
        tokio::spawn(axum::serve(listener, app).into_future());
        let answers = ask(&[
            json!({"id": 1, "kind": "http", "method": "GET", "url": "http://shop.local/p", "connect_to": address,
                   "timeout_ms": 5000, "max_body": 12}),
            json!({"id": 2, "kind": "tcp", "address": address, "timeout_ms": 5000}),
            json!({"id": 3, "kind": "resolve", "name": "localhost"}),
            json!({"id": 4, "kind": "tcp", "address": "127.0.0.1:1", "timeout_ms": 5000}),
            json!({"id": 5, "kind": "http", "method": "GET", "url": "http://127.0.0.1:1/", "timeout_ms": 5000}),
            json!({"id": 6, "kind": "http", "method": "GET", "url": format!("http://{address}/"), "timeout_ms": 5000}),
            json!("nonsense"),
        ])
        .await;
        assert!(error(&answers[0]).contains("this is no request"));
        let Finding::Http(found) = &answers[1] else { panic!("{:?}", answers[1]) };
        assert_eq!((found.status, found.body.as_str(), found.cut), (200, "shop.localxx", true));
        assert_eq!(found.headers["x-path"], "/p");
        assert!(matches!(answers[2], Finding::Tcp { .. }));
        assert!(matches!(&answers[3], Finding::Resolve { addresses } if !addresses.is_empty()));
        assert!(error(&answers[4]).to_lowercase().contains("connection refused"));
        assert!(error(&answers[5]).to_lowercase().contains("connection refused"));
        assert!(matches!(&answers[6], Finding::Http(found) if found.body.len() == super::super::LONGEST_BODY));
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_signed_is_taken_only_when_asked_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let certificate = CertificateDer::from(STANDARD.decode(CERTIFICATE).unwrap());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(STANDARD.decode(KEY).unwrap()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream.unwrap());
                // The client that checks hangs up here.
                if tls.read(&mut [0; 1024]).is_ok() {
                    let name = tls.conn.server_name().unwrap_or("-").to_owned();
                    write!(tls, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()).unwrap();
                }
            }
        });
        let question = |id: u64, verify: bool| {
            json!({"id": id, "kind": "http", "method": "GET", "url": "https://probe.test/", "connect_to": address,
                   "verify_tls": verify, "timeout_ms": 5000})
        };
        let answers = ask(&[question(1, false), question(2, true)]).await;
        assert!(matches!(&answers[0], Finding::Http(found) if found.body == "probe.test"), "{:?}", answers[0]);
        assert!(error(&answers[1]).contains("certificate"), "{}", error(&answers[1]));
    }
}
