//! clean up: the previous environment by its retention, and what earlier runs left.

use crate::engine::StageCx;
use crate::fault::Fault;
use crate::targets::beanstalk::{Beanstalk, Candidate, ImageToDeploy, Survey};

/// Hands the deployment over, and removes what nobody needs any more.
///
/// # Errors
/// When something that was to be removed is still there; the deployment itself stands.
pub async fn clean_up(
    cx: &StageCx,
    target: &Beanstalk,
    survey: &Survey,
    candidate: &Candidate,
    image: &ImageToDeploy,
) -> Result<(), Fault> {
    if let Err(fault) = target.hand_over(survey, candidate, image).await {
        // Nothing is removed on the word of a journal that says something else.
        return Err(fault.hint("the deployment stands; run again to have the journal say so"));
    }
    target.clean_up(cx, survey, candidate).await
}
