//! The whole program on one screen: [`make_image`], then [`ship`] for each site.

mod standing;

use std::time::Duration;

use crate::docker::Docker;
use crate::engine::Stopped;
use crate::engine::event::{End, Stage};
use crate::inputs::{Place, Promotion, RunKind, Strategy};
use crate::run::{Run, stages_of};
use crate::stages::acceptance::AcceptanceVerdict;
use crate::stages::build::BuiltImage;
use crate::stages::check::{Checked, reference};
use crate::stages::promote::Asker;
use crate::stages::push::{PushedImage, TestedImage};
use crate::stages::unit_test::{TestBed, UnitTestVerdict};
use crate::stages::{self, MARGIN};
use crate::targets::Site;
use crate::targets::beanstalk::{Beanstalk, Candidate, Deployed, Standing, Survey};

/// After the verdict on a deployment: its logs are fetched, its instances asked.
const AFTERMATH: Duration = Duration::from_secs(300);

/// Why the candidate's tests are not run again.
const IT_PASSED: &str = "it passed in the earlier run that this one goes on with";

/// Tells as much of the story as the plan asks for.
///
/// # Errors
/// Where it stopped; the report has heard why.
pub async fn tell(run: &Run<'_>, connected: Option<Docker>) -> Result<End, Stopped> {
    let Run { plan, cloud, engine, .. } = *run;
    let checked = engine
        .stage(Stage::Check, plan.timeout, async |cx| {
            let checked = stages::check::check(cx, plan, cloud, connected, run.daemon).await?;
            if plan.dry_run {
                stages::dry_run::name_changes(cx, plan, &checked).await?;
            }
            Ok(checked)
        })
        .await?;
    let (checked, sites) = run.hands.take_from(checked);
    if plan.dry_run {
        engine.skip_rest(&stages_of(plan), "dry_run is set: nothing is changed");
        return Ok(End::Planned);
    }
    if plan.run == RunKind::Check {
        return Ok(End::Checked);
    }
    if plan.run.is_about_what_stands() {
        return standing::tell(run, &checked, sites).await;
    }
    let image = match &checked.found {
        Some(found) => take_image(run, &checked, sites, found).await?,
        None => match make_image(run, &checked, sites).await? {
            Some(image) => image,
            None => return Ok(End::Tested),
        },
    };
    if sites.is_empty() {
        return Ok(End::Pushed);
    }
    let mut end = End::Deployed;
    for (site, survey) in sites {
        match site {
            Site::Beanstalk(target) => end = ship(run, &checked, target, survey, &image).await?,
        }
    }
    Ok(end)
}

/// Takes an image that is in the registry already. Its tests have passed: nothing untested gets a tag.
async fn take_image(
    run: &Run<'_>,
    checked: &Checked,
    sites: &[(Site, Survey)],
    found: &PushedImage,
) -> Result<PushedImage, Stopped> {
    let Run { plan, engine, .. } = *run;
    if plan.run == RunKind::Deploy {
        return Ok(found.clone());
    }
    let why = format!("{} is in the registry already, and got its tag after its tests", found.reference);
    match plan.acceptance.command.is_some() && plan.run == RunKind::Pipeline {
        true => {
            let take = async |cx: &_| match plan.acceptance.runs_in_the_app() {
                true => stages::build::take(cx, plan, checked, found).await,
                false => {
                    stages::acceptance::build(cx, plan, checked).await?;
                    stages::acceptance::fetch(cx, plan, checked).await
                }
            };
            engine.stage(Stage::Build, plan.timeout, take).await?;
        }
        false => engine.skip(Stage::Build, why.as_str()),
    }
    [Stage::UnitTest, Stage::AcceptanceContainer].into_iter().for_each(|stage| engine.skip(stage, &*why));
    let tags = &plan.image.extra_tags;
    match tags.is_empty() {
        true => engine.skip(Stage::Push, why),
        false => {
            // The run that pushed it may have ended before all of them were given.
            let give = async |cx: &_| {
                let registry = checked.registry()?;
                stages::extra_tags::spare_live(cx, plan, registry, sites, &found.digest).await?;
                stages::extra_tags::give(cx, registry, &found.reference, &found.digest, tags).await
            };
            engine.stage(Stage::Push, plan.timeout, give).await?;
        }
    }
    Ok(found.clone())
}

