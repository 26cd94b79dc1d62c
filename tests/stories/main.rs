//! Stories: a world, a run of the real binary, what the user saw, what the world looks like after, nothing left over.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a story ends at its first surprise"
)]

mod acceptance;
mod again;
mod bad_input;
mod building;
mod cancelled;
mod cleanup;
mod configure;
mod deploy_by_tag;
mod failures;
mod in_place;
mod killed;
mod main_job;
mod manual;
mod moved_tag;
mod pair;
mod parts;
mod planted;
mod platform;
mod post;
mod private_base;
mod pushes;
mod secrets;
mod services;
mod settings;
#[allow(dead_code, reason = "tests/proof uses the rest of it")]
mod support;
mod trouble;
mod unit_tests;
