//! SSH agents and caches of a build, in the words that `docker buildx build` has for them.

use std::path::{Path, PathBuf};

use super::reading::{Field, Reading, field};
use crate::image::{Digest, Repository, Tag};
use crate::inputs::SessionPlan;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::values::lines;

/// The variable that names the agent of this session (ssh-agent(1)).
const AGENT: &str = "SSH_AUTH_SOCK";

/// What a build uses over its session.
pub(super) fn resolve(reading: &mut Reading<'_>) -> SessionPlan {
    let raw = reading.raw;
    let agents = agents(reading, field!(raw, build_ssh));
    let cache_from = reading.value(field!(raw, cache_from), cache_from).unwrap_or_default();
    let inline_cache = reading.value(field!(raw, cache_to), cache_to).unwrap_or_default();
    SessionPlan { agents, cache_from, inline_cache }
}

/// `default`, `ID` or `ID=/path/of/agent.sock`, one a line.
fn agents(reading: &mut Reading<'_>, field: Field<'_>) -> Vec<(String, PathBuf)> {
    let mut agents: Vec<(String, PathBuf)> = Vec::new();
    for line in lines(field.text.unwrap_or_default()).filter(|line| *line != "none") {
        match agent(line, reading.raw.variables().get(AGENT)) {
            Ok((id, _)) if agents.iter().any(|(known, _)| *known == id) => {
                reading.problem(field.name, Wrong::new(format!("has {} twice", shown(&id)), "write each id once"));
            }
            Ok(agent) => agents.push(agent),
            Err(wrong) => reading.problem(field.name, wrong),
        }
    }
    agents
}

fn agent(line: &str, ambient: Option<&String>) -> Result<(String, PathBuf), Wrong> {
    let (id, path) = match line.split_once('=') {
        Some((id, path)) => (id.trim(), Some(path.trim())),
        None => (line, None),
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if id.is_empty() || !id.bytes().all(legal) {
        let instead = "write default, ID, or ID=/path/of/agent.sock";
        return Err(Wrong::new(format!("has the line {}", shown(line)), instead));
    }
    let path = match path {
        Some(path) => path,
        None => ambient.filter(|path| !path.trim().is_empty()).map(String::as_str).ok_or_else(|| {
            Wrong::new(
                format!("asks for the SSH agent of this session, but {AGENT} is not set"),
                "start one (eval \"$(ssh-agent)\"; ssh-add KEY), and give the container its socket and the variable",
            )
        })?,
    };
    match Path::new(path).is_absolute() && !path.contains('\0') {
        true => Ok((id.to_owned(), path.into())),
        false => {
            Err(Wrong::new(format!("has the path {}", shown(path)), "write the absolute path of an agent's socket"))
        }
    }
}

/// Images by reference, or as `type=registry,ref=…`, one a line.
fn cache_from(text: &str) -> Result<Vec<String>, Wrong> {
    lines(text).filter(|line| *line != "none").map(cache_image).collect()
}

fn cache_image(line: &str) -> Result<String, Wrong> {
    let Some(attributes) = attributes(line)? else { return image(line) };
    let mut found = None;
    for (key, value) in attributes {
        match (key, value) {
            ("type", "registry") => {}
            ("type", kind) => return Err(no_such_cache(kind)),
            ("ref", value) => found = Some(image(value)?),
            (key, _) => {
                return Err(Wrong::new(
                    format!("has {}", shown(key)),
                    "write type=registry,ref=IMAGE, or the image alone",
                ));
            }
        }
    }
    found.ok_or_else(|| Wrong::new("names no image", "write type=registry,ref=IMAGE, or the image alone"))
}

/// `inline`, which is all that the engine's API can write.
fn cache_to(text: &str) -> Result<bool, Wrong> {
    let mut inline = false;
    for line in lines(text).filter(|line| *line != "none") {
        let kind = match attributes(line)? {
            None => line,
            Some(attributes) => match attributes.as_slice() {
                [("type", kind), more @ ..] if *kind != "inline" || more.is_empty() => kind,
                _ => return Err(Wrong::new(format!("is {}", shown(line)), "write inline")),
            },
        };
        match kind {
            "inline" => inline = true,
            "registry" => {
                return Err(Wrong::new(
                    "asks for a cache image of its own, which no docker engine writes when it builds through its API",
                    "write inline: the pushed image then carries its cache, and cache_from may name it",
                ));
            }
            kind => return Err(no_such_cache(kind)),
        }
    }
    Ok(inline)
}

/// Caches that live beside the client, which the engine cannot reach.
fn no_such_cache(kind: &str) -> Wrong {
    let wrong = match kind {
        "local" | "gha" | "s3" | "azblob" => {
            format!("is type={kind}, which the BuildKit inside a docker engine cannot use")
        }
        kind => format!("has the type {}", shown(kind)),
    };
    Wrong::new(wrong, "write cache_to=inline, and the pushed image in cache_from")
}

/// The `KEY=VALUE` parts of a line; `None` when it has none.
fn attributes(line: &str) -> Result<Option<Vec<(&str, &str)>>, Wrong> {
    if !line.contains('=') {
        return Ok(None);
    }
    let pairs = line.split(',').map(|part| part.trim().split_once('='));
    pairs
        .collect::<Option<_>>()
        .map(Some)
        .ok_or_else(|| Wrong::new(format!("has the line {}", shown(line)), "write KEY=VALUE parts, joined by commas"))
}

/// An image as docker reads its name: a repository, with a tag or a digest if need be.
fn image(text: &str) -> Result<String, Wrong> {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    };
    let wrong =
        |why: String| Wrong::new(format!("names the image {}, whose name {why}", shown(text)), "write an image");
    Repository::parse(repository, Repository::DOCKER_HUB).map_err(wrong)?;
    tag.map_or(Ok(()), |tag| Tag::parse(tag).map(drop)).map_err(|why| wrong(format!("has a tag that {why}")))?;
    digest.map_or(Ok(()), |digest| Digest::parse(digest).map(drop)).map_err(|why| wrong(format!("has none: {why}")))?;
    Ok(text.to_owned())
}