/// Builds, tests and pushes. `None` when the plan ends before the push.
async fn make_image(
    run: &Run<'_>,
    checked: &Checked,
    sites: &[(Site, Survey)],
) -> Result<Option<PushedImage>, Stopped> {
    let Run { plan, engine, .. } = *run;
    let build = async |cx: &_| {
        let fetch = async {
            stages::services::fetch(cx, checked.docker()?, plan, &checked.logins).await?;
            stages::acceptance::fetch(cx, plan, checked).await
        };
        let images = async {
            let built = stages::build::build(cx, plan, checked).await?;
            let bed = TestBed::prepare(cx, plan, checked, &built).await?;
            stages::acceptance::build(cx, plan, checked).await?;
            Ok((built, bed))
        };
        let (images, ()) = tokio::try_join!(images, fetch)?;
        Ok(images)
    };
    let (built, bed) = engine.stage(Stage::Build, plan.timeout, build).await?;
    // Both verdicts are wanted, even when one of them is bad: whoever reads this at night should see all of it.
    let (unit, accepted) = tokio::join!(unit_test(run, checked, &bed), container(run, checked, &built));
    let tested = TestedImage::new(&built, unit?, accepted?);
    if plan.run == RunKind::Test {
        return Ok(None);
    }
    let (name, uploaded) = (reference(plan), stages::push::upload(&built));
    let publish = async |cx: &_| {
        let released = match sites.first() {
            Some((Site::Beanstalk(target), survey)) => target.released(cx, survey, &name).await?,
            None => None,
        };
        stages::extra_tags::spare_live(cx, plan, checked.registry()?, sites, built.id()).await?;
        stages::push::publish(cx, plan, checked, &name, tested, uploaded, released).await
    };
    engine.stage(Stage::Push, plan.timeout, publish).await.map(Some)
}

async fn unit_test(run: &Run<'_>, checked: &Checked, bed: &TestBed) -> Result<UnitTestVerdict, Stopped> {
    let Some(tests) = &run.plan.unit_test else {
        run.engine.skip(Stage::UnitTest, "there is no `test_command`");
        return Ok(UnitTestVerdict::not_requested());
    };
    let limit = stages::services::time(run.plan) + tests.timeout + MARGIN;
    let stage =
        async |cx: &_| stages::unit_test::unit_test(cx, run.plan, tests, checked.docker()?, &run.labels, bed).await;
    run.engine.stage(Stage::UnitTest, limit, stage).await
}

async fn container(run: &Run<'_>, checked: &Checked, built: &BuiltImage) -> Result<AcceptanceVerdict, Stopped> {
    let plan = run.plan;
    if !plan.acceptance.on.contains(&Place::Container) {
        run.engine.skip(Stage::AcceptanceContainer, "`acceptance_on` leaves it out");
        return Ok(AcceptanceVerdict::not_requested());
    }
    let limit = stages::services::time(plan) + plan.app.ready_timeout + plan.acceptance.timeout + MARGIN;
    let stage = async |cx: &_| run.bench(checked).container(cx, checked.docker()?, built).await;
    run.engine.stage(Stage::AcceptanceContainer, limit, stage).await
}

/// Takes the image to one site: candidate, tests, live, tests, clean up.
async fn ship(
    run: &Run<'_>,
    checked: &Checked,
    target: &Beanstalk,
    surveyed: &Survey,
    image: &PushedImage,
) -> Result<End, Stopped> {
    let Run { cloud, engine, .. } = *run;
    if target.plan().strategy == Strategy::VersionOnly {
        return make_version(run, checked, target, surveyed, image).await;
    }
    // It may have to wait for its turn first, and for a live environment that is busy.
    let limit = target.plan().deploy_timeout * 3 + AFTERMATH;
    let Deployed { survey, candidate } = engine
        .stage(Stage::Deploy, limit, async |cx| {
            let instances = checked.docker.as_ref().filter(|_| cloud.embedded().is_some());
            stages::deploy::deploy(cx, target, surveyed, checked.registry()?, instances, image).await
        })
        .await?;
    let shown = shown(image);
    test_candidate(run, checked, target, &candidate, &shown).await?;
    if candidate.standing == Standing::Apart && target.plan().promote == Promotion::Manual {
        return leave_waiting(run, target, &survey, &candidate, image).await;
    }
    make_live(run, checked, target, &survey, &candidate).await?;
    environment_tests(run, checked, &shown, Place::Live, &survey.live_cname).await?;
    // No signal comes in between: what has passed everything stands.
    let handed = match stages::deploy::to_deploy(target, image) {
        Ok(image) => target.hand_over(&survey, &candidate, &image).await,
        Err(fault) => Err(fault),
    };
    engine.hand_over();
    let clean_up = async |cx: &_| stages::clean_up::clean_up(cx, target, &survey, &candidate, handed).await;
    engine.stage(Stage::CleanUp, target.plan().deploy_timeout, clean_up).await?;
    Ok(End::Deployed)
}

