//! The embedded cloud: `cloud=local` needs a docker daemon on this machine and nothing else.
//!
//! The data plane ([`plane`], in one container: registry, router, name server) outlives a run; the control plane
//! ([`control`], [`github`]: the APIs with their real wire protocols) is in the run's own process, or in `beanline local`
//! for several runs and other clients. What it knows is one file in a directory.

pub mod container;
pub mod control;
mod directory;
pub mod forward;
pub mod github;
pub mod journal;
pub mod plane;
mod serving;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::docker::{Docker, Login};
use crate::fault::Fault;
use crate::inputs::{GithubPlan, Plan, Secret};
use container::PlaneContainer;
use control::beanstalk::Pace;
use control::beanstalk::model::Status;
use control::nodes::Ground;
use control::state::Store;
use control::{ControlPlane, Settings};
use serving::{KeptGithub, Seat, Serving};

/// The file of the control plane's state.
const STATE: &str = "state.json";

/// What GitHub's check runs are reported under when nothing says which repository it is.
const NO_REPOSITORY: &str = "local/local";

/// A token that the embedded GitHub takes: any.
const GITHUB_TOKEN: &str = "ghs_localcloud";

/// An open local cloud. When it is dropped its control plane ends; environments and registry go on.
pub struct LocalCloud {
    /// The world's id; every docker object of it is labelled with it.
    pub world: String,
    /// Where its state is.
    pub directory: PathBuf,
    /// The control plane: `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// Its one region.
    pub region: String,
    /// The registry: `127.0.0.1:PORT`.
    pub registry: String,
    /// The docker network of instances and tests.
    pub network: String,
    /// The name server on it.
    pub dns: IpAddr,
    /// The router's port on 127.0.0.1.
    pub public_port: u16,
    github_url: String,
    _plane: PlaneContainer,
    _own: Option<(ControlPlane, KeptGithub, Seat)>,
}

impl LocalCloud {
    /// Opens the world of a directory for one run; makes it if there is none.
    ///
    /// # Errors
    /// The daemon is on another machine, another run has the world open, or docker refuses.
    pub async fn open(docker: &Docker, directory: &Path) -> Result<Self, Fault> {
        Self::open_as(docker, directory, false).await
    }

