//! How the daemon is reached: a unix socket, TCP, or TCP with TLS; one connection a request.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bollard::errors::Error;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper::service::Service;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpStream, UnixStream};

use super::DaemonEnv;
use crate::fault::Fault;

/// Where docker's socket is unless `DOCKER_HOST` says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// A byte stream to the daemon.
trait Line: Read + Write + Send + Unpin {}
impl<T: Read + Write + Send + Unpin> Line for T {}

/// A way to the daemon, and the version of the API that was agreed on.
#[derive(Clone)]
pub(super) struct Wire {
    place: Place,
    /// `/v1.41`, put before every path. The client library leaves it out, and a daemon then takes its own newest.
    version: Arc<OnceLock<String>>,
}

/// The daemon's address, and what is needed to open a connection to it.
#[derive(Clone)]
enum Place {
    /// A socket file.
    Unix(PathBuf),
    /// `host:port`, in the clear.
    Tcp(String),
    /// `host:port`, both sides with certificates.
    Tls(String, Arc<rustls::ClientConfig>),
}

impl Place {
    fn from_env(env: &DaemonEnv) -> Result<Self, Fault> {
        let given = |value: &Option<String>| value.clone().filter(|text| !text.trim().is_empty());
        let Some(host) = given(&env.docker_host) else { return Ok(Place::Unix(DEFAULT_SOCKET.into())) };
        let unusable = |why: &str| {
            Fault::new(format!("cannot use DOCKER_HOST={host}"))
                .cause(why)
                .hint("set DOCKER_HOST to unix:///path/to/docker.sock or tcp://host:port, or leave it unset")
        };
        let (scheme, rest) = host.split_once("://").ok_or_else(|| unusable("it has no scheme such as unix://"))?;
        let tls = scheme == "https" || (scheme == "tcp" && given(&env.tls_verify).is_some());
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Place::Unix(rest.into())),
            "unix" => Err(unusable("a socket's path is absolute, so unix:// is followed by a slash")),
            "tcp" | "http" | "https" => {
                let authority =
                    authority(rest, if tls { 2376 } else { 2375 }).ok_or_else(|| unusable("it names no host"))?;
                if !tls {
                    return Ok(Place::Tcp(authority));
                }
                let certificates = given(&env.cert_path).ok_or_else(|| {
                    Fault::new(format!("cannot use TLS to {host}"))
                        .cause("DOCKER_CERT_PATH is not set")
                        .hint("set DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem")
                })?;
                Ok(Place::Tls(authority, Arc::new(tls_config(Path::new(&certificates))?)))
            }
            "ssh" => Err(Fault::new(format!("cannot use DOCKER_HOST={host}"))
                .cause("a daemon behind ssh is not supported")
                .hint(
                    "forward the socket with `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock host`, \
                     and set DOCKER_HOST=unix:///tmp/docker.sock",
                )),
            _ => Err(unusable("only unix:// and tcp:// are supported")),
        }
    }
}

impl Wire {
    /// Reads the address as the docker command does.
    ///
    /// # Errors
    /// The address is one we do not speak, or a TLS file is missing or unreadable.
    pub(super) fn from_env(env: &DaemonEnv) -> Result<Self, Fault> {
        Ok(Self { place: Place::from_env(env)?, version: Arc::default() })
    }

    /// From now on every request is for this version of the API, on every clone. Set once.
    pub(super) fn speak(&self, major: usize, minor: usize) {
        self.version.get_or_init(|| format!("/v{major}.{minor}"));
    }

    /// Whether it is a socket file.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self.place, Place::Unix(_))
    }

    /// Whether the daemon's loopback is ours.
    pub(super) fn is_on_this_machine(&self) -> bool {
        match &self.place {
            Place::Unix(_) => true,
            Place::Tcp(authority) | Place::Tls(authority, _) => {
                let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// Sends one request on a connection of its own. Of its target only path and query count; the answer may be an
    /// upgraded connection.
    ///
    /// # Errors
    /// The connection could not be made, or broke before the head of the answer.
    pub(super) async fn send<B>(self, request: Request<B>) -> Result<Response<Incoming>, Error>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut sender, connection) = http1::handshake(self.open().await?).await?;
        // It ends with the answer's body, or when that is dropped; its error is the answer's error.
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(self.addressed(request)?).await?)
    }

    async fn open(&self) -> io::Result<Box<dyn Line>> {
        Ok(match &self.place {
            Place::Unix(path) => Box::new(TokioIo::new(UnixStream::connect(path).await?)),
            Place::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await?;
                stream.set_nodelay(true)?;
                Box::new(TokioIo::new(stream))
            }
            Place::Tls(authority, config) => {
                let mut tcp = HttpConnector::new();
                tcp.enforce_http(false);
                tcp.set_nodelay(true);
                let connector = hyper_rustls::HttpsConnector::from((tcp, config.clone()));
                let uri: Uri = format!("https://{authority}").parse().map_err(io::Error::other)?;
                Box::new(TowerToHyperService::new(connector).call(uri).await.map_err(io::Error::other)?)
            }
        })
    }

    fn addressed<B>(&self, mut request: Request<B>) -> Result<Request<B>, Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let version = self.version.get().map_or("", String::as_str);
        *request.uri_mut() = format!("{version}{path}").parse::<Uri>()?;
        let host = match &self.place {
            Place::Unix(_) => "docker",
            Place::Tcp(authority) | Place::Tls(authority, _) => authority,
        };
        let host = HeaderValue::from_str(host).map_err(http::Error::from)?;
        request.headers_mut().insert(HOST, host);
        // The daemon reads this header as URL-safe base64 and takes anything else for "no login", without a word
        // (engine API, "Authentication"); the client library writes the other alphabet.
        if let Some(login) = request.headers().get(REGISTRY_AUTH).and_then(|value| value.to_str().ok()) {
            let login = HeaderValue::from_str(&login.replace('+', "-").replace('/', "_")).map_err(http::Error::from)?;
            request.headers_mut().insert(REGISTRY_AUTH, login);
        }
        Ok(request)
    }
}

