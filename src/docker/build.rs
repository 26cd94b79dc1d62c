//! Building an image with the daemon's BuildKit: our session, which it gets the files from, and its progress. A daemon
//! without BuildKit gets a tar file ([`classic`]).

mod classic;
mod failure;

use std::io;

use bollard::models::{BuildInfo, BuildInfoAux};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use super::again::failure as failure_of;
use super::context::Context;
use super::progress::Progress;
use super::session::{Offer, Opening, Session, Shared};
use super::{Docker, Keys};
use crate::engine::retry::Failure;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::Recipe;
use classic::Output;
use failure::{failure, lost_the_session};

/// What a failed build could not do.
const WHAT: &str = "could not build the image";

/// The build argument that makes BuildKit write its cache into the image (moby's `builder-next`); it is in no history.
const INLINE_CACHE: &str = "BUILDKIT_INLINE_CACHE";

/// An image to be built.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// What it is made of.
    pub recipe: Recipe,
    /// Labels put on the image.
    pub labels: Vec<(String, String)>,
    /// Logins for the registries that base images and caches come from.
    pub keys: Keys,
    /// The hosts of those registries, as far as they are known: the classic builder wants all logins beforehand.
    pub hosts: Vec<String>,
    /// A temporary name that the image gets.
    pub reference: String,
}

impl BuildRequest {
    /// The query of `POST /build`; without a session it is the classic builder's. Secrets are not in it: the daemon asks
    /// for them over the session.
    fn query(&self, session: Option<&str>) -> Vec<(&'static str, String)> {
        let object = |pairs: &[(String, String)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            serde_json::Value::Object(pairs.collect()).to_string()
        };
        let recipe = &self.recipe;
        let mut args = recipe.args.clone();
        args.extend(recipe.session.inline_cache.then(|| (INLINE_CACHE.to_owned(), "1".to_owned())));
        let mut query = vec![
            ("dockerfile", recipe.dockerfile.clone()),
            ("t", self.reference.clone()),
            ("buildargs", object(&args)),
            ("labels", object(&self.labels)),
        ];
        match session {
            Some(session) => query.extend([
                ("version", "2".to_owned()),
                ("remote", "client-session".to_owned()),
                ("session", session.to_owned()),
                ("buildid", session.to_owned()),
            ]),
            // Without BuildKit, steps are containers; one that failed would stay.
            None => query.extend([("version", "1".to_owned()), ("forcerm", "1".to_owned())]),
        }
        if !recipe.session.cache_from.is_empty() {
            query.push(("cachefrom", serde_json::Value::from(recipe.session.cache_from.clone()).to_string()));
        }
        query.extend(recipe.target.clone().map(|target| ("target", target)));
        query.extend(recipe.platform.clone().map(|platform| ("platform", platform)));
        query.extend(recipe.pull.then(|| ("pull", "1".to_owned())));
        query.extend(recipe.no_cache.then(|| ("nocache", "1".to_owned())));
        query
    }
}

