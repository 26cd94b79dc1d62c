//! Everything that is not Rust: `action.yml`, workflows, scripts, Dockerfiles, snippets of the documents, and what
//! `deny.toml` says of dependencies. The programs come from PyPI; `tests/lint/` says what is looked at.

#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// What `run.py` ends with when the Python environment cannot be made.
const CANNOT: i32 = 77;

/// Says on standard error, past the test runner's capture, why nothing is tested. In CI that is a failure.
fn skip(reason: &str) {
    let is_ci = std::env::vars().any(|(name, value)| name == "CI" && value == "true");
    assert!(!is_ci, "everything must be looked at in CI, but {reason}");
    std::io::stderr().write_all(format!("lints skipped: {reason}\n").as_bytes()).unwrap();
}

#[test]
fn everything_that_is_not_rust_is_as_its_readers_expect_it() {
    let Ok(status) = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lint/run.py"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("lint-programs"))
        .status()
    else {
        return skip("there is no python3");
    };
    match status.code() {
        Some(CANNOT) => skip("the Python environment could not be made"),
        code => assert_eq!(code, Some(0), "what is wrong stands above"),
    }
}
