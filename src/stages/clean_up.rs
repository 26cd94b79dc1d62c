//! clean up: the previous environment by its retention, and what earlier runs left.

use crate::engine::StageCx;
use crate::fault::Fault;
use crate::targets::beanstalk::{Beanstalk, Candidate, Survey};

/// Removes what nobody needs any more.
///
/// # Errors
/// When something that was to be removed is still there; the deployment itself stands.
pub async fn clean_up(cx: &StageCx, target: &Beanstalk, survey: &Survey, candidate: &Candidate) -> Result<(), Fault> {
    target.clean_up(cx, survey, candidate).await
}
