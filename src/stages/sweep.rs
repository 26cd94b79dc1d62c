//! What runs that were killed left on the daemon: removed by the next one, when it has expired or is of the same CI job.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::{EXPIRES_LABEL, JOB_LABEL, RUN_LABEL, expires};
use crate::docker::{Docker, Labels};
use crate::engine::{StageCx, in_words};
use crate::fault::Fault;
use crate::image::Digest;
use crate::inputs::Plan;
use crate::local::container::WORLD_LABEL;

/// How long it may take; what is not done by then is for the next run.
const LIMIT: Duration = Duration::from_secs(30);

/// The repository of temporary image names.
const TEMPORARY: &str = "beanline-run";

/// The repository under which our own program is imported.
const OWN: &str = "beanline-own:";

/// Whether an image's name is one that a single run needs, for as long as it runs.
pub fn is_temporary(reference: &str) -> bool {
    Temporary::parse(reference).is_some()
}

/// The name of an image while a run needs it. Whose it is and until when stands in the name, since containers inherit
/// an image's labels: `beanline-run:<run>.<expires>.<job>`, or `beanline-run:<run>_<what>.<expires>.<job>` for another
/// image than the one that is shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temporary {
    run: String,
    /// What another image is for; empty for the one that is shipped.
    what: String,
    /// Unix seconds; absent in a name by an older version, as is the job.
    expires: Option<i64>,
    /// The first digits of the CI job's hash; empty where there is no CI.
    job: String,
}

impl Temporary {
    /// The name for this run's image, made `now` (Unix seconds).
    pub fn of(plan: &Plan, now: i64) -> Self {
        Self {
            run: plan.run_id.clone(),
            what: String::new(),
            expires: Some(expires(plan, now)),
            job: job_hash(plan.ci.job.as_deref()),
        }
    }

    /// The same for another image of the run; `what` is a lower-case word.
    pub fn with(self, what: &str) -> Self {
        Self { what: what.to_owned(), ..self }
    }

    /// The name of an image that a cache archive holds, by its place there.
    pub fn cached(plan: &Plan, now: i64, number: usize) -> Self {
        let name = Self::of(plan, now);
        Self { run: format!("{}-cache{number}", name.run), ..name }
    }

    /// The name of a stage that is kept in a cache archive, by its place there.
    pub fn staged(plan: &Plan, now: i64, number: usize) -> Self {
        let name = Self::of(plan, now);
        Self { run: format!("{}-stage{number}", name.run), ..name }
    }

    fn parse(reference: &str) -> Option<Self> {
        let tag = reference.strip_prefix(TEMPORARY)?.strip_prefix(':')?;
        let mut parts = tag.splitn(3, '.');
        let run = parts.next()?;
        let (run, what) = run.split_once('_').unwrap_or((run, ""));
        let expires = parts.next().and_then(|text| text.parse().ok());
        let (run, what) = (run.to_owned(), what.to_owned());
        Some(Self { run, what, expires, job: parts.next().unwrap_or_default().to_owned() })
    }
}

impl fmt::Display for Temporary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.what.is_empty() { "" } else { "_" };
        let expires = self.expires.unwrap_or_default();
        write!(f, "{TEMPORARY}:{}{mark}{}.{expires}.{}", self.run, self.what, self.job)
    }
}

fn job_hash(job: Option<&str>) -> String {
    job.map_or_else(String::new, |job| Digest::of(job.as_bytes()).short().to_owned())
}

/// What was removed.
#[derive(Debug, Default)]
struct Swept {
    containers: usize,
    networks: usize,
    volumes: usize,
    images: usize,
    /// The runs they were of.
    runs: BTreeSet<String>,
    /// What could not be removed, and why.
    left: Vec<Fault>,
}

/// Removes from the daemon what other runs left: containers, networks, volumes and temporary images that have expired
/// `now` (Unix seconds of this machine), or that are of our own CI job, whose earlier processes have ended. Another
/// run's things that may still be needed stay, as does all that belongs to a local cloud.
///
/// It never fails the run: what cannot be removed is a warning.
pub async fn sweep(cx: &StageCx, docker: &Docker, plan: &Plan, now: i64) {
    sweep_beside(cx, docker, &plan.run_id, plan.ci.job.as_deref(), now).await;
}