    /// Whether a directory holds a world.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(STATE).is_file()
    }

    /// Opens it for several runs and other clients, as `beanline local` does.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub async fn serve(docker: &Docker, directory: &Path) -> Result<Self, Fault> {
        Self::open_as(docker, directory, true).await
    }

    async fn open_as(docker: &Docker, directory: &Path, for_others: bool) -> Result<Self, Fault> {
        if !docker.is_on_this_machine() {
            return Err(Fault::new(
                "`cloud=local` needs a docker daemon on this machine, and DOCKER_HOST names another",
            )
            .hint("unset DOCKER_HOST, or use `cloud=aws`"));
        }
        let file = directory.join(STATE);
        match Serving::take(directory)? {
            Ok(seat) => {
                let store = Store::open(&file, &new_world())?;
                let plane = ensure_plane(docker, &store).await?;
                let settings = Settings {
                    port: 0,
                    directory: directory.to_owned(),
                    store: store.clone(),
                    pace: Pace::default(),
                    plane: plane.client.clone(),
                    registry: plane.registry(),
                };
                let mut control = ControlPlane::start(settings).await?;
                control.run_instances(docker.clone(), ground(&store, &plane));
                let github = KeptGithub::start(directory).await?;
                let (endpoint, url) = (control.endpoint().to_owned(), github.url().to_owned());
                seat.announce(&Serving { endpoint: endpoint.clone(), github: url.clone(), for_others })?;
                Ok(Self::of(directory, &store, plane, (endpoint, url), Some((control, github, seat))))
            }
            Err(Serving { endpoint, github, for_others: true }) if !for_others => {
                let store = Store::look(&file)?;
                let plane = ensure_plane(docker, &store).await?;
                Ok(Self::of(directory, &store, plane, (endpoint, github), None))
            }
            Err(Serving { endpoint, for_others: true, .. }) => {
                Err(Fault::new("the local cloud is being served already")
                    .cause(format!("its APIs answer at {endpoint}"))
                    .hint("use that one, or end it first"))
            }
            Err(Serving { endpoint, .. }) => Err(Fault::new("the local cloud is in use by a run")
                .cause(format!("its APIs answer at {endpoint}"))
                .hint("wait until that run has ended")
                .hint("for several runs at once keep `beanline local` running in another terminal")),
        }
    }

    fn of(
        directory: &Path,
        store: &Store,
        plane: PlaneContainer,
        (endpoint, github_url): (String, String),
        own: Option<(ControlPlane, KeptGithub, Seat)>,
    ) -> Self {
        Self {
            world: store.read(|state| state.world.clone()),
            directory: directory.to_owned(),
            endpoint,
            region: control::REGION.to_owned(),
            registry: plane.registry(),
            network: plane.network.clone(),
            dns: plane.address,
            public_port: plane.router_port,
            github_url,
            _plane: plane,
            _own: own,
        }
    }

    /// Where check runs go when there is no token for the real GitHub.
    pub fn github(&self, plan: &Plan) -> Option<GithubPlan> {
        Some(GithubPlan {
            api_url: self.github_url.clone(),
            token: Secret::open(GITHUB_TOKEN),
            repository: plan.ci.repository.clone().unwrap_or_else(|| NO_REPOSITORY.to_owned()),
            sha: plan.ci.sha.clone().unwrap_or_else(|| plan.revision.clone()),
        })
    }

    /// What other clients need to look at it, as `NAME=value` lines.
    pub fn status(&self) -> String {
        format!(
            "AWS_ENDPOINT_URL={}\nAWS_REGION={}\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nGITHUB_API_URL={}\n",
            self.endpoint,
            self.region,
            control::ACCESS_KEY,
            control::ACCESS_KEY,
            self.github_url
        ) + &self._plane.status(&self.world)
    }

    /// The same of a world that need not be open: without the control plane's lines if it is not.
    ///
    /// # Errors
    /// There is no such world, or its data plane does not run.
    pub async fn status_of(docker: &Docker, directory: &Path) -> Result<String, Fault> {
        let store = existing(directory)?;
        let (world, token) = store.read(|state| (state.world.clone(), state.admin_token.clone()));
        let plane = container::find(docker, &world, &token).await?.ok_or_else(|| {
            Fault::new("the local cloud's data plane does not run")
                .cause("it ended by its expiry, or somebody stopped it; its registry is gone with it")
                .hint("remove the rest with: beanline local stop")
        })?;
        let mut text = plane.status(&store.read(|state| state.world.clone()));
        let mut names = store.read(|state| {
            let standing = state.environments.iter().filter(|environment| environment.status != Status::Terminated);
            standing.map(|environment| environment.cname.clone()).collect::<Vec<_>>()
        });
        // The live name is the shortest: candidates are named after it.
        names.sort_by_key(String::len);
        for name in names {
            let prefix = name.strip_suffix(container::CNAME_SUFFIX).unwrap_or(&name);
            text += &format!("URL=http://{prefix}.localhost:{}/\n", plane.router_port);
        }
        Ok(text)
    }

    /// Removes a world with everything in it, and says whether there was one.
    ///
    /// # Errors
    /// It is in use, or docker refuses.
    pub async fn stop(docker: &Docker, directory: &Path) -> Result<bool, Fault> {
        if !Self::is_in(directory) {
            return Ok(false);
        }
        let seat = match Serving::take(directory)? {
            Ok(seat) => seat,
            Err(_) => {
                return Err(Fault::new("the local cloud is in use by another process").hint("end that process first"));
            }
        };
        let (world, pulled) = existing(directory)?.read(|state| {
            let instances = state.environments.iter().flat_map(|environment| &environment.instances);
            let images = instances.filter_map(|instance| Some(instance.container.as_ref()?.image.clone()));
            (state.world.clone(), images.collect::<Vec<_>>())
        });
        container::remove_all(docker, &world, &pulled).await?;
        std::fs::remove_dir_all(directory)
            .map_err(|error| Fault::new(format!("could not remove {}", directory.display())).because(error))?;
        // Ours too, unless something else is in it.
        directory.parent().map(std::fs::remove_dir);
        drop(seat);
        Ok(true)
    }
}

fn new_world() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect()
}

fn existing(directory: &Path) -> Result<Store, Fault> {
    let file = directory.join(STATE);
    match file.is_file() {
        true => Store::look(&file),
        false => Err(Fault::new("there is no local cloud yet").hint("start one with: beanline local")),
    }
}

/// What instances stand on.
fn ground(store: &Store, plane: &PlaneContainer) -> Ground {
    let (world, password) = store.read(|state| (state.world.clone(), state.registry_password.clone()));
    Ground {
        world,
        network: plane.network.clone(),
        dns: vec![plane.address.to_string()],
        registry: Login {
            host: plane.registry(),
            username: plane::REGISTRY_USER.to_owned(),
            password: Secret::new(password),
        },
    }
}

async fn ensure_plane(docker: &Docker, store: &Store) -> Result<PlaneContainer, Fault> {
    let secrets = store.read(|state| (state.world.clone(), state.registry_password.clone(), state.admin_token.clone()));
    container::ensure(docker, &secrets.0, &secrets.1, &secrets.2).await
}
