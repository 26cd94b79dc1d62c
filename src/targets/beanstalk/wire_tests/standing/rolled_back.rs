//! Rolling back, once and again.

use super::*;
use crate::engine::journal::Previous;

fn previous(name: &str, label: &str, since: i64) -> Previous {
    Previous { environment_id: name.into(), name: name.into(), version_label: label.into(), since, is_withdrawn: false }
}

/// `shop-0b0b0b0b` is live with version 2, `shop-0a0a0a0a` was before with version 1, and version 0 before that.
fn deployed() -> (Vec<House>, Journal<Progress>) {
    let houses =
        vec![house("shop-0a0a0a0a", "shop-0b0b0b0b", "1", Some(1)), house("shop-0b0b0b0b", "shop", "2", Some(1))];
    let journal = Journal {
        good: vec![good("2", "shop-0b0b0b0b"), good("1", "shop-0a0a0a0a"), good("0", "shop-old")],
        previous: Some(previous("shop-0a0a0a0a", "1", 1)),
        ..Journal::default()
    };
    (houses, journal)
}

async fn roll_back(town: &Town, run: &str) -> (Result<Promoted, String>, Vec<Fact>) {
    let site = town.site(run, |_| ());
    let told = told(async |cx| site.roll_back(cx, &site.survey_standing(cx).await?).await).await;
    site.close(&[], told.0.is_ok()).await.unwrap();
    told
}

#[tokio::test]
async fn each_roll_back_goes_one_further_and_none_goes_forward() {
    let (houses, journal) = deployed();
    let town = Town::new(houses, &journal).await;
    let (back, facts) = roll_back(&town, "run-1").await;
    assert_eq!(back.map(|back| back.previous.map(|live| live.name)), Ok(Some("shop-0b0b0b0b".into())));
    let planned = facts.iter().position(|fact| matches!(fact, Fact::Planned(Change::Swap { .. }))).unwrap();
    let live = facts.iter().position(|fact| matches!(fact, Fact::Environment { .. })).unwrap();
    assert!(planned < live, "it says first what it will do: {facts:?}");
    let kept = facts.iter().any(|fact| matches!(fact, Fact::Kept { why, .. } if why.contains("rolled back from")));
    assert!(kept, "{facts:?}");
    assert_eq!(town.standing()[0], ("shop-0a0a0a0a", "shop", "1".to_owned()));
    let journal = town.journal().await;
    assert!(journal.previous.as_ref().is_some_and(|previous| previous.is_withdrawn && previous.version_label == "2"));
    let labels: Vec<_> = journal.good.iter().map(|good| (good.version_label.as_str(), good.is_withdrawn)).collect();
    assert_eq!(labels, [("1", false), ("2", true), ("0", false)]);

    let (back, facts) = roll_back(&town, "run-2").await;
    assert_eq!(back.map(|back| back.previous), Ok(None), "in place");
    let update = Change::Update { environment: "shop-0a0a0a0a".into(), label: "0".into() };
    assert!(facts.contains(&Fact::Planned(update)), "{facts:?}");
    assert_eq!(town.standing()[0], ("shop-0a0a0a0a", "shop", "0".to_owned()));

    let (refused, _) = roll_back(&town, "run-3").await;
    let why = refused.unwrap_err();
    assert!(why.starts_with("there is nothing to go back to: nothing was changed"), "{why}");
    assert!(why.contains("was rolled back from") && why.contains("run=deploy"), "{why}");
    assert_eq!(town.changes(), ["SwapEnvironmentCNAMEs", "UpdateEnvironment"]);
}

#[tokio::test]
async fn a_previous_environment_that_is_not_well_is_passed_over() {
    let (mut houses, journal) = deployed();
    houses[0].label = "another".into();
    let town = Town::new(houses, &journal).await;
    let (back, _) = roll_back(&town, "run-1").await;
    assert_eq!(back.map(|back| back.previous), Ok(None));
    assert_eq!(town.standing()[1], ("shop-0b0b0b0b", "shop", "1".to_owned()));
}

#[tokio::test]
async fn what_never_passed_is_followed_by_what_passed_last() {
    let (houses, journal) = deployed();
    // Live was swapped in, and its run died before it handed over: the journal's previous is older than what was good.
    let known = Some(previous("shop-old", "0", 1));
    let journal = Journal { good: journal.good[1..].to_vec(), previous: known, ..journal };
    let town = Town::new(houses, &journal).await;
    let (back, _) = roll_back(&town, "run-1").await;
    assert_eq!(back.map(|back| back.previous.map(|live| live.name)), Ok(Some("shop-0b0b0b0b".into())));
    assert_eq!(town.standing()[0], ("shop-0a0a0a0a", "shop", "1".to_owned()));
}

#[tokio::test]
async fn nobody_goes_back_from_what_was_not_seen() {
    let (houses, journal) = deployed();
    let town = Town::new(houses, &journal).await;
    let site = town.site("run-1", |_| ());
    let back = told(async |cx| {
        let seen = site.survey_standing(cx).await?;
        let live = seen.live.clone().map(|live| Live { version_label: "3".into(), ..live });
        site.roll_back(cx, &Survey { live, ..seen }).await
    });
    let why = back.await.0.unwrap_err();
    assert!(why.starts_with("shop-0b0b0b0b with version 2 is live by now, and nothing more was changed"), "{why}");
    assert!(town.changes().is_empty());
}

#[tokio::test]
async fn a_dry_run_names_the_way_back_and_changes_nothing() {
    let (houses, journal) = deployed();
    let town = Town::new(houses, &journal).await;
    let site = town.site("run-1", |_| ());
    let ask = async |cx: &StageCx| site.would_change(cx, RunKind::Rollback, &site.survey_standing(cx).await?).await;
    let swap = Change::Swap {
        cname: LIVE.into(),
        from: "shop-0b0b0b0b with version 2".into(),
        to: "shop-0a0a0a0a with version 1".into(),
    };
    assert_eq!(told(ask).await.0, Ok(vec![swap]));
    assert!(town.changes().is_empty());
    assert_eq!(town.journal().await, journal, "nor is the site taken");
}
