//! Keeps one check run in step: always sends the newest state, never two requests at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};

use super::client::{Client, Opened, Way};
use super::links::Links;
use super::pages::Pages;
use super::request::{Opening, Update};
use super::status::StatusUpdate;
use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;

/// How long one request is repeated. The end of the run is bounded elsewhere, and by less.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest wait between two attempts: whoever waits is not told that the run was cancelled.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// What a check run is called, and where.
#[derive(Debug)]
pub struct Target {
    /// GitHub.
    pub client: Arc<Client>,
    /// The check run's name.
    pub name: String,
    /// What it is found by again.
    pub external_id: String,
    /// Where its log is.
    pub run_url: Option<String>,
    /// The commit status that GitHub took last, where it is statuses that it gets.
    pub taken: Mutex<Option<StatusUpdate>>,
    /// How far its annotations are sent.
    pub annotated: Mutex<Pages>,
    /// Who wants to know where people read it.
    pub links: Links,
}

/// One check run to be.
#[derive(Debug)]
pub struct Follower {
    /// What it is called, and where.
    pub target: Arc<Target>,
    /// The state it should be in; it is over when the sender is gone.
    pub wanted: watch::Receiver<Update>,
    /// How many requests may be under way at once.
    pub pace: Arc<Semaphore>,
}

/// A place in the order in which check runs are opened: GitHub shows them so.
#[derive(Debug)]
pub struct Turn {
    /// Which it is, from 0 on. The first is opened before any other.
    pub number: usize,
    /// How many may be opened by now.
    pub open: Arc<watch::Sender<usize>>,
}

impl Turn {
    async fn come(&self) {
        // An error would mean that the sender, which we hold ourselves, is gone.
        let _ = self.open.subscribe().wait_for(|open| *open >= self.number).await;
    }

    fn pass(&self) {
        self.open.send_modify(|open| *open = (*open).max(self.number + 1));
    }
}

impl Follower {
    /// Opens the check run and follows what is wanted of it to the end.
    ///
    /// # Errors
    /// When it could not be opened, when GitHub refuses us, or when its last state could not be sent.
    pub async fn run(mut self, turn: Turn) -> Result<(), Fault> {
        turn.come().await;
        let mut id = None;
        loop {
            let pace = self.pace.clone();
            let permit = pace.acquire().await;
            if turn.number > 0 {
                turn.pass();
            }
            let last = match id {
                Some(id) => self.update(id).await,
                // One that could not be opened is tried again with the next state.
                None => self.open().await.map(|opened| id = Some(opened)),
            };
            turn.pass();
            drop(permit);
            if self.target.client.is_refused() || self.wanted.changed().await.is_err() {
                return last;
            }
        }
    }

    async fn open(&mut self) -> Result<u64, Fault> {
        let (target, mut wanted) = (self.target.clone(), self.wanted.clone());
        let opened = repeated(move |attempt| {
            let (target, update) = (target.clone(), wanted.borrow_and_update().clone());
            let seen = wanted.clone();
            async move { target.open(attempt, &update).await.map(|opened| (opened, seen)) }
        });
        let ((id, is_behind), seen) = opened.await?;
        self.wanted = seen;
        if is_behind {
            self.wanted.mark_changed();
        }
        Ok(id)
    }

    async fn update(&mut self, id: u64) -> Result<(), Fault> {
        let (target, mut wanted) = (self.target.clone(), self.wanted.clone());
        let updated = repeated(move |_| {
            // Between attempts the run goes on: the newest state is sent.
            let (target, update) = (target.clone(), wanted.borrow_and_update().clone());
            let seen = wanted.clone();
            async move { target.update(id, &update).await.map(|()| seen) }
        });
        self.wanted = updated.await?;
        Ok(())
    }
}

/// A call that is repeated, as a value that may move between threads: the compiler cannot see that through the closure.
pub(super) fn repeated<T: Send + 'static, F: Future<Output = Result<T, Failure>> + Send + 'static>(
    mut call: impl FnMut(u32) -> F + Send + 'static,
) -> BoxFuture<'static, Result<T, Fault>> {
    // A closure of a known type is what `retry` takes for an asynchronous one.
    let call = move |attempt| call(attempt);
    Box::pin(
        async move { retry(Policy { longest_wait: LONGEST_WAIT, ..Policy::within(PATIENCE) }, |_| (), call).await },
    )
}

impl Target {
    /// Opens the check run, or finds that an earlier attempt did. Beside its id stands whether GitHub does not know all of
    /// the state yet.
    async fn open(&self, attempt: u32, update: &Update) -> Result<(u64, bool), Failure> {
        if self.client.way() == Way::Statuses {
            // A status has no id: its context is its name.
            return self.status(update).await.map(|()| (0, false));
        }
        if attempt > 1
            && let Some(found) = self.client.find(&self.name, &self.external_id).await?
        {
            return Ok((self.opened(found), true));
        }
        let opening = Opening {
            name: &self.name,
            head_sha: self.client.sha(),
            details_url: self.run_url.as_deref(),
            external_id: &self.external_id,
            // Annotations come with updates alone, where what is refused and what is taken is kept count of.
            update: &update.with_annotations(0..0),
        };
        let opened = self.client.create(&opening).await?;
        Ok((self.opened(opened), update.annotations() > 0))
    }

    fn opened(&self, opened: Opened) -> u64 {
        self.links.learn(&self.name, opened.url);
        opened.id
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.annotated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a state, with its annotations in as many requests as they need.
    async fn update(&self, id: u64, update: &Update) -> Result<(), Failure> {
        if self.client.way() == Way::Statuses {
            return self.status(update).await;
        }
        loop {
            if self.pages().are_in_doubt() {
                let count = self.client.annotations(id).await?;
                self.pages().counted(count);
            }
            let page = self.pages().next(update.annotations());
            match self.client.update(id, &update.with_annotations(page.clone())).await {
                Err(Failure::Final(_)) if !page.is_empty() && !self.client.is_refused() => {
                    self.pages().refused(&page);
                    continue;
                }
                Err(failure) if !page.is_empty() => {
                    self.pages().unanswered(page);
                    return Err(failure);
                }
                answer => answer?,
            }
            self.pages().taken(&page);
            if page.end >= update.annotations() {
                return Ok(());
            }
        }
    }

    /// Gives the commit a status, unless it shows the same already: a context may have a thousand on one commit.
    async fn status(&self, update: &Update) -> Result<(), Failure> {
        let status = StatusUpdate::of(&self.name, self.run_url.as_deref(), update);
        if self.taken.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&status) {
            return Ok(());
        }
        self.client.write(&format!("statuses/{}", self.client.sha()), &status).await?;
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        Ok(())
    }
}
