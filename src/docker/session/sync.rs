//! The build context, as BuildKit asks for it: what there is, then the bytes of those files that it lacks
//! (`moby.filesync.v1.FileSync`, and fsutil's packets).
//!
//! We tell of each entry in a STAT packet and end with an empty one. The daemon compares with the copy it kept, and asks
//! for files by their place in that order with REQ; each is answered by DATA packets, of which an empty one is the last.
//! Its FIN ends it, and is answered. Memory is bounded: packets wait in short queues, and of an entry little more than
//! its name is kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSync;
use futures_util::stream::{Stream, poll_fn, select};
use nix::libc::{ELOOP, O_NOFOLLOW, O_NONBLOCK};
use tokio::sync::{Semaphore, mpsc};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::entries::{Entries, Kind};
use super::stats::{HardLinks, stat_of, utf8};
use super::wanted::Wanted;
use crate::docker::context::walk::{about, walk};

/// Bytes of a file in one packet.
const CHUNK: usize = 128 * 1024;

/// Packets with bytes of files that wait for a slow daemon.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Packets about entries that wait for a slow daemon.
const STATS_IN_FLIGHT: usize = 256;

/// Files that are read at once.
const READERS: usize = 2;

/// A directory that the daemon may ask for, and what has come of it.
#[derive(Debug)]
pub(in crate::docker) struct Shared {
    root: PathBuf,
    news: Mutex<News>,
}

/// What is worth telling.
#[derive(Debug, Default)]
struct News {
    /// How the context was sent, until it was told.
    sent: Option<String>,
    /// What could not be read.
    trouble: Option<String>,
}

impl Shared {
    /// Offers a directory, whose path has no symbolic link in it.
    pub(in crate::docker) fn new(root: PathBuf) -> Arc<Self> {
        Arc::new(Self { root, news: Mutex::default() })
    }

    /// Where it is.
    pub(in crate::docker) fn root(&self) -> &Path {
        &self.root
    }

    /// A sentence about what was sent, once.
    pub(in crate::docker) fn take_sent(&self) -> Option<String> {
        self.news().sent.take()
    }

    /// What could not be read, if something could not.
    pub(in crate::docker) fn trouble(&self) -> Option<String> {
        self.news().trouble.clone()
    }

