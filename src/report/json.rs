//! The log for programs: one event a line, as JSON. docs/log.md describes it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::clean::json_without_commands;
use super::words;
use crate::engine::event::{Event, EventKind, Fact, FailedTest, Flaw, Outcome, Role, StageKey, TestCounts};
use crate::engine::undo::Undo;
use crate::fault::Fault;

/// The line for an event, without its end. `None` for what no log is told.
pub fn line(event: &Event) -> Option<String> {
    let (name, more) = told(&event.kind)?;
    let mut line = Map::new();
    line.insert("event".into(), name.into());
    line.insert("elapsed_ms".into(), milliseconds(event.elapsed));
    if let Value::Object(more) = more {
        line.extend(more);
    }
    Some(json_without_commands(&Value::Object(line).to_string()))
}

/// The line for trouble with the reporting itself.
pub fn trouble(text: &str) -> String {
    json_without_commands(&json!({ "event": "report_warning", "text": text }).to_string())
}

/// The line for a stage that has said nothing for a while, `since` its beginning.
pub fn still_running(stage: &StageKey, elapsed: Duration, since: Duration) -> String {
    json!({
        "event": "still_running", "elapsed_ms": milliseconds(elapsed), "stage": stage.to_string(),
        "took_ms": milliseconds(since),
    })
    .to_string()
}

fn told(kind: &EventKind) -> Option<(&'static str, Value)> {
    let stage = StageKey::to_string;
    Some(match kind {
        EventKind::RunStarted { about, stages } => {
            let stages: Vec<String> = stages.iter().map(stage).collect();
            ("run_started", json!({ "about": about, "stages": stages }))
        }
        EventKind::StageStarted { key } => ("stage_started", json!({ "stage": stage(key) })),
        EventKind::StageLine { key, line } => ("line", json!({ "stage": stage(key), "text": line })),
        EventKind::StageNote { key, text } => ("note", json!({ "stage": stage(key), "text": text })),
        EventKind::StageWarning { key, text } => ("warning", json!({ "stage": stage(key), "text": text })),
        EventKind::StageFact { key, fact } => {
            ("fact", json!({ "stage": stage(key), "text": words::fact(fact), "fact": value(fact) }))
        }
        EventKind::StageRetrying { key, call, because } => {
            ("retrying", json!({ "stage": stage(key), "call": call, "because": because }))
        }
        EventKind::StageFinished { key, outcome, took } => {
            let (outcome, more) = ended(outcome);
            let mut told = json!({ "stage": stage(key), "outcome": outcome, "took_ms": milliseconds(*took) });
            merge(&mut told, more);
            ("stage_finished", told)
        }
        EventKind::SecretLearnt { .. } => return None,
        EventKind::Cancelling { reason } => ("cancelling", json!({ "reason": reason })),
        EventKind::Undoing { undo } => ("undoing", undoing(undo)),
        EventKind::UndoUnderWay { undo } => ("undo_under_way", undoing(undo)),
        EventKind::Undone { undo, error } => {
            let mut told = undoing(undo);
            merge(&mut told, error.as_ref().map_or(Value::Null, fault));
            ("undone", told)
        }
        EventKind::RunFinished { end, exit, left } => {
            let left: Vec<Value> = left.iter().map(undoing).collect();
            ("run_finished", json!({ "result": end.result(), "exit_code": exit.code(), "left": left }))
        }
    })
}

fn ended(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Passed => ("passed", Value::Null),
        Outcome::Skipped(why) => ("skipped", json!({ "because": why })),
        Outcome::Failed(why) if why.is_time_out() => ("timed_out", fault(why)),
        Outcome::Failed(why) => ("failed", fault(why)),
        Outcome::Cancelled => ("cancelled", Value::Null),
    }
}

fn fault(fault: &Fault) -> Value {
    json!({
        "what": fault.what(), "causes": fault.causes(), "hints": fault.hints(), "last_lines": fault.last_lines(),
    })
}

fn undoing(undo: &Undo) -> Value {
    json!({ "undo": undo.to_string(), "command": undo.command() })
}

