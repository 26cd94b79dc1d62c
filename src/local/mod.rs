//! The embedded cloud.

pub mod github;
