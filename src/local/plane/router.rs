//! The router: an HTTP/1.1 reverse proxy that stands where an environment's load balancer stands.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Empty, Full};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::headers::{forwarded, remove_hop_by_hop};
use super::pool::{Outgoing, Pool};
use super::routes::Routes;
use crate::engine::retry::pause;

/// How long an instance may take to begin its answer: the idle timeout of a load balancer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Wait after a refused `accept` (no file descriptors left).
const ACCEPT_WAIT: Duration = Duration::from_millis(20);

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Serves for ever; `port` is what `X-Forwarded-Port` says.
pub async fn serve(listener: TcpListener, routes: Routes, port: u16) {
    let router = Router { pool: Pool::new(routes.clone()), routes, port };
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => drop(tokio::spawn(router.clone().connection(stream, peer))),
                Err(_) => pause(ACCEPT_WAIT).await,
            }
        }
    };
    tokio::join!(accept, router.pool.follow_table());
}

#[derive(Clone, Debug)]
struct Router {
    routes: Routes,
    pool: Pool,
    port: u16,
}

impl Router {
    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        // Without it answers only leave late.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| async {
            Ok::<_, Infallible>(self.answer(request, peer).await.unwrap_or_else(Problem::into_answer))
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        // A client that went away is no event for anybody.
        let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Result<Answer, Problem> {
        let host = host_of(&request).ok_or(Problem::NoHost)?;
        if request.method() == Method::CONNECT {
            return Err(Problem::Connect);
        }
        let (mut head, body) = request.into_parts();
        head.headers = forwarded(head.headers, &host, peer, self.port);
        head.uri = head.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
        head.version = Version::HTTP_11;
        let body = if body.is_end_stream() { Either::Right(Empty::new()) } else { Either::Left(body) };
        let (mut head, body) = self.send(&host, Request::from_parts(head, body)).await?.into_parts();
        remove_hop_by_hop(&mut head.headers);
        head.version = Version::HTTP_11;
        Ok(Response::from_parts(head, Either::Left(body)))
    }

    /// Sends a request to the instance whose turn it is. What no instance worked on goes to another connection or
    /// instance, each time by the table that holds then: neither a swap nor an instance that ends loses a request.
    async fn send(&self, host: &str, mut request: Request<Outgoing>) -> Result<Response<Incoming>, Problem> {
        // Only a request that may be sent twice goes out on a kept connection, which may have died unnoticed.
        let mut may_reuse = copy(&request).is_some();
        let mut failures = 0;
        loop {
            let names = self.routes.now();
            let unknown = || Problem::Unknown(names.known().join(", "));
            let backends = names.backends(host).ok_or_else(unknown)?;
            let backend = backends.next().ok_or(Problem::NoInstance)?;
            let again = copy(&request);
            let unanswered = match self.attempt(backend, may_reuse, request).await? {
                Ok(answer) => return Ok(answer),
                Err(unanswered) => unanswered,
            };
            may_reuse = false;
            // An instance that has left the table meanwhile says nothing about those that are in it.
            failures += usize::from(self.routes.now().has_backend(backend));
            match unanswered.request.or(again) {
                Some(unanswered) if failures <= backends.count() => request = unanswered,
                _ => return Err(Problem::Unreachable(unanswered.error)),
            }
        }
    }

    async fn attempt(
        &self,
        backend: SocketAddr,
        may_reuse: bool,
        request: Request<Outgoing>,
    ) -> Result<Result<Response<Incoming>, Unanswered>, Problem> {
        let idle = if may_reuse { self.pool.idle(backend) } else { None };
        let connection = match idle {
            Some(idle) => idle,
            None => match self.pool.open(backend).await {
                Ok(fresh) => fresh,
                Err(error) => return Ok(Err(Unanswered { error: error.to_string(), request: Some(request) })),
            },
        };
        match timeout(ANSWER_LIMIT, connection.send(request)).await {
            Err(_) => Err(Problem::Slow),
            Ok(Ok((answer, connection))) => {
                if let Some(connection) = connection {
                    self.pool.keep(backend, connection);
                }
                Ok(Ok(answer))
            }
            Ok(Err(mut unanswered)) => {
                let request = unanswered.take_message();
                Ok(Err(Unanswered { error: unanswered.into_error().to_string(), request }))
            }
        }
    }
}

