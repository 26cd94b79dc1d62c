//! One schedule, from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use beanline::engine::retry::{JITTER, pause};
use tokio::task::LocalSet;

use crate::cloud::Cloud;
use crate::run::{Run, Told};
use crate::schedule::{Kinds, Moment, Schedule, Script, Stop};
use crate::{ending, nodes};

/// Promise 9: no run takes longer, whatever happens to it: its own limit and the limits of all its undos.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// How long after a kill the same run is begun again.
const AFTER_A_KILL: Duration = Duration::from_secs(20);

/// What came of a schedule.
pub struct Played {
    /// What was to happen.
    pub schedule: Schedule,
    /// What happened.
    pub trace: Vec<String>,
    /// Promises that were not kept.
    pub broken: Vec<String>,
}

/// Plays the schedule of a seed.
pub fn play(seed: u64, kinds: Kinds) -> Played {
    JITTER.set(Some(seed as u32));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let schedule = Schedule::of(seed, kinds);
        let cloud = Cloud::new(schedule.clone());
        let nodes = tokio::spawn(nodes::run(cloud.clone()));
        if !schedule.is_first {
            cloud.make_live().await;
        }
        let mut runs = Vec::new();
        let mut begun = Vec::new();
        for (at, script) in schedule.runs.iter().cloned().enumerate() {
            let run = tokio::task::spawn_local(follow(at + 1, cloud.clone(), script));
            match schedule.at_once {
                true => begun.push(run),
                false => runs.extend(run.await.unwrap()),
            }
        }
        for run in begun {
            runs.extend(run.await.unwrap());
        }
        cloud.rest().await;
        pause(Duration::from_secs(5)).await;
        let broken = ending::broken(&cloud, &runs).await;
        cloud.ledger.add(broken);
        nodes.abort();
        Played { schedule, trace: cloud.trace.lines(), broken: cloud.ledger.broken() }
    })
}

/// Runs a script; after a kill the same one once more, with nothing in its way.
async fn follow(number: usize, cloud: Arc<Cloud>, script: Script) -> Vec<(Script, Told)> {
    pause(script.begins).await;
    let told = one(number, &cloud, &script).await;
    let was_killed = told.end.is_none();
    let mut runs = vec![(script.clone(), told)];
    if was_killed {
        pause(AFTER_A_KILL).await;
        let again = script.again();
        let told = one(number + 10, &cloud, &again).await;
        runs.push((again, told));
    }
    runs
}

/// One run, to its end or to its kill.
async fn one(number: usize, cloud: &Arc<Cloud>, script: &Script) -> Told {
    let (run, stopped) = Run::new(number, cloud, script);
    let mut killed = stopped.clone();
    let killed = async {
        match script.stop {
            Stop::Kill(Moment::After(time)) => pause(time).await,
            Stop::Kill(Moment::Call { .. }) if killed.wait_for(|stopped| *stopped).await.is_ok() => {}
            _ => std::future::pending().await,
        }
    };
    let told = tokio::select! {
        biased;
        told = run.tell(stopped) => told,
        () = killed => Told { number, end: None, left: Vec::new(), previous: None, handed_over: false },
        () = pause(LONGEST) => {
            cloud.ledger.add([format!("9: run {number} has not ended")]);
            Told { number, end: None, left: Vec::new(), previous: None, handed_over: false }
        }
    };
    cloud.trace.line(format!("run {number} ends: {:?}, left: {:?}", told.end, told.left));
    told
}
