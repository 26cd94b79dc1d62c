//! The bundle: a `Dockerrun.aws.json` that names the image, in a zip that is the same bytes for the same image.

use std::io::{Cursor, Write};

use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::fault::Fault;
use crate::image::{Digest, TaggedRef};

/// What is uploaded.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The zip.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub digest: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Dockerrun<'a> {
    #[serde(rename = "AWSEBDockerrunVersion")]
    version: &'a str,
    image: Image<'a>,
    ports: [Port; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image<'a> {
    name: &'a str,
    /// Text, not a boolean: the platform's own examples compare text.
    update: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    container_port: u16,
}

/// The bundle of one image and nothing else. `Update` makes every node pull the name anew.
///
/// # Errors
/// When the zip cannot be written, which memory alone can cause.
pub fn of_image(image: &TaggedRef, port: u16) -> Result<Bundle, Fault> {
    let name = image.to_string();
    let run = Dockerrun {
        version: "1",
        image: Image { name: &name, update: "true" },
        ports: [Port { container_port: port }],
    };
    let text = serde_json::to_string_pretty(&run).map_err(|error| unwritable().because(error))?;
    zip_of(&mut [File { path: "Dockerrun.aws.json".into(), bytes: (text + "\n").into_bytes(), executable: false }])
}

/// A file in a bundle.
pub struct File {
    /// Its path from the bundle's root, with `/`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether nodes may execute it, as hooks must be.
    pub executable: bool,
}

/// Packs files, sorted, with fixed times and modes: same files, same bytes.
///
/// # Errors
/// When a file would make the nodes build: nothing but the tested image may run.
pub fn zip_of(files: &mut [File]) -> Result<Bundle, Fault> {
    refuse_builds(files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files.iter() {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if file.executable { 0o755 } else { 0o644 });
        zip.start_file(&file.path, options).map_err(|error| unwritable().because(error))?;
        zip.write_all(&file.bytes).map_err(|error| unwritable().because(error))?;
    }
    let bytes = zip.finish().map_err(|error| unwritable().because(error))?.into_inner();
    let digest = Digest::of(&bytes);
    Ok(Bundle { bytes, digest })
}

fn unwritable() -> Fault {
    Fault::new("could not pack the bundle")
}

/// The platform builds what a `Dockerfile` says whenever it sees one, and ignores the image.
fn refuse_builds(files: &[File]) -> Result<(), Fault> {
    let refused = |path: &str, why: &str| {
        Err(Fault::new(format!("the bundle's {path} {why}, so every node would build an image of its own"))
            .hint("leave it out of the bundle: nodes run the image that was built and tested once"))
    };
    for file in files {
        if file.path == "Dockerfile" {
            return refused(&file.path, "is there");
        }
        let compose = ["docker-compose.yml", "docker-compose.yaml"].contains(&file.path.as_str());
        if compose && String::from_utf8_lossy(&file.bytes).lines().any(is_build_key) {
            return refused(&file.path, "has `build:`");
        }
    }
    Ok(())
}

fn is_build_key(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim().trim_matches(['{', '"', '\'']);
    line.starts_with("build:") || line.starts_with("build\":") || line.contains(" build:") || line.contains("{build:")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::image::{Repository, Tag};

    fn image() -> TaggedRef {
        let repository = Repository::parse("127.0.0.1:5000/shop", "docker.io").unwrap();
        TaggedRef { repository, tag: Tag::parse("1.0").unwrap() }
    }

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), bytes: text.into(), executable: path.ends_with(".sh") }
    }

    #[test]
    fn the_same_image_gives_the_same_bytes_and_another_port_gives_others() {
        let bundle = of_image(&image(), 8080).unwrap();
        assert_eq!(bundle.bytes, of_image(&image(), 8080).unwrap().bytes);
        assert_ne!(bundle.digest, of_image(&image(), 80).unwrap().digest);
    }

    #[test]
    fn the_dockerrun_names_the_image_and_has_nodes_pull_it() {
        let bundle = of_image(&image(), 8080).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bundle.bytes)).unwrap();
        assert_eq!(zip.len(), 1);
        let mut entry = zip.by_name("Dockerrun.aws.json").unwrap();
        assert_eq!(entry.unix_mode().map(|mode| mode & 0o777), Some(0o644));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let wanted = serde_json::json!({
            "AWSEBDockerrunVersion": "1",
            "Image": { "Name": "127.0.0.1:5000/shop:1.0", "Update": "true" },
            "Ports": [ { "ContainerPort": 8080 } ],
        });
        assert_eq!(read, wanted);
    }

    #[test]
    fn the_order_of_files_does_not_matter_and_hooks_stay_executable() {
        let mut one = [file("b", "2"), file(".platform/hooks/predeploy/a.sh", "1")];
        let mut other = [file(".platform/hooks/predeploy/a.sh", "1"), file("b", "2")];
        let bundle = zip_of(&mut one).unwrap();
        assert_eq!(bundle.digest, zip_of(&mut other).unwrap().digest);
        let mut zip = zip::ZipArchive::new(Cursor::new(bundle.bytes)).unwrap();
        let mode = zip.by_name(".platform/hooks/predeploy/a.sh").unwrap().unix_mode();
        assert_eq!(mode.map(|mode| mode & 0o777), Some(0o755));
    }

    #[test]
    fn what_would_make_nodes_build_is_refused() {
        let compose = "services:\n  web:\n    build: .\n";
        for refused in [file("Dockerfile", "FROM x"), file("docker-compose.yml", compose)] {
            assert!(zip_of(&mut [refused]).is_err());
        }
        let image = "services:\n  web:\n    image: x # build: elsewhere\n";
        assert!(zip_of(&mut [file("docker-compose.yml", image)]).is_ok());
    }
}
