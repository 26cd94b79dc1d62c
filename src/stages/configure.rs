//! configure: the settings of the inputs go to the environment that stands, and nothing else.

use crate::engine::StageCx;
use crate::fault::Fault;
use crate::targets::beanstalk::{Beanstalk, Survey};

/// Applies the settings, and gives the live CNAME.
///
/// # Errors
/// The site is another run's, or the settings were not applied.
pub async fn configure(cx: &StageCx, target: &Beanstalk, surveyed: &Survey) -> Result<String, Fault> {
    let configured = target.configure(cx, surveyed).await?;
    let name = &configured.name;
    match configured.changes.len() {
        0 => cx.note(format!("nothing of {name} had to be changed")),
        1 => cx.note(format!("1 setting of {name} was changed; its version is as before")),
        count => cx.note(format!("{count} settings of {name} were changed; its version is as before")),
    }
    Ok(surveyed.live_cname.clone())
}
