//! unit test: `BuiltImage` → verdict, inside the image.

use super::build::BuiltImage;
use super::{argv, junit, pack, run_tests_in};
use crate::docker::{ContainerSpec, Docker, Labels};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::{Plan, UnitTestPlan};

/// Report files larger than this are not read, in bytes.
const REPORT_LIMIT: u64 = 64 << 20;

/// Proof that the unit tests passed, or that there are none.
#[derive(Debug)]
pub struct UnitTestVerdict(());

impl UnitTestVerdict {
    /// There is no test command, and the report has said so.
    pub fn not_requested() -> Self {
        Self(())
    }
}

/// Runs the test command in a container of the image.
///
/// # Errors
/// When it exits with anything but 0; the fault has its last lines and the failing tests of its report.
pub async fn unit_test(
    cx: &StageCx,
    plan: &Plan,
    tests: &UnitTestPlan,
    docker: &Docker,
    labels: &Labels,
    image: &BuiltImage,
) -> Result<UnitTestVerdict, Fault> {
    let name = format!("beanline-unit-{}", plan.run_id);
    let (entrypoint, command) = argv(&tests.command);
    let spec = ContainerSpec {
        name: name.clone(),
        image: image.id().to_string(),
        entrypoint,
        command,
        env: tests.env.clone(),
        labels: labels.clone(),
        memory: tests.memory,
        unlogged: true,
        ..ContainerSpec::default()
    };
    cx.cleanup(Undo::RemoveContainer { name: name.clone() });
    docker.create(&spec).await?;
    if !tests.files.is_empty() {
        docker.put_tar(&name, directory(image), pack(std::path::Path::new("."), &tests.files)?).await?;
    }
    let limit = ("test_timeout", tests.timeout);
    let ran = run_tests_in(cx, docker, &name, &tests.command, limit, |fault| fault).await;
    let failures = read_reports(cx, docker, &name, &tests.reports).await;
    let fault = match ran {
        Ok(()) if failures.is_empty() => return Ok(UnitTestVerdict(())),
        Ok(()) => {
            Fault::new("the tests did not pass").cause("the command exited with 0, but its report has failing tests")
        }
        Err(fault) => fault,
    };
    Err(failures.into_iter().take(20).fold(fault, |fault, (test, message)| fault.cause(format!("{test}: {message}"))))
}

fn directory(image: &BuiltImage) -> &str {
    let directory = image.facts().working_dir.as_str();
    if directory.is_empty() { "/" } else { directory }
}

/// Reads the reports, also after a failure. A report that is missing or damaged costs a warning, never the run.
async fn read_reports(cx: &StageCx, docker: &Docker, container: &str, paths: &[String]) -> Vec<(String, String)> {
    let mut failures = Vec::new();
    for path in paths {
        match docker.get_files(container, path, REPORT_LIMIT).await {
            Ok(Some(files)) => {
                for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".xml")) {
                    match junit::read(bytes) {
                        Ok(counts) => {
                            failures.extend(counts.failures.iter().cloned());
                            cx.fact(Fact::Tests(counts));
                        }
                        Err(problem) => cx.warn(format!("the test report {name} could not be read: {problem}")),
                    }
                }
            }
            Ok(None) => cx.warn(format!("there is no test report at {path} in the container")),
            Err(fault) => cx.warn(format!("the test report {path} could not be read: {fault}")),
        }
    }
    failures
}