/// Why there is one context: the request that builds an image names no further ones (moby, `api/types/build`).
pub(super) fn no_contexts() -> Wrong {
    Wrong::new(
        "is set, but the engine's build API has no place for named contexts",
        "use `COPY --from=IMAGE`, or put the directories under one `context`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_the_sessions_own_or_a_socket() {
        let ambient = "/run/agent".to_owned();
        let read = |line: &str| agent(line, Some(&ambient));
        assert_eq!(read("default").unwrap(), ("default".into(), "/run/agent".into()));
        assert_eq!(read("git = /tmp/a.sock").unwrap(), ("git".into(), "/tmp/a.sock".into()));
        assert!(agent("default", None).unwrap_err().instead.contains("ssh-add"));
        for bad in ["", "=x", "a b", "git=agent.sock"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cache_is_read_from_images_and_written_inline() {
        let digest = Digest::of(b"x");
        let text = format!("r.example/a:1\ntype=registry,ref=127.0.0.1:5000/b\nnone\nc@{digest}");
        assert_eq!(cache_from(&text).unwrap(), ["r.example/a:1", "127.0.0.1:5000/b", &format!("c@{digest}")]);
        for bad in ["A", "a:!", "a@x", "type=registry", "type=local,src=/x", "type=gha", "ref=a,mode=max", "a,b=c"] {
            assert!(cache_from(bad).is_err(), "{bad}");
        }
        assert_eq!((cache_to("inline"), cache_to("type=inline"), cache_to("none")), (Ok(true), Ok(true), Ok(false)));
        for (bad, told) in [
            ("type=registry,ref=r/a", "no docker engine"),
            ("type=gha", "type=gha"),
            ("type=local,dest=/x", "type=local"),
            ("type=inline,mode=max", "type=inline,mode=max"),
            ("x", "`x`"),
        ] {
            let wrong = cache_to(bad).unwrap_err();
            assert!(wrong.wrong.contains(told) && wrong.instead.contains("inline"), "{bad}: {}", wrong.wrong);
        }
    }
}
