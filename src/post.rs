//! What comes after a job's run, `beanline post` or the binary under the name `beanline-post`: when the run was killed, or
//! could not remove everything, that is put right and its check runs are completed.
//!
//! It never opens a check run: the commit would show its result instead of the run's.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::cloud::Cloud;
use crate::docker::Docker;
use crate::engine::cancel::Cancel;
use crate::engine::event::{End, EventKind, Stage};
use crate::engine::undo::Undo;
use crate::engine::{self, Engine, StageCx};
use crate::environment::{Environment, daemon, local_directory, variable};
use crate::exit::Exit;
use crate::fault::Fault;
use crate::inputs::problem::{self, Problem};
use crate::inputs::resolve::{self, Surroundings};
use crate::inputs::{
    BeanstalkPlan, CiFacts, CloudKind, OnBusy, Plan, RawInputs, ReportKind, ReportPlan, RunKind, SitePlan, Strategy,
    files,
};
use crate::local::LocalCloud;
use crate::report::{self, ConsoleStyle, Report};
use crate::stages::check::open_site;
use crate::stages::sweep::{sweep, sweep_beside};
use crate::start;

/// The name under which the image has the binary a second time, for `post-entrypoint`.
pub const PROGRAM: &str = "beanline-post";

/// How long it may take: GitHub gives all steps after a cancellation five minutes.
const LIMIT: Duration = Duration::from_secs(240);

/// What a run tells its post step: its id, and that nothing is left to do. GitHub hands it over as `STATE_<name>`.
const RUN: &str = "beanline_run";
const ENDED: &str = "beanline_ended";

/// Tells the post step of this job which run it comes after.
pub fn note_run(environment: &Environment, run_id: &str) {
    note(environment, RUN, run_id);
}

/// Tells the post step that nothing is left to do, unless the run was stopped or left something.
pub fn note_end(environment: &Environment, exit: Exit, left: &[Undo]) {
    let may_have_left = [Exit::Unexpected, Exit::CleanUpFailed, Exit::NeedsHuman, Exit::Interrupted, Exit::Terminated];
    if left.is_empty() && !may_have_left.contains(&exit) {
        note(environment, ENDED, "true");
    }
}

fn note(environment: &Environment, name: &str, value: &str) {
    let Some(file) = variable(environment, "GITHUB_STATE") else { return };
    let open = std::fs::OpenOptions::new().append(true).create(true).open(Path::new(&file));
    // What is not noted, the post step finds out by itself.
    let _ = open.and_then(|mut file| file.write_all(format!("{name}={value}\n").as_bytes()));
}

/// Does what the environment shows to be left to do.
pub async fn run(environment: Environment) -> Exit {
    if variable(&environment, &format!("STATE_{ENDED}")).is_some() {
        return Exit::Done;
    }
    let raw = RawInputs::read(environment.iter().cloned());
    let ci = CiFacts::detect(raw.variables(), &files::read_text);
    let style = start::style(&raw, &ci);
    let around = Surroundings { ci: &ci, local_registry: start::NO_REGISTRY_YET, read_file: &files::read_text };
    let plan = match resolve::resolve(&raw, &around) {
        Ok(plan) => plan,
        // A run with such inputs has changed nothing, and has said why.
        Err(_) if variable(&environment, &format!("STATE_{RUN}")).is_none() => return Exit::Done,
        Err(problems) => {
            let report = resolve::report_alone(&raw, &around);
            return tell(&report, "an earlier step", &ci, style, async |engine: &Engine| {
                let work = async |cx: &_| put_right_blindly(cx, &report, &ci, &environment, &problems).await;
                let stopped = engine.stage(Stage::CleanUp, LIMIT, work).await.err();
                let end =
                    stopped.and_then(|stopped| stopped.cancelled).map_or(End::Failed(Stage::CleanUp), End::Cancelled);
                (end, Exit::BadInput)
            })
            .await;
        }
    };
    let (report, name, plan_ci) = (plan.report.clone(), plan.name.clone(), plan.ci.clone());
    tell(&report, &name, &plan_ci, style, async |engine: &Engine| {
        if plan_ci.job.is_none() {
            let why = "nothing tells this job from others: what a killed run left is for the next run";
            engine.skip(Stage::CleanUp, why);
            return (End::CleanedUp, Exit::Done);
        }
        let work = async |cx: &_| put_right(cx, &raw, &ci, plan, &environment).await;
        match engine.stage(Stage::CleanUp, LIMIT, work).await {
            Ok(()) => (End::CleanedUp, Exit::Done),
            Err(stopped) => {
                let end = stopped.cancelled.map_or(End::Failed(Stage::CleanUp), End::Cancelled);
                let exit = end.exit(stopped.timed_out);
                (end, exit)
            }
        }
    })
    .await
}

