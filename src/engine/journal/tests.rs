//! The line of runs, and journals that are written by several at once, answers lost included.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::book::{Book, Lease, Refused};
use super::desk::{Store, Trouble, Version};
use super::*;
use crate::engine::retry::pause;
use crate::fault::Fault;

/// What a write does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    /// It does not take effect, and says so.
    Refused,
    /// It takes effect and its answer is lost.
    Lost,
    /// We may not.
    Denied,
}

/// A journal in memory that several runs share.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    text: Option<String>,
    writes: u64,
    now: i64,
    weather: VecDeque<Weather>,
}

impl Shelf {
    fn pass(&self, seconds: i64) {
        self.0.lock().unwrap().now += seconds;
    }

    fn journal(&self) -> Journal<String> {
        serde_json::from_str(self.0.lock().unwrap().text.as_deref().unwrap()).unwrap()
    }
}

#[async_trait]
impl Store for Shelf {
    fn place(&self) -> String {
        "memory".into()
    }

    fn now(&self) -> i64 {
        self.0.lock().unwrap().now
    }

    async fn read(&self) -> Result<Option<(String, Version)>, Trouble> {
        let kept = self.0.lock().unwrap();
        Ok(kept.text.clone().map(|text| (text, kept.writes.to_string())))
    }

    async fn write(&self, text: &str, expected: Option<&Version>) -> Result<Option<Version>, Trouble> {
        let mut kept = self.0.lock().unwrap();
        let weather = kept.weather.pop_front();
        match weather {
            Some(Weather::Refused) => return Err(Trouble::Passing(Fault::new("not now"))),
            Some(Weather::Denied) => return Err(Trouble::Denied(Fault::new("no"))),
            _ => {}
        }
        let there = kept.text.as_ref().map(|_| kept.writes.to_string());
        if there.as_ref() != expected {
            return Ok(None);
        }
        kept.text = Some(text.to_owned());
        kept.writes += 1;
        match weather {
            Some(Weather::Lost) => Err(Trouble::Passing(Fault::new("connection reset"))),
            _ => Ok(Some(kept.writes.to_string())),
        }
    }
}

fn claim(run: &str, job: Option<&str>) -> Claim {
    let job = job.map(str::to_owned);
    Claim { ticket: 0, run: run.into(), job, url: None, about: format!("shop at {run}"), expires: 0 }
}

fn book(shelf: &Shelf, run: &str, job: Option<&str>) -> Book<String> {
    book_renewed(shelf, run, job, LONG)
}

fn book_renewed(shelf: &Shelf, run: &str, job: Option<&str>, renewal: Duration) -> Book<String> {
    let look = Duration::from_millis(5);
    let lease = Lease { length: Duration::from_secs(60), renewal, look, patience: Duration::from_secs(5) };
    Book::new(Arc::new(shelf.clone()), claim(run, job), lease)
}

const NO_WAIT: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(30);

#[test]
fn the_line_is_in_the_order_of_tickets_and_the_dead_leave_it() {
    let mut journal = Journal::<String>::default();
    for (run, job, expires) in [("a", None, 10), ("b", Some("job"), 99), ("c", None, 99), ("d", None, 99)] {
        journal.queue(&claim(run, job), expires);
    }
    assert_eq!(journal.place("a"), Place::First);
    assert!(matches!(journal.place("c"), Place::Behind { owner, before: 2 } if owner.run == "a"));
    assert!(journal.bury(&claim("c", Some("job")), 10), "the first has expired, the second was of the same job");
    assert_eq!(journal.place("c"), Place::First);
    assert_eq!(journal.place("a"), Place::Nowhere);
    journal.queue(&claim("a", None), 99);
    assert_eq!(journal.line.last().map(|claim| claim.ticket), Some(5), "a ticket is given once");
    assert!(!journal.bury(&claim("c", Some("job")), 10));
}

#[tokio::test]
async fn the_second_waits_for_the_first_and_says_for_whom() {
    let shelf = Shelf::default();
    let first = book(&shelf, "one", None);
    first.claim(NO_WAIT, |_| panic!("nobody is there")).await.ok().unwrap();
    let Err(Refused::Busy(owner)) = book(&shelf, "other", None).claim(NO_WAIT, |_| ()).await else { panic!() };
    assert_eq!((owner.run.as_str(), shelf.journal().line.len()), ("one", 1));
    let second = book(&shelf, "two", None);
    let mut told = Vec::new();
    let waits = second.claim(LONG, |waiting| told.push((waiting.owner.run.clone(), waiting.before)));
    let works = async {
        pause(Duration::from_millis(40)).await;
        first.release(|journal| journal.work = None).await.unwrap();
    };
    let (claimed, ()) = tokio::join!(waits, works);
    assert!(claimed.is_ok());
    assert_eq!(told, [("one".to_owned(), 1)]);
    assert!(second.change(|journal| journal.next_ticket).await.is_ok());
}

