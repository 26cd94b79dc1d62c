//! clean up: the previous environment by its retention, and what earlier runs left.

use super::sweep;
use crate::docker::Docker;
use crate::engine::StageCx;
use crate::engine::change::Change;
use crate::engine::event::Fact;
use crate::fault::Fault;
use crate::inputs::Plan;
use crate::targets::beanstalk::{Beanstalk, Candidate, Survey};

/// Removes what nobody needs any more; `handed` is what became of handing the deployment over.
///
/// # Errors
/// When something that was to be removed is still there; the deployment itself stands.
pub async fn clean_up(
    cx: &StageCx,
    target: &Beanstalk,
    survey: &Survey,
    candidate: &Candidate,
    handed: Result<(), Fault>,
) -> Result<(), Fault> {
    // Nothing is removed while the journal says something else. It is written once more at the end of the run.
    handed.map_err(|fault| fault.hint("the deployment stands; run again, so that the journal says so too"))?;
    target.clean_up(cx, survey, candidate).await
}

/// The same between deployments, on a schedule: what is past its time goes. What runs left on the docker engine too, if
/// there is one.
///
/// # Errors
/// The site is another run's; or something that was to be removed is still there.
pub async fn tidy(
    cx: &StageCx,
    plan: &Plan,
    target: &Beanstalk,
    surveyed: &Survey,
    docker: Option<&Docker>,
) -> Result<(), Fault> {
    let tidied = target.tidy(cx, surveyed).await;
    if let Some(docker) = docker {
        cx.fact(Fact::Planned(Change::Sweep));
        sweep::sweep(cx, docker, plan, chrono::Utc::now().timestamp()).await;
    }
    tidied
}
