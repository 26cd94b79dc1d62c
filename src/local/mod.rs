//! The embedded cloud.

pub mod github;
pub mod plane;
