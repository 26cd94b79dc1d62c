//! Since when each state of an environment holds, from what was seen and from what the platform's events say.

use std::time::Duration;

use super::operation::Operation;
use super::platform::{Environment, PlatformEvent, ServerTime, Status, transition};
use super::verdict::{Demand, Held, is_success};
use crate::inputs::Health;

/// How far the platform's clock may be from what its answers say of it: they are as exact as a second.
const CLOCKS: Duration = Duration::from_secs(1);

/// When each state began to hold, in time since the operation began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Since {
    /// When it was looked last.
    looked: Duration,
    ready: Option<Span>,
    on_target: Option<Span>,
    off_target: Option<Span>,
    healthy: Option<Span>,
    missing: Option<Span>,
}

/// A state that holds.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The last look at which it did not hold yet.
    not_before: Duration,
    since: Duration,
}

impl Span {
    /// Takes what an event says of its beginning, if that is possible.
    fn dated(self, at: Option<Duration>) -> Self {
        let is_possible = |at: &Duration| *at + CLOCKS >= self.not_before && *at <= self.since + CLOCKS;
        let since = at.filter(is_possible).map_or(self.since, |at| at.max(self.not_before).min(self.since));
        Self { since, ..self }
    }
}

/// What the events say about when a state began, in time since the operation began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dated {
    /// The operation's success.
    success: Option<Duration>,
    /// The last time that health rose to the minimum.
    recovery: Option<Duration>,
}

impl Dated {
    /// Reads it from all events since the operation's anchor, at `now`, when the platform's clock showed `at`.
    pub fn of(
        operation: &Operation,
        events: &[PlatformEvent],
        minimum_health: Health,
        (now, at): (Duration, ServerTime),
    ) -> Self {
        let time = |event: &PlatformEvent| {
            let age = Duration::from_millis(u64::try_from(at.0.saturating_sub(event.at.0)).unwrap_or_default());
            now.saturating_sub(age)
        };
        let rises = |event: &&PlatformEvent| {
            transition(&event.message).is_some_and(|(from, to)| from < minimum_health && to >= minimum_health)
        };
        let own = operation.own(events);
        let success = own.iter().rfind(|event| is_success(&operation.kind, &event.message));
        Self { success: success.map(|event| time(event)), recovery: events.iter().filter(rises).map(time).max() }
    }
}

impl Since {
    /// Takes what is seen at `now` and gives how long everything has held.
    ///
    /// What was not so at the last look has begun since then. When exactly, an event may say; one that says something
    /// else is not about this, or the clocks differ, and the look counts.
    pub fn see(
        &mut self,
        now: Duration,
        operation: &Operation,
        environment: Option<&Environment>,
        minimum_health: Health,
        dated: Dated,
    ) -> Held {
        let ready = environment.filter(|environment| environment.status == Status::Ready);
        let on_target = ready.is_some_and(|environment| operation.kind.is_reached(environment));
        let healthy = ready.is_some_and(|environment| environment.health >= minimum_health);
        let looked = std::mem::replace(&mut self.looked, now);
        let step = |span: &mut Option<Span>, holds: bool, dated: Option<Duration>| {
            let new = Span { not_before: looked, since: now };
            *span = holds.then(|| span.unwrap_or(new).dated(dated));
            span.map(|span| now.saturating_sub(span.since))
        };
        // Health may have gone and come back between two looks.
        if let (Some(span), Some(recovery)) = (&mut self.healthy, dated.recovery.filter(|at| *at <= now + CLOCKS)) {
            let recovery = recovery.min(now);
            if recovery > span.since {
                *span = Span { not_before: recovery, since: recovery };
            }
        }
        let well_since = dated.success.max(dated.recovery);
        Held {
            ready: step(&mut self.ready, ready.is_some(), dated.success),
            on_target: step(&mut self.on_target, on_target, dated.success),
            off_target: step(&mut self.off_target, ready.is_some() && !on_target, None),
            healthy: step(&mut self.healthy, healthy, well_since),
            missing: step(&mut self.missing, environment.is_none(), None),
        }
    }
}

