//! Exit codes. The table in the README is tested against this file; every number not named here is reserved.

/// How the process ends, as a number that scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for was done.
    Done = 0,
    /// Something unforeseen went wrong; the message says what.
    Unexpected = 1,
    /// An input is missing, malformed, unknown or not built yet. Nothing was changed.
    BadInput = 2,
    /// A question that the `check` stage asked has a bad answer: no engine, no login, no application. Nothing was changed.
    NotReady = 3,
    /// The image could not be built.
    BuildFailed = 10,
    /// A unit test failed.
    UnitTestFailed = 11,
    /// The container did not become ready, or an acceptance test against it failed.
    AcceptanceFailed = 12,
    /// The registry refused the image.
    PushFailed = 13,
    /// The new environment did not come up with the image.
    DeployFailed = 14,
    /// An acceptance test against the candidate failed.
    CandidateRejected = 15,
    /// The swap did not take place.
    PromoteFailed = 16,
    /// An acceptance test against live failed. What is live then, the message says first: nothing, if it was the first
    /// deployment; else the previous environment, or, when nothing had to be deployed, what was live before.
    RolledBack = 17,
    /// The deployment stands, but something that was to be removed is still there.
    CleanUpFailed = 18,
    /// The settings were not applied.
    ConfigureFailed = 19,
    /// An undo failed: a person must look. The message lists what is left and the command for each thing.
    NeedsHuman = 20,
    /// What was live before is not live again.
    RollBackFailed = 21,
    /// A time limit was reached.
    TimedOut = 124,
    /// Cancelled by SIGINT.
    Interrupted = 130,
    /// Cancelled by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Every code with its meaning, in numeric order, for `--help` and the documents.
    pub const TABLE: &[(Exit, &str)] = &[
        (Exit::Done, "everything that was asked for was done"),
        (Exit::Unexpected, "something unforeseen went wrong"),
        (Exit::BadInput, "an input is missing, malformed, unknown or not built yet; nothing was changed"),
        (Exit::NotReady, "the check stage found a reason not to start; nothing was changed"),
        (Exit::BuildFailed, "the image could not be built"),
        (Exit::UnitTestFailed, "a unit test failed"),
        (Exit::AcceptanceFailed, "the container never became ready, or an acceptance test against it failed"),
        (Exit::PushFailed, "the registry refused the image"),
        (Exit::DeployFailed, "the new environment did not come up with the image"),
        (Exit::CandidateRejected, "an acceptance test against the candidate failed; live was not touched"),
        (Exit::PromoteFailed, "the swap did not take place"),
        (Exit::RolledBack, "an acceptance test against live failed"),
        (Exit::CleanUpFailed, "the deployment stands, but something that was to be removed is still there"),
        (Exit::ConfigureFailed, "the settings were not applied"),
        (Exit::NeedsHuman, "an undo failed; the message lists what is left and a command for each thing"),
        (Exit::RollBackFailed, "what was live before is not live again"),
        (Exit::TimedOut, "a time limit was reached"),
        (Exit::Interrupted, "cancelled by SIGINT"),
        (Exit::Terminated, "cancelled by SIGTERM"),
    ];

    /// The number that the operating system sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_table_is_in_order_and_has_no_duplicate() {
        let codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }
}