/// The same for a run of this id and CI job, of which nothing else may be known.
pub async fn sweep_beside(cx: &StageCx, docker: &Docker, run: &str, job: Option<&str>, now: i64) {
    let mut swept = Swept::default();
    let broom = Broom { docker, run, job, job_hash: &job_hash(job), now };
    match tokio::time::timeout(LIMIT, broom.sweep(&mut swept)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => cx.warn(format!("could not look for what earlier runs left on the docker engine: {fault}")),
        Err(_) => cx.warn(format!("removing what earlier runs left did not end within {}", in_words(LIMIT))),
    }
    swept.left.iter().for_each(|fault| cx.warn(format!("left by an earlier run: {fault}")));
    if let Some(removed) = swept.words() {
        cx.note(format!("removed what earlier runs left on the docker engine: {removed}"));
    }
}

impl Swept {
    /// `2 containers and 1 image`; nothing when there was nothing.
    fn words(&self) -> Option<String> {
        let kinds = [
            (self.containers, "container"),
            (self.networks, "network"),
            (self.volumes, "volume"),
            (self.images, "image"),
        ];
        let words = kinds.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> =
            words.map(|(count, kind)| format!("{count} {kind}{}", if count == 1 { "" } else { "s" })).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Counts a removal, or keeps why there was none.
    fn count(&mut self, removed: Result<(), Fault>, kind: fn(&mut Self) -> &mut usize) {
        match removed {
            Ok(()) => *kind(self) += 1,
            Err(fault) => self.left.push(fault),
        }
    }
}

/// Who sweeps, and what is to be told apart.
struct Broom<'a> {
    docker: &'a Docker,
    run: &'a str,
    job: Option<&'a str>,
    job_hash: &'a str,
    now: i64,
}

impl Broom<'_> {
    /// Containers first: networks, volumes and images are held by them.
    async fn sweep(&self, swept: &mut Swept) -> Result<(), Fault> {
        for container in self.docker.containers_labelled(RUN_LABEL).await? {
            if self.may_take(&container.labels) {
                swept.runs.extend(container.labels.get(RUN_LABEL).cloned());
                let removed = self.docker.remove_container(&container.id).await;
                swept.count(removed, |swept| &mut swept.containers);
            }
        }
        for (name, labels) in self.docker.networks_with(RUN_LABEL).await? {
            if self.may_take(&labels) {
                swept.runs.extend(labels.get(RUN_LABEL).cloned());
                swept.count(self.docker.remove_network(&name).await, |swept| &mut swept.networks);
            }
        }
        for (name, labels) in self.docker.volumes_with(RUN_LABEL).await? {
            if self.may_take(&labels) {
                swept.count(self.docker.remove_volume(&name).await, |swept| &mut swept.volumes);
            }
        }
        self.sweep_images(swept).await
    }

    async fn sweep_images(&self, swept: &mut Swept) -> Result<(), Fault> {
        for reference in self.docker.references_in(TEMPORARY).await? {
            let Some(name) = Temporary::parse(&reference) else { continue };
            if self.may_take_image(&name, &swept.runs) {
                self.remove_image(&reference, swept).await?;
            }
        }
        for reference in self.docker.references_in(OWN).await? {
            let known = self.docker.image(&reference).await?;
            if known.is_some_and(|image| self.has_expired(&image.labels)) {
                self.remove_image(&reference, swept).await?;
            }
        }
        Ok(())
    }

    /// One whose last name this is, and that a container uses, stays: it is no news, and goes with that container.
    async fn remove_image(&self, reference: &str, swept: &mut Swept) -> Result<(), Fault> {
        let removed = self.docker.remove_image(reference).await;
        if removed.is_err() || self.docker.image(reference).await?.is_none() {
            swept.count(removed, |swept| &mut swept.images);
        }
        Ok(())
    }

    fn may_take(&self, labels: &Labels) -> bool {
        let is_others = labels.get(RUN_LABEL).is_some_and(|run| run != self.run);
        let is_of_our_job = self.job.is_some() && labels.get(JOB_LABEL).map(String::as_str) == self.job;
        is_others && !labels.contains_key(WORLD_LABEL) && (is_of_our_job || self.has_expired(labels))
    }

    fn has_expired(&self, labels: &Labels) -> bool {
        labels.get(EXPIRES_LABEL).and_then(|text| text.parse::<i64>().ok()).is_some_and(|expires| expires <= self.now)
    }

    fn may_take_image(&self, name: &Temporary, swept: &BTreeSet<String>) -> bool {
        let is_of_our_job = !name.job.is_empty() && name.job == self.job_hash;
        let has_expired = name.expires.is_some_and(|expires| expires <= self.now);
        name.run != self.run && (is_of_our_job || has_expired || swept.contains(&name.run))
    }
}

#[cfg(test)]
mod tests;