/// The moments from now on at which time alone may change the verdict, soonest first.
pub fn moments(held: &Held, demand: &Demand) -> Vec<Duration> {
    let limits = [
        (held.ready, demand.late_events),
        (held.ready, demand.rolled_back_after),
        (held.on_target, demand.late_events),
        (held.on_target, demand.unconfirmed_after),
        (held.on_target, demand.health_timeout),
        (held.off_target, demand.rolled_back_after),
        (held.healthy, demand.healthy_for),
        (held.missing, demand.unconfirmed_after),
    ];
    let rest = limits.into_iter().filter_map(|(held, limit)| limit.checked_sub(held?));
    let mut moments: Vec<Duration> = rest.filter(|rest| !rest.is_zero()).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

#[cfg(test)]
mod tests {
    use super::super::operation::Kind;
    use super::super::platform::Severity;
    use super::super::verdict::tests::environment;
    use super::*;

    fn update() -> Operation {
        Operation {
            kind: Kind::Update { label: "2".into() },
            environment_id: "e-1".into(),
            environment: "shop-1".into(),
            request_id: Some("ours".into()),
            anchor: None,
        }
    }

    fn event(seconds: i64, message: &str, request_id: Option<&str>) -> PlatformEvent {
        let request_id = request_id.map(str::to_owned);
        PlatformEvent { at: ServerTime(seconds * 1000), severity: Severity::Info, message: message.into(), request_id }
    }

    const SECOND: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_state_that_breaks_off_is_counted_anew() {
        let mut environment = environment(Status::Ready, "2", Health::Green);
        let mut since = Since::default();
        let mut see = |at, environment: &Environment| {
            since.see(SECOND(at), &update(), Some(environment), Health::Green, Dated::default())
        };
        assert_eq!(see(10, &environment).healthy, Some(Duration::ZERO));
        assert_eq!(see(15, &environment).healthy, Some(SECOND(5)));
        environment.health = Health::Yellow;
        let held = see(20, &environment);
        assert_eq!((held.healthy, held.on_target), (None, Some(SECOND(10))));
        environment.health = Health::Green;
        environment.version_label = "1".into();
        let held = see(25, &environment);
        assert_eq!((held.healthy, held.on_target, held.off_target), (Some(SECOND(0)), None, Some(SECOND(0))));
        assert_eq!(held.ready, Some(SECOND(15)));
    }

    /// Looks at 24 and at `now` seconds, Ready at the second look, and this event; the platform's clock is an hour ahead.
    fn held_at(now: u64, told: PlatformEvent) -> Held {
        let ready = environment(Status::Ready, "2", Health::Green);
        let busy = environment(Status::Updating, "2", Health::Grey);
        let mut since = Since::default();
        since.see(SECOND(24), &update(), Some(&busy), Health::Green, Dated::default());
        let at = ServerTime((3600 + now as i64) * 1000);
        let dated = Dated::of(&update(), &[told], Health::Green, (SECOND(now), at));
        since.see(SECOND(now), &update(), Some(&ready), Health::Green, dated)
    }

    #[test]
    fn an_event_between_two_looks_says_when_a_state_began_and_no_other_does() {
        let success = "Environment update completed successfully.";
        let held = held_at(36, event(3630, success, Some("ours")));
        assert_eq!((held.ready, held.on_target, held.healthy), (Some(SECOND(6)), Some(SECOND(6)), Some(SECOND(6))));
        for told in [event(3610, success, Some("ours")), event(9999, success, None), event(3630, success, None)] {
            assert_eq!(held_at(36, told).ready, Some(Duration::ZERO));
        }
    }

    #[test]
    fn health_that_fell_between_two_looks_is_counted_from_its_return() {
        let ready = environment(Status::Ready, "2", Health::Green);
        let mut since = Since::default();
        since.see(SECOND(10), &update(), Some(&ready), Health::Green, Dated::default());
        let back = event(18, "Environment health has transitioned from Severe to Ok.", None);
        let mut see = |now: u64| {
            let at = ServerTime(now as i64 * 1000);
            let dated = Dated::of(&update(), std::slice::from_ref(&back), Health::Green, (SECOND(now), at));
            since.see(SECOND(now), &update(), Some(&ready), Health::Green, dated).healthy
        };
        assert_eq!([see(25), see(30)], [Some(SECOND(7)), Some(SECOND(12))]);
    }
}
