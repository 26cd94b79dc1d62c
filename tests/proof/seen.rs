//! What the world looks like as a whole, and how it may differ after a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::scene::{Job, Scene};

/// The name that is live.
const LIVE: &str = "shop.local.elasticbeanstalk.com";

/// How long operations of the local cloud may go on after a run.
const SETTLE: Duration = Duration::from_secs(20);

/// Where the platform itself writes, without being asked.
const PLATFORM_LOGS: &str = "resources/environments/logs/";

/// What the tag of a version begins with.
const OWN: &str = "eb-";

/// An environment that is not terminated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub status: String,
    pub cname: String,
    pub label: String,
}

/// Everything in the world that outlives a run, when nothing moves in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// By id.
    pub environments: BTreeMap<String, Standing>,
    /// Labels, each as often as it is there.
    pub versions: Vec<String>,
    pub templates: Vec<String>,
    pub applications: Vec<String>,
    /// Bucket and key.
    pub objects: BTreeSet<String>,
    /// Digests by tag.
    pub tags: BTreeMap<String, String>,
    /// What live answers.
    pub answer: Option<String>,
}

impl Seen {
    /// Looks, once everything has come to rest.
    pub fn of(scene: &Scene) -> Self {
        let began = Instant::now();
        loop {
            let seen = Self::now(scene);
            let rests = seen.environments.values().all(|one| one.status == "Ready");
            if rests || began.elapsed() > SETTLE {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn now(scene: &Scene) -> Self {
        let state = scene.world.state();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let list = |name: &str| state[name].as_array().cloned().unwrap_or_default();
        let standing = |one: &serde_json::Value| Standing {
            status: text(&one["status"]),
            cname: text(&one["cname"]),
            label: text(&one["version_label"]),
        };
        let environments = list("environments");
        let there = environments.iter().filter(|one| one["status"] != "Terminated");
        let tags = scene.images().into_iter().flat_map(|image| {
            let digest = image.digest.to_string();
            image.tags.into_iter().map(move |tag| (tag, digest.clone()))
        });
        Self {
            environments: there.map(|one| (text(&one["id"]), standing(one))).collect(),
            versions: list("versions").iter().map(|one| text(&one["label"])).collect(),
            templates: list("templates").iter().map(|one| text(&one["name"])).collect(),
            applications: state["applications"]
                .as_object()
                .map(|all| all.keys().cloned().collect())
                .unwrap_or_default(),
            objects: objects(&scene.world.path("state/beanline/local/s3")),
            tags: tags.collect(),
            answer: scene.answer(),
        }
    }

    /// What is wrong if a deployment of this job should have led from here to there.
    pub fn becomes_finished(&self, after: &Self, job: &Job) -> Vec<String> {
        let mut wrong = self.new_things(after, job, 1);
        let Some((was_live, _)) = self.live() else { return vec!["nothing was live before".to_owned()] };
        match after.live() {
            None => wrong.push(format!("nothing is live: {:?}", after.environments)),
            Some((id, _)) if id == was_live => wrong.push("live is still what it was".to_owned()),
            Some((id, live)) => {
                if self.environments.contains_key(id) || live.label != job.revision || live.status != "Ready" {
                    wrong.push(format!("live is no new environment, Ready with the new version: {live:?}"));
                }
                let others: Vec<&String> = after.environments.keys().filter(|other| *other != id).collect();
                if others != [was_live] {
                    wrong.push(format!("beside live there should be only {was_live}: {:?}", after.environments));
                }
            }
        }
        if after.answer.as_ref() != Some(&job.text) {
            wrong.push(format!("live answers {:?}, not {:?}", after.answer, job.text));
        }
        wrong
    }

    /// What is wrong if a run of this job should have left everything as it was; versions with their bundles and pushed
    /// tags are handed over by every run that got so far.
    pub fn stays(&self, after: &Self, job: &Job) -> Vec<String> {
        let mut wrong = self.new_things(after, job, 0);
        if self.environments != after.environments {
            wrong.push(format!("environments were {:?} and are {:?}", self.environments, after.environments));
        }
        if self.answer != after.answer {
            wrong.push(format!("live answered {:?} and answers {:?}", self.answer, after.answer));
        }
        wrong
    }

    /// What is wrong with versions, bundles, tags, templates and applications, when at least so many and at most one of
    /// the first three are new.
    fn new_things(&self, after: &Self, job: &Job, least: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, before: Vec<String>, after: Vec<String>, of_job: bool| {
            let (gone, new) = (without(&before, &after), without(&after, &before));
            let is_right = gone.is_empty() && (least..=1).contains(&new.len());
            if !is_right || (of_job && new.iter().any(|one| *one != job.revision)) {
                wrong.push(format!("{what}: new are {new:?}, gone are {gone:?}"));
            }
        };
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let tags = |seen: &Self| seen.tags.keys().filter(|tag| !tag.starts_with(OWN)).cloned().collect::<Vec<_>>();
        let own = |seen: &Self| seen.tags.keys().filter_map(|tag| tag.strip_prefix(OWN)).map(str::to_owned).collect();
        compare("versions", self.versions.clone(), after.versions.clone(), true);
        compare("tags", tags(self), tags(after), true);
        compare("tags of versions", own(self), own(after), true);
        compare("objects", list(&self.objects), list(&after.objects), false);
        let kept = self.tags.iter().filter(|(tag, digest)| after.tags.get(*tag).is_some_and(|now| now != *digest));
        wrong.extend(kept.map(|(tag, _)| format!("tag {tag} was moved")));
        if (&self.templates, &self.applications) != (&after.templates, &after.applications) {
            wrong.push(format!("templates {:?}, applications {:?}", after.templates, after.applications));
        }
        wrong
    }

    fn live(&self) -> Option<(&String, &Standing)> {
        let mut holders = self.environments.iter().filter(|(_, one)| one.cname == LIVE);
        holders.next().filter(|_| holders.next().is_none())
    }
}

/// What is in the first list more often than in the second.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    let mut rest = those.to_vec();
    let mut new = Vec::new();
    for one in these {
        match rest.iter().position(|other| other == one) {
            Some(at) => drop(rest.swap_remove(at)),
            None => new.push(one.clone()),
        }
    }
    new
}

/// The objects of the local S3: each has a file of facts in its bucket's directory.
fn objects(root: &Path) -> BTreeSet<String> {
    let list =
        |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let mut found = BTreeSet::new();
    for bucket in list(root) {
        for file in list(&bucket) {
            let facts: serde_json::Value =
                fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
            let key = facts["key"].as_str().filter(|key| facts["etag"].is_string() && !key.starts_with(PLATFORM_LOGS));
            if let Some(key) = key {
                found.insert(format!("{}/{key}", bucket.file_name().unwrap_or_default().display()));
            }
        }
    }
    found
}
