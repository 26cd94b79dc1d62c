//! The main job in our own image, run as the Actions runner runs a container action.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test ends at its first surprise")]
#![expect(clippy::disallowed_methods, reason = "the runner is outside the program")]

mod act;
mod commands;
mod job;
mod orphans;
mod other_cis;
mod post;
mod runner;

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;

use commands::{commands, pairs};
use job::{Job, pushed};
use runner::{Event, Runner, Step};

/// Longest summary that the runner takes.
const LARGEST_SUMMARY: usize = 1024 * 1024;

/// What the runner makes of a step: its outputs. Fails where the runner would complain, or would be deceived.
#[track_caller]
fn outputs(step: &Step) -> BTreeMap<String, String> {
    let mut open = None;
    for command in commands(&step.log) {
        match command.name.as_str() {
            // A token of the job, and the password of the registry that the run logged in to.
            "add-mask" => {
                let is_password = command.data.len() == 32 && command.data.bytes().all(|b| b.is_ascii_hexdigit());
                assert!(is_password || command.data == "a-runtime-token", "only a secret is masked: {}", command.data);
            }
            // Groups do not nest.
            "group" => assert_eq!(open.replace(command.data), None),
            "endgroup" => assert!(open.take().is_some()),
            // Errors and warnings of ours, not what a test printed.
            "error" | "warning" | "notice" => assert!(!command.data.starts_with("forged"), "a test forged a command"),
            name => panic!("the log holds ::{name}::"),
        }
    }
    assert_eq!(open, None, "a group was left open");
    let masked = step.log.find("::add-mask::");
    assert!(masked.is_some_and(|at| !step.log[..at].contains("a-runtime-token")), "masked before it can be shown");
    let saved = pairs(&step.files["save_state"]).unwrap();
    assert!(saved.keys().all(|name| ["beanline_run", "beanline_ended"].contains(&name.as_str())), "{saved:?}");
    for name in ["add_path", "set_env", "artifacts", "artifacts_list"] {
        assert_eq!(step.files[name], "", "{name} was written to");
    }
    let outputs = pairs(&step.files["set_output"]).unwrap();
    let action = include_str!("../../action.yml");
    let (_, declared) = action.split_once("\noutputs:\n").unwrap();
    for name in outputs.keys() {
        assert!(declared.contains(&format!("  {name}:\n")), "the output {name} is not declared in action.yml");
    }
    let summary = &step.files["step_summary"];
    assert!(summary.starts_with("## ") && summary.len() <= LARGEST_SUMMARY);
    assert!(summary.contains(&outputs["result"]), "{summary}");
    outputs
}

/// The first deployment, a blue-green one, a pull request, and two that are cancelled.
#[test]
fn the_main_job_runs_as_a_container_action_and_leaves_nothing() {
    let Some(job) = Job::new() else { return };
    job.assert_image_is_complete();
    let first = job.commit("one");
    let step = job.push(&first);
    assert_eq!(step.code, 0);
    let told = outputs(&step);
    assert_eq!(told["result"], "deployed");
    assert_eq!(told["tag"], first);
    assert!(told["image"].ends_with(&format!("/shop:{first}")), "{told:?}");
    assert!(told["digest"].starts_with("sha256:") && told["digest"].len() == 71, "{told:?}");
    assert!(told["environment_id"].starts_with("e-") && told["environment_url"].starts_with("http://"), "{told:?}");
    assert!(!told.contains_key("previous_environment"), "{told:?}");
    assert!(step.log.contains("acceptance test sees one"));
    job.assert_directories_are_the_runners();

    let second = job.commit("two");
    let step = job.push(&second);
    assert_eq!(step.code, 0);
    let again = outputs(&step);
    assert_eq!(again["result"], "deployed");
    assert_eq!((&again["previous_environment"], &again["previous_version"]), (&told["environment_name"], &first));
    assert_ne!(again["environment_id"], told["environment_id"]);
    assert_eq!(again["environment_url"], told["environment_url"], "live keeps its name");
    let checks = job.check_runs(&second);
    assert_eq!(checks.len(), 11, "{checks:?}");
    assert!(checks.iter().all(|(_, conclusion)| conclusion == "success"), "{checks:?}");
    job.assert_directories_are_the_runners();

    a_pull_request_is_tested_and_told_on_its_head(&job);
    for (signal, code, stage) in [("INT", 130, "deploy"), ("TERM", 143, "unit test")] {
        a_signal_ends_the_step(&job, signal, code, stage);
    }
    job.assert_directories_are_the_runners();
    job.end(&second);
}

