//! Byte streams into containers: what a helper says on standard output, and what it is told on standard input.

use std::io;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::AttachContainerOptions;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

use super::Docker;
use super::again::again;
use super::refusal::refused;
use crate::fault::Fault;

/// Both ends of a process in a container. Shutting the writer down ends its standard input.
pub struct Pipe {
    /// Its standard output, and nothing else.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// Its standard input.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Docker {
    /// Standard input and output of a container's first process, which must have been made with `open_stdin`. Called
    /// before the start, nothing is missed. Standard error goes to the container's log alone.
    ///
    /// # Errors
    /// No such container, or the daemon refuses.
    pub async fn attach_pipe(&self, container: &str) -> Result<Pipe, Fault> {
        let options = AttachContainerOptions { stream: true, stdin: true, stdout: true, ..Default::default() };
        let attached = self.client.attach_container(container, Some(options)).await;
        let attached =
            attached.map_err(|error| refused(format!("could not attach to container {container}"), error))?;
        Ok(Pipe { reader: Box::new(stdout(attached.output)), writer: Box::new(attached.input) })
    }

    /// Starts a process in a running container. Standard error is dropped; a program that is not there shows as an
    /// end of the output.
    ///
    /// # Errors
    /// The container does not run, or the daemon refuses.
    pub async fn exec_pipe(&self, container: &str, argv: &[&str]) -> Result<Pipe, Fault> {
        let what = format!("could not run {} in container {container}", argv.first().unwrap_or(&"nothing"));
        let config = &ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            cmd: Some(argv.iter().map(|&word| word.to_owned()).collect()),
            ..Default::default()
        };
        // One that nobody starts goes with its container.
        let exec = again(&what, |_| async move { self.client.create_exec(container, config.clone()).await }).await?;
        match self.client.start_exec(&exec.id, None::<StartExecOptions>).await {
            Ok(StartExecResults::Attached { output, input }) => {
                Ok(Pipe { reader: Box::new(stdout(output)), writer: Box::new(input) })
            }
            Ok(StartExecResults::Detached) => Err(Fault::new(what).cause("the docker daemon did not attach to it")),
            Err(error) => Err(refused(what, error)),
        }
    }
}

fn stdout(output: impl Stream<Item = Result<LogOutput, Error>> + Send + Unpin) -> impl AsyncRead + Send + Unpin {
    let chunks = output.map_err(io::Error::other).try_filter_map(|chunk| {
        std::future::ready(Ok(match chunk {
            LogOutput::StdOut { message } => Some(message),
            _ => None::<Bytes>,
        }))
    });
    StreamReader::new(chunks)
}
