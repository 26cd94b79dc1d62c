//! Reading and writing the journal's document: compare-and-swap, with answers that may be lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::book::{Lease, Site};
use super::{Claim, FORM, Journal};
use crate::engine::in_words;
use crate::engine::retry::{Failure, Policy, retry};
use crate::fault::Fault;

/// How often a write that somebody else was faster with is begun anew.
const RACES: usize = 100;

/// What tells one version of the document from others.
pub type Version = String;

/// Why a journal could not be read or written.
#[derive(Debug)]
pub enum Trouble {
    /// It may work in a moment.
    Passing(Fault),
    /// We are not allowed to.
    Denied(Fault),
    /// It will not work.
    Broken(Fault),
}

impl Trouble {
    /// The fault in it.
    pub fn into_fault(self) -> Fault {
        match self {
            Trouble::Passing(fault) | Trouble::Denied(fault) | Trouble::Broken(fault) => fault,
        }
    }
}

/// Where a journal is kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Where that is, for people.
    fn place(&self) -> String;

    /// The time by the store's clock, in Unix seconds: claims expire by it, whatever the runner's clock says.
    fn now(&self) -> i64;

    /// The document with its version; `None` when there is none.
    ///
    /// # Errors
    /// [`Trouble`].
    async fn read(&self) -> Result<Option<(String, Version)>, Trouble>;

    /// Replaces the version `expected`, or makes the first one, and gives the new version. `None` when another is there
    /// by now.
    ///
    /// # Errors
    /// [`Trouble`]; a passing one may mean that it was written all the same.
    async fn write(&self, text: &str, expected: Option<&Version>) -> Result<Option<Version>, Trouble>;

    /// The documents that are kept in the same place, this one included: those of the application's other sites. None
    /// where a document stands alone.
    ///
    /// # Errors
    /// [`Trouble`].
    async fn beside(&self) -> Result<Vec<Arc<dyn Store>>, Trouble> {
        Ok(Vec::new())
    }
}

/// The document as it was seen last; no version when there is none yet.
pub(super) type Seen<S> = (Journal<S>, Option<Version>);

/// What a run and the task that renews its claim share.
pub(super) struct Desk<S> {
    pub store: Arc<dyn Store>,
    pub me: Claim,
    pub lease: Lease,
    /// Locked for a whole change, so that ours never race with each other. Empty while one is under way: a change that is
    /// dropped may have taken place or not.
    seen: Mutex<Option<Seen<S>>>,
    /// When the claim was renewed last (before that write was sent, by this machine's time that passes) and until when.
    renewed: std::sync::Mutex<Option<(Instant, i64)>>,
}

/// What became of a write.
enum Written<S> {
    /// It stands, as this version.
    Ours(Version),
    /// Somebody else wrote this meanwhile.
    Theirs(Box<Seen<S>>),
}

impl<S: Site> Desk<S> {
    pub fn new(store: Arc<dyn Store>, me: Claim, lease: Lease) -> Self {
        Self { store, me, lease, seen: Mutex::new(None), renewed: std::sync::Mutex::default() }
    }

