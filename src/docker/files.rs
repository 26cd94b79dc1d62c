//! Files into and out of containers, as tar files; no host path is ever mounted.

use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use bollard::errors::Error;
use bollard::query_parameters::{DownloadFromContainerOptions, UploadToContainerOptions};
use bytes::{Buf, Bytes};
use futures_util::TryStreamExt;
use tokio::sync::mpsc;

use super::Docker;
use super::again::{again, or_none};
use super::tarball::{TarBuilder, append_exactly, tar_stream};
use crate::fault::Fault;

/// Chunks of a download that wait for whoever reads it.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Whom files in a container belong to: the numbers of a user and of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user's.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

impl Docker {
    /// Unpacks a tar file into a directory of a container, running or not. The directory must be there.
    ///
    /// # Errors
    /// No such container or directory, or the daemon refuses.
    pub async fn put_tar(&self, container: &str, directory: &str, tar: Vec<u8>) -> Result<(), Fault> {
        let options = &UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
        let tar = &Bytes::from(tar);
        // Unpacked twice, it is there once.
        again(format!("could not copy files into {directory} of container {container}"), |_| async move {
            let body = bollard::body_full(tar.clone());
            self.client.upload_to_container(container, Some(options.clone()), body).await
        })
        .await
    }

    /// Copies files and directories into a directory of a container, running or not, under the names that they have
    /// relative to `root`, with the directories above them. They keep their permissions and get an owner; links stay
    /// links.
    ///
    /// They are read while they are sent: memory is bounded, however large they are.
    ///
    /// # Errors
    /// A path that is not there or cannot be read, no such container or directory, or the daemon refuses.
    pub async fn put_files(
        &self,
        container: &str,
        directory: &str,
        root: &Path,
        paths: &[PathBuf],
        owner: Owner,
    ) -> Result<(), Fault> {
        for path in paths {
            if let Err(error) = root.join(path).symlink_metadata() {
                return Err(Fault::new(format!("could not read {}", path.display()))
                    .because(error)
                    .hint("the paths are relative to the directory that Beanline runs in"));
            }
        }
        let what = &format!("could not copy files into {directory} of container {container}");
        let options = &UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
        let sent = again(what, |_| {
            let (root, paths) = (root.to_owned(), paths.to_vec());
            let tar = tar_stream(move |tar| paths.iter().try_for_each(|path| pack(tar, &root, path, owner)));
            async move {
                let body = bollard::body_try_stream(tar.bytes);
                let sent = self.client.upload_to_container(container, Some(options.clone()), body).await;
                match tar.writing.await {
                    // When a file cannot be read, that is the reason, whatever the daemon made of half a tar file.
                    Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Ok(Err(error)),
                    _ => sent.map(Ok),
                }
            }
        });
        sent.await?.map_err(|error| Fault::new(what).because(error))
    }

    /// Regular files at or below `path` of a container, running or not, with names that begin with the last part of
    /// `path`. `None` when there is no such path. `limit` bounds the tar file that carries them, in bytes.
    ///
    /// # Errors
    /// There is more than `limit`, or the daemon refuses.
    pub async fn get_files(&self, container: &str, path: &str, limit: u64) -> Result<Option<Files>, Fault> {
        let found = self.read_tar(container, path, move |tar| regular_files(tar.take(limit + 1)));
        let Some((bytes, files)) = found.await? else { return Ok(None) };
        let what = || Fault::new(format!("could not copy {path} out of container {container}"));
        match files {
            // Cut off there, it may have been broken.
            _ if bytes > limit => Err(what().cause(format!("it is larger than {limit} bytes"))),
            Ok(files) => Ok(Some(files)),
            Err(error) => Err(what().because(error)),
        }
    }

