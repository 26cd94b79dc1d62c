//! Images as a file: what `docker save` writes, kept by a CI from one run to the next so that a build finds its cache.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use bollard::query_parameters::ImportImageOptions;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use super::Docker;
use super::again::failure;
use super::tarball::{TarBuilder, tar_stream};
use crate::fault::Fault;
use crate::image::Digest;

/// The list of images in an archive (moby, `image/tarexport`).
const MANIFEST: &str = "manifest.json";

/// Other lists, which would give names as well: the one before `manifest.json`, and those of an OCI layout.
const OTHER_LISTS: [&str; 3] = ["repositories", "index.json", "oci-layout"];

/// What BuildKit's inline cache is called in an image's configuration (moby/buildkit, `cache/remotecache/inline`).
const INLINE_CACHE: &str = "moby.buildkit.cache.v0";

/// We write fewer images into an archive.
const MOST_IMAGES: usize = 64;

/// No list and no configuration is longer, in bytes.
const LONGEST: u64 = 8 << 20;

/// One image of the list.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

/// An archive that was looked at.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// The ids of its images, in its order.
    pub images: Vec<Digest>,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Archive {
    /// Looks at a file without loading it; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read, is no archive of images, or none of its images carries a cache.
    pub async fn look(path: &Path) -> Result<Option<Self>, Fault> {
        let what = format!("could not use {}", path.display());
        let path = path.to_owned();
        let looked = tokio::task::spawn_blocking(move || match look(&path) {
            Ok((images, bytes)) => Ok(Some(Self { path, images, bytes })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        match looked.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(Fault::new(what).because(error)),
            Err(error) => Err(Fault::new(what).because(error)),
        }
    }
}

impl Docker {
    /// Loads an archive; its images get these names, in its order, whatever it calls them: a file must not be able to
    /// move a name on the daemon. Sent once, in chunks.
    ///
    /// # Errors
    /// The archive is damaged, or the daemon refuses it.
    pub async fn load(&self, archive: &Archive, names: Vec<String>) -> Result<(), Fault> {
        let what = || format!("could not load {}", archive.path.display());
        let path = archive.path.clone();
        let tar = tar_stream(move |tar| renamed(&path, &names, tar));
        let mut answers =
            self.client.import_image_stream(ImportImageOptions { quiet: true, ..Default::default() }, tar.bytes, None);
        let loaded = async {
            while answers.try_next().await?.is_some() {}
            Ok(())
        }
        .await;
        match tar.writing.await {
            // When the file is at fault, whatever the daemon made of half of it says less.
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(Fault::new(what()).because(error)),
            _ => loaded.map_err(|error| failure(&what(), error, u32::MAX).into_fault()),
        }
    }

    /// Writes images into one file, by their names. It takes the place of the old one when it is whole.
    ///
    /// # Errors
    /// The daemon has no such image, or the file cannot be written.
    pub async fn save(&self, names: &[&str], path: &Path) -> Result<u64, Fault> {
        let what = || format!("could not write {}", path.display());
        let unwritten = |error: io::Error| Fault::new(what()).because(error);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        tokio::fs::create_dir_all(directory).await.map_err(unwritten)?;
        let part = Part(directory.join(format!(".{}.part", uuid::Uuid::new_v4().simple())));
        let mut file = tokio::fs::File::create(&part.0).await.map_err(unwritten)?;
        let mut bytes = 0;
        let mut chunks = std::pin::pin!(self.client.export_images(names));
        while let Some(chunk) =
            chunks.try_next().await.map_err(|error| failure(&what(), error, u32::MAX).into_fault())?
        {
            file.write_all(&chunk).await.map_err(unwritten)?;
            bytes += chunk.len() as u64;
        }
        file.sync_all().await.map_err(unwritten)?;
        tokio::fs::rename(&part.0, path).await.map_err(unwritten)?;
        Ok(bytes)
    }
}

/// A file that is being written; what is left of it goes with the value.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Once it is whole it has another name, and there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The ids of an archive's images, and its size. Layers are passed over, not read.
fn look(path: &Path) -> io::Result<(Vec<Digest>, u64)> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let list = text_of(&mut file, MANIFEST)?.ok_or_else(|| foreign("it is not what `docker save` writes"))?;
    let listed = parse(&list)?;
    if listed.is_empty() {
        return Err(foreign("there is no image in it"));
    }
    if listed.len() > MOST_IMAGES {
        return Err(foreign("there are too many images in it"));
    }
    let mut images = Vec::new();
    let mut carries_cache = false;
    for image in &listed {
        let config =
            text_of(&mut file, &image.config)?.ok_or_else(|| foreign("an image's configuration is missing"))?;
        carries_cache |= config.contains(INLINE_CACHE);
        images.push(Digest::of(config.as_bytes()));
    }
    if !carries_cache {
        return Err(foreign("no image in it carries a build cache"));
    }
    Ok((images, bytes))
}

fn parse(list: &str) -> io::Result<Vec<Listed>> {
    serde_json::from_str(list).map_err(|error| foreign(&format!("its list of images cannot be read: {error}")))
}

/// The text of one file in an archive.
fn text_of(file: &mut File, name: &str) -> io::Result<Option<String>> {
    file.rewind()?;
    let mut tar = tar::Archive::new(file);
    for entry in tar.entries_with_seek()? {
        let entry = entry?;
        if entry.path_bytes().as_ref() == name.as_bytes() {
            let mut text = String::new();
            entry.take(LONGEST).read_to_string(&mut text)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Copies an archive with other names in its list.
fn renamed(path: &Path, names: &[String], tar: &mut TarBuilder) -> io::Result<()> {
    let mut from = tar::Archive::new(BufReader::new(File::open(path)?));
    for entry in from.entries()? {
        let mut entry = entry?;
        let name = entry.path_bytes().into_owned();
        if name == MANIFEST.as_bytes() {
            let mut list = String::new();
            entry.by_ref().take(LONGEST).read_to_string(&mut list)?;
            let mut listed = parse(&list)?;
            for (image, name) in listed.iter_mut().zip(names) {
                image.repo_tags = Some(vec![name.clone()]);
            }
            let list = serde_json::to_vec(&listed)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(list.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, MANIFEST, list.as_slice())?;
        } else if !OTHER_LISTS.iter().any(|list| name == list.as_bytes()) {
            let header = entry.header().clone();
            tar.append(&header, &mut entry)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is removed with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn with(bytes: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("beanline-test-{}.tar", uuid::Uuid::new_v4()));
            std::fs::write(&path, bytes).unwrap();
            Self(path)
        }

        /// An archive with these files.
        fn archive(files: &[(&str, &str)]) -> Self {
            let mut tar = tar::Builder::new(Vec::new());
            for (name, text) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, name, text.as_bytes()).unwrap();
            }
            Self::with(&tar.into_inner().unwrap())
        }

        async fn refusal(&self) -> String {
            Archive::look(&self.0).await.unwrap_err().to_string()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    const LIST: &str = r#"[{"Config":"a.json","RepoTags":["postgres:latest"],"Layers":["l/layer.tar"]}]"#;
    const CACHED: &str = r#"{"moby.buildkit.cache.v0":"e30="}"#;

    #[tokio::test]
    async fn what_is_no_archive_with_a_cache_is_refused_with_the_reason() {
        assert!(Archive::look(Path::new("/nowhere/cache.tar")).await.unwrap().is_none());
        let cases = [
            (Scratch::with(b"no tar file, but longer than nothing"), "failed to read"),
            (Scratch::with(b""), "not what `docker save` writes"),
            (Scratch::archive(&[("readme", "x")]), "not what `docker save` writes"),
            (Scratch::archive(&[("manifest.json", "{")]), "list of images"),
            (Scratch::archive(&[("manifest.json", "[]")]), "no image in it"),
            (Scratch::archive(&[("manifest.json", LIST)]), "configuration is missing"),
            (Scratch::archive(&[("a.json", "{}"), ("manifest.json", LIST)]), "carries a build cache"),
        ];
        for (file, part) in cases {
            let refusal = file.refusal().await;
            assert!(refusal.starts_with("could not use ") && refusal.contains(part), "{part}: {refusal}");
        }
    }

    #[tokio::test]
    async fn images_are_sent_under_our_names_alone() {
        let files = [("a.json", CACHED), ("index.json", "{}"), ("manifest.json", LIST), ("repositories", "{}")];
        let file = Scratch::archive(&files);
        let archive = Archive::look(&file.0).await.unwrap().unwrap();
        assert_eq!(archive.images, [Digest::of(CACHED.as_bytes())]);
        let path = file.0.clone();
        let tar = tar_stream(move |tar| renamed(&path, &["ours:1".to_owned()], tar));
        let chunks: Vec<bytes::Bytes> = tar.bytes.try_collect().await.unwrap();
        let sent = Scratch::with(&chunks.concat());
        let names: Vec<String> = tar::Archive::new(File::open(&sent.0).unwrap())
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a.json", "manifest.json"]);
        let list = text_of(&mut File::open(&sent.0).unwrap(), MANIFEST).unwrap().unwrap();
        assert!(
            list.contains(r#""RepoTags":["ours:1"]"#) && list.contains("l/layer.tar") && !list.contains("postgres")
        );
    }
}