/// A fact as an object; `kind` says which one.
fn value(fact: &Fact) -> Value {
    match fact {
        Fact::ImageBuilt { id, bytes } => json!({ "kind": "image_built", "id": id, "bytes": bytes }),
        Fact::Tests(counts) => tests(counts),
        Fact::TestedElsewhere { ran_in } => json!({ "kind": "tested_elsewhere", "ran_in": ran_in }),
        Fact::Accepted { url, checks } => json!({ "kind": "accepted", "url": url, "checks": checks }),
        Fact::Pushed { image, tag, digest } => {
            json!({ "kind": "pushed", "image": image, "tag": tag, "digest": digest })
        }
        Fact::Tagged { image, tag, digest } => {
            json!({ "kind": "tagged", "image": image, "tag": tag, "digest": digest })
        }
        Fact::Version { label, reused } => json!({ "kind": "version", "label": label, "reused": reused }),
        Fact::Environment { role, name, id, url } => {
            let role = match role {
                Role::Candidate => "candidate",
                Role::Live => "live",
                Role::Updated => "updated",
            };
            json!({ "kind": "environment", "role": role, "name": name, "id": id, "url": url })
        }
        Fact::Platform { at, severity, message } => {
            json!({ "kind": "platform", "at": at, "severity": severity, "message": message })
        }
        Fact::Previous { name, version } => json!({ "kind": "previous", "name": name, "version": version }),
        Fact::Planned(change) => json!({ "kind": "planned", "change": words::changes::change(change) }),
        Fact::Flaw(Flaw { path, line, title, message }) => {
            json!({ "kind": "flaw", "path": path, "line": line, "title": title, "message": message })
        }
        Fact::Kept { what, why, command } => {
            json!({ "kind": "kept", "what": what, "because": why, "command": command })
        }
    }
}

fn tests(counts: &TestCounts) -> Value {
    let failure = |test: &FailedTest| {
        json!({
            "name": test.name, "message": test.message, "details": test.details,
            "seconds": test.took.map(|took| took.as_secs_f64()),
            "path": test.line.as_ref().map(|at| &at.path), "line": test.line.as_ref().map(|at| at.line),
        })
    };
    let failures: Vec<Value> = counts.failures.iter().map(failure).collect();
    let slow = |(name, took): &(String, std::time::Duration)| json!({ "name": name, "seconds": took.as_secs_f64() });
    let slowest: Vec<Value> = counts.slowest.iter().map(slow).collect();
    json!({
        "kind": "tests", "passed": counts.passed, "failed": counts.failed, "skipped": counts.skipped,
        "flaky": counts.flaky, "seconds": counts.took.as_secs_f64(), "failures": failures, "slowest": slowest,
    })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn milliseconds(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::event::{End, Stage};
    use crate::inputs::Secret;
    use crate::report::rehearsal::{deployed, failing, finish};

    const DOCUMENT: &str = include_str!("../../docs/log.md");

    fn read(kind: EventKind) -> Option<Value> {
        let line = line(&Event { elapsed: Duration::from_millis(1_234), kind })?;
        assert!(!line.contains('\n'));
        serde_json::from_str(&line).ok()
    }

    #[test]
    fn every_event_and_every_key_of_it_stands_in_the_document() {
        let mut kinds = deployed();
        kinds.extend(failing(Stage::UnitTest));
        kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
        for told in kinds.into_iter().filter_map(read) {
            let name = told["event"].as_str().unwrap_or_default();
            let row = DOCUMENT.lines().find(|row| row.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{name} is not in docs/log.md"));
            let common = ["event", "elapsed_ms"];
            for key in
                told.as_object().into_iter().flatten().map(|pair| pair.0.as_str()).filter(|k| !common.contains(k))
            {
                let is_fault = ["what", "causes", "hints", "last_lines"].contains(&key) && row.contains("a failure's");
                assert!(row.contains(&format!("`{key}`")) || is_fault, "{name}: {key}");
            }
            assert_eq!(told["elapsed_ms"], 1_234);
        }
    }

    #[test]
    fn no_line_holds_a_command_to_a_ci_and_nothing_of_it_is_lost() {
        for text in ["##vso[task.setvariable variable=A]b", "x ##[set-env name=A]b", "#\"##TeamCity[message text='a']"]
        {
            let kind = EventKind::StageLine { key: Stage::UnitTest.into(), line: text.into() };
            let line = line(&Event { elapsed: Duration::ZERO, kind }).unwrap_or_default();
            assert!(!line.contains("##"), "{line}");
            let read: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["text"], text);
            assert!(!trouble(text).contains("##"));
        }
    }

    #[test]
    fn what_the_log_says_by_itself_stands_there_too() {
        let said = [still_running(&Stage::Deploy.into(), Duration::ZERO, Duration::ZERO), trouble("x")];
        for told in said.map(|line| serde_json::from_str::<Value>(&line).unwrap()) {
            let name = told["event"].as_str().unwrap_or_default();
            assert!(DOCUMENT.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn a_failure_is_taken_apart() {
        let key = Stage::Deploy.into();
        let fault = Fault::new("could not launch").cause("Red").hint("look").lines(["boom"]);
        let told =
            read(EventKind::StageFinished { key, outcome: Outcome::Failed(fault), took: Duration::from_secs(2) });
        let wanted = json!({
            "event": "stage_finished", "elapsed_ms": 1_234, "stage": "deploy", "outcome": "failed", "took_ms": 2_000,
            "what": "could not launch", "causes": ["Red"], "hints": ["look"], "last_lines": ["boom"],
        });
        assert_eq!(told, Some(wanted));
        assert_eq!(read(EventKind::SecretLearnt { secret: Secret::new("obvious-fake") }), None);
    }
}
