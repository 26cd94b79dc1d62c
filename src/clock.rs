//! What time it is at the other end: expiries and leases are compared by the cloud's clock, never by the runner's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// The cloud's time: this machine's, moved by what the cloud's answers have said. Clones share what was heard.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    source: Source,
    /// Milliseconds that the cloud is ahead.
    ahead: Arc<AtomicI64>,
}

/// What a clock is before anything was heard.
#[derive(Clone, Copy, Debug, Default)]
enum Source {
    /// This machine's clock.
    #[default]
    Machine,
    /// A clock that showed a time at an instant, and goes on as instants do.
    Simulated(DateTime<Utc>, Instant),
}

impl Clock {
    /// A clock that knows nothing yet: this machine's time.
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock that shows `origin` now and goes on with tokio's time, which a test may pause.
    pub fn simulated(origin: DateTime<Utc>) -> Self {
        Self { source: Source::Simulated(origin, Instant::now()), ahead: Arc::default() }
    }

    /// The cloud's time, to the second.
    pub fn now(&self) -> DateTime<Utc> {
        self.machine() + TimeDelta::milliseconds(self.ahead.load(Ordering::Relaxed))
    }

    /// This machine's time, without what was heard.
    pub fn machine(&self) -> DateTime<Utc> {
        match self.source {
            Source::Machine => Utc::now(),
            Source::Simulated(origin, since) => origin + since.elapsed(),
        }
    }

    /// The cloud's time in Unix seconds.
    pub fn unix(&self) -> i64 {
        self.now().timestamp()
    }

    /// Takes the time that an answer says it was written at (its `Date`, RFC 9110 section 6.6.1), as it is read.
    pub fn heard(&self, date: DateTime<Utc>) {
        self.heard_between(self.machine(), date);
    }

    /// The same for an answer whose request went out when this machine's clock said `sent`. It was written at some moment
    /// since, so that what is known stays unless this answer disproves it: a slow answer is no skew.
    pub fn heard_between(&self, sent: DateTime<Utc>, date: DateTime<Utc>) {
        // The header is as exact as a second.
        let least = date.signed_duration_since(self.machine()).num_milliseconds();
        let most = date.signed_duration_since(sent).num_milliseconds() + 1_000;
        let known = self.ahead.load(Ordering::Relaxed);
        self.ahead.store(known.min(most).max(least), Ordering::Relaxed);
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

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_on_with_the_time_of_the_test() {
        let origin = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let clock = Clock::simulated(origin);
        tokio::time::advance(std::time::Duration::from_secs(90)).await;
        assert_eq!(clock.now(), origin + TimeDelta::seconds(90));
        clock.heard(origin + TimeDelta::seconds(90) - TimeDelta::hours(1));
        let off = clock.now() - (origin + TimeDelta::seconds(90) - TimeDelta::hours(1));
        assert!(off.num_milliseconds().abs() <= 1_000, "a `Date` is as exact as a second: {off}");
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
