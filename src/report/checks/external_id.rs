//! What a check run is found by again: by its own run after a lost answer, and by later runs after a kill.

use std::fmt;

use sha2::{Digest, Sha256};

/// What every external id of ours begins with; the number is the version of the form.
const FORM: &str = "beanline-1";

/// Letters of a CI job's hash: enough to tell the jobs on one commit apart.
const HASH: usize = 12;

/// A run's clock and GitHub's may differ by this, in seconds. A run is not taken for dead earlier.
const SKEW: i64 = 3600;

/// Whose a check run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The run's id.
    pub run: String,
    /// A hash of what tells the CI job from others, where there is a CI.
    pub job: Option<String>,
    /// When the run is over for certain: its deadline and ten minutes, in Unix seconds.
    pub expires: i64,
}

/// The `external_id` of a check run, `beanline-1/<run>/<hash of the job, or ->/<expires>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalId {
    /// Whose it is.
    pub owner: Owner,
    /// The stage, or the name of the run's own check run.
    pub name: String,
}

impl Owner {
    /// Whether `other` is another run, and over for certain when GitHub's clock shows `now`: it was the same CI job, which
    /// runs once at a time, or its time is up.
    pub fn outlived(&self, other: &Owner, now: i64) -> bool {
        let same_job = self.job.is_some() && self.job == other.job;
        self.run != other.run && (same_job || other.expires.saturating_add(SKEW) < now)
    }

    /// The id of one of its check runs.
    pub fn id(&self, name: impl fmt::Display) -> String {
        let job = self.job.as_deref().unwrap_or("-");
        format!("{FORM}/{}/{job}/{}/{name}", self.run, self.expires)
    }
}

impl ExternalId {
    /// Reads one; `None` when it is not of our form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '/');
        let [form, run, job, expires, name] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        if form != FORM || [run, job, name].iter().any(|part| part.is_empty()) {
            return None;
        }
        let job = Some(job).filter(|job| *job != "-").map(str::to_owned);
        let owner = Owner { run: run.to_owned(), job, expires: expires.parse().ok()? };
        Some(Self { owner, name: name.to_owned() })
    }
}

/// The hash of a CI job: its name may say more than a public page should show.
pub fn hash(job: &str) -> String {
    let digest = Sha256::digest(job.as_bytes());
    let letters: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    letters[..HASH].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(run: &str, job: Option<&str>, expires: i64) -> Owner {
        Owner { run: run.to_owned(), job: job.map(hash), expires }
    }

    #[test]
    fn an_id_is_read_back_and_others_are_not_ours() {
        for owner in [owner("run7", Some("7064128391/ship/GitHub Actions 4"), 1_800_000_000), owner("r", None, 0)] {
            let id = owner.id("acceptance (live) [eu/1]");
            let name = "acceptance (live) [eu/1]".to_owned();
            assert_eq!(ExternalId::parse(&id), Some(ExternalId { owner, name }));
            assert!(id.len() < 100 && !id.contains("GitHub"), "{id}");
        }
        for foreign in ["", "run7/build", "beanline-1/r/-/soon/x", "beanline-1/r/-/5/", "beanline-2/r/-/5/x", "////"] {
            assert_eq!(ExternalId::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_run_is_over_when_its_job_runs_again_or_its_time_is_up_by_any_clock() {
        let now = 1_800_000_000;
        let ours = owner("new", Some("job"), now + 60);
        assert!(ours.outlived(&owner("old", Some("job"), now + 60), now));
        assert!(!ours.outlived(&owner("new", Some("job"), now - 9_000), now), "ourselves");
        assert!(!ours.outlived(&owner("old", Some("other"), now - 60), now), "its clock may be an hour behind");
        assert!(ours.outlived(&owner("old", Some("other"), now - SKEW - 1), now));
        assert!(!owner("new", None, now).outlived(&owner("old", None, now), now), "no job is no common job");
    }
}
