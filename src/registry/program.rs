//! Programs that keep logins: `docker-credential-NAME`, asked by docker's protocol (docker-credential-helpers, README).

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::docker::Login;
use crate::fault::Fault;
use crate::inputs::Secret;

/// Time for an answer: some ask a cloud for it.
const LIMIT: Duration = Duration::from_secs(30);

/// What a program says that keeps no login for a registry.
const NONE_KEPT: &str = "credentials not found";

/// What came of the question.
pub(super) enum Kept {
    /// A login for the registry.
    Login(Login),
    /// The program keeps none for it.
    Nothing,
    /// There is no such program here.
    NoProgram,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Asks `docker-credential-NAME` what it keeps for `server`.
///
/// # Errors
/// The program fails, or its answer is not understood. Nothing of the answer is shown.
pub(super) async fn ask(name: &str, server: &str, host: &str) -> Result<Kept, Fault> {
    let program = format!("docker-credential-{name}");
    let failed = |cause: String| {
        Fault::new(format!("could not log in to {host}"))
            .cause(cause)
            .hint(format!("log in anew by `docker login {host}`, or set registry_username and registry_password"))
    };
    // A path would lead to another program than the one that docker runs.
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Err(failed("docker's configuration names a program with letters that no program has".to_owned()));
    }
    let mut command = Command::new(&program);
    command.arg("get").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::NoProgram),
        spawned => spawned.map_err(|error| failed(format!("{program} could not be started: {error}")))?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that has ended without reading says so by its exit code.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = match tokio::time::timeout(LIMIT, child.wait_with_output()).await {
        Err(_) => return Err(failed(format!("{program} did not answer within 30 s"))),
        Ok(output) => output.map_err(|error| failed(format!("{program} could not be read: {error}")))?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
        return match said.contains(NONE_KEPT) {
            true => Ok(Kept::Nothing),
            // What it printed before it failed may be the secret.
            false => Err(failed(format!("{program} failed with {}", output.status))),
        };
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed(format!("{program} gave an answer that is not understood")))?;
    if answer.username.is_empty() || answer.secret.is_empty() {
        return Ok(Kept::Nothing);
    }
    let Answer { username, secret } = answer;
    Ok(Kept::Login(Login { host: host.to_owned(), username, password: Secret::new(secret) }))
}