#[tokio::test]
async fn who_lives_keeps_the_site() {
    let shelf = Shelf::default();
    let first = book_renewed(&shelf, "one", None, Duration::from_millis(1));
    first.claim(NO_WAIT, |_| ()).await.ok().unwrap();
    for _ in 0..3 {
        shelf.pass(59);
        while shelf.journal().line[0].expires < shelf.now() + 60 {
            pause(Duration::from_millis(1)).await;
        }
        assert!(book(&shelf, "two", None).claim(NO_WAIT, |_| ()).await.is_err());
    }
    assert!(first.is_owned());
}

#[tokio::test]
async fn who_is_not_heard_of_loses_the_site_and_learns_it_before_it_changes_anything() {
    let shelf = Shelf::default();
    let first = book(&shelf, "one", None);
    first.claim(NO_WAIT, |_| ()).await.ok().unwrap();
    let work = Work { runs: vec!["one".into()], key: "k".into(), url: None, undo: Vec::new(), site: "half".into() };
    first.change(|journal| journal.work = Some(work.clone())).await.unwrap();
    // The machine sleeps: nothing is renewed, and time goes on elsewhere.
    shelf.pass(3600);
    let second = book(&shelf, "two", None);
    let found = second.claim(NO_WAIT, |_| ()).await.ok().unwrap();
    assert_eq!(found.work, Some(work));
    assert!(first.hold().await.is_err(), "the other clock went on");
    let fault = first.change(|journal| journal.next_ticket = 99).await.unwrap_err();
    assert_eq!(shelf.journal().next_ticket, 3, "it has changed nothing");
    assert!(first.hold().await.is_err());
    assert!(first.is_lost() && !first.is_owned() && second.is_owned());
    assert!(fault.to_string().contains("run two of shop at two has the site now"), "{fault}");
}

#[tokio::test]
async fn the_same_job_takes_over_at_once() {
    let shelf = Shelf::default();
    let dead = book(&shelf, "one", Some("job"));
    dead.claim(NO_WAIT, |_| ()).await.ok().unwrap();
    drop(dead);
    assert!(book(&shelf, "two", Some("another job")).claim(NO_WAIT, |_| ()).await.is_err());
    assert!(book(&shelf, "three", Some("job")).claim(NO_WAIT, |_| ()).await.is_ok());
}

#[tokio::test]
async fn a_lost_answer_is_no_other_writer() {
    let shelf = Shelf::default();
    shelf.0.lock().unwrap().weather = [Weather::Lost, Weather::Refused, Weather::Lost].into();
    let run = book(&shelf, "one", None);
    run.claim(NO_WAIT, |_| ()).await.ok().unwrap();
    let mut asked = 0;
    run.change(|journal| {
        asked += 1;
        journal.next_ticket += 100;
    })
    .await
    .unwrap();
    assert_eq!((asked, shelf.journal().next_ticket), (1, 102), "it was written once, and not changed twice");
}

#[tokio::test]
async fn ten_at_once_lose_nothing() {
    let shelf = Shelf::default();
    let runs = (0..10).map(|number| {
        let shelf = shelf.clone();
        async move {
            let book = book(&shelf, &number.to_string(), None);
            book.claim(LONG, |_| ()).await.ok().unwrap();
            for _ in 0..5 {
                let site = |journal: &mut Journal<String>| journal.previous.as_ref().map_or(0, |known| known.since);
                let count = book.change(|journal| site(journal)).await.unwrap();
                pause(Duration::from_millis(1)).await;
                let previous = Previous {
                    environment_id: String::new(),
                    name: String::new(),
                    version_label: String::new(),
                    since: count + 1,
                    is_withdrawn: false,
                };
                book.change(|journal| journal.previous = Some(previous.clone())).await.unwrap();
            }
            book.release(|_| ()).await.unwrap();
        }
    });
    futures_util::future::join_all(runs).await;
    let journal = shelf.journal();
    assert_eq!((journal.previous.unwrap().since, journal.line.len()), (50, 0));
}

#[tokio::test]
async fn what_is_denied_and_what_cannot_be_read_are_told_apart() {
    let shelf = Shelf::default();
    shelf.0.lock().unwrap().weather = [Weather::Denied].into();
    assert!(matches!(book(&shelf, "one", None).claim(NO_WAIT, |_| ()).await, Err(Refused::Denied(_))));
    for text in ["{}", "no JSON", r#"{"form": 99}"#] {
        shelf.0.lock().unwrap().text = Some(text.into());
        assert!(matches!(book(&shelf, "one", None).claim(NO_WAIT, |_| ()).await, Err(Refused::Broken(_))), "{text}");
    }
}