fn a_pull_request_is_tested_and_told_on_its_head(job: &Job) {
    let head = "aaaabbbbccccddddeeeeffff0000111122223333";
    let merge = job.commit("three");
    let payload = format!(
        r#"{{"action": "synchronize", "number": 12, "repository": {{"full_name": "octo/shop"}},
            "pull_request": {{"number": 12,
                "head": {{"sha": "{head}", "ref": "three", "repo": {{"full_name": "octo/shop"}}}},
                "base": {{"ref": "main", "repo": {{"full_name": "octo/shop"}}}}}}}}"#
    );
    let event = Event { name: "pull_request", payload, sha: &merge, reference: "refs/pull/12/merge", head: "three" };
    let step = job.runner.start(&event, &job.with(), &[]).end();
    assert_eq!(step.code, 0);
    assert_eq!(outputs(&step)["result"], "tested");
    assert_eq!(job.check_runs(head).len(), 5, "check, build, two tests, and the run's own");
    assert!(job.check_runs(&merge).is_empty(), "the merge commit is nothing that people look at");
}

fn a_signal_ends_the_step(job: &Job, signal: &str, code: i32, stage: &str) {
    let sha = job.commit(signal);
    let mut with = job.with();
    with.push(("test_env", if stage == "unit test" { "PAUSE=60" } else { "PAUSE=0" }));
    let running = job.runner.start(&pushed(&sha), &with, &[]);
    running.until(if stage == "unit test" { "forged" } else { "::group::deploy" });
    let step = if signal == "INT" {
        running.cancel()
    } else {
        running.signal(signal);
        running.end()
    };
    assert_eq!(step.code, code);
    assert_eq!(outputs(&step)["result"], "cancelled");
    let checks: BTreeMap<String, String> = job.check_runs(&sha).into_iter().collect();
    assert_eq!(checks[&format!("shop / {stage}")], "cancelled");
    assert_eq!(checks["beanline"], "cancelled");
    assert_eq!(checks["shop / promote"], "cancelled", "a skipped check would pass");
    assert_eq!(checks.len(), 11, "{checks:?}");
}

/// An engine that takes the connection and says nothing, as one that hangs: whoever waits for it can be ended.
#[test]
fn a_signal_ends_what_waits_for_an_engine_that_hangs() {
    let Some(job) = Job::new() else { return };
    let sha = job.commit("one");
    let socket = job.runner.work.join("silent.sock");
    let engine = UnixListener::bind(&socket).unwrap();
    let runner = Runner { work: job.runner.work.clone(), image: job.runner.image.clone(), socket };
    let cases: [(&str, i32, &[&str]); 4] =
        [("INT", 130, &[]), ("TERM", 143, &[]), ("INT", 130, &["local", "stop"]), ("TERM", 0, &["local"])];
    for (signal, code, arguments) in cases {
        let running = runner.start(&pushed(&sha), &job.with(), arguments);
        let _silent = engine.accept().unwrap();
        running.signal(signal);
        let step = running.end();
        assert_eq!(step.code, code, "{signal} {arguments:?}");
        if arguments.is_empty() {
            assert_eq!(outputs(&step)["result"], "cancelled");
        }
    }
    job.end(&sha);
}
