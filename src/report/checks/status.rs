//! Commit statuses (docs.github.com/rest/commits/statuses): what is left to a token that may not write check runs.

use serde::Serialize;

use super::request::{Conclusion, Update};
use crate::report::words::check_run::shortened;

/// Characters that GitHub takes of a description.
const LONGEST: usize = 140;

/// The body that gives a commit a status. A later one of the same context takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusUpdate {
    state: &'static str,
    context: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_url: Option<String>,
}

impl StatusUpdate {
    /// What a check run of that name would say, in a line.
    pub fn of(name: &str, run_url: Option<&str>, update: &Update) -> Self {
        let state = match update.conclusion {
            None => "pending",
            // As GitHub takes a skipped check run.
            Some(Conclusion::Success | Conclusion::Skipped | Conclusion::Neutral) => "success",
            // It passed as far as it went; what is asked of whom stands in the description.
            Some(Conclusion::ActionRequired) => "success",
            Some(Conclusion::Failure | Conclusion::TimedOut) => "failure",
            Some(Conclusion::Cancelled) => "error",
        };
        let title = update.output.as_ref().map_or("waiting for the stages before it", |output| &output.title);
        // The sign that something was cut off is a character too.
        let description = match title.chars().count() > LONGEST {
            true => shortened(title, LONGEST - 1),
            false => title.to_owned(),
        };
        Self { state, context: name.to_owned(), description, target_url: run_url.map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Output, Status};
    use super::*;

    fn update(conclusion: Option<Conclusion>, title: &str) -> Update {
        let output = Output { title: title.into(), summary: String::new(), text: None, annotations: Vec::new() };
        let status = if conclusion.is_some() { Status::Completed } else { Status::InProgress };
        Update { status, conclusion, started_at: None, completed_at: None, output: Some(output) }
    }

    #[test]
    fn a_status_is_a_state_and_a_line_of_at_most_140_characters() {
        let of = |conclusion, title: &str| StatusUpdate::of("shop / build", None, &update(conclusion, title));
        assert_eq!(of(None, "running").state, "pending");
        assert_eq!(of(Some(Conclusion::TimedOut), "x").state, "failure");
        assert_eq!(of(Some(Conclusion::Cancelled), "x").state, "error");
        assert_eq!(of(Some(Conclusion::Skipped), "x").state, "success");
        assert_eq!(of(None, &"ü".repeat(140)).description, "ü".repeat(140));
        assert_eq!(of(None, &"ü".repeat(141)).description, format!("{}…", "ü".repeat(139)));
    }
}
