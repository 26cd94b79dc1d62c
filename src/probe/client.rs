//! [`Prober`]: asks questions from inside a docker network, through a helper container of our own program.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;

use super::{Answer, Finding, HttpFinding, HttpQuestion, Question, Request};
use crate::docker::{ContainerSpec, Docker, Labels};
use crate::engine::StageCx;
use crate::engine::undo::Undo;
use crate::fault::Fault;

/// How long an answer may take beyond the question's own limit.
const SLACK: Duration = Duration::from_secs(5);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Finding>>>>;

/// Where questions are asked from.
#[derive(Clone, Debug, Default)]
pub struct Standpoint {
    /// The docker network; the daemon's default one, if absent.
    pub network: Option<String>,
    /// The name server that containers there are given.
    pub dns: Option<IpAddr>,
}

/// One helper, with any number of questions under way.
pub struct Prober {
    writer: tokio::sync::Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
    waiting: Waiting,
    next: AtomicU64,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Prober {
    /// Starts the helper container; it is removed when the stage ends.
    ///
    /// # Errors
    /// When the daemon cannot start it.
    pub async fn start(
        cx: &StageCx,
        docker: &Docker,
        name: &str,
        standpoint: &Standpoint,
        labels: &Labels,
    ) -> Result<Self, Fault> {
        let own = docker.own_image(labels).await?;
        if own.imported {
            cx.at_end(Undo::RemoveImage { reference: own.reference.clone() });
        }
        let spec = ContainerSpec {
            name: name.to_owned(),
            image: own.reference,
            entrypoint: Some(vec!["/beanline".into()]),
            command: Some(vec!["probe".into()]),
            labels: labels.clone(),
            network: standpoint.network.clone(),
            dns: standpoint.dns.iter().map(IpAddr::to_string).collect(),
            open_stdin: true,
            ..ContainerSpec::default()
        };
        cx.cleanup(Undo::RemoveContainer { name: name.to_owned() });
        if let Err(fault) = docker.create(&spec).await {
            // Another run of the same program may have taken the image away between our look and our use of it.
            docker.own_image(labels).await?;
            docker.create(&spec).await.map_err(|_| fault)?;
        }
        let pipe = docker.attach_pipe(name).await?;
        docker.start(name).await?;
        Ok(Self::over(pipe.reader, pipe.writer))
    }

    /// Asks from this process itself: for runs without a daemon.
    pub fn here() -> Self {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (input, output) = tokio::io::split(theirs);
        tokio::spawn(async move {
            // It ends when the prober is dropped; a broken pipe then is no news.
            let _ = super::serve::serve(input, output).await;
        });
        let (reader, writer) = tokio::io::split(ours);
        Self::over(Box::new(reader), Box::new(writer))
    }

    fn over(reader: Box<dyn AsyncRead + Send + Unpin>, writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let waiting = Waiting::default();
        let known = waiting.clone();
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(answer) = serde_json::from_str::<Answer>(&line) {
                    let asker = known.lock().unwrap_or_else(PoisonError::into_inner).remove(&answer.id);
                    // Who asked may have stopped waiting.
                    asker.into_iter().for_each(|asker| drop(asker.send(answer.finding.clone())));
                }
            }
            // Nobody answers any more: those who wait see their channel close.
            known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Self { writer: tokio::sync::Mutex::new(writer), waiting, next: AtomicU64::new(1), reader }
    }

    /// Sends an HTTP request from there.
    ///
    /// # Errors
    /// A sentence: refused, timed out, name not known.
    pub async fn http(&self, question: HttpQuestion) -> Result<HttpFinding, String> {
        let limit = Duration::from_millis(question.timeout_ms);
        match self.ask(Question::Http(question), limit).await? {
            Finding::Http(answer) => Ok(answer),
            Finding::Error { error } => Err(error),
            _ => Err("the helper gave another answer than was asked for".into()),
        }
    }

    /// Resolves a name there.
    ///
    /// # Errors
    /// A sentence: name not known, no answer.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let limit = Duration::from_secs(10);
        let question = Question::Resolve { name: name.to_owned(), timeout_ms: limit.as_millis() as u64 };
        match self.ask(question, limit).await? {
            Finding::Resolve { addresses } => Ok(addresses),
            Finding::Error { error } => Err(error),
            _ => Err("the helper gave another answer than was asked for".into()),
        }
    }

    /// Opens a TCP connection from there, and closes it again.
    ///
    /// # Errors
    /// A sentence: refused, timed out, name not known.
    pub async fn tcp(&self, address: &str, limit: Duration) -> Result<(), String> {
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        match self.ask(Question::Tcp { address: address.to_owned(), timeout_ms }, limit).await? {
            Finding::Tcp { .. } => Ok(()),
            Finding::Error { error } => Err(error),
            _ => Err("the helper gave another answer than was asked for".into()),
        }
    }

    async fn ask(&self, question: Question, limit: Duration) -> Result<Finding, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let mut line = serde_json::to_string(&Request { id, question }).map_err(|error| error.to_string())?;
        line.push('\n');
        let mut writer = self.writer.lock().await;
        let sent = async {
            writer.write_all(line.as_bytes()).await?;
            writer.flush().await
        };
        sent.await.map_err(|error| format!("the helper container is gone: {error}"))?;
        drop(writer);
        match tokio::time::timeout(limit + SLACK, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err("the helper container is gone".into()),
            Err(_) => Err(format!("no answer within {}", crate::engine::in_words(limit))),
        }
    }
}
