//! Building an image with the daemon's BuildKit: our session, our tar file, its progress.

use std::io;
use std::path::PathBuf;

use bollard::models::{BuildInfo, BuildInfoAux};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::again::failure as failure_of;
use super::context::Context;
use super::progress::{FailedStep, Progress};
use super::session::{Offer, Session};
use super::tarball::tar_stream;
use super::{Docker, Login};
use crate::engine::retry::Failure;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::Secret;

/// What a failed build could not do.
const WHAT: &str = "could not build the image";

/// An image to be built.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// Directory that is sent to the daemon.
    pub context: PathBuf,
    /// The Dockerfile's path inside the context.
    pub dockerfile: String,
    /// The stage to build; the last one, if absent.
    pub target: Option<String>,
    /// Build arguments.
    pub args: Vec<(String, String)>,
    /// Secrets that a `RUN --mount=type=secret` may read, by id.
    pub secrets: Vec<(String, Secret)>,
    /// Labels put on the image.
    pub labels: Vec<(String, String)>,
    /// Platform, such as `linux/amd64`; the daemon's, if absent.
    pub platform: Option<String>,
    /// Whether base images are asked for anew.
    pub pull: bool,
    /// Whether the cache is left aside.
    pub no_cache: bool,
    /// Credentials for the registries that base images come from.
    pub logins: Vec<Login>,
    /// A temporary name that the image gets.
    pub reference: String,
}

impl BuildRequest {
    /// The query of `POST /build`. Secrets are not in it: the daemon asks for them over the session.
    fn query(&self, session: &str) -> Vec<(&'static str, String)> {
        let object = |pairs: &[(String, String)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            serde_json::Value::Object(pairs.collect()).to_string()
        };
        let mut query = vec![
            ("version", "2".to_owned()),
            ("session", session.to_owned()),
            ("buildid", session.to_owned()),
            ("dockerfile", self.dockerfile.clone()),
            ("t", self.reference.clone()),
            ("buildargs", object(&self.args)),
            ("labels", object(&self.labels)),
        ];
        query.extend(self.target.clone().map(|target| ("target", target)));
        query.extend(self.platform.clone().map(|platform| ("platform", platform)));
        query.extend(self.pull.then(|| ("pull", "1".to_owned())));
        query.extend(self.no_cache.then(|| ("nocache", "1".to_owned())));
        query
    }
}

impl Docker {
    /// Builds an image and gives its id. One line when a step begins, its output, and one when it ends.
    ///
    /// The context is sent as it is read. Dropped before its end, the build is stopped by the daemon. One whose
    /// connection or session broke is begun once more: the daemon's cache has what was done.
    ///
    /// # Errors
    /// The context cannot be sent, the daemon has no BuildKit, or the build failed: then the fault names the step and
    /// has its last lines.
    pub async fn build(&self, request: &BuildRequest, line: &dyn Fn(String)) -> Result<Digest, Fault> {
        match self.build_once(request, line).await {
            Err(Failure::Passing(fault)) => line(format!("({fault}: building again)")),
            built => return built.map_err(Failure::into_fault),
        }
        self.back(1).await?;
        self.build_once(request, line).await.map_err(Failure::into_fault)
    }

