//! clean up: the previous environment by its retention, and what earlier runs left.

use crate::engine::StageCx;
use crate::fault::Fault;
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
