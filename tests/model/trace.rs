//! What happened, line by line, in simulated time. Two traces of one seed are equal.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// The story of one schedule. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct Trace {
    began: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    /// Begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), lines: Arc::default() }
    }

    /// Writes a line.
    pub fn line(&self, text: impl std::fmt::Display) {
        let line = format!("{:>10.3} {text}", self.began.elapsed().as_secs_f64());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
