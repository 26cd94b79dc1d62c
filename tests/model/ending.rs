//! What must hold when the last run of a schedule has ended and the cloud has come to rest.

use std::collections::BTreeSet;

use beanline::engine::event::{End, Stage};
use beanline::engine::undo::Undo;
use beanline::inputs::KeepPrevious;
use beanline::local::control::beanstalk::bundle;
use beanline::local::control::beanstalk::model::Environment;
use beanline::local::control::state::State;

use crate::cloud::{BLUE, Cloud, LIVE_CNAME, at_once};
use crate::promises::standing;
use crate::run::{Told, label};
use crate::schedule::{Launch, Schedule, Script};

/// Sentences about what is not as it was promised.
pub async fn broken(cloud: &Cloud, runs: &[(Script, Told)]) -> Vec<String> {
    let mut broken = bundles_name_images(cloud);
    let mentioned = mentioned(cloud, runs);
    cloud.store.read(|state| {
        match cloud.schedule.at_once {
            true => broken.extend(after_both(state, runs)),
            false => broken.extend(after_the_last(state, cloud.schedule.is_first, runs)),
        }
        broken.extend(left_over(state, cloud.schedule.is_first, runs, &mentioned));
        broken.extend(after_a_kill(state, &cloud.schedule, runs, &cloud.ledger.facts().changes));
    });
    broken.extend(out_of_turn(&cloud.ledger.facts().changes));
    broken
}

/// One run at a time changes environments: the calls of each are in one piece. A run whose claim ran out while nobody
/// answered it may still be about its own version and template, which are named after it.
fn out_of_turn(changes: &[(usize, String)]) -> Vec<String> {
    let is_own = |call: &str| call.contains("Version") || call.contains("Template");
    let is_free = |call: &str| call.starts_with("s3:") || call.starts_with("CreateStorageLocation") || is_own(call);
    let mut turns: Vec<usize> = changes.iter().filter(|(_, call)| !is_free(call)).map(|(run, _)| *run).collect();
    turns.dedup();
    let again = turns.iter().enumerate().find(|(at, run)| turns[..*at].contains(run));
    again.map(|(_, run)| format!("lock: run {run} changes something after another run did")).into_iter().collect()
}

/// Promise 10 when two ran at once: if any deployed, one of those is live. Where a swap could not be taken back, a person
/// was told so.
fn after_both(state: &State, runs: &[(Script, Told)]) -> Vec<String> {
    if runs.iter().any(|(_, told)| matches!(told.end, Some(End::NeedsHuman(_)))) {
        return Vec::new();
    }
    let deployed = runs.iter().filter(|(_, told)| told.handed_over);
    let labels: Vec<String> = deployed.map(|(script, _)| label(script)).collect();
    let live = standing(state).find(|environment| environment.cname == LIVE_CNAME);
    let is_one = live.and_then(|live| live.version_label.as_ref()).is_some_and(|live| labels.contains(live));
    match labels.is_empty() || is_one {
        true => Vec::new(),
        false => vec![format!("10: {} were deployed, and none is live", labels.join(" and "))],
    }
}

/// After a kill the same run once more deploys, with the candidate that is there, if nothing else was in its way.
fn after_a_kill(
    state: &State,
    schedule: &Schedule,
    runs: &[(Script, Told)],
    changes: &[(usize, String)],
) -> Vec<String> {
    let is_well = schedule.always.is_none() && schedule.launches.iter().all(|launch| *launch == Launch::Well);
    let [(killed, Told { end: None, number, .. }), (_, again)] = runs else { return Vec::new() };
    // One that was killed while it undid what it had made has left nothing to go on with.
    let was_undoing = changes.iter().any(|(run, call)| run == number && call.starts_with("TerminateEnvironment"));
    if was_undoing || !is_well || !killed.candidate_passes || !killed.live_passes {
        return Vec::new();
    }
    let mut broken = Vec::new();
    if !matches!(again.end, Some(End::Deployed)) {
        broken.push(format!("5: after a kill the same run ended so: {:?}", again.end));
    }
    let made = state.environments.iter().filter(|environment| environment.name != BLUE).count();
    if made > 1 {
        broken.push(format!("5: a kill and the same run once more made {made} environments"));
    }
    broken
}

