//! What all proxies of one world share: the log of the run, and what is to go wrong in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::{Call, Names, Peer};
use super::made::Made;

/// How a call is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It is answered with 503 and goes no further.
    Refuse,
    /// The connection is closed, and it goes no further.
    Reset,
    /// It takes effect, and the connection is closed instead of an answer.
    Lose,
    /// It takes effect, and the run is killed before the answer.
    Kill,
    /// The run is killed, and it goes no further.
    KillBefore,
}

impl Way {
    /// The ways of a short proof.
    pub const SHORT: [Self; 3] = [Self::Refuse, Self::Lose, Self::Kill];

    /// All ways.
    pub const ALL: [Self; 5] = [Self::Refuse, Self::Lose, Self::Kill, Self::Reset, Self::KillBefore];

    /// Whether the run is killed.
    pub fn kills(self) -> bool {
        matches!(self, Way::Kill | Way::KillBefore)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Refuse => "refuse",
            Way::Reset => "reset",
            Way::Lose => "lose",
            Way::Kill => "kill",
            Way::KillBefore => "kill-before",
        })
    }
}

/// One call of a run: the n-th of its name, from 1 on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nth {
    /// Who is asked.
    pub peer: Peer,
    /// What is asked for.
    pub name: String,
    /// Which call of this name.
    pub number: usize,
}

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} #{}", self.peer, self.name, self.number)
    }
}

/// The log and the plan. Nothing of it is kept from one run to the next but the names of ids.
#[derive(Default)]
pub struct Desk(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    names: Names,
    counts: BTreeMap<(Peer, String), usize>,
    mutating: Vec<Nth>,
    made: BTreeSet<Made>,
    planned: Option<(Nth, Way)>,
    used: bool,
    process: Option<u32>,
}

impl Desk {
    /// Begins the log of another run, with one thing to go wrong or none. What an earlier run made stays known, so that
    /// a run after a kill answers for both.
    pub fn begin(&self, planned: Option<(Nth, Way)>) {
        let mut inner = self.lock();
        *inner = Inner {
            names: std::mem::take(&mut inner.names),
            made: std::mem::take(&mut inner.made),
            planned,
            ..Inner::default()
        };
    }

    /// Forgets what was made.
    pub fn forget_made(&self) {
        self.lock().made.clear();
    }

    /// The process that a kill is meant for.
    pub fn is_process(&self, id: u32) {
        self.lock().process = Some(id);
    }

    /// Writes a call down, and says what is to happen to it.
    pub fn take(&self, call: &Call, made: Option<Made>) -> Option<Way> {
        let mut inner = self.lock();
        inner.made.extend(made);
        let count = inner.counts.entry((call.peer, call.name.clone())).or_default();
        *count += 1;
        let this = Nth { peer: call.peer, name: call.name.clone(), number: *count };
        if call.is_mutating {
            inner.mutating.push(this.clone());
        }
        let way = inner.planned.as_ref().filter(|(nth, _)| *nth == this).map(|(_, way)| *way);
        inner.used |= way.is_some();
        way
    }

    /// Ends the run at once. It has been told to us before it could call anybody, or is being told just now.
    pub async fn kill(&self) {
        for _ in 0..500 {
            if let Some(id) = self.lock().process {
                let sent = Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
                assert!(sent.is_ok_and(|sent| sent.success()), "the run could not be killed");
                return;
            }
            beanline::engine::retry::pause(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Remembers which name an id stands for.
    pub fn name(&self, id: String, name: String) {
        self.lock().names.insert(id, name);
    }

    /// The names so far.
    pub fn names(&self) -> Names {
        self.lock().names.clone()
    }

    /// Every mutating call of this run, in the order in which they came.
    pub fn mutating(&self) -> Vec<Nth> {
        self.lock().mutating.clone()
    }

    /// Every docker object that was asked for since it was last forgotten.
    pub fn made(&self) -> BTreeSet<Made> {
        self.lock().made.clone()
    }

    /// Whether what was planned has happened.
    pub fn was_used(&self) -> bool {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
