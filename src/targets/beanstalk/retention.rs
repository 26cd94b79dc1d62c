//! What becomes of environments that stand and are not live: one decision for the pipeline's clean up, for a clean up on
//! a schedule, and for a dry run.

use super::journal::{SiteJournal, previous_of};
use super::names::{candidate_stem, prefix_of, stem_of};
use super::platform::{Environment, Status};
use super::{Beanstalk, Survey};
use crate::engine::journal::Previous;
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::inputs::{KeepPrevious, Strategy};

/// The tag that says which run made an environment.
pub const RUN_TAG: &str = "beanline:run";

/// The tag that says when others may remove it; Unix seconds.
pub const EXPIRES_TAG: &str = "beanline:expires";

/// The tag that says whose candidate an environment was: the live CNAME of its site. Names alone do not tell sites of
/// one application apart, since stems are cut and one site's live may be named as another's CNAME.
pub const LIVE_TAG: &str = "beanline:live";

/// What is known of the site besides its environments.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    /// The live CNAME.
    live_cname: String,
    /// The id of the environment that holds it; empty when nobody does.
    live_id: String,
    /// What its candidates' names begin with.
    stem: String,
    /// The environment that was live before.
    previous: Option<Previous>,
    /// The environment that waits to be promoted.
    waiting: Option<String>,
    /// Whether this is the site after a swap that is yet to come: who holds the name now does not matter.
    is_ahead: bool,
    /// Whether the journal was read: only it knows what waits.
    is_written: bool,
    /// Whether it is certain that every other environment that was live once is older than `previous`.
    is_certain: bool,
}

/// What becomes of an environment, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is ended.
    End(String),
    /// It stays.
    Keep(String),
}

impl Ground {
    /// After a deployment, or before one that has this survey: what `survey` calls live is previous, and all before it
    /// are older. `live` is id and name of the environment that is live then.
    pub fn deployed(survey: &Survey, live: (&str, &str), journal: Option<&SiteJournal>, now: i64) -> Self {
        let replaced = survey.live.as_ref().filter(|before| before.environment_id != live.0);
        let known = journal.and_then(|journal| journal.previous.as_ref());
        let previous = replaced.map(|before| match known {
            Some(known) if known.environment_id == before.environment_id => known.clone(),
            _ => previous_of(before, now),
        });
        Self { previous, is_certain: true, ..Self::of(survey, live, journal) }
    }

    /// As after a deployment that makes the environment with this id and name live.
    pub fn ahead(survey: &Survey, live: (&str, &str), journal: Option<&SiteJournal>, now: i64) -> Self {
        Self { is_ahead: true, ..Self::deployed(survey, live, journal, now) }
    }

    /// Between deployments: only the journal knows who was live before.
    pub fn standing(survey: &Survey, journal: Option<&SiteJournal>) -> Self {
        let live = survey.live.as_ref();
        let live = live.map_or(("", survey.live_prefix.as_str()), |live| (&live.environment_id, &live.name));
        let previous = journal.and_then(|journal| journal.previous.clone());
        Self { is_certain: previous.is_some(), previous, ..Self::of(survey, live, journal) }
    }

    fn of(survey: &Survey, (id, name): (&str, &str), journal: Option<&SiteJournal>) -> Self {
        let waiting = journal.and_then(|journal| journal.waiting.as_ref());
        Self {
            live_cname: survey.live_cname.clone(),
            live_id: id.to_owned(),
            stem: candidate_stem(name),
            previous: None,
            is_ahead: false,
            is_written: journal.is_some(),
            waiting: waiting.map(|waiting| waiting.good.environment_id.clone()),
            is_certain: false,
        }
    }

    /// Named as our candidates are, standing still, with a CNAME that only a candidate was given.
    fn is_of_our_line(&self, environment: &Environment, region: &str) -> bool {
        let (stem, mark) = stem_of(&environment.name);
        mark.is_some()
            && stem == self.stem
            && environment.status == Status::Ready
            && stem_of(prefix_of(&environment.cname, region)).1.is_some()
    }

    fn is_live(&self, environment: &Environment) -> bool {
        environment.id == self.live_id || !self.is_ahead && environment.cname == self.live_cname
    }
}

impl Beanstalk {
    /// Every environment of this site that stands beside live, with what becomes of it.
    ///
    /// # Errors
    /// Elastic Beanstalk cannot be asked.
    pub(super) async fn fates(&self, cx: &StageCx, ground: &Ground) -> Result<Vec<(Environment, Fate)>, Fault> {
        let mut fates = Vec::new();
        for environment in self.environments_of_ours(cx).await? {
            if environment.status.is_ending() || ground.is_live(&environment) {
                continue;
            }
            if let Some(fate) = self.fate(cx, &environment, ground).await {
                fates.push((environment, fate));
            }
        }
        Ok(fates)
    }

    /// `None` when it is none of this site's business.
    async fn fate(&self, cx: &StageCx, environment: &Environment, ground: &Ground) -> Option<Fate> {
        if ground.waiting.as_ref() == Some(&environment.id) {
            return Some(Fate::Keep("it has passed and waits for run=promote".into()));
        }
        if let Some(previous) = ground.previous.as_ref().filter(|previous| previous.environment_id == environment.id) {
            return Some(self.fate_of_previous(previous.since, previous.is_withdrawn));
        }
        if !ground.is_of_our_line(environment, &self.region) {
            return None;
        }
        let tags = match self.api.tags(&environment.arn).await {
            Ok(tags) => tags,
            Err(error) => {
                let (name, why) = (&environment.name, error.into_fault());
                cx.note(format!("{name} may be left from an earlier run, but its tags cannot be read: {why}"));
                return None;
            }
        };
        let expiry = expiry(&tags, &ground.live_cname)?;
        Some(match self.was_live_until(environment).await {
            Some(_) if self.plan.strategy == Strategy::Pair => self.fate_of_previous(expiry, false),
            Some(since) if matches!(self.plan.keep_previous, KeepPrevious::For(_)) => {
                self.fate_of_previous(since, false)
            }
            Some(_) if ground.is_certain => Fate::End("it was live once, and is not the previous one any more".into()),
            Some(since) => self.fate_of_previous(since, false),
            None if !ground.is_written => {
                Fate::Keep("it may wait for run=promote: without the journal nobody can tell".into())
            }
            None if expiry <= self.context.clock.unix() => {
                Fate::End("it is left from an earlier run, and its time is over".into())
            }
            None => Fate::Keep(format!("an earlier run left it, or kept it for a look, until {}", in_utc(expiry))),
        })
    }

