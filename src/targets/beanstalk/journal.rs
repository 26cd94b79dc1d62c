//! What a run tells the journal of its site, and what it finds there: it owns the site while it changes it.

mod busy;
mod object;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::ApiError;
use super::operation::Operation;
use super::version::owner;
use super::{Beanstalk, Candidate, ImageToDeploy, Live, Survey};
use crate::engine::journal::book::{Book, Refused, Waiting};
use crate::engine::journal::desk::Store;
use crate::engine::journal::{Claim, Good, Journal, Previous, Work};
use crate::engine::undo::Undo;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::OnBusy;
use busy::busy;
use object::JournalObject;

/// Where the journal of an application's live CNAME is, when it is not in S3.
pub type Journals = Rc<dyn Fn(&str, &str) -> Arc<dyn Store>>;

/// How far a deployment is: what a later run needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What was there when it began.
    pub survey: Survey,
    /// The digest of the image that it deploys.
    pub digest: Digest,
    /// The name of the environment that was asked for.
    pub asked: Option<String>,
    /// Whether the candidate has passed its tests.
    pub accepted: bool,
    /// The swap that was sent.
    pub swap: Option<Operation>,
    /// The update that was sent, where a standing environment is given the version.
    #[serde(default)]
    pub update: Option<Operation>,
}

/// What this site's journal looks like.
pub(super) type SiteJournal = Journal<Progress>;