impl Docker {
    /// Builds an image and gives its id. One line when a step begins, its output, and one when it ends.
    ///
    /// Of the context only those files are sent that the daemon lacks. Dropped before its end, the build is stopped by
    /// the daemon. One whose connection or session broke is begun once more: the daemon's cache has what was done.
    ///
    /// # Errors
    /// The context cannot be sent, the daemon cannot build this, or the build failed: then the fault names the step and
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
        let context = Context::open(&request.recipe.context, &request.recipe.dockerfile)?;
        let shared = Shared::new(context.root().to_owned());
        let offer = Offer {
            secrets: request.recipe.secrets.clone(),
            keys: request.keys.clone(),
            agents: request.recipe.session.agents.clone(),
            directory: Some(shared.clone()),
        };
        let session = match Session::open(self, offer).await? {
            Opening::Open(session) => session,
            Opening::Refused(said) => return self.build_classic(request, context, &said, line).await,
        };
        let tell = || shared.take_sent().map_or((), line);
        let built = self.send_build(&request.query(Some(&session.id)), [], Empty::<Bytes>::new(), &tell, line).await;
        match shared.trouble() {
            // When a file cannot be read, that is the reason, whatever the daemon made of it.
            Some(trouble) if built.is_err() => {
                Err(Fault::new(WHAT).cause("the build context could not be sent").cause(trouble).into())
            }
            _ => built,
        }
    }

    async fn send_build<B>(
        &self,
        query: &[(&'static str, String)],
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: B,
        tell: &dyn Fn(),
        line: &dyn Fn(String),
    ) -> Result<Digest, Failure>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let query = serde_urlencoded::to_string(query).map_err(|error| Fault::new(WHAT).because(error))?;
        let head = headers
            .into_iter()
            .fold(Request::post(format!("/build?{query}")), |head, (name, value)| head.header(name, value));
        let request = head.body(body).map_err(|error| Fault::new(WHAT).because(error))?;
        let answer = self.wire.clone().send(request).await.map_err(|error| failure_of(WHAT, error, 1))?;
        if answer.status().is_success() {
            return follow(answer.into_body(), tell, line).await;
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

/// Reads the daemon's answer: one JSON value a line. `tell` may say something between them.
async fn follow(body: Incoming, tell: &dyn Fn(), line: &dyn Fn(String)) -> Result<Digest, Failure> {
    let broke = |err: io::Error| failure_of(WHAT, bollard::errors::Error::IOError { err }, 1);
    let mut answers = StreamReader::new(body.into_data_stream().map_err(io::Error::other)).lines();
    let mut progress = Progress::default();
    let mut classic = Output::default();
    let mut image = None;
    while let Some(text) = answers.next_line().await.map_err(broke)? {
        tell();
        if text.trim().is_empty() {
            continue;
        }
        let said: BuildInfo = serde_json::from_str(&text)
            .map_err(|error| Fault::new(WHAT).cause("the docker daemon's answer is not understood").because(error))?;
        if let Some(error) = said.error_detail.and_then(|detail| detail.message) {
            let fault = failure(progress.failed(), &error).lines(classic.last_lines());
            return Err(if lost_the_session(&error) { Failure::Passing(fault) } else { Failure::Final(fault) });
        }
        // Only the classic builder says anything this way.
        if let Some(text) = said.stream {
            classic.take(&text, line);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{Secret, SessionPlan};

    #[test]
    fn the_query_has_everything_but_the_secrets() {
        let request = BuildRequest {
            recipe: Recipe {
                dockerfile: "Dockerfile".into(),
                args: vec![("A".into(), "1 & 2".into())],
                secrets: vec![("token".into(), Secret::new("obvious-fake"))],
                target: Some("app".into()),
                platform: Some("linux/amd64".into()),
                pull: true,
                no_cache: true,
                ..Recipe::default()
            },
            labels: vec![("l".into(), "v".into())],
            reference: "tmp:1".into(),
            ..BuildRequest::default()
        };
        let query = serde_urlencoded::to_string(request.query(Some("s"))).unwrap();
        assert_eq!(
            query,
            "dockerfile=Dockerfile&t=tmp%3A1&buildargs=%7B%22A%22%3A%221+%26+2%22%7D&labels=%7B%22l%22%3A%22v%22%7D\
             &version=2&remote=client-session&session=s&buildid=s&target=app&platform=linux%2Famd64&pull=1&nocache=1"
        );
        let session = SessionPlan { cache_from: vec!["r/a:1".into()], inline_cache: true, ..SessionPlan::default() };
        let recipe = Recipe { session, ..Recipe::default() };
        let cached = BuildRequest { recipe, ..BuildRequest::default() };
        let query = serde_urlencoded::to_string(cached.query(None)).unwrap();
        assert_eq!(
            query,
            "dockerfile=&t=&buildargs=%7B%22BUILDKIT_INLINE_CACHE%22%3A%221%22%7D&labels=%7B%7D&version=1\
             &forcerm=1&cachefrom=%5B%22r%2Fa%3A1%22%5D"
        );
    }
}
