//! A run from its first event to its last: what it holds, how it ends, and who undoes.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;

use crate::cloud::Cloud;
use crate::docker::{DaemonEnv, Docker, Labels};
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, EventKind, Stage, StageKey};
use crate::engine::undo::Undo;
use crate::engine::{Engine, Perform, Stopped};
use crate::exit::Exit;
use crate::fault::Fault;
use crate::inputs::{Plan, RunKind};
use crate::pipeline;
use crate::stages::acceptance::Bench;
use crate::stages::check::{Checked, about};
use crate::stages::sweep::is_temporary;
use crate::targets::Site;
use crate::targets::beanstalk::Survey;

/// How long giving a site back may take at the end of a run, and after a signal.
const UNHURRIED: Duration = Duration::from_secs(60);
const HURRIED: Duration = Duration::from_secs(2);

/// The clients that an undo needs, filled in by the check stage.
#[derive(Default)]
pub struct Hands {
    docker: OnceCell<Docker>,
    sites: OnceCell<Vec<(Site, Survey)>>,
}

impl Hands {
    /// Keeps the clients of the check stage for undo; what the pipeline needs comes back.
    pub fn take_from(&self, mut checked: Checked) -> (Checked, &[(Site, Survey)]) {
        if let Some(docker) = &checked.docker {
            // Set once: there is one check stage.
            let _ = self.docker.set(docker.clone());
        }
        let sites = std::mem::take(&mut checked.sites);
        (checked, self.sites.get_or_init(|| sites))
    }
}

/// Carries out undos with whatever clients there are by then.
pub fn hands(hands: Rc<Hands>) -> Perform {
    Rc::new(move |undo, receipt| {
        let hands = hands.clone();
        Box::pin(async move {
            if undo.is_on_the_daemon() {
                let docker = hands.docker.get().ok_or_else(|| Fault::new("there is no docker daemon to undo it on"))?;
                return match undo {
                    Undo::RemoveContainer { name } => docker.remove_container(&name).await,
                    Undo::RemoveNetwork { name } => docker.remove_network(&name).await,
                    Undo::RemoveImage { reference } if is_temporary(&reference) => {
                        docker.remove_freed_image(&reference).await
                    }
                    // Others' containers may be of it too: it goes with the last of them.
                    Undo::RemoveImage { reference } => docker.remove_image(&reference).await,
                    _ => Ok(()),
                };
            }
            match hands.sites.get().and_then(|sites| sites.first()) {
                Some((Site::Beanstalk(target), _)) => target.perform(&undo, &receipt).await,
                None => Err(Fault::new("there is no site to undo it on")),
            }
        })
    })
}

/// Everything a run holds.
pub struct Run<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// Where the APIs are.
    pub cloud: &'a Cloud,
    /// How to find the daemon.
    pub daemon: &'a DaemonEnv,
    /// What runs the stages.
    pub engine: &'a Engine,
    /// What undoes.
    pub hands: &'a Hands,
    /// Labels of docker objects.
    pub labels: Labels,
}

impl<'a> Run<'a> {
    /// What acceptance tests need in every place.
    pub fn bench(&'a self, checked: &'a Checked) -> Bench<'a> {
        let tests_in = checked.tests_in.get().map(String::as_str);
        Bench { plan: self.plan, docker: checked.docker.as_ref(), labels: &self.labels, tests_in }
    }

    /// Whether a run that stops in `stage` has swapped, or updated live in place: then that is what is undone.
    fn live_was_touched(&self, stage: Stage) -> bool {
        self.engine.pending().iter().any(|undo| match undo {
            Undo::SwapBack { .. } | Undo::RestoreSettings { .. } => stage == Stage::AcceptanceLive,
            // A roll-back that did not come up is a failure, and not what was asked for.
            Undo::Redeploy { .. } => stage != Stage::RollBack,
            _ => false,
        })
    }

    /// What is another run's by now is not undone by this one.
    async fn leave_to_others(&self, stopped: &Stopped) {
        for (Site::Beanstalk(target), _) in self.hands.sites.get().into_iter().flatten() {
            if target.has_lost_the_site().await {
                self.engine.forget(|undo| !undo.is_on_the_daemon());
                let text = "another run has taken over from this one: it goes on with what this one made, or undoes it";
                let key = stopped.key.clone();
                self.engine.events().emit(EventKind::StageWarning { key, text: text.into() });
            }
        }
    }

    /// Gives the sites to those who wait for them. What could not be undone is written down for the next run. Bad news is
    /// told as that of the stage that was last.
    async fn close(&self, left: &[Undo], last: Stage, well: bool, limit: Duration) {
        for (Site::Beanstalk(target), _) in self.hands.sites.get().into_iter().flatten() {
            let closed = timeout(limit, target.close(left, well)).await;
            let closed = closed.unwrap_or_else(|_| Err(Fault::timed_out("the journal did not answer in time")));
            if let Err(fault) = closed {
                let text = format!("the site was not given back ({fault}): the next run waits until that is noticed");
                self.engine.events().emit(EventKind::StageWarning { key: last.into(), text });
            }
        }
    }
}

