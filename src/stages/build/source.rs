//! The Dockerfile as a file of the repository: what is wrong with a build is said at its line.

use std::collections::BTreeSet;
use std::path::Path;

use super::dockerfile::Dockerfile;
use super::mounts::compare;
use super::place::line_of;
use crate::engine::StageCx;
use crate::engine::event::{Fact, Flaw};
use crate::fault::{Fault, Spot};
use crate::image::Repository;
use crate::inputs::Recipe;

/// Warnings about secrets that are worth a line each.
const MOST_WARNINGS: usize = 10;

/// A Dockerfile and where it stands.
#[derive(Debug)]
pub struct Source {
    file: Dockerfile,
    /// Relative to the repository.
    path: String,
}

impl Source {
    /// Reads the Dockerfile of a recipe. What cannot be read has no lines: why, BuildKit says.
    pub fn of(recipe: &Recipe) -> Self {
        let path = recipe.context.join(&recipe.dockerfile);
        Self { file: Dockerfile::at(&path), path: in_repository(&path) }
    }

    /// Compares the secrets that the build of a recipe mounts with those that it is given; those that it leaves unused.
    ///
    /// # Errors
    /// When a step requires one that is not given.
    pub fn check_secrets(&self, cx: &StageCx, recipe: &Recipe) -> Result<Vec<String>, Fault> {
        let given: Vec<&str> = recipe.secrets.iter().map(|(id, _)| id.as_str()).collect();
        let found = compare(&self.file, recipe.target.as_deref(), &given);
        for (line, warning) in found.warnings.iter().take(MOST_WARNINGS) {
            cx.warn(format!("{}:{line}: {warning}", self.path));
        }
        let Some((line, id)) = found.missing.first() else {
            return Ok(found.unused.into_iter().map(|id| id.to_string()).collect());
        };
        let what = format!("the build needs the secret {id}, which is not given");
        for (line, id) in &found.missing {
            let title = format!("the secret {id} is not given");
            let message = format!("The step mounts it with `required=true`; `build_secrets` has no {id}.");
            cx.fact(Fact::Flaw(Flaw { path: self.path.clone(), line: *line, title, message }));
        }
        Err(Fault::new(what).cause(format!("{}:{line} mounts it with `required=true`", self.path)).hint(
            format!("add a line to `build_secrets`: `{id}=VALUE`, `{id}` alone for the variable of that name, or")
                + &format!(" `id={id},src=PATH` for a file"),
        ))
    }

    /// The registries that its base images come from, where no argument is a part of their names.
    pub fn hosts(&self) -> Vec<String> {
        let bases = self.file.stages.iter().map(|stage| stage.base.as_str());
        let images = bases.filter(|base| !base.contains('$') && *base != "scratch" && self.file.find(base).is_none());
        let hosts = images.filter_map(|image| Some(Repository::of_image(image).ok()?.host().to_owned()));
        hosts.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// A failed build, with the line of the Dockerfile where it failed.
    pub fn located(&self, cx: &StageCx, fault: Fault) -> Fault {
        let line = match fault.spot() {
            Some(Spot::Line(line)) => Some(*line),
            Some(Spot::Step(step)) => line_of(&self.file, step),
            None => None,
        };
        let Some(line) = line else { return fault };
        let title = fault.causes().first().map_or_else(|| fault.what().to_owned(), Clone::clone);
        let message = match fault.last_lines() {
            [] => fault.to_string(),
            lines => lines.join("\n"),
        };
        cx.fact(Fact::Flaw(Flaw { path: self.path.clone(), line, title, message }));
        let at = format!("it stands at {}:{line}", self.path);
        fault.cause(at)
    }
}

/// A file's path relative to the repository it lies in; else to the directory that we run in.
fn in_repository(path: &Path) -> String {
    let whole = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    let root = whole.ancestors().skip(1).find(|directory| directory.join(".git").exists());
    let inside = [root, here.as_deref()].into_iter().flatten().find_map(|root| whole.strip_prefix(root).ok());
    inside.or_else(|| whole.file_name().map(Path::new)).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registries_of_base_images_are_told() {
        let text = "ARG A=x\nFROM quay.io/team/base:1 AS one\nFROM one\nFROM Debian\nFROM scratch\nFROM r.example.com/$A\n\
                    FROM debian:12\nFROM 127.0.0.1:5000/base@sha256:00\n";
        let source = Source { file: Dockerfile::read(text), path: String::new() };
        assert_eq!(source.hosts(), ["127.0.0.1:5000", "docker.io", "quay.io"]);
    }

    #[test]
    fn a_path_is_that_of_the_repository() {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(root.join("services/shop")).unwrap();
        std::fs::create_dir(root.join(".git")).unwrap();
        std::fs::write(root.join("services/shop/Dockerfile"), "FROM a\n").unwrap();
        let inside = in_repository(&root.join("services/../services/shop/Dockerfile"));
        let recipe =
            Recipe { context: root.join("services"), dockerfile: "shop/Dockerfile".into(), ..Recipe::default() };
        let source = Source::of(&recipe);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(inside, "services/shop/Dockerfile");
        assert_eq!((source.path.as_str(), source.file.stages.len()), ("services/shop/Dockerfile", 1));
        assert_eq!(in_repository(&root.join("away/Dockerfile")), "Dockerfile");
    }
    #[test]
    fn a_dockerfile_that_never_ends_has_no_lines() {
        let recipe = Recipe { context: "/dev".into(), dockerfile: "zero".into(), ..Recipe::default() };
        assert!(Source::of(&recipe).file.stages.is_empty());
    }
}
