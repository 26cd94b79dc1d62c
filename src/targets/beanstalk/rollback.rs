//! Rolling back: the previous environment is live again while it stands; else the last good version is deployed again.

use tokio::time::Instant;

use super::call::again;
use super::environment::Request;
use super::journal::{SiteJournal, previous_of};
use super::platform::{Environment, Status, colour_word};
use super::retention::Fate;
use super::swap::CONFIRMATION;
use super::{Beanstalk, Live, Promoted, Survey, hints, logs, wait};
use crate::engine::change::Change;
use crate::engine::event::{Fact, Role};
use crate::engine::journal::{Good, Previous};
use crate::engine::retry::pause;
use crate::engine::undo::Undo;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::{OnBusy, Strategy};

/// How the platform says that a swap is over; the names of both environments follow.
const SWAPPED: &str = "Completed swapping CNAMEs for environments ";

/// How a roll-back goes.
#[derive(Debug)]
pub(super) enum Way {
    /// The previous environment gets the live CNAME.
    Swap(Box<Environment>),
    /// Somebody swapped, and did not write it down: the environment is live already.
    Swapped,
    /// Live gets an earlier version.
    Redeploy(Good),
}

impl Beanstalk {
    /// Makes live what was live before, and writes it down. First says what it will do.
    ///
    /// Once it is done it has no undo: what would be put back is what somebody wanted to be rid of. A swap has none at
    /// all, since it is done or not. An update has one until its verdict is in: live must not be left in between.
    ///
    /// # Errors
    /// There is nothing to go back to, or it did not come up. Live is as before then, unless the cause says otherwise.
    pub async fn roll_back(&self, cx: &StageCx, surveyed: &Survey) -> Result<Promoted, Fault> {
        let journal = self.take_turn(cx, surveyed).await?;
        let survey = self.survey_standing(cx).await?;
        let live = live_of(&survey)?;
        is_who_was_seen(surveyed, live)?;
        self.settled(cx, &live.environment_id, true).await?;
        let way = self.way_back(cx, &survey, journal.as_ref(), true).await?;
        way.change(&survey, live).into_iter().for_each(|change| cx.fact(Fact::Planned(change)));
        let now_live = match &way {
            Way::Swap(previous) => {
                let (to, cname) = ((previous.id.as_str(), previous.name.as_str()), &survey.live_cname);
                cx.until_confirmed(CONFIRMATION, self.swap(Some(cx), to, &live.environment_id, cname)).await?;
                self.swapped.set(Some(Instant::now()));
                Environment { cname: cname.clone(), ..previous.as_ref().clone() }
            }
            Way::Swapped => {
                cx.note(format!("{} is live again already: that is written down now", live.name));
                self.must_stand(cx, &live.environment_id).await?
            }
            Way::Redeploy(good) => self.redeploy(cx, &survey, live, good).await?,
        };
        cx.fact(Fact::Version { label: now_live.version_label.clone(), reused: true });
        let (name, id) = (now_live.name.clone(), now_live.id.clone());
        cx.fact(Fact::Environment { role: Role::Live, name, id, url: (self.context.url_of)(&survey.live_cname) });
        let replaced = self.replaced(cx, live, &way, journal.as_ref()).await;
        if let Err(fault) = self.write_back(live, &now_live, replaced.as_ref()).await {
            cx.warn(format!("it is done, and the journal does not say so: {fault}"));
        }
        if let Some(replaced) = replaced {
            let why = match self.fate_of_previous(self.context.clock.unix(), true) {
                Fate::Keep(why) => why,
                Fate::End(_) => {
                    "it was rolled back from and is there to be looked at; the next clean up ends it".into()
                }
            };
            self.say_kept(cx, &replaced, why).await;
        }
        let previous = matches!(way, Way::Swap(_)).then(|| live.clone());
        Ok(Promoted { live_cname: survey.live_cname.clone(), endpoint: now_live.endpoint, previous })
    }

