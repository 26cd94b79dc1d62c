//! Making an environment: settings from live by a template, or those of a first one.

use aws_sdk_elasticbeanstalk::operation::RequestId;
use aws_sdk_elasticbeanstalk::operation::create_environment::CreateEnvironmentOutput;
use aws_sdk_elasticbeanstalk::operation::create_environment::builders::CreateEnvironmentFluentBuilder;
use aws_sdk_elasticbeanstalk::types::Tag;

use super::call::{ApiError, again, looked_up, refused, while_doing};
use super::operation::{Kind, Operation};
use super::platform::Environment;
use super::scale::{Overrides, Size};
use super::undo::of_this_run;
use super::{Beanstalk, Live, Survey, names, settings};
use crate::engine::StageCx;
use crate::engine::retry::Failure;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::inputs::Strategy;

/// How many names are tried when others take them.
pub(super) const NAMES: u32 = 9;

/// An environment that was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// Its id.
    pub environment_id: String,
    /// The request that its events carry; absent when the answer was lost.
    pub request_id: Option<String>,
}

impl Request {
    /// Its creation, to be waited for.
    pub fn operation(&self, label: &str) -> Operation {
        Operation {
            kind: Kind::Create { label: label.to_owned() },
            environment_id: self.environment_id.clone(),
            environment: self.name.clone(),
            request_id: self.request_id.clone(),
            anchor: None,
        }
    }
}

/// Where an environment's settings come from.
enum Base<'a> {
    /// A template, and what is otherwise than there.
    Template(&'a str, Overrides),
    /// Nothing that is there.
    First,
}

impl Base<'_> {
    fn size(&self) -> Option<Size> {
        match self {
            Base::Template(_, overrides) => overrides.size,
            Base::First => None,
        }
    }
}

impl Beanstalk {
    /// Saves live's settings under a name of this run. Copied are options and platform, not tags.
    pub(super) async fn make_template(&self, cx: &StageCx, live: &Live) -> Result<String, Fault> {
        let name = format!("beanline-{}", self.context.run_id);
        self.save_as(cx, &name, &live.environment_id, &live.name).await?;
        Ok(name)
    }

    /// Saves an environment's settings under a name that only this run uses.
    pub(super) async fn save_as(&self, cx: &StageCx, name: &str, id: &str, environment: &str) -> Result<(), Fault> {
        self.register(cx, &self.template_undo(name)).await?;
        let made = looked_up(Some(cx), "CreateConfigurationTemplate", async |attempt| {
            let request = self.api.beanstalk.create_configuration_template().application_name(&self.plan.application);
            let request = request.template_name(name).environment_id(id);
            self.hold().await?;
            self.asked_template.replace(Some(name.to_owned()));
            match request.send().await.map_err(|e| refused("CreateConfigurationTemplate", e)) {
                // The name is this run's own: it is ours, and its answer was lost.
                Err(error) if attempt > 1 && error.says("already exists") => Ok(()),
                answer => Ok::<_, Failure>(answer.map(drop)?),
            }
        });
        made.await.map_err(|fault| while_doing(format!("could not copy the settings of {environment}"), fault))?;
        self.asked_template.replace(None);
        Ok(())
    }

    /// Deletes the template as soon as it has served; if that fails, it is tried again at the end of the stage.
    pub(super) async fn drop_template(&self, cx: &StageCx, name: String) -> Result<(), Fault> {
        let undo = self.template_undo(&name);
        let deleted = again(Some(cx), "DeleteConfigurationTemplate", async || self.delete_template(&name).await);
        if deleted.await.is_ok() {
            return self.unregister(cx, &undo).await;
        }
        // It stays in the journal until the run has ended.
        cx.settle(&undo);
        cx.cleanup(undo);
        Ok(())
    }

    pub(super) fn template_undo(&self, name: &str) -> Undo {
        let (application, template) = (self.plan.application.clone(), name.to_owned());
        Undo::RemoveTemplate { application, template, region: self.region.clone() }
    }

    /// Asks for the candidate, under the first name that is free.
    ///
    /// The undo of a name is on the stack before the name is asked for; it ends only an environment of this run.
    pub(super) async fn make_environment(
        &self,
        cx: &StageCx,
        survey: &Survey,
        template: Option<&str>,
    ) -> Result<Request, Fault> {
        let stem = names::stem_of(&survey.candidate_name).0;
        let base = match (template, &survey.live) {
            (Some(template), Some(live)) => Base::Template(template, self.overrides(cx, live).await?),
            (Some(template), None) => Base::Template(template, Overrides::default()),
            (None, _) => Base::First,
        };
        for attempt in survey.attempt..survey.attempt + NAMES {
            let name = match self.plan.strategy {
                // What is updated in place later is known by the name it is given now.
                Strategy::InPlace => survey.candidate_name.clone(),
                _ => names::candidate(stem, &self.context.run_key, attempt),
            };
            let undo = self.end_of(survey, &name);
            self.register(cx, &undo).await?;
            let back = base.size().map(|size| self.give_back(survey, &name, size));
            self.write(|work| {
                work.site.asked = Some(name.clone());
                // Nothing to undo: it is done when the environment is live, by whichever run.
                work.undo.retain(|undo| !matches!(undo, Undo::GiveSizeBack { .. }));
                work.undo.extend(back.clone());
            })
            .await?;
            self.raised.replace(back);
            let prefix = if survey.live.is_some() { &name } else { &survey.live_prefix };
            let made = looked_up(Some(cx), "CreateEnvironment", async |attempt| {
                self.create_environment(cx, survey, &base, &name, prefix, attempt).await
            });
            match made.await.map_err(|fault| while_doing(format!("could not make environment {name}"), fault))? {
                Some((environment_id, request_id)) => return Ok(Request { name, environment_id, request_id }),
                None => self.unregister(cx, &undo).await?,
            }
            if survey.live.is_none() {
                break;
            }
            cx.note(format!("the name {name} was taken meanwhile"));
        }
        Err(Fault::new(format!("could not make an environment for {}", survey.live_cname))
            .cause(format!("every name that was tried is taken, the last of them or {}", survey.live_prefix))
            .hint("run again; a terminated environment's name is free once it is gone"))
    }

