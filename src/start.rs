//! From the environment to a run: inputs are read and resolved, the cloud is opened, the report is started.

use std::io::IsTerminal;
use std::rc::Rc;
use std::time::Duration;

use crate::cloud::Cloud;
use crate::docker::Docker;
use crate::engine::cancel::{Cancel, CancelReason};
use crate::engine::event::{End, EventKind, Stage};
use crate::engine::undo::Undo;
use crate::engine::{self, Engine, Events};
use crate::environment::{Environment, daemon, local_directory, variable};
use crate::exit::Exit;
use crate::fault::Fault;
use crate::inputs::resolve::{self, Surroundings};
use crate::inputs::{CiFacts, CloudKind, Plan, RawInputs, ReportPlan, RunKind, files, problem};
use crate::local::LocalCloud;
use crate::report::{ConsoleStyle, Dialect, Report};
use crate::run::{self, Hands, Run};
use crate::{post, stages};

/// Stands for the local cloud's registry while the inputs are read for the first time.
pub(crate) const NO_REGISTRY_YET: &str = "127.0.0.1:0";

/// Limit of a stage that fails at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// Runs what the environment asks for.
pub async fn run(environment: Environment) -> Exit {
    let (exit, left) = run_to_end(&environment).await;
    post::note_end(&environment, exit, &left);
    exit
}

/// How it ended, and what could not be removed.
async fn run_to_end(environment: &Environment) -> (Exit, Vec<Undo>) {
    let raw = RawInputs::read(environment.iter().cloned());
    let ci = CiFacts::detect(raw.variables(), &files::read_text);
    let style = style(&raw, &ci);
    // Once without any cloud: bad input must not even start one.
    let around = Surroundings { ci: &ci, local_registry: NO_REGISTRY_YET, read_file: &files::read_text };
    let told = |ending| tell(resolve::report_alone(&raw, &around), &ci, style, ending);
    let plan = match resolve::resolve(&raw, &around) {
        Ok(plan) => plan,
        Err(problems) => return (told(Ending::Refused(problem::fault(&problems), Exit::BadInput)).await, Vec::new()),
    };
    // From here on something may take its time, and as the first process of a container nobody else ends us.
    let cancel = Cancel::listen(plan.timeout).unwrap_or_else(|_| Cancel::never());
    let opened = tokio::select! {
        opened = open(&raw, &ci, plan, environment) => opened,
        reason = cancel.outranking(None) => return (told(Ending::Cancelled(cancel, reason)).await, Vec::new()),
    };
    match opened {
        Ok((plan, cloud, docker)) => go(&plan, &cloud, docker, cancel, style, environment).await,
        Err(fault) => (told(Ending::Refused(fault, Exit::NotReady)).await, Vec::new()),
    }
}

/// What the log looks like.
pub(crate) fn style(raw: &RawInputs, ci: &CiFacts) -> ConsoleStyle {
    let is_terminal = std::io::stdout().is_terminal();
    // Such a terminal cannot erase a line; a CI that has a terminal keeps what was written.
    let can_erase = raw.variables().get("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    ConsoleStyle {
        colour: is_terminal,
        dialect: Dialect::of(ci.vendor),
        json: resolve::log_is_json(raw),
        live: is_terminal && can_erase && ci.vendor.is_none(),
    }
}

/// Opens the cloud that the plan names; the local one decides where an image without a registry lives.
pub(crate) async fn open(
    raw: &RawInputs,
    ci: &CiFacts,
    plan: Plan,
    environment: &Environment,
) -> Result<(Plan, Cloud, Option<Docker>), Fault> {
    if plan.cloud == CloudKind::Aws {
        let endpoint =
            variable(environment, "AWS_ENDPOINT_URL").or_else(|| variable(environment, "AWS_ENDPOINT_URL_S3"));
        let cloud = match plan.sites.is_empty() && plan.run == RunKind::Test {
            true => Cloud::none(),
            false => Cloud::aws(&plan.aws, endpoint.is_some()).await?,
        };
        return Ok((plan, cloud, None));
    }
    let docker = Docker::connect(&daemon(environment)).await?;
    let local = LocalCloud::open(&docker, &local_directory(environment)?).await?;
    let around = Surroundings { ci, local_registry: &local.registry, read_file: &files::read_text };
    let mut plan = resolve::resolve(raw, &around).map_err(|problems| problem::fault(&problems))?;
    if plan.report.github.is_none() {
        plan.report.github = local.github(&plan);
    }
    Ok((plan, Cloud::local(local).await, Some(docker)))
}

async fn go(
    plan: &Plan,
    cloud: &Cloud,
    docker: Option<Docker>,
    cancel: Cancel,
    style: ConsoleStyle,
    environment: &Environment,
) -> (Exit, Vec<Undo>) {
    post::note_run(environment, &plan.run_id);
    let (events, receiver) = engine::events();
    let report = Report::new(&plan.report, &plan.name, &plan.ci, style).named(&plan.run_id, plan.timeout);
    let report = tokio::spawn(report.run(receiver));
    let hands = Rc::new(Hands::default());
    let engine = Engine::new(events, cancel, run::hands(hands.clone()));
    let (daemon, labels) = (daemon(environment), stages::labels(plan));
    let run = Run { plan, cloud, daemon: &daemon, engine: &engine, hands: &hands, labels };
    let ended = run::run(&run, docker).await;
    // A report that broke has said so; it does not change the result.
    let _ = report.await;
    ended
}

/// How a run ends before it begins.
enum Ending {
    /// Bad input, or a cloud that cannot be opened.
    Refused(Fault, Exit),
    /// A signal or the time limit while the cloud was being opened.
    Cancelled(Cancel, CancelReason),
}

/// Tells a run that ends before it begins: the check stage says why, on GitHub too if it is known where.
async fn tell(report: ReportPlan, ci: &CiFacts, style: ConsoleStyle, ending: Ending) -> Exit {
    let (events, receiver) = engine::events();
    let report = tokio::spawn(Report::new(&report, "beanline", ci, style).run(receiver));
    let exit = tell_ending(events, ending).await;
    let _ = report.await;
    exit
}

async fn tell_ending(events: Events, ending: Ending) -> Exit {
    let (cancel, about) = match &ending {
        Ending::Refused(..) => (Cancel::never(), "a run that could not begin"),
        Ending::Cancelled(cancel, _) => (cancel.clone(), "a run that was stopped before it began"),
    };
    let perform: engine::Perform = Rc::new(|_, _| Box::pin(async { Ok(()) }));
    let engine = Engine::new(events, cancel, perform);
    engine.events().emit(EventKind::RunStarted { about: about.into(), stages: vec![Stage::Check.into()] });
    // The check stage is told as in any other run; there is nothing to undo.
    let (end, exit) = match ending {
        Ending::Refused(fault, exit) => {
            let _ = engine.stage(Stage::Check, AT_ONCE, async |_| Err::<(), _>(fault)).await;
            (End::Failed(Stage::Check), exit)
        }
        Ending::Cancelled(_, reason) => {
            let _ = engine.stage(Stage::Check, AT_ONCE, async |_| Ok(())).await;
            let end = End::Cancelled(reason);
            let exit = end.exit(false);
            (end, exit)
        }
    };
    engine.events().emit(EventKind::RunFinished { end, exit, left: Vec::new() });
    exit
}
