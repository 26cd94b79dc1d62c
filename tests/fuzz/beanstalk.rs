//! Beanstalk's event streams: out of order, repeated, late, without request ids.

use std::collections::HashSet;
use std::time::Duration;

use beanline::inputs::Health;
use beanline::targets::beanstalk::events::{Anchor, Reader};
use beanline::targets::beanstalk::operation::{Kind, Operation};
use beanline::targets::beanstalk::platform::{PlatformEvent, ServerTime, Severity};
use beanline::targets::beanstalk::verdict::{Demand, Fleet, Held, Verdict, is_trouble, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::driver;

/// Texts that the verdict knows, and some that it does not.
const TEXTS: &[&str] = &[
    "Environment update is starting.",
    "createEnvironment is starting.",
    "terminateEnvironment is starting.",
    "Environment update completed successfully.",
    "Successfully launched environment: shop-b",
    "Successfully launched environment: shop-b. However, there were issues during launch.",
    "Failed to deploy application.",
    "Failed to launch environment.",
    "The environment was reverted to the previous configuration setting.",
    "Command execution completed on all instances. Summary: [Successful: 0, Failed: 1].",
    "Environment health has transitioned from Info to Ok.",
    "Completed swapping CNAMEs for environments 'shop-a' and 'shop-b'.",
    "",
];

fn event() -> impl Strategy<Value = PlatformEvent> {
    let severity = select(vec![Severity::Info, Severity::Warn, Severity::Error, Severity::Fatal]);
    let message = prop_oneof![8 => select(TEXTS).prop_map(str::to_owned), 1 => any::<String>()];
    let request = prop_oneof![Just(None), select(vec!["one", "two"]).prop_map(|id| Some(id.to_owned()))];
    // Close together, as they come, and sometimes absurd.
    let at = prop_oneof![9 => 0..200_000_i64, 1 => any::<i64>()];
    (at, severity, message, request).prop_map(|(at, severity, message, request_id)| PlatformEvent {
        at: ServerTime(at),
        severity,
        message,
        request_id,
    })
}

/// What tells events apart for the platform: not their severity.
fn identity(event: &PlatformEvent) -> (i64, String, Option<String>) {
    // An empty id is none.
    (event.at.0, event.message.clone(), event.request_id.clone().filter(|id| !id.is_empty()))
}

#[test]
fn fuzz_readings_of_events() {
    let readings = (vec(event(), 0..4), vec(vec(event(), 0..8), 0..6));
    driver::run(readings, |(before, readings)| {
        let anchor = Anchor::after(&before);
        let mut reader = Reader::from(anchor.as_ref());
        let known: HashSet<_> = match &anchor {
            Some(anchor) => before.iter().filter(|event| event.at == anchor.at).map(identity).collect(),
            None => HashSet::new(),
        };
        let (mut told, mut all) = (HashSet::new(), Vec::new());
        for reading in readings {
            // What was read is read again, in pages that overlap.
            all.extend(reading);
            let new = reader.take(all.iter().rev().cloned().collect());
            assert!(new.is_sorted_by_key(|event| event.at), "older ones come first");
            assert!(new.iter().all(|event| told.insert(identity(event))), "an event is told once");
            assert!(reader.start() >= anchor.as_ref().map(|anchor| anchor.at));
        }
        let after = |event: &&PlatformEvent| anchor.as_ref().is_none_or(|anchor| event.at >= anchor.at);
        let expected: HashSet<_> = all.iter().filter(after).map(identity).filter(|id| !known.contains(id)).collect();
        assert_eq!(told, expected, "none is lost");
    });
}

#[test]
fn fuzz_verdicts_on_event_streams() {
    let kinds = ["v1"].map(str::to_owned).map(|label| {
        vec![
            Kind::Create { label: label.clone() },
            Kind::Update { label: label.clone() },
            Kind::Configure { label },
            Kind::Swap { cname: "shop.elasticbeanstalk.com".into() },
            Kind::Terminate,
        ]
    });
    let operation = (select(kinds.concat()), prop_oneof![Just(None), Just(Some("one".to_owned()))]);
    let held = (0..120_u64, any::<bool>());
    driver::run((operation, vec(event(), 0..12), held), |((kind, request_id), events, (seconds, missing))| {
        let operation = Operation {
            kind,
            environment_id: "e-1".into(),
            environment: "shop-b".into(),
            request_id,
            anchor: Anchor::after(&[]),
        };
        let time = Some(Duration::from_secs(seconds));
        let held = Held { missing: time.filter(|_| missing), ..Held::default() };
        let verdict = judge(&operation, &events, None, Fleet::Unknown, held, &demand());
        // Nobody can know that an environment runs a version which the platform does not list.
        let must_be_there = operation.kind.label().is_some();
        assert!(!(must_be_there && matches!(verdict, Verdict::Succeeded(_))));
        if let Verdict::Failed { causes, .. } = &verdict {
            // Its own trouble, else what carries no request id and may be its own.
            let own = operation.own(&events).into_iter().filter(|event| is_trouble(event)).count();
            let strays = events.iter().filter(|event| event.request_id.is_none() && is_trouble(event)).count();
            assert!(causes.len() <= own.max(strays) + 2);
        }
    });
}

fn demand() -> Demand {
    let seconds = Duration::from_secs;
    Demand {
        minimum_health: Health::Green,
        healthy_for: seconds(15),
        health_timeout: seconds(300),
        late_events: seconds(10),
        rolled_back_after: seconds(30),
        unconfirmed_after: seconds(60),
    }
}
