//! What state the world is in: the first sentence of every failure, made from what happened and not from hope.

use super::known::{Known, is_ending, is_put_back, updated, was_ours};
use crate::engine::event::{End, Stage};
use crate::engine::undo::Undo;
use crate::report::story::{StageStory, State, Story};

/// Who serves the live address.
enum Live {
    /// Whoever did before the run.
    Untouched,
    /// What this run deployed.
    Ours,
    /// The previous environment or version, after it was ours for a while.
    Restored,
    /// Nobody did before the run, and what it made is not seen to serve.
    NotYet,
    /// It was being updated in place, and has been given neither version for sure.
    Mixed,
    /// The first environment was ended again.
    Nobody,
    /// Giving it back failed.
    Unknown,
}

/// The state of the world in one sentence, lower case, without a full stop.
pub fn world(story: &Story) -> String {
    let known = Known::of(story);
    let Some((end, _)) = &story.end else { return so_far(story, &known) };
    match end {
        End::Deployed if known.is_as_before => format!("{}: nothing had to be deployed", serves_ours(&known)),
        End::Deployed => serves_ours(&known),
        End::Tested if !is_tested(story) => {
            "the image was built, and not tested; nothing was pushed or deployed".to_owned()
        }
        End::Tested => "the image passed its tests; nothing was pushed or deployed".to_owned(),
        End::Pushed => match &known.pushed {
            Some((image, tag, _)) => {
                format!("{} is in the registry; nothing was deployed", super::tagged(image, tag))
            }
            None => "the image is in the registry; nothing was deployed".to_owned(),
        },
        End::Checked => "a deployment could begin; nothing was changed".to_owned(),
        End::Versioned => "the application version is made; no environment was told".to_owned(),
        End::Waiting => waiting(&known),
        End::Back => format!("{} again", serves_ours(&known)),
        End::CleanedUp => format!("what was to be removed is gone; {}", stays(&known)),
        End::Configured => format!("the settings are applied; {}", stays(&known)),
        End::Planned => format!("nothing was changed: every change is named only; {}", stays(&known)),
        End::NeedsHuman(_) => needs_human(story, &known),
        End::Failed(Stage::CleanUp) if !was_ours(story) => {
            format!("{}; something that was to be removed is still there", stays(&known))
        }
        End::Failed(Stage::CleanUp) => {
            format!("{}; something that was to be removed is still there", serves_ours(&known))
        }
        End::Failed(_) | End::RolledBack(_) | End::Cancelled(_) => after_a_stop(story, &known),
    }
}

/// Whether anything of the image was asked about before it would be pushed.
fn is_tested(story: &Story) -> bool {
    let asks = |stage: &StageStory| matches!(stage.key.stage, Stage::UnitTest | Stage::AcceptanceContainer);
    story.stages.iter().any(|stage| asks(stage) && stage.state == State::Passed)
}

/// A candidate that passed is there for somebody to promote.
fn waiting(known: &Known) -> String {
    let version = known.version.as_ref().map_or("the new version".to_owned(), |(label, _)| format!("version {label}"));
    match &known.environment {
        Some(candidate) => format!(
            "{version} has passed and waits in environment {} ({}) for run=promote; {}",
            candidate.name,
            candidate.url,
            stays(known)
        ),
        None => format!("{version} has passed and waits for run=promote; {}", stays(known)),
    }
}

/// Who serves the live address before and after a run that does not change that, by name.
fn stays(known: &Known) -> String {
    match &known.previous {
        Some((name, version)) if version.is_empty() => format!("live is environment {name}, as before"),
        Some((name, version)) => format!("live is environment {name} with version {version}, as before"),
        None => "who is live is as before".to_owned(),
    }
}

