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

    /// Takes the time that an answer says it was written at (its `Date`, RFC 9110 section 6.6.1), as it is read.
    pub fn heard(&self, date: DateTime<Utc>) {
        self.heard_between(Utc::now(), date);
    }

    /// The same for an answer whose request went out when this machine's clock said `sent`. It was written at some moment
    /// since, so that what is known stays unless this answer disproves it: a slow answer is no skew.
    pub fn heard_between(&self, sent: DateTime<Utc>, date: DateTime<Utc>) {
        // The header is as exact as a second.
        let least = date.signed_duration_since(Utc::now()).num_milliseconds();
        let most = date.signed_duration_since(sent).num_milliseconds() + 1_000;
        let known = self.0.load(Ordering::Relaxed);
        self.0.store(known.min(most).max(least), Ordering::Relaxed);
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

    #[test]
    fn a_slow_answer_changes_nothing_that_it_does_not_disprove() {
        let clock = Clock::new();
        let minute_ago = Utc::now() - TimeDelta::minutes(1);
        clock.heard_between(minute_ago, minute_ago);
        assert!((clock.unix() - Utc::now().timestamp()).abs() <= 1, "it took a minute to arrive");
        clock.heard_between(minute_ago, Utc::now() - TimeDelta::hours(1));
        assert!((clock.unix() - Utc::now().timestamp() + 3541).abs() <= 2);
    }
}
