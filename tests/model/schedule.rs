//! A schedule: everything that is going to happen to the runs of one world, as data that follows from a seed.

use std::time::Duration;

use beanline::inputs::KeepPrevious;
use beanline::local::control::beanstalk::faults::FaultName;

use crate::dice::Dice;

/// Which kinds of schedules there are. Kills and second runs need the journal to end well.
#[derive(Clone, Copy, Debug)]
pub struct Kinds {
    /// Runs are killed, and the same run is begun again.
    pub kills: bool,
    /// Two runs at once on one application and live CNAME.
    pub pairs: bool,
}

/// What happens in one world.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What it follows from.
    pub seed: u64,
    /// Nothing is there yet: the first run makes the application and its first environment.
    pub is_first: bool,
    /// Instances of each environment.
    pub fleet: u64,
    /// What becomes of the environments that runs make, one after the other; those after them come up.
    pub launches: Vec<Launch>,
    /// What the platform does wrong all the time.
    pub always: Option<FaultName>,
    /// The runs.
    pub runs: Vec<Script>,
    /// Whether they run at once; else one begins when the one before has ended.
    pub at_once: bool,
}

/// What becomes of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launch {
    /// It comes up.
    Well,
    /// The platform does this wrong with it.
    With(FaultName),
    /// Its containers end as soon as they are started.
    Ends,
    /// Its image cannot be pulled.
    NotPulled,
    /// Its instances answer with 503.
    Unwell,
    /// Its instances answer nothing for half a minute.
    Slow,
}

/// What one run wants, and what happens to it.
#[derive(Clone, Debug)]
pub struct Script {
    /// Names tag and version.
    pub revision: u64,
    /// Which build of that revision it is: another build is another digest under the same tag.
    pub build: u64,
    /// How long it waits before it begins.
    pub begins: Duration,
    /// What ends it before its time.
    pub stop: Stop,
    /// Calls of a thousand that go wrong.
    pub trouble: u64,
    /// Hours that the runner's clock is ahead of the cloud's.
    pub skew: i64,
    /// Whether the run knows which CI job it is of; a later run of the same job need not wait for a dead one's claim.
    pub has_job: bool,
    /// Whether the tests against the candidate pass.
    pub candidate_passes: bool,
    /// Whether the tests against live pass.
    pub live_passes: bool,
    /// The input `keep_failed`.
    pub keep_failed: bool,
    /// The input `keep_previous`.
    pub keep_previous: KeepPrevious,
    /// The run's own time limit.
    pub timeout: Duration,
}

/// What ends a run before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing.
    Never,
    /// SIGINT after this time, and SIGTERM so much later.
    Signals(Moment, Option<Duration>),
    /// SIGKILL.
    Kill(Moment),
}

/// A moment in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after it began.
    After(Duration),
    /// At its n-th call that changes something: before it has left, or when it has taken effect.
    Call { number: u32, took_effect: bool },
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64, kinds: Kinds) -> Self {
        let mut dice = Dice::new(seed);
        let is_first = dice.percent(15);
        let kind = dice.below(100);
        let (kills, pairs) = (kinds.kills && kind < 40, kinds.pairs && (25..65).contains(&kind));
        let mut runs = vec![Script::random(&mut dice, 1)];
        if kills {
            runs[0].stop = Stop::Kill(moment(&mut dice));
        }
        if pairs {
            let revision = dice.pick(&[1, 2, 2]);
            let mut second = Script::random(&mut dice, revision);
            second.begins = dice.time(0, 20_000);
            runs.push(second);
        } else if dice.percent(20) {
            let revision = dice.pick(&[1, 1, 2]);
            let mut second = Script::random(&mut dice, revision);
            second.build = dice.pick(&[0, 0, 1]);
            runs.push(second);
        }
        let launches = (0..2).map(|_| Launch::random(&mut dice)).collect();
        let always = dice.percent(8).then(|| dice.pick(&[FaultName::LateEvents, FaultName::NoSuccessEvent]));
        Self { seed, is_first, fleet: 1 + dice.below(3), launches, always, runs, at_once: pairs }
    }
}

impl Launch {
    fn random(dice: &mut Dice) -> Self {
        use FaultName::{HealthRed, LateEvents, MixedFleet, NoSuccessEvent, PullRefused, Rollback, SwapRefused};
        let faults = [HealthRed, LateEvents, MixedFleet, NoSuccessEvent, PullRefused, Rollback, SwapRefused];
        match dice.below(100) {
            0..65 => Self::Well,
            65..85 => Self::With(dice.pick(&faults)),
            _ => dice.pick(&[Self::Ends, Self::NotPulled, Self::Unwell, Self::Slow]),
        }
    }
}

impl Script {
    fn random(dice: &mut Dice, revision: u64) -> Self {
        let stop = match dice.below(100) {
            0..70 => Stop::Never,
            _ => Stop::Signals(moment(dice), dice.percent(40).then(|| dice.time(500, 8_000))),
        };
        Self {
            stop,
            trouble: dice.pick(&[0, 0, 20, 50, 150]),
            candidate_passes: dice.percent(85),
            live_passes: dice.percent(75),
            keep_failed: dice.percent(10),
            keep_previous: dice.pick(&[KeepPrevious::No, KeepPrevious::UntilNextDeploy]),
            skew: dice.pick(&[0, 0, 1, -1]),
            has_job: dice.percent(50),
            timeout: if dice.percent(95) { Duration::from_secs(3600) } else { dice.time(2_000, 30_000) },
            ..Self::plain(revision)
        }
    }

    /// A run to which nothing happens.
    pub fn plain(revision: u64) -> Self {
        Self {
            revision,
            build: 0,
            begins: Duration::ZERO,
            stop: Stop::Never,
            trouble: 0,
            skew: 0,
            has_job: true,
            candidate_passes: true,
            live_passes: true,
            keep_failed: false,
            keep_previous: KeepPrevious::UntilNextDeploy,
            timeout: Duration::from_secs(3600),
        }
    }

    /// The same run once more, with nothing in its way.
    pub fn again(&self) -> Self {
        let plain = Self::plain(self.revision);
        Self {
            build: self.build,
            has_job: self.has_job,
            keep_failed: self.keep_failed,
            keep_previous: self.keep_previous,
            ..plain
        }
    }
}

fn moment(dice: &mut Dice) -> Moment {
    match dice.percent(50) {
        true => Moment::After(dice.time(0, 25_000)),
        false => Moment::Call { number: 1 + dice.below(25) as u32, took_effect: dice.percent(50) },
    }
}