    /// Finds the way back. `waits` for environments that are busy.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn way_back(
        &self,
        cx: &StageCx,
        survey: &Survey,
        journal: Option<&SiteJournal>,
        waits: bool,
    ) -> Result<Way, Fault> {
        let live = live_of(survey)?;
        if self.plan.strategy.swaps() {
            let known = journal.and_then(|journal| journal.previous.as_ref());
            let is_live = |known: &Previous| known.environment_id == live.environment_id && !known.is_withdrawn;
            if known.is_some_and(is_live) {
                return Ok(Way::Swapped);
            }
            let found = match (journal, journal.and_then(|journal| unknown_live(journal, live))) {
                // Live never passed everything: what did so last is what was live before.
                (Some(_), Some(last)) => self.last_good(cx, last, live, waits).await?,
                (Some(_), None) => self.previous_by_journal(cx, known, waits).await?,
                (None, _) if self.plan.strategy == Strategy::Pair => {
                    Err("without the journal nobody can tell whether the idle environment's version was good".into())
                }
                (None, _) => self.previous_by_events(cx, live).await?,
            };
            match found {
                Ok(previous) => return Ok(Way::Swap(Box::new(previous))),
                Err(why) => cx.note(format!("{why}: an earlier version is looked for instead")),
            }
        }
        let good = journal.map_or(&[][..], |journal| &journal.good);
        for good in good.iter().filter(|good| good.version_label != live.version_label && !good.is_withdrawn) {
            let (application, label) = (&self.plan.application, &good.version_label);
            let ask = async || self.api.version(application, label).await;
            let Some(version) = again(Some(cx), "DescribeApplicationVersions", ask).await? else {
                cx.note(format!("version {label} was good, and is not there any more"));
                continue;
            };
            // Who may not look can still redeploy.
            if matches!(self.api.has_object(&version.bucket, &version.key).await, Ok(false)) {
                cx.note(format!("version {label} was good, and its bundle is gone"));
                continue;
            }
            return Ok(Way::Redeploy(good.clone()));
        }
        Err(nothing_back(live, journal))
    }

    /// The environment of the deployment that passed everything last, or why it cannot be live again.
    async fn last_good(
        &self,
        cx: &StageCx,
        last: &Good,
        live: &Live,
        waits: bool,
    ) -> Result<Result<Environment, String>, Fault> {
        let label = &last.version_label;
        if last.environment_id == live.environment_id {
            return Ok(Err(format!("{} was updated from version {label}", live.name)));
        }
        let found = self.settled(cx, &last.environment_id, waits).await?;
        let found = found.filter(|found| !found.status.is_ending() && found.version_label == *label);
        Ok(found.ok_or_else(|| format!("the environment of version {label} is gone")).and_then(|it| self.is_well(it)))
    }

    /// The environment that was live before, or why it cannot be live again.
    async fn previous_by_journal(
        &self,
        cx: &StageCx,
        known: Option<&Previous>,
        waits: bool,
    ) -> Result<Result<Environment, String>, Fault> {
        let Some(previous) = known else { return Ok(Err("no previous environment is known".into())) };
        let Previous { name, version_label: label, environment_id: id, .. } = previous;
        if previous.is_withdrawn {
            return Ok(Err(format!("environment {name} with version {label} was rolled back from, and stays so")));
        }
        let found = self.settled(cx, id, waits).await?;
        let Some(environment) = found.filter(|environment| !environment.status.is_ending()) else {
            return Ok(Err(format!("previous environment {name} is gone")));
        };
        if environment.version_label != *label {
            return Ok(Err(format!("previous environment {name} runs version {} by now", environment.version_label)));
        }
        Ok(self.is_well(environment))
    }

    /// Without a journal: the other environment of the last swap that live took part in.
    async fn previous_by_events(&self, cx: &StageCx, live: &Live) -> Result<Result<Environment, String>, Fault> {
        let id = &live.environment_id;
        let events = again(Some(cx), "DescribeEvents", async || self.api.newest_events(id).await).await?;
        let Some(other) = events.iter().find_map(|event| other_of_swap(&event.message, &live.name)) else {
            return Ok(Err(format!("no event of {} tells of a swap", live.name)));
        };
        cx.warn(format!(
            "without the journal, {other} is taken for the previous environment: it swapped with {} last",
            live.name
        ));
        let all = self.environments_of_ours(cx).await?;
        let found = all.into_iter().find(|environment| environment.name == other && !environment.status.is_ending());
        Ok(found.ok_or_else(|| format!("environment {other} is gone")).and_then(|found| self.is_well(found)))
    }

    fn is_well(&self, environment: Environment) -> Result<Environment, String> {
        let Environment { name, status, health, .. } = &environment;
        match *status == Status::Ready && *health >= self.plan.minimum_health {
            true => Ok(environment),
            false => Err(format!("environment {name} is {status} and {}", colour_word(*health))),
        }
    }

    /// An environment that is not busy, if it is there at all. `waits` says whether one that is busy is waited for, as
    /// `on_busy` has it.
    async fn settled(&self, cx: &StageCx, id: &str, waits: bool) -> Result<Option<Environment>, Fault> {
        let (began, limit) = (Instant::now(), self.plan.deploy_timeout);
        let mut is_said = false;
        loop {
            let found = self.look(Some(cx), id).await?;
            let Some(busy) = found.as_ref().filter(|found| waits && found.status.is_busy()) else { return Ok(found) };
            let (name, status) = (&busy.name, busy.status);
            if self.plan.on_busy == OnBusy::Fail {
                return Err(Fault::new(format!("environment {name} is {status}: nothing was changed"))
                    .hint("run again when that is over, or set on_busy to wait"));
            }
            if began.elapsed() >= limit {
                let time = in_words(limit);
                return Err(Fault::timed_out(format!("environment {name} is still {status} after {time}")));
            }
            if !std::mem::replace(&mut is_said, true) {
                if self.plan.on_busy == OnBusy::Abort && status == Status::Updating {
                    cx.note(format!("environment {name} is {status}: the update is aborted"));
                    self.abort_update(Some(cx), id).await?;
                }
                cx.note(format!("environment {name} is {status}; waiting at most {}", in_words(limit)));
            }
            pause(self.pace.interval(began.elapsed())).await;
        }
    }

    async fn must_stand(&self, cx: &StageCx, id: &str) -> Result<Environment, Fault> {
        self.look(Some(cx), id).await?.ok_or_else(|| Fault::new(format!("environment {id} is gone")))
    }

    /// Gives live an earlier version. If that does not come up, live gets the one back that it had.
    async fn redeploy(&self, cx: &StageCx, survey: &Survey, live: &Live, good: &Good) -> Result<Environment, Fault> {
        let (back, label) = (&live.version_label, &good.version_label);
        let undo = (!back.is_empty()).then(|| Undo::Redeploy {
            application: self.plan.application.clone(),
            environment: live.name.clone(),
            environment_id: live.environment_id.clone(),
            label: back.clone(),
            instead_of: label.clone(),
            region: self.region.clone(),
        });
        let digest = Digest::parse(&good.digest).unwrap_or_else(|_| Digest::of(label.as_bytes()));
        self.begin_work(survey, &digest).await?;
        if let Some(undo) = &undo {
            self.register(cx, undo).await?;
        }
        let updated = self.update_to(cx, live, label).await?;
        if let Some(undo) = &undo {
            self.unregister(cx, undo).await?;
        }
        Ok(updated)
    }

    /// Gives an environment a version that is there, and waits for the verdict.
    async fn update_to(&self, cx: &StageCx, live: &Live, label: &str) -> Result<Environment, Fault> {
        let (id, name) = (&live.environment_id, &live.name);
        let operation = self.ask_for_version(Some(cx), live, label).await?;
        let limit = self.plan.deploy_timeout;
        let fault = match wait::conclude(&self.watcher, Some(cx), &operation, &self.demand(), limit).await {
            Ok(concluded) => match concluded.environment {
                Some(environment) => return Ok(environment),
                None => Fault::new(format!("environment {name} is gone")),
            },
            Err(fault) => fault,
        };
        let request_id = operation.request_id.clone();
        let made = Request { name: name.clone(), environment_id: id.clone(), request_id };
        Err(hints::with_hints(logs::with_logs(&self.api, cx, &made, &self.pace, fault).await))
    }

    /// The environment that is not live any more, if it is another than the one that is.
    async fn replaced(
        &self,
        cx: &StageCx,
        live: &Live,
        way: &Way,
        journal: Option<&SiteJournal>,
    ) -> Option<Environment> {
        let id = match way {
            Way::Swap(_) => &live.environment_id,
            Way::Swapped => {
                journal?.good.iter().map(|good| &good.environment_id).find(|id| **id != live.environment_id)?
            }
            Way::Redeploy(_) => return None,
        };
        let found = self.look(Some(cx), id).await.ok().flatten();
        found.filter(|environment| !environment.status.is_ending())
    }

    /// Writes down who is live, and what is not to be live again.
    async fn write_back(
        &self,
        live: &Live,
        now_live: &Environment,
        replaced: Option<&Environment>,
    ) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        let (now, label) = (book.now(), &now_live.version_label);
        let withdrawn = replaced.map_or(&live.version_label, |replaced| &replaced.version_label);
        let me = &self.context.run_id;
        book.change(|journal| {
            journal.work.take_if(|work| work.runs.contains(me));
            let is_withdrawn = |good: &&mut Good| good.version_label == *withdrawn && withdrawn != label;
            journal.good.iter_mut().filter(is_withdrawn).for_each(|good| good.is_withdrawn = true);
            if let Some(at) = journal.good.iter().position(|good| good.version_label == *label) {
                let good = journal.good.remove(at);
                let (environment_id, run) = (now_live.id.clone(), self.context.run_id.clone());
                journal.good.insert(0, Good { environment_id, run, at: now, is_withdrawn: false, ..good });
            }
            if let Some(replaced) = replaced {
                let previous = previous_of(&Live::of(replaced), now);
                journal.previous = Some(Previous { is_withdrawn: true, ..previous });
            }
        })
        .await
    }
}