/// Makes the application version of the image, and tells no environment of it.
async fn make_version(
    run: &Run<'_>,
    checked: &Checked,
    target: &Beanstalk,
    survey: &Survey,
    image: &PushedImage,
) -> Result<End, Stopped> {
    let engine = run.engine;
    let work = async |cx: &_| stages::deploy::make_version(cx, target, survey, checked.registry()?, image).await;
    engine.stage(Stage::Deploy, target.plan().deploy_timeout + AFTERMATH, work).await?;
    engine.hand_over();
    let why = "strategy=version-only makes the application version, and tells no environment of it";
    let rest = [Stage::AcceptanceCandidate, Stage::Promote, Stage::AcceptanceLive, Stage::CleanUp];
    rest.into_iter().for_each(|stage| engine.skip(stage, why));
    Ok(End::Versioned)
}

/// Why nothing has to become live any more, if that is so.
fn is_live(candidate: &Candidate) -> Option<&'static str> {
    match candidate.standing {
        Standing::First => Some("a first deployment has no candidate: the environment is live from its creation"),
        Standing::Before => Some("live runs this version already: there is no candidate"),
        Standing::InPlace => Some("in place there is no candidate: live itself was updated"),
        Standing::Apart | Standing::Swapped => None,
    }
}

/// Tests the candidate, unless there is none, or it has passed already.
async fn test_candidate(
    run: &Run<'_>,
    checked: &Checked,
    target: &Beanstalk,
    candidate: &Candidate,
    image: &str,
) -> Result<(), Stopped> {
    if let Some(why) = is_live(candidate) {
        run.engine.skip(Stage::AcceptanceCandidate, why);
    } else if candidate.standing == Standing::Swapped || target.was_accepted() {
        run.engine.skip(Stage::AcceptanceCandidate, IT_PASSED);
    } else {
        environment_tests(run, checked, image, Place::Candidate, &candidate.cname).await?;
        target.accept().await;
    }
    Ok(())
}

/// Leaves a candidate that has passed to whoever promotes it.
async fn leave_waiting(
    run: &Run<'_>,
    target: &Beanstalk,
    survey: &Survey,
    candidate: &Candidate,
    image: &PushedImage,
) -> Result<End, Stopped> {
    let engine = run.engine;
    // No signal comes in between: once it is written down that it waits, it is not this run's to undo.
    let left = match stages::deploy::to_deploy(target, image) {
        Ok(image) => target.let_wait(survey, candidate, &image).await,
        Err(fault) => Err(fault),
    };
    if let Err(fault) = left {
        engine.stage(Stage::Promote, run.plan.timeout, async |_| Err::<(), _>(fault)).await?;
    }
    engine.hand_over();
    let why = "promote is manual: the candidate waits for run=promote";
    [Stage::Promote, Stage::AcceptanceLive].into_iter().for_each(|stage| engine.skip(stage, why));
    let say = async |cx: &_| target.say_waiting(cx, survey, candidate).await;
    engine.stage(Stage::CleanUp, target.plan().deploy_timeout, say).await?;
    Ok(End::Waiting)
}

/// Promotes the candidate, unless it is live already.
async fn make_live(
    run: &Run<'_>,
    checked: &Checked,
    target: &Beanstalk,
    survey: &Survey,
    candidate: &Candidate,
) -> Result<(), Stopped> {
    let Run { plan, cloud, engine, .. } = *run;
    if let Some(why) = is_live(candidate) {
        engine.skip(Stage::Promote, why);
        return Ok(());
    }
    let asker = Asker { docker: checked.docker.as_ref(), standpoint: cloud.standpoint(), labels: &run.labels };
    let promote = async |cx: &_| stages::promote::promote(cx, target, survey, candidate, &asker).await;
    engine.stage(Stage::Promote, plan.timeout, promote).await.map(drop)
}

async fn environment_tests(
    run: &Run<'_>,
    checked: &Checked,
    image: &str,
    place: Place,
    cname: &str,
) -> Result<(), Stopped> {
    let tests = &run.plan.acceptance;
    let (stage, template) = match place {
        Place::Candidate => (Stage::AcceptanceCandidate, &tests.candidate_url),
        _ => (Stage::AcceptanceLive, &tests.live_url),
    };
    if !tests.has_tests_on(place) {
        run.engine.skip(stage, "there is no acceptance test for this place");
        return Ok(());
    }
    let template = template.as_deref().unwrap_or("http://{cname}/");
    if cname.is_empty() && template.contains("{cname}") {
        run.engine.skip(stage, "a worker has no address: set live_url to something that shows what it does");
        return Ok(());
    }
    let url = template.replace("{cname}", cname);
    let work = async |cx: &_| run.bench(checked).environment(cx, place, &run.cloud.standpoint(), image, &url).await;
    run.engine.stage(stage, tests.timeout + MARGIN, work).await
}

/// The name under which tests find the image.
fn shown(image: &PushedImage) -> String {
    image.image_id.as_ref().map_or_else(|| image.reference.to_string(), ToString::to_string)
}
