//! Application versions that nobody needs any more: deleted with their bundles and their tags.

use super::Beanstalk;
use super::api::Version;
use super::call::{ApiError, again};
use super::journal::SiteJournal;
use super::platform::{Environment, Status};
use super::pull::own_tag;
use super::version::{owner, recorded_digest};
use crate::engine::StageCx;
use crate::fault::Fault;
use crate::image::{Digest, Repository};
use crate::registry::EcrRepository;

/// Versions that must stay.
#[derive(Default)]
struct Needed {
    labels: Vec<String>,
    /// Images of work under way, whose label is not written down.
    digests: Vec<Digest>,
}

impl Needed {
    fn add(&mut self, journal: SiteJournal) {
        self.labels.extend(journal.good.into_iter().map(|good| good.version_label));
        self.labels.extend(journal.previous.map(|previous| previous.version_label));
        self.labels.extend(journal.waiting.map(|waiting| waiting.good.version_label));
        if let Some(work) = journal.work {
            self.labels.extend(work.site.survey.live.map(|live| live.version_label));
            self.digests.push(work.site.digest);
        }
    }

    fn has(&self, version: &Version) -> bool {
        let digest = recorded_digest(&version.description);
        self.labels.contains(&version.label) || digest.is_some_and(|digest| self.digests.contains(&digest))
    }
}

impl Beanstalk {
    /// Deletes the versions that runs made, but for the newest `keep`, those that an environment runs, and those that a
    /// journal of the application needs; with each its bundle and its tag. Returned are their labels, newest first. With `dry` they are
    /// only named. What is deleted has no undo: nobody runs it.
    ///
    /// # Errors
    /// Elastic Beanstalk cannot be asked, or refuses to delete one, after the others are.
    pub async fn prune_versions(&self, cx: &StageCx, keep: u32, dry: bool) -> Result<Vec<String>, Fault> {
        let application = &self.plan.application;
        let mut needed = match self.needed().await {
            Ok(needed) => needed,
            Err(_) if dry => {
                cx.note("which versions the application's journals need is not known yet: those will stay");
                Needed::default()
            }
            Err(fault) => {
                cx.note(format!("old versions stay: which of them are needed is not known ({fault})"));
                return Ok(Vec::new());
            }
        };
        let ask = async || self.api.environments(Some(application), &[]).await;
        let environments = again(Some(cx), "DescribeEnvironments", ask).await?;
        if let Some(busy) = environments.iter().find(|environment| environment.status.is_busy()) {
            // Which version it is about to run does not show.
            cx.note(format!("old versions stay for now: environment {} is {}", busy.name, busy.status));
            return Ok(Vec::new());
        }
        let ask = async || self.api.versions(application).await;
        let versions = again(Some(cx), "DescribeApplicationVersions", ask).await?;
        needed.labels.push(self.label().to_owned());
        let old = beyond(&versions, keep, &environments, &needed);
        if dry {
            return Ok(old.into_iter().map(|version| version.label.clone()).collect());
        }
        let (mut gone, mut failures) = (Vec::new(), Vec::new());
        for version in old {
            match self.prune(cx, version).await {
                Ok(()) => gone.push(version.label.clone()),
                Err(fault) => failures.push(fault),
            }
        }
        match failures.is_empty() {
            true => Ok(gone),
            false => Err(failures.into_iter().fold(Fault::new("could not delete every old version"), Fault::because)),
        }
    }

    /// How many versions of the application could be deleted, as far as that can be told without the journal.
    pub(super) async fn prunable(&self, keep: u32, environments: &[Environment]) -> usize {
        let ours: Vec<Environment> =
            environments.iter().filter(|e| e.application == self.plan.application).cloned().collect();
        let versions = self.api.versions(&self.plan.application).await.unwrap_or_default();
        let needed = Needed { labels: vec![self.label().to_owned()], digests: Vec::new() };
        beyond(&versions, keep, &ours, &needed).len()
    }

    /// What the application's sites need: versions belong to all of them together.
    ///
    /// # Errors
    /// A journal cannot be read.
    async fn needed(&self) -> Result<Needed, Fault> {
        let book = self.book().ok_or_else(|| Fault::new("this run has no journal"))?;
        let mut needed = Needed::default();
        book.look_beside().await?.into_iter().for_each(|journal| needed.add(journal));
        Ok(needed)
    }

    async fn prune(&self, cx: &StageCx, version: &Version) -> Result<(), Fault> {
        self.delete_version(cx, &version.label, true).await?;
        // The version is what counts: a tag that stays costs no more than the image.
        if let Err(fault) = self.remove_own_tag(cx, version).await {
            cx.warn(format!("version {} is deleted, and its tag is not: {fault}", version.label));
        }
        Ok(())
    }

