//! check: every question is asked before anything is changed. Nothing in here makes or removes anything.

use std::cell::OnceCell;

use super::build::check_recipe;
use super::build_session::check_agents;
use super::logins::Logins;
use super::push::{PushedImage, find_pushed, find_tested};
use super::{GRACE, port_of};
use crate::cloud::Cloud;
use crate::docker::{DaemonEnv, Docker};
use crate::engine::StageCx;
use crate::fault::Fault;
use crate::image::{Digest, TaggedRef};
use crate::inputs::{BeanstalkPlan, Elsewhere, OtherImage, Place, Plan, RunKind, SitePlan};
use crate::registry::Registry;
use crate::targets::Site;
use crate::targets::beanstalk::bundle::{Bundle, Names};
use crate::targets::beanstalk::{Beanstalk, SiteContext, Survey};

/// Answers to the questions, and the clients that gave them.
pub struct Checked {
    /// The daemon, if the run needs one.
    pub docker: Option<Docker>,
    /// The registry, if the run needs one.
    pub registry: Option<Registry>,
    /// Where to deploy to, with what was found there.
    pub sites: Vec<(Site, Survey)>,
    /// The image that was pushed earlier: for `run: deploy`, and with `build: if-missing` when it is there.
    pub found: Option<PushedImage>,
    /// The image that acceptance tests run in, where that is not the application's own: known when it has been fetched.
    pub tests_in: OnceCell<String>,
    /// Logins for images of others.
    pub logins: Logins,
}

impl Checked {
    /// The daemon.
    ///
    /// # Errors
    /// When the check stage had no reason to look for one.
    pub fn docker(&self) -> Result<&Docker, Fault> {
        self.docker.as_ref().ok_or_else(|| Fault::new("this run has no docker engine"))
    }

    /// The registry.
    ///
    /// # Errors
    /// When the check stage had no reason to look for one.
    pub fn registry(&self) -> Result<&Registry, Fault> {
        self.registry.as_ref().ok_or_else(|| Fault::new("this run has no registry"))
    }
}

/// Asks engine, registry and cloud.
///
/// # Errors
/// The first answer that makes the run pointless.
pub async fn check(
    cx: &StageCx,
    plan: &Plan,
    cloud: &Cloud,
    docker: Option<Docker>,
    env: &DaemonEnv,
) -> Result<Checked, Fault> {
    plan.notes.iter().for_each(|note| cx.note(note.as_str()));
    let makes_image = plan.run.makes_image();
    let docker = match docker {
        Some(docker) => Some(docker),
        None if makes_image => Some(Docker::connect(env).await?),
        // What runs left on an engine goes where there is one.
        None if plan.run == RunKind::Cleanup => Docker::connect(env).await.ok(),
        None => None,
    };
    if makes_image {
        check_context(plan)?;
        check_agents(&plan.build.recipe.session.agents)?;
        check_test_files(plan)?;
        let has_tests = Place::ALL.iter().any(|place| plan.acceptance.has_tests_on(*place));
        if plan.unit_test.is_none() && !has_tests {
            cx.warn(match plan.acceptance.on.contains(&Place::Container) {
                true => "no test is set: the image is only started and asked whether it is ready; see `test_command`",
                false => {
                    "no test is set, and `acceptance_on` leaves the container out: the image is not started either"
                }
            });
        }
        cx.note(format!("docker engine: {}", docker.as_ref().map_or("none", Docker::platform)));
    } else if plan.acceptance.command.is_some() && plan.run != RunKind::Cleanup {
        let what = format!("`acceptance_command` needs a docker engine, and `run: {}` has none", plan.run.word());
        let hint = "use `acceptance_http`, or run the whole pipeline; `acceptance_image` does not change that";
        return Err(Fault::new(what).hint(hint));
    }
    let registry = match plan.run {
        RunKind::Test => None,
        run if run.is_about_what_stands() => None,
        _ => Some(Registry::open(&plan.image.repository, &plan.registry, cloud.sdk()).await?),
    };
    if let Some(login) = registry.as_ref().and_then(Registry::login) {
        cx.secret(&login.password);
    }
    let mut sites = Vec::new();
    for site in &plan.sites {
        let SitePlan::Beanstalk(beanstalk) = site;
        check_bundle(plan, beanstalk)?;
        let target = open_site(plan, cloud, beanstalk)?;
        let survey = survey(cx, plan, &target).await?;
        sites.push((Site::Beanstalk(target), survey));
    }
    if let Some(registry) = &registry {
        let later = plan.registry.create_repository && makes_image;
        let notes = if later { registry.check_login().await? } else { registry.check(false).await? };
        notes.into_iter().for_each(|note| cx.note(note));
        if let Some(warning) = registry.warning_for_instances().filter(|_| !plan.sites.is_empty()) {
            cx.warn(warning);
        }
    }
    let found = match (plan.run, &registry) {
        (RunKind::Deploy, Some(registry)) => Some(find_pushed(cx, registry, &reference(plan)).await?),
        (RunKind::Pipeline | RunKind::Push, Some(registry)) if plan.build.if_missing => {
            find_tested(cx, registry, &reference(plan), &plan.revision, plan.build.recipe.platform.as_deref()).await?
        }
        _ => None,
    };
    if makes_image && found.is_none() {
        check_recipe(cx, plan)?;
    }
    if let Some(registry) = registry.as_ref().filter(|_| makes_image)
        && (found.is_none() || !plan.image.extra_tags.is_empty())
    {
        registry.check_push().await?;
        let name = reference(plan);
        if found.is_none() && registry.digest_if_seen(&name.tag).await?.is_some() && registry.keeps(&name.tag).await? {
            cx.warn(format!(
                "{name} is in the registry already, and its tags are immutable: push will fail unless this run builds the \
                 same image; see `build`, which can be if-missing"
            ));
        }
    }
    if let Some(image) = &found {
        for SitePlan::Beanstalk(site) in &plan.sites {
            port_of(&image.ports, site.port)?;
        }
        for (Site::Beanstalk(target), survey) in &sites {
            target.check_architecture(survey, &image.architectures)?;
        }
    }
    Ok(Checked { docker, registry, sites, found, tests_in: OnceCell::new(), logins: Logins::of(plan, cloud.sdk()) })
}

