//! Logins that the daemon is lent while it builds, looked for when it asks.

use tokio::sync::{mpsc, oneshot};

use super::Login;
use super::image::is_docker_hub;
use crate::image::Repository;

/// Asks for the login of a registry's host. Which hosts a build needs is known only when BuildKit asks for them. Without
/// a holder there are none.
#[derive(Clone, Debug, Default)]
pub struct Keys(Option<mpsc::UnboundedSender<Wish>>);

/// The other end of [`Keys`]: what is asked for.
#[derive(Debug)]
pub struct Wishes(mpsc::UnboundedReceiver<Wish>);

/// One question.
#[derive(Debug)]
pub struct Wish {
    /// The host as images name it: `docker.io` for Docker Hub.
    pub host: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Option<Login>>,
}

impl Keys {
    /// Keys, and the end where they are asked for.
    pub fn pair() -> (Self, Wishes) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(sender)), Wishes(receiver))
    }

    /// The login for a host, by any of its names.
    pub async fn find(&self, host: &str) -> Option<Login> {
        let host = if is_docker_hub(host) { Repository::DOCKER_HUB } else { host };
        let (answer, answered) = oneshot::channel();
        self.0.as_ref()?.send(Wish { host: host.to_owned(), answer }).ok()?;
        answered.await.ok().flatten()
    }
}

impl Wishes {
    /// The next question; `None` when nobody can ask any more.
    pub async fn next(&mut self) -> Option<Wish> {
        self.0.recv().await
    }
}
