//! The payload of a GitHub event: which commit is reported on, and whether the code comes from a fork.

use serde_json::Value;

/// What a payload tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventFacts {
    /// The commit that is reported on, where it is not `GITHUB_SHA`.
    pub sha: Option<String>,
    /// The pull request's number.
    pub pull_request: Option<u64>,
    /// Whether the code comes from a fork, or the repository is one.
    pub is_fork: bool,
}

/// Reads the payload of the event `event`; see GitHub's page on events that trigger workflows.
pub(super) fn read(event: &str, payload: &Value) -> EventFacts {
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let repository_is_fork = payload.pointer("/repository/fork").and_then(Value::as_bool).unwrap_or(false);
    let mut facts = EventFacts { is_fork: repository_is_fork, ..EventFacts::default() };
    if let Some(pull_request) = payload.get("pull_request").filter(|_| event.starts_with("pull_request")) {
        let name = |side: &str| pull_request.pointer(&format!("/{side}/repo/full_name")).and_then(Value::as_str);
        facts.sha = text("/pull_request/head/sha");
        facts.pull_request = pull_request.get("number").or(payload.get("number")).and_then(Value::as_u64);
        // The head's repository is null when the fork has been deleted.
        facts.is_fork |= name("head").is_none() || name("head") != name("base");
        return facts;
    }
    match event {
        "workflow_run" => {
            facts.sha = workflow_run_head(payload).or_else(|| text("/workflow_run/head_sha"));
            let name = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str);
            let from = name("/workflow_run/head_repository/full_name");
            facts.is_fork |= from.is_some() && from != name("/repository/full_name");
        }
        "check_run" | "check_suite" => facts.sha = text(&format!("/{event}/head_sha")),
        "issue_comment" => {
            let is_pull_request = payload.pointer("/issue/pull_request").is_some();
            facts.pull_request = payload.pointer("/issue/number").filter(|_| is_pull_request).and_then(Value::as_u64);
        }
        _ => {}
    }
    facts
}

/// The head of the pull request that the earlier workflow ran for: the one of its branch, else the first.
fn workflow_run_head(payload: &Value) -> Option<String> {
    let pull_requests = payload.pointer("/workflow_run/pull_requests")?.as_array()?;
    let branch = payload.pointer("/workflow_run/head_branch");
    let of_branch = pull_requests.iter().find(|pull_request| pull_request.pointer("/head/ref") == branch);
    of_branch.or(pull_requests.first())?.pointer("/head/sha")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pull_request_whose_fork_is_gone_comes_from_a_fork() {
        let payload = json!({"pull_request": {"number": 3, "head": {"sha": "abc", "repo": null},
            "base": {"repo": {"full_name": "a/b"}}}});
        let facts = read("pull_request_target", &payload);
        assert_eq!(facts, EventFacts { sha: Some("abc".into()), pull_request: Some(3), is_fork: true });
    }

    #[test]
    fn a_later_workflow_reports_on_the_head_of_its_branch() {
        let payload = json!({"workflow_run": {"head_sha": "run", "head_branch": "b", "pull_requests": [
            {"head": {"ref": "a", "sha": "first"}}, {"head": {"ref": "b", "sha": "second"}}]}});
        assert_eq!(read("workflow_run", &payload).sha.as_deref(), Some("second"));
        let alone = json!({"workflow_run": {"head_sha": "run", "pull_requests": []}});
        assert_eq!(read("workflow_run", &alone).sha.as_deref(), Some("run"));
    }

    #[test]
    fn other_events_leave_the_commit_alone() {
        assert_eq!(read("push", &json!({"after": "abc", "repository": {"fork": false}})), EventFacts::default());
        assert!(read("push", &json!({"repository": {"fork": true}})).is_fork);
        assert_eq!(read("issue_comment", &json!({"issue": {"number": 4, "pull_request": {}}})).pull_request, Some(4));
        assert_eq!(read("pull_request", &json!(null)), EventFacts::default());
    }
}
