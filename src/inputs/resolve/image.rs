//! The image: its name, how it is built, and how to log in where it goes.

use std::path::{Component, Path, PathBuf};

use super::commit::Commit;
use super::lists::{Kind, pairs};
use super::reading::{Reading, field, word};
use super::{Needs, Surroundings};
use super::{build_secrets, build_session, labels};
use crate::image::{Repository, Tag};
use crate::inputs::docker_config::DockerConfig;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{BuildPlan, ImagePlan, Recipe, RegistryPlan, Secret, values};

/// The image's name. Without an image to push it gets a name that never leaves the daemon.
pub(super) fn resolve(
    reading: &mut Reading<'_>,
    commit: &Commit,
    needs: &Needs,
    default_host: &str,
    name: &str,
) -> Option<ImagePlan> {
    let parse = |text: &str| {
        Repository::parse(text, default_host).map_err(|instead| Wrong::new(format!("is {}", shown(text)), instead))
    };
    let asked = field!(reading.raw, image);
    let repository = match needs.image {
        true => reading.required(asked, "write the image's repository, such as registry.example.com/team/shop", parse),
        false if asked.text.is_some() => reading.value(asked, parse),
        false => Repository::parse(&format!("localhost/{}", slug(name)), default_host).ok(),
    };
    let tag = tag(reading, commit, needs);
    Some(ImagePlan { repository: repository?, tag: tag? })
}

/// The tag, its placeholders filled.
fn tag(reading: &mut Reading<'_>, commit: &Commit, needs: &Needs) -> Option<Tag> {
    let asked = field!(reading.raw, tag);
    let template = asked.text.unwrap_or("{sha}");
    let revision = match (&commit.revision, needs.image) {
        (None, false) => Some("untagged".to_owned()),
        (revision, _) => revision.clone(),
    };
    let short = revision.as_ref().map(|revision| revision.chars().take(7).collect::<String>());
    let branch = commit.ci.branch.as_deref().map(legal_in_a_tag);
    let mut text = template.to_owned();
    let known = [
        (
            "{sha}",
            revision,
            "revision",
            "the commit is unknown here: no CI tells it and the context has no readable .git",
        ),
        (
            "{short_sha}",
            short,
            "revision",
            "the commit is unknown here: no CI tells it and the context has no readable .git",
        ),
        ("{branch}", branch, "tag", "asks for {branch}, but no branch is known here"),
        ("{build}", commit.ci.build.clone(), "tag", "asks for {build}, but no CI tells a build number here"),
    ];
    let mut complete = true;
    for (placeholder, value, input, wrong) in known {
        if !template.contains(placeholder) {
            continue;
        }
        let Some(value) = value else {
            // A commit that was given and is malformed has been told already.
            if input == "tag" {
                reading.problem(input, Wrong::new(wrong, "use {sha}, or write the tag out"));
            } else if reading.raw.written("revision").is_none() {
                reading.problem(input, Wrong::new(format!("is missing; {wrong}"), "write the commit"));
            }
            complete = false;
            continue;
        };
        text = text.replace(placeholder, &value);
    }
    if !complete {
        return None;
    }
    match Tag::parse(&text) {
        Ok(tag) => Some(tag),
        Err(instead) => {
            let also = "; {sha} {short_sha} {branch} {build} are filled in";
            reading.problem("tag", Wrong::new(format!("gives {}", shown(&text)), instead + also));
            None
        }
    }
}

/// A branch's name with everything that a tag may not hold replaced by `-`.
fn legal_in_a_tag(branch: &str) -> String {
    let text: String =
        branch.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' }).collect();
    text.trim_start_matches(['.', '-']).chars().take(128).collect()
}

/// A name as a part of a repository's path.
fn slug(name: &str) -> String {
    let lower: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    Some(lower.trim_matches('-')).filter(|slug| !slug.is_empty()).unwrap_or("beanline").to_owned()
}