/// What the user was told of, as text: what is kept on purpose, and what could not be removed. After a deployment only
/// what that run itself could not remove: what earlier ones left was its to remove.
fn mentioned(cloud: &Cloud, runs: &[(Script, Told)]) -> Vec<String> {
    let facts = cloud.ledger.facts();
    let counts = match runs.last() {
        Some((_, told)) if matches!(told.end, Some(End::Deployed)) && !cloud.schedule.at_once => {
            &runs[runs.len() - 1..]
        }
        _ => runs,
    };
    let said = counts.iter().filter_map(|(_, told)| facts.said.get(&told.number)).flatten().cloned();
    let undos = counts.iter().flat_map(|(_, told)| &told.left).map(Undo::command);
    facts.kept.iter().cloned().chain(said).chain(undos).collect()
}

/// Promise 4: no bundle has anything in it that a node would build.
fn bundles_name_images(cloud: &Cloud) -> Vec<String> {
    let versions = cloud.store.read(|state| state.versions.clone());
    let mut broken = Vec::new();
    for version in versions {
        let bytes = at_once(cloud.control.beanstalk().objects().get(&version.bucket, &version.key));
        let named = bytes.ok().and_then(|bytes| {
            let bundle = bundle::read(&bytes, &bundle::Properties::new()).ok()?;
            Some(bundle.service.image.reference())
        });
        if named.is_none_or(|name| name != crate::cloud::reference(&version.label).to_string()) {
            broken.push(format!("4: the bundle of version {} does not name its image", version.label));
        }
    }
    broken
}

/// Promises 3 and 10 as the last run leaves them: live runs what it deployed, or what was live before it.
fn after_the_last(state: &State, is_first: bool, runs: &[(Script, Told)]) -> Vec<String> {
    let Some((script, told)) = runs.last() else { return Vec::new() };
    let live = standing(state).find(|environment| environment.cname == LIVE_CNAME);
    let name = live.map(|live| live.name.clone());
    let was_killed = is_first && runs.iter().any(|(_, told)| told.end.is_none());
    match &told.end {
        Some(End::Deployed) => match live {
            Some(live) if live.version_label.as_deref() == Some(&*label(script)) => Vec::new(),
            _ => vec![format!("10: the last run deployed {}, and {name:?} is live", label(script))],
        },
        // What came after the tests of live is about something else.
        Some(End::Failed(Stage::CleanUp | Stage::Check) | End::NeedsHuman(_) | End::Cancelled(_)) | None => Vec::new(),
        // What a killed run made first is no state to go back to.
        Some(_) if was_killed && name.is_none() => Vec::new(),
        // A first environment that is kept keeps its CNAME.
        Some(_) if told.previous.is_none() && script.keep_failed => Vec::new(),
        Some(end) if name != told.previous => {
            vec![format!("3: the last run ended as {}, {:?} was live, {name:?} is", end.result(), told.previous)]
        }
        Some(_) => Vec::new(),
    }
}

/// Promise 5: nothing is left but what is handed over and what the user was told of.
fn left_over(state: &State, is_first: bool, runs: &[(Script, Told)], mentioned: &[String]) -> Vec<String> {
    let is_mentioned = |name: &str| mentioned.iter().any(|text| text.contains(name));
    let deployed = |told: &Told| told.handed_over;
    let mut kept: BTreeSet<&str> = BTreeSet::from([BLUE]);
    // Only the environment that the last deployment replaced is kept; a failed clean up says what it could not end.
    if let Some((script, told)) = runs.iter().rev().find(|(_, told)| deployed(told))
        && script.keep_previous == KeepPrevious::UntilNextDeploy
    {
        kept.extend(told.previous.as_deref());
    }
    let is_kept = |environment: &&Environment| {
        let is_told = is_mentioned(&environment.name) || is_mentioned(&environment.id);
        environment.cname == LIVE_CNAME || kept.contains(&*environment.name) || is_told
    };
    let mut broken: Vec<String> = standing(state)
        .filter(|environment| !is_kept(environment))
        .map(|environment| format!("5: environment {} is left, and nobody was told", environment.name))
        .collect();
    let templates = state.templates.iter().filter(|template| !is_mentioned(&template.name));
    broken.extend(templates.map(|template| format!("5: template {} is left", template.name)));
    let is_handed_over = runs.iter().any(|(_, told)| deployed(told));
    if is_first && !is_handed_over && !state.applications.is_empty() && mentioned.is_empty() {
        broken.push("5: the application is left".to_owned());
    }
    broken
}