/// A site as this run sees it. Nobody is asked anything yet.
///
/// # Errors
/// The run has no cloud.
pub fn open_site(plan: &Plan, cloud: &Cloud, site: &BeanstalkPlan) -> Result<Beanstalk, Fault> {
    let context = SiteContext {
        run_id: plan.run_id.clone(),
        run_key: plan.run_key.clone(),
        revision: plan.revision.clone(),
        run_url: plan.ci.run_url.clone(),
        job: plan.ci.job.clone(),
        about: about(plan),
        lifetime: plan.timeout + GRACE,
        clock: cloud.clock().clone(),
        journals: cloud.journals(),
        url_of: cloud.urls(),
    };
    let sdk = cloud.sdk().ok_or_else(|| Fault::new("there is no AWS configuration for this run"))?;
    Ok(Beanstalk::new(sdk, cloud.path_style(), site.clone(), context))
}

/// What a run must know of its site before it begins.
async fn survey(cx: &StageCx, plan: &Plan, target: &Beanstalk) -> Result<Survey, Fault> {
    match plan.run {
        // What a killed first deployment left has no live beside it.
        RunKind::Cleanup => target.survey_what_is_there(cx).await,
        RunKind::Promote => {
            let survey = target.survey_standing(cx).await?;
            target.check_waiting(cx, &survey).await?;
            Ok(survey)
        }
        RunKind::Rollback | RunKind::Configure => target.survey_standing(cx).await,
        _ => target.survey(cx).await,
    }
}

/// What the run is about, for people.
pub fn about(plan: &Plan) -> String {
    format!("{} at {}", plan.name, plan.revision.get(..12).unwrap_or(&plan.revision))
}

/// The name under which the image is pushed.
pub fn reference(plan: &Plan) -> TaggedRef {
    TaggedRef { repository: plan.image.repository.clone(), tag: plan.image.tag.clone() }
}

fn check_context(plan: &Plan) -> Result<(), Fault> {
    let context = &plan.build.recipe.context;
    if !context.is_dir() {
        return Err(Fault::new(format!("the build context {} is not a directory", context.display())).hint(
            "set `context` to the directory that holds the Dockerfile; it is relative to the working directory",
        ));
    }
    let of_tests = plan.unit_test.as_ref().and_then(|tests| tests.elsewhere.as_ref()).map(Elsewhere::image);
    let of_tests = match of_tests {
        Some(OtherImage::Dockerfile(path)) => Some(("test_dockerfile", path)),
        Some(OtherImage::Target(_)) | None => None,
    };
    for (input, path) in [("dockerfile", &plan.build.recipe.dockerfile)].into_iter().chain(of_tests) {
        if !context.join(path).is_file() {
            return Err(Fault::new(format!("there is no {path} in {}", context.display()))
                .hint(format!("set `{input}` to its path inside the context")));
        }
    }
    Ok(())
}

/// What goes to the instances must be fit for it, whatever the image will be.
fn check_bundle(plan: &Plan, site: &BeanstalkPlan) -> Result<(), Fault> {
    if plan.run.is_about_what_stands() {
        return Ok(());
    }
    let bundle = Bundle::read(site.bundle.as_deref())?;
    bundle.refuse_secrets(&plan.report.masks)?;
    let (image, digest) = (reference(plan), Digest::of(b""));
    let names = Names {
        image: &image,
        known_as: &image,
        digest: &digest,
        port: site.port.unwrap_or(80),
        version_label: &site.version_label,
        bucket: site.bucket.as_deref().unwrap_or_default(),
    };
    bundle.pack(&names, None).map(drop)
}

/// Files that tests need must be there before an image is built for them.
fn check_test_files(plan: &Plan) -> Result<(), Fault> {
    let unit = plan.unit_test.iter().flat_map(|tests| &tests.files).map(|path| ("test_files", path));
    let acceptance = plan.acceptance.files.iter().map(|path| ("acceptance_files", path));
    match unit.chain(acceptance).find(|(_, path)| !path.exists()) {
        Some((input, path)) => Err(Fault::new(format!("there is no {}", path.display()))
            .hint(format!("`{input}` names paths relative to the directory that Beanline runs in"))),
        None => Ok(()),
    }
}
