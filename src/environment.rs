//! What the process environment says besides the inputs: where the daemon is, and where state is kept.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::docker::DaemonEnv;
use crate::fault::Fault;

/// Variables of the process, as `main` read them.
pub type Environment = Vec<(OsString, OsString)>;

/// A variable's text; one that is not Unicode counts as absent.
pub fn variable(environment: &Environment, name: &str) -> Option<String> {
    let (_, value) = environment.iter().find(|(known, _)| known == name)?;
    value.to_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// How the environment says the daemon is reached.
pub fn daemon(environment: &Environment) -> DaemonEnv {
    DaemonEnv {
        docker_host: variable(environment, "DOCKER_HOST"),
        tls_verify: variable(environment, "DOCKER_TLS_VERIFY"),
        cert_path: variable(environment, "DOCKER_CERT_PATH"),
    }
}

/// Where the local cloud keeps its state: `$XDG_STATE_HOME/beanline/local`, else below `~/.local/state`
/// (XDG Base Directory Specification).
///
/// # Errors
/// When neither variable is set.
pub fn local_directory(environment: &Environment) -> Result<PathBuf, Fault> {
    let state = variable(environment, "XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(variable(environment, "HOME")?).join(".local/state")));
    let state = state.ok_or_else(|| {
        Fault::new("there is no place for the local cloud's state").hint("set HOME or XDG_STATE_HOME")
    })?;
    Ok(state.join("beanline/local"))
}