    /// Gives what is at or below `path` of a container, running or not, to `read` as a tar file, whose names begin with
    /// the last part of `path`, and passes on what that makes of it. `None` when there is no such path. It is read while
    /// it comes, on a thread where that may block; when the connection breaks, `read` begins anew.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn read_tar<T: Send + 'static>(
        &self,
        container: &str,
        path: &str,
        read: impl Fn(&mut dyn Read) -> T + Clone + Send + 'static,
    ) -> Result<Option<T>, Fault> {
        let what = format!("could not copy {path} out of container {container}");
        let options = &DownloadFromContainerOptions { path: path.to_owned() };
        again(&what, |_| {
            let read = read.clone();
            async move { or_none(self.read_once(container, options, read).await) }
        })
        .await
    }

    async fn read_once<T: Send + 'static>(
        &self,
        container: &str,
        options: &DownloadFromContainerOptions,
        read: impl FnOnce(&mut dyn Read) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let mut chunks = self.client.download_from_container(container, Some(options.clone()));
        // Asked for before anything is read: there may be no such path.
        let mut next = chunks.try_next().await?;
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let reading = tokio::task::spawn_blocking(move || read(&mut Coming { receiver, chunk: Bytes::new() }));
        while let Some(chunk) = next {
            // Whoever reads may have seen enough.
            if sender.send(chunk).await.is_err() {
                break;
            }
            next = chunks.try_next().await?;
        }
        drop(sender);
        reading.await.map_err(|error| Error::IOError { err: io::Error::other(error) })
    }
}

/// A download, read as it comes.
struct Coming {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Coming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

/// Names and contents.
type Files = Vec<(String, Vec<u8>)>;

/// How many bytes a tar file has, and the regular files in it.
fn regular_files(tar: impl Read) -> (u64, io::Result<Files>) {
    let mut tar = tar::Archive::new(Counted { from: tar, bytes: 0 });
    let files = tar.entries().and_then(|entries| {
        let mut files = Vec::new();
        for entry in entries {
            let mut entry = entry?;
            if entry.header().entry_type().is_file() {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                files.push((name, content));
            }
        }
        Ok(files)
    });
    let mut rest = tar.into_inner();
    let files = io::copy(&mut rest, &mut io::sink()).and(files);
    (rest.bytes, files)
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Adds a path to a tar file, and before it the directories that it lies in, so that they get the owner too.
fn pack(tar: &mut TarBuilder, root: &Path, path: &Path, owner: Owner) -> io::Result<()> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|path| is_named(path)).collect();
    above.reverse();
    for directory in above {
        append(tar, &root.join(directory), directory, &root.join(directory).metadata()?, owner)?;
    }
    pack_all(tar, &root.join(path), path, owner)
}

/// Whether a path is another one than `.`: the directory that files are copied into stays as it is.
fn is_named(path: &Path) -> bool {
    path.components().any(|part| matches!(part, Component::Normal(_)))
}

fn pack_all(tar: &mut TarBuilder, from: &Path, name: &Path, owner: Owner) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
    let facts = from.symlink_metadata().map_err(named)?;
    if is_named(name) {
        append(tar, from, name, &facts, owner).map_err(named)?;
    }
    if !facts.is_dir() {
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(from).map_err(named)?.collect::<io::Result<_>>().map_err(named)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    entries.into_iter().try_for_each(|entry| pack_all(tar, &entry.path(), &name.join(entry.file_name()), owner))
}

/// Adds a directory (without what is in it), a file or a symbolic link. Sockets, pipes and devices are left out.
fn append(tar: &mut TarBuilder, from: &Path, name: &Path, facts: &Metadata, owner: Owner) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(facts);
    header.set_uid(owner.uid.into());
    header.set_gid(owner.gid.into());
    let kind = facts.file_type();
    if kind.is_dir() {
        header.set_size(0);
        tar.append_data(&mut header, name, io::empty())
    } else if kind.is_symlink() {
        header.set_size(0);
        tar.append_link(&mut header, name, std::fs::read_link(from)?)
    } else if kind.is_file() {
        append_exactly(tar, header, name, std::fs::File::open(from)?, facts.len())
    } else {
        Ok(())
    }
}
