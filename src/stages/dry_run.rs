//! A dry run: every change in order, named and not made. It is the end of the check stage.

use super::check::{Checked, reference};
use crate::engine::StageCx;
use crate::engine::change::Change;
use crate::engine::event::Fact;
use crate::fault::Fault;
use crate::image::Tag;
use crate::inputs::{Plan, RunKind};
use crate::targets::Site;

/// Names what the run would change.
///
/// # Errors
/// Something that has to be asked for that was not answered, or there is nothing that the run could do.
pub async fn name_changes(cx: &StageCx, plan: &Plan, checked: &Checked) -> Result<(), Fault> {
    let mut changes = Vec::new();
    if matches!(plan.run, RunKind::Pipeline | RunKind::Push) && checked.found.is_none() {
        let image = reference(plan);
        if plan.registry.create_repository {
            changes.push(Change::MakeRepository { repository: image.repository.to_string() });
        }
        changes.push(Change::Push { image: image.to_string(), digest: "{digest}".into() });
    }
    if matches!(plan.run, RunKind::Pipeline | RunKind::Push) {
        let name = |tag: &Tag| format!("{}:{tag}", plan.image.repository);
        changes.extend(plan.image.extra_tags.iter().map(|tag| Change::Tag { image: name(tag) }));
    }
    for (Site::Beanstalk(target), survey) in &checked.sites {
        changes.extend(target.would_change(cx, plan.run, survey).await?);
    }
    if plan.run == RunKind::Cleanup && checked.docker.is_some() {
        changes.push(Change::Sweep);
    }
    if changes.is_empty() {
        cx.note("there is nothing that this run would change");
    }
    changes.into_iter().for_each(|change| cx.fact(Fact::Planned(change)));
    Ok(())
}
