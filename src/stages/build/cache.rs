//! `cache_archive`: the image with BuildKit's inline cache as a file, for CIs that keep files between runs.
//!
//! Inline cache knows the steps that led to its own image. What earlier stages did is not in it, so stages that have a
//! name are kept as images of their own beside it.

use std::path::{Path, PathBuf};

use chrono::Utc;

use super::dockerfile::Dockerfile;
use crate::docker::{Archive, BuildRequest, Docker, leaves_out};
use crate::engine::StageCx;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::{Plan, Recipe};
use crate::stages::sweep::Temporary;

/// Stages that are kept beside the image.
const MOST_STAGES: usize = 16;

/// A file that carries the cache.
pub struct Cache<'a> {
    path: &'a Path,
    /// The images that it held when the run began.
    held: Vec<Digest>,
    /// Their names on the daemon.
    names: Vec<String>,
}

impl<'a> Cache<'a> {
    /// Loads the file, if there is one. Whatever is wrong with it is a warning: the build only takes longer.
    pub async fn load(cx: &StageCx, docker: &Docker, plan: &Plan, path: &'a Path) -> Self {
        let mut cache = Self { path, held: Vec::new(), names: Vec::new() };
        if plan.build.recipe.no_cache {
            cx.note(format!("no_cache is set: {} is only written", path.display()));
            return cache;
        }
        let archive = match Archive::look(path).await {
            Ok(Some(archive)) => archive,
            Ok(None) => {
                cx.note(format!("there is no {} yet: it is written after the build", path.display()));
                return cache;
            }
            Err(fault) => {
                cx.warn(format!("{fault}; the build goes on without it"));
                return cache;
            }
        };
        let now = Utc::now().timestamp();
        let names: Vec<String> =
            (0..archive.images.len()).map(|n| Temporary::cached(plan, now, n).to_string()).collect();
        names.iter().for_each(|name| cx.cleanup(Undo::RemoveImage { reference: name.clone() }));
        cx.note(format!("loading the build cache of {} MB from {}", archive.bytes / 1_000_000, path.display()));
        match docker.load(&archive, names.clone()).await {
            Ok(()) => (cache.held, cache.names) = (archive.images, names),
            Err(fault) => cx.warn(format!("{fault}; the build goes on without it")),
        }
        cache
    }

    /// Makes a build use it. The image itself carries no cache: that differs from build to build, and a commit that is
    /// built again would be another image.
    pub fn apply(&self, request: &mut BuildRequest) {
        request.recipe.session.cache_from.extend(self.names.iter().cloned());
    }

    /// Writes the file anew, unless it holds the same images. Whatever goes wrong is a warning: the image is built.
    pub async fn save(&self, cx: &StageCx, docker: &Docker, plan: &Plan, request: &BuildRequest) {
        if let Err(fault) = self.write(cx, docker, plan, request).await {
            cx.warn(format!("{fault}; the next run finds the cache as it was before"));
        }
    }

    async fn write(&self, cx: &StageCx, docker: &Docker, plan: &Plan, request: &BuildRequest) -> Result<(), Fault> {
        let (mut names, mut images) = (Vec::new(), Vec::new());
        let now = Utc::now().timestamp();
        let targets =
            std::iter::once(request.recipe.target.clone()).chain(stages(&request.recipe).into_iter().map(Some));
        for (number, target) in targets.enumerate() {
            let reference = Temporary::staged(plan, now, number).to_string();
            cx.cleanup(Undo::RemoveImage { reference: reference.clone() });
            let mut recipe = Recipe { target, pull: false, no_cache: false, ..request.recipe.clone() };
            recipe.session.inline_cache = true;
            let kept = BuildRequest { recipe, labels: Vec::new(), reference: reference.clone(), ..request.clone() };
            // Every step of it has just been done or found in the cache.
            images.push(docker.build(&kept, &|_| ()).await?);
            names.push(reference);
        }
        let is_held = |image: &Digest| self.held.contains(image);
        if self.held.len() == images.len() && images.iter().all(is_held) {
            cx.note(format!("{} holds this cache already", self.path.display()));
            return Ok(());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let bytes = docker.save(&names, self.path).await?;
        cx.note(format!("the build cache of {} MB is in {}", bytes / 1_000_000, self.path.display()));
        Ok(())
    }
}

/// The named stages that lead to the image and do something.
fn stages(recipe: &Recipe) -> Vec<String> {
    named(&Dockerfile::at(&recipe.context.join(&recipe.dockerfile)), recipe.target.as_deref())
}

fn named(file: &Dockerfile, target: Option<&str>) -> Vec<String> {
    let needed = file.needed(target);
    let own = target.map_or(file.stages.len().checked_sub(1), |name| file.find(name));
    let runs = |number: &usize| file.stages[*number].instructions.iter().any(|one| one.keyword == "RUN");
    let others = needed.into_iter().filter(|number| Some(*number) != own).filter(runs);
    others.filter_map(|number| file.stages[number].name.clone()).take(MOST_STAGES).collect()
}

/// Why a file in the build context cannot carry the cache, if it cannot: it would be sent with the context, and be in the
/// image wherever a step copies everything.
///
/// # Errors
/// When nothing leaves it out of the context.
pub fn check(recipe: &Recipe, path: &Path) -> Result<(), Fault> {
    let absolute = |path: &Path| -> PathBuf {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        whole.canonicalize().unwrap_or(whole)
    };
    // The file may not be there yet, its directory neither.
    let (file, context) = (std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), absolute(&recipe.context));
    let there = file.ancestors().find(|part| part.exists()).map(|part| (absolute(part), part.to_owned()));
    let whole = match there {
        Some((real, part)) => real.join(file.strip_prefix(&part).unwrap_or(Path::new(""))),
        None => file,
    };
    let Ok(inside) = whole.strip_prefix(&context) else { return Ok(()) };
    // What a killed run left beside it is removed before anything is sent.
    if leaves_out(&recipe.context, &recipe.dockerfile, inside)? {
        return Ok(());
    }
    Err(Fault::new(format!("{} lies in the build context", path.display()))
        .cause("`cache_archive` would be sent to the engine as a part of its own image")
        .hint(format!("write `{}` into .dockerignore, or keep the file outside of `context`", inside.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_stages_that_do_something_are_kept() {
        let text = "FROM a AS empty\nFROM empty AS build\nRUN make\nFROM a\nRUN x\nFROM a AS unused\nRUN y\n\
                    FROM scratch AS app\nCOPY --from=build /x /\nCOPY --from=2 /y /\nRUN z\n";
        let file = Dockerfile::read(text);
        assert_eq!(named(&file, None), ["build"]);
        assert_eq!(named(&file, Some("build")), Vec::<String>::new());
    }

    #[test]
    fn a_file_in_the_context_must_be_left_out_of_it() {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(root.join("app")).unwrap();
        std::fs::write(root.join("app/Dockerfile"), "FROM scratch\n").unwrap();
        std::fs::write(root.join("app/.dockerignore"), ".cache\n*.whole\n").unwrap();
        let recipe = Recipe { context: root.join("app"), dockerfile: "Dockerfile".into(), ..Recipe::default() };
        let checked = ["cache.tar", "app/.cache/cache.tar", "app/sub/cache.tar", "app/cache.whole"]
            .map(|path| check(&recipe, &root.join(path)));
        std::fs::remove_dir_all(&root).unwrap();
        let [outside, ignored, sent, by_its_ending] = checked;
        assert!(outside.is_ok() && ignored.is_ok() && by_its_ending.is_ok());
        assert!(sent.unwrap_err().hints()[0].contains("`sub/cache.tar`"));
    }
}