impl Beanstalk {
    /// Waits for the run's turn at the site and owns it from then on. `None` when it may not use the journal, which is
    /// said once: then it goes on without.
    ///
    /// # Errors
    /// The site is another run's, or the journal is broken.
    pub(super) async fn own(&self, cx: &StageCx, live_cname: &str) -> Result<Option<SiteJournal>, Fault> {
        let store = match &self.context.journals {
            Some(journals) => journals(&self.plan.application, live_cname),
            None => self.in_s3(cx, live_cname).await?,
        };
        let limit = match self.plan.on_busy {
            OnBusy::Wait | OnBusy::Abort => self.plan.deploy_timeout,
            OnBusy::Fail => std::time::Duration::ZERO,
        };
        // Kept before it waits, so that a run that ends while it waits leaves the line.
        let book = self.book.get_or_init(|| Book::new(store, self.me(), self.pace.lease));
        let told = |waiting: Waiting<'_>| {
            let before = match waiting.before {
                1 => String::new(),
                more => format!(", and {} more before this one", more - 1),
            };
            cx.note(format!(
                "waiting at most {} for {}, which has {live_cname}{before}",
                in_words(limit),
                waiting.owner
            ));
        };
        match book.claim(limit, told).await {
            Ok(journal) => Ok(Some(journal)),
            Err(Refused::Denied(fault)) => {
                self.journal_is_denied.set(true);
                cx.warn(format!(
                    "this run may not use the journal {}, and goes on without: two runs at once may disturb each \
                     other, and nobody cleans up after a run that is killed ({fault})",
                    book.place()
                ));
                Ok(None)
            }
            Err(Refused::Busy(owner)) => Err(busy(live_cname, &owner, limit)),
            Err(Refused::Broken(fault)) => Err(fault),
        }
    }

    /// The run's hold on the site, if it has one.
    pub(super) fn book(&self) -> Option<&Book<Progress>> {
        self.book.get().filter(|_| !self.journal_is_denied.get())
    }

    async fn in_s3(&self, cx: &StageCx, live_cname: &str) -> Result<Arc<dyn Store>, Fault> {
        let bucket = match &self.plan.bucket {
            Some(bucket) => bucket.clone(),
            None => self.storage_location(Some(cx)).await?,
        };
        Ok(self.object(&bucket, live_cname))
    }

    pub(super) fn object(&self, bucket: &str, live_cname: &str) -> Arc<dyn Store> {
        Arc::new(JournalObject {
            api: self.api.clone(),
            owner: owner(bucket, &self.region).map(str::to_owned),
            bucket: bucket.to_owned(),
            key: JournalObject::key(&self.plan.application, live_cname),
            clock: self.context.clock.clone(),
        })
    }

    pub(super) fn me(&self) -> Claim {
        Claim {
            ticket: 0,
            run: self.context.run_id.clone(),
            job: self.context.job.clone(),
            url: self.context.run_url.clone(),
            about: self.context.about.clone(),
            expires: 0,
        }
    }

    /// Begins the run's work in the journal.
    pub(super) async fn begin_work(&self, survey: &Survey, digest: &Digest) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        let (survey, digest) = (survey.clone(), digest.clone());
        let site = Progress { survey, digest, asked: None, accepted: false, swap: None, update: None };
        book.change(|journal| {
            journal.work = Some(Work {
                runs: vec![self.context.run_id.clone()],
                key: self.context.run_key.clone(),
                url: self.context.run_url.clone(),
                undo: Vec::new(),
                site: site.clone(),
            });
        })
        .await
    }

    /// Goes on with what an earlier run began: it is this run's from now on.
    pub(super) async fn go_on_with(&self, work: &Work<Progress>) -> Result<(), Fault> {
        self.adopted.borrow_mut().extend(work.runs.iter().cloned());
        let run = &self.context.run_id;
        self.write(|work| {
            if !work.runs.contains(run) {
                work.runs.push(run.clone());
            }
            work.url.clone_from(&self.context.run_url);
        })
        .await
    }

    /// Writes down how far the run is. Without a journal nothing happens.
    ///
    /// # Errors
    /// The journal cannot be written, or the site is another run's by now: nothing of it may be changed any more.
    pub(super) async fn write(&self, mut change: impl FnMut(&mut Work<Progress>)) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        book.change(|journal| journal.work.iter_mut().for_each(&mut change)).await
    }

    /// Registers an undo, with the engine and in the journal, before what it undoes is asked for.
    ///
    /// # Errors
    /// As for [`Beanstalk::write`]: then the thing must not be asked for.
    pub(super) async fn register(&self, cx: &StageCx, undo: &Undo) -> Result<(), Fault> {
        cx.undo(undo.clone());
        self.write(|work| {
            if !work.undo.contains(undo) {
                work.undo.push(undo.clone());
            }
        })
        .await
    }

    /// Takes an undo off again: there is nothing to undo.
    pub(super) async fn unregister(&self, cx: &StageCx, undo: &Undo) -> Result<(), Fault> {
        cx.settle(undo);
        self.write(|work| work.undo.retain(|known| known != undo)).await
    }

    /// Makes sure that the site is ours, before a call that changes something there. Without a journal nobody can tell.
    pub(super) async fn hold(&self) -> Result<(), ApiError> {
        match self.book() {
            Some(book) => book.hold().await.map_err(ApiError::withheld),
            None => Ok(()),
        }
    }

    /// Whether another run has this site by now, and with it all that this run made there.
    pub(super) fn is_lost(&self) -> bool {
        self.book().is_some_and(Book::is_lost)
    }

    /// What the journal says of the candidate's tests, for a run that goes on with an earlier one's work.
    pub fn was_accepted(&self) -> bool {
        self.accepted.get()
    }

    /// Remembers that the candidate has passed its tests. That is a comfort: a journal that cannot be written says so
    /// with the next thing that must not be done without.
    pub async fn accept(&self) {
        let _ = self.write(|work| work.site.accepted = true).await;
    }

    /// Whether versions that nobody runs may be replaced: only who knows from the journal which were good may tell.
    pub(super) async fn may_replace_versions(&self) -> bool {
        let Some(book) = self.book() else { return false };
        let label = self.label();
        let was_good = book.change(|journal| journal.good.iter().any(|good| good.version_label == label)).await;
        was_good.is_ok_and(|was_good| !was_good)
    }

    /// Whether the journal calls a deployment of our label good. It is only read, and not waited for; `bucket` is where
    /// the version's bundle is.
    pub(super) async fn was_good(&self, bucket: &str, live_cname: &str) -> bool {
        let journal = self.read_journal(bucket, live_cname).await;
        journal.is_some_and(|journal| journal.good.iter().any(|good| good.version_label == self.label()))
    }

    /// The environment that was live before `live`, as the journal has it. It is only read, and not waited for.
    pub(super) async fn previous_of(&self, live: &Live) -> Option<Previous> {
        let version = self.api.version(&self.plan.application, &live.version_label).await;
        let bucket = version.ok().flatten().map(|version| version.bucket).unwrap_or_default();
        self.read_journal(&bucket, &live.cname).await?.previous
    }

    /// The journal, if it can be read; `bucket` is where bundles are, if no other is set.
    async fn read_journal(&self, bucket: &str, live_cname: &str) -> Option<SiteJournal> {
        let store = match &self.context.journals {
            Some(journals) => journals(&self.plan.application, live_cname),
            None => self.object(self.plan.bucket.as_deref().unwrap_or(bucket), live_cname),
        };
        Book::<Progress>::new(store, self.me(), self.pace.lease).look().await.ok()
    }

    /// Whether another run has the site by now: what this run made there is that run's to go on with or to undo.
    pub async fn has_lost_the_site(&self) -> bool {
        // Who cannot be heard is not lost.
        let _ = self.hold().await;
        self.is_lost()
    }

    /// Hands over what the run has made: from now on nobody undoes it, whatever becomes of this run.
    ///
    /// # Errors
    /// The journal cannot be written; it is tried again when the run closes.
    pub async fn hand_over(&self, survey: &Survey, candidate: &Candidate, image: &ImageToDeploy) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        let now = book.now();
        let good = self.good_of(candidate, image, now);
        self.hand_over_as(survey, candidate, good).await
    }

    /// What is remembered of the deployment of an image.
    pub(super) fn good_of(&self, candidate: &Candidate, image: &ImageToDeploy, at: i64) -> Good {
        Good {
            version_label: candidate.version_label.clone(),
            image: image.image.to_string(),
            digest: image.digest.to_string(),
            environment_id: candidate.environment_id.clone(),
            key: self.context.run_key.clone(),
            run: self.context.run_id.clone(),
            at,
            is_withdrawn: false,
        }
    }

    /// As [`Beanstalk::hand_over`], of a deployment that is described already.
    pub(super) async fn hand_over_as(&self, survey: &Survey, candidate: &Candidate, good: Good) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        let now = good.at;
        let previous = survey.live.as_ref().filter(|live| live.environment_id != candidate.environment_id);
        let handed = (good, previous.map(|live| previous_of(live, now)));
        self.handed.replace(Some(handed.clone()));
        book.change(|journal| hand_over(journal, &handed)).await?;
        self.handed.replace(None);
        Ok(())
    }

    /// What the journal keeps to be done now that the deployment stands.
    pub(super) async fn left_over(&self) -> Vec<Undo> {
        let Some(book) = self.book() else { return Vec::new() };
        // A journal that is not heard now says it to the next run.
        let left = book.change(|journal| journal.left.clone()).await.unwrap_or_default();
        left.into_iter().map(|left| left.undo).filter(is_put_off).collect()
    }

    /// Takes off what has been done of it.
    pub(super) async fn forget_left(&self, undo: &Undo) {
        let Some(book) = self.book() else { return };
        // If it is not written, the next run finds that there is nothing left to do.
        let _ = book.change(|journal| journal.left.retain(|left| left.undo != *undo)).await;
    }

    /// Ends the run's hold on the site. `left` is what it could not undo; the next run tries again. `well` is whether the
    /// run reached its end.
    ///
    /// # Errors
    /// The journal cannot be written. The run's claim expires then, and what it left is undone by the next.
    pub async fn close(&self, left: &[Undo], well: bool) -> Result<(), Fault> {
        let Some(book) = self.book().filter(|book| !book.is_lost()) else { return Ok(()) };
        let (me, handed) = (&self.context.run_id, self.handed.borrow().clone());
        let failed_as_it_stood = self.stood.get() && !well;
        book.release(|journal| {
            handed.iter().for_each(|handed| hand_over(journal, handed));
            // A dead run's work that was not taken over yet is for the next run; so is our own while live has neither
            // version for sure.
            let is_open = left.iter().any(|undo| matches!(undo, Undo::Redeploy { .. }));
            let ours = journal.work.take_if(|work| work.runs.contains(me) && !is_open);
            let runs = ours.as_ref().map_or_else(|| vec![me.clone()], |work| work.runs.clone());
            // What stays in open work is undone there, in its order.
            let stays = |undo: &Undo| journal.work.as_ref().is_some_and(|work| work.undo.contains(undo));
            let left: Vec<Undo> = left.iter().filter(|undo| !stays(undo)).cloned().collect();
            journal.leave_behind(&left, &runs);
            ours.iter().for_each(|work| leave(journal, work, is_template));
            if failed_as_it_stood {
                // The next run of this commit deploys it again.
                journal.good.retain(|good| good.key != self.context.run_key);
            }
        })
        .await
    }
}

