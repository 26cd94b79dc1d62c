//! The data plane of the local cloud: registry, router, DNS responder and their admin API in one process, which is the
//! only one of its container.

mod admin;
mod ask;
mod client;
mod dns;
mod headers;
mod pool;
mod registry;
mod router;
mod routes;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::inputs::secret::Secret;
pub use client::PlaneClient;
use dns::Responder;
use registry::Registry;
pub use registry::{RegistryImage, RegistryManifest, RegistryRefusal, RegistryRepository, RegistryWrite, WriteKind};
pub use routes::{Route, RouteTable, Routes};

/// Port of the registry inside the container.
pub const REGISTRY_PORT: u16 = 5000;
/// Port of the router inside the container.
pub const ROUTER_PORT: u16 = 80;
/// Port of the admin API inside the container.
pub const ADMIN_PORT: u16 = 7000;
/// Port of the DNS responder inside the container, UDP and TCP.
pub const DNS_PORT: u16 = 53;

/// The user that the registry takes, as ECR's authorization tokens name it.
pub const REGISTRY_USER: &str = "AWS";

/// How often the wall clock is compared with the expiry: a machine that slept must not prolong a plane's life.
const EXPIRY_CHECK: Duration = Duration::from_secs(30);

/// Everything the data plane is told; addresses are values so that several can live on one loopback interface.
#[derive(Clone, Debug)]
pub struct PlaneConfig {
    /// Where the registry listens.
    pub registry: SocketAddr,
    /// Where the router listens.
    pub router: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// Where the DNS responder listens, UDP and TCP.
    pub dns: SocketAddr,
    /// Where blobs are kept; made when it is missing.
    pub directory: PathBuf,
    /// What [`REGISTRY_USER`] logs in with.
    pub registry_password: Secret,
    /// The bearer token of the admin API.
    pub admin_token: Secret,
    /// Unix seconds at which the process ends itself.
    pub expires: i64,
    /// Domains the DNS responder is the authority for (`local.elasticbeanstalk.com`).
    pub suffixes: Vec<String>,
    /// The router's address in DNS answers; `None` is the address on which the query arrived.
    pub dns_answer: Option<Ipv4Addr>,
    /// Seconds for which a DNS answer may be kept. Beanstalk's own is 60; locally nobody should wait for a swap.
    pub dns_ttl: u32,
}

impl PlaneConfig {
    /// The addresses of a data plane that has a container to itself.
    pub fn in_container(
        registry_password: Secret,
        admin_token: Secret,
        expires: i64,
        suffixes: impl IntoIterator<Item = String>,
    ) -> Self {
        let anywhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            registry: anywhere(REGISTRY_PORT),
            router: anywhere(ROUTER_PORT),
            admin: anywhere(ADMIN_PORT),
            dns: anywhere(DNS_PORT),
            directory: PathBuf::from("/var/lib/beanline/registry"),
            registry_password,
            admin_token,
            expires,
            suffixes: suffixes.into_iter().collect(),
            dns_answer: None,
            dns_ttl: 1,
        }
    }
}

/// Where the parts of a bound plane really listen.
#[derive(Clone, Copy, Debug)]
pub struct PlaneAddresses {
    /// The registry.
    pub registry: SocketAddr,
    /// The router.
    pub router: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    /// The DNS responder over UDP.
    pub dns_udp: SocketAddr,
    /// The DNS responder over TCP.
    pub dns_tcp: SocketAddr,
}

/// A data plane whose sockets are open, and which [`Plane::run`] lets answer.
#[derive(Debug)]
pub struct Plane {
    config: PlaneConfig,
    addresses: PlaneAddresses,
    registry: TcpListener,
    router: TcpListener,
    admin: TcpListener,
    dns_udp: UdpSocket,
    dns_tcp: TcpListener,
}

impl Plane {
    /// Opens all sockets and the directory.
    ///
    /// # Errors
    /// When an address is taken or the directory cannot be made.
    pub async fn bind(config: PlaneConfig) -> Result<Self, Fault> {
        let registry = listen("the registry", config.registry).await?;
        let router = listen("the router", config.router).await?;
        let admin = listen("the admin API", config.admin).await?;
        let dns_tcp = listen("the DNS responder", config.dns).await?;
        let udp = UdpSocket::bind(config.dns).await;
        let dns_udp = udp.map_err(|error| no_socket("the DNS responder", config.dns, error))?;
        let addresses = PlaneAddresses {
            registry: address(&registry)?,
            router: address(&router)?,
            admin: address(&admin)?,
            dns_udp: dns_udp.local_addr().map_err(|error| no_socket("the DNS responder", config.dns, error))?,
            dns_tcp: address(&dns_tcp)?,
        };
        Ok(Self { config, addresses, registry, router, admin, dns_udp, dns_tcp })
    }

