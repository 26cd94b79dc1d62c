//! The files of `examples/ci`, each under its CI's own variables: what they have run is run here, with the local cloud.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::job::{Job, docker};

/// The commit that every recorded environment names.
const SHA: &str = "1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5";

/// A file, what its CI sets in a job on a pull request, and the shell that it runs commands by.
struct Case {
    file: &'static str,
    shell: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 4] = [
    Case {
        file: "circleci.yml",
        shell: &["bash", "-eo", "pipefail", "-c"],
        variables: &[
            ("CI", "true"),
            ("CIRCLECI", "true"),
            ("CIRCLE_BRANCH", "greet"),
            ("CIRCLE_BUILD_NUM", "41"),
            ("CIRCLE_BUILD_URL", "https://circleci.com/gh/octo/shop/41"),
            ("CIRCLE_PROJECT_REPONAME", "shop"),
            ("CIRCLE_PROJECT_USERNAME", "octo"),
            ("CIRCLE_PULL_REQUEST", "https://github.com/octo/shop/pull/7"),
            ("CIRCLE_SHA1", SHA),
            ("CIRCLE_WORKFLOW_JOB_ID", "4f1f0b0e-8a2d-4f2f-9c39-0f5e0f6f7c11"),
        ],
    },
    Case {
        file: "gitlab-ci.yml",
        shell: &["sh", "-e", "-c"],
        variables: &[
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_COMMIT_SHA", SHA),
            ("CI_JOB_ID", "4321"),
            ("CI_JOB_URL", "https://gitlab.com/octo/shop/-/jobs/4321"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "greet"),
            ("CI_PIPELINE_IID", "41"),
            ("CI_PROJECT_PATH", "octo/shop"),
        ],
    },
    Case {
        file: "buildkite.yml",
        shell: &["bash", "-e", "-c"],
        variables: &[
            ("CI", "true"),
            ("BUILDKITE", "true"),
            ("BUILDKITE_BRANCH", "greet"),
            ("BUILDKITE_BUILD_NUMBER", "41"),
            ("BUILDKITE_BUILD_URL", "https://buildkite.com/octo/shop/builds/41"),
            ("BUILDKITE_COMMIT", SHA),
            ("BUILDKITE_JOB_ID", "0190046e-e199-453b-a302-a21a4d649d31"),
            ("BUILDKITE_PULL_REQUEST", "7"),
            ("BUILDKITE_REPO", "git@github.com:octo/shop.git"),
        ],
    },
    Case {
        file: "docker-run.sh",
        shell: &["sh", "-e", "-c"],
        variables: &[
            ("CI", "true"),
            ("CI_NAME", "codeship"),
            ("CI_BRANCH", "greet"),
            ("CI_BUILD_ID", "a9e5b3c0-2f6a-0139-1f2b-1e3d8a1f3c55"),
            ("CI_COMMIT_ID", SHA),
            ("CI_PR_NUMBER", "7"),
            ("CI_REPO_NAME", "octo/shop"),
        ],
    },
];

#[test]
fn the_files_for_other_cis_do_what_they_say() {
    let Some(job) = Job::new() else { return };
    let workspace = job.runner.workspace();
    let state = workspace.join("state");
    fs::write(workspace.join(".gitignore"), "state\n").unwrap();
    let inputs = [
        "BEANLINE_CLOUD=local",
        "BEANLINE_IMAGE=shop",
        "BEANLINE_TEST_COMMAND=sh /test.sh",
        "BEANLINE_ACCEPTANCE_HTTP=GET / 200",
        "BEANLINE_APPLICATION=shop",
        "BEANLINE_ENVIRONMENT=shop",
        &format!("XDG_STATE_HOME={}", state.display()),
    ];
    fs::write(workspace.join("beanline.env"), inputs.join("\n") + "\n").unwrap();
    let commit = job.commit("one");
    for case in &CASES {
        let commands = commands(case.file);
        assert!(!commands.is_empty(), "{} runs nothing", case.file);
        for command in commands {
            let done = run(case, &command, &job.runner.image, &workspace);
            let log = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
            println!("== {}\n{command}\n{log}", case.file);
            assert!(done.status.success(), "{}: {}", case.file, done.status);
            if command.contains(" post") {
                continue;
            }
            // It is known whose pull request this is, so nothing is deployed without a word about it in the file.
            assert!(log.contains("at 1f0c2aa5d3b1"), "{}: the commit is not known", case.file);
            assert!(log.contains("tested"), "{}: {log}", case.file);
        }
    }
    let here = format!("{0}:{0}", workspace.display());
    let socket = format!("{}:/var/run/docker.sock", job.runner.socket.display());
    let xdg = format!("XDG_STATE_HOME={}", state.display());
    docker(&["run", "--rm", "-v", &socket, "-v", &here, "-e", &xdg, &job.runner.image, "local", "stop"]).unwrap();
    let _ = fs::remove_dir_all(&state);
    job.end(&commit);
}

/// The commands in a file of `examples/ci` that start the container, as the CI's shell gets them.
fn commands(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(file);
    if file.ends_with(".sh") {
        return ["", " post"].map(|words| format!("{} codeship{words}", path.display())).to_vec();
    }
    let text = fs::read_to_string(path).unwrap();
    let known = format!("ghcr.io/beanline/beanline:{}", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&format!("BEANLINE: {known}")), "{file} runs another version");
    let mut commands = Vec::new();
    gather(&serde_saphyr::from_str(&text).unwrap(), &mut commands);
    if file == "buildkite.yml" {
        commands.iter_mut().for_each(|command| *command = command.replace("$$", "$"));
    }
    commands
}

fn gather(value: &Value, commands: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("docker run") => commands.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| gather(value, commands)),
        Value::Object(values) => values.values().for_each(|value| gather(value, commands)),
        _ => {}
    }
}

/// Runs a command in the checkout with the CI's variables and nothing else.
fn run(case: &Case, command: &str, image: &str, workspace: &Path) -> Output {
    let mut shell = Command::new(case.shell[0]);
    shell.args(&case.shell[1..]).arg(command).current_dir(workspace).env_clear();
    let kept = ["PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG"];
    shell.envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    shell.envs(case.variables.iter().copied()).env("BEANLINE", image).output().unwrap()
}
