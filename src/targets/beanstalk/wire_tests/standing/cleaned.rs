//! What is ended by its time, and what stays.

use super::*;
use crate::engine::journal::{Left, Previous};

/// Live; the previous one, live until an hour ago; one that waits; one a killed run left; one of a run that may be under
/// way; one of somebody else.
fn crowded() -> (Vec<House>, Journal<Progress>) {
    let (mut houses, mut journal) = waiting();
    let swapped = format!(
        "<member><EventDate>{}</EventDate><Message>Completed swapping CNAMEs for environments 'a' and 'b'.</Message>\
         <Severity>INFO</Severity></member>",
        chrono::Utc::now().to_rfc3339()
    );
    houses.extend([
        House { events: vec![swapped], ..house("shop-0c0c0c0c", "shop-0c0c0c0c", "0", Some(1)) },
        house("shop-0d0d0d0d", "shop-0d0d0d0d", "3", Some(1)),
        house("shop-0e0e0e0e", "shop-0e0e0e0e", "4", Some(now() + HOUR)),
        house("shop-prod", "shop-prod", "1", None),
    ]);
    journal.previous = Some(Previous {
        environment_id: "shop-0c0c0c0c".into(),
        name: "shop-0c0c0c0c".into(),
        version_label: "0".into(),
        since: now() - HOUR,
        is_withdrawn: false,
    });
    let undo =
        Undo::RemoveTemplate { application: "shop".into(), template: "beanline-run-0".into(), region: "local".into() };
    journal.left = vec![Left { undo, runs: vec!["run-0".into()] }];
    (houses, journal)
}

async fn tidied(keep: KeepPrevious) -> (Vec<&'static str>, Journal<Progress>, Vec<Fact>) {
    let (houses, journal) = crowded();
    let town = Town::new(houses, &journal).await;
    let site = town.site("run-1", |plan| plan.keep_previous = keep);
    let (result, facts) = told(async |cx| site.tidy(cx, &site.survey_what_is_there(cx).await?).await).await;
    assert_eq!(result, Ok(()));
    site.close(&[], true).await.unwrap();
    let standing = town.standing().into_iter().map(|(name, ..)| name).collect();
    (standing, town.journal().await, facts)
}

#[tokio::test]
async fn only_what_is_past_its_time_is_ended() {
    let always = ["shop-0a0a0a0a", "shop-0b0b0b0b", "shop-0e0e0e0e", "shop-prod"];
    let with_previous = ["shop-0a0a0a0a", "shop-0b0b0b0b", "shop-0c0c0c0c", "shop-0e0e0e0e", "shop-prod"];
    let hours = |hours: u64| KeepPrevious::For(Duration::from_secs(hours * 3600));
    for (keep, is_kept) in
        [(KeepPrevious::UntilNextDeploy, true), (KeepPrevious::No, false), (hours(2), true), (hours(1), false)]
    {
        let (standing, journal, facts) = tidied(keep).await;
        assert_eq!(standing, if is_kept { &with_previous[..] } else { &always }, "{keep:?}");
        assert!(journal.waiting.is_some() && journal.left.is_empty(), "{journal:?}");
        assert_eq!(journal.previous.is_some(), is_kept, "{keep:?}");
        let planned = facts.iter().filter(|fact| matches!(fact, Fact::Planned(_))).count();
        assert_eq!(planned, if is_kept { 2 } else { 3 }, "{facts:?}");
        let costs = |name: &str| {
            facts.iter().any(|fact| {
                matches!(fact, Fact::Kept { what, .. } if what.contains(name) && what.ends_with("and a load balancer"))
            })
        };
        assert!(costs("shop-0b0b0b0b") && costs("shop-0e0e0e0e") && costs("shop-0c0c0c0c") == is_kept, "{facts:?}");
    }
}

#[tokio::test]
async fn a_dry_run_of_each_kind_changes_nothing() {
    let (houses, journal) = crowded();
    let town = Town::new(houses, &journal).await;
    let site = town.site("run-1", |plan| plan.keep_previous = KeepPrevious::No);
    let would = async |run: RunKind| {
        let ask = async |cx: &StageCx| site.would_change(cx, run, &survey("shop-0a0a0a0a", "1")).await;
        let changes = told(ask).await.0.unwrap();
        changes.iter().map(crate::report::words::changes::change).collect::<Vec<_>>()
    };
    assert_eq!(
        would(RunKind::Cleanup).await,
        [
            "delete configuration template beanline-run-0: an earlier run could not",
            "terminate environment shop-0c0c0c0c: it was live before, and keep_previous is none",
            "terminate environment shop-0d0d0d0d: it is left from an earlier run, and its time is over",
        ]
    );
    let promote = would(RunKind::Promote).await;
    assert!(
        promote[0].starts_with("swap: shop.local.elasticbeanstalk.com goes from shop-0a0a0a0a with"),
        "{promote:?}"
    );
    assert!(promote[1].starts_with("terminate environment shop-0a0a0a0a: it was live before"), "{promote:?}");
    let pipeline = would(RunKind::Pipeline).await;
    assert_eq!(pipeline[0], "use version 2, which is there already");
    assert!(pipeline[1].starts_with("create a configuration template with the settings of shop-0a0a0a0a"));
    assert!(pipeline[2].starts_with("create environment shop-0b0b0b0b ({id}) at shop-0b0b0b0b.local."), "{pipeline:?}");
    assert!(town.changes().is_empty());
    assert_eq!(town.journal().await, journal);
}
