//! [`Book`]: a run's hold on the journal of one site. It takes its place in the line, keeps it while the run lives, and
//! changes the document as long as it owns the site.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::desk::{Desk, Store, Trouble};
use super::{Claim, Journal, Place};
use crate::engine::retry::pause;
use crate::fault::Fault;

/// How fast a journal's claims age.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// How long a claim holds without being renewed.
    pub length: Duration,
    /// How often it is renewed.
    pub renewal: Duration,
    /// How often one who waits looks.
    pub look: Duration,
    /// How long an access is repeated.
    pub patience: Duration,
}

/// The run's hold. Dropping it ends the renewal, and the claim expires.
pub struct Book<S> {
    desk: Arc<Desk<S>>,
    lost: Arc<AtomicBool>,
    renewal: Mutex<Option<JoinHandle<()>>>,
}

/// What one who waits is told.
pub struct Waiting<'a> {
    /// Whom for.
    pub owner: &'a Claim,
    /// How many are before us, the owner included.
    pub before: usize,
}

/// Why a run does not get the site.
#[derive(Debug)]
pub enum Refused {
    /// Somebody has it, and we do not wait, or not any longer.
    Busy(Claim),
    /// We may not use the journal.
    Denied(Fault),
    /// The journal cannot be used.
    Broken(Fault),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Denied(fault) => Refused::Denied(fault),
            Trouble::Passing(fault) | Trouble::Broken(fault) => Refused::Broken(fault),
        }
    }
}

/// What the site remembers: see [`Journal`].
pub trait Site: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<S: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Site for S {}

impl<S: Site> Book<S> {
    /// A hold on the journal in `store` for the run that `me` describes; nothing is read or written yet.
    pub fn new(store: Arc<dyn Store>, me: Claim, lease: Lease) -> Self {
        Self { desk: Arc::new(Desk::new(store, me, lease)), lost: Arc::default(), renewal: Mutex::default() }
    }

    /// Where the journal is.
    pub fn place(&self) -> String {
        self.desk.store.place()
    }

    /// The time by the journal's clock, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.desk.store.now()
    }

    /// The document as it is; nothing is written, and nothing promised.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn look(&self) -> Result<Journal<S>, Fault> {
        self.desk.read().await.map(|(journal, _)| journal).map_err(Trouble::into_fault)
    }

    /// The documents that are kept in the same place, this one included, as they are.
    ///
    /// # Errors
    /// They cannot be listed, or one of them cannot be read.
    pub async fn look_beside(&self) -> Result<Vec<Journal<S>>, Fault> {
        self.desk.beside().await.map_err(Trouble::into_fault)
    }

    /// Waits for the run's turn, at most for `limit`, and owns the site from then on. `told` hears whom it waits for,
    /// whenever that changes. With a limit of zero it does not even take a ticket when somebody owns the site.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn claim(&self, limit: Duration, mut told: impl FnMut(Waiting<'_>)) -> Result<Journal<S>, Refused> {
        let began = Instant::now();
        let me = self.desk.me.run.clone();
        let mut known = None;
        loop {
            let journal = self.desk.queue(!limit.is_zero()).await?;
            match journal.place(&me) {
                Place::First => {
                    let renewal = tokio::spawn(renew(self.desk.clone(), self.lost.clone()));
                    self.renewal().replace(renewal);
                    return Ok(journal);
                }
                Place::Behind { owner, before } if began.elapsed() < limit => {
                    let news = (owner.run.clone(), before);
                    if known.as_ref() != Some(&news) {
                        told(Waiting { owner, before });
                        known = Some(news);
                    }
                }
                Place::Behind { owner, .. } => {
                    // Whoever stands behind us need not wait until our claim has expired.
                    let _ = self.desk.change(|journal| journal.leave(&me)).await;
                    return Err(Refused::Busy(owner.clone()));
                }
                Place::Nowhere => {
                    if let Some(owner) = journal.owner() {
                        return Err(Refused::Busy(owner.clone()));
                    }
                }
            }
            pause(self.desk.lease.look).await;
        }
    }

    /// Changes the document. `change` may be called several times, on newer and newer versions.
    ///
    /// # Errors
    /// The journal cannot be written, or the run does not own the site any more.
    pub async fn change<T>(&self, change: impl FnMut(&mut Journal<S>) -> T) -> Result<T, Fault> {
        owned(&self.desk, &self.lost, change).await
    }

    /// Makes sure that the run owns the site before something is changed there. A claim that was not renewed for long is
    /// renewed, or found lost.
    ///
    /// # Errors
    /// As for a change: then nothing of the site may be changed.
    pub async fn hold(&self) -> Result<(), Fault> {
        if self.desk.holds() && !self.is_lost() {
            return Ok(());
        }
        self.change(|_| ()).await
    }

    /// Whether the run owns the site.
    pub fn is_owned(&self) -> bool {
        self.renewal().is_some() && !self.is_lost()
    }

    /// Whether another run has taken the site over: nothing of it may be changed any more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes the last change and gives the site to the next in the line. A run that does not own it, and still waits,
    /// leaves the line.
    ///
    /// # Errors
    /// As for a change; the claim expires by itself then.
    pub async fn release(&self, mut last: impl FnMut(&mut Journal<S>)) -> Result<(), Fault> {
        let run = self.desk.me.run.clone();
        let Some(renewal) = self.renewal().take() else {
            // One that only waits gives its place up.
            let left = self.desk.change(|journal| journal.leave(&run)).await;
            return left.map_err(Trouble::into_fault);
        };
        renewal.abort();
        let leave = |journal: &mut Journal<S>| {
            last(journal);
            journal.leave(&run);
        };
        owned(&self.desk, &self.lost, leave).await
    }

    fn renewal(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Drop for Book<S> {
    fn drop(&mut self) {
        let renewal = self.renewal.get_mut().unwrap_or_else(PoisonError::into_inner);
        renewal.iter().for_each(JoinHandle::abort);
    }
}

/// Renews the claim for ever. What stops it stops the run's next change too, which says so.
async fn renew<S: Site>(desk: Arc<Desk<S>>, lost: Arc<AtomicBool>) {
    while !lost.load(Ordering::Relaxed) {
        pause(desk.lease.renewal).await;
        let _ = owned(&desk, &lost, |_| ()).await;
    }
}

/// A change by the owner, which renews its claim too.
async fn owned<S: Site, T>(
    desk: &Desk<S>,
    lost: &AtomicBool,
    mut change: impl FnMut(&mut Journal<S>) -> T,
) -> Result<T, Fault> {
    let changed = desk.change(|journal| match journal.place(&desk.me.run) {
        Place::First => {
            journal.queue(&desk.me, desk.expiry());
            Ok(change(journal))
        }
        Place::Behind { owner, .. } => Err(Some(owner.clone())),
        Place::Nowhere => Err(journal.owner().cloned()),
    });
    changed.await.map_err(Trouble::into_fault)?.map_err(|owner| {
        lost.store(true, Ordering::Relaxed);
        taken_over(owner.as_ref())
    })
}

fn taken_over(owner: Option<&Claim>) -> Fault {
    let fault = Fault::new("another run has taken over from this one");
    let fault = match owner {
        Some(owner) => fault.cause(format!("the journal says that {owner} has the site now")),
        None => fault.cause("the journal says that this run has not been heard of for too long"),
    };
    fault.hint("nothing more was changed; look at the other run, then run again if it is still needed")
}
