//! All check runs of one run: who is told what, and when.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::client::Client;
use super::follower::{Follower, Target, Turn};
use super::request::{Update, Updates};
use super::{Checks, Limits, left_open};
use crate::engine::cancel::CancelReason;
use crate::engine::event::{Event, EventKind, StageKey};
use crate::engine::in_words;
use crate::engine::retry::pause;
use crate::fault::Fault;
use crate::report::story::{StageStory, State, Story};

/// The name of the check run that stands for the whole run: the one that a branch protection requires.
const RUN: &str = "beanline";

/// Requests under way at once; GitHub asks for few, and ten check runs should not take ten round trips to open.
const AT_ONCE: usize = 4;

/// The time between two updates that only show output becomes so many times longer with each, up to [`PROGRESS_AT_MOST`]:
/// a workflow's token has a thousand requests an hour for the whole repository.
const PROGRESS_FACTOR: u32 = 3;

/// The longest time between two updates that only show output.
const PROGRESS_AT_MOST: Duration = Duration::from_secs(300);

/// Requests for each stage of a run, on the average: one to open its check run, one when it begins, one when it ends. The
/// fourth is for what goes on in it, as long as all that is still needed fits too.
const REQUESTS_A_STAGE: usize = 4;

/// The part of the time at the end that the stages' last updates may take before the run's own is sent all the same.
const STAGES_SHARE: f64 = 0.75;

/// The check runs.
#[derive(Debug)]
pub struct Board {
    client: Arc<Client>,
    updates: Updates,
    run: watch::Sender<Update>,
    stages: Vec<(StageKey, watch::Sender<Update>)>,
    pace: Arc<Semaphore>,
    run_follower: JoinSet<Result<(), Fault>>,
    followers: JoinSet<Result<(), Fault>>,
    news: BTreeSet<StageKey>,
    gap: Duration,
    next_progress: Instant,
    limits: Limits,
    trouble: Option<Fault>,
    left_open: AbortOnDropHandle<()>,
}

impl Board {
    /// Begins to open a check run for the run, and then one for each stage.
    pub fn open(client: Client, story: &Story, checks: &Checks) -> Self {
        let Checks { name, owner, run_url, limits, links, .. } = checks;
        let client = Arc::new(client);
        let origin = chrono::Utc::now() - story.elapsed;
        let updates = Updates { origin, run_url: run_url.clone(), links: links.clone(), name: name.clone() };
        let pace = Arc::new(Semaphore::new(AT_ONCE));
        let open = Arc::new(watch::channel(0).0);
        let (mut run_follower, mut followers) = (JoinSet::new(), JoinSet::new());
        let follow = |set: &mut JoinSet<_>, number: usize, name: String, id: String, update: Update| {
            let (wants, wanted) = watch::channel(update);
            let (client, pace, run_url) = (client.clone(), pace.clone(), run_url.clone());
            let (taken, annotated, links) = (Mutex::default(), Mutex::default(), links.clone());
            let target = Arc::new(Target { client, name, external_id: id, run_url, taken, annotated, links });
            let follower = Follower { target, wanted, pace };
            set.spawn(follower.run(Turn { number, open: open.clone() }));
            wants
        };
        let run = follow(&mut run_follower, 0, RUN.to_owned(), owner.id(RUN), updates.run(story));
        let stages = story.stages.iter().enumerate().map(|(index, stage)| {
            let (name, id) = (format!("{name} / {}", stage.key), owner.id(&stage.key));
            let wants = follow(&mut followers, index + 1, name, id, updates.stage(stage, story));
            (stage.key.clone(), wants)
        });
        let stages = stages.collect();
        let left_open = left_open::complete(client.clone(), owner.clone(), run_url.clone(), open.clone());
        Self {
            updates,
            run,
            stages,
            pace,
            run_follower,
            followers,
            news: BTreeSet::new(),
            gap: limits.progress,
            next_progress: Instant::now() + limits.progress,
            limits: *limits,
            trouble: None,
            left_open: AbortOnDropHandle::new(tokio::spawn(left_open)),
            client,
        }
    }

    /// Who talks to GitHub for all of them.
    pub fn client(&self) -> Arc<Client> {
        self.client.clone()
    }

