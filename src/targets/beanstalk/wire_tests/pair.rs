//! A pair: the idle environment is updated and takes the live CNAME over; neither is ended.

use super::shop::Shop;
use super::told::{Told, deploy, says, undo};
use super::*;
use crate::inputs::{OnBusy, Strategy};

const LIVE: &str = "shop.local.elasticbeanstalk.com";

fn plan(label: &str) -> BeanstalkPlan {
    BeanstalkPlan {
        version_label: label.into(),
        strategy: Strategy::Pair,
        deploy_timeout: Duration::from_secs(600),
        ..live::tests::plan()
    }
}

/// A world with live and an idle environment beside it.
async fn pair() -> Arc<Shop> {
    let shop = Shop::open().await;
    shop.environment("shop-a", "&CNAMEPrefix=shop").await;
    shop.environment("shop-b", "&CNAMEPrefix=shop-idle").await;
    shop
}

/// Deploys, promotes and hands over, as the stages do one after the other; the run ends well.
async fn ship(site: &Beanstalk) -> Told {
    let told = deploy(site).await;
    let Some(Deployed { survey, candidate }) = &told.deployed else { return told };
    let promoted = staged(async |cx| site.promote(cx, survey, candidate).await).await.0;
    assert!(promoted.is_ok(), "{promoted:?}");
    site.hand_over(survey, candidate, &image()).await.unwrap();
    let cleaned = staged(async |cx| site.clean_up(cx, survey, candidate).await).await.0;
    assert_eq!(cleaned, Ok(()));
    site.close(&[], true).await.unwrap();
    told
}

/// Who holds the live CNAME.
fn live(shop: &Shop) -> &'static str {
    if shop.seen("shop-a").cname == LIVE { "shop-a" } else { "shop-b" }
}

