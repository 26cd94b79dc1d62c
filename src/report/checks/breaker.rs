//! A GitHub that is down is asked by one at a time, and ever more rarely: a dozen check runs that are each repeated by
//! themselves would be hundreds of requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// No wait is longer when the run is over.
const LONGEST_WAIT_AT_THE_END: Duration = Duration::from_secs(2);

/// Lets requests through, or not.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests that failed since the last that was answered.
    failures: u32,
    /// Not before this is anybody let through.
    closed_until: Option<Instant>,
    /// Whether somebody is finding out.
    is_asked: bool,
    hurried: bool,
}

/// Leave to send one request. Dropped without an answer it counts as a failure.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    answered: bool,
}

impl Breaker {
    /// Leave to send a request now, if all is well or it is time to find out.
    pub fn pass(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        if state.failures > 0 {
            if state.is_asked || state.closed_until.is_some_and(|until| until > Instant::now()) {
                return None;
            }
            state.is_asked = true;
        }
        Some(Pass { breaker: self, answered: false })
    }

    /// Shortens the waits, the one under way too.
    pub fn hurry(&self) {
        let mut state = self.state();
        state.hurried = true;
        let soon = Instant::now() + LONGEST_WAIT_AT_THE_END;
        state.closed_until = state.closed_until.map(|until| until.min(soon));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The request was answered.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        state.is_asked = false;
        if self.answered {
            (state.failures, state.closed_until) = (0, None);
            return;
        }
        let longest = if state.hurried { LONGEST_WAIT_AT_THE_END } else { LONGEST_WAIT };
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(state.failures)).min(longest);
        state.failures = state.failures.saturating_add(1);
        state.closed_until = Some(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_finds_out_whether_github_is_back() {
        let breaker = Breaker::default();
        let (first, second) = (breaker.pass().unwrap(), breaker.pass().unwrap());
        drop(first);
        assert!(breaker.pass().is_none(), "it has just failed");
        second.answered();
        breaker.pass().unwrap().answered();
        drop(breaker.pass());
        tokio::time::advance(FIRST_WAIT).await;
        let finding_out = breaker.pass().unwrap();
        assert!(breaker.pass().is_none(), "one is enough to find out");
        finding_out.answered();
        let both = (breaker.pass(), breaker.pass());
        assert!(both.0.is_some() && both.1.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_longer_it_is_down_the_less_it_is_asked_until_there_is_no_time_left() {
        let breaker = Breaker::default();
        let mut asked = 0;
        for _ in 0..600 {
            asked += usize::from(breaker.pass().is_some());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(asked, 25, "in ten minutes");
        breaker.hurry();
        tokio::time::advance(LONGEST_WAIT_AT_THE_END).await;
        assert!(breaker.pass().is_some());
    }
}