    async fn build_once(&self, request: &BuildRequest, line: &dyn Fn(String)) -> Result<Digest, Failure> {
        let context = Context::open(&request.context, &request.dockerfile)?;
        let offer = Offer { secrets: request.secrets.clone(), logins: request.logins.clone() };
        let session = Session::open(self, offer).await?;
        let tar = tar_stream(move |tar| context.write(tar));
        let built = self.send_build(&request.query(&session.id), tar.bytes, line).await;
        match tar.writing.await {
            // When a file cannot be read, that is the reason, whatever the daemon made of half a tar file.
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Fault::new(WHAT).cause("the build context could not be sent").because(error).into())
            }
            _ => built,
        }
    }

    async fn send_build(
        &self,
        query: &[(&'static str, String)],
        tar: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        line: &dyn Fn(String),
    ) -> Result<Digest, Failure> {
        let query = serde_urlencoded::to_string(query).map_err(|error| Fault::new(WHAT).because(error))?;
        let request = Request::post(format!("/build?{query}"))
            .header(CONTENT_TYPE, "application/x-tar")
            .body(StreamBody::new(Box::pin(tar.map_ok(Frame::data))))
            .map_err(|error| Fault::new(WHAT).because(error))?;
        let answer = self.wire.clone().send(request).await.map_err(|error| failure_of(WHAT, error, 1))?;
        if answer.status().is_success() {
            return follow(answer.into_body(), line).await;
        }
        let status_code = answer.status().as_u16();
        let text = answer.into_body().collect().await.map_err(|error| failure_of(WHAT, error.into(), 1))?.to_bytes();
        let said = serde_json::from_slice::<serde_json::Value>(&text).ok();
        let message = said.as_ref().and_then(|said| said["message"].as_str()).map(str::to_owned);
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&text).into_owned());
        // Status 500 is how the daemon words what is wrong with the request.
        Err(failure_of(WHAT, bollard::errors::Error::DockerResponseServerError { status_code, message }, u32::MAX))
    }
}

/// Reads the daemon's answer: one JSON value a line.
async fn follow(body: Incoming, line: &dyn Fn(String)) -> Result<Digest, Failure> {
    let broke = |err: io::Error| failure_of(WHAT, bollard::errors::Error::IOError { err }, 1);
    let mut answers = StreamReader::new(body.into_data_stream().map_err(io::Error::other)).lines();
    let mut progress = Progress::default();
    let mut image = None;
    while let Some(text) = answers.next_line().await.map_err(broke)? {
        if text.trim().is_empty() {
            continue;
        }
        let said: BuildInfo = serde_json::from_str(&text)
            .map_err(|error| Fault::new(WHAT).cause("the docker daemon's answer is not understood").because(error))?;
        if let Some(error) = said.error_detail.and_then(|detail| detail.message) {
            let fault = failure(progress.failed(), &error);
            return Err(if lost_the_session(&error) { Failure::Passing(fault) } else { Failure::Final(fault) });
        }
        match said.aux {
            Some(BuildInfoAux::BuildKit(status)) => progress.take(status, line),
            Some(BuildInfoAux::Default(found)) => image = found.id.or(image),
            None => {}
        }
    }
    let image = image.ok_or_else(|| match progress.failed() {
        Some(step) => failure(Some(step), ""),
        None => Fault::new(WHAT).cause("the docker daemon ended its answer without an image"),
    })?;
    Digest::parse(&image).map_err(|why| Fault::new(WHAT).cause(why).into())
}

/// Whether BuildKit could not ask us any more (`session/manager.go`, and gRPC's status for a broken line).
fn lost_the_session(error: &str) -> bool {
    error.contains("no active session for") || error.contains("code = Unavailable")
}

/// Says what went wrong: in a step, with its last lines, or before the first one.
fn failure(step: Option<FailedStep>, error: &str) -> Fault {
    let fault = Fault::new(WHAT);
    let reason = reason(error);
    let Some(step) = step else { return hinted(fault.cause(reason), error) };
    if let Some(errand) = step.name.strip_prefix("[internal] ") {
        return hinted(fault.cause(format!("could not {errand}")).cause(reason), error);
    }
    let fault = match exit_code(&step.error).or_else(|| exit_code(error)) {
        Some(code) => fault.cause(format!("step {} ended with exit code {code}", step.name)),
        None => fault.cause(format!("step {} failed", step.name)).cause(reason),
    };
    hinted(fault.lines(step.lines), error)
}

