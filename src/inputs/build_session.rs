//! What a build uses besides files, arguments and secrets.

use std::path::PathBuf;

/// SSH agents and caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPlan {
    /// Sockets of SSH agents that a `RUN --mount=type=ssh` may use, by id.
    pub agents: Vec<(String, PathBuf)>,
    /// Images whose cache is used.
    pub cache_from: Vec<String>,
    /// Whether the image carries what others need to use it as a cache.
    pub inline_cache: bool,
}
