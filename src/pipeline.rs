//! The whole program on one screen: [`make_image`], then [`ship`] for each site.

use std::time::Duration;

use crate::docker::Docker;
use crate::engine::Stopped;
use crate::engine::event::{End, Stage};
use crate::inputs::{Place, RunKind};
use crate::run::Run;
use crate::stages::acceptance::AcceptanceVerdict;
use crate::stages::build::BuiltImage;
use crate::stages::check::{Checked, reference};
use crate::stages::push::{PushedImage, TestedImage};
use crate::stages::unit_test::UnitTestVerdict;
use crate::stages::{self, MARGIN};
use crate::targets::Site;
use crate::targets::beanstalk::{Beanstalk, Candidate, Deployed, Standing, Survey};

/// After the verdict on a deployment: its logs are fetched, its instances asked.
const AFTERMATH: Duration = Duration::from_secs(300);

/// Tells as much of the story as the plan asks for.
///
/// # Errors
/// Where it stopped; the report has heard why.
pub async fn tell(run: &Run<'_>, connected: Option<Docker>) -> Result<End, Stopped> {
    let Run { plan, cloud, engine, .. } = *run;
    let checked = engine
        .stage(Stage::Check, plan.timeout, async |cx| {
            stages::check::check(cx, plan, cloud, connected, run.daemon).await
        })
        .await?;
    let (checked, sites) = run.hands.take_from(checked);
    if plan.run == RunKind::Check {
        return Ok(End::Checked);
    }
    let image = match &checked.found {
        Some(found) => take_image(run, &checked, found).await?,
        None => match make_image(run, &checked, sites).await? {
            Some(image) => image,
            None => return Ok(End::Tested),
        },
    };
    if sites.is_empty() {
        return Ok(End::Pushed);
    }
    for (site, survey) in sites {
        match site {
            Site::Beanstalk(target) => ship(run, &checked, target, survey, &image).await?,
        }
    }
    Ok(End::Deployed)
}

/// Takes an image that is in the registry already. Its tests have passed: nothing untested gets a tag.
async fn take_image(run: &Run<'_>, checked: &Checked, found: &PushedImage) -> Result<PushedImage, Stopped> {
    let Run { plan, engine, .. } = *run;
    if plan.run == RunKind::Deploy {
        return Ok(found.clone());
    }
    let why = format!("{} is in the registry already, and got its tag after its tests", found.reference);
    let runs_in_it = plan.acceptance.command.is_some() && plan.run == RunKind::Pipeline;
    match runs_in_it {
        true => {
            let take = async |cx: &_| stages::build::take(cx, plan, checked, found).await;
            engine.stage(Stage::Build, plan.timeout, take).await?;
        }
        false => engine.skip(Stage::Build, why.as_str()),
    }
    [Stage::UnitTest, Stage::AcceptanceContainer, Stage::Push].into_iter().for_each(|stage| engine.skip(stage, &*why));
    Ok(found.clone())
}

/// Builds, tests and pushes. `None` when the plan ends before the push.
async fn make_image(
    run: &Run<'_>,
    checked: &Checked,
    sites: &[(Site, Survey)],
) -> Result<Option<PushedImage>, Stopped> {
    let Run { plan, engine, .. } = *run;
    let built =
        engine.stage(Stage::Build, plan.timeout, async |cx| stages::build::build(cx, plan, checked).await).await?;
    // Both verdicts are wanted, even when one of them is bad: whoever reads this at night should see all of it.
    let (unit, accepted) = tokio::join!(unit_test(run, checked, &built), container(run, checked, &built));
    let tested = TestedImage::new(&built, unit?, accepted?);
    if plan.run == RunKind::Test {
        return Ok(None);
    }
    let (name, uploaded) = (reference(plan), stages::push::upload(&built));
    let publish = async |cx: &_| {
        let released = match sites.first() {
            Some((Site::Beanstalk(target), survey)) => target.released(cx, survey).await?,
            None => None,
        };
        stages::push::publish(cx, plan, checked, &name, tested, uploaded, released).await
    };
    engine.stage(Stage::Push, plan.timeout, publish).await.map(Some)
}

