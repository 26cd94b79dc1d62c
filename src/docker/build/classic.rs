//! A daemon without BuildKit: the context as a tar file, to its classic builder.

use std::collections::VecDeque;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::TryStreamExt;
use http::header::CONTENT_TYPE;
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::{BuildRequest, WHAT};
use crate::docker::context::Context;
use crate::docker::image::is_docker_hub;
use crate::docker::output::Lines;
use crate::docker::progress::LINES_KEPT;
use crate::docker::tarball::tar_stream;
use crate::docker::{Docker, Login};
use crate::engine::retry::Failure;
use crate::fault::Fault;
use crate::image::Digest;

impl Docker {
    /// Builds with the classic builder; `said` is why there is no session.
    pub(super) async fn build_classic(
        &self,
        request: &BuildRequest,
        context: Context,
        said: &str,
        line: &dyn Fn(String),
    ) -> Result<Digest, Failure> {
        if let Some(needs) = what_needs_buildkit(request) {
            return Err(Fault::new(WHAT)
                .cause(format!("{needs} needs BuildKit, which the docker daemon does not offer"))
                .cause(said)
                .hint("use Docker Engine 18.09 or newer, and let `/session` pass where a proxy guards its socket")
                .into());
        }
        line(format!("the docker daemon does not offer BuildKit ({said}): its classic builder builds"));
        let tar = tar_stream(move |tar| context.write(tar));
        let body = StreamBody::new(Box::pin(tar.bytes.map_ok(Frame::data)));
        let mut known = Vec::new();
        for host in &request.hosts {
            known.extend(request.keys.find(host).await);
        }
        let headers = [(CONTENT_TYPE.as_str(), "application/x-tar".to_owned()), (LOGINS, logins(&known))];
        let built = self.send_build(&request.query(None), headers, body, &|| (), line).await;
        match tar.writing.await {
            // When a file cannot be read, that is the reason, whatever the daemon made of half a tar file.
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Fault::new(WHAT).cause("the build context could not be sent").because(error).into())
            }
            _ => built,
        }
    }
}

/// What the classic builder says: one text for steps and their output.
#[derive(Default)]
pub(super) struct Output {
    lines: Lines,
    kept: VecDeque<String>,
}

impl Output {
    /// Passes a piece on, line by line.
    pub(super) fn take(&mut self, text: &str, line: &dyn Fn(String)) {
        let kept = &mut self.kept;
        self.lines.take(text.as_bytes(), &mut |text| {
            if kept.len() == LINES_KEPT {
                kept.pop_front();
            }
            kept.push_back(text.clone());
            line(text);
        });
    }

    /// The last lines, for a failure.
    pub(super) fn last_lines(self) -> impl Iterator<Item = String> {
        self.kept.into_iter()
    }
}

/// The first input that the classic builder would leave aside without a word.
fn what_needs_buildkit(request: &BuildRequest) -> Option<&'static str> {
    let needs = [
        (!request.recipe.secrets.is_empty(), "`build_secrets`"),
        (!request.recipe.session.agents.is_empty(), "`build_ssh`"),
        (request.recipe.session.inline_cache, "`cache_to`"),
        (!request.recipe.session.cache_from.is_empty(), "`cache_from`"),
    ];
    needs.into_iter().find_map(|(is_set, name)| is_set.then_some(name))
}

/// The header with logins for base images (engine API, "Build an image").
const LOGINS: &str = "x-registry-config";

fn logins(logins: &[Login]) -> String {
    let one = |login: &Login| {
        let host = if is_docker_hub(&login.host) { "https://index.docker.io/v1/" } else { &login.host };
        let login = serde_json::json!({ "username": login.username, "password": login.password.reveal() });
        (host.to_owned(), login)
    };
    URL_SAFE.encode(serde_json::Value::Object(logins.iter().map(one).collect()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Secret;

    #[test]
    fn logins_travel_in_a_header_by_registry() {
        let login =
            |host: &str| Login { host: host.into(), username: "me".into(), password: Secret::new("obvious-fake") };
        let header = URL_SAFE.decode(logins(&[login("docker.io"), login("127.0.0.1:5000")])).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(read["https://index.docker.io/v1/"]["username"], "me");
        assert_eq!(read["127.0.0.1:5000"]["password"], "obvious-fake");
    }
}
