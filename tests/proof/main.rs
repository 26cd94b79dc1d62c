//! The proof: every mutating call of a run is refused, has its answer lost, or kills the run, and the world is
//! looked at as a whole afterwards.
//!
//! What to disturb is found in the log of a proxy that stands between the binary and everything it speaks to: a call that
//! is new tomorrow is disturbed tomorrow. What runs is chosen by these variables:
//!
//! * `PROOF_WAYS`: some of `refuse`, `lose`, `kill`, `reset` and `kill-before`, for every call; unset, the cloud's calls
//!   in the first three ways, and each of the others in one of them, in turn (`make proof` tries all calls in all three);
//! * `PROOF_ONLY`: texts, of which the case's name has one in it, as `cloud Create,docker POST /build`;
//! * `PROOF_WORLDS`: how many worlds run at once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a proof ends where its own tools fail"
)]

mod call;
mod case;
mod desk;
mod made;
mod planted;
mod proxy;
mod scene;
mod seen;
#[path = "../stories/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories use the rest of it")]
mod support;
mod table;
mod work;