/// BuildKit's last word without the layers it came through.
fn reason(error: &str) -> String {
    const LAYERS: [&str; 6] = [
        "failed to solve with frontend dockerfile.v0: ",
        "failed to solve: ",
        "failed to create LLB definition: ",
        "failed to build LLB: ",
        "rpc error: code = Unknown desc = ",
        "failed to compute cache key: ",
    ];
    let mut error = error.trim();
    while let Some(inner) = LAYERS.iter().find_map(|layer| error.strip_prefix(layer)) {
        error = inner;
    }
    // An error and its code say the same.
    let error = error.strip_suffix(": not found").filter(|error| error.ends_with("not found")).unwrap_or(error);
    let lower = error.to_ascii_lowercase();
    match lower.find("parse error line ").or_else(|| lower.find("parse error on line ")) {
        Some(at) => {
            format!("the Dockerfile does not parse: {}", error[at + "parse error ".len()..].trim_start_matches("on "))
        }
        None => error.to_owned(),
    }
}

fn exit_code(error: &str) -> Option<i32> {
    let (_, rest) = error.rsplit_once("exit code: ")?;
    rest.trim().parse().ok()
}

fn hinted(fault: Fault, error: &str) -> Fault {
    let has = |text: &str| error.contains(text);
    if has("target stage") && has("could not be found") {
        return fault.hint("set `build_target` to the name of a stage in the Dockerfile (`FROM … AS name`)");
    }
    if has("secret") && has("not found") {
        return fault.hint("give the secret in `build_secrets`, as a line `id=value`");
    }
    if ["pull access denied", "insufficient_scope", "no basic auth credentials", "401 Unauthorized"]
        .iter()
        .any(|text| has(text))
    {
        return fault.hint("check the base image's name, and the login for its registry");
    }
    if ["no such host", "connection refused", "i/o timeout"].iter().any(|text| has(text)) {
        return fault.hint("check the image's name, and that the docker daemon can reach the registry");
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_has_everything_but_the_secrets() {
        let request = BuildRequest {
            dockerfile: "Dockerfile".into(),
            args: vec![("A".into(), "1 & 2".into())],
            secrets: vec![("token".into(), Secret::new("obvious-fake"))],
            labels: vec![("l".into(), "v".into())],
            target: Some("app".into()),
            platform: Some("linux/amd64".into()),
            pull: true,
            no_cache: true,
            reference: "tmp:1".into(),
            ..BuildRequest::default()
        };
        let query = serde_urlencoded::to_string(request.query("s")).unwrap();
        assert_eq!(
            query,
            "version=2&session=s&buildid=s&dockerfile=Dockerfile&t=tmp%3A1&buildargs=%7B%22A%22%3A%221+%26+2%22%7D\
             &labels=%7B%22l%22%3A%22v%22%7D&target=app&platform=linux%2Famd64&pull=1&nocache=1"
        );
        assert_eq!(BuildRequest::default().query("s").len(), 7);
    }

    #[test]
    fn a_step_that_fails_is_named_with_its_exit_code_and_its_last_lines() {
        for error in [
            "executor failed running [/bin/sh -c exit 3]: exit code: 3",
            "failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3",
        ] {
            let step = FailedStep { name: "[2/2] RUN exit 3".into(), error: error.into(), lines: vec!["boom".into()] };
            let fault = failure(Some(step), error);
            assert_eq!(fault.to_string(), "could not build the image: step [2/2] RUN exit 3 ended with exit code 3");
            assert_eq!(fault.last_lines(), ["boom"]);
        }
    }

    #[test]
    fn what_is_wrong_with_the_dockerfile_is_said_without_the_layers() {
        let cases = [
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error \
                 line 2: unknown instruction: RUNN",
                "the Dockerfile does not parse: line 2: unknown instruction: RUNN",
            ),
            (
                "dockerfile parse error on line 3: unknown instruction: X",
                "the Dockerfile does not parse: line 3: unknown instruction: X",
            ),
            ("failed to solve: rpc error: code = Unknown desc = x: not found", "x: not found"),
            ("secret x not found: not found", "secret x not found"),
        ];
        for (error, expected) in cases {
            assert_eq!(reason(error), expected);
        }
        let fault = failure(None, "failed to solve: target stage \"x\" could not be found");
        assert!(fault.hints()[0].contains("build_target"));
    }
}
