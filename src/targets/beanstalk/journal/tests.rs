//! The journal in S3, by the real client against the local control plane, and journals that say anything.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::journal::book::{Book, Lease, Refused};
use crate::engine::journal::{Claim, Journal, Place};
use crate::fuzz_driver::fuzz;
use crate::local::control::tests::{World, local};

use super::super::api::Api;
use super::object::JournalObject;
use super::{Progress, SiteJournal};

fn lease() -> Lease {
    let s = Duration::from_secs;
    Lease { length: s(60), renewal: s(15), look: Duration::from_millis(20), patience: s(10) }
}

fn claim(run: &str) -> Claim {
    Claim { ticket: 0, run: run.into(), job: None, url: None, about: format!("shop at {run}"), expires: 0 }
}

fn book(api: &Api, clock: &Clock, run: &str, bucket: &str) -> Book<Progress> {
    let object = JournalObject {
        api: api.clone(),
        bucket: bucket.into(),
        owner: None,
        key: JournalObject::key("a shop", "shop.local.elasticbeanstalk.com"),
        clock: clock.clone(),
    };
    Book::new(Arc::new(object), claim(run), lease())
}

#[tokio::test]
async fn runs_take_turns_by_an_object_in_s3() {
    let world = World::start().await;
    let api = Api::new(&world.sdk(local()), true);
    api.s3.create_bucket().bucket("bundles").send().await.unwrap();
    let clock = Clock::new();
    let first = book(&api, &clock, "one", "bundles");
    first.claim(Duration::ZERO, |_| ()).await.ok().unwrap();
    let second = book(&api, &clock, "two", "bundles");
    let Err(Refused::Busy(owner)) = second.claim(Duration::ZERO, |_| ()).await else { panic!("it is taken") };
    assert_eq!(owner.run, "one");
    let waits = second.claim(Duration::from_secs(30), |_| ());
    let (claimed, released) = tokio::join!(waits, first.release(|journal| journal.previous = None));
    released.unwrap();
    assert!(matches!(claimed.ok().unwrap().place("two"), Place::First));
    assert!(first.change(|_| ()).await.is_err() && second.hold().await.is_ok());

    // Who looks an hour later, by the cloud's clock, finds that nobody has been heard of.
    let later = Clock::simulated(chrono::Utc::now() + chrono::TimeDelta::hours(1));
    let third = book(&api, &later, "three", "bundles");
    assert!(third.claim(Duration::ZERO, |_| ()).await.is_ok());
    assert!(matches!(
        book(&api, &clock, "four", "no-such-bucket").claim(Duration::ZERO, |_| ()).await,
        Err(Refused::Broken(_))
    ));
}

#[test]
fn fuzz_journals() {
    let mut journal = SiteJournal::default();
    journal.queue(&claim("one"), 60);
    let text = serde_json::to_string(&journal).unwrap();
    let work = r#"{"form":1,"edition":18446744073709551615,"by":"x","next_ticket":18446744073709551615,"line":[{"ticket":1,
        "run":"a","job":"j","url":null,"about":"","expires":-9223372036854775808}],"work":null,"left":[{"undo":{"undo":
        "remove_application","application":"a","region":"r"},"runs":["a"]}],"previous":null,"good":[]}"#;
    fuzz(&[text.as_bytes(), work.as_bytes()], |bytes| {
        let Ok(mut journal) = serde_json::from_slice::<SiteJournal>(bytes) else { return };
        let me = claim("me");
        for now in [0, i64::MAX, i64::MIN] {
            journal.bury(&me, now);
            journal.queue(&me, now);
        }
        assert!(journal.claim_of("me").is_some());
        journal.leave("me");
        assert_eq!(journal.place("me"), Place::Nowhere);
        let again: Journal<Progress> = serde_json::from_str(&serde_json::to_string(&journal).unwrap()).unwrap();
        assert_eq!(again, journal, "what is written is what is read");
    });
}
