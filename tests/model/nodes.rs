//! The instances: what `local/control/nodes` does with containers, done with a table.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use beanline::engine::retry::pause;
use beanline::local::control::beanstalk::bundle;
use beanline::local::control::beanstalk::faults::{FaultName, SetFault};
use beanline::local::control::beanstalk::model::{Container, Reading};
use beanline::local::control::beanstalk::work::{Cause, DeployWork, Outcome, Placed, Work};
use tokio::time::Instant;

use crate::cloud::{BLUE, Cloud, Running, at_once};
use crate::dice::Dice;
use crate::schedule::Launch;

/// How often it is looked whether operations are due.
const TICK: Duration = Duration::from_millis(100);

/// How long an environment that is slow answers nothing.
const SLOW: Duration = Duration::from_secs(8);

/// How late late events are: within what the runs allow for.
const LATE_MS: u32 = 400;

/// Does what is due, for ever.
pub async fn run(cloud: Arc<Cloud>) {
    let beanstalk = cloud.control.beanstalk();
    let mut asked = Instant::now();
    let mut known = 0;
    if let Some(name) = cloud.schedule.always {
        beanstalk.set_fault(SetFault { millis: LATE_MS, ..SetFault::new(name) }).unwrap();
    }
    loop {
        known = cloud.meet_new(known);
        for (operation, work) in beanstalk.due().unwrap() {
            let cloud = cloud.clone();
            tokio::spawn(async move {
                let outcome = cloud.carry_out(operation, work).await;
                cloud.control.beanstalk().finish(operation, outcome).unwrap();
            });
        }
        if asked.elapsed() >= beanstalk.pace().ask_every {
            asked = Instant::now();
            let answers: Vec<(String, Reading)> =
                beanstalk.questions().into_iter().map(|(id, ..)| (id.clone(), cloud.reading(&id))).collect();
            beanstalk.heard(&answers).unwrap();
        }
        cloud.look();
        pause(TICK).await;
    }
}

impl Cloud {
    /// Decides what becomes of environments that were not there before; `known` were.
    fn meet_new(&self, known: usize) -> usize {
        let names: Vec<String> =
            self.store.read(|state| state.environments.iter().skip(known).map(|e| e.id.clone()).collect());
        for id in &names {
            let launch = self.launch_of(id);
            self.trace.line(format!("{id} appears, {launch:?}"));
            if let Launch::With(name) = launch {
                let times = (name == FaultName::SwapRefused).then_some(2);
                let fault = SetFault { environment: Some(id.clone()), times, millis: LATE_MS, ..SetFault::new(name) };
                self.control.beanstalk().set_fault(fault).unwrap();
            }
        }
        known + names.len()
    }

    /// What becomes of an environment, by its number among those that runs made.
    fn launch_of(&self, id: &str) -> Launch {
        let number = self.store.read(|state| {
            let made = state.environments.iter().filter(|environment| environment.name != BLUE);
            made.map(|environment| &environment.id).position(|known| known == id)
        });
        number.and_then(|number| self.schedule.launches.get(number).copied()).unwrap_or(Launch::Well)
    }

    async fn carry_out(&self, operation: u64, work: Work) -> Outcome {
        let mut dice = Dice::new(self.schedule.seed).fork(1_000 + operation);
        match work {
            Work::Deploy(work) => {
                pause(dice.time(300, 3_000)).await;
                Outcome::Placed(self.deploy(&work))
            }
            Work::Remove(_) => {
                pause(dice.time(100, 1_500)).await;
                Outcome::Removed
            }
            Work::Tail(work) => {
                pause(dice.time(100, 800)).await;
                Outcome::Tailed(work.instances.into_iter().map(|(id, _)| (id, "the last line".to_owned())).collect())
            }
        }
    }

    /// Reads the bundle, pulls what its name means at this moment, and starts it on each instance.
    fn deploy(&self, work: &DeployWork) -> Vec<Placed> {
        let launch = self.launch_of(&work.environment);
        let bytes = at_once(self.control.beanstalk().objects().get(&work.bucket, &work.key));
        let image = bytes.map_err(|_| Cause::BadBundle).and_then(|bytes| {
            bundle::read(&bytes, &bundle::Properties::new()).map(|bundle| bundle.service.image.reference())
        });
        let pulled = image.and_then(|name| match self.digest(&name) {
            _ if work.pull_refused => Err(Cause::RegistryRefused),
            Some(digest) if launch != Launch::NotPulled => Ok((name, digest)),
            _ => Err(Cause::NotPulled),
        });
        let placed = work.instances.iter().map(|(instance, before)| {
            let (container, failed) = match &pulled {
                Err(cause) => (before.clone(), Some(*cause)),
                Ok((name, digest)) => {
                    let id = format!("{instance}-{}", work.number);
                    let ends = launch == Launch::Ends;
                    let address = if ends { String::new() } else { format!("{instance}:80") };
                    let running = Running { digest: digest.clone(), since: Instant::now() };
                    self.containers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), running);
                    (Some(Container { id, image: name.clone(), address }), ends.then_some(Cause::Ended))
                }
            };
            Placed { instance: instance.clone(), container, failed }
        });
        placed.collect()
    }

    /// What a container answers.
    fn reading(&self, container: &str) -> Reading {
        let environment = self.store.read(|state| {
            let runs = |e: &&beanline::local::control::beanstalk::model::Environment| {
                e.instances.iter().any(|i| i.container.as_ref().is_some_and(|known| known.id == container))
            };
            state.environments.iter().find(runs).map(|environment| environment.id.clone())
        });
        let since = self.containers.lock().unwrap_or_else(PoisonError::into_inner).get(container).map(|it| it.since);
        match (environment.map(|id| self.launch_of(&id)), since) {
            (Some(Launch::Unwell), _) => Reading::Answered(503),
            (Some(Launch::Slow), Some(since)) if since.elapsed() < SLOW => Reading::Silent,
            _ => Reading::Answered(200),
        }
    }
}