    /// Tells the check runs that an event concerns.
    pub fn take(&mut self, event: &Event, story: &Story) {
        match &event.kind {
            EventKind::StageStarted { key } | EventKind::StageFinished { key, .. } => {
                self.news.remove(key);
                self.tell(story, |stage| stage == key);
            }
            EventKind::StageLine { key, .. }
            | EventKind::StageNote { key, .. }
            | EventKind::StageWarning { key, .. }
            | EventKind::StageFact { key, .. }
            | EventKind::StageRetrying { key, .. } => {
                self.news.insert(key.clone());
            }
            EventKind::Cancelling { .. } => {
                // The process may be killed within seconds: everybody is told at once.
                self.pace.add_permits(self.stages.len() + 1);
                self.tell(story, |_| true);
                self.tell_run(story);
            }
            EventKind::RunStarted { .. }
            | EventKind::Undoing { .. }
            | EventKind::UndoUnderWay { .. }
            | EventKind::Undone { .. }
            | EventKind::SecretLearnt { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    /// When the next update that only shows output is due; `None` when there is nothing to show.
    pub fn until_progress(&self) -> Option<Duration> {
        (!self.news.is_empty()).then(|| self.next_progress.saturating_duration_since(Instant::now()))
    }

    /// Shows what the stages under way have put out since the last time.
    pub fn show_progress(&mut self, story: &Story) {
        let news = std::mem::take(&mut self.news);
        self.next_progress = Instant::now() + self.gap;
        self.gap = (self.gap * PROGRESS_FACTOR).min(PROGRESS_AT_MOST);
        if self.client.sent() + still_needed(story) + news.len() > REQUESTS_A_STAGE * story.stages.len() {
            return;
        }
        let is_running = |key: &StageKey| story.stage(key).is_some_and(|stage| stage.state == State::Running);
        self.tell(story, |key| news.contains(key) && is_running(key));
    }

    /// Waits for the answer that we may not write check runs here at all. Whatever else is wrong with one of them does
    /// not keep the others from being completed, and is told at the end.
    pub async fn broken(&mut self) -> Fault {
        loop {
            let ended = tokio::select! {
                Some(ended) = self.run_follower.join_next() => ended,
                Some(ended) = self.followers.join_next() => ended,
                else => std::future::pending().await,
            };
            match fault_of(ended) {
                Some(fault) if self.client.is_refused() => return fault,
                fault => self.trouble = self.trouble.take().or(fault),
            }
        }
    }

    /// Completes the stages' check runs, then the run's own, and waits until GitHub has taken it all, within limits.
    ///
    /// # Errors
    /// The first fault of a check run whose last state could not be sent, or why GitHub did not take it in time.
    pub async fn close(mut self, story: &Story) -> Result<(), Fault> {
        let signalled = story.cancelling.is_some_and(CancelReason::is_signal);
        let limit = if signalled { self.limits.after_a_signal } else { self.limits.end };
        let (client, first) = (self.client.clone(), self.trouble.take());
        client.hurry();
        match timeout(limit, self.tell_the_end(story, limit.mul_f64(STAGES_SHARE))).await {
            Ok(trouble) => first.or(trouble).map_or(Ok(()), Err),
            Err(_) => {
                let time = in_words(limit);
                let fault = Fault::timed_out(format!("not everything was taken within {time} after the run"));
                let fault = fault.cause(client.trouble().unwrap_or_else(|| "GitHub is slow to answer".to_owned()));
                Err(fault.hint("what GitHub shows of this run may be old; the next run on the commit completes it"))
            }
        }
    }

    /// Tells everybody the end; the first fault in it.
    async fn tell_the_end(mut self, story: &Story, stages: Duration) -> Option<Fault> {
        self.pace.add_permits(self.stages.len());
        self.tell(story, |_| true);
        self.stages.clear();
        let mut first = None;
        let mut late = std::pin::pin!(pause(stages));
        loop {
            tokio::select! {
                ended = self.followers.join_next() => match ended {
                    Some(ended) => first = first.or(fault_of(ended)),
                    None => break,
                },
                () = &mut late => break,
            }
        }
        self.tell_run(story);
        drop(self.run);
        while let Some(ended) = self.run_follower.join_next().await {
            first = first.or(fault_of(ended));
        }
        while let Some(ended) = self.followers.join_next().await {
            first = first.or(fault_of(ended));
        }
        // It is as good as done, and what it does not reach the next run does.
        let _ = self.left_open.await;
        first
    }

    fn tell(&self, story: &Story, whom: impl Fn(&StageKey) -> bool) {
        for (key, wants) in self.stages.iter().filter(|(key, _)| whom(key)) {
            if let Some(stage) = story.stage(key) {
                want(wants, self.updates.stage(stage, story));
            }
        }
    }

    fn tell_run(&self, story: &Story) {
        want(&self.run, self.updates.run(story));
    }
}

/// Requests that the rest of the run needs when all goes well: two for a stage that has not begun, one for one that has
/// not ended, and the last word on the run.
fn still_needed(story: &Story) -> usize {
    let of = |stage: &StageStory| match stage.state {
        State::Waiting => 2,
        State::Running => 1,
        _ => 0,
    };
    story.stages.iter().map(of).sum::<usize>() + 1
}

/// Wants a state, unless it is the one that is wanted already.
fn want(wants: &watch::Sender<Update>, update: Update) {
    wants.send_if_modified(|wanted| {
        let differs = !wanted.shows_the_same_as(&update);
        if differs {
            *wanted = update;
        }
        differs
    });
}

/// The fault that ended a follower, also when it panicked.
fn fault_of(ended: Result<Result<(), Fault>, tokio::task::JoinError>) -> Option<Fault> {
    match ended {
        Ok(ended) => ended.err(),
        Err(error) => Some(Fault::new("the reporting of a check run stopped").because(error)),
    }
}
