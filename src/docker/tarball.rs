//! Tar files that are made while they are sent, so that no more than a few chunks of them are ever in memory.

use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Size of a chunk, in bytes.
const CHUNK: usize = 128 * 1024;

/// Chunks that wait for a slow daemon.
const CHUNKS_IN_FLIGHT: usize = 4;

/// What a tar file is written into.
pub(super) type TarBuilder = tar::Builder<Chunks>;

/// A tar file on its way. When writing fails, the stream ends in an error, and `writing` has the one to show.
pub(super) struct TarStream<S> {
    /// The file's bytes.
    pub(super) bytes: S,
    /// How writing ended. [`io::ErrorKind::BrokenPipe`] means only that nobody reads any more.
    pub(super) writing: JoinHandle<io::Result<()>>,
}

/// Runs `write` on a thread where it may block, and gives what it writes as a stream.
pub(super) fn tar_stream(
    write: impl FnOnce(&mut TarBuilder) -> io::Result<()> + Send + 'static,
) -> TarStream<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let failed = sender.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut builder = tar::Builder::new(Chunks { sender, waiting: BytesMut::with_capacity(CHUNK) });
        let written = write(&mut builder).and_then(|()| builder.into_inner()).and_then(|mut chunks| chunks.flush());
        if let Err(error) = &written {
            // Nobody may be reading any more; then nobody needs to know.
            let _ = failed.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        written
    });
    let bytes = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    TarStream { bytes: Box::pin(bytes), writing }
}

/// Gathers writes into chunks and sends them.
pub(super) struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    waiting: BytesMut,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.waiting, BytesMut::with_capacity(CHUNK)).freeze();
        if chunk.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Adds what is at `path` under `name`: a directory (without what is in it), a file or a symbolic link, owned by root,
/// with its permissions and its time. Sockets, pipes and devices are left out, as docker does with sockets.
pub(super) fn append(tar: &mut TarBuilder, path: &Path, name: &Path, facts: &Metadata) -> io::Result<()> {
    let kind = facts.file_type();
    let mut header = header(facts.permissions().mode() & 0o7777, facts.mtime().try_into().unwrap_or_default());
    if kind.is_dir() {
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, name, io::empty())
    } else if kind.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, name, std::fs::read_link(path)?)
    } else if kind.is_file() {
        append_exactly(tar, header, name, std::fs::File::open(path)?, facts.len())
    } else {
        Ok(())
    }
}

/// Adds a file of a known size. One that has grown since is cut, and one that has shrunk is an error: a tar file says
/// the size first.
pub(super) fn append_exactly(
    tar: &mut TarBuilder,
    mut header: tar::Header,
    name: &Path,
    from: impl Read,
    size: u64,
) -> io::Result<()> {
    struct Exactly<R>(R, u64);
    impl<R: Read> Read for Exactly<R> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let room = into.len().min(self.1.try_into().unwrap_or(usize::MAX));
            let got = self.0.read(&mut into[..room])?;
            if got == 0 && room > 0 {
                return Err(io::Error::other("it became shorter while it was read"));
            }
            self.1 -= got as u64;
            Ok(got)
        }
    }
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, name, Exactly(from, size))
}

/// Adds a directory that is on no disk.
pub(super) fn append_directory(tar: &mut TarBuilder, name: &str, mode: u32) -> io::Result<()> {
    let mut header = header(mode, 0);
    header.set_entry_type(tar::EntryType::Directory);
    tar.append_data(&mut header, name, io::empty())
}

/// Adds a file under a name and with permissions of our choice.
pub(super) fn append_file(tar: &mut TarBuilder, path: &Path, name: &str, mode: u32) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    append_exactly(tar, header(mode, 0), Path::new(name), file, size)
}

/// The header of an empty file of root's, with these permissions and this time in Unix seconds.
pub(super) fn header(mode: u32, mtime: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_failure_while_writing_ends_the_stream_with_an_error_and_is_kept() {
        let stream = tar_stream(|tar| append_file(tar, Path::new("/no/such/file"), "x", 0o644));
        assert!(stream.bytes.try_collect::<Vec<_>>().await.is_err());
        assert_eq!(stream.writing.await.unwrap().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error_and_one_that_grows_is_cut() {
        let write = |size| {
            move |tar: &mut TarBuilder| append_exactly(tar, header(0o644, 0), Path::new("x"), &b"four"[..], size)
        };
        assert!(tar_stream(write(5)).writing.await.unwrap().is_err());
        let whole = tar_stream(write(3));
        let tar: Vec<Bytes> = whole.bytes.try_collect().await.unwrap();
        assert_eq!(tar.concat().len(), 2048, "one header, one block, two empty blocks");
        assert!(whole.writing.await.unwrap().is_ok());
    }
}
