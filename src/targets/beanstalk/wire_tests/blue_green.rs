//! Blue-green: what is taken, what is busy, and what has no CNAME.

use super::shop::Shop;
use super::told::{deploy, says};
use super::*;
use crate::inputs::OnBusy;

const LIVE: &str = "shop.local.elasticbeanstalk.com";

fn plan() -> BeanstalkPlan {
    BeanstalkPlan { version_label: "new".into(), deploy_timeout: Duration::from_secs(600), ..live::tests::plan() }
}

#[tokio::test(start_paused = true)]
async fn a_name_or_a_cname_that_is_taken_means_the_next_attempt() {
    let shop = Shop::open().await;
    shop.environment("shop-blue", "&CNAMEPrefix=shop").await;
    let name = |attempt| names::candidate("shop-blue", "key of new", attempt);
    shop.environment(&name(1), "").await;
    shop.environment("squatter", &format!("&CNAMEPrefix={}", name(2))).await;
    let told = deploy(&shop.run("run-1", plan())).await;
    assert_eq!(told.standing, Ok(Standing::Apart));
    assert_eq!(told.deployed.unwrap().candidate.name, name(3));

    // What is gone is still listed, and neither in the way nor taken for live.
    let shop = Shop::open().await;
    let id = shop.environment(&name(1), "&CNAMEPrefix=shop").await;
    shop.ask(&format!("TerminateEnvironment&EnvironmentId={id}"));
    shop.rest().await;
    shop.environment("shop-blue", "&CNAMEPrefix=shop").await;
    let told = deploy(&shop.run("run-1", plan())).await;
    let Deployed { survey, candidate } = told.deployed.unwrap();
    assert_eq!((survey.live.unwrap().name.as_str(), candidate.name), ("shop-blue", name(1)));
}

#[tokio::test(start_paused = true)]
async fn live_that_others_update_is_aborted_where_that_is_wanted() {
    for (on_busy, aborts) in [(OnBusy::Wait, 0), (OnBusy::Abort, 1)] {
        let shop = Shop::open().await;
        let id = shop.environment("shop-blue", "&CNAMEPrefix=shop").await;
        shop.ask(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2"));
        let told = deploy(&shop.run("run-1", BeanstalkPlan { on_busy, ..plan() })).await;
        assert_eq!(told.standing, Ok(Standing::Apart));
        says(&told, "shop-blue is Updating, not Ready");
        assert_eq!(shop.count("AbortEnvironmentUpdate"), aborts);
        let before = if aborts == 1 { "1" } else { "2" };
        assert_eq!(told.deployed.unwrap().survey.live.unwrap().version_label, before);
        assert_eq!(shop.seen("shop-blue").cname, LIVE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_told_that_it_is_updated_in_place_only() {
    let shop = Shop::open().await;
    shop.environment("shop-queue", "&Tier.Name=Worker&Tier.Type=SQS/HTTP").await;
    let told = deploy(&shop.run("run-1", BeanstalkPlan { live: "shop-queue".into(), ..plan() })).await;
    let why = told.standing.unwrap_err();
    assert!(why.contains("is of the Worker tier") && why.contains("updated in place only"), "{why}");
    assert_eq!((shop.count("CreateApplicationVersion"), shop.count("CreateEnvironment")), (0, 0));
}
