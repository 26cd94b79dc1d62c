//! What the embedded GitHub remembers; one serialisable value, owned by the local cloud.

use serde::{Deserialize, Serialize};

/// Everything in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GithubState {
    /// Check runs, oldest first.
    pub check_runs: Vec<CheckRun>,
    /// Commit statuses, oldest first.
    pub statuses: Vec<Status>,
    /// Deployments, oldest first.
    pub deployments: Vec<Deployment>,
    /// The last id that was given out.
    pub last_id: u64,
}

impl GithubState {
    /// An id that was never given out before.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// A check run. Times are as they were sent, or the server's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckRun {
    /// Its id.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// Its name.
    pub name: String,
    /// The commit.
    pub head_sha: String,
    /// The caller's own id.
    pub external_id: Option<String>,
    /// The caller's link.
    pub details_url: Option<String>,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
    /// What it says.
    pub output: Output,
}

/// What a check run says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// One line.
    pub title: Option<String>,
    /// Markdown.
    pub summary: Option<String>,
    /// Markdown.
    pub text: Option<String>,
    /// Appended by every update.
    pub annotations: Vec<Annotation>,
}

/// A remark on a line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Annotation {
    /// The file, relative to the repository.
    pub path: String,
    /// From this line, counted from 1.
    pub start_line: u64,
    /// To this line.
    pub end_line: u64,
    /// From this column; only on one line.
    pub start_column: Option<u64>,
    /// To this column.
    pub end_column: Option<u64>,
    /// `notice`, `warning` or `failure`.
    pub annotation_level: String,
    /// The remark.
    pub message: String,
    /// Its title.
    pub title: Option<String>,
    /// More of it.
    pub raw_details: Option<String>,
}

/// A commit status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Its id.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub sha: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    /// What tells it from others.
    pub context: String,
    /// One line, at most 140 characters.
    pub description: Option<String>,
    /// A link.
    pub target_url: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// A deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// What the caller had kept with it.
    pub payload: serde_json::Value,
    /// Its id.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// What is deployed.
    pub r#ref: String,
    /// Where to.
    pub environment: String,
    /// One line.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// What became of it, oldest first.
    pub statuses: Vec<DeploymentStatus>,
}

/// What became of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentStatus {
    /// Its id.
    pub id: u64,
    /// `error`, `failure`, `inactive`, `in_progress`, `queued`, `pending` or `success`.
    pub state: String,
    /// One line, at most 140 characters.
    pub description: String,
    /// Where the deployment can be looked at.
    pub environment_url: String,
    /// Where its log is.
    pub log_url: String,
    /// When it was made.
    pub created_at: String,
}
