//! unit test: `BuiltImage` → verdict, inside the image, or in another one of the same context, which is said.

use std::path::Path;
use std::time::Duration;

use super::build::{self, BuiltImage};
use super::check::Checked;
use super::{OUT_OF_MEMORY, TimeLimit, argv, owner, run_tests_in, services, test_reports};
use crate::docker::{ContainerSpec, Docker, ImageFacts, Labels};
use crate::engine::StageCx;
use crate::engine::event::{Fact, TestCounts};
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::{Elsewhere, OtherImage, Plan, UnitTestPlan};

/// Failing tests that the message of a run names; log and check run have more of them.
const FAILURES_NAMED: usize = 10;

/// How long tests that ran out of time may take to write their reports.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// The image that the unit tests run in: the one that is shipped, or another one, which proves nothing about that.
#[derive(Debug)]
pub struct TestBed {
    facts: ImageFacts,
    other: Option<OtherImage>,
}

impl TestBed {
    /// The image that the plan asks for; another one than the shipped one is built.
    ///
    /// # Errors
    /// It cannot be built.
    pub async fn prepare(cx: &StageCx, plan: &Plan, checked: &Checked, built: &BuiltImage) -> Result<Self, Fault> {
        let elsewhere = plan.unit_test.as_ref().and_then(|tests| tests.elsewhere.as_ref());
        match elsewhere.map(Elsewhere::image) {
            None => Ok(Self { facts: built.facts().clone(), other: None }),
            Some(other) => {
                let facts = build::build_other(cx, plan, checked, other, "unit").await?;
                // Another name for the very same bytes is no other image.
                let other = Some(other.clone()).filter(|_| facts.id != *built.id());
                Ok(Self { facts, other })
            }
        }
    }
}

/// Proof that the unit tests passed, or that there are none. Where they ran elsewhere, the plan has acceptance tests: see
/// [`Elsewhere`].
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
    bed: &TestBed,
) -> Result<UnitTestVerdict, Fault> {
    if let Some(other) = &bed.other {
        cx.fact(Fact::TestedElsewhere { ran_in: other.to_string() });
    }
    let services = services::up(cx, docker, plan, labels, "unit").await?;
    let name = format!("beanline-unit-{}", plan.run_id);
    let (entrypoint, command) = argv(&tests.command);
    let spec = ContainerSpec {
        name: name.clone(),
        image: bed.facts.id.to_string(),
        entrypoint,
        command,
        env: tests.env.clone(),
        labels: labels.clone(),
        network: services.network().map(str::to_owned),
        memory: tests.memory,
        unlogged: true,
        ..ContainerSpec::default()
    };
    cx.cleanup(Undo::RemoveContainer { name: name.clone() });
    docker.create(&spec).await?;
    let directory = &bed.facts.working_dir;
    if !tests.files.is_empty() {
        let owner = owner::of_processes(cx, docker, &name, &bed.facts).await?;
        docker.put_files(&name, directory, Path::new("."), &tests.files, owner).await?;
    }
    let limit = TimeLimit::from_now("test_timeout", tests.timeout);
    let ran = run_tests_in(cx, docker, &name, &tests.command, limit, |fault| advised(fault, tests)).await;
    if ran.as_ref().is_err_and(Fault::is_time_out)
        && let Err(fault) = docker.stop(&name, LAST_CHANCE).await
    {
        cx.warn(fault.to_string());
    }
    // One that could not be started has left nothing.
    let begun = docker.container(&name).await.ok().flatten().is_none_or(|it| it.running || it.exit_code.is_some());
    let reports = if begun { tests.reports.as_slice() } else { &[] };
    let context = &plan.build.recipe.context;
    let counts = test_reports::read(cx, docker, &name, directory, reports, context).await.unwrap_or_default();
    match verdict(ran, &counts) {
        Ok(()) => Ok(UnitTestVerdict(())),
        Err(fault) => Err(services.explain(fault, docker).await),
    }
}

/// What the command's end and its reports mean together.
fn verdict(ran: Result<(), Fault>, counts: &TestCounts) -> Result<(), Fault> {
    let fault = match ran {
        Ok(()) if counts.failed == 0 => return Ok(()),
        Ok(()) => {
            Fault::new("the tests did not pass").cause("the command exited with 0, but its report has failing tests")
        }
        Err(fault) => fault,
    };
    let named = counts.failures.iter().take(FAILURES_NAMED).fold(fault, |fault, test| {
        let place = test.line.as_ref().map(|at| format!(" at {}:{}", at.path, at.line)).unwrap_or_default();
        fault.cause(format!("{}{place}: {}", test.name, test.message.lines().next().unwrap_or_default()))
    });
    match counts.failed.saturating_sub(FAILURES_NAMED) {
        0 => Err(named),
        1 => Err(named.cause("and 1 more failing test")),
        more => Err(named.cause(format!("and {more} more failing tests"))),
    }
}

/// With what to do when the container had too little memory.
fn advised(fault: Fault, tests: &UnitTestPlan) -> Fault {
    match fault.causes().iter().any(|cause| cause == OUT_OF_MEMORY) {
        true if tests.memory.is_some() => fault.hint("raise `test_memory`, or have the tests use less"),
        true => fault.hint("the docker engine's machine has no more: have the tests use less, or give it more"),
        false => fault,
    }
}

#[cfg(test)]
mod tests;
