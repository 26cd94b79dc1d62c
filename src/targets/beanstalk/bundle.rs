//! The bundle: what names the image to the nodes and what goes along with it, in a zip that is the same bytes for the
//! same image and files.

mod compose;
mod directory;
mod dockerrun;
mod names;
#[cfg(test)]
mod tests;

use std::io::{Cursor, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::Secret;
use crate::report::mask::Mask;
pub use names::Names;

/// Names the image, unless a compose file does (developer guide, "Docker configuration").
const DOCKERRUN: &str = "Dockerrun.aws.json";

/// The only name under which the platform takes a compose file (developer guide, "Docker platform branch").
const COMPOSE: &str = "docker-compose.yml";

/// What goes to the nodes, not yet packed: the names in it depend on the version.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The template of [`DOCKERRUN`].
    dockerrun: Option<String>,
    /// The template of [`COMPOSE`].
    compose: Option<String>,
    /// What goes along as it is.
    files: Vec<File>,
}

/// What is uploaded.
#[derive(Clone, Debug)]
pub struct Zip {
    /// The zip.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub digest: Digest,
}

/// A file in a bundle.
#[derive(Clone, Debug)]
struct File {
    /// Its path from the bundle's root, with `/`.
    path: String,
    /// What is in it.
    bytes: Vec<u8>,
    /// Whether nodes may execute it, as hooks must be.
    executable: bool,
}

/// The object with the nodes' login for the image's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
}

impl Bundle {
    /// Reads the directory that a bundle is made of; without one, the image alone goes to the nodes.
    ///
    /// # Errors
    /// When it cannot be read, has something in it that a bundle cannot have, or would make the nodes build: nothing but
    /// the tested image may run.
    pub fn read(directory: Option<&Path>) -> Result<Self, Fault> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        let mut bundle = Self::default();
        for file in directory::read(directory)? {
            match file.path.as_str() {
                DOCKERRUN => bundle.dockerrun = Some(text(file)?),
                COMPOSE => bundle.compose = Some(text(file)?),
                _ => {
                    refuse(&file.path)?;
                    bundle.files.push(file);
                }
            }
        }
        Ok(bundle)
    }

    /// Refuses a bundle that a secret would get into, in any of the shapes in which it may be written.
    ///
    /// # Errors
    /// The file that holds one; the secret is not shown.
    pub fn refuse_secrets(&self, secrets: &[Secret]) -> Result<(), Fault> {
        let mask = Mask::new(secrets);
        let templates = [(DOCKERRUN, &self.dockerrun), (COMPOSE, &self.compose)];
        let templates = templates.into_iter().filter_map(|(path, text)| Some((path, text.as_ref()?.as_bytes())));
        let files = self.files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice()));
        match templates.chain(files).find(|(_, bytes)| mask.finds(bytes)) {
            None => Ok(()),
            Some((path, _)) => Err(Fault::new(format!("the bundle's {path} holds a secret of this run"))
                .cause("bundles stay in S3, and on every instance")
                .hint("take it out, and let the instances fetch it: environment_secrets takes names and ARNs")
                .hint("if it is no secret, write it as KEY=VALUE where a bare name stands now")),
        }
    }

    /// Whether the platform has `.ebextensions` to read before it can deploy this.
    pub fn has_extensions(&self) -> bool {
        self.files.iter().any(|file| file.path.starts_with(".ebextensions/") && file.path.ends_with(".config"))
    }

    /// Whether it names a login for the registry.
    pub fn has_login(&self) -> bool {
        self.dockerrun.as_deref().is_some_and(|template| template.contains("\"Authentication\""))
    }

    /// Fills the names in and packs: same bundle and names, same bytes. `login` is added where the files name none.
    ///
    /// # Errors
    /// When a template does not name this image, and it alone, or is none of its kind.
    pub fn pack(&self, names: &Names<'_>, login: Option<&Authentication>) -> Result<Zip, Fault> {
        let run = |text: String| File { path: DOCKERRUN.into(), bytes: text.into_bytes(), executable: false };
        let mut made = Vec::new();
        match (&self.compose, &self.dockerrun) {
            (None, template) => made.push(run(dockerrun::for_image(template.as_deref(), names, login)?)),
            (Some(template), beside) => {
                let text = compose::for_image(template, names)?;
                made.push(File { path: COMPOSE.into(), bytes: text.into_bytes(), executable: false });
                made.extend(dockerrun::beside_compose(beside.as_deref(), names, login)?.map(run));
            }
        }
        zip_of(self.files.iter().chain(&made).collect())
    }
}

fn text(file: File) -> Result<String, Fault> {
    let File { path, bytes, .. } = file;
    String::from_utf8(bytes).map_err(|_| Fault::new(format!("the bundle's {path} is not text in UTF-8")))
}

/// Refuses files by which the nodes would run something else than the tested image.
fn refuse(path: &str) -> Result<(), Fault> {
    // The names that docker looks for by itself ("How Compose works", "The Compose file").
    const OTHER_COMPOSE: [&str; 7] = [
        "docker-compose.yaml",
        "compose.yml",
        "compose.yaml",
        "docker-compose.override.yml",
        "docker-compose.override.yaml",
        "compose.override.yml",
        "compose.override.yaml",
    ];
    if path == "Dockerfile" {
        // The platform builds what it says whenever it sees one, and ignores the image.
        return Err(Fault::new("the bundle has a Dockerfile, so every node would build an image of its own")
            .hint("leave it out of the bundle: nodes run the image that was built and tested once"));
    }
    if OTHER_COMPOSE.contains(&path) {
        return Err(Fault::new(format!("the bundle has a {path}"))
            .cause(format!("the platform knows {COMPOSE} alone, and docker may take the other in its place"))
            .hint(format!("name it {COMPOSE}, with all that is needed in this one file")));
    }
    Ok(())
}

/// Packs files, sorted, with fixed times and modes.
fn zip_of(mut files: Vec<&File>) -> Result<Zip, Fault> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if file.executable { 0o755 } else { 0o644 });
        zip.start_file(&file.path, options).map_err(|error| unwritable().because(error))?;
        zip.write_all(&file.bytes).map_err(|error| unwritable().because(error))?;
    }
    let bytes = zip.finish().map_err(|error| unwritable().because(error))?.into_inner();
    let digest = Digest::of(&bytes);
    Ok(Zip { bytes, digest })
}

fn unwritable() -> Fault {
    Fault::new("could not pack the bundle")
}
