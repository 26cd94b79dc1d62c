//! What was typed: a run from the environment, or one of the few words beside it.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::docker::Docker;
use crate::engine::cancel::Cancel;
use crate::engine::event::End;
use crate::engine::first_process;
use crate::environment::{Environment, daemon, local_directory, variable};
use crate::exit::Exit;
use crate::fault::Fault;
use crate::inputs::ci::{handed_over, vendors};
use crate::inputs::{RawInputs, help};
use crate::local::{self, LocalCloud};
use crate::{post, probe, start};

/// The time limit of what has none.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Does what was typed: the program's own name, and the words behind it.
pub async fn main(typed: Vec<OsString>, environment: Environment) -> Exit {
    trace(variable(&environment, "RUNNER_DEBUG").is_some());
    if let Err(fault) = first_process::reap() {
        // Nothing but a few entries in the container's process table depends on it.
        complain(&fault);
    }
    let is_post = typed.first().is_some_and(|program| Path::new(program).file_name() == Some(post::PROGRAM.as_ref()));
    let words: Vec<String> = typed.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] if is_post => return post::run(environment).await,
        [] => return start::run(environment).await,
        ["post"] => return post::run(environment).await,
        ["env", vendor @ ..] if vendor.len() < 2 => return hand_over(vendor.first().copied(), environment),
        ["--help" | "-h" | "help"] => say(&help::help()),
        ["--version" | "-V"] => say(concat!("beanline ", env!("CARGO_PKG_VERSION"), "\n")),
        ["local"] => serve_local(&environment).await,
        ["local", "status"] => return or_signal(local_status(&environment)).await,
        ["local", "stop"] => return or_signal(stop_local(&environment)).await,
        // These three run in containers that Beanline starts.
        ["data-plane", config] => data_plane(config).await,
        ["probe"] => probe::serve::serve(tokio::io::stdin(), tokio::io::stdout()).await,
        ["pipe", address] => local::forward::pipe(address).await,
        unknown => {
            let fault = Fault::new(format!("`{}` is not known", unknown.join(" ")))
                .hint("inputs are environment variables: beanline --help lists them")
                .hint(
                    "or type: beanline env, beanline post, beanline local, beanline local status, beanline local stop",
                );
            complain(&fault);
            return Exit::BadInput;
        }
    };
    exit_of(done)
}

/// Prints the options by which `docker run` hands a CI's variables over.
fn hand_over(vendor: Option<&str>, environment: Environment) -> Exit {
    let raw = RawInputs::read(environment.into_iter());
    let Some(names) = handed_over(vendor, raw.variables()) else {
        let what = match vendor {
            Some(vendor) => format!("`{vendor}` is no CI that Beanline knows"),
            None => "no CI that Beanline knows has set its variables here".to_owned(),
        };
        let known = vendors().collect::<Vec<_>>().join(", ");
        complain(&Fault::new(what).hint(format!("name one, such as: beanline env gitlab; these are known: {known}")));
        return Exit::BadInput;
    };
    let options: Vec<String> = names.iter().map(|name| format!("-e {name}")).collect();
    exit_of(say(&format!("{}\n", options.join(" "))))
}

fn exit_of(done: Result<(), Fault>) -> Exit {
    match done {
        Ok(()) => Exit::Done,
        Err(fault) => {
            complain(&fault);
            Exit::NotReady
        }
    }
}

/// Our own traces go to standard error; all of them when GitHub's debug logging is on. Those of our clients are left out:
/// they print requests, and requests hold secrets.
fn trace(debug: bool) {
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let own = Targets::new().with_target(env!("CARGO_PKG_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).without_time();
    tracing_subscriber::registry().with(lines.with_filter(own)).init();
}

/// What was asked for, or its end by a signal: the kernel ends no first process of a container that handles none.
async fn or_signal(work: impl Future<Output = Result<(), Fault>>) -> Exit {
    let cancel = Cancel::listen(FOR_EVER).unwrap_or_else(|_| Cancel::never());
    tokio::select! {
        done = work => exit_of(done),
        reason = cancel.outranking(None) => End::Cancelled(reason).exit(false),
    }
}

async fn serve_local(environment: &Environment) -> Result<(), Fault> {
    let cancel = Cancel::listen(FOR_EVER)?;
    let open = async {
        let docker = Docker::connect(&daemon(environment)).await?;
        LocalCloud::serve(&docker, &local_directory(environment)?).await
    };
    let cloud = tokio::select! {
        cloud = open => cloud?,
        _ = cancel.outranking(None) => return Ok(()),
    };
    say(&cloud.status())?;
    say("# Ctrl-C ends this process; environments go on. To remove everything: beanline local stop\n")?;
    cancel.outranking(None).await;
    Ok(())
}

async fn local_status(environment: &Environment) -> Result<(), Fault> {
    let docker = Docker::connect(&daemon(environment)).await?;
    say(&LocalCloud::status_of(&docker, &local_directory(environment)?).await?)
}

async fn stop_local(environment: &Environment) -> Result<(), Fault> {
    let docker = Docker::connect(&daemon(environment)).await?;
    let directory = local_directory(environment)?;
    match LocalCloud::stop(&docker, &directory).await? {
        true => say("the local cloud is gone: its environments, its registry and its network\n"),
        false => say(&format!("there is no local cloud in {}; nothing was removed\n", directory.display())),
    }
}

async fn data_plane(config: &str) -> Result<(), Fault> {
    local::plane::serve(local::container::read_config(config)?).await
}

fn say(text: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| Fault::new("could not write to standard output").because(error))
}

fn complain(fault: &Fault) {
    let mut text = format!("beanline: {}\n", fault.what());
    fault.causes().iter().for_each(|cause| text += &format!("  cause: {cause}\n"));
    fault.hints().iter().for_each(|hint| text += &format!("  help: {hint}\n"));
    // Nobody is left to tell when standard error is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
