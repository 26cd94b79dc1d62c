//! A proxy in front of one peer: it forwards everything, unless the desk says otherwise.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::call::{Call, Peer, plain};
use super::desk::{Desk, Way};
use super::made::Made;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;
/// An error here closes the connection without an answer.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Where the peer is.
#[derive(Clone)]
enum Upstream {
    Socket(PathBuf),
    Address(String),
}

/// One proxy. Clones are the same.
#[derive(Clone)]
pub struct Proxy {
    peer: Peer,
    upstream: Upstream,
    desk: Arc<Desk>,
}

impl Proxy {
    /// Stands before the docker daemon; the value for `DOCKER_HOST` comes back.
    pub async fn before_docker(desk: Arc<Desk>, socket: &Path) -> String {
        let host = std::env::var_os("DOCKER_HOST").and_then(|host| host.into_string().ok());
        let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let upstream = match host.split_once("://").expect("DOCKER_HOST has a scheme") {
            ("unix", path) => Upstream::Socket(path.into()),
            (_, address) => Upstream::Address(address.trim_end_matches('/').to_owned()),
        };
        let proxy = Self { peer: Peer::Docker, upstream, desk };
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                proxy.serve(stream);
            }
        });
        format!("unix://{}", socket.display())
    }

    /// Stands before an HTTP server, `http://HOST:PORT`; its own address comes back.
    pub async fn before(peer: Peer, url: &str, desk: Arc<Desk>) -> String {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let proxy = Self { peer, upstream: Upstream::Address(address), desk };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                proxy.serve(stream);
            }
        });
        own
    }

    fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let proxy = self.clone();
        let service = service_fn(move |request| {
            let proxy = proxy.clone();
            async move { proxy.answer(request).await }
        });
        // An error is a connection that ended, which is what the binary is here to bear.
        tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Outcome<Response<Body>> {
        let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        // A build's context is sent on as it comes; what is small is read, since it has names in it.
        let (read, body) = if self.peer != Peer::Docker || has_json(&parts.headers) {
            let bytes = body.collect().await?.to_bytes();
            (bytes.clone(), whole(bytes))
        } else {
            (Bytes::new(), body.boxed_unsync())
        };
        let call = Call::of(self.peer, &parts, &read, &self.desk.names());
        let made = Some(()).filter(|()| self.peer == Peer::Docker).and_then(|()| Made::by(&parts, &read));
        let way = self.desk.take(&call, made);
        match way {
            Some(Way::Refuse) => return Ok(unavailable()),
            Some(Way::Reset) => return Err("reset".into()),
            Some(Way::KillBefore) => {
                self.desk.kill().await;
                return Err("killed".into());
            }
            Some(Way::Lose | Way::Kill) | None => {}
        }
        let mut answer = self.forward(Request::from_parts(parts, body)).await?;
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(ours)) = (answer.status(), upgrade) {
            let theirs = hyper::upgrade::on(&mut answer);
            tokio::spawn(async move {
                let (ours, theirs) = (ours.await?, theirs.await?);
                // Either side may go as it likes.
                let _ = copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await;
                Ok::<_, hyper::Error>(())
            });
            return Ok(answer.map(BodyExt::boxed_unsync));
        }
        let (parts, body) = answer.into_parts();
        if way.is_none() && !has_json(&parts.headers) {
            return Ok(Response::from_parts(parts, body.boxed_unsync()));
        }
        if way.is_none() && !call.is_mutating {
            return Ok(Response::from_parts(parts, body.boxed_unsync()));
        }
        let bytes = body.collect().await?.to_bytes();
        self.learn(&call, &read, &bytes);
        match way {
            Some(Way::Kill) => {
                self.desk.kill().await;
                Err("killed".into())
            }
            Some(_) => Err("lost".into()),
            None => Ok(Response::from_parts(parts, whole(bytes))),
        }
    }

    /// Remembers the name behind an id that was just given out.
    fn learn(&self, call: &Call, asked: &[u8], answered: &[u8]) {
        let (asked, answered) = (json(asked), json(answered));
        let id = answered["Id"].as_str().map(str::to_owned);
        let id = id.or_else(|| answered["id"].as_u64().map(|id| id.to_string()));
        let name = match self.peer {
            Peer::Docker => call.name.rsplit_once(' ').map(|(_, name)| name.to_owned()),
            _ => asked["name"].as_str().map(plain),
        };
        if let (Some(id), Some(name)) = (id, name) {
            self.desk.name(id, name);
        }
    }

    async fn forward(&self, request: Request<Body>) -> Outcome<Response<Incoming>> {
        match &self.upstream {
            Upstream::Socket(path) => send(UnixStream::connect(path).await?, request).await,
            Upstream::Address(address) => send(TcpStream::connect(address).await?, request).await,
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> Outcome<Response<Incoming>> {
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender.send_request(request).await?)
}

fn has_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json")) && headers.contains_key(header::CONTENT_LENGTH)
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn unavailable() -> Response<Body> {
    let mut answer = Response::new(whole(Bytes::from_static(br#"{"message":"come back later"}"#)));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}
