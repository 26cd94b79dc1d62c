//! [`Pace`]: how fast the platform is asked, and when the next question can tell something new.

use std::time::Duration;

use super::operation::Kind;
use crate::engine::journal::book::Lease;

/// How fast things are asked for, and how long they take to show. The embedded cloud is faster than Amazon's.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks when something may happen at any moment.
    pub first: Duration,
    /// Between two looks at what goes on for minutes.
    pub longest: Duration,
    /// Between two readings of events while an operation is under way: nothing but its progress is in them.
    pub progress: Duration,
    /// How long one question of a look may take before the look goes on without it.
    pub answer: Duration,
    /// How late events may arrive.
    pub late_events: Duration,
    /// How long resolvers keep the old address after a swap.
    pub dns_ttl: Duration,
    /// How long a run that is not heard of keeps a site.
    pub lease: Lease,
}

impl Pace {
    /// For a region; `local` is the embedded cloud.
    pub fn of(region: &str) -> Self {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        match region {
            "local" => {
                let lease = Lease { length: s(10), renewal: s(2), look: ms(300), patience: s(10) };
                let (first, longest, progress, answer) = (ms(200), ms(200), ms(400), s(5));
                Self { first, longest, progress, answer, late_events: ms(500), dns_ttl: ms(0), lease }
            }
            _ => {
                let lease = Lease { length: s(60), renewal: s(15), look: s(5), patience: s(60) };
                let (first, longest, progress, answer) = (s(2), s(12), s(30), s(10));
                Self { first, longest, progress, answer, late_events: s(10), dns_ttl: s(60), lease }
            }
        }
    }

    /// Between two questions about something of this age: the first wait for a minute, then a minute's worth more for
    /// every further minute.
    pub fn interval(&self, age: Duration) -> Duration {
        let minutes = u32::try_from(age.as_secs() / 60).unwrap_or(u32::MAX);
        self.first.saturating_mul(minutes.saturating_add(1)).min(self.longest)
    }

    /// Until the next look at an operation that has been under way for `age`; `usual` is how long such ones took on this
    /// environment before. A look that comes late costs no time: the platform's events say since when what they tell of
    /// has held.
    pub fn while_busy(&self, kind: &Kind, age: Duration, usual: Option<Duration>) -> Duration {
        let rarely = self.longest * 5 / 2;
        match (kind, usual) {
            (Kind::Swap { .. }, _) => self.interval(age),
            (Kind::Create { .. } | Kind::Update { .. } | Kind::Configure { .. }, Some(usual)) => {
                let rest = (usual * 17 / 20).saturating_sub(age);
                if rest >= self.first / 2 {
                    // In equal steps, of which the last ends where the end comes near.
                    let steps = rest.as_nanos().div_ceil(rarely.as_nanos().max(1));
                    return rest / u32::try_from(steps).unwrap_or(u32::MAX).max(1);
                }
                (usual / 4).max(age.saturating_sub(usual)).clamp(self.first, self.longest)
            }
            // What cannot begin has ended by the first look; instances alone take a minute to come.
            (Kind::Create { .. }, None) if (self.longest..Duration::from_secs(60)).contains(&age) => rarely,
            // An update whose end nobody can foretell: a little rarer than health has to hold, so that one look is saved.
            (Kind::Update { .. } | Kind::Configure { .. }, None) if (self.longest..self.longest * 5).contains(&age) => {
                self.longest * 5 / 3
            }
            _ => self.longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(kind: &Kind, usual: Option<u64>, end: u64) -> Vec<u64> {
        let (pace, end) = (Pace::of("eu-west-1"), Duration::from_secs(end));
        let mut age = Duration::ZERO;
        let mut looks = Vec::new();
        while age < end {
            age += pace.while_busy(kind, age, usual.map(Duration::from_secs));
            looks.push(age.as_secs());
        }
        looks
    }

    #[test]
    fn questions_become_rarer_on_long_operations() {
        let pace = Pace::of("eu-west-1");
        let seconds = |age| pace.interval(Duration::from_secs(age)).as_secs();
        assert_eq!([0, 59, 60, 180, 3600].map(seconds), [2, 2, 4, 8, 12]);
        assert_eq!(Pace::of("local").interval(Duration::from_secs(3600)), Duration::from_millis(200));
    }

    #[test]
    fn looks_are_dense_where_an_end_is_near_and_sparse_where_nothing_can_happen() {
        let update = Kind::Update { label: "2".into() };
        assert_eq!(looks(&update, None, 30), [12, 32]);
        assert_eq!(looks(&update, Some(30), 30), [25, 33]);
        assert_eq!(looks(&update, Some(120), 118), [25, 51, 76, 102, 114, 126]);
        assert_eq!(looks(&update, Some(20), 60), [17, 22, 27, 34, 46, 58, 70]);
        let create = Kind::Create { label: "2".into() };
        assert_eq!(looks(&create, None, 90), [12, 42, 72, 84, 96]);
        let swap = Kind::Swap { cname: "shop".into() };
        assert_eq!(looks(&swap, None, 5), [2, 4, 6]);
        assert_eq!(looks(&Kind::Terminate, None, 20), [12, 24]);
    }
}
