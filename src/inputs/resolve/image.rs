//! The image: its name, and how it is built.

use std::path::{Component, Path, PathBuf};

use super::commit::Commit;
use super::lists::{Kind, pairs};
use super::reading::{Reading, field, word};
use super::{Needs, Surroundings, tags};
use super::{build_secrets, build_session, labels};
use crate::image::Repository;
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{BuildPlan, ImagePlan, Recipe, Secret, values};

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
    let tag = tags::tag(reading, commit, needs);
    let extra_tags = tags::extra_tags(reading, commit, needs, tag.as_ref());
    Some(ImagePlan { repository: repository?, tag: tag?, extra_tags })
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