    /// One attempt; `None` when the name or its CNAME belongs to somebody else.
    async fn create_environment(
        &self,
        cx: &StageCx,
        survey: &Survey,
        base: &Base<'_>,
        name: &str,
        prefix: &str,
        attempt: u32,
    ) -> Result<Option<(String, Option<String>)>, Failure> {
        if attempt > 1
            && let Some(found) = self.named(name).await?
        {
            return Ok(self.is_of_this_run(&found).then_some((found.id, None)));
        }
        let (label, application) = (self.label(), &self.plan.application);
        let request = self.api.beanstalk.create_environment().application_name(application).environment_name(name);
        let request = request.version_label(label).cname_prefix(prefix).description(self.environment_description());
        let request = request.set_tags(Some(self.tags(&survey.live_cname)));
        let request = match base {
            Base::Template(template, overrides) => {
                let settings = Some(overrides.settings.clone()).filter(|settings| !settings.is_empty());
                request.template_name(*template).set_option_settings(settings)
            }
            Base::First => request
                .set_solution_stack_name(survey.solution_stack.clone())
                .set_option_settings(Some(settings::first(&self.plan))),
        };
        // Before it is sent: this may be dropped at any await, and the environment is made nevertheless.
        self.asked_for.replace(Some(name.to_owned()));
        let answer = self.send_creation(cx, request).await;
        // An earlier attempt whose answer was lost may still be on its way.
        if attempt == 1 && answer.as_ref().is_err_and(|error| !error.passing) {
            self.asked_for.replace(None);
        }
        match answer {
            Err(error) if error.says("already exists") || error.says("is not available") => {
                // A first answer that was lost looks the same; what it made may show late.
                Ok(of_this_run(self, name).await?.map(|found| (found.id, None)))
            }
            answer => {
                let answer = answer?;
                let request_id = answer.request_id().map(str::to_owned);
                Ok(Some((answer.environment_id.unwrap_or_default(), request_id)))
            }
        }
    }

    /// Sends it; without tags, where tagging is denied.
    async fn send_creation(
        &self,
        cx: &StageCx,
        request: CreateEnvironmentFluentBuilder,
    ) -> Result<CreateEnvironmentOutput, ApiError> {
        self.hold().await?;
        match request.clone().send().await.map_err(|e| refused("CreateEnvironment", e)) {
            Err(error) if error.is_denied() && error.says("AddTags") => {
                cx.warn("tagging is denied: the environment goes without tags, so later runs will not clean it up");
                request.set_tags(None).send().await.map_err(|e| refused("CreateEnvironment", e))
            }
            answer => answer,
        }
    }

    /// The environment of that name in the whole region that is not gone yet.
    pub(super) async fn named(&self, name: &str) -> Result<Option<Environment>, Failure> {
        let found = self.api.environments(None, &[]).await?;
        let gone = super::platform::Status::Terminated;
        Ok(found.into_iter().find(|environment| environment.name == name && environment.status != gone))
    }

    /// Whether this run made it, or one whose work it has taken over: its description says so.
    pub(super) fn is_of_this_run(&self, environment: &Environment) -> bool {
        let is_of = |run: &str| environment.description.starts_with(&signature(run));
        environment.application == self.plan.application
            && (is_of(&self.context.run_id) || self.adopted.borrow().iter().any(|run| is_of(run)))
    }

    fn environment_description(&self) -> String {
        let url = self.context.run_url.as_deref().unwrap_or_default();
        let text = format!("{} revision {} {url}", signature(&self.context.run_id), self.context.revision);
        names::cut(text.trim_end(), 200).to_owned()
    }

    /// When what is made now may be removed by others; Unix seconds by the cloud's clock.
    fn expires(&self) -> i64 {
        self.context.clock.unix() + i64::try_from(self.context.lifetime.as_secs()).unwrap_or(i64::from(u32::MAX))
    }

    fn tags(&self, live_cname: &str) -> Vec<Tag> {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(names::cut(value, 256)).build();
        let mut tags = vec![
            tag(super::clean_up::RUN_TAG, &self.context.run_id),
            tag("beanline:key", &self.context.run_key),
            tag(super::clean_up::LIVE_TAG, live_cname),
        ];
        if self.plan.strategy == Strategy::BlueGreen {
            // Others stay for good once they are handed over.
            tags.push(tag(super::clean_up::EXPIRES_TAG, &self.expires().to_string()));
        }
        tags
    }
}

/// What the description of every environment that a run makes begins with.
fn signature(run: &str) -> String {
    format!("{MADE_BY}{run};")
}

/// What these descriptions have in common.
const MADE_BY: &str = "beanline run ";

/// Whether some run made it.
pub(super) fn is_of_a_run(environment: &Environment) -> bool {
    environment.description.starts_with(MADE_BY)
}