    /// What `keep_previous` says of an environment that was live until `since`, in Unix seconds.
    pub(super) fn fate_of_previous(&self, since: i64, is_withdrawn: bool) -> Fate {
        let what = match is_withdrawn {
            true => "it was rolled back from and is there to be looked at",
            false => "it was live before and is there to roll back to",
        };
        if self.plan.strategy == Strategy::Pair {
            let what = "it is the idle one of the pair now: there to roll back to, and the next deployment updates it; \
                        both cost money";
            return Fate::Keep(what.into());
        }
        match self.plan.keep_previous {
            KeepPrevious::No => Fate::End("it was live before, and keep_previous is none".into()),
            KeepPrevious::UntilNextDeploy => {
                Fate::Keep(format!("{what}; the next deployment ends it, if beanline made it"))
            }
            KeepPrevious::For(time) => {
                let until = since.saturating_add_unsigned(time.as_secs());
                match until <= self.context.clock.unix() {
                    true => Fate::End(format!(
                        "it was live until {}, and keep_previous is {}",
                        in_utc(since),
                        in_words(time)
                    )),
                    false => Fate::Keep(format!("{what}, until {}", in_utc(until))),
                }
            }
        }
    }

    /// When it last took part in a swap, in Unix seconds: it is not live, so it was until then.
    async fn was_live_until(&self, environment: &Environment) -> Option<i64> {
        let events = self.api.newest_events(&environment.id).await.ok()?;
        let swaps =
            events.iter().filter(|event| event.message.starts_with("Completed swapping CNAMEs for environments "));
        swaps.map(|event| event.at.0 / 1000).max()
    }
}

/// When what a run made for the site with this live CNAME may be removed; `None` when no such run made it.
fn expiry(tags: &[(String, String)], live_cname: &str) -> Option<i64> {
    let value = |key: &str| tags.iter().find(|tag| tag.0 == key).map(|tag| tag.1.as_str());
    value(RUN_TAG)?;
    value(LIVE_TAG).filter(|live| *live == live_cname)?;
    value(EXPIRES_TAG)?.parse().ok()
}

/// A time of the cloud for people.
pub(super) fn in_utc(unix: i64) -> String {
    let time = chrono::DateTime::from_timestamp(unix, 0).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::environment;
    use super::*;
    use crate::inputs::Health;

    fn seen(id: &str, name: &str, cname: &str, status: Status) -> Environment {
        Environment { id: id.into(), name: name.into(), cname: cname.into(), ..environment(status, "1", Health::Green) }
    }

    #[test]
    fn only_environments_of_our_line_are_considered() {
        let ground = Ground {
            live_cname: "live".into(),
            live_id: "e-green".into(),
            stem: candidate_stem("shop-0b0b0b0b"),
            previous: None,
            waiting: None,
            is_written: true,
            is_ahead: false,
            is_certain: true,
        };
        let ours = "shop-0d0d0d0d.eu-west-1.elasticbeanstalk.com";
        let theirs = "shop-prod.eu-west-1.elasticbeanstalk.com";
        let cases = [
            (seen("e-1", "shop-0c0c0c0c", ours, Status::Ready), true),
            (seen("e-1", "shop-0c0c0c0c", "live", Status::Ready), false),
            (seen("e-1", "shop-0c0c0c0c", theirs, Status::Ready), false),
            (seen("e-1", "shop-0c0c0c0c", "", Status::Ready), false),
            (seen("e-1", "shop-0c0c0c0c", ours, Status::Updating), false),
            (seen("e-1", "shop-0c0c0c0c", ours, Status::Terminated), false),
            (seen("e-1", "shop-staging", ours, Status::Ready), false),
            (seen("e-1", "shop-admin-0c0c0c0c", ours, Status::Ready), false),
            (seen("e-green", "shop-0b0b0b0b", ours, Status::Ready), false),
        ];
        for (environment, ours) in cases {
            let (name, cname) = (&environment.name, &environment.cname);
            let is_ours = ground.is_of_our_line(&environment, "eu-west-1") && !ground.is_live(&environment);
            assert_eq!(is_ours, ours, "{name} {cname}");
        }
    }

    #[test]
    fn only_what_a_run_made_for_this_live_cname_expires() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let (run, live, expires) = (tag(RUN_TAG, "r"), tag(LIVE_TAG, "live"), tag(EXPIRES_TAG, "12"));
        let cases = [
            (vec![run.clone(), live.clone(), expires.clone()], Some(12)),
            (vec![live.clone(), expires.clone()], None),
            (vec![run.clone(), expires.clone()], None),
            (vec![run.clone(), tag(LIVE_TAG, "another site's"), expires], None),
            (vec![run, live, tag(EXPIRES_TAG, "soon")], None),
        ];
        for (tags, wanted) in cases {
            assert_eq!(expiry(&tags, "live"), wanted, "{tags:?}");
        }
        assert_eq!(in_utc(1_700_000_000), "2023-11-14 22:13 UTC");
    }
}
