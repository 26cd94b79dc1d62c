//! A deployment record on GitHub (docs.github.com/rest/deployments): which commit an environment got, and where it is.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::Limits;
use super::client::{Client, Way};
use super::follower::repeated;
use crate::engine::cancel::CancelReason;
use crate::engine::event::{End, EventKind, Fact, Stage};
use crate::engine::in_words;
use crate::engine::retry::Failure;
use crate::fault::Fault;
use crate::inputs::GithubPlan;
use crate::report::feed::Feeding;
use crate::report::story::Story;
use crate::report::words;

/// The record of one run.
#[derive(Debug)]
pub struct Record {
    plan: GithubPlan,
    environment: String,
    run_id: String,
    run_url: Option<String>,
    limits: Limits,
}

/// The body that begins a deployment. The commit's checks are ours and still open, so none is asked for.
#[derive(Clone, Debug, Serialize)]
struct Begin {
    r#ref: String,
    environment: String,
    description: String,
    /// What it is found by again when the answer is lost.
    payload: String,
    auto_merge: bool,
    required_contexts: [String; 0],
}

/// The body that says how far it is. After a success GitHub makes earlier deployments of the environment inactive, but not
/// those of one for production, which it takes `production` for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct State {
    state: &'static str,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_url: Option<String>,
}

impl Record {
    /// A record for the GitHub environment of that name.
    pub fn new(plan: GithubPlan, environment: &str, run_url: Option<String>) -> Self {
        let run_id = uuid::Uuid::new_v4().simple().to_string();
        Self { plan, environment: environment.to_owned(), run_id, run_url, limits: Limits::default() }
    }

    /// The same for a run of this id.
    pub fn named(self, run_id: &str) -> Self {
        Self { run_id: run_id.to_owned(), ..self }
    }

    /// Listens until the run has ended and GitHub was told of it. A run that never begins to deploy leaves no record.
    ///
    /// # Errors
    /// GitHub does not take it, or not in time.
    pub async fn run(self, mut feeding: Feeding) -> Result<(), Fault> {
        let client = Arc::new(Client::new(&self.plan, self.limits.answer, Way::CheckRuns)?);
        let (mut story, mut id, mut url) = (Story::default(), None, None);
        while let Some(event) = feeding.next_event().await {
            story.take(&event);
            match &event.kind {
                EventKind::StageStarted { key } if key.stage == Stage::Deploy => {
                    let begun = self.begin(&client, &story).await?;
                    self.tell(&client, begun, self.state("in_progress", &story, None)).await?;
                    id = Some(begun);
                }
                EventKind::StageFact { fact: Fact::Environment { url: at, .. }, .. } => url = Some(at.clone()),
                _ => {}
            }
        }
        let (Some(id), Some((end, _))) = (id, &story.end) else { return Ok(()) };
        let signalled = story.cancelling.is_some_and(CancelReason::is_signal);
        let limit = if signalled { self.limits.after_a_signal } else { self.limits.end };
        let word = match end {
            End::Deployed => "success",
            // It stands, and live is still another.
            End::Waiting => "pending",
            End::Cancelled(_) => "error",
            _ => "failure",
        };
        let url = url.filter(|_| matches!(end, End::Deployed | End::Waiting));
        match timeout(limit, self.tell(&client, id, self.state(word, &story, url))).await {
            Ok(told) => told,
            Err(_) => Err(Fault::timed_out(format!("the end was not taken within {}", in_words(limit)))),
        }
    }

    fn state(&self, state: &'static str, story: &Story, environment_url: Option<String>) -> State {
        let description = words::check_run::shortened(&words::run::title(story), 139);
        State { state, description, environment_url, log_url: self.run_url.clone() }
    }

    /// Begins the deployment, or finds the one whose answer was lost.
    async fn begin(&self, client: &Arc<Client>, story: &Story) -> Result<u64, Fault> {
        let body = Begin {
            r#ref: client.sha().to_owned(),
            environment: self.environment.clone(),
            description: words::check_run::shortened(&story.about, 139),
            payload: format!("beanline run {}", self.run_id),
            auto_merge: false,
            required_contexts: [],
        };
        let client = client.clone();
        repeated(move |attempt| {
            let (client, body) = (client.clone(), body.clone());
            async move {
                if attempt > 1 {
                    let query = [("sha", client.sha()), ("environment", &body.environment)];
                    let known = client.read("deployments", &query).await?;
                    let ours = |one: &&Value| one["payload"] == body.payload.as_str();
                    if let Some(id) = known.as_array().and_then(|all| all.iter().find(ours)?["id"].as_u64()) {
                        return Ok(id);
                    }
                }
                let answer = client.write("deployments", &body).await?;
                answer["id"]
                    .as_u64()
                    .ok_or_else(|| Failure::from(Fault::new("GitHub began a deployment without an id")))
            }
        })
        .await
    }

    /// Says how far it is; the same again does no harm.
    async fn tell(&self, client: &Arc<Client>, id: u64, state: State) -> Result<(), Fault> {
        let client = client.clone();
        repeated(move |_| {
            let (client, state) = (client.clone(), state.clone());
            async move { client.write(&format!("deployments/{id}/statuses"), &state).await.map(drop) }
        })
        .await
    }
}