    /// Where it listens.
    pub fn addresses(&self) -> PlaneAddresses {
        self.addresses
    }

    /// Answers until the expiry, or until one of the servers cannot go on.
    ///
    /// # Errors
    /// When the directory cannot be made or a server's socket broke.
    pub async fn run(self) -> Result<(), Fault> {
        let config = self.config;
        let routes = Routes::default();
        let registry = Arc::new(Registry::open(&config.directory, config.registry_password.clone()).await?);
        let responder = Arc::new(Responder {
            routes: routes.clone(),
            suffixes: config.suffixes.iter().map(|suffix| routes::plain(suffix)).collect(),
            answer: config.dns_answer,
            ttl: config.dns_ttl,
        });
        let admin = axum::serve(self.admin, admin::service(routes.clone(), registry.clone(), config.admin_token));
        let registry = axum::serve(self.registry, registry::service(registry));
        let stopped = |what| move |error| Fault::new(format!("{what} stopped answering")).because(error);
        tokio::select! {
            ended = registry.into_future() => ended.map_err(stopped("the registry")),
            ended = admin.into_future() => ended.map_err(stopped("the admin API")),
            () = router::serve(self.router, routes, self.addresses.router.port()) => Ok(()),
            ended = responder.clone().serve_udp(self.dns_udp) => ended.map_err(stopped("the DNS responder")),
            () = responder.serve_tcp(self.dns_tcp) => Ok(()),
            () = expiry(config.expires) => Ok(()),
        }
    }
}