async fn unit_test(run: &Run<'_>, checked: &Checked, built: &BuiltImage) -> Result<UnitTestVerdict, Stopped> {
    let Some(tests) = &run.plan.unit_test else {
        run.engine.skip(Stage::UnitTest, "there is no `test_command`");
        return Ok(UnitTestVerdict::not_requested());
    };
    let limit = tests.timeout + MARGIN;
    let stage =
        async |cx: &_| stages::unit_test::unit_test(cx, run.plan, tests, checked.docker()?, &run.labels, built).await;
    run.engine.stage(Stage::UnitTest, limit, stage).await
}

async fn container(run: &Run<'_>, checked: &Checked, built: &BuiltImage) -> Result<AcceptanceVerdict, Stopped> {
    let plan = run.plan;
    if !plan.acceptance.on.contains(&Place::Container) {
        run.engine.skip(Stage::AcceptanceContainer, "`acceptance_on` leaves it out");
        return Ok(AcceptanceVerdict::not_requested());
    }
    let limit = plan.app.ready_timeout + plan.acceptance.timeout + MARGIN;
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
) -> Result<(), Stopped> {
    let Run { cloud, engine, .. } = *run;
    // It may have to wait for its turn first, and for a live environment that is busy.
    let limit = target.plan().deploy_timeout * 3 + AFTERMATH;
    let Deployed { survey, candidate } = engine
        .stage(Stage::Deploy, limit, async |cx| {
            let instances = checked.docker.as_ref().filter(|_| cloud.embedded().is_some());
            stages::deploy::deploy(cx, target, surveyed, checked.registry()?, instances, image).await
        })
        .await?;
    let live_cname = make_live(run, checked, target, &survey, &candidate, image).await?;
    environment_tests(run, checked, image, Place::Live, &live_cname).await?;
    // No signal comes in between: what has passed everything stands.
    let handed = match stages::deploy::to_deploy(target, image) {
        Ok(image) => target.hand_over(&survey, &candidate, &image).await,
        Err(fault) => Err(fault),
    };
    engine.hand_over();
    let clean_up = async |cx: &_| stages::clean_up::clean_up(cx, target, &survey, &candidate, handed).await;
    engine.stage(Stage::CleanUp, target.plan().deploy_timeout, clean_up).await
}

/// Tests the candidate and promotes it, unless it is live already. Gives the live CNAME.
async fn make_live(
    run: &Run<'_>,
    checked: &Checked,
    target: &Beanstalk,
    survey: &Survey,
    candidate: &Candidate,
    image: &PushedImage,
) -> Result<String, Stopped> {
    let Run { plan, cloud, engine, .. } = *run;
    let why_not = match candidate.standing {
        Standing::First => Some("a first deployment has no candidate: the environment is live from its creation"),
        Standing::Before => Some("live runs this version already: there is no candidate"),
        Standing::Apart | Standing::Swapped => None,
    };
    if let Some(why) = why_not {
        [Stage::AcceptanceCandidate, Stage::Promote].into_iter().for_each(|stage| engine.skip(stage, why));
        return Ok(survey.live_cname.clone());
    }
    if candidate.standing == Standing::Swapped || target.was_accepted() {
        engine.skip(Stage::AcceptanceCandidate, "it passed in the earlier run that this one goes on with");
    } else {
        environment_tests(run, checked, image, Place::Candidate, &candidate.cname).await?;
        target.accept().await;
    }
    let (docker, standpoint) = (checked.docker.as_ref(), cloud.standpoint());
    let promote =
        async |cx: &_| stages::promote::promote(cx, target, survey, candidate, docker, &standpoint, &run.labels).await;
    engine.stage(Stage::Promote, plan.timeout, promote).await.map(|promoted| promoted.live_cname)
}

async fn environment_tests(
    run: &Run<'_>,
    checked: &Checked,
    image: &PushedImage,
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
    let url = template.as_deref().unwrap_or("http://{cname}/").replace("{cname}", cname);
    let image = image.image_id.as_ref().map_or_else(|| image.reference.to_string(), ToString::to_string);
    let work = async |cx: &_| run.bench(checked).environment(cx, place, &run.cloud.standpoint(), &image, &url).await;
    run.engine.stage(stage, tests.timeout + MARGIN, work).await
}