/// Tells the one stage that comes after a run, and how it ended.
async fn tell(
    report: &ReportPlan,
    name: &str,
    ci: &CiFacts,
    style: ConsoleStyle,
    work: impl AsyncFnOnce(&Engine) -> (End, Exit),
) -> Exit {
    let (events, receiver) = engine::events();
    let report = tokio::spawn(Report::new(&log_alone(report), name, ci, style).run(receiver));
    let cancel = Cancel::listen(LIMIT).unwrap_or_else(|_| Cancel::never());
    let perform: engine::Perform = Rc::new(|_, _| Box::pin(async { Ok(()) }));
    let engine = Engine::new(events, cancel, perform);
    let about = format!("what {name} left");
    engine.events().emit(EventKind::RunStarted { about, stages: vec![Stage::CleanUp.into()] });
    let (end, exit) = work(&engine).await;
    engine.events().emit(EventKind::RunFinished { end, exit, left: Vec::new() });
    // A report that broke has said so.
    let _ = report.await;
    exit
}

/// Engine and check runs of a run whose inputs cannot be read any more: what it left at its site is not known.
///
/// # Errors
/// Always: what is wrong with the inputs.
async fn put_right_blindly(
    cx: &StageCx,
    report: &ReportPlan,
    ci: &CiFacts,
    environment: &Environment,
    problems: &[Problem],
) -> Result<(), Fault> {
    if let (Some(job), Ok(docker)) = (ci.job.as_deref(), Docker::connect(&daemon(environment)).await) {
        let ours = uuid::Uuid::new_v4().simple().to_string();
        sweep_beside(cx, &docker, &ours, Some(job), chrono::Utc::now().timestamp()).await;
    }
    if ci.job.is_some() {
        complete_check_runs(cx, report, ci).await;
    }
    Err(problem::fault(problems)
        .cause("the run began with inputs that could be read: a file or a variable that they name has changed since")
        .hint("what the run left at its site was not looked for: the next run of this application puts it right"))
}

async fn complete_check_runs(cx: &StageCx, report: &ReportPlan, ci: &CiFacts) {
    if let Some(github) = report.github.as_ref().filter(|_| writes_check_runs(report)) {
        let completed = report::complete_left_open(github, ci).await;
        completed.unwrap_or_else(|fault| cx.warn(format!("check runs may be left open: {fault}")));
    }
}

/// The engine, then the check runs, then the site: what takes longest comes last.
///
/// # Errors
/// What the run left at its site is still there, or nobody could look.
async fn put_right(
    cx: &StageCx,
    raw: &RawInputs,
    ci: &CiFacts,
    plan: Plan,
    environment: &Environment,
) -> Result<(), Fault> {
    let kept = plan.clone();
    let (plan, cloud, docker) = match open(raw, ci, plan, environment).await {
        Ok((plan, cloud, docker)) => (plan, Ok(cloud), docker),
        Err(fault) => (kept, Err(fault), None),
    };
    let docker = match docker {
        Some(docker) => Some(docker),
        // A run without an engine has left nothing there.
        None => Docker::connect(&daemon(environment)).await.ok(),
    };
    if let Some(docker) = &docker {
        sweep(cx, docker, &plan, chrono::Utc::now().timestamp()).await;
    }
    complete_check_runs(cx, &plan.report, &plan.ci).await;
    let next = |fault: Fault| fault.hint("the next run of this application puts right what is left");
    let (cloud, run) = (cloud.map_err(next)?, variable(environment, &format!("STATE_{RUN}")));
    let changes_sites = !matches!(plan.run, RunKind::Test | RunKind::Push | RunKind::Check);
    for SitePlan::Beanstalk(site) in plan.sites.iter().filter(|_| changes_sites && cloud.sdk().is_some()) {
        if site.strategy == Strategy::VersionOnly {
            continue;
        }
        // Whoever has the site now puts it right.
        let site = BeanstalkPlan { on_busy: OnBusy::Fail, ..site.clone() };
        open_site(&plan, &cloud, &site)?.put_right_after(cx, run.as_deref()).await.map_err(next)?;
    }
    Ok(())
}

/// Opens the run's cloud. A local one that is not there any more is not made for this.
async fn open(
    raw: &RawInputs,
    ci: &CiFacts,
    plan: Plan,
    environment: &Environment,
) -> Result<(Plan, Cloud, Option<Docker>), Fault> {
    let directory: Option<PathBuf> = local_directory(environment).ok();
    if plan.cloud == CloudKind::Local && !directory.is_some_and(|directory| LocalCloud::is_in(&directory)) {
        return Ok((plan, Cloud::none(), None));
    }
    start::open(raw, ci, plan, environment).await
}

fn writes_check_runs(report: &ReportPlan) -> bool {
    matches!(report.kind, ReportKind::Auto | ReportKind::Checks)
}

/// The same report without GitHub and without files: summary and outputs are the run's.
fn log_alone(report: &ReportPlan) -> ReportPlan {
    let token = report.github.iter().map(|github| github.token.clone());
    ReportPlan {
        kind: ReportKind::None,
        github: None,
        deployment: None,
        summary_file: None,
        output_file: None,
        report_dir: None,
        masks: report.masks.iter().cloned().chain(token).collect(),
    }
}

#[cfg(test)]
mod tests;
