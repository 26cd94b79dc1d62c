//! What GitHub may add to a run, with the limits that every run has, in simulated time.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, advance};
use tokio_util::task::AbortOnDropHandle;

use crate::engine::retry::pause;
use crate::inputs::ReportPlan;
use crate::local::github::{GithubState, GithubWorld, Refusal, Settings};
use crate::report::ConsoleStyle;
use crate::report::rehearsal::*;

/// The most that reporting may add to the end of a run.
const MOST: Duration = Duration::from_secs(20);

/// Lets time go on only when all that can happen without it has happened. Left to itself the paused clock would leap to
/// the next limit while an answer is on its way.
fn passing_time() -> AbortOnDropHandle<()> {
    const MOMENT: Duration = Duration::from_millis(100);
    AbortOnDropHandle::new(tokio::spawn(async {
        loop {
            for _ in 0..100 {
                yield_now().await;
            }
            advance(MOMENT).await;
        }
    }))
}

/// Reports a whole run to a GitHub that behaves so: how long the report took after the run, and the log.
async fn added(world: &GithubWorld, behave: impl FnOnce(&mut Settings)) -> (Duration, String) {
    let _time = passing_time();
    world.github.set(behave);
    let plan = ReportPlan { deployment: Some("production".to_owned()), ..plan(Some(world)) };
    let mut over = Instant::now();
    let log = reported(&plan, ConsoleStyle::default(), async |events| {
        for kind in deployed() {
            events.emit(kind);
            pause(Duration::from_secs(2)).await;
        }
        over = Instant::now();
    })
    .await;
    (over.elapsed(), log)
}

#[tokio::test(start_paused = true)]
async fn a_github_in_whatever_state_adds_at_most_twenty_seconds() {
    type Behaviour = fn(&mut Settings);
    let behaviours: [(&str, Behaviour); 6] = [
        ("well", |_| ()),
        ("slow", |settings| settings.latency = Duration::from_secs(9)),
        ("silent", |settings| settings.latency = Duration::from_secs(86_400)),
        ("down", |settings| settings.always = Some(Refusal::Server(503))),
        ("throttling", |settings| settings.always = Some(Refusal::TooMany(1))),
        ("limited", |settings| settings.always = Some(Refusal::RateLimited { retry_after: None })),
    ];
    for (name, behave) in behaviours {
        let world = GithubWorld::start(GithubState::default()).await.unwrap();
        let (added, log) = added(&world, behave).await;
        assert!(added <= MOST, "{name}: {added:?}");
        assert!(log.contains("result: deployed (exit code 0)"), "{name}: {log}");
        assert_eq!(log.contains("check runs on GitHub: "), name != "well", "{name}: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_github_did_not_hear_while_it_was_down_it_is_told_at_the_end() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let github = world.github.clone();
    let (added, log) = added(&world, |settings| {
        settings.always = Some(Refusal::Server(503));
        // A few seconds after the run's end, which takes two for every event.
        tokio::spawn(async move {
            pause(Duration::from_secs(2) * u32::try_from(deployed().len()).unwrap() + Duration::from_secs(4)).await;
            github.set(|settings| settings.always = None);
        });
    })
    .await;
    assert!(added <= MOST, "{added:?}");
    let runs = world.github.state().check_runs;
    assert!(runs.len() == 11 && runs.iter().all(|run| run.conclusion.as_deref() == Some("success")), "{log}\n{runs:?}");
}