/// What became of a request that got no answer.
struct Unanswered {
    error: String,
    /// The request, if nothing of it was sent.
    request: Option<Request<Outgoing>>,
}

/// The same request once more, if it may be sent again although an instance may have begun to work on it: no body and
/// an idempotent method (RFC 9110, 9.2.2).
fn copy(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    if !matches!(request.body(), Either::Right(_)) || !request.method().is_idempotent() {
        return None;
    }
    let mut copy = Request::new(Either::Right(Empty::new()));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// The name a request is for: that of an absolute URI before the Host header (RFC 9112, 3.2.2).
fn host_of(request: &Request<Incoming>) -> Option<String> {
    let header = || request.headers().get(header::HOST)?.to_str().ok();
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(header)?;
    (!host.is_empty()).then(|| host.to_owned())
}

/// Why the router answers itself.
#[derive(Debug)]
enum Problem {
    NoHost,
    Connect,
    Unknown(String),
    NoInstance,
    Unreachable(String),
    Slow,
}

impl Problem {
    fn into_answer(self) -> Answer {
        let (status, sentence) = match self {
            Self::NoHost => (StatusCode::BAD_REQUEST, "This request names no host.".to_owned()),
            Self::Connect => (StatusCode::METHOD_NOT_ALLOWED, "This router opens no tunnels.".to_owned()),
            Self::Unknown(known) if known.is_empty() => {
                (StatusCode::NOT_FOUND, "No environment has this name, and there is none yet.".to_owned())
            }
            Self::Unknown(known) => {
                (StatusCode::NOT_FOUND, format!("No environment has this name. These are known: {known}."))
            }
            Self::NoInstance => {
                (StatusCode::SERVICE_UNAVAILABLE, "This environment has no healthy instance now.".to_owned())
            }
            Self::Unreachable(error) => {
                (StatusCode::BAD_GATEWAY, format!("The instance broke the connection before it answered ({error})."))
            }
            Self::Slow => (
                StatusCode::GATEWAY_TIMEOUT,
                format!("The instance did not begin to answer within {} s.", ANSWER_LIMIT.as_secs()),
            ),
        };
        let mut answer = Response::new(Either::Right(Full::from(sentence + "\n")));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    use hyper_util::client::legacy::connect::HttpConnector;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::super::routes::{Route, RouteTable};
    use super::*;

    type TestClient = Client<HttpConnector, Full<Bytes>>;

    fn client() -> TestClient {
        Client::builder(TokioExecutor::new()).build_http()
    }

    async fn loopback() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn router() -> (Routes, SocketAddr) {
        let (listener, address) = loopback().await;
        let routes = Routes::default();
        tokio::spawn(serve(listener, routes.clone(), 80));
        (routes, address)
    }

    fn lead(routes: &Routes, backends: &[SocketAddr]) {
        let backends = backends.iter().map(SocketAddr::to_string).collect();
        let route = Route { endpoint: "lb.local".into(), backends };
        routes.replace(&RouteTable { hosts: [("shop.local".to_owned(), route)].into() }).unwrap();
    }

    async fn get(client: &TestClient, router: SocketAddr, host: &str) -> (StatusCode, String) {
        let request = Request::get(format!("http://{router}/a?b=1")).header(header::HOST, host);
        let answer = client.request(request.body(Full::default()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// An instance that answers its version until it is told to end, and then ends as a well-behaved server does.
    async fn instance(version: u64) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let (listener, address) = loopback().await;
        let (end, ended) = oneshot::channel::<()>();
        let app = axum::Router::new().fallback(move || async move { version.to_string() });
        let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(ended.await) });
        (address, end, tokio::spawn(async { server.await.unwrap() }))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_hundred_swaps_under_load_lose_no_request_and_never_go_back() {
        let (routes, router) = router().await;
        let (newest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut old = instance(0).await;
        lead(&routes, &[old.0]);
        let load: Vec<_> = (0..4)
            .map(|_| {
                let (newest, stop, client) = (newest.clone(), stop.clone(), client());
                tokio::spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        let known = newest.load(Ordering::SeqCst);
                        let (status, body) = get(&client, router, "shop.local").await;
                        assert_eq!(status, StatusCode::OK, "{body}");
                        let version: u64 = body.parse().unwrap();
                        assert!(version >= known, "{version} answered after {known}");
                        newest.fetch_max(version, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for version in 1..=200 {
            let new = instance(version).await;
            lead(&routes, &[new.0]);
            let (_, end, ended) = std::mem::replace(&mut old, new);
            end.send(()).unwrap();
            while newest.load(Ordering::SeqCst) < version && !load.iter().any(JoinHandle::is_finished) {
                pause(Duration::from_millis(1)).await;
            }
            ended.await.unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        for client in load {
            client.await.unwrap();
        }
    }

    #[tokio::test]
    async fn unknown_names_and_empty_environments_are_told_apart() {
        let (routes, router) = router().await;
        let client = client();
        assert!(get(&client, router, "shop.local").await.1.contains("there is none yet"));
        lead(&routes, &[]);
        let (status, sentence) = get(&client, router, "other.local").await;
        assert!(status == StatusCode::NOT_FOUND && sentence.contains("shop.local"), "{sentence}");
        assert_eq!(get(&client, router, "shop.localhost:1234").await.0, StatusCode::SERVICE_UNAVAILABLE);
        let (closed, address) = loopback().await;
        drop(closed);
        lead(&routes, &[address]);
        assert_eq!(get(&client, router, "lb.local").await.0, StatusCode::BAD_GATEWAY);
    }

    #[tokio::test]
    async fn an_instance_sees_what_a_load_balancer_sends() {
        let (routes, router) = router().await;
        let (listener, address) = loopback().await;
        let app = axum::Router::new().fallback(async |request: axum::extract::Request| {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let named = |name: &str| head.headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
            let names = ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "te", "x-hop"];
            format!("{} {} {} {}", head.method, head.uri, names.map(named).join(" "), body.len())
        });
        tokio::spawn(axum::serve(listener, app).into_future());
        lead(&routes, &[address]);
        let request = Request::post(format!("http://{router}/a?b=1"))
            .header("host", "shop.local:8080")
            .header("x-forwarded-for", "10.9.8.7")
            .header("connection", "X-Hop")
            .header("x-hop", "1")
            .header("te", "trailers")
            .body(Full::from(vec![b'x'; 3_000_000]))
            .unwrap();
        let answer = client().request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let seen = String::from_utf8(answer.to_vec()).unwrap();
        assert_eq!(seen, "POST /a?b=1 shop.local:8080 10.9.8.7, 127.0.0.1 http 80 - - 3000000");
    }

    #[tokio::test]
    async fn a_kept_connection_that_died_is_not_the_clients_problem() {
        let (routes, router) = router().await;
        let (listener, address) = loopback().await;
        // Answers once on each connection, and drops it when the next request has come.
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    if stream.read(&mut buffer).await.unwrap() > 0 {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                    }
                    let _ = stream.read(&mut buffer).await;
                });
            }
        });
        lead(&routes, &[address]);
        let client = client();
        for _ in 0..20 {
            assert_eq!(get(&client, router, "shop.local").await, (StatusCode::OK, "ok".to_owned()));
        }
    }
}
