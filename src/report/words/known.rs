//! What a run found out, gathered from its facts: the rows of the last table, and the outputs.

use crate::engine::event::{End, Fact, Role, Stage};
use crate::engine::undo::Undo;
use crate::report::story::{State, Story};

/// The label of the rows about what is kept.
pub const KEPT: &str = "kept";

/// An environment that a run made or used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its address, with scheme.
    pub url: String,
}

/// The facts that outlive a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Image, tag and digest, once the registry has them.
    pub pushed: Option<(String, String, String)>,
    /// Further tags that name the same digest, with a space between them.
    pub extra_tags: String,
    /// Whether it was this run that pushed it, and not an earlier one.
    pub is_pushed_here: bool,
    /// Id and size of the image that was built.
    pub built: Option<(String, u64)>,
    /// The application version's label, and whether it was there before.
    pub version: Option<(String, bool)>,
    /// Name and version of the environment that was live before.
    pub previous: Option<(String, String)>,
    /// Whether another environment is live in its place now.
    pub is_replaced: bool,
    /// Whether live ran this very version before the run.
    pub is_as_before: bool,
    /// The environment that has the image, if it still stands and is to stay.
    pub environment: Option<Environment>,
    /// What is still there, why, and how to remove it.
    pub kept: Vec<(String, String, Option<String>)>,
    /// What would be changed, in order, by a run that only names it.
    pub planned: Vec<String>,
}

impl Known {
    /// Gathers them.
    pub fn of(story: &Story) -> Self {
        let mut known = Self::default();
        let (mut live, mut candidate) = (None, None);
        for fact in story.facts().cloned() {
            match fact {
                Fact::ImageBuilt { id, bytes } => known.built = Some((id, bytes)),
                Fact::Pushed { image, tag, digest } => known.pushed = Some((image, tag, digest)),
                Fact::Tagged { tag, .. } => {
                    let space = if known.extra_tags.is_empty() { "" } else { " " };
                    known.extra_tags.extend([space, &tag]);
                }
                Fact::Version { label, reused } => known.version = Some((label, reused)),
                Fact::Previous { name, version } => known.previous = Some((name, version)),
                Fact::Environment { role: Role::Live | Role::Updated, name, id, url } => {
                    live = Some(Environment { name, id, url });
                }
                Fact::Environment { role: Role::Candidate, name, id, url } => {
                    candidate = Some(Environment { name, id, url });
                }
                Fact::Kept { what, why, command } => known.kept.push((what, why, command)),
                Fact::Planned(change) if story.end.as_ref().is_some_and(|(end, _)| *end == End::Planned) => {
                    known.planned.push(super::changes::change(&change));
                }
                Fact::Planned(_) | Fact::Tests(_) | Fact::TestedElsewhere { .. } | Fact::Flaw(_) => {}
                Fact::Accepted { .. } | Fact::Platform { .. } => {}
            }
        }
        // After a roll-back the live address belongs to the previous environment again.
        let holds_live = !matches!(story.end, Some((End::RolledBack(_), _))) && !is_put_back(story);
        known.is_replaced = holds_live && was_ours(story);
        known.is_as_before = known.previous.is_some() && has_found_it_live(story);
        let is_pushed = |fact: &Fact| matches!(fact, Fact::Pushed { .. });
        let pushes = story.stages.iter().filter(|stage| stage.key.stage == Stage::Push);
        known.is_pushed_here = pushes.flat_map(|stage| &stage.facts).any(is_pushed);
        if is_undone(story, |undo| matches!(undo, Undo::RemoveApplication { .. })) {
            // Its versions went with it.
            known.version = None;
        }
        let stands = |environment: &Environment| !is_ending(story, |name| name == environment.name);
        known.environment = live.filter(|_| holds_live).filter(stands).or(candidate.filter(stands));
        known
    }

    /// The outputs that have a value, in the order in which they are documented, except `result`.
    pub fn outputs(&self) -> Vec<(&'static str, &str)> {
        let mut outputs = Vec::new();
        if let Some((image, tag, digest)) = &self.pushed {
            outputs.extend([("image", image.as_str()), ("tag", tag), ("digest", digest)]);
        }
        outputs.push(("extra_tags", self.extra_tags.as_str()));
        outputs.extend(self.version.iter().map(|(label, _)| ("version_label", label.as_str())));
        if let Some(Environment { name, id, url }) = &self.environment {
            outputs.extend([("environment_name", name.as_str()), ("environment_id", id), ("environment_url", url)]);
        }
        if let Some((name, version)) = &self.previous {
            outputs.extend([("previous_environment", name.as_str()), ("previous_version", version)]);
        }
        outputs.retain(|(_, value)| !value.is_empty());
        outputs
    }