/// How the image is built.
pub(super) fn build(reading: &mut Reading<'_>, around: &Surroundings<'_>, commit: &Commit) -> BuildPlan {
    let raw = reading.raw;
    let words = word("build", &[("always", Some(false)), ("if-missing", Some(true))]);
    let if_missing = reading.value_or(field!(raw, build), false, words);
    let open = |pairs: Vec<(String, Secret)>| {
        pairs.into_iter().map(|(key, value)| (key, value.reveal().to_owned())).collect::<Vec<_>>()
    };
    let recipe = Recipe {
        context: reading.value_or(field!(raw, context), PathBuf::new(), directory),
        dockerfile: reading.value_or(field!(raw, dockerfile), String::new(), inside_the_context),
        target: reading.value(field!(raw, build_target), values::name(128, b"._")),
        args: open(pairs(reading, field!(raw, build_args), Kind::Public)),
        secrets: build_secrets::resolve(reading, around.read_file),
        platform: reading.value(field!(raw, build_platform), platform),
        pull: reading.value_or(field!(raw, pull), false, values::boolean),
        no_cache: reading.value_or(field!(raw, no_cache), false, values::boolean),
        session: build_session::resolve(reading),
    };
    let (labels, origin) = labels::resolve(reading, around, commit, if_missing);
    let cache_archive = reading.value(field!(raw, cache_archive), file);
    BuildPlan { if_missing, recipe, cache_archive, labels, origin }
}

fn directory(text: &str) -> Result<PathBuf, Wrong> {
    if text.contains("://") || text.starts_with("git@") {
        return Err(Wrong::new(format!("is {}", shown(text)), "check the repository out and write a directory"));
    }
    match text.contains('\0') {
        true => Err(Wrong::new("holds a NUL byte", "write a directory")),
        false => Ok(PathBuf::from(text)),
    }
}

fn file(text: &str) -> Result<PathBuf, Wrong> {
    match text.contains("://") || text.ends_with('/') || text.chars().any(char::is_control) {
        true => Err(Wrong::new(format!("is {}", shown(text)), "write the path of a file")),
        false => Ok(PathBuf::from(text)),
    }
}

pub(super) fn inside_the_context(text: &str) -> Result<String, Wrong> {
    let parts = Path::new(text).components();
    let inside = parts.clone().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside || text.chars().any(char::is_control) {
        let instead = "write its path inside the context, without `..`";
        return Err(Wrong::new(format!("is {}", shown(text)), instead));
    }
    // The daemon looks it up by its plain name.
    let parts: Vec<_> = parts.filter(|part| matches!(part, Component::Normal(_))).collect();
    Ok(parts.iter().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
}

fn platform(text: &str) -> Result<String, Wrong> {
    if text.contains(',') {
        return Err(Wrong::new(
            "names several platforms",
            "write one: the image that is tested is the one that is shipped",
        ));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let legal = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    match (2..=3).contains(&parts.len()) && parts.iter().all(legal) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("is {}", shown(text)), "write a platform such as linux/amd64")),
    }
}

/// How to log in to the registry.
pub(super) fn registry(reading: &mut Reading<'_>, around: &Surroundings<'_>) -> RegistryPlan {
    let raw = reading.raw;
    let username = reading.value(field!(raw, registry_username), values::line);
    let password = raw.texts.registry_password.as_deref();
    let login = match (username, password) {
        (Some(username), Some(password)) => Some((username, Secret::new(password))),
        (None, Some(_)) if raw.written("registry_username").is_none() => {
            reading.problem("registry_username", Wrong::new("is missing", "write the user of registry_password"));
            None
        }
        (Some(_), None) if raw.written("registry_password").is_none() => {
            reading.problem("registry_password", Wrong::new("is missing", "write the password of registry_username"));
            None
        }
        _ => None,
    };
    let docker_config = docker_config(raw.variables(), around);
    if let Some((source, text)) = &docker_config
        && let Err(wrong) = DockerConfig::parse(text.reveal())
    {
        let instead = "write what `docker login` writes: {\"auths\": {\"host\": {\"auth\": \"…\"}}}";
        reading.problem_with(source, Wrong::new(wrong, instead));
    }
    RegistryPlan {
        login,
        docker_config: docker_config.map(|(_, text)| text),
        create_repository: reading.value_or(field!(raw, create_repository), false, values::boolean),
    }
}

/// Docker's own configuration and where it was found: `DOCKER_AUTH_CONFIG`, else `config.json` in `DOCKER_CONFIG` or in
/// `.docker` at home.
pub(super) fn docker_config(
    variables: &std::collections::BTreeMap<String, String>,
    around: &Surroundings<'_>,
) -> Option<(String, Secret)> {
    let set = |name: &str| variables.get(name).filter(|text| !text.trim().is_empty());
    if let Some(text) = set("DOCKER_AUTH_CONFIG") {
        return Some(("DOCKER_AUTH_CONFIG".to_owned(), Secret::new(text)));
    }
    let directory = match set("DOCKER_CONFIG") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(set("HOME")?).join(".docker"),
    };
    let path = directory.join("config.json");
    let text = (around.read_file)(&path).ok().filter(|text| !text.trim().is_empty())?;
    Some((path.display().to_string(), Secret::new(text)))
}
