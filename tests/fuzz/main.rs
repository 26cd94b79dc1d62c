//! Fuzz targets for what comes from outside and is read by something public: environment, CI payloads, docker's
//! configuration, Beanstalk's events, bundles.
//!
//! A short run of each belongs to `make test`. A long one: `FUZZ_CASES=1000000 cargo test --release --test fuzz`, and the
//! same with `--lib fuzz` for what only the library sees (registry and GitHub answers, output, reports,
//! `.dockerignore`, masking). A failing case is printed in its smallest form.
//!
//! What must hold everywhere: no panic, and an end within seconds. Further properties stand in the targets.

#![expect(clippy::unwrap_used, reason = "a target ends at its first surprise")]

mod beanstalk;
mod driver;
mod outside;
