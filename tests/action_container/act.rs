//! A workflow with `uses:`, run by act: its expressions, outputs and entrypoints are those of `action.yml`. For mounts,
//! cancellation and paths act is no measure; the rest of this test is about these.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::job::{Job, busybox, docker};

const WORKFLOW: &str = r#"on: push
jobs:
  ship:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: ship
        uses: ./
        with: { run: test, image: shop, test_command: "true", dry_run: true }
      - run: echo "the result is ${{ steps.ship.outputs.result }}"
        shell: sh
"#;

/// What `environment.py` ends with when act cannot be had.
const CANNOT: i32 = 77;

#[test]
fn act_runs_a_workflow_that_uses_the_action() {
    let Some(job) = Job::new() else { return };
    let sha = job.commit("one");
    let Some(act) = act() else { return job.end(&sha) };
    let machine = format!("{}-machine", job.runner.image);
    let home = job.runner.work.join("home");
    let repository = job.runner.work.join("act");
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(repository.join(".github/workflows")).unwrap();
    fs::copy(busybox(), repository.join("busybox")).unwrap();
    let action = include_str!("../../action.yml");
    let (before, rest) = action.split_once("docker://").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
                      ENV PATH=/bin\nEXPOSE 8080\n";
    let files = [
        ("action.yml", format!("{before}docker://{}\n{after}", job.runner.image)),
        (".github/workflows/ship.yml", WORKFLOW.to_owned()),
        ("Dockerfile", dockerfile.to_owned()),
    ];
    files.iter().for_each(|(name, text)| fs::write(repository.join(name), text).unwrap());
    for arguments in [
        &["-c", "init.defaultBranch=main", "init", "--quiet"][..],
        &["remote", "add", "origin", "https://github.com/octo/shop.git"],
        &["add", "--all"],
        &["-c", "user.name=octocat", "-c", "user.email=octocat@example.com", "commit", "--quiet", "--message", "one"],
    ] {
        assert!(Command::new("git").args(arguments).current_dir(&repository).status().unwrap().success());
    }
    docker(&["build", "--quiet", "--tag", &machine, repository.to_str().unwrap()]).unwrap();
    let platform = format!("ubuntu-latest={machine}");
    let mut run = Command::new(act);
    run.args(["push", "--pull=false", "--platform", &platform, "--secret", "GITHUB_TOKEN=x"]);
    let caches = || docker(&["volume", "ls", "--quiet", "--filter", "name=act-toolcache"]).unwrap();
    let had_cache = !caches().is_empty();
    let ran = run.current_dir(&repository).env("HOME", &home).output().unwrap();
    let log = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    docker(&["rmi", &machine]).unwrap();
    if !had_cache && !caches().is_empty() {
        docker(&["volume", "rm", "act-toolcache"]).unwrap();
    }
    println!("{log}");
    assert!(ran.status.success());
    for text in ["the result is planned", r#"entrypoint=["/beanline"]"#, r#"entrypoint=["/beanline-post"]"#] {
        assert!(log.contains(text), "{text}");
    }
    assert!(!log.contains("Unexpected input"), "{log}");
    for made in [home, repository] {
        fs::remove_dir_all(made).unwrap();
    }
    job.end(&sha);
}

/// The program, out of PyPI. Where it cannot be had the reason is printed; with `CI=true` that is a failure.
fn act() -> Option<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("act-program");
    let mut prepare = Command::new("python3");
    prepare.arg(root.join("tests/support/environment.py")).arg(&directory);
    let code = prepare.arg(root.join("tests/action_container/requirements.txt")).status().unwrap().code();
    if code == Some(CANNOT) {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "CI=true, and act cannot be had");
        println!("skipped: act cannot be had");
        return None;
    }
    assert_eq!(code, Some(0));
    Some(directory.join("bin/act"))
}
