//! What the platform allows and what it is set to: deployment policies, quotas, a database of an environment's own.

use super::shop::Shop;
use super::told::{deploy, undo};
use super::*;
use crate::inputs::{OptionSetting, Secret, Strategy};
use crate::local::control::state::State as CloudState;

fn blue_green() -> BeanstalkPlan {
    BeanstalkPlan { version_label: "new".into(), deploy_timeout: Duration::from_secs(3000), ..live::tests::plan() }
}

fn setting(at: usize, namespace: &str, option: &str, value: &str) -> String {
    let member = format!("OptionSettings.member.{at}");
    format!("&{member}.Namespace={namespace}&{member}.OptionName={option}&{member}.Value={value}")
}

/// No call that makes or changes anything was sent.
#[track_caller]
fn assert_nothing_changed(shop: &Shop) {
    for action in ["CreateApplicationVersion", "CreateEnvironment", "UpdateEnvironment"] {
        assert_eq!(shop.count(action), 0, "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_deployment_policy_brings_the_version_to_every_instance() {
    for policy in ["AllAtOnce", "Rolling", "RollingWithAdditionalBatch", "Immutable", "TrafficSplitting"] {
        let shop = Shop::open().await;
        let more = setting(4, "aws:elasticbeanstalk:command", "DeploymentPolicy", policy)
            + &setting(5, "aws:elasticbeanstalk:environment", "LoadBalancerType", "application");
        shop.environment("shop-prod", &more).await;
        let plan = BeanstalkPlan { live: "shop-prod".into(), strategy: Strategy::InPlace, ..blue_green() };
        let told = deploy(&shop.run("run-1", plan)).await;
        assert_eq!(told.standing, Ok(Standing::InPlace), "{policy}: {:#?}", told.said);
        assert_eq!(shop.seen("shop-prod").version_label.as_deref(), Some("new"), "{policy}");
        assert_eq!(shop.fleet("shop-prod"), ["new Deployed", "new Deployed"], "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_reached_is_told_before_anything_is_made() {
    for (action, most) in [("CreateEnvironment", 1), ("CreateApplicationVersion", 2)] {
        let shop = Shop::open().await;
        shop.environment("shop-blue", "&CNAMEPrefix=shop").await;
        shop.ask(&format!("BeanlineSetFault&Name=quota&ForAction={action}&Most={most}"));
        let told = deploy(&shop.run("run-1", blue_green())).await;
        let why = told.standing.unwrap_err();
        assert!(why.contains(&most.to_string()), "{action}: {why}");
        assert_nothing_changed(&shop);
    }
}

#[tokio::test(start_paused = true)]
async fn a_coupled_database_is_refused_before_anything_is_made() {
    let shop = Shop::open().await;
    let id = shop.environment("shop-blue", "&CNAMEPrefix=shop").await;
    let coupled = |state: &mut CloudState| {
        let blue = state.environments.iter_mut().find(|environment| environment.id == id).unwrap();
        let options = blue.settings.entry("aws:rds:dbinstance".into()).or_default();
        options.insert("HasCoupledDatabase".into(), "true".into());
    };
    shop.store.change(coupled).unwrap();
    let why = deploy(&shop.run("run-1", blue_green())).await.standing.unwrap_err();
    assert!(why.contains("has a database of its own"), "{why}");
    assert_nothing_changed(&shop);
}

#[tokio::test(start_paused = true)]
async fn settings_in_place_are_a_step_before_the_version_and_both_are_put_back() {
    let shop = Shop::open().await;
    let timeout = setting(4, "aws:elasticbeanstalk:command", "Timeout", "300");
    shop.environment("shop-prod", &timeout).await;
    let wanted = OptionSetting {
        namespace: "aws:elasticbeanstalk:command".into(),
        option: "Timeout".into(),
        resource: None,
        value: Secret::open("600"),
    };
    let plan = BeanstalkPlan {
        live: "shop-prod".into(),
        strategy: Strategy::InPlace,
        option_settings: vec![wanted],
        ..blue_green()
    };
    let timeout = || shop.seen("shop-prod").settings["aws:elasticbeanstalk:command"]["Timeout"].clone();
    let site = shop.run("run-1", plan);
    let told = deploy(&site).await;
    assert_eq!(told.standing, Ok(Standing::InPlace), "{:#?}", told.said);
    assert_eq!((shop.count("UpdateEnvironment"), timeout().as_str()), (2, "600"));
    let place = |of: fn(&Undo) -> bool| told.undo.iter().position(of).unwrap();
    // Newest first.
    let settings = place(|undo| matches!(undo, Undo::RestoreSettings { .. }));
    assert!(place(|undo| matches!(undo, Undo::Redeploy { .. })) < settings, "{:?}", told.undo);

    let mut backwards = told;
    backwards.undo.sort_by_key(Undo::rank);
    for time in ["once", "twice"] {
        assert_eq!(undo(&site, &backwards).await, Ok(()), "{time}");
        let label = shop.seen("shop-prod").version_label;
        assert_eq!((timeout().as_str(), label.as_deref()), ("300", Some("1")), "{time}");
    }
    assert!(shop.store.read(|state| state.templates.is_empty()), "the saved settings have served");
}
