//! What time it is at the other end: expiries and leases are compared by the cloud's clock, never by the runner's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// The cloud's time: this machine's, moved by what the cloud's answers have said. Clones share what was heard.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// A clock that knows nothing yet: this machine's time.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cloud's time, to the second.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.0.load(Ordering::Relaxed))
    }

    /// The cloud's time in Unix seconds.
    pub fn unix(&self) -> i64 {
        self.now().timestamp()
    }

    /// Takes the time that an answer says it was written at (its `Date`, RFC 9110 section 6.6.1).
    pub fn heard(&self, date: DateTime<Utc>) {
        let ahead = date.signed_duration_since(Utc::now()).num_milliseconds();
        // A second is as exact as the header is, and answers travel: smaller differences are no skew.
        let ahead = if ahead.abs() < 2_000 { 0 } else { ahead };
        self.0.store(ahead, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_skew_is_taken_over_and_a_moment_is_not() {
        let clock = Clock::new();
        let shared = clock.clone();
        clock.heard(Utc::now() + TimeDelta::hours(1));
        assert!((shared.unix() - Utc::now().timestamp() - 3600).abs() <= 1);
        clock.heard(Utc::now() - TimeDelta::milliseconds(900));
        assert!((shared.unix() - Utc::now().timestamp()).abs() <= 1);
    }
}