/// While the run is still going on, as a stage's check run says it.
fn so_far(story: &Story, known: &Known) -> String {
    let live_failed = story.failures().any(|(stage, _)| stage.key.stage == Stage::AcceptanceLive);
    match live(story, known) {
        Live::Ours if live_failed && !known.is_as_before && !stands_whatever_comes(story) => {
            format!("{}, which failed its tests; the state before this run is being restored", serves_ours(known))
        }
        Live::Mixed => format!("{}; the state before this run is being restored", serving(story, known)),
        Live::Untouched if !has_left_this_machine(story) => nothing_changed(known),
        Live::Ours if known.is_as_before => serves_ours(known),
        Live::Ours if stands_whatever_comes(story) => serves_ours(known),
        _ if story.has_begun(Stage::Deploy) => {
            format!("{}; what this run made is being removed", serving(story, known))
        }
        _ => serving(story, known),
    }
}

/// Whether nothing is put back when a test of live fails: somebody wanted to be rid of what was there.
fn stands_whatever_comes(story: &Story) -> bool {
    story.has_begun(Stage::RollBack) || story.has_begun(Stage::Configure)
}

fn after_a_stop(story: &Story, known: &Known) -> String {
    if !has_left_this_machine(story) && story.left.is_empty() && known.kept.is_empty() {
        return nothing_changed(known);
    }
    // What is live is ours and stays so: there is nothing that would have to be removed.
    if matches!(live(story, known), Live::Ours) {
        return serving(story, known);
    }
    format!("{}; {}", serving(story, known), remains(story, known))
}

fn nothing_changed(known: &Known) -> String {
    match &known.previous {
        Some((_, version)) if !version.is_empty() => {
            format!("nothing was changed; live still serves version {version}")
        }
        _ => "nothing was changed".to_owned(),
    }
}

fn needs_human(story: &Story, known: &Known) -> String {
    let mut tasks = story.left.iter().map(|undo| match story.under_way.contains(undo) {
        true => format!("the run did not see the end of this: {undo}"),
        false => format!("could not {undo}"),
    });
    let task = match (tasks.next(), tasks.count()) {
        (None, _) => "what this run made could not all be removed".to_owned(),
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first}, and {more} more, listed below"),
    };
    format!("something needs a human: {task}; {}", serving(story, known))
}

/// Who is live, as a sentence.
fn serving(story: &Story, known: &Known) -> String {
    let previous = known.previous.as_ref().map(|(name, version)| (name.as_str(), version.as_str()));
    match (live(story, known), previous) {
        (Live::Untouched, None) => "nothing was deployed".to_owned(),
        (Live::Untouched, Some((_, ""))) => "live was not touched".to_owned(),
        (Live::Untouched, Some((_, version))) => format!("live still serves version {version}"),
        (Live::Ours, _) => serves_ours(known),
        (Live::NotYet, _) if may_stand(story, known) => "nothing was live before this run".to_owned(),
        (Live::NotYet, _) => "nothing is live, as before".to_owned(),
        (Live::Mixed, previous) => mixed(updated(story).unwrap_or_default(), previous, known),
        (Live::Restored, Some((name, version))) if updated(story).is_some() => {
            format!("environment {name} runs version {version} again")
        }
        (Live::Restored, None) => "what was live before this run is live again".to_owned(),
        (Live::Restored, Some((name, ""))) => format!("previous environment {name} is live again"),
        (Live::Restored, Some((name, version))) => {
            format!("previous environment {name} is live again, with version {version}")
        }
        (Live::Nobody, _) => "nothing is live, as before: the first environment is removed again".to_owned(),
        (Live::Unknown, Some((name, _))) => {
            format!("live may still be this run's environment: environment {name} could not be made live again")
        }
        (Live::Unknown, None) => {
            "live may still be this run's environment: the state before it could not be restored".to_owned()
        }
    }
}

/// Between two versions.
fn mixed(name: &str, previous: Option<(&str, &str)>, known: &Known) -> String {
    let ours = known.version.as_ref().map_or("the new version".to_owned(), |(label, _)| format!("version {label}"));
    match previous {
        Some((_, version)) if !version.is_empty() && known.version.as_ref().is_none_or(|ours| ours.0 != version) => {
            format!("instances of environment {name} may run version {version} or {ours}")
        }
        _ => format!("not every instance of environment {name} may run {ours}"),
    }
}