    /// Labelled rows for the table at the end.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        match (&self.pushed, &self.built) {
            (Some((image, tag, digest)), _) => {
                rows.extend([("image", super::tagged(image, tag)), ("digest", digest.clone())]);
            }
            (None, Some((id, bytes))) => rows.push(("image", format!("{id}, {}, not pushed", super::size(*bytes)))),
            (None, None) => {}
        }
        rows.extend((!self.extra_tags.is_empty()).then(|| ("further tags", self.extra_tags.clone())));
        rows.extend(self.version.iter().map(|(label, reused)| {
            ("version", if *reused { format!("{label}, which was there already") } else { label.clone() })
        }));
        if let Some(Environment { name, id, url }) = &self.environment {
            rows.push(("environment", format!("{name} ({id})")));
            rows.extend((!url.is_empty()).then(|| ("URL", url.clone())));
        }
        let label = if self.is_replaced { "previous" } else { "live before" };
        rows.extend(self.previous.iter().filter(|(name, _)| !name.is_empty()).map(|(name, version)| {
            (label, if version.is_empty() { name.clone() } else { format!("{name} with version {version}") })
        }));
        rows.extend(self.planned.iter().map(|change| ("to do", change.clone())));
        rows.extend(self.kept.iter().map(|(what, why, command)| {
            let command = command.as_ref().map(|command| format!("; remove it with: {command}")).unwrap_or_default();
            (KEPT, format!("{what}: {why}{command}"))
        }));
        rows
    }
}

/// Whether what was live before is live again: the swap was undone, or the version before redeployed.
pub fn is_put_back(story: &Story) -> bool {
    is_undone(story, |undo| matches!(undo, Undo::SwapBack { .. } | Undo::Redeploy { .. }))
}

/// The environment that was updated in place, by name, if there is one: asked, not necessarily done.
pub fn updated(story: &Story) -> Option<&str> {
    story.facts().find_map(|fact| match fact {
        Fact::Environment { role: Role::Updated, name, .. } => Some(name.as_str()),
        _ => None,
    })
}

/// Whether what this run deployed was live at some time, and may still be.
pub fn was_ours(story: &Story) -> bool {
    story.stages.iter().any(|stage| {
        let is_live = |fact: &Fact| matches!(fact, Fact::Environment { role: Role::Live | Role::Updated, .. });
        let has_live = stage.facts.iter().any(is_live);
        let promoted = stage.key.stage == Stage::Promote && stage.state == State::Passed;
        promoted || (stage.key.stage >= Stage::Deploy && has_live)
    })
}

/// Whether an environment's end was seen, or was asked for and goes on by itself.
pub fn is_ending(story: &Story, is_meant: impl Fn(&str) -> bool) -> bool {
    let ends = |undo: &Undo| matches!(undo, Undo::EndEnvironment { environment, .. } if is_meant(environment));
    is_undone(story, ends) || story.under_way.iter().any(ends)
}

/// Whether the deployment found that there was nothing to do: then neither the tests of a candidate nor the promotion
/// have anything to do either. In a first deployment they have not, but nothing was live before it.
fn has_found_it_live(story: &Story) -> bool {
    let is = |which, in_state: fn(&State) -> bool| {
        story.stages.iter().any(|stage| stage.key.stage == which && in_state(&stage.state))
    };
    let skipped = |state: &State| matches!(state, State::Skipped(_));
    let passed = |state: &State| *state == State::Passed;
    was_ours(story)
        && updated(story).is_none()
        && is(Stage::Deploy, passed)
        && is(Stage::AcceptanceCandidate, skipped)
        && is(Stage::Promote, skipped)
}

fn is_undone(story: &Story, is_meant: impl Fn(&Undo) -> bool) -> bool {
    story.undone.iter().any(|(undo, error)| error.is_none() && is_meant(undo))
}