    /// Takes away the tag that was the version's own, if it still names its image and no other application has a version
    /// that may be pulled by it.
    async fn remove_own_tag(&self, cx: &StageCx, version: &Version) -> Result<(), Fault> {
        let (Some(repository), Some(digest)) = (recorded_repository(version), recorded_digest(&version.description))
        else {
            return Ok(());
        };
        let Some(ecr) = EcrRepository::of(&repository, &self.region) else { return Ok(()) };
        let tag = own_tag(&version.label);
        if !self.is_own(&ecr).await? {
            cx.note(format!("the tag {tag} of {repository} stays: sites in other regions or accounts may pull it"));
            return Ok(());
        }
        let others = self.applications_with(&version.label).await?;
        let is_shared = others.iter().any(|application| *application != self.plan.application);
        if is_shared || self.ecr.digest(&ecr, &tag).await? != Some(digest) {
            return Ok(());
        }
        self.remove_tag(&ecr, &tag).await
    }

    /// Whether the repository is in the site's own region and account: elsewhere, nobody here can ask who else pulls it.
    async fn is_own(&self, ecr: &EcrRepository) -> Result<bool, Fault> {
        if ecr.region != self.region {
            return Ok(false);
        }
        let Some(account) = &ecr.registry_id else { return Ok(true) };
        let bucket = self.storage_location(None).await?;
        Ok(owner(&bucket, &self.region) == Some(account))
    }

    /// The applications that have a version with this label.
    pub(super) async fn applications_with(&self, label: &str) -> Result<Vec<String>, Fault> {
        again(None, "DescribeApplicationVersions", async || self.api.applications_with(label).await).await
    }

    /// Takes a tag away. What is not there is gone.
    pub(super) async fn remove_tag(&self, ecr: &EcrRepository, tag: &str) -> Result<(), Fault> {
        self.ecr.remove(ecr, tag, async || self.hold().await.map_err(ApiError::into_fault)).await
    }
}

/// Ours among the versions, newest first, without the newest `keep` and without those that somebody needs.
fn beyond<'a>(versions: &'a [Version], keep: u32, environments: &[Environment], needed: &Needed) -> Vec<&'a Version> {
    let runs = |label: &str| environments.iter().any(|e| e.version_label == label && e.status != Status::Terminated);
    let ours = versions.iter().filter(|version| recorded_digest(&version.description).is_some());
    let old = ours.skip(usize::try_from(keep).unwrap_or(usize::MAX));
    old.filter(|version| !runs(&version.label) && !needed.has(version)).collect()
}

/// The repository in a description of ours.
fn recorded_repository(version: &Version) -> Option<Repository> {
    let (name, _) = version.description.split_once("@sha256:")?;
    let (repository, _) = name.rsplit_once(':')?;
    Repository::parse(repository, Repository::DOCKER_HUB).ok()
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::environment;
    use super::*;
    use crate::inputs::Health;

    fn version(label: &str, description: &str) -> Version {
        let text = |text: &str| text.to_owned();
        let (bucket, key, status) = (text("b"), text("k"), text("UNPROCESSED"));
        Version { label: text(label), bucket, key, description: text(description), status, created: 0 }
    }

    #[test]
    fn only_ours_beyond_the_newest_that_nobody_needs_are_old() {
        let ours = format!("127.0.0.1:5000/shop:1@{} revision 1", Digest::of(b"1"));
        let versions: Vec<Version> = ["9", "8", "7", "6", "5", "4"].map(|label| version(label, &ours)).into();
        let theirs = version("theirs", "deployed by hand");
        let all: Vec<Version> = versions.into_iter().chain([theirs]).collect();
        let world =
            [environment(Status::Terminating, "7", Health::Grey), environment(Status::Terminated, "6", Health::Grey)];
        let old = |keep, needed: &[&str]| -> Vec<String> {
            let labels = needed.iter().map(|label| (*label).to_owned()).collect();
            let needed = Needed { labels, digests: Vec::new() };
            beyond(&all, keep, &world, &needed).iter().map(|version| version.label.clone()).collect()
        };
        assert_eq!(old(1, &["5"]), ["8", "6", "4"]);
        assert_eq!(old(2, &[]), ["6", "5", "4"]);
        assert!(old(50, &[]).is_empty());
        let needed = Needed { labels: Vec::new(), digests: vec![Digest::of(b"1")] };
        assert!(beyond(&all, 1, &world, &needed).is_empty(), "another run deploys the image");
        let repository = recorded_repository(&all[0]).unwrap();
        assert_eq!(repository.to_string(), "127.0.0.1:5000/shop");
        assert!(recorded_repository(&all[6]).is_none());
    }
}
