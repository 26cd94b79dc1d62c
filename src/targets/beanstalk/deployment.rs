//! A deployment, whatever the strategy: from the run's turn to the verdict on the environment that has the image.

use super::environment::Request;
use super::operation::Operation;
use super::platform::Environment;
use super::resume::Start;
use super::verdict::{Proof, Witness};
use super::{Beanstalk, Candidate, Deployed, ImageToDeploy, Standing, Survey, hints, logs, wait};
use crate::engine::StageCx;
use crate::engine::event::{Fact, Role};
use crate::fault::Fault;

impl Beanstalk {
    /// Brings the image up in an environment: bundle, application version, environment, verdict. The site is this run's
    /// from the begin on, and what an earlier run of the same deployment made is taken over.
    ///
    /// # Errors
    /// Why it did not come up, with the last lines of its logs. What was made stands on the undo stack.
    pub async fn deploy(&self, cx: &StageCx, surveyed: &Survey, image: &ImageToDeploy) -> Result<Deployed, Fault> {
        let bundle = self.bundle_of(image)?;
        let (survey, made) = match self.begin(cx, surveyed, image).await? {
            Start::Standing(survey, environment) => return Ok(self.stands(cx, survey, *environment)),
            Start::Attached(survey, environment) => {
                cx.fact(Fact::Version { label: self.label().to_owned(), reused: true });
                let candidate = self.candidate(cx, *environment, Standing::Apart);
                return Ok(Deployed { survey, candidate });
            }
            Start::Resumed(survey, environment) => (survey, Some(environment)),
            Start::New(survey) => (survey, None),
        };
        let candidate = match (&survey.update, made) {
            (Some(standing), _) => self.update(cx, &survey, standing, image, &bundle).await?,
            (None, Some(environment)) => {
                self.make_version(cx, image, &bundle).await?;
                let (name, environment_id) = (environment.name.clone(), environment.id.clone());
                let made = Request { name, environment_id, request_id: None };
                self.verdict_on(cx, &survey, &made, &made.operation(self.label())).await?
            }
            (None, None) => {
                let made = self.make(cx, &survey, image, &bundle).await?;
                self.verdict_on(cx, &survey, &made, &made.operation(self.label())).await?
            }
        };
        Ok(Deployed { survey, candidate })
    }

    /// Makes the version, and tells no environment of it.
    ///
    /// # Errors
    /// Why it could not be made.
    pub async fn make_version_alone(&self, cx: &StageCx, survey: &Survey, image: &ImageToDeploy) -> Result<(), Fault> {
        let bundle = self.bundle_of(image)?;
        if !survey.application_exists {
            self.make_application(cx).await?;
        }
        self.make_version(cx, image, &bundle).await
    }

    /// Live runs this very deployment already.
    fn stands(&self, cx: &StageCx, survey: Survey, environment: Environment) -> Deployed {
        self.stood.set(true);
        cx.fact(Fact::Version { label: self.label().to_owned(), reused: true });
        if let Some(previous) = &survey.live {
            let (name, version) = (previous.name.clone(), previous.version_label.clone());
            cx.fact(Fact::Previous { name, version });
        }
        let candidate = self.candidate(cx, environment, Standing::Before);
        Deployed { survey, candidate }
    }

    /// Waits for the verdict on the environment that was made or updated.
    pub(super) async fn verdict_on(
        &self,
        cx: &StageCx,
        survey: &Survey,
        made: &Request,
        operation: &Operation,
    ) -> Result<Candidate, Fault> {
        let limit = self.plan.deploy_timeout;
        let concluded = wait::conclude(&self.watcher, Some(cx), operation, &self.demand(), limit).await;
        let fault = match concluded.map(|concluded| (concluded.proof, concluded.environment)) {
            Ok((proof, Some(environment))) => {
                self.say_proof(cx, proof, &environment.name);
                let standing = match survey.live {
                    None => Standing::First,
                    Some(_) if survey.is_in_place() => Standing::InPlace,
                    Some(_) if environment.cname == survey.live_cname => Standing::Swapped,
                    Some(_) => Standing::Apart,
                };
                return Ok(self.candidate(cx, environment, standing));
            }
            Ok((_, None)) => Fault::new(format!("environment {} is gone", made.name)),
            Err(fault) => fault,
        };
        Err(hints::with_hints(logs::with_logs(&self.api, cx, made, &self.pace, fault).await))
    }

    fn candidate(&self, cx: &StageCx, environment: Environment, standing: Standing) -> Candidate {
        let role = match standing {
            Standing::Apart => Some(Role::Candidate),
            // It was told when the update began.
            Standing::InPlace => None,
            Standing::First | Standing::Swapped | Standing::Before => Some(Role::Live),
        };
        if let Some(role) = role {
            self.tell_of(cx, role, (&environment.id, &environment.name), &environment.cname);
        }
        Candidate {
            environment_id: environment.id,
            name: environment.name,
            cname: environment.cname,
            version_label: self.label().to_owned(),
            standing,
        }
    }

    /// Tells which environment has the image. A worker has no address.
    pub(super) fn tell_of(&self, cx: &StageCx, role: Role, (id, name): (&str, &str), cname: &str) {
        let url = if cname.is_empty() { String::new() } else { (self.context.url_of)(cname) };
        cx.fact(Fact::Environment { role, name: name.to_owned(), id: id.to_owned(), url });
    }

    fn say_proof(&self, cx: &StageCx, proof: Proof, name: &str) {
        if proof.by == Witness::State {
            cx.note("no success event came within a minute; every instance reports the version, which counts instead");
        }
        cx.note(match proof.instances {
            Some(count) => format!("{count} of {count} instances of {name} run version {}", self.label()),
            None => format!("{name} has basic health: its instances cannot be asked one by one"),
        });
    }
}
