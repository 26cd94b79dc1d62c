//! In place: the environment itself is given the version, and gets the one before back when that fails.

use super::shop::Shop;
use super::told::{deploy, says, undo};
use super::*;
use crate::engine::retry::pause;
use crate::inputs::{Health, OnBusy, Strategy};

/// A plan that updates `shop-prod`; the version has another label than those that the world begins with.
fn plan() -> BeanstalkPlan {
    BeanstalkPlan {
        live: "shop-prod".into(),
        version_label: "new".into(),
        strategy: Strategy::InPlace,
        deploy_timeout: Duration::from_secs(600),
        ..live::tests::plan()
    }
}

#[tokio::test(start_paused = true)]
async fn the_environment_gets_the_version_and_has_it_taken_back() {
    let shop = Shop::open().await;
    shop.environment("shop-prod", "&CNAMEPrefix=shop-live").await;
    let site = shop.run("run-1", plan());
    let told = deploy(&site).await;
    assert_eq!(told.standing, Ok(Standing::InPlace));
    says(&told, "by its own deployment policy, AllAtOnce");
    assert_eq!(shop.fleet("shop-prod"), ["new Deployed", "new Deployed"]);
    let deployed = told.deployed.as_ref().unwrap();
    assert_eq!(deployed.survey.live_cname, "shop-live.local.elasticbeanstalk.com");
    assert_eq!(told.undo.len(), 1, "{:?}", told.undo);
    assert_eq!(shop.count("CreateEnvironment"), 0);

    assert_eq!(undo(&site, &told).await, Ok(()));
    assert_eq!(shop.fleet("shop-prod"), ["1 Deployed", "1 Deployed"]);
    assert_eq!(undo(&site, &told).await, Ok(()), "twice changes nothing");
    assert_eq!(shop.count("UpdateEnvironment"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_failed_on_some_instances_is_redeployed_to_all() {
    let shop = Shop::open().await;
    shop.environment("shop-prod", "").await;
    shop.break_version("new");
    let site = shop.run("run-1", plan());
    let told = deploy(&site).await;
    let why = told.standing.clone().unwrap_err();
    assert!(
        why.contains("could not update environment shop-prod to version new: it failed and runs version 1"),
        "{why}"
    );
    assert_eq!(shop.fleet("shop-prod"), ["new Deployed", "new Failed"], "the label says 1");
    assert_eq!(undo(&site, &told).await, Ok(()));
    assert_eq!(shop.fleet("shop-prod"), ["1 Deployed", "1 Deployed"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_in_the_middle_is_aborted_and_put_back() {
    let shop = Shop::open().await;
    let environment_id = shop.environment("shop-prod", "").await;
    let site = shop.run("run-1", plan());
    let given_up = async |cx: &StageCx| {
        let survey = site.survey(cx).await?;
        let image = image();
        let sent = async {
            while shop.store.read(|state| state.operations.is_empty()) {
                pause(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = site.deploy(cx, &survey, &image) => panic!("it is not over"),
            () = sent => Ok(()),
        }
    };
    assert!(staged(given_up).await.0.is_ok());
    let text = str::to_owned;
    let [application, environment, label] = ["shop", "shop-prod", "1"].map(text);
    let (instead_of, region) = (text("new"), text("local"));
    let undo = Undo::Redeploy { application, environment, environment_id, label, instead_of, region };
    assert_eq!(site.perform(&undo, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    assert_eq!(shop.fleet("shop-prod"), ["1 Deployed", "1 Deployed"]);
    assert_eq!(shop.count("AbortEnvironmentUpdate"), 1);

    // What could not be put back in time is the next run's to put back.
    site.close(&[undo], false).await.unwrap();
    let next = deploy(&shop.run("run-2", BeanstalkPlan { version_label: "newer".into(), ..plan() })).await;
    says(&next, "what it had made is undone first");
    says(&next, "done: redeploy version 1 to shop-prod");
    assert_eq!(next.standing, Ok(Standing::InPlace));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_updates_once() {
    let shop = Shop::open().await;
    shop.environment("shop-prod", "").await;
    shop.lose("UpdateEnvironment");
    let told = deploy(&shop.run("run-1", plan())).await;
    assert_eq!(told.standing, Ok(Standing::InPlace));
    assert_eq!(shop.count("UpdateEnvironment"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_updated_and_has_no_address() {
    let shop = Shop::open().await;
    shop.environment("shop-prod", "&Tier.Name=Worker&Tier.Type=SQS/HTTP").await;
    let site = shop.run("run-1", plan());
    let told = deploy(&site).await;
    assert_eq!(told.standing, Ok(Standing::InPlace));
    let deployed = told.deployed.as_ref().unwrap();
    assert_eq!((deployed.survey.live_cname.as_str(), deployed.survey.site_name()), ("", "shop-prod"));
    site.hand_over(&deployed.survey, &deployed.candidate, &image()).await.unwrap();
    site.close(&[], true).await.unwrap();
    let again = deploy(&shop.run("run-2", plan())).await;
    assert_eq!(again.standing, Ok(Standing::Before));
    says(&again, "runs this version already, deployed by run run-1");

    // The same version once more, where it is not on every instance.
    shop.store
        .change(|state| {
            for environment in state.environments.iter_mut() {
                environment.instances[1].deployment.as_mut().unwrap().label = "1".into();
            }
        })
        .unwrap();
    let again = deploy(&shop.run("run-3", BeanstalkPlan { minimum_health: Health::Red, ..plan() })).await;
    assert_eq!(again.standing, Ok(Standing::InPlace));
    says(&again, "shows this version, but not every instance runs it");
    says(&again, "has no other version to go back to");
    assert_eq!(again.undo, []);
    assert_eq!(shop.fleet("shop-prod"), ["new Deployed", "new Deployed"]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_is_gone_on_with_by_the_same_and_undone_by_another() {
    for (label, standing, updates) in [("new", Standing::InPlace, 1), ("newer", Standing::InPlace, 3)] {
        let shop = Shop::open().await;
        shop.environment("shop-prod", "").await;
        // Killed when everything is done and nothing handed over.
        let killed = shop.run("run-1", plan());
        assert_eq!(deploy(&killed).await.standing, Ok(Standing::InPlace));
        drop(killed);
        let again = deploy(&shop.run("run-2", BeanstalkPlan { version_label: label.into(), ..plan() })).await;
        assert_eq!(again.standing, Ok(standing), "{:#?}", again.said);
        assert_eq!(shop.count("UpdateEnvironment"), updates, "{label}");
        assert_eq!(shop.fleet("shop-prod"), [format!("{label} Deployed"), format!("{label} Deployed")]);
        let back = again.undo.iter().any(|undo| matches!(undo, Undo::Redeploy { label, .. } if label == "1"));
        assert!(back, "{:?}", again.undo);
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_of_others_is_waited_for_aborted_or_the_end() {
    for (on_busy, said, ends) in [
        (OnBusy::Wait, "shop-prod is Updating, not Ready", true),
        (OnBusy::Abort, "on_busy is abort: the update of shop-prod is aborted", true),
        (OnBusy::Fail, "", false),
    ] {
        let shop = Shop::open().await;
        let id = shop.environment("shop-prod", "").await;
        shop.ask(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2"));
        let told = deploy(&shop.run("run-1", BeanstalkPlan { on_busy, ..plan() })).await;
        match ends {
            true => {
                says(&told, said);
                assert_eq!(shop.fleet("shop-prod"), ["new Deployed", "new Deployed"]);
            }
            false => assert!(told.standing.as_ref().unwrap_err().contains("is Updating, not Ready")),
        }
        assert_eq!(shop.count("AbortEnvironmentUpdate"), usize::from(on_busy == OnBusy::Abort));
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_begin_after_the_survey_is_waited_for_and_not_taken_away() {
    for (on_busy, label, why) in [
        (OnBusy::Wait, "1", ""),
        (OnBusy::Wait, "2", "shop-prod runs version 2 by now: somebody else deployed it"),
        (OnBusy::Fail, "1", "Must be Ready"),
    ] {
        let shop = Shop::open().await;
        let id = shop.environment("shop-prod", "").await;
        let theirs = format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel={label}");
        shop.meanwhile("UpdateEnvironment", theirs);
        let site = shop.run("run-1", BeanstalkPlan { on_busy, ..plan() });
        let told = deploy(&site).await;
        match why {
            "" => {
                says(&told, "shop-prod has become busy; waiting at most 10 min");
                assert_eq!(shop.fleet("shop-prod"), ["new Deployed", "new Deployed"]);
            }
            why => {
                assert!(told.standing.clone().unwrap_err().contains(why), "{:?}", told.standing);
                assert_eq!(told.undo, [], "nothing was changed");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_redeployed_is_said() {
    let shop = Shop::open().await;
    shop.environment("shop-prod", "").await;
    shop.break_version("new");
    let site = shop.run("run-1", plan());
    let told = deploy(&site).await;
    shop.store.change(|state| state.versions.retain(|version| version.label != "1")).unwrap();
    let why = undo(&site, &told).await.unwrap_err();
    assert!(why.contains("version 1 cannot be redeployed: application shop does not have it any more"), "{why}");

    let id = shop.seen("shop-prod").id;
    shop.ask(&format!("UpdateEnvironment&EnvironmentId={id}&VersionLabel=2"));
    shop.rest().await;
    let why = undo(&site, &told).await.unwrap_err();
    assert!(why.contains("runs version 2 by now: somebody else has deployed since"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_first_environment_is_made_with_the_name() {
    let shop = Shop::open().await;
    let missing = deploy(&shop.run("run-1", plan())).await;
    assert!(missing.standing.unwrap_err().contains("application shop has no environment shop-prod"));
    let profile = Some("web".to_owned());
    let told = deploy(&shop.run("run-2", BeanstalkPlan { create: true, instance_profile: profile, ..plan() })).await;
    assert_eq!(told.standing, Ok(Standing::First));
    let made = shop.seen("shop-prod");
    assert_eq!(
        (made.cname.as_str(), shop.fleet("shop-prod")),
        ("shop-prod.local.elasticbeanstalk.com", vec!["new Deployed".to_owned()])
    );
    assert!(!made.tags.contains_key("beanline:expires"), "{:?}", made.tags);
}
