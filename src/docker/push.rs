//! A push: sent, followed layer by layer, and begun again where it broke off.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::errors::Error;
use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::Instant;

use super::again::{LONG_CALLS, passes};
use super::image::credentials;
use super::refusal::refused;
use super::wire::REGISTRY_AUTH;
use super::{ANSWER_LIMIT_SECONDS, Docker, Login};
use crate::fault::Fault;
use crate::image::{Digest, TaggedRef};

/// While layers travel a line is said no more often than this.
const EVERY: Duration = Duration::from_secs(5);

/// The longest line, or refusal, that is taken from the daemon, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// How daemons word that the registry no longer takes the login, or never did.
pub(super) const LOGIN_WORDS: [&str; 4] =
    ["no basic auth credentials", "unauthorized", "authentication required", "denied"];

/// A line of the daemon's answer (engine API, "Push an image").
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    /// The layer that it is about; the tag, in the last line.
    id: Option<String>,
    status: Option<String>,
    #[serde(rename = "progressDetail")]
    progress: Option<Progress>,
    error: Option<String>,
    aux: Option<Aux>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Progress {
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Aux {
    #[serde(rename = "Digest")]
    digest: Option<String>,
}

/// How far a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// Not begun.
    Waiting,
    /// Under way: bytes that were read, of all of them, before they are compressed.
    Travels(u64, u64),
    /// Sent by this push; its size before it was compressed.
    Pushed(u64),
    /// The registry had it, here or in another repository.
    Exists,
}

/// The layers of a push, by their short ids.
#[derive(Default)]
pub(super) struct Layers {
    layers: BTreeMap<String, Layer>,
    said: Option<Instant>,
}

impl Layers {
    /// Takes a line about a layer, and gives what is worth saying.
    fn take(&mut self, id: &str, status: &str, progress: &Progress, now: Instant) -> Option<String> {
        let known = self.layers.entry(id.to_owned()).or_insert(Layer::Waiting);
        let (current, total) = (progress.current.unwrap_or_default(), progress.total.unwrap_or_default());
        *known = match (status, *known) {
            ("Pushing", Layer::Travels(..) | Layer::Waiting) => Layer::Travels(current, total.max(current)),
            ("Pushed", Layer::Travels(_, total)) => Layer::Pushed(total),
            ("Pushed", Layer::Waiting) => Layer::Pushed(0),
            // An earlier attempt has sent it.
            (_, Layer::Pushed(total)) => Layer::Pushed(total),
            ("Layer already exists", _) => Layer::Exists,
            (mounted, _) if mounted.starts_with("Mounted from") => Layer::Exists,
            ("Preparing", Layer::Travels(..)) => Layer::Waiting,
            (_, known) => known,
        };
        let said = self.said.get_or_insert(now);
        if now.duration_since(*said) < EVERY {
            return None;
        }
        *said = now;
        Some(format!("pushing: {}", self.in_words()))
    }

    /// Whether the registry has taken something: then the login was good.
    fn have_moved(&self) -> bool {
        self.layers.values().any(|layer| matches!(layer, Layer::Pushed(_) | Layer::Exists))
    }

    pub(super) fn in_words(&self) -> String {
        let count = |is: fn(&Layer) -> bool| self.layers.values().filter(|layer| is(layer)).count();
        let (pushed, exist) =
            (count(|layer| matches!(layer, Layer::Pushed(_))), count(|layer| *layer == Layer::Exists));
        let (mut sent, mut all) = (0, 0);
        for layer in self.layers.values() {
            match layer {
                Layer::Travels(current, total) => {
                    (sent, all) = (u64::saturating_add(sent, *current), u64::saturating_add(all, *total));
                }
                Layer::Pushed(total) => {
                    (sent, all) = (u64::saturating_add(sent, *total), u64::saturating_add(all, *total));
                }
                Layer::Waiting | Layer::Exists => {}
            }
        }
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let size = match sent == all {
            true => megabytes(all),
            false => format!("{} of {}", megabytes(sent), megabytes(all)),
        };
        let layers = self.layers.len();
        let word = if layers == 1 { "layer" } else { "layers" };
        match pushed + exist == layers && pushed == 0 {
            true => format!("{layers} {word}, all there already"),
            false => format!("{pushed} of {layers} {word} sent ({size}), {exist} there already"),
        }
    }
}

impl Docker {
    /// Pushes an image under its name, and gives the digest that the registry has for it. A push that broke is begun
    /// again: what has arrived stays there. So is one whose login ran out under it.
    ///
    /// # Errors
    /// The registry refuses, or the daemon could not be asked.
    pub async fn push(
        &self,
        reference: &TaggedRef,
        login: Option<&Login>,
        line: &dyn Fn(String),
    ) -> Result<Digest, Fault> {
        let what = format!("could not push {reference}");
        let (mut attempt, mut layers) = (1, Layers::default());
        loop {
            let error = match self.push_once(reference, login, &mut layers, line).await {
                Ok(Some(digest)) => {
                    line(layers.in_words());
                    return Ok(digest);
                }
                Ok(None) => return Err(Fault::new(what).cause("the docker daemon's answer holds no digest")),
                Err(error) => error,
            };
            let may_pass = passes(&error, attempt) || layers.have_moved() && is_about_login(&error);
            if attempt == LONG_CALLS || !may_pass {
                return Err(denied(refused(what, error), reference));
            }
            let why = match &error {
                Error::DockerStreamError { error } => error.clone(),
                other => other.to_string(),
            };
            line(format!("the push broke off ({why}) and is begun again: what has arrived is not sent twice"));
            self.back(attempt).await?;
            attempt += 1;
        }
    }

