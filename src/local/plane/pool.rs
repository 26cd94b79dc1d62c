//! Connections to instances: opened for a request, kept for the next one, dropped when the instance leaves the table.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::routes::Routes;

/// What is sent to an instance: the client's body as it comes in, or nothing.
pub type Outgoing = Either<Incoming, Empty<Bytes>>;

/// An HTTP/1.1 connection to an instance.
#[derive(Debug)]
pub struct Backend {
    sender: SendRequest<Outgoing>,
    ended: oneshot::Receiver<Infallible>,
}

impl Backend {
    /// Sends a request. With the answer comes the connection, unless it has ended.
    ///
    /// # Errors
    /// hyper's, with the request in it if nothing of it was sent.
    pub async fn send(
        mut self,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Option<Self>), TrySendError<Request<Outgoing>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        tokio::select! {
            biased;
            answer = &mut answer => return answer.map(|answer| (answer, Some(self))),
            _ = &mut self.ended => {}
        }
        // A request that is queued in the moment in which the connection's task ends stays in the queue for as long as
        // we hold the sending end (seen with hyper 1.12 under load); without it, it comes back as unsent.
        drop(self);
        answer.await.map(|answer| (answer, None))
    }
}

/// Opening a connection to a container beside us takes far less, unless it is gone.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Idle connections kept to one instance.
const KEPT: usize = 32;

/// Idle connections by instance. Clones share them.
#[derive(Clone, Debug)]
pub struct Pool {
    idle: Arc<Mutex<HashMap<SocketAddr, Vec<Backend>>>>,
    routes: Routes,
}

impl Pool {
    /// A pool that keeps connections to instances of this table only.
    pub fn new(routes: Routes) -> Self {
        Self { idle: Arc::default(), routes }
    }

    /// An idle connection, if there is one that is not known to be dead.
    pub fn idle(&self, backend: SocketAddr) -> Option<Backend> {
        let mut idle = self.lock();
        let connections = idle.get_mut(&backend)?;
        std::iter::from_fn(|| connections.pop()).find(|connection| connection.sender.is_ready())
    }

    /// A new connection.
    pub async fn open(&self, backend: SocketAddr) -> io::Result<Backend> {
        let stream = timeout(CONNECT_LIMIT, TcpStream::connect(backend)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            // What went wrong is told to the request that was on it.
            drop(connection.await);
            drop(end);
        });
        Ok(Backend { sender, ended })
    }

    /// Takes a connection back as soon as the answer on it has been read to its end.
    pub fn keep(&self, backend: SocketAddr, mut connection: Backend) {
        let pool = self.clone();
        tokio::spawn(async move {
            if connection.sender.ready().await.is_ok() && pool.routes.now().has_backend(backend) {
                let mut idle = pool.lock();
                let kept = idle.entry(backend).or_default();
                if kept.len() < KEPT {
                    kept.push(connection);
                }
            }
        });
    }

    /// Closes idle connections to instances that leave the table, for as long as there is a table.
    pub async fn follow_table(&self) {
        let mut tables = self.routes.watch();
        while tables.changed().await.is_ok() {
            let names = tables.borrow_and_update().clone();
            self.lock().retain(|backend, _| names.has_backend(*backend));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Backend>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