    /// Whether our claim holds for some time yet, whatever has happened to the journal since it was renewed: nobody else
    /// takes a site over before a claim has expired.
    pub fn holds(&self) -> bool {
        // As long as a request may be on its way.
        let margin = self.lease.length / 2;
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|(renewed, expires)| {
            // Time that passes does not pass while a machine sleeps; the other clock goes on.
            let sleepless = self.store.now().saturating_add_unsigned(margin.as_secs()) < expires;
            sleepless && renewed.elapsed() + margin < self.lease.length
        })
    }

    /// When a claim that is made now expires.
    pub fn expiry(&self) -> i64 {
        self.store.now().saturating_add_unsigned(self.lease.length.as_secs())
    }

    /// Looks where we stand, from the document as it is now. The dead are taken out of the line; we take a ticket if
    /// we have none and may wait for it, and renew our claim when half of it is over.
    pub async fn queue(&self, may_wait: bool) -> Result<Journal<S>, Trouble> {
        self.seen.lock().await.take();
        self.change(|journal| {
            let (now, expiry) = (self.store.now(), self.expiry());
            journal.bury(&self.me, now);
            let is_due = match journal.claim_of(&self.me.run) {
                Some(claim) => claim.expires.saturating_sub(now) <= expiry.saturating_sub(now) / 2,
                None => may_wait || journal.line.is_empty(),
            };
            if is_due {
                journal.queue(&self.me, expiry);
            }
            journal.clone()
        })
        .await
    }

    /// Reads, changes and writes until nobody was faster. What is as it was is not written.
    pub async fn change<T>(&self, mut change: impl FnMut(&mut Journal<S>) -> T) -> Result<T, Trouble> {
        let mut seen = self.seen.lock().await;
        let (mut journal, mut version) = match seen.take() {
            Some(seen) => seen,
            None => self.read().await?,
        };
        for _ in 0..RACES {
            let mut next = journal.clone();
            let result = change(&mut next);
            if next == journal {
                *seen = Some((journal, version));
                return Ok(result);
            }
            next.edition = journal.edition.saturating_add(1);
            next.by.clone_from(&self.me.run);
            let sent = Instant::now();
            match self.write(&next, version.as_ref()).await? {
                Written::Ours(version) => {
                    let ours = |journal: &Journal<S>| journal.claim_of(&self.me.run).map(|claim| claim.expires);
                    if let Some(expires) = ours(&next).filter(|_| ours(&next) > ours(&journal)) {
                        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).replace((sent, expires));
                    }
                    *seen = Some((next, Some(version)));
                    return Ok(result);
                }
                Written::Theirs(theirs) => (journal, version) = *theirs,
            }
        }
        Err(Trouble::Broken(
            Fault::new(format!("could not write the journal {}", self.store.place()))
                .cause("other runs were faster again and again"),
        ))
    }

    /// The document as it is now.
    pub async fn read(&self) -> Result<Seen<S>, Trouble> {
        match self.fetch().await? {
            Some((text, version)) => Ok((self.parse(&text)?, Some(version))),
            None => Ok((Journal::default(), None)),
        }
    }

    async fn write(&self, next: &Journal<S>, version: Option<&Version>) -> Result<Written<S>, Trouble> {
        let unwritable = |error| Trouble::Broken(Fault::new("could not write down what is under way").because(error));
        let text = serde_json::to_string_pretty(next).map_err(unwritable)? + "\n";
        let (store, expected): (_, Arc<str>) = (self.store.clone(), text.as_str().into());
        let is_first = version.is_none();
        let version = version.cloned();
        let send = move || {
            let (store, text, version) = (store.clone(), expected.clone(), version.clone());
            async move { store.write(&text, version.as_ref()).await }
        };
        if let Some(version) = self.again(send).await? {
            return Ok(Written::Ours(version));
        }
        // Another version is there: ours, if it was a first answer that was lost.
        match self.fetch().await? {
            Some((there, version)) if there == text => Ok(Written::Ours(version)),
            Some((there, version)) => Ok(Written::Theirs(Box::new((self.parse(&there)?, Some(version))))),
            None if is_first => Err(Trouble::Denied(
                Fault::new(format!("the journal {} can be written and not read", self.store.place()))
                    .hint("allow s3:GetObject on it to the role that this run uses"),
            )),
            None => Ok(Written::Theirs(Box::new((Journal::default(), None)))),
        }
    }

    fn parse(&self, text: &str) -> Result<Journal<S>, Trouble> {
        let place = self.store.place();
        let form = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|value| value["form"].as_u64());
        if form.is_some_and(|form| form > u64::from(FORM)) {
            return Err(Trouble::Broken(
                Fault::new(format!("the journal {place} was written by a later version of beanline"))
                    .hint("use that version here too"),
            ));
        }
        serde_json::from_str(text).map_err(|error| {
            Trouble::Broken(
                Fault::new(format!("the journal {place} cannot be read"))
                    .because(error)
                    .hint("see what the runs before left behind, then delete the journal"),
            )
        })
    }

    /// Every document that is kept in the same place, as it is now. One that cannot be read is trouble.
    pub async fn beside(&self) -> Result<Vec<Journal<S>>, Trouble> {
        let store = self.store.clone();
        let stores = self.again(move || {
            let store = store.clone();
            async move { store.beside().await }
        });
        let mut all = Vec::new();
        for store in stores.await? {
            let place = store.place();
            let desk = Desk::<S>::new(store, self.me.clone(), self.lease);
            let unread = || Trouble::Denied(Fault::new(format!("the journal {place} is there and cannot be read")));
            let (text, _) = desk.fetch().await?.ok_or_else(unread)?;
            all.push(desk.parse(&text)?);
        }
        Ok(all)
    }

    async fn fetch(&self) -> Result<Option<(String, Version)>, Trouble> {
        let store = self.store.clone();
        self.again(move || {
            let store = store.clone();
            async move { store.read().await }
        })
        .await
    }

    /// Repeats an access while its trouble passes. Boxed, since the compiler cannot see through an asynchronous closure
    /// that its future may move between threads.
    fn again<T: Send + 'static, F: Future<Output = Result<T, Trouble>> + Send + 'static>(
        &self,
        mut access: impl FnMut() -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Trouble>> {
        let policy = Policy::within(self.lease.patience);
        // One that hangs must not use up what the claim has left.
        let limit = self.lease.length / 6;
        Box::pin(async move {
            let denied = Arc::new(AtomicBool::new(false));
            let seen = denied.clone();
            let call = move |_| {
                let (answer, denied) = (access(), denied.clone());
                async move {
                    let late = || Trouble::Passing(Fault::timed_out(format!("no answer within {}", in_words(limit))));
                    let answer = timeout(limit, answer).await.unwrap_or_else(|_| Err(late()));
                    answer.map_err(|trouble| match trouble {
                        Trouble::Passing(fault) => Failure::Passing(fault),
                        Trouble::Broken(fault) => Failure::Final(fault),
                        Trouble::Denied(fault) => {
                            denied.store(true, Ordering::Relaxed);
                            Failure::Final(fault)
                        }
                    })
                }
            };
            retry(policy, |_| (), call).await.map_err(|fault| match seen.load(Ordering::Relaxed) {
                true => Trouble::Denied(fault),
                false => Trouble::Broken(fault),
            })
        })
    }
}