    async fn push_once(
        &self,
        reference: &TaggedRef,
        login: Option<&Login>,
        layers: &mut Layers,
        line: &dyn Fn(String),
    ) -> Result<Option<Digest>, Error> {
        // Without a login the header is there nevertheless: the API wants it.
        let login = serde_json::to_vec(&login.map(credentials).unwrap_or_default())?;
        let request = Request::post(format!("/images/{}/push?tag={}", reference.repository, reference.tag))
            .header(REGISTRY_AUTH, URL_SAFE.encode(login))
            .body(Empty::<Bytes>::new())?;
        let limit = Duration::from_secs(ANSWER_LIMIT_SECONDS);
        let answer = tokio::time::timeout(limit, self.wire.clone().send(request)).await;
        let answer = answer.map_err(|_| Error::RequestTimeoutError)??;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        let (mut body, mut waiting, mut digest) = (answer.into_body(), BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            waiting.extend_from_slice(&data);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let text = waiting.split_to(end + 1);
                digest = take(&text, layers, line)?.or(digest);
            }
            if waiting.len() > LONGEST_LINE {
                return Err(Error::DockerStreamError { error: "the docker daemon sent a line without an end".into() });
            }
        }
        Ok(take(&waiting, layers, line)?.or(digest))
    }
}

/// Reads a line of the answer, and gives the digest if it is in it.
pub(super) fn take(text: &[u8], layers: &mut Layers, line: &dyn Fn(String)) -> Result<Option<Digest>, Error> {
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let said: Line = serde_json::from_slice(text)?;
    if let Some(error) = said.error {
        return Err(Error::DockerStreamError { error });
    }
    let status = said.status.unwrap_or_default();
    if let (Some(id), Some(progress)) = (&said.id, &said.progress) {
        layers.take(id, &status, progress, Instant::now()).into_iter().for_each(line);
    }
    let told = said.aux.and_then(|aux| Digest::parse(&aux.digest?).ok());
    Ok(told.or_else(|| pushed_digest(&status)))
}

/// The digest in a push's last line: `1.2: digest: sha256:… size: 941`.
fn pushed_digest(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once(": digest: ")?;
    Digest::parse(rest.split(' ').next()?).ok()
}

async fn refusal(answer: http::Response<Incoming>) -> Error {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let status_code = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LONGEST_LINE).collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let message = serde_json::from_slice::<Message>(&body).map(|told| told.message);
    let message = message.unwrap_or_else(|_| String::from_utf8_lossy(body.chunk()).trim().to_owned());
    Error::DockerResponseServerError { status_code, message }
}

fn is_about_login(error: &Error) -> bool {
    let Error::DockerStreamError { error } = error else { return false };
    LOGIN_WORDS.iter().any(|word| error.contains(word))
}

fn denied(fault: Fault, reference: &TaggedRef) -> Fault {
    if fault.causes().iter().any(|cause| LOGIN_WORDS.iter().any(|word| cause.contains(word))) {
        let host = reference.repository.host();
        return fault.hint(format!("check the login for {host}, and that it may push to this repository"));
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_read_from_the_last_line_of_a_push_alone() {
        let digest = Digest::of(b"x");
        assert_eq!(pushed_digest(&format!("v1: digest: {digest} size: 941")), Some(digest));
        assert_eq!(pushed_digest("Layer already exists"), None);
        assert_eq!(pushed_digest("v1: digest: sha256:12 size: 1"), None);
    }

    #[test]
    fn layers_are_counted_and_told_of_now_and_then() {
        let (mut layers, now) = (Layers::default(), Instant::now());
        let bytes = |current, total| Progress { current: Some(current), total: Some(total) };
        let none = Progress::default();
        for id in ["a", "b", "c"] {
            assert_eq!(layers.take(id, "Preparing", &none, now), None);
        }
        assert!(!layers.have_moved());
        assert_eq!(layers.take("a", "Layer already exists", &none, now), None);
        assert_eq!(layers.take("b", "Pushing", &bytes(1_000_000, 10_000_000), now), None);
        let later = now + EVERY;
        let told = layers.take("b", "Pushing", &bytes(2_500_000, 10_000_000), later);
        assert_eq!(told.as_deref(), Some("pushing: 0 of 3 layers sent (2.5 MB of 10.0 MB), 1 there already"));
        assert_eq!(layers.take("b", "Pushed", &none, later), None);
        assert_eq!(layers.take("c", "Mounted from team/base", &none, later), None);
        assert_eq!(layers.in_words(), "1 of 3 layers sent (10.0 MB), 2 there already");
        assert!(layers.have_moved());
    }

    #[test]
    fn an_error_in_the_answer_is_the_registrys_and_noise_is_no_progress() {
        let mut layers = Layers::default();
        let told = take(br#"{"errorDetail":{"message":"denied: no"},"error":"denied: no"}"#, &mut layers, &|_| ());
        assert!(told.is_err_and(|error| is_about_login(&error)));
        assert!(take(b"{", &mut layers, &|_| ()).is_err() && take(b" \r\n", &mut layers, &|_| ()).is_ok());
        let aux = format!(r#"{{"progressDetail":{{}},"aux":{{"Tag":"1","Digest":"{}","Size":9}}}}"#, Digest::of(b"x"));
        assert_eq!(take(aux.as_bytes(), &mut layers, &|_| ()).unwrap(), Some(Digest::of(b"x")));
    }
}
