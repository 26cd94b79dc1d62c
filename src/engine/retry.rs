//! The one retry policy and the only place that sleeps.

use std::time::Duration;

use tokio::time::Instant;

use crate::fault::Fault;

/// Waits. Everything that waits for time to pass calls this.
pub async fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the only place that sleeps")]
    tokio::time::sleep(time).await;
}

/// Whether a failed call is worth repeating.
#[derive(Debug)]
pub enum Failure {
    /// Throttled, a server's fault, or a broken connection: the same call may work in a moment.
    Passing(Fault),
    /// The answer will not change.
    Final(Fault),
}

impl Failure {
    /// The fault in it.
    pub fn into_fault(self) -> Fault {
        match self {
            Failure::Passing(fault) | Failure::Final(fault) => fault,
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
    /// No attempt begins after this.
    pub deadline: Instant,
}

impl Policy {
    /// For a call that reads, or that may safely be sent twice: up to `time` from now.
    pub fn within(time: Duration) -> Self {
        Self {
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            deadline: Instant::now() + time,
        }
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
    let mut wait = policy.first_wait;
    for attempt in 1.. {
        match call(attempt).await {
            Ok(value) => return Ok(value),
            Err(Failure::Final(fault)) => return Err(fault),
            Err(Failure::Passing(fault)) => {
                let wait_now = jittered(wait);
                if Instant::now() + wait_now >= policy.deadline {
                    return Err(fault);
                }
                told(&fault);
                pause(wait_now).await;
                wait = (wait * 2).min(policy.longest_wait);
            }
        }
    }
    Err(Fault::new("gave up after four thousand million attempts"))
}

/// Between half and all of `wait`, so that runs that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let dice = uuid::Uuid::new_v4().as_u128() as u32;
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
}
