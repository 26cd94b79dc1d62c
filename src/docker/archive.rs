//! Images as a file: what `docker save` writes, kept by a CI from one run to the next so that a build finds its cache.

mod entries;
mod part;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use bollard::query_parameters::ImportImageOptions;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use super::Docker;
use super::again::failure;
use super::tarball::{TarBuilder, append_exactly, header, tar_stream};
use crate::fault::Fault;
use crate::image::Digest;
use entries::{Kind, each, is_list, plain};
use part::{Part, remove_left};

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

/// One image of the list, as far as loading needs it. Nothing else is kept: the daemon does not look at the case of a key,
/// so that any further one might be another list of names.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(skip_deserializing)]
    repo_tags: Vec<String>,
    layers: Vec<String>,
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
    /// Looks at a file without loading it; `None` when there is none. What a killed process left beside it goes.
    ///
    /// # Errors
    /// It cannot be read, is no archive of images, or none of its images carries a cache.
    pub async fn look(path: &Path) -> Result<Option<Self>, Fault> {
        let what = format!("could not use {}", path.display());
        let path = path.to_owned();
        let looked = tokio::task::spawn_blocking(move || {
            remove_left(&path);
            match look(&path) {
                Ok((images, bytes)) => Ok(Some(Self { path, images, bytes })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
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
        let (part, file) = Part::begin(path).map_err(unwritten)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut bytes = 0;
        let mut chunks = std::pin::pin!(self.client.export_images(names));
        while let Some(chunk) =
            chunks.try_next().await.map_err(|error| failure(&what(), error, u32::MAX).into_fault())?
        {
            file.write_all(&chunk).await.map_err(unwritten)?;
            bytes += chunk.len() as u64;
        }
        file.sync_all().await.map_err(unwritten)?;
        part.finish(path).map_err(unwritten)?;
        Ok(bytes)
    }
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The ids of an archive's images, and its size. Layers are passed over, not read.
fn look(path: &Path) -> io::Result<(Vec<Digest>, u64)> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut list = None;
    each(tar::Archive::new(&mut file).entries_with_seek()?, &mut |path, _, entry| {
        if path == Path::new(MANIFEST) {
            list = Some(text_of(entry)?);
        }
        Ok(())
    })?;
    let listed = parse(&list.ok_or_else(|| foreign("it is not what `docker save` writes"))?)?;
    if listed.is_empty() {
        return Err(foreign("there is no image in it"));
    }
    if listed.len() > MOST_IMAGES {
        return Err(foreign("there are too many images in it"));
    }
    let wanted = listed.iter().map(|image| plain(image.config.as_bytes())).collect::<io::Result<Vec<_>>>()?;
    let (mut found, mut carries_cache) = (HashMap::new(), false);
    file.rewind()?;
    each(tar::Archive::new(&mut file).entries_with_seek()?, &mut |path, kind, entry| {
        if kind == Kind::File && wanted.iter().any(|config| config == path) {
            let config = text_of(entry)?;
            carries_cache |= config.contains(INLINE_CACHE);
            found.insert(path.to_owned(), Digest::of(config.as_bytes()));
        }
        Ok(())
    })?;
    let images = wanted.iter().map(|config| found.get(config).cloned()).collect::<Option<Vec<_>>>();
    let images = images.ok_or_else(|| foreign("an image's configuration is missing"))?;
    if !carries_cache {
        return Err(foreign("no image in it carries a build cache"));
    }
    Ok((images, bytes))
}

fn parse(list: &str) -> io::Result<Vec<Listed>> {
    serde_json::from_str(list).map_err(|error| foreign(&format!("its list of images cannot be read: {error}")))
}

fn text_of(entry: &mut impl Read) -> io::Result<String> {
    let mut text = String::new();
    entry.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Copies an archive with other names in its list. Every entry is written anew, under the name that was looked at.
fn renamed(path: &Path, names: &[String], tar: &mut TarBuilder) -> io::Result<()> {
    let mut from = tar::Archive::new(BufReader::new(File::open(path)?));
    each(from.entries()?, &mut |path, kind, entry| {
        if path == Path::new(MANIFEST) {
            let list = named(&text_of(entry)?, names)?;
            return append_exactly(tar, header(0o644, 0), path, list.as_slice(), list.len() as u64);
        }
        if is_list(path) {
            return Ok(());
        }
        let mut header = header(if kind == Kind::File { 0o644 } else { 0o755 }, 0);
        header.set_entry_type(entry.header().entry_type());
        match kind {
            Kind::File => {
                let size = entry.size();
                append_exactly(tar, header, path, entry, size)
            }
            Kind::Directory => tar.append_data(&mut header, path, io::empty()),
            Kind::Link => {
                let target = entry.link_name()?.ok_or_else(|| foreign("a link in it leads nowhere"))?.into_owned();
                tar.append_link(&mut header, path, target)
            }
        }
    })
}

/// A list of images with these names, in its order.
fn named(list: &str, names: &[String]) -> io::Result<Vec<u8>> {
    let mut listed = parse(list)?;
    if listed.len() != names.len() {
        return Err(foreign("it has changed since it was looked at"));
    }
    listed.iter_mut().zip(names).for_each(|(image, name)| image.repo_tags = vec![name.clone()]);
    Ok(serde_json::to_vec(&listed)?)
}

#[cfg(test)]
mod tests;
