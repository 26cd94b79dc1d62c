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
use crate::targets::beanstalk::{Beanstalk, Survey};

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
        Some(found) => found.clone(),
        None => match make_image(run, &checked).await? {
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

/// Builds, tests and pushes. `None` when the plan ends before the push.
async fn make_image(run: &Run<'_>, checked: &Checked) -> Result<Option<PushedImage>, Stopped> {
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
    let publish = async |cx: &_| stages::push::publish(cx, plan, checked, &name, tested, uploaded).await;
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
    survey: &Survey,
    image: &PushedImage,
) -> Result<(), Stopped> {
    let Run { plan, cloud, engine, .. } = *run;
    let limit = target.plan().deploy_timeout + AFTERMATH;
    let candidate = engine
        .stage(Stage::Deploy, limit, async |cx| {
            let instances = checked.docker.as_ref().filter(|_| cloud.embedded().is_some());
            stages::deploy::deploy(cx, target, survey, checked.registry()?, instances, image).await
        })
        .await?;
    let live_cname = if candidate.first {
        for stage in [Stage::AcceptanceCandidate, Stage::Promote] {
            engine.skip(stage, "a first deployment has no candidate: the environment is live from its creation");
        }
        candidate.cname.clone()
    } else {
        environment_tests(run, checked, image, Place::Candidate, &candidate.cname).await?;
        let promoted = engine
            .stage(Stage::Promote, plan.timeout, async |cx| {
                stages::promote::promote(
                    cx,
                    target,
                    survey,
                    &candidate,
                    checked.docker.as_ref(),
                    &cloud.standpoint(),
                    &run.labels,
                )
                .await
            })
            .await?;
        promoted.live_cname
    };
    environment_tests(run, checked, image, Place::Live, &live_cname).await?;
    engine.hand_over();
    engine
        .stage(Stage::CleanUp, target.plan().deploy_timeout, async |cx| {
            stages::clean_up::clean_up(cx, target, survey, &candidate).await
        })
        .await
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