impl Way {
    /// What it changes.
    pub fn change(&self, survey: &Survey, live: &Live) -> Option<Change> {
        match self {
            Way::Swap(previous) => Some(Change::Swap {
                cname: survey.live_cname.clone(),
                from: format!("{} with version {}", live.name, live.version_label),
                to: format!("{} with version {}", previous.name, previous.version_label),
            }),
            Way::Swapped => None,
            Way::Redeploy(good) => {
                Some(Change::Update { environment: live.name.clone(), label: good.version_label.clone() })
            }
        }
    }
}

/// Whoever asked for a roll-back saw this one live: if it is another by now, going back further is not what was meant.
fn is_who_was_seen(surveyed: &Survey, live: &Live) -> Result<(), Fault> {
    let Some(seen) = &surveyed.live else { return Ok(()) };
    if (&seen.environment_id, &seen.version_label) == (&live.environment_id, &live.version_label) {
        return Ok(());
    }
    let in_words = |live: &Live| format!("{} with version {}", live.name, live.version_label);
    Err(Fault::new(format!("{} is live by now, and nothing more was changed", in_words(live)))
        .cause(format!("when this run began it was {}", in_words(seen)))
        .cause("what a run had left in the middle was undone meanwhile, or another run deployed")
        .hint("if that is what you want to be live, all is done; else run again"))
}

