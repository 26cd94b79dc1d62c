//! Promotion: the candidate takes the live CNAME over. A swap is symmetric, so a blind second one undoes the first.

use std::time::Duration;

use aws_sdk_elasticbeanstalk::operation::RequestId;
use tokio::time::Instant;

use super::call::{Told, again, looked_up, refused, while_doing};
use super::events::{Anchor, Reader};
use super::operation::{Kind, Operation};
use super::platform::{Environment, Status};
use super::{Beanstalk, Candidate, Live, Promoted, Survey, wait};
use crate::engine::StageCx;
use crate::engine::event::{Fact, Role};
use crate::engine::retry::{Failure, pause};
use crate::engine::undo::Undo;
use crate::fault::Fault;

/// How long a swap may take; published logs show four to six seconds.
const SWAP_LIMIT: Duration = Duration::from_secs(300);

/// How long a signal waits for the confirmation of a swap that was sent: stopped in the middle, nobody could tell who is
/// live.
pub(super) const CONFIRMATION: Duration = Duration::from_secs(20);

/// How long an environment that is busy is waited for before a swap.
const BUSY_LIMIT: Duration = Duration::from_secs(300);

impl Beanstalk {
    /// Gives the live CNAME to the candidate and confirms it through the API.
    ///
    /// # Errors
    /// Live is another environment by now, one of the two is not well, or the swap did not take place.
    pub async fn promote(&self, cx: &StageCx, survey: &Survey, candidate: &Candidate) -> Result<Promoted, Fault> {
        let Some(live) = &survey.live else {
            return Ok(Promoted { live_cname: survey.live_cname.clone(), endpoint: String::new(), previous: None });
        };
        self.sent_swap_was_awaited().await?;
        let ours = self.ready(cx, &candidate.environment_id, &candidate.name).await?;
        let cname = &survey.live_cname;
        if ours.cname == *cname {
            cx.note(format!("{} holds {cname} already", candidate.name));
            return Ok(self.promoted(cx, survey, candidate, live, ours));
        }
        let theirs = self.ready(cx, &live.environment_id, &live.name).await?;
        if theirs.cname != survey.live_cname {
            return Err(Fault::new(format!("{} does not hold {} any more", live.name, survey.live_cname))
                .cause(format!("it answers to {}: somebody else swapped since this run began", theirs.cname))
                .hint("run again, so that the candidate follows the environment that is live now"));
        }
        if ours.version_label != candidate.version_label {
            let what = format!("{} runs version {} by now", candidate.name, ours.version_label);
            return Err(Fault::new(what).cause(format!("this run tested version {}", candidate.version_label)));
        }
        self.register(cx, &self.swap_back(survey, candidate, live)).await?;
        let ours_by_id = (candidate.environment_id.as_str(), candidate.name.as_str());
        cx.until_confirmed(CONFIRMATION, self.swap(Some(cx), ours_by_id, &live.environment_id, cname)).await?;
        Ok(self.promoted(cx, survey, candidate, live, ours))
    }

    fn promoted(
        &self,
        cx: &StageCx,
        survey: &Survey,
        candidate: &Candidate,
        live: &Live,
        ours: Environment,
    ) -> Promoted {
        self.swapped.set(Some(Instant::now()));
        let previous = Live { cname: candidate.cname.clone(), ..live.clone() };
        let url = (self.context.url_of)(&survey.live_cname);
        let (name, id) = (candidate.name.clone(), candidate.environment_id.clone());
        cx.fact(Fact::Environment { role: Role::Live, name, id, url });
        Promoted { live_cname: survey.live_cname.clone(), endpoint: ours.endpoint, previous: Some(previous) }
    }

