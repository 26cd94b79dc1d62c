//! A candidate that waits.

use super::*;

#[tokio::test]
async fn what_waits_is_promoted_once_and_the_journal_says_so() {
    let (houses, journal) = waiting();
    let town = Town::new(houses, &journal).await;
    let site = town.site("run-1", |_| ());
    let promote = async |cx: &StageCx| {
        let surveyed = site.survey_standing(cx).await?;
        site.check_waiting(cx, &surveyed).await?;
        let taken = site.take_waiting(cx, &surveyed).await?;
        site.promote(cx, &taken.survey, &taken.candidate).await?;
        site.hand_over_taken(&taken).await
    };
    let (result, facts) = told(promote).await;
    assert_eq!(result, Ok(()));
    site.close(&[], true).await.unwrap();
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Version { label, .. } if label == "2")), "{facts:?}");
    assert_eq!(town.standing()[1], ("shop-0b0b0b0b", "shop", "2".to_owned()));
    assert_eq!(town.changes(), ["SwapEnvironmentCNAMEs"]);
    let journal = town.journal().await;
    assert_eq!((journal.waiting, journal.work), (None, None));
    assert_eq!(journal.good[0].version_label, "2");
    assert_eq!(journal.previous.unwrap().name, "shop-0a0a0a0a");

    let next = town.site("run-2", |_| ());
    let ask = async |cx: &StageCx| next.check_waiting(cx, &next.survey_standing(cx).await?).await;
    let why = told(ask).await.0.unwrap_err();
    assert!(why.starts_with("nothing waits to be promoted"), "{why}");
    assert!(why.contains("belongs to environment shop-0b0b0b0b (shop-0b0b0b0b) with version 2"), "{why}");
}

#[tokio::test]
async fn what_waits_for_another_live_is_left_alone() {
    let (mut houses, journal) = waiting();
    houses[0].prefix = "shop-0a0a0a0a";
    houses.push(house("shop-0c0c0c0c", "shop", "3", Some(1)));
    let town = Town::new(houses, &journal).await;
    let site = town.site("run-1", |_| ());
    let take = async |cx: &StageCx| site.take_waiting(cx, &site.survey_standing(cx).await?).await.map(drop);
    let why = told(take).await.0.unwrap_err();
    assert!(
        why.contains("it was environment shop-0a0a0a0a (shop-0a0a0a0a) with version 1, and is environment"),
        "{why}"
    );
    assert!(why.contains("shop-0c0c0c0c (shop-0c0c0c0c) with version 3"), "{why}");
    site.close(&[], false).await.unwrap();
    assert!(town.changes().is_empty() && town.journal().await.waiting.is_some());
}

#[tokio::test]
async fn the_same_commit_attaches_to_what_waits_and_another_takes_its_place() {
    let (houses, journal) = waiting();
    let town = Town::new(houses, &journal).await;
    let manual = |plan: &mut BeanstalkPlan| plan.promote = Promotion::Manual;
    let site = town.site("run-1", manual);
    let surveyed = survey("shop-0a0a0a0a", "1");
    let deployed = told(async |cx| site.deploy(cx, &surveyed, &image()).await).await.0.unwrap();
    assert_eq!((deployed.candidate.name.as_str(), deployed.candidate.standing), ("shop-0b0b0b0b", Standing::Apart));
    assert!(site.was_accepted(), "its tests are not run again");
    site.let_wait(&deployed.survey, &deployed.candidate, &image()).await.unwrap();
    let (_, facts) = told(async |cx| site.say_waiting(cx, &deployed.survey, &deployed.candidate).await).await;
    let [Fact::Kept { what, why, .. }] = facts.as_slice() else { panic!("{facts:?}") };
    assert!(what.ends_with(": 2 instances and a load balancer") && why.contains("run=promote"), "{what} {why}");
    site.close(&[], true).await.unwrap();
    assert!(town.changes().is_empty());
    assert_eq!(town.journal().await.waiting, journal.waiting, "it waits as before");

    let other = town.site("run-2", |_| ());
    let end = async |cx: &StageCx| {
        other.own(cx, LIVE).await?;
        other.end_waiting(cx, journal.waiting.as_ref().unwrap()).await
    };
    assert_eq!(told(end).await.0, Ok(()));
    other.close(&[], true).await.unwrap();
    assert_eq!(town.standing().len(), 1);
    let journal = town.journal().await;
    assert!(journal.waiting.is_none() && journal.left.is_empty(), "{journal:?}");
}

#[tokio::test]
async fn without_the_journal_nothing_may_wait() {
    let (sdk, _) = world(|fields| ok(fields["Action"].as_str(), "")).await;
    let mut site = site(&sdk);
    assert!(site.must_remember().is_ok());
    site.plan.promote = Promotion::Manual;
    assert!(site.must_remember().unwrap_err().to_string().contains("may not use the journal"));
}