/// The stages that a run of this kind tells, in order.
pub fn stages_of(plan: &Plan) -> Vec<StageKey> {
    use Stage::{
        AcceptanceCandidate, AcceptanceContainer, AcceptanceLive, Build, Check, CleanUp, Configure, Deploy, Promote,
        Push, RollBack, UnitTest,
    };
    let stages: &[Stage] = match plan.run {
        RunKind::Pipeline => Stage::PIPELINE,
        RunKind::Test => &[Check, Build, UnitTest, AcceptanceContainer],
        RunKind::Push => &[Check, Build, UnitTest, AcceptanceContainer, Push],
        RunKind::Deploy => &[Check, Deploy, AcceptanceCandidate, Promote, AcceptanceLive, CleanUp],
        RunKind::Check => &[Check],
        RunKind::Promote => &[Check, Promote, AcceptanceLive, CleanUp],
        RunKind::Rollback => &[Check, RollBack, AcceptanceLive],
        RunKind::Cleanup => &[Check, CleanUp],
        RunKind::Configure => &[Check, Configure, AcceptanceLive, CleanUp],
    };
    stages.iter().copied().map(StageKey::from).collect()
}

/// Tells the story to its end, whatever the end is, and says which one it was, and what could not be removed.
pub async fn run(run: &Run<'_>, connected: Option<Docker>) -> (Exit, Vec<Undo>) {
    let (plan, engine) = (run.plan, run.engine);
    let stages = stages_of(plan);
    let about = about(plan);
    engine.events().emit(EventKind::RunStarted { about, stages: stages.clone() });
    let told = pipeline::tell(run, connected).await;
    if let Err(stopped) = &told {
        // What a cancelled run did not reach is not skipped: GitHub takes a skipped check for a passed one.
        if stopped.cancelled.is_none() {
            engine.skip_rest(&stages, &format!("{} did not pass", stopped.key));
        }
        let failed = stopped.cancelled.is_none_or(|reason| reason == CancelReason::RunTimeout);
        for (Site::Beanstalk(target), _) in run.hands.sites.get().into_iter().flatten().filter(|_| failed) {
            engine.keep(stopped, async |undo| target.keeps(undo).await).await;
        }
    }
    if let Err(stopped) = &told {
        run.leave_to_others(stopped).await;
    }
    let touched = told.as_ref().is_err_and(|stopped| run.live_was_touched(stopped.key.stage));
    let left = engine.unwind().await;
    let is_signalled =
        matches!(&told, Err(Stopped { cancelled: Some(reason), .. }) if *reason > CancelReason::RunTimeout);
    let last = stages.last().map_or(Stage::Check, |key| key.stage);
    let last = told.as_ref().map_or_else(|stopped| stopped.key.stage, |_| last);
    let well = told.is_ok() || last == Stage::CleanUp;
    run.close(&left, last, well, if is_signalled { HURRIED } else { UNHURRIED }).await;
    let (end, timed_out) = match told {
        Ok(end) => (end, false),
        Err(Stopped { cancelled: Some(reason), .. }) if reason.is_signal() || left.is_empty() => {
            (End::Cancelled(reason), false)
        }
        Err(Stopped { key, .. }) if !left.is_empty() => (End::NeedsHuman(key.stage), false),
        Err(Stopped { key, timed_out, .. }) if touched => (End::RolledBack(key.stage), timed_out),
        Err(Stopped { key, timed_out, .. }) => (End::Failed(key.stage), timed_out),
    };
    let exit = end.exit(timed_out);
    engine.events().emit(EventKind::RunFinished { end, exit, left: left.clone() });
    (exit, left)
}
