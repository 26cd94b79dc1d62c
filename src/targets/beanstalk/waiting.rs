//! A candidate that has passed and waits for somebody to promote it: it is left, found again, taken up, or replaced.

use super::clean_up::end_of_kept;
use super::journal::{Progress, SiteJournal, is_template, leave, leave_saved_settings};
use super::platform::{Environment, Status, colour_word};
use super::resume::is_way_back;
use super::retention::{Fate, Ground};
use super::{Beanstalk, Candidate, ImageToDeploy, Live, Standing, Survey};
use crate::engine::StageCx;
use crate::engine::event::{Fact, Role};
use crate::engine::journal::{Good, Passed, Work};
use crate::engine::undo::{Receipt, Undo};
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::{Promotion, Strategy};

/// A candidate that was waiting and is this run's now.
#[derive(Clone, Debug)]
pub struct TakenUp {
    /// What is there.
    pub survey: Survey,
    /// The candidate.
    pub candidate: Candidate,
    /// How it will be remembered.
    good: Good,
}

impl Beanstalk {
    /// Refuses a manual promotion to a run that may not use the journal: nobody would know what waits.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn must_remember(&self) -> Result<(), Fault> {
        match self.plan.promote {
            Promotion::Auto => Ok(()),
            Promotion::Manual => Err(Fault::new("promote is manual, and this run may not use the journal")
                .cause("nobody would know which candidate waits, and the next clean up would end it")
                .hint("allow s3:GetObject and s3:PutObject on the journal, or set promote to auto")),
        }
    }

    /// The environment of an earlier run that made this very deployment, if it waits and is well. A run that promotes
    /// by itself takes it up; another leaves it as it is.
    pub(super) async fn attach(
        &self,
        cx: &StageCx,
        survey: &Survey,
        waiting: &Passed<Progress>,
        image: &ImageToDeploy,
    ) -> Result<Option<Environment>, Fault> {
        let is_ours = waiting.good.key == self.context.run_key && waiting.good.digest == image.digest.as_str();
        if !is_ours || waiting.good.version_label != self.label() {
            return Ok(None);
        }
        let environment = match self.promotable(cx, survey, waiting).await {
            Ok(environment) => environment,
            Err(fault) => {
                cx.note(format!("{fault}: it is made anew"));
                return Ok(None);
            }
        };
        cx.note(format!("it was the same deployment: {} waits with it since run {}", waiting.name, waiting.good.run));
        match self.plan.promote {
            Promotion::Auto => self.take_up(cx, survey, waiting).await?,
            Promotion::Manual => self.accepted.set(true),
        }
        Ok(Some(environment))
    }

    /// Ends a candidate that waits: another deployment takes its place. It is written down as left first, so that it is
    /// not forgotten when this run is killed.
    pub(super) async fn end_waiting(&self, cx: &StageCx, waiting: &Passed<Progress>) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        let label = &waiting.good.version_label;
        cx.note(format!("environment {} with version {label} waited to be promoted: it is replaced", waiting.name));
        self.adopted.borrow_mut().extend(waiting.runs.iter().cloned());
        book.change(|journal| {
            journal.waiting = None;
            let ends: Vec<Undo> = waiting.undo.iter().filter(|undo| is_way_back(undo)).cloned().collect();
            journal.leave_behind(&ends, &waiting.runs);
        })
        .await?;
        for undo in waiting.undo.iter().rev().filter(|undo| is_way_back(undo)) {
            match self.perform(undo, &Receipt::default()).await {
                Ok(()) => book.change(|journal| journal.left.retain(|left| left.undo != *undo)).await?,
                Err(fault) => cx.warn(format!("could not {undo}: {fault}; do it with: {}", undo.command())),
            }
        }
        Ok(())
    }

    /// Leaves the candidate to wait: from now on it is not this run's to undo.
    ///
    /// # Errors
    /// The journal cannot be written; then the candidate must not stay.
    pub async fn let_wait(&self, survey: &Survey, candidate: &Candidate, image: &ImageToDeploy) -> Result<(), Fault> {
        let Some(book) = self.book() else { return self.must_remember() };
        let good = self.good_of(candidate, image, book.now());
        book.change(|journal| {
            let work = journal.work.take();
            if journal.waiting.as_ref().is_some_and(|known| known.good.environment_id == good.environment_id) {
                return;
            }
            if let Some(work) = &work {
                leave(journal, work, is_template);
                leave_saved_settings(journal, work);
            }
            // A size is given back when it is live.
            let ends = |undo: &&Undo| matches!(undo, Undo::EndEnvironment { .. } | Undo::GiveSizeBack { .. });
            let (runs, undo) = work.map_or_else(
                || (vec![good.run.clone()], Vec::new()),
                |work| (work.runs, work.undo.iter().filter(ends).cloned().collect()),
            );
            journal.waiting = Some(Passed {
                good: good.clone(),
                name: candidate.name.clone(),
                runs,
                undo,
                site: progress(survey, &image.digest, &candidate.name),
            });
        })
        .await
    }

    /// Says what waits, what it costs, and how it is promoted; then what else stands beside live.
    ///
    /// # Errors
    /// Elastic Beanstalk cannot be asked.
    pub async fn say_waiting(&self, cx: &StageCx, survey: &Survey, candidate: &Candidate) -> Result<(), Fault> {
        let bill = self.bill(&candidate.environment_id).await;
        let (name, url) = (&candidate.name, (self.context.url_of)(&candidate.cname));
        cx.fact(Fact::Kept {
            what: format!("environment {name} with version {} at {url}: {bill}", candidate.version_label),
            why: "it has passed and waits; promote it with run=promote. The next deployment of another commit takes \
                  its place"
                .into(),
            command: (self.plan.strategy == Strategy::BlueGreen)
                .then(|| end_of_kept(&self.plan.application, name, &self.region).command()),
        });
        let journal = self.what_is_written().await;
        for (environment, fate) in self.fates(cx, &Ground::standing(survey, journal.as_ref())).await? {
            if let (Fate::Keep(why), true) = (fate, environment.id != candidate.environment_id) {
                self.say_kept(cx, &environment, why).await;
            }
        }
        Ok(())
    }

    /// Makes sure that something waits that may be promoted now. Changes nothing.
    ///
    /// # Errors
    /// Nothing waits, or it is not as it must be.
    pub async fn check_waiting(&self, cx: &StageCx, survey: &Survey) -> Result<Candidate, Fault> {
        let journal = self.glance(cx, survey).await;
        let waiting = waiting_in(survey, journal.as_ref())?;
        let environment = self.promotable(cx, survey, waiting).await?;
        Ok(candidate_of(waiting, environment))
    }

    /// Takes up the candidate that waits: the site is this run's, and so is the candidate. First says what it will do.
    ///
    /// # Errors
    /// As for [`Beanstalk::check_waiting`]; or the site is another run's. The candidate waits on then.
    pub async fn take_waiting(&self, cx: &StageCx, surveyed: &Survey) -> Result<TakenUp, Fault> {
        let journal = self.take_turn(cx, surveyed).await?;
        let survey = self.survey_standing(cx).await?;
        let waiting = waiting_in(&survey, journal.as_ref())?;
        let environment = self.promotable(cx, &survey, waiting).await?;
        let known = (environment.id.as_str(), environment.name.as_str());
        let changes = self.would_swap(cx, &survey, known, journal.as_ref()).await?;
        changes.into_iter().for_each(|change| cx.fact(Fact::Planned(change)));
        self.take_up(cx, &survey, waiting).await?;
        cx.fact(Fact::Version { label: waiting.good.version_label.clone(), reused: true });
        let candidate = candidate_of(waiting, environment);
        let (name, id, url) =
            (candidate.name.clone(), candidate.environment_id.clone(), (self.context.url_of)(&candidate.cname));
        cx.fact(Fact::Environment { role: Role::Candidate, name, id, url });
        Ok(TakenUp { survey, candidate, good: waiting.good.clone() })
    }

    /// As [`Beanstalk::hand_over`], of a candidate that had been waiting.
    ///
    /// # Errors
    /// As there.
    pub async fn hand_over_taken(&self, taken: &TakenUp) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        let good = Good { at: book.now(), run: self.context.run_id.clone(), ..taken.good.clone() };
        self.hand_over_as(&taken.survey, &taken.candidate, good).await
    }

    /// Makes what waits this run's work: its undo is on the stack, and in the journal.
    async fn take_up(&self, cx: &StageCx, survey: &Survey, waiting: &Passed<Progress>) -> Result<(), Fault> {
        let Some(book) = self.book() else { return Ok(()) };
        self.adopted.borrow_mut().extend(waiting.runs.iter().cloned());
        waiting.undo.iter().filter(|undo| is_way_back(undo)).for_each(|undo| cx.undo(undo.clone()));
        self.accepted.set(true);
        let mut runs = waiting.runs.clone();
        runs.push(self.context.run_id.clone());
        let site = progress(survey, &waiting.site.digest, &waiting.name);
        book.change(|journal| {
            journal.waiting = None;
            journal.work = Some(Work {
                runs: runs.clone(),
                key: waiting.good.key.clone(),
                url: self.context.run_url.clone(),
                undo: waiting.undo.clone(),
                site: site.clone(),
            });
        })
        .await
    }

    /// The environment that waits, if it is as it was left and live is still who it is to follow.
    async fn promotable(
        &self,
        cx: &StageCx,
        survey: &Survey,
        waiting: &Passed<Progress>,
    ) -> Result<Environment, Fault> {
        let (name, label) = (&waiting.name, &waiting.good.version_label);
        let found = self.look(Some(cx), &waiting.good.environment_id).await?;
        let Some(environment) = found.filter(|environment| !environment.status.is_ending()) else {
            return Err(Fault::new(format!("environment {name}, which waited to be promoted, is gone"))
                .hint("deploy its version again"));
        };
        let (then, now) = (waiting.site.survey.live.as_ref(), survey.live.as_ref());
        if then.map(|live| &live.environment_id) != now.map(|live| &live.environment_id) {
            return Err(Fault::new(format!("live is not the environment any more that {name} was made to follow"))
                .cause(format!("it was {}, and is {}", in_words(then), in_words(now)))
                .hint("deploy the version again, so that its candidate follows the environment that is live now"));
        }
        if environment.version_label != *label {
            let what = format!("environment {name} runs version {} by now", environment.version_label);
            return Err(Fault::new(what).cause(format!("version {label} was tested there")));
        }
        if environment.status != Status::Ready || environment.health < self.plan.minimum_health {
            let (status, health) = (environment.status, colour_word(environment.health));
            return Err(Fault::new(format!("environment {name}, which waits, is {status} and {health}"))
                .hint("run again when it is well, or deploy its version again"));
        }
        Ok(environment)
    }
}

/// What waits, by the journal.
fn waiting_in<'a>(survey: &Survey, journal: Option<&'a SiteJournal>) -> Result<&'a Passed<Progress>, Fault> {
    journal.and_then(|journal| journal.waiting.as_ref()).ok_or_else(|| {
        Fault::new("nothing waits to be promoted")
            .cause(format!("{} belongs to {}", survey.live_cname, in_words(survey.live.as_ref())))
            .hint("a deployment with promote=manual leaves its candidate to wait")
    })
}

fn in_words(live: Option<&Live>) -> String {
    live.map_or_else(
        || "nobody".to_owned(),
        |live| format!("environment {} ({}) with version {}", live.name, live.environment_id, live.version_label),
    )
}

fn candidate_of(waiting: &Passed<Progress>, environment: Environment) -> Candidate {
    Candidate {
        environment_id: environment.id,
        name: environment.name,
        cname: environment.cname,
        version_label: waiting.good.version_label.clone(),
        standing: Standing::Apart,
    }
}

fn progress(survey: &Survey, digest: &Digest, asked: &str) -> Progress {
    Progress {
        survey: survey.clone(),
        digest: digest.clone(),
        asked: Some(asked.to_owned()),
        accepted: true,
        swap: None,
        update: None,
    }
}