/// The last deployment that passed everything, when it is not what is live.
fn unknown_live<'a>(journal: &'a SiteJournal, live: &Live) -> Option<&'a Good> {
    let last = journal.good.iter().find(|good| !good.is_withdrawn)?;
    let is_live = (&last.environment_id, &last.version_label) == (&live.environment_id, &live.version_label);
    (!is_live).then_some(last)
}

/// Who is live.
pub(super) fn live_of(survey: &Survey) -> Result<&Live, Fault> {
    survey.live.as_ref().ok_or_else(|| Fault::new(format!("nobody holds {}", survey.live_cname)))
}

fn nothing_back(live: &Live, journal: Option<&SiteJournal>) -> Fault {
    let fault = Fault::new("there is nothing to go back to: nothing was changed")
        .cause(format!("live is environment {} with version {}", live.name, live.version_label));
    let Some(journal) = journal else {
        return fault.cause("which versions were good, only the journal knows, and it cannot be read");
    };
    let withdrawn = journal.good.iter().find(|good| good.is_withdrawn && good.version_label != live.version_label);
    match withdrawn {
        Some(good) => fault
            .cause(format!("version {} was rolled back from; no other good version is there", good.version_label))
            .hint(format!("if you want version {} again, deploy its tag with run=deploy", good.version_label)),
        None => fault.hint("deploy another tag with run=deploy"),
    }
}

/// The other environment in `Completed swapping CNAMEs for environments 'a' and 'b'.`
fn other_of_swap(message: &str, name: &str) -> Option<String> {
    let names = message.strip_prefix(SWAPPED)?.trim_end().trim_end_matches('.');
    let (one, other) = names.split_once(" and ")?;
    let (one, other) = (one.trim_matches('\''), other.trim_matches('\''));
    [(one, other), (other, one)].into_iter().find(|(own, _)| *own == name).map(|(_, other)| other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_environment_of_a_swap_is_read_from_its_event() {
        let message = "Completed swapping CNAMEs for environments 'shop-blue' and 'shop-0a0a0a0a'.";
        assert_eq!(other_of_swap(message, "shop-blue").as_deref(), Some("shop-0a0a0a0a"));
        assert_eq!(other_of_swap(message, "shop-0a0a0a0a").as_deref(), Some("shop-blue"));
        assert_eq!(other_of_swap(message, "shop-green"), None);
        assert_eq!(other_of_swap("Swapping CNAMEs for environments 'a' and 'b'.", "a"), None);
    }
}
