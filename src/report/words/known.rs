//! What a run found out, gathered from its facts: the rows of the last table, and the outputs.

use crate::engine::event::{End, Fact, Role};
use crate::engine::undo::Undo;
use crate::report::story::Story;

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
    /// Id and size of the image that was built.
    pub built: Option<(String, u64)>,
    /// The application version's label, and whether it was there before.
    pub version: Option<(String, bool)>,
    /// Name and version of the environment that was live before.
    pub previous: Option<(String, String)>,
    /// The environment that has the image, if it still stands.
    pub environment: Option<Environment>,
    /// What is still there, why, and how to remove it.
    pub kept: Vec<(String, String, Option<String>)>,
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
                Fact::Version { label, reused } => known.version = Some((label, reused)),
                Fact::Previous { name, version } => known.previous = Some((name, version)),
                Fact::Environment { role: Role::Live, name, id, url } => live = Some(Environment { name, id, url }),
                Fact::Environment { role: Role::Candidate, name, id, url } => {
                    candidate = Some(Environment { name, id, url });
                }
                Fact::Kept { what, why, command } => known.kept.push((what, why, command)),
                Fact::Tests(_) | Fact::Accepted { .. } | Fact::Platform { .. } => {}
            }
        }
        // After a roll-back the live address belongs to the previous environment again.
        let holds_live = !matches!(story.end, Some((End::RolledBack(_), _))) && !is_swapped_back(story);
        let stands = |environment: &Environment| !is_ended(story, &environment.name);
        known.environment = live.filter(|_| holds_live).filter(stands).or(candidate.filter(stands));
        known
    }

    /// The outputs that have a value, in the order in which they are documented, except `result`.
    pub fn outputs(&self) -> Vec<(&'static str, &str)> {
        let mut outputs = Vec::new();
        if let Some((image, tag, digest)) = &self.pushed {
            outputs.extend([("image", image.as_str()), ("tag", tag), ("digest", digest)]);
        }
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
        rows.extend(self.version.iter().map(|(label, reused)| {
            ("version", if *reused { format!("{label}, which was there already") } else { label.clone() })
        }));
        if let Some(Environment { name, id, url }) = &self.environment {
            rows.extend([("environment", format!("{name} ({id})")), ("URL", url.clone())]);
        }
        rows.extend(self.previous.iter().map(|(name, version)| {
            ("previous", if version.is_empty() { name.clone() } else { format!("{name} with version {version}") })
        }));
        rows.extend(self.kept.iter().map(|(what, why, command)| {
            let command = command.as_ref().map(|command| format!("; remove it with: {command}")).unwrap_or_default();
            ("kept", format!("{what}: {why}{command}"))
        }));
        rows
    }
}

/// Whether the swap was undone.
pub fn is_swapped_back(story: &Story) -> bool {
    story.undone.iter().any(|(undo, error)| matches!(undo, Undo::SwapBack { .. }) && error.is_none())
}

fn is_ended(story: &Story, name: &str) -> bool {
    let ends = |undo: &Undo| matches!(undo, Undo::EndEnvironment { environment, .. } if environment == name);
    story.undone.iter().any(|(undo, error)| error.is_none() && ends(undo))
}
