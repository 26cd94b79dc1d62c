//! A candidate's settings and size, and what is given back once it is live.

use super::settled::{LIVE, Options, Shop, directory, option, run_of, shop, site_of, survey};
use super::*;
use crate::inputs::PROPERTIES;

const GROUP: &str = "aws:autoscaling:asg";

/// What a candidate was made with, besides its template.
async fn candidate(shop: &Arc<Mutex<Shop>>, site: &Beanstalk) -> Options {
    let made = staged(async |cx| site.make_environment(cx, &survey(), Some("template")).await).await;
    assert!(made.0.is_ok(), "{made:?}");
    let mut shop = shop.lock().unwrap();
    let (action, options) = shop.sent.pop().unwrap();
    assert_eq!(action, "CreateEnvironment");
    options
}

#[tokio::test]
async fn a_candidate_gets_the_wanted_settings_and_as_many_instances_as_live_has() {
    let shop = shop();
    let site = site_of(&shop).await;
    let wanted: Options =
        [option("aws:elasticbeanstalk:command", "Timeout", "900"), option(PROPERTIES, "TOKEN", "obvious-fake-new")]
            .into();
    shop.lock().unwrap().options.extend([option(GROUP, "MaxSize", "4")]);
    for (instances, min_size) in [(1, None), (3, Some("3")), (7, Some("4"))] {
        shop.lock().unwrap().instances = instances;
        let mut expected = wanted.clone();
        expected.extend(min_size.map(|size| option(GROUP, "MinSize", size)));
        assert_eq!(candidate(&shop, &site).await, expected, "{instances}");
        assert_eq!(site.raised.borrow().is_some(), min_size.is_some());
    }
    let single = option("aws:elasticbeanstalk:environment", "EnvironmentType", "SingleInstance");
    shop.lock().unwrap().options.extend([single]);
    assert_eq!(candidate(&shop, &site).await, wanted, "an environment without a group");
}

#[tokio::test]
async fn the_minimum_size_is_given_back_to_what_is_live_and_once() {
    let shop = shop();
    let site = site_of(&shop).await;
    let undo = Undo::GiveSizeBack {
        environment: "shop-blue".into(),
        live_cname: LIVE.into(),
        raised: 3,
        min: 1,
        region: "local".into(),
    };
    let sent = || shop.lock().unwrap().sent.clone();
    let raise = |size: &str| shop.lock().unwrap().options.extend([option(GROUP, "MinSize", size)]);
    raise("2");
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok());
    assert!(sent().is_empty(), "somebody has changed it since");
    raise("3");
    shop.lock().unwrap().is_taken_back = true;
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok());
    assert!(sent().is_empty(), "it is not live");
    shop.lock().unwrap().is_taken_back = false;
    for _ in 0..2 {
        site.raised.replace(Some(undo.clone()));
        staged(async |cx| {
            site.pay_what_is_owed(cx).await;
            Ok(())
        })
        .await
        .0
        .unwrap();
    }
    assert_eq!(sent(), [("UpdateEnvironment".to_owned(), Options::from([option(GROUP, "MinSize", "1")]))]);
    assert!(site.raised.borrow().is_none());
}

#[tokio::test]
async fn a_run_that_is_killed_after_the_swap_leaves_the_size_to_the_next() {
    let (shop, directory) = (shop(), directory());
    shop.lock().unwrap().options.extend([option(GROUP, "MaxSize", "4")]);
    shop.lock().unwrap().instances = 3;
    let site = run_of(&shop, "run-1", &directory).await;
    let (made, _) = staged(async |cx| {
        site.take_turn(cx, &survey()).await?;
        site.begin_work(&survey(), &image().digest).await?;
        site.make_environment(cx, &survey(), Some("template")).await
    })
    .await;
    let made = made.unwrap();
    let candidate = Candidate {
        environment_id: made.environment_id,
        name: made.name.clone(),
        cname: "shop-x".into(),
        version_label: "2".into(),
        standing: Standing::Apart,
    };
    site.hand_over(&survey(), &candidate, &image()).await.unwrap();
    {
        let mut shop = shop.lock().unwrap();
        let (_, options) = shop.sent.pop().unwrap();
        shop.name = made.name;
        shop.options.extend(options);
    }
    let next = run_of(&shop, "run-2", &directory).await;
    assert_eq!(staged(async |cx| next.take_turn(cx, &survey()).await.map(drop)).await.0, Ok(()));
    let given_back = ("UpdateEnvironment".to_owned(), Options::from([option(GROUP, "MinSize", "1")]));
    assert_eq!(shop.lock().unwrap().sent, [given_back]);
    assert!(next.left_over().await.is_empty(), "the journal has forgotten it");
    std::fs::remove_dir_all(directory).unwrap();
}
