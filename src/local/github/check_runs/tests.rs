use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::local::github::contract::Contract;
use crate::local::github::{GithubState, GithubWorld, Refusal};

const SHA: &str = "1f0c2aa81f0c2aa81f0c2aa81f0c2aa81f0c2aa8";

/// Sends one request; returns the status and the body.
async fn ask(world: &GithubWorld, method: &str, path: &str, body: Value) -> (u16, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::builder().method(method).uri(format!("{}{path}", world.url));
    let request = request.header("authorization", "Bearer t").body(Full::from(body.to_string())).unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn refusal(world: &GithubWorld, body: Value) -> String {
    let (status, answer) = ask(world, "POST", "/repos/o/r/check-runs", body).await;
    assert_eq!(status, 422, "{answer}");
    format!("{} {}", answer["message"].as_str().unwrap(), answer["errors"][0]["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_check_run_lives_from_queued_to_completed_and_survives_a_restart() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let opened = json!({ "name": "shop / build", "head_sha": SHA, "external_id": "r/build" });
    let (status, run) = ask(&world, "POST", "/repos/o/r/check-runs", opened).await;
    assert_eq!((status, &run["status"]), (201, &json!("queued")));
    let path = format!("/repos/o/r/check-runs/{}", run["id"]);
    let done = json!({ "conclusion": "success", "output": { "title": "t", "summary": "s" } });
    let (status, run) = ask(&world, "PATCH", &path, done).await;
    assert_eq!((status, &run["status"], &run["output"]["title"]), (200, &json!("completed"), &json!("t")));
    assert!(run["completed_at"].is_string() && run["started_at"].is_string());

    let kept = serde_json::to_string(&world.github.state()).unwrap();
    let again = GithubWorld::start(serde_json::from_str(&kept).unwrap()).await.unwrap();
    let (_, found) = ask(&again, "GET", &path, Value::Null).await;
    assert_eq!(found["conclusion"], "success");
    let (_, other) = ask(&again, "POST", "/repos/o/r/check-runs", json!({ "name": "x", "head_sha": SHA })).await;
    assert_ne!(other["id"], found["id"]);
}

#[tokio::test]
async fn a_list_is_narrowed_by_name_and_shows_the_newest_of_each() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    for (name, id) in [("a", "1"), ("a", "2"), ("b c", "3")] {
        let body = json!({ "name": name, "head_sha": SHA, "external_id": id });
        ask(&world, "POST", "/repos/o/r/check-runs", body).await;
    }
    let ids = async |query: &str| {
        let path = format!("/repos/o/r/commits/{SHA}/check-runs?{query}");
        let (_, list) = ask(&world, "GET", &path, Value::Null).await;
        let runs = list["check_runs"].as_array().unwrap();
        runs.iter().map(|run| run["external_id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids("").await, "3 2");
    assert_eq!(ids("filter=all").await, "3 2 1");
    assert_eq!(ids("check_name=b%20c").await, "3");
    assert_eq!(ids("filter=all&per_page=1&page=2").await, "2");
}

#[tokio::test]
async fn bodies_are_refused_as_github_refuses_them() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let with = |output: Value| json!({ "name": "n", "head_sha": SHA, "output": output });
    let wide = "é".repeat(40_000);
    let long = "x".repeat(70_000);
    let annotation =
        json!({ "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m" });
    let zero = json!({ "path": "a", "start_line": 0, "end_line": 1, "annotation_level": "failure", "message": "m" });
    for (body, said) in [
        (json!({}), "\"name\", \"head_sha\" weren't supplied"),
        (json!({ "name": "n", "head_sha": "main" }), "No commit found for SHA: main"),
        (json!({ "name": "n", "head_sha": SHA, "status": "completed" }), "\"conclusion\" wasn't supplied"),
        (json!({ "name": "n", "head_sha": SHA, "status": "done" }), "\"done\" is not a member of"),
        (with(json!({ "title": "t" })), "\"summary\" wasn't supplied"),
        (with(json!({ "title": "t", "summary": wide })), "summary exceeds a maximum bytesize of 65535"),
        (with(json!({ "title": "t", "summary": long })), "Only 65535 characters are allowed"),
        (with(json!({ "title": "t", "summary": "s", "annotations": vec![annotation; 51] })), "No more than 50 items"),
        (with(json!({ "title": "t", "summary": "s", "annotations": [zero] })), "Validation Failed"),
    ] {
        let answered = refusal(&world, body).await;
        assert!(answered.contains(said), "{answered} should say {said}");
    }
    assert!(world.github.state().check_runs.is_empty());
}

#[tokio::test]
async fn it_can_be_told_to_refuse() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    let body = json!({ "name": "n", "head_sha": SHA });
    world.github.set(|settings| settings.next_writes.extend([Refusal::Server(503), Refusal::LostAnswer]));
    assert_eq!(ask(&world, "POST", "/repos/o/r/check-runs", body.clone()).await.0, 503);
    assert_eq!(ask(&world, "POST", "/repos/o/r/check-runs", body.clone()).await.0, 502);
    assert_eq!(world.github.state().check_runs.len(), 1, "a lost answer is a request that was carried out");
    world.github.set(|settings| settings.token = Some("another".to_owned()));
    assert_eq!(ask(&world, "POST", "/repos/o/r/check-runs", body).await.0, 401);
    assert_eq!(world.github.log().len(), 3);
}

#[tokio::test]
async fn a_deployment_waits_for_no_check_when_told_so_and_keeps_its_statuses() {
    let world = GithubWorld::start(GithubState::default()).await.unwrap();
    ask(&world, "POST", "/repos/o/r/check-runs", json!({ "name": "open", "head_sha": SHA })).await;
    assert_eq!(ask(&world, "POST", "/repos/o/r/deployments", json!({ "ref": SHA })).await.0, 409);
    let body = json!({ "ref": SHA, "required_contexts": [], "auto_merge": false, "environment": "live" });
    let (status, deployment) = ask(&world, "POST", "/repos/o/r/deployments", body).await;
    assert_eq!((status, &deployment["environment"]), (201, &json!("live")));
    let path = format!("/repos/o/r/deployments/{}/statuses", deployment["id"]);
    assert_eq!(ask(&world, "POST", &path, json!({ "state": "done" })).await.0, 422);
    assert_eq!(ask(&world, "POST", &path, json!({ "state": "success" })).await.0, 201);
    assert_eq!(ask(&world, "GET", &path, Value::Null).await.1[0]["state"], "success");
    let status = format!("/repos/o/r/statuses/{SHA}");
    let long = json!({ "state": "pending", "description": "x".repeat(141) });
    assert_eq!(ask(&world, "POST", &status, long).await.0, 422);
    assert_eq!(ask(&world, "POST", &status, json!({ "state": "pending" })).await.1["context"], "default");
    let Some(contract) = Contract::beside_the_project() else { return };
    for logged in world.github.log().iter().filter(|logged| logged.status < 300) {
        assert_eq!(contract.problems(logged), Vec::<String>::new(), "{} {}", logged.method, logged.path);
    }
}