/// Puts down that a deployment stands, and takes off what would have undone it.
fn hand_over(journal: &mut SiteJournal, (good, previous): &(Good, Option<Previous>)) {
    if let Some(work) = journal.work.take() {
        leave(journal, &work, is_put_off);
        leave_saved_settings(journal, &work);
    }
    // The application is in use now, and what is there to roll back to is not to be ended.
    let kept = previous.as_ref().map(|previous| previous.name.as_str());
    journal.left.retain(|left| match &left.undo {
        Undo::RemoveApplication { .. } => false,
        Undo::EndEnvironment { environment, .. } => Some(environment.as_str()) != kept,
        _ => true,
    });
    journal.remember(good.clone());
    // One that is known stays as it was known: since when it is not live, and whether it was rolled back from.
    let is_new =
        |new: &Previous| journal.previous.as_ref().is_none_or(|known| known.environment_id != new.environment_id);
    if previous.as_ref().is_some_and(is_new) {
        journal.previous.clone_from(previous);
    }
}

/// Keeps what is to be done although the work is over, for whoever comes next.
pub(super) fn leave(journal: &mut SiteJournal, work: &Work<Progress>, which: impl Fn(&Undo) -> bool) {
    let left: Vec<Undo> = work.undo.iter().filter(|undo| which(undo)).cloned().collect();
    journal.leave_behind(&left, &work.runs);
}

/// New settings stand: what is left of the way back is the template with the old ones.
pub(super) fn leave_saved_settings(journal: &mut SiteJournal, work: &Work<Progress>) {
    let saved = |undo: &Undo| match undo.clone() {
        Undo::RestoreSettings { application, template, region, .. } => {
            Some(Undo::RemoveTemplate { application, template, region })
        }
        _ => None,
    };
    let left: Vec<Undo> = work.undo.iter().filter_map(saved).collect();
    journal.leave_behind(&left, &work.runs);
}

/// A template that could not be deleted when it had served.
pub(super) fn is_template(undo: &Undo) -> bool {
    matches!(undo, Undo::RemoveTemplate { .. })
}

/// What waits until the deployment stands.
pub(super) fn is_put_off(undo: &Undo) -> bool {
    is_template(undo) || matches!(undo, Undo::GiveSizeBack { .. })
}

pub(super) fn previous_of(live: &Live, since: i64) -> Previous {
    Previous {
        environment_id: live.environment_id.clone(),
        name: live.name.clone(),
        version_label: live.version_label.clone(),
        since,
        is_withdrawn: false,
    }
}