    fn news(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first trouble, and gives the packet that ends the copying on the daemon's side.
    fn troubled(&self, error: &io::Error) -> Packet {
        let text = error.to_string();
        self.news().trouble.get_or_insert_with(|| text.clone());
        Packet { r#type: PacketType::PacketErr.into(), data: text.into_bytes(), ..Packet::default() }
    }
}

/// What is sent into a stream of packets.
type Sender = mpsc::Sender<Result<Packet, Status>>;

/// One copying.
struct Copying {
    shared: Arc<Shared>,
    wanted: Wanted,
    entries: Mutex<Entries>,
}

#[tonic::async_trait]
impl FileSync for super::Offer {
    type DiffCopyStream = BoxStream<Packet>;
    type TarStreamStream = BoxStream<Packet>;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Result<Response<Self::DiffCopyStream>, Status> {
        let wanted = Wanted::read(request.metadata())?;
        // "Not found" makes BuildKit say that the client does not offer it.
        let shared = self
            .directory
            .clone()
            .filter(|_| wanted.is_known())
            .ok_or_else(|| Status::not_found(format!("there is no directory {}", wanted.directory)))?;
        let copying = Arc::new(Copying { shared, wanted, entries: Mutex::default() });
        let (stats, told) = mpsc::channel(STATS_IN_FLIGHT);
        let (data, sent) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let telling = copying.clone();
        tokio::task::spawn_blocking(move || telling.tell(&stats));
        tokio::spawn(copying.answer(request.into_inner(), data));
        Ok(Response::new(Box::pin(select(stream(told), stream(sent)))))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("files are copied by DiffCopy"))
    }
}

fn stream<T>(mut receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> {
    poll_fn(move |cx| receiver.poll_recv(cx))
}

impl Copying {
    /// Tells what there is, on a thread where it may block.
    fn tell(&self, to: &Sender) {
        let send = |packet| to.blocking_send(Ok(packet)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe));
        let mut links = HardLinks::default();
        let told = self.wanted.selection(&self.shared.root).and_then(|selection| {
            walk(&self.shared.root, &selection, &mut |path, facts| {
                let disk = self.shared.root.join(path);
                let named = |error| about(&disk, error);
                let Some(mut stat) = stat_of(&disk, path, facts).map_err(named)? else { return Ok(()) };
                let mut entries = self.entries();
                let number = entries.add(path, Kind::of(facts));
                let number = number.ok_or_else(|| io::Error::other("there are too many files"))?;
                if let Some(first) = links.first(facts, number).and_then(|first| entries.path(first)) {
                    stat.linkname = utf8(&first).map_err(named)?;
                    stat.size = 0;
                }
                drop(entries);
                send(Packet { r#type: PacketType::PacketStat.into(), stat: Some(stat), ..Packet::default() })
            })
        });
        let end = match told {
            Ok(()) => Packet { r#type: PacketType::PacketStat.into(), ..Packet::default() },
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Err(error) => self.shared.troubled(&error),
        };
        // Who does not listen any more needs no end.
        let _ = send(end);
    }

    /// Sends the files that the daemon asks for, until it has all.
    async fn answer(self: Arc<Self>, mut asked: Streaming<Packet>, to: Sender) {
        // Small messages that nobody takes are what HTTP/2 servers shut a line for, so all are taken at once; of each a
        // number is kept, and the daemon asks once for a file.
        let (ids, queue) = mpsc::unbounded_channel();
        tokio::spawn(self.clone().send_files(queue, to.clone()));
        let mut files = 0;
        while let Ok(Some(packet)) = asked.message().await {
            match packet.r#type() {
                PacketType::PacketReq => {
                    files += 1;
                    if ids.send(packet.id).is_err() {
                        return;
                    }
                }
                PacketType::PacketFin => {
                    if self.wanted.is_context() {
                        let all = self.entries().len();
                        self.shared.news().sent =
                            Some(format!("build context: {files} of {all} files and directories sent"));
                    }
                    // The daemon has all it wants, and may have gone.
                    let fin = Packet { r#type: PacketType::PacketFin.into(), ..Packet::default() };
                    let _ = to.send(Ok(fin)).await;
                    return;
                }
                PacketType::PacketErr => {
                    tracing::debug!(error = %String::from_utf8_lossy(&packet.data), "the daemon could not take the files");
                    return;
                }
                PacketType::PacketStat | PacketType::PacketData => {}
            }
        }
    }

    /// Sends what was asked for, a few files at once.
    async fn send_files(self: Arc<Self>, mut ids: mpsc::UnboundedReceiver<u32>, to: Sender) {
        let readers = Arc::new(Semaphore::new(READERS));
        while let Some(id) = ids.recv().await {
            let Ok(permit) = readers.clone().acquire_owned().await else { return };
            if to.is_closed() {
                return;
            }
            let (copying, to) = (self.clone(), to.clone());
            tokio::task::spawn_blocking(move || {
                copying.send_file(id, &to);
                drop(permit);
            });
        }
    }

    fn send_file(&self, id: u32, to: &Sender) {
        let send = |data| {
            let packet = Packet { r#type: PacketType::PacketData.into(), id, data, ..Packet::default() };
            to.blocking_send(Ok(packet)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        };
        let path = self.entries().file(id);
        let sent = match path {
            Some(path) => open_inside(&self.shared.root, &path)
                .and_then(|file| send_bytes(file, &send))
                .map_err(|error| about(&self.shared.root.join(path), error)),
            None => Err(io::Error::other(format!("the daemon asked for file {id}, and there is none"))),
        };
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            // Who does not listen any more needs no reason.
            let _ = to.blocking_send(Ok(self.shared.troubled(&error)));
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a file of a directory, and nothing else: since it was told of, it or a directory on the way to it may have become
/// a link that leads anywhere, or a pipe that nobody writes into.
fn open_inside(root: &Path, path: &Path) -> io::Result<File> {
    let changed = || io::Error::other("it is not the file any more that it was when the build began");
    let opened = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(root.join(path));
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(ELOOP) => changed(),
        _ => error,
    })?;
    let mut above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    let is_inside = above.all(|above| root.join(above).symlink_metadata().is_ok_and(|facts| facts.is_dir()));
    if is_inside && file.metadata()?.is_file() { Ok(file) } else { Err(changed()) }
}

/// Sends a file as it is, up to the length it has now: one that is written to all the time has an end as well. One that
/// becomes shorter meanwhile is an error, since half of it would be in the image.
fn send_bytes(mut file: File, send: &dyn Fn(Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    while left > 0 {
        let room = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let mut chunk = Vec::with_capacity(room);
        let got = file.by_ref().take(room as u64).read_to_end(&mut chunk)?;
        if got == 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        left -= got as u64;
        send(chunk)?;
    }
    send(Vec::new())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A context with a secret beside it.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
            std::fs::create_dir_all(root.join("context/d")).unwrap();
            std::fs::write(root.join("secret"), "not for you").unwrap();
            for file in ["a", "d/b", "e"] {
                std::fs::write(root.join("context").join(file), "bytes").unwrap();
            }
            symlink("../secret", root.join("context/link")).unwrap();
            Self(root)
        }

        /// What is answered when the daemon asks for an entry: its bytes, or why not.
        fn answer(&self, copying: &Copying, number: u32) -> Result<String, String> {
            let (to, mut packets) = mpsc::channel(8);
            copying.send_file(number, &to);
            drop(to);
            let mut bytes = Vec::new();
            while let Some(Ok(packet)) = packets.blocking_recv() {
                let text = packet.data.clone();
                match packet.r#type() {
                    PacketType::PacketErr => return Err(String::from_utf8(text).unwrap()),
                    _ => bytes.extend(text),
                }
            }
            Ok(String::from_utf8(bytes).unwrap())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_files_that_were_told_of_are_sent_and_no_link_leads_out_of_the_context() {
        let place = Place::new();
        let context = place.0.canonicalize().unwrap().join("context");
        let copying =
            Copying { shared: Shared::new(context.clone()), wanted: Wanted::default(), entries: Mutex::default() };
        let (to, mut told) = mpsc::channel(64);
        copying.tell(&to);
        let mut names = Vec::new();
        while let Ok(Ok(Packet { stat: Some(stat), .. })) = told.try_recv() {
            names.push(stat.path);
        }
        assert_eq!(names, ["a", "d", "d/b", "e", "link"]);
        let answer = |number| place.answer(&copying, number);
        assert_eq!([answer(0), answer(2)], [Ok("bytes".to_owned()), Ok("bytes".to_owned())]);
        for number in [1, 4, 5, u32::MAX] {
            assert!(answer(number).unwrap_err().contains("there is none"), "{number}");
        }

        std::fs::remove_file(context.join("a")).unwrap();
        symlink("../secret", context.join("a")).unwrap();
        std::fs::rename(context.join("d"), place.0.join("moved")).unwrap();
        symlink("../moved", context.join("d")).unwrap();
        for number in [0, 2] {
            assert!(answer(number).unwrap_err().contains("not the file any more"), "{number}");
        }
        assert_eq!(answer(3), Ok("bytes".to_owned()));
    }
}
