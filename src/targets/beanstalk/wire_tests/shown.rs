//! What the platform allows and what it is set to: deployment policies, quotas, a database of an environment's own.

use super::shop::Shop;
use super::told::deploy;
use super::*;
use crate::inputs::Strategy;
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