/// The header that carries a login for one registry.
pub(super) const REGISTRY_AUTH: &str = "x-registry-auth";

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "{}", path.display()),
            Place::Tcp(authority) => write!(f, "tcp://{authority}"),
            Place::Tls(authority, _) => write!(f, "tcp://{authority} (TLS)"),
        }
    }
}

/// `host:port` out of what follows the scheme; nothing after the port counts.
fn authority(rest: &str, default_port: u16) -> Option<String> {
    let uri: Uri = rest.trim_end_matches('/').parse().ok()?;
    let authority = uri.authority()?;
    let host = Some(authority.host()).filter(|host| !host.is_empty())?;
    Some(format!("{host}:{}", authority.port_u16().unwrap_or(default_port)))
}

/// Trusts `ca.pem` alone, and shows `cert.pem`, as the docker command does with `--tlsverify`.
fn tls_config(directory: &Path) -> Result<rustls::ClientConfig, Fault> {
    let unusable = |name: &str| {
        let path = directory.join(name);
        Fault::new(format!("could not read the docker daemon's TLS file {}", path.display()))
            .hint("DOCKER_CERT_PATH must name a directory with ca.pem, cert.pem and key.pem")
    };
    let certificates = |name: &str| -> Result<Vec<CertificateDer<'static>>, Fault> {
        let found = CertificateDer::pem_file_iter(directory.join(name))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unusable(name).because(error))?;
        if found.is_empty() { Err(unusable(name).cause("it holds no certificate")) } else { Ok(found) }
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates("ca.pem")? {
        roots.add(certificate).map_err(|error| unusable("ca.pem").because(error))?;
    }
    let key =
        PrivateKeyDer::from_pem_file(directory.join("key.pem")).map_err(|error| unusable("key.pem").because(error))?;
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("ca.pem").because(error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|error| unusable("cert.pem").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(host: &str) -> Wire {
        Wire::from_env(&DaemonEnv { docker_host: Some(host.into()), ..DaemonEnv::default() }).unwrap()
    }

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        let cases = [
            ("", "/var/run/docker.sock", true),
            ("unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock", true),
            ("tcp://docker:2375", "tcp://docker:2375", false),
            ("tcp://docker/", "tcp://docker:2375", false),
            ("http://localhost:1", "tcp://localhost:1", true),
            ("tcp://127.1.2.3", "tcp://127.1.2.3:2375", true),
            ("tcp://[::1]:2375", "tcp://[::1]:2375", true),
        ];
        for (host, shown, here) in cases {
            assert_eq!((wire(host).to_string(), wire(host).is_on_this_machine()), (shown.to_owned(), here), "{host}");
        }
    }

    #[test]
    fn a_request_gets_the_version_a_host_and_a_login_that_the_daemon_can_read() {
        let wire = wire("tcp://docker:2375");
        let request = || {
            // What `?>?` becomes in the standard alphabet, which the daemon does not read.
            Request::get("http://docker/images/json?all=1").header(REGISTRY_AUTH, "Pz4/+A==").body(()).unwrap()
        };
        assert_eq!(wire.addressed(request()).unwrap().uri(), "/images/json?all=1");
        wire.clone().speak(1, 41);
        let sent = wire.addressed(request()).unwrap();
        assert_eq!(sent.uri(), "/v1.41/images/json?all=1");
        assert_eq!(
            (&sent.headers()[HOST], &sent.headers()[REGISTRY_AUTH]),
            (&HeaderValue::from_static("docker:2375"), &HeaderValue::from_static("Pz4_-A=="),)
        );
    }
}
