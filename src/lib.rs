//! Build a docker image once, test that image, ship exactly that image, and show every step on the commit.
//!
//! The map, in the order in which dependencies point: a line may use those below it. `docs/architecture.md` follows one
//! image through it.
//!
//! * [`command`] is what was typed, [`start`] makes a run out of the inputs, [`post`] comes after a job's run,
//!   [`environment`] is what else is set.
//! * [`run`] leads from a run's first event to its last, [`pipeline`] is the order of the [`stages`].
//! * [`targets`] are where the image is deployed to, [`registry`] is where it is pushed to, [`cloud`] is where their
//!   APIs are.
//! * [`local`] is the embedded cloud, [`probe`] asks questions from inside a docker network.
//! * [`docker`] is the daemon, [`report`] turns events into words.
//! * [`engine`] runs a stage and undoes, [`inputs`] make text into a plan.
//! * [`clock`] is the cloud's time, [`image`] has names and digests, [`fault`] what failed and what to try, [`exit`] the exit codes.

// A run is futures in futures, and the compiler counts how deep when it lays out the outermost.
#![recursion_limit = "256"]

pub mod command;
pub mod post;
pub mod start;

pub mod environment;

pub mod pipeline;
pub mod run;
pub mod stages;

pub mod cloud;
pub mod registry;
pub mod targets;

pub mod local;
pub mod probe;

pub mod docker;
pub mod report;

pub mod engine;
pub mod inputs;

pub mod clock;
pub mod exit;
pub mod fault;
pub mod image;

#[cfg(test)]
#[path = "../tests/fuzz/driver.rs"]
mod fuzz_driver;