fn serves_ours(known: &Known) -> String {
    let version = match &known.version {
        Some((label, _)) => format!("version {label}"),
        None if known.is_as_before => "this version".to_owned(),
        None => "the new version".to_owned(),
    };
    let place = known.environment.as_ref().map(|environment| super::at(&environment.url)).unwrap_or_default();
    format!("live serves {version}{place}{}", if known.is_as_before { ", as before" } else { "" })
}

fn live(story: &Story, known: &Known) -> Live {
    let puts_back = |undo: &Undo| matches!(undo, Undo::SwapBack { .. } | Undo::Redeploy { .. });
    let put_back = story.undone.iter().rfind(|(undo, _)| puts_back(undo));
    let rolled_back = matches!(story.end, Some((End::RolledBack(_), _)));
    let (was_ours, is_first) = (was_ours(story), known.previous.is_none() && story.has_begun(Stage::Deploy));
    let is_over = story.left.iter().chain(&story.under_way).all(|undo| !matches!(undo, Undo::EndEnvironment { .. }));
    match put_back {
        Some((_, Some(_))) if updated(story).is_some() => Live::Mixed,
        Some((_, Some(_))) => Live::Unknown,
        _ if is_put_back(story) => Live::Restored,
        _ if is_half_updated(story) => Live::Mixed,
        _ if is_first && is_ending(story, |_| true) => {
            if is_over {
                Live::Nobody
            } else {
                Live::NotYet
            }
        }
        _ if is_first && !was_ours && !rolled_back => Live::NotYet,
        _ if rolled_back => Live::Restored,
        _ if was_ours => Live::Ours,
        _ => Live::Untouched,
    }
}

/// Whether live was being updated in place, or put back, when that was last heard of.
fn is_half_updated(story: &Story) -> bool {
    let is_open = |stage: &StageStory| stage.key.stage == Stage::Deploy && stage.state != State::Passed;
    let goes_back = |undo: &Undo| matches!(undo, Undo::Redeploy { .. });
    updated(story).is_some() && (story.stages.iter().any(is_open) || story.under_way.iter().any(goes_back))
}

/// Whether an environment that the run made may still be there.
fn may_stand(story: &Story, known: &Known) -> bool {
    let ends = |undo: &Undo| matches!(undo, Undo::EndEnvironment { .. });
    story.end.is_none() || !known.kept.is_empty() || story.left.iter().any(ends)
}

/// What a run that stopped leaves behind.
fn remains(story: &Story, known: &Known) -> String {
    if !story.left.is_empty() || !known.kept.is_empty() {
        let is_going = known.kept.is_empty() && story.left.iter().all(|undo| story.under_way.contains(undo));
        if let ([], [(what, ..)]) = (story.left.as_slice(), known.kept.as_slice()) {
            return format!("{what} is kept for a look");
        }
        let what = if is_going { "still being removed" } else { "left of this run" };
        return format!("what is {what} is listed below");
    }
    let mut handed_over = Vec::new();
    if known.is_pushed_here {
        handed_over.push("the pushed image".to_owned());
    }
    if let Some((label, false)) = &known.version {
        handed_over.push(format!("version {label}"));
    }
    if let Some(idle) = known.environment.as_ref().filter(|_| updated(story).is_none()) {
        // The idle one of a pair keeps what it was given.
        handed_over.push(format!("environment {}, which serves nobody", idle.name));
    }
    match handed_over.is_empty() {
        true if story.has_begun(Stage::Push) => "layers may have reached the registry".to_owned(),
        true => "nothing of this run is left".to_owned(),
        false => format!("nothing of this run is left but {}", handed_over.join(" and ")),
    }
}

/// Whether anything outside this machine's docker daemon may have changed.
fn has_left_this_machine(story: &Story) -> bool {
    let changing = [Stage::Push, Stage::Deploy, Stage::Promote, Stage::CleanUp, Stage::Configure, Stage::RollBack];
    changing.into_iter().any(|stage| story.has_begun(stage))
}
