//! Runs about what stands already: no image is made or looked for.

use super::{AFTERMATH, environment_tests};
use crate::engine::Stopped;
use crate::engine::event::{End, Stage};
use crate::inputs::{Place, RunKind};
use crate::run::Run;
use crate::stages;
use crate::stages::check::Checked;
use crate::stages::promote::Asker;
use crate::targets::Site;
use crate::targets::beanstalk::{Beanstalk, Survey};

/// Live acceptance tests ask over HTTP alone: there is no image that a command could run in.
const NO_IMAGE: &str = "";

/// Promotes, rolls back, cleans up or configures, as the plan says.
pub(super) async fn tell(run: &Run<'_>, checked: &Checked, sites: &[(Site, Survey)]) -> Result<End, Stopped> {
    for (Site::Beanstalk(target), survey) in sites {
        match run.plan.run {
            RunKind::Promote => promote(run, checked, target, survey).await?,
            RunKind::Rollback => roll_back(run, checked, target, survey).await?,
            RunKind::Configure => configure(run, checked, target, survey).await?,
            _ => clean_up(run, checked, target, survey).await?,
        }
    }
    Ok(match run.plan.run {
        RunKind::Promote => End::Deployed,
        RunKind::Rollback => End::Back,
        RunKind::Configure => End::Configured,
        _ => End::CleanedUp,
    })
}

/// What waits becomes live. From here on it is as in a pipeline: a failed test swaps back.
async fn promote(run: &Run<'_>, checked: &Checked, target: &Beanstalk, surveyed: &Survey) -> Result<(), Stopped> {
    let Run { plan, engine, .. } = *run;
    let asker = asker(run, checked);
    let work = async |cx: &_| {
        let taken = target.take_waiting(cx, surveyed).await?;
        let promoted = stages::promote::promote(cx, target, &taken.survey, &taken.candidate, &asker).await?;
        Ok((taken, promoted.live_cname))
    };
    let (taken, live_cname) = engine.stage(Stage::Promote, plan.timeout, work).await?;
    environment_tests(run, checked, NO_IMAGE, Place::Live, &live_cname).await?;
    // No signal comes in between: what has passed everything stands.
    let handed = target.hand_over_taken(&taken).await;
    engine.hand_over();
    let clean_up = async |cx: &_| stages::clean_up::clean_up(cx, target, &taken.survey, &taken.candidate, handed).await;
    engine.stage(Stage::CleanUp, target.plan().deploy_timeout, clean_up).await
}

/// What was live before is live again. A test that fails then is told; nothing is swapped once more.
async fn roll_back(run: &Run<'_>, checked: &Checked, target: &Beanstalk, surveyed: &Survey) -> Result<(), Stopped> {
    let asker = asker(run, checked);
    let work = async |cx: &_| {
        let back = target.roll_back(cx, surveyed).await?;
        if back.previous.is_some() {
            stages::promote::confirm(cx, &back, &asker).await;
        }
        Ok(back.live_cname)
    };
    let limit = target.plan().deploy_timeout * 3 + AFTERMATH;
    let live_cname = run.engine.stage(Stage::RollBack, limit, work).await?;
    environment_tests(run, checked, NO_IMAGE, Place::Live, &live_cname).await
}

/// Settings alone.
async fn configure(run: &Run<'_>, checked: &Checked, target: &Beanstalk, surveyed: &Survey) -> Result<(), Stopped> {
    let limit = target.plan().deploy_timeout * 3 + AFTERMATH;
    let work = async |cx: &_| stages::configure::configure(cx, target, surveyed).await;
    let live_cname = run.engine.stage(Stage::Configure, limit, work).await?;
    environment_tests(run, checked, NO_IMAGE, Place::Live, &live_cname).await?;
    // From here on the settings stand: what would put the old ones back goes.
    let keep = async |cx: &_| target.keep_settings(cx).await;
    run.engine.stage(Stage::CleanUp, limit, keep).await
}

/// What is past its time goes.
async fn clean_up(run: &Run<'_>, checked: &Checked, target: &Beanstalk, surveyed: &Survey) -> Result<(), Stopped> {
    let work = async |cx: &_| {
        let docker = checked.docker.as_ref();
        stages::clean_up::tidy(cx, run.plan, target, surveyed, docker).await
    };
    let limit = target.plan().deploy_timeout * 3 + AFTERMATH;
    run.engine.stage(Stage::CleanUp, limit, work).await
}

fn asker<'a>(run: &'a Run<'_>, checked: &'a Checked) -> Asker<'a> {
    Asker { docker: checked.docker.as_ref(), standpoint: run.cloud.standpoint(), labels: &run.labels }
}
