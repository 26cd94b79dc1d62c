//! What is said when the site is another run's.

use crate::engine::in_words;
use crate::engine::journal::Claim;
use crate::fault::Fault;

/// The run that has the site kept it for all the time that this one was ready to wait.
pub(super) fn busy(live_cname: &str, owner: &Claim, limit: std::time::Duration) -> Fault {
    let fault = match limit.is_zero() {
        true => Fault::new(format!("another run has {live_cname}: nothing was changed")),
        false => Fault::timed_out(format!(
            "another run still has {live_cname} after {}: nothing was changed",
            in_words(limit)
        )),
    };
    let fault = fault.cause(format!("it is {owner}"));
    match limit.is_zero() {
        true => fault.hint("run again when it has ended, or set on_busy to wait"),
        false => fault.hint("run again when it has ended, or raise deploy_timeout, which is how long a run waits"),
    }
}
