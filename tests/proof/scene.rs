//! A world whose runs reach everything through proxies, with two deployments behind it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use beanline::local::github::CheckRun;
use beanline::local::plane::{PlaneClient, RegistryImage};

use super::call::Peer;
use super::desk::{Desk, Nth, Way};
use super::made::Made;
use super::proxy::Proxy;
use super::seen::Seen;
use super::support::{App, Run, Running, World};

/// Longest time for one run; an undisturbed one takes eight seconds on an idle machine.
const RUN_LIMIT: Duration = Duration::from_secs(150);

/// One world at a time starts: each would import the program as an image of its own, where the first has done so.
static STARTING: Mutex<()> = Mutex::new(());

/// A world between two runs: one environment is live, the one before it is kept.
pub struct Scene {
    /// Ended first, so that the world can stop a local cloud that nobody serves.
    _server: Running,
    pub world: World,
    pub desk: Arc<Desk>,
    number: usize,
    router: String,
    plane: PlaneClient,
    docker: String,
    github: String,
}

/// What one run is called, in the CI and on the commit.
#[derive(Clone)]
pub struct Job {
    /// The CI's id of the job.
    pub id: String,
    /// The commit.
    pub revision: String,
    /// What the application answers.
    pub text: String,
}

impl Scene {
    /// A world with the local cloud served by a process of its own, so that it outlives a killed run.
    pub fn new(number: usize) -> Self {
        let world = World::beside_others();
        let desk = Arc::new(Desk::default());
        let announced = world.path("state/beanline/local/serving.json");
        let server = {
            let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
            let mut server = world.start(&["local"], &[], &[]);
            server.wait_for("the local cloud", || fs::read(&announced).is_ok_and(|text| text.ends_with(b"}")));
            server
        };
        let mut serving: serde_json::Value = serde_json::from_slice(&fs::read(&announced).unwrap()).unwrap();
        let endpoint = serving["endpoint"].as_str().unwrap().to_owned();
        let (docker, github, cloud) = world.runtime.block_on(async {
            (
                Proxy::before_docker(desk.clone(), &world.path("docker.sock")).await,
                Proxy::before(Peer::Github, &world.github.url, desk.clone()).await,
                Proxy::before(Peer::Cloud, &endpoint, desk.clone()).await,
            )
        });
        // Whoever opens this world from now on finds its APIs behind the proxy.
        serving["endpoint"] = cloud.into();
        fs::write(&announced, serving.to_string()).unwrap();
        let (router, plane) = (world.local("ROUTER"), world.plane());
        let scene = Self { plane, router, world, desk, number, docker, github, _server: server };
        for _ in 0..2 {
            let job = scene.job();
            let run = scene.ship(&job, None).unwrap_or_else(|output| panic!("{output}"));
            run.expect(0);
        }
        scene
    }

    /// A job that was never run before, of another version than the live one.
    pub fn job(&self) -> Job {
        let id = || uuid::Uuid::new_v4().simple().to_string();
        let texts = ["one", "two"].map(|text| format!("{text} of {}", self.number));
        let live = self.answer();
        let text = texts.into_iter().find(|text| live.as_ref() != Some(text)).unwrap();
        let revision = format!("{}{}", id(), &id()[..8]);
        Job { id: id(), revision, text }
    }

    /// What live answers; nothing before the first deployment.
    pub fn answer(&self) -> Option<String> {
        World::live_behind(&self.router, "/")
    }

    /// What the registry holds.
    pub fn images(&self) -> Vec<RegistryImage> {
        self.world.runtime.block_on(self.plane.images("shop")).unwrap().unwrap_or_default()
    }

    /// Runs a job to its end, with one thing that goes wrong or none; the error is what it printed until it was ended.
    pub fn ship(&self, job: &Job, planned: Option<(Nth, Way)>) -> Result<Run, String> {
        self.desk.begin(planned);
        self.world.app(&App::version(&job.text));
        let ci = [
            ("GITLAB_CI", "true"),
            ("CI_JOB_ID", &job.id),
            ("CI_PROJECT_PATH", "octo/shop"),
            ("DOCKER_HOST", &self.docker),
            ("GITHUB_API_URL", &self.github),
        ];
        let run = self.world.begin_with(&job.revision, &[], &ci);
        self.desk.is_process(run.id());
        run.end_within(RUN_LIMIT)
    }

    /// Every docker object that a job's runs made and that is still there, apart from images that instances run.
    pub fn left_by(&self, job: &Job) -> BTreeSet<Made> {
        let (made, kept) = (self.desk.made(), self.images_of_instances());
        let label = format!("GitLab CI/octo/shop/{}", job.id);
        let is_of_job = |(there, job): &(Made, String)| made.contains(there) || *job == label;
        let is_kept = |there: &Made| matches!(there, Made::Image(name) if kept.contains(name));
        Made::all_there()
            .into_iter()
            .filter(is_of_job)
            .map(|(there, _)| there)
            .filter(|there| !is_kept(there))
            .collect()
    }

    fn images_of_instances(&self) -> BTreeSet<String> {
        let state = self.world.state();
        let instances = state["environments"].as_array().unwrap().iter().flat_map(|one| one["instances"].as_array());
        let images = instances.flatten().filter_map(|instance| instance["container"]["image"].as_str());
        images.map(str::to_owned).collect()
    }

    /// How many environments were ever made for a job's revision.
    pub fn candidates_of(&self, job: &Job) -> usize {
        let state = self.world.state();
        let all = state["environments"].as_array().unwrap().iter();
        all.filter(|one| one["version_label"] == job.revision.as_str()).count()
    }

    /// The check runs on a job's commit, oldest first.
    pub fn checks_of(&self, job: &Job) -> Vec<CheckRun> {
        let all = self.world.github.github.state().check_runs.into_iter();
        all.filter(|run| run.head_sha == job.revision).collect()
    }

    /// Removes what a job left, and has a run without disturbance put the rest in order. False when that is not enough.
    pub fn mend(&self, job: &Job) -> bool {
        self.left_by(job).iter().for_each(Made::remove);
        self.desk.forget_made();
        let next = self.job();
        let before = Seen::of(self);
        let is_done = self.ship(&next, None).is_ok_and(|run| run.code == 0);
        let is_well = is_done && before.becomes_finished(&Seen::of(self), &next).is_empty();
        is_well && self.left_by(&next).is_empty()
    }
}
