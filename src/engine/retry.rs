//! The one retry policy and the only place that sleeps.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::fault::Fault;

thread_local! {
    /// Decides the jitter of waits on a thread where all must go the same way each time: a simulation's. Elsewhere, where
    /// nothing is set, chance does.
    pub static JITTER: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Waits. Everything that waits for time to pass calls this.
pub async fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the only place that sleeps")]
    tokio::time::sleep(time).await;
}

/// Whether a failed call is worth repeating.
#[derive(Debug)]
pub enum Failure {
    /// A broken connection, or none: the same call may work in a moment.
    Passing(Fault),
    /// Throttled, or a server's fault: the other side is there, and worth a longer wait.
    Busy(Fault),
    /// The answer will not change.
    Final(Fault),
}

impl Failure {
    /// The fault in it.
    pub fn into_fault(self) -> Fault {
        match self {
            Failure::Passing(fault) | Failure::Busy(fault) | Failure::Final(fault) => fault,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Final(fault)
    }
}

/// How often and how long a call is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Wait before the second attempt; doubled for each further one, half of it by chance.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// No attempt begins later than this after the first one.
    pub time: Duration,
    /// The same while the other side is busy.
    pub busy_time: Duration,
}

impl Policy {
    /// For a call that reads, or that may safely be sent twice: for as long as `time`.
    pub fn within(time: Duration) -> Self {
        Self { first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(10), time, busy_time: time }
    }

    /// The same, and for as long as `time` while the other side is busy.
    pub fn busy_for(self, time: Duration) -> Self {
        Self { busy_time: time.max(self.time), ..self }
    }
}

/// Repeats `call` while its failures pass and the policy allows. `call` is told which attempt it is, from 1 on, so that a
/// call that creates something can look it up before it sends again. `told` hears of each failure that is followed by
/// another attempt.
///
/// # Errors
/// The last failure's fault.
pub async fn retry<T>(
    policy: Policy,
    mut told: impl FnMut(&Fault),
    mut call: impl AsyncFnMut(u32) -> Result<T, Failure>,
) -> Result<T, Fault> {
    let mut attempts = Attempts::new(policy);
    loop {
        match call(attempts.number).await {
            Ok(value) => return Ok(value),
            Err(failure) => attempts.after(failure, &mut told).await?,
        }
    }
}

/// The attempts of one call, for those who send it themselves; [`retry`] is the short form.
#[derive(Debug)]
pub struct Attempts {
    policy: Policy,
    began: Instant,
    wait: Duration,
    number: u32,
}

impl Attempts {
    /// Before the first attempt.
    pub fn new(policy: Policy) -> Self {
        Self { policy, began: Instant::now(), wait: policy.first_wait, number: 1 }
    }

    /// Which attempt it is, from 1 on.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Waits for the next attempt, if there is to be one; `told` hears of the failure then.
    ///
    /// # Errors
    /// The failure's fault, when there is none.
    pub async fn after(&mut self, failure: Failure, mut told: impl FnMut(&Fault)) -> Result<(), Fault> {
        let (fault, time) = match failure {
            Failure::Final(fault) => return Err(fault),
            Failure::Passing(fault) => (fault, self.policy.time),
            Failure::Busy(fault) => (fault, self.policy.busy_time),
        };
        let wait = jittered(self.wait);
        if self.began.elapsed() + wait >= time {
            return Err(fault);
        }
        told(&fault);
        pause(wait).await;
        self.wait = (self.wait * 2).min(self.policy.longest_wait);
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

/// Between half and all of `wait`, so that runs that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    // The multiplier and the increment are those of "Numerical Recipes" for a generator of 32 bits.
    let follow = |dice: u32| dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let dice = JITTER.get().map(follow).inspect(|dice| JITTER.set(Some(*dice)));
    let dice = dice.unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u32);
    wait / 2 + (wait / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passing_failures_are_repeated_and_final_ones_are_not() {
        let policy = Policy { first_wait: Duration::from_millis(1), ..Policy::within(Duration::from_secs(5)) };
        let mut heard = 0;
        let third = retry(
            policy,
            |_| heard += 1,
            async |attempt| match attempt {
                3 => Ok(attempt),
                _ => Err(Failure::Passing(Fault::new("busy"))),
            },
        );
        assert_eq!(third.await.ok(), Some(3));
        assert_eq!(heard, 2);
        let refused = retry(policy, |_| (), async |_| Err::<(), _>(Failure::Final(Fault::new("no"))));
        assert!(refused.await.is_err());
    }

    #[tokio::test]
    async fn who_is_busy_is_given_more_time_than_who_is_silent() {
        let short = Policy { first_wait: Duration::from_millis(2), ..Policy::within(Duration::ZERO) };
        let policy = short.busy_for(Duration::from_secs(5));
        let silent = retry(policy, |_| (), async |_| Err::<(), _>(Failure::Passing(Fault::new("no answer"))));
        assert!(silent.await.is_err());
        let busy = retry(
            policy,
            |_| (),
            async |attempt| match attempt {
                4 => Ok(attempt),
                _ => Err(Failure::Busy(Fault::new("Rate exceeded"))),
            },
        );
        assert_eq!(busy.await.ok(), Some(4));
    }
}