    /// Makes `to` hold `cname`, which `from` holds; nothing if it does already. Waits until the API shows it.
    pub(super) async fn swap(
        &self,
        told: Told<'_>,
        (to, name): (&str, &str),
        from: &str,
        cname: &str,
    ) -> Result<(), Fault> {
        let what = || format!("could not give {cname} to {name}");
        let before = again(told, "DescribeEvents", async || self.api.newest_events(to).await).await?;
        let mut operation = Operation {
            kind: Kind::Swap { cname: cname.to_owned() },
            environment_id: to.to_owned(),
            environment: name.to_owned(),
            request_id: None,
            anchor: Anchor::after(&before),
        };
        // A later run must know of it: a swap may begin although nobody waits for it any more.
        let written = self.write(|work| work.site.swap = Some(operation.clone())).await;
        if told.is_some() {
            written?;
        }
        let sent = looked_up(told, "SwapEnvironmentCNAMEs", async |attempt| {
            // Never blind: an answer that was lost may have been a yes.
            if attempt > 1 && self.has_begun(to, cname, operation.anchor.as_ref()).await? {
                return Ok(None);
            }
            let request = self.api.beanstalk.swap_environment_cnames();
            let request = request.source_environment_id(from).destination_environment_id(to);
            self.hold().await?;
            // Before it is sent: this may be dropped at any await, and the swap takes place nevertheless.
            self.sent_swap.replace(Some(operation.clone()));
            match request.send().await.map_err(|e| refused("SwapEnvironmentCNAMEs", e)) {
                Ok(answer) => Ok::<_, Failure>(answer.request_id().map(str::to_owned)),
                Err(error) => {
                    if attempt == 1 && !error.passing {
                        self.sent_swap.replace(None);
                    }
                    Err(error.into())
                }
            }
        });
        operation.request_id = sent.await.map_err(|fault| while_doing(what(), fault))?;
        wait::conclude(&self.watcher, told, &operation, &self.demand(), SWAP_LIMIT).await?;
        self.sent_swap.replace(None);
        Ok(())
    }

    /// Waits for a swap that was sent and that nobody saw the end of, if there is one; what it comes to, the
    /// environments show. `false` when there is none, or it has not begun in the time that its first event may take.
    pub(super) async fn sent_swap_was_awaited(&self) -> Result<bool, Fault> {
        let Some(operation) = self.sent_swap.borrow().clone() else { return Ok(false) };
        let Kind::Swap { cname } = &operation.kind else { return Ok(false) };
        let (to, anchor) = (&operation.environment_id, operation.anchor.as_ref());
        let begun = looked_up(None, "DescribeEvents", async |_| self.has_begun(to, cname, anchor).await).await?;
        if begun {
            // A swap that failed leaves the names where they were, which is looked at next.
            let _ = wait::conclude(&self.watcher, None, &operation, &self.demand(), SWAP_LIMIT).await;
        }
        self.sent_swap.replace(None);
        Ok(begun)
    }

    /// Whether a swap that was sent is done or under way: the name is there, the environment is busy, or an event says
    /// so. A state may be told late, so a no is believed only when it lasts as long as an event may take.
    async fn has_begun(&self, to: &str, cname: &str, anchor: Option<&Anchor>) -> Result<bool, Failure> {
        let began = Instant::now();
        let mut reader = Reader::from(anchor);
        loop {
            let seen = self.api.environment(to).await?;
            let moved = seen.is_some_and(|seen| seen.cname == cname || seen.status != Status::Ready);
            let beginning = Kind::Swap { cname: cname.to_owned() }.beginning();
            let told = self.api.events(to, &mut reader).await?.iter().any(|event| event.message.starts_with(beginning));
            if moved || told || began.elapsed() >= self.pace.late_events {
                return Ok(moved || told);
            }
            pause(self.pace.first).await;
        }
    }

    /// The environment once it is Ready.
    async fn ready(&self, cx: &StageCx, id: &str, name: &str) -> Result<Environment, Fault> {
        let began = Instant::now();
        loop {
            let Some(environment) = self.look(Some(cx), id).await? else {
                return Err(Fault::new(format!("environment {name} is not there any more")));
            };
            let status = environment.status;
            match status {
                Status::Ready => return Ok(environment),
                status if status.is_ending() => {
                    return Err(Fault::new(format!("environment {name} is {status}")));
                }
                status if began.elapsed() >= BUSY_LIMIT => {
                    return Err(Fault::timed_out(format!("environment {name} has been {status} for five minutes"))
                        .cause("both environments must be Ready to swap"));
                }
                _ => pause(self.pace.interval(began.elapsed())).await,
            }
        }
    }

    pub(super) fn swap_back(&self, survey: &Survey, candidate: &Candidate, live: &Live) -> Undo {
        Undo::SwapBack {
            cname: survey.live_cname.clone(),
            from: candidate.environment_id.clone(),
            back: live.environment_id.clone(),
            region: self.region.clone(),
        }
    }
}