#[tokio::test(start_paused = true)]
async fn the_idle_one_is_updated_and_swapped_again_and_again() {
    let shop = pair().await;
    for (run, label, now, before) in [
        ("run-1", "one", "shop-b", "shop-a"),
        ("run-2", "two", "shop-a", "shop-b"),
        ("run-3", "three", "shop-b", "shop-a"),
    ] {
        let told = ship(&shop.run(run, plan(label))).await;
        assert_eq!(told.standing, Ok(Standing::Apart));
        says(&told, &format!("{now} is the idle one of the pair"));
        says(&told, "which serves nobody: if this run is stopped meanwhile");
        assert_eq!((live(&shop), shop.seen(now).version_label), (now, Some(label.to_owned())));
        assert_ne!(shop.seen(before).version_label, Some(label.to_owned()), "live was not touched before the swap");
        assert!(!told.undo.iter().any(|undo| matches!(undo, Undo::EndEnvironment { .. } | Undo::Redeploy { .. })));
    }
    assert_eq!((shop.count("CreateEnvironment"), shop.count("TerminateEnvironment")), (0, 0));
    let again = deploy(&shop.run("run-4", plan("three"))).await;
    assert_eq!(again.standing, Ok(Standing::Before));
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_leaves_live_alone_and_is_not_undone() {
    let shop = pair().await;
    shop.break_version("one");
    let site = shop.run("run-1", plan("one"));
    let told = deploy(&site).await;
    assert!(told.standing.clone().unwrap_err().contains("could not update environment shop-b to version one"));
    assert_eq!(undo(&site, &told).await, Ok(()));
    site.close(&[], false).await.unwrap();
    assert_eq!((live(&shop), shop.fleet("shop-a")), ("shop-a", vec!["1 Deployed".to_owned(); 2]));
    assert_eq!(shop.count("UpdateEnvironment"), 1);
    // The next run updates the same one.
    assert_eq!(ship(&shop.run("run-2", plan("two"))).await.standing, Ok(Standing::Apart));
    assert_eq!((live(&shop), shop.fleet("shop-b")), ("shop-b", vec!["two Deployed".to_owned(); 2]));
}

#[tokio::test(start_paused = true)]
async fn a_failed_live_test_swaps_back_and_keeps_both() {
    let shop = pair().await;
    let site = shop.run("run-1", plan("one"));
    let told = deploy(&site).await;
    let Deployed { survey, candidate } = told.deployed.as_ref().unwrap();
    let promoted = staged(async |cx| site.promote(cx, survey, candidate).await).await.0;
    assert!(promoted.is_ok() && live(&shop) == "shop-b");
    let back = site.swap_back(survey, candidate, survey.live.as_ref().unwrap());
    site.perform(&back, &Receipt::default()).await.unwrap();
    assert_eq!((live(&shop), shop.count("TerminateEnvironment")), ("shop-a", 0));
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_is_gone_on_with() {
    let shop = pair().await;
    let killed = shop.run("run-1", plan("one"));
    assert_eq!(deploy(&killed).await.standing, Ok(Standing::Apart));
    drop(killed);
    let again = ship(&shop.run("run-2", plan("one"))).await;
    assert_eq!(again.standing, Ok(Standing::Apart));
    says(&again, "this run goes on with environment shop-b");
    assert_eq!((live(&shop), shop.count("UpdateEnvironment")), ("shop-b", 1));
}

#[tokio::test(start_paused = true)]
async fn which_one_is_idle_is_told_by_a_tag_where_several_stand() {
    let shop = pair().await;
    shop.environment("shop-c", "&CNAMEPrefix=shop-c").await;
    let told = deploy(&shop.run("run-1", plan("one"))).await;
    let why = told.standing.unwrap_err();
    assert!(
        why.contains("is not clear") && why.contains("shop-b (shop-idle.") && why.contains("shop-c (shop-c."),
        "{why}"
    );
    shop.store
        .change(|state| {
            let tagged = state.environments.iter_mut().find(|environment| environment.name == "shop-c");
            tagged.unwrap().tags.insert("beanline:live".into(), LIVE.into());
        })
        .unwrap();
    let told = deploy(&shop.run("run-2", plan("one"))).await;
    says(&told, "shop-c is the idle one of the pair");
    assert_eq!(shop.fleet("shop-c"), ["one Deployed", "one Deployed"]);
}

#[tokio::test(start_paused = true)]
async fn the_other_one_is_made_once_and_stays() {
    let shop = Shop::open().await;
    shop.environment("shop-a", "&CNAMEPrefix=shop").await;
    let none = deploy(&shop.run("run-0", plan("one"))).await;
    assert!(none.standing.unwrap_err().contains("there is no second environment beside shop-a"));
    let create = |label: &str| BeanstalkPlan { create: true, ..plan(label) };
    let told = ship(&shop.run("run-1", create("one"))).await;
    says(&told, "stays as the other one of the pair");
    assert_eq!((shop.count("CreateEnvironment"), shop.seen("shop-a").cname == LIVE), (1, false));
    ship(&shop.run("run-2", create("two"))).await;
    assert_eq!((shop.count("CreateEnvironment"), shop.seen("shop-a").cname.as_str()), (1, LIVE));
    assert_eq!(shop.count("TerminateEnvironment"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_one_that_is_busy_is_waited_for_or_aborted() {
    for on_busy in [OnBusy::Wait, OnBusy::Abort] {
        let shop = pair().await;
        let id = shop.seen("shop-b").id;
        shop.ask(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2"));
        let told = deploy(&shop.run("run-1", BeanstalkPlan { on_busy, ..plan("one") })).await;
        says(&told, "shop-b is Updating, not Ready");
        assert_eq!(shop.fleet("shop-b"), ["one Deployed", "one Deployed"]);
        assert_eq!(shop.count("AbortEnvironmentUpdate"), usize::from(on_busy == OnBusy::Abort));
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_alone_tells_no_environment() {
    let shop = pair().await;
    let plan = BeanstalkPlan { live: String::new(), strategy: Strategy::VersionOnly, ..plan("one") };
    let site = shop.run("run-1", plan.clone());
    let made = async |cx: &StageCx| {
        let survey = site.survey(cx).await?;
        site.make_version_alone(cx, &survey, &image()).await
    };
    assert_eq!(staged(made).await.0, Ok(()));
    assert_eq!((shop.count("CreateApplicationVersion"), shop.count("UpdateEnvironment")), (1, 0));
    assert!(shop.store.read(|state| state.versions.iter().any(|version| version.label == "one")));
    let site = shop.run("run-2", BeanstalkPlan { live: "nowhere".into(), ..plan });
    let why = staged(async |cx| site.survey(cx).await).await.0.unwrap_err();
    assert!(why.contains("no environment of application shop answers to nowhere"), "{why}");
}
