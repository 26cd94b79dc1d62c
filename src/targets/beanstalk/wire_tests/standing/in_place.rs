//! Rolling back in place, on instances: the version before comes up, or live keeps the one that it has.

use super::super::shop::Shop;
use super::super::told::{Told, deploy, undo};
use super::*;
use crate::engine::Stopped;
use crate::inputs::Strategy;

fn plan(label: &str) -> BeanstalkPlan {
    BeanstalkPlan {
        live: "shop-prod".into(),
        version_label: label.into(),
        strategy: Strategy::InPlace,
        deploy_timeout: Duration::from_secs(600),
        ..live::tests::plan()
    }
}

/// Deploys versions `one` and `two`, one after the other.
async fn deployed(shop: &Arc<Shop>) {
    shop.environment("shop-prod", "&CNAMEPrefix=shop-live").await;
    for (run, label) in [("run-1", "one"), ("run-2", "two")] {
        let site = shop.run(run, plan(label));
        let told = deploy(&site).await;
        let deployed = told.deployed.unwrap();
        site.hand_over(&deployed.survey, &deployed.candidate, &image()).await.unwrap();
        site.close(&[], true).await.unwrap();
    }
    assert_eq!(shop.fleet("shop-prod"), ["two Deployed", "two Deployed"]);
}

/// What the roll-back came to, and what the run would undo then.
async fn roll_back(site: &Beanstalk) -> (Result<(), Stopped>, Vec<Undo>) {
    let (sender, _receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    let work = async |cx: &StageCx| site.roll_back(cx, &site.survey_standing(cx).await?).await.map(drop);
    let result = engine.stage(Stage::RollBack, Duration::from_secs(3600), work).await;
    (result, engine.pending())
}

#[tokio::test(start_paused = true)]
async fn the_version_before_is_deployed_again() {
    let shop = Shop::open().await;
    deployed(&shop).await;
    let site = shop.run("run-3", plan(""));
    let (result, left) = roll_back(&site).await;
    assert!(result.is_ok() && left.is_empty(), "{left:?}");
    assert_eq!(shop.fleet("shop-prod"), ["one Deployed", "one Deployed"]);
    let journal = site.what_is_written().await.unwrap();
    let labels: Vec<_> = journal.good.iter().map(|good| (good.version_label.as_str(), good.is_withdrawn)).collect();
    assert_eq!(labels, [("one", false), ("two", true)]);
    assert!(journal.work.is_none() && journal.previous.is_none());
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_come_up_leaves_live_what_it_had() {
    let shop = Shop::open().await;
    deployed(&shop).await;
    shop.break_version("one");
    let site = shop.run("run-3", plan(""));
    let (result, left) = roll_back(&site).await;
    assert!(result.is_err());
    let told = Told { standing: Err(String::new()), undo: left, said: Vec::new(), deployed: None };
    assert!(matches!(told.undo.as_slice(), [Undo::Redeploy { label, .. }] if label == "two"), "{:?}", told.undo);
    assert_eq!(undo(&site, &told).await, Ok(()));
    assert_eq!(shop.fleet("shop-prod"), ["two Deployed", "two Deployed"]);
    site.close(&[], false).await.unwrap();
}
