//! Everything the control plane knows, in one file that is always whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};

use super::beanstalk::faults::SetFault;
use super::beanstalk::model::{Application, Environment, Event, Operation, Template, Version};
use super::chance::Chance;
use crate::clock::Clock;
use crate::fault::Fault;

/// Calls that are remembered; the oldest are dropped.
const CALLS_KEPT: usize = 10_000;

/// All that the control plane remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The world's id; every docker object of it is labelled with it.
    pub world: String,
    /// When the world was made.
    pub created: DateTime<Utc>,
    /// The password of the registry's user `AWS`.
    pub registry_password: String,
    /// What the data plane's admin port asks for.
    pub admin_token: String,
    /// The last number given to an event or an operation.
    pub sequence: u64,
    /// Beanstalk's applications by name.
    pub applications: BTreeMap<String, Application>,
    /// Application versions, oldest first.
    pub versions: Vec<Version>,
    /// Environments, oldest first; terminated ones stay.
    pub environments: Vec<Environment>,
    /// Saved configurations.
    pub templates: Vec<Template>,
    /// Events, oldest first.
    pub events: Vec<Event>,
    /// What is under way.
    pub operations: Vec<Operation>,
    /// What must go wrong.
    pub faults: Vec<SetFault>,
    /// Calls that changed something or tried to, oldest first.
    pub calls: Vec<Call>,
    /// What time it is there.
    #[serde(skip)]
    pub clock: Clock,
    /// Where ids come from.
    #[serde(skip)]
    pub chance: Chance,
}

/// A call that changed something or tried to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// When it came.
    pub time: DateTime<Utc>,
    /// `UpdateEnvironment`, `PutImage`, …
    pub action: String,
    /// The request id it was answered with; empty where the answer is not ours to number.
    pub request_id: String,
    /// The service's signing name.
    #[serde(default)]
    pub service: String,
    /// What it is about, where the action alone does not say: an object as `bucket/key`, a repository.
    #[serde(default)]
    pub resource: Option<String>,
}

impl State {
    /// A world without anything in it, with secrets of its own.
    pub fn new(world: impl Into<String>) -> Self {
        Self::at(world, Clock::new(), Chance::default())
    }

    /// The same, with a time and ids of its own.
    pub fn at(world: impl Into<String>, clock: Clock, chance: Chance) -> Self {
        Self {
            world: world.into(),
            created: clock.now().trunc_subsecs(3),
            registry_password: uuid::Uuid::new_v4().simple().to_string(),
            admin_token: uuid::Uuid::new_v4().simple().to_string(),
            sequence: 0,
            applications: BTreeMap::new(),
            versions: Vec::new(),
            environments: Vec::new(),
            templates: Vec::new(),
            events: Vec::new(),
            operations: Vec::new(),
            faults: Vec::new(),
            calls: Vec::new(),
            clock,
            chance,
        }
    }

    /// The time, in the milliseconds that the APIs show: what is compared is what was seen.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(3)
    }

    /// A number that was never given before.
    pub fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Remembers a call of Beanstalk.
    pub fn record(&mut self, action: &str, request_id: &str) {
        self.record_for("elasticbeanstalk", action, request_id, None);
    }

    /// Remembers a call of a service, by its signing name.
    pub fn record_for(&mut self, service: &str, action: &str, request_id: &str, resource: Option<String>) {
        let time = self.now();
        let (service, action, request_id) = (service.to_owned(), action.to_owned(), request_id.to_owned());
        self.calls.push(Call { time, action, request_id, service, resource });
        let surplus = self.calls.len().saturating_sub(CALLS_KEPT);
        self.calls.drain(..surplus);
    }
}

/// The state and the file it lives in. Clones share both.
#[derive(Clone, Debug)]
pub struct Store {
    state: Arc<Mutex<State>>,
    file: Option<PathBuf>,
}

impl Store {
    /// A state that lives in memory alone.
    pub fn in_memory(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), file: None }
    }

    /// The state in `file`; a new one, of a world named `world`, when there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that holds something else.
    pub fn open(file: &Path, world: &str) -> Result<Self, Fault> {
        let state = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Fault::new(format!("could not read the local cloud's state in {}", file.display()))
                    .because(error)
                    .hint("it was written by another version; run `beanline local stop` and begin anew")
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::new(world),
            Err(error) => {
                return Err(Fault::new(format!("could not read {}", file.display())).because(error));
            }
        };
        let store = Self { state: Arc::new(Mutex::new(state)), file: Some(file.to_owned()) };
        store.change(|_| ())?;
        Ok(store)
    }

    /// A look at a file that another process may be writing: nothing of it is written here.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn look(file: &Path) -> Result<Self, Fault> {
        let unreadable = || Fault::new(format!("could not read {}", file.display()));
        let text = fs::read(file).map_err(|error| unreadable().because(error))?;
        let state = serde_json::from_slice(&text).map_err(|error| unreadable().because(error))?;
        Ok(Self { state: Arc::new(Mutex::new(state)), file: None })
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, then writes it down.
    ///
    /// # Errors
    /// A file that cannot be written. The change has happened in memory by then.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, Fault> {
        let mut state = self.lock();
        let value = change(&mut state);
        if let Some(file) = &self.file {
            write(file, &state)
                .map_err(|error| Fault::new(format!("could not write {}", file.display())).because(error))?;
        }
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a closure leaves a state that is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Written beside the file, then renamed over it: a reader or a kill sees the old state or the new one, never a half.
/// Nobody else may read it, since it holds the world's passwords.
fn write(file: &Path, state: &State) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mut open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    open.write_all(&serde_json::to_vec(state)?)?;
    drop(open);
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_there_after_opening_again_and_belongs_to_its_owner_alone() {
        let directory = std::env::temp_dir().join(format!("beanline-state-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&directory).unwrap();
        let file = directory.join("state.json");
        let store = Store::open(&file, "w1").unwrap();
        let password = store.read(|state| state.registry_password.clone());
        store.change(|state| state.record("CreateApplication", "r-1")).unwrap();
        let again = Store::open(&file, "ignored").unwrap();
        assert_eq!(again.read(|state| (state.world.clone(), state.calls.len())), ("w1".to_owned(), 1));
        assert_eq!(again.read(|state| state.registry_password.clone()), password);
        let guest = Store::look(&file).unwrap();
        guest.change(|state| state.calls.clear()).unwrap();
        assert_eq!(Store::look(&file).unwrap().read(|state| state.calls.len()), 1, "a look writes nothing");
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, "{").unwrap();
        assert!(Store::open(&file, "w1").is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