/// Runs a data plane until SIGTERM, SIGINT or its expiry. Fit to be PID 1: it starts no processes, so it reaps none.
///
/// # Errors
/// When a socket, the directory or a signal handler is refused.
pub async fn serve(config: PlaneConfig) -> Result<(), Fault> {
    let refused = |error| Fault::new("could not install a signal handler").because(error);
    // Handlers first: the kernel does not end a PID 1 by a signal it has no handler for.
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let plane = Plane::bind(config).await?;
    tokio::select! {
        ended = plane.run() => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

async fn expiry(expires: i64) {
    loop {
        let left = expires - Utc::now().timestamp();
        match u64::try_from(left) {
            Ok(seconds) if seconds > 0 => pause(EXPIRY_CHECK.min(Duration::from_secs(seconds))).await,
            _ => return,
        }
    }
}

async fn listen(what: &str, address: SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).await.map_err(|error| no_socket(what, address, error))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Fault> {
    listener.local_addr().map_err(|error| Fault::new("could not read a listener's own address").because(error))
}

fn no_socket(what: &str, address: SocketAddr, error: std::io::Error) -> Fault {
    Fault::new(format!("could not let {what} of the local cloud listen on {address}")).because(error)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Request, StatusCode};
    use http_body_util::Full;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use serde_json::json;

    use super::*;

    /// A plane on loopback that is gone, with its directory, when this is.
    struct Running(PlaneAddresses, PathBuf, tokio::task::JoinHandle<Result<(), Fault>>);

    impl Running {
        async fn start(expires: i64) -> Self {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let directory = std::env::temp_dir().join(format!("beanline-plane-{}", uuid::Uuid::new_v4()));
            let suffixes = ["local.elasticbeanstalk.com".to_owned()];
            let config = PlaneConfig {
                registry: any,
                router: any,
                admin: any,
                dns: any,
                directory: directory.clone(),
                ..PlaneConfig::in_container(Secret::new("obvious-fake"), Secret::new("token"), expires, suffixes)
            };
            let plane = Plane::bind(config).await.unwrap();
            Self(plane.addresses(), directory, tokio::spawn(plane.run()))
        }

        fn client(&self, token: &str) -> PlaneClient {
            PlaneClient::new(self.0.admin.to_string(), Secret::new(token))
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.2.abort();
            let _ = std::fs::remove_dir_all(&self.1);
        }
    }

    #[tokio::test]
    async fn the_control_plane_moves_routes_and_asks_instances() {
        let plane = Running::start(i64::MAX).await;
        let client = plane.client("token");
        client.health().await.unwrap();
        let refused = plane.client("other").health().await.unwrap_err();
        assert!(refused.to_string().contains("401") && refused.to_string().contains("token"), "{refused}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let instance = listener.local_addr().unwrap().to_string();
        let app = axum::Router::new().route("/ping", axum::routing::get(async || "pong"));
        tokio::spawn(axum::serve(listener, app).into_future());
        let limit = Duration::from_secs(5);
        assert_eq!(client.ask(&instance, "/ping", limit).await, Ok(200));
        assert_eq!(client.ask(&instance, "/", limit).await, Ok(404));
        assert!(client.ask("127.0.0.1:1", "/", limit).await.unwrap_err().contains("refused"));
        let table = |backend: &str| {
            let route = Route { endpoint: "lb.local".into(), backends: vec![backend.to_owned()] };
            RouteTable { hosts: [("shop.local".to_owned(), route)].into() }
        };
        client.route(&table(&instance)).await.unwrap();
        assert!(client.route(&table("web:80")).await.unwrap_err().to_string().contains("`web:80`"));
        let request = Request::get(format!("http://{}/ping", plane.0.router)).header("host", "shop.localhost:1");
        let plain = Client::builder(TokioExecutor::new()).build_http();
        assert_eq!(
            plain.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap().status(),
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn the_control_plane_keeps_repositories_and_tags_without_a_push() {
        let plane = Running::start(i64::MAX).await;
        let client = plane.client("token");
        assert!(client.create_repository("team/shop", false).await.unwrap());
        assert!(!client.create_repository("team/shop", true).await.unwrap());
        assert!(client.create_repository("Shop", false).await.unwrap_err().to_string().contains("'Shop'"));
        assert_eq!(client.repositories().await.unwrap().len(), 1);
        assert_eq!(client.images("other").await.unwrap(), None);
        // An index of nothing needs no blobs.
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
        let digest = client.put_manifest("team/shop", "1", kind, &index).await.unwrap().unwrap();
        client.put_manifest("team/shop", "2", kind, &index).await.unwrap().unwrap();
        let refused = client.put_manifest("other", "1", kind, &index).await.unwrap().unwrap_err();
        assert_eq!(refused.code, "NAME_UNKNOWN");
        let images = client.images("team/shop").await.unwrap().unwrap();
        assert_eq!((images.len(), images[0].tags.join(" ")), (1, "1 2".to_owned()));
        let manifest = client.manifest("team/shop", "2").await.unwrap().unwrap();
        assert_eq!((manifest.digest, manifest.body), (digest, index));
        assert!(client.remove_manifest("team/shop", "1").await.unwrap());
        assert!(!client.remove_manifest("team/shop", "1").await.unwrap());
        let log = client.registry_log().await.unwrap();
        let log: Vec<_> = log.iter().map(|write| (write.method.as_str(), write.reference.as_str())).collect();
        assert_eq!(log, [("PUT", "1"), ("PUT", "2"), ("DELETE", "1")]);
        assert!(client.remove_repository("team/shop").await.unwrap());
        assert!(!client.remove_repository("team/shop").await.unwrap());
    }

    #[tokio::test]
    async fn the_registry_lets_nobody_in_without_the_password() {
        let plane = Running::start(i64::MAX).await;
        let plain = Client::builder(TokioExecutor::new()).build_http();
        // `AWS:obvious-fake` and `AWS:wrong`.
        for (login, status) in [("QVdTOm9idmlvdXMtZmFrZQ==", 200), ("QVdTOndyb25n", 401)] {
            let request = Request::get(format!("http://{}/v2/", plane.0.registry));
            let request = request.header("authorization", format!("Basic {login}"));
            let answer = plain.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401);
            assert_eq!(answer.headers()["docker-distribution-api-version"], "registry/2.0");
        }
    }

    #[tokio::test]
    async fn a_plane_whose_time_is_over_ends_itself() {
        let mut plane = Running::start(Utc::now().timestamp()).await;
        assert!((&mut plane.2).await.unwrap().is_ok());
    }
}
