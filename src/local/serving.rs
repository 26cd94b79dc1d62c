//! Who has a world open: one process at a time holds its seat, and says where its APIs answer.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory;
use super::github::GithubWorld;
use crate::fault::Fault;

const LOCK: &str = "lock";
const SERVING: &str = "serving.json";
const GITHUB: &str = "github.json";

/// Where the APIs of an open world answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Serving {
    /// The control plane's address.
    pub endpoint: String,
    /// The embedded GitHub's address.
    pub github: String,
    /// Whether other processes may use it.
    pub for_others: bool,
}

/// The right to serve a world. The operating system takes it back when the process ends, however it ends.
pub struct Seat {
    _lock: File,
    directory: PathBuf,
}

impl Serving {
    /// Takes the seat, or says who has it.
    ///
    /// # Errors
    /// The directory cannot be used, or whoever has the seat has not said yet where it serves.
    pub fn take(directory: &Path) -> Result<Result<Seat, Serving>, Fault> {
        let unusable = |error: std::io::Error| {
            Fault::new(format!("could not use {} for the local cloud", directory.display())).because(error)
        };
        directory::make(directory).map_err(unusable)?;
        let lock = File::create(directory.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {
                // Whoever sat here before serves no more; until we announce ourselves there is nothing to be read.
                let removed = std::fs::remove_file(directory.join(SERVING));
                match removed {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable(error)),
                    _ => Ok(Ok(Seat { _lock: lock, directory: directory.to_owned() })),
                }
            }
            Err(TryLockError::WouldBlock) => {
                let announced = std::fs::read(directory.join(SERVING)).ok();
                let serving = announced.and_then(|text| serde_json::from_slice(&text).ok());
                let serving = serving.ok_or_else(|| {
                    Fault::new("the local cloud is just being opened or closed by another process")
                        .hint("try again in a few seconds")
                })?;
                Ok(Err(serving))
            }
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

impl Seat {
    /// Says where this process serves.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&self, serving: &Serving) -> Result<(), Fault> {
        let unwritable = || Fault::new("could not say where the local cloud answers");
        let text = serde_json::to_vec(serving).map_err(|error| unwritable().because(error))?;
        std::fs::write(self.directory.join(SERVING), text).map_err(|error| unwritable().because(error))
    }
}

/// The embedded GitHub; what it knows is kept in a file when it ends.
pub struct KeptGithub {
    world: GithubWorld,
    file: PathBuf,
}

impl KeptGithub {
    /// Starts it with what an earlier process left.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(directory: &Path) -> Result<Self, Fault> {
        let file = directory.join(GITHUB);
        // A file that is missing or damaged costs check runs of earlier runs, which nobody deploys by.
        let state = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let world = GithubWorld::start(state.unwrap_or_default()).await;
        let world = world.map_err(|error| Fault::new("could not start the embedded GitHub").because(error))?;
        Ok(Self { world, file })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.world.url
    }
}

impl Drop for KeptGithub {
    fn drop(&mut self) {
        if let Ok(text) = serde_json::to_vec(&self.world.github.state()) {
            // As at its start: nothing is deployed by it.
            let _ = std::fs::write(&self.file, text);
        }
    }
}
