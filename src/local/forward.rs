//! Makes the data plane's published ports answer where this process is.
//!
//! They are published on the daemon's 127.0.0.1. On the same machine that is ours too; in a container of our own (a step of
//! GitHub Actions, `docker run` with the socket) it is not, and every connection is carried by an `exec` in the data plane.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::docker::Docker;
use crate::fault::Fault;

/// A forwarded port; it ends when this is dropped.
#[derive(Debug)]
pub struct Forward(JoinHandle<()>);

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes `127.0.0.1:port` lead to `inside` of the container, unless it does already.
///
/// # Errors
/// When the port is taken here by something else.
pub async fn ensure(docker: &Docker, container: &str, port: u16, inside: u16) -> Result<Option<Forward>, Fault> {
    let direct = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await;
    if matches!(direct, Ok(Ok(_))) {
        return Ok(None);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        Fault::new(format!("could not reach the local cloud's port {port}"))
            .because(error)
            .hint("is a firewall in front of the loopback interface?")
    })?;
    let (docker, container) = (docker.clone(), container.to_owned());
    Ok(Some(Forward(tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(carry(docker.clone(), container.clone(), connection, inside));
        }
    }))))
}

async fn carry(docker: Docker, container: String, mut connection: TcpStream, inside: u16) {
    let address = format!("127.0.0.1:{inside}");
    let Ok(mut pipe) = docker.exec_pipe(&container, &["/beanline", "pipe", &address]).await else {
        // The client sees its connection close, and says so better than we could.
        return;
    };
    let (mut from_client, mut to_client) = connection.split();
    let out = async {
        let _ = copy(&mut from_client, &mut pipe.writer).await;
        let _ = pipe.writer.shutdown().await;
    };
    let back = async {
        let _ = copy(&mut pipe.reader, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(out, back);
}

/// The other end: joins standard input and output with a connection. Run inside the data plane.
///
/// # Errors
/// When nothing listens there.
pub async fn pipe(address: &str) -> Result<(), Fault> {
    let mut connection = TcpStream::connect(address)
        .await
        .map_err(|error| Fault::new(format!("could not connect to {address}")).because(error))?;
    let (mut read, mut write) = connection.split();
    let out = async {
        let _ = copy(&mut tokio::io::stdin(), &mut write).await;
        let _ = write.shutdown().await;
    };
    let mut stdout = tokio::io::stdout();
    let back = async {
        let _ = copy(&mut read, &mut stdout).await;
        let _ = stdout.flush().await;
    };
    // The answer's end is the end: a client that keeps its side open must not keep us.
    tokio::select! {
        ((), ()) = async { tokio::join!(out, std::future::pending::<()>()) } => {}
        () = back => {}
    }
    Ok(())
}
