//! Requests that were sent and whose answers nobody waited for, and environments that are none of this site's business.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::*;

const LIVE: &str = "shop.local.elasticbeanstalk.com";

/// Of `blue`, which was live, and a candidate that is named so.
pub(super) fn survey(candidate: &str) -> Survey {
    Survey {
        region: "local".into(),
        application_exists: true,
        live: Some(Live {
            environment_id: "e-blue".into(),
            name: "e-blue".into(),
            version_label: "1".into(),
            cname: LIVE.into(),
        }),
        live_prefix: "shop".into(),
        live_cname: LIVE.into(),
        candidate_name: candidate.into(),
        solution_stack: None,
        attempt: 1,
        update: None,
        architectures: Vec::new(),
    }
}

fn end(name: &str) -> Undo {
    Undo::EndEnvironment {
        application: "shop".into(),
        environment: name.into(),
        region: "local".into(),
        live_cname: Some(LIVE.into()),
    }
}

fn count(world: &Arc<Mutex<World>>, action: &str) -> usize {
    world.lock().unwrap().asked.iter().filter(|asked| *asked == action).count()
}

#[tokio::test]
async fn a_swap_that_begins_after_its_stage_was_given_up_is_swapped_back() {
    let sent = Arc::new(Notify::new());
    let (tell, mut swaps, mut looks) = (sent.clone(), 0, 0);
    let (sdk, world) = world(move |fields| match fields["Action"].as_str() {
        "SwapEnvironmentCNAMEs" => {
            swaps += 1;
            tell.notify_one();
            if swaps == 1 { (NEVER, String::new()) } else { ok("SwapEnvironmentCNAMEs", "") }
        }
        "DescribeEnvironments" => {
            looks += usize::from(swaps > 0);
            // The first looks after the request show nothing of it.
            let (green, blue) = if swaps == 1 && looks > 2 { ("shop", "shop-x") } else { ("shop-x", "shop") };
            environments(&[environment("e-green", green, ""), environment("e-blue", blue, "")])
        }
        action => ok(action, "<Events/>"),
    })
    .await;
    let site = site(&sdk);
    tokio::select! {
        _ = site.swap(None, ("e-green", "green"), "e-blue", LIVE) => panic!("there was no answer"),
        () = sent.notified() => {}
    }
    let back =
        Undo::SwapBack { cname: LIVE.into(), from: "e-green".into(), back: "e-blue".into(), region: "local".into() };
    assert_eq!(site.perform(&back, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    assert_eq!(count(&world, "SwapEnvironmentCNAMEs"), 2);
}

#[tokio::test]
async fn an_environment_that_shows_after_its_stage_was_given_up_is_ended() {
    let sent = Arc::new(Notify::new());
    let (tell, mut asked, mut looks, mut ended) = (sent.clone(), false, 0, false);
    let survey = survey("shop-0b0b0b0b");
    let name = names::candidate("shop", "key", 1);
    let made = name.clone();
    let (sdk, world) = world(move |fields| match fields["Action"].as_str() {
        "CreateEnvironment" => {
            asked = true;
            tell.notify_one();
            (NEVER, String::new())
        }
        "TerminateEnvironment" => {
            ended = true;
            ok("TerminateEnvironment", "")
        }
        "DescribeEnvironments" => {
            looks += usize::from(asked);
            let there = environment(&made, &made, "beanline run run-1; revision 1");
            match (looks, ended) {
                (0..=2, _) | (_, true) => environments(&[]),
                _ => environments(&[there]),
            }
        }
        action => ok(action, "<Events/>"),
    })
    .await;
    let site = site(&sdk);
    let given_up = async |cx: &StageCx| {
        tokio::select! {
            _ = site.make_environment(cx, &survey, None) => panic!("there was no answer"),
            () = sent.notified() => Ok(()),
        }
    };
    assert!(staged(given_up).await.0.is_ok());
    assert_eq!(site.perform(&end(&name), &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    assert_eq!(count(&world, "TerminateEnvironment"), 1);
}

#[tokio::test]
async fn a_template_that_is_made_after_it_was_deleted_is_deleted_again() {
    let sent = Arc::new(Notify::new());
    let there = Arc::new(AtomicBool::new(false));
    let (tell, made, mut deletions) = (sent.clone(), there.clone(), 0);
    let (sdk, _) = world(move |fields| match fields["Action"].as_str() {
        "CreateConfigurationTemplate" => {
            tell.notify_one();
            (NEVER, String::new())
        }
        "DeleteConfigurationTemplate" => {
            deletions += 1;
            // The request that nobody waits for takes effect after the first deletion.
            made.store(deletions == 1, Ordering::Relaxed);
            ok("DeleteConfigurationTemplate", "")
        }
        action => ok(action, ""),
    })
    .await;
    let site = site(&sdk);
    let live = Live { environment_id: "e-1".into(), name: "e-1".into(), version_label: "1".into(), cname: LIVE.into() };
    let given_up = async |cx: &StageCx| {
        tokio::select! {
            _ = site.make_template(cx, &live) => panic!("there was no answer"),
            () = sent.notified() => Ok(()),
        }
    };
    assert!(staged(given_up).await.0.is_ok());
    let template = "beanline-run-1".to_owned();
    let undo = Undo::RemoveTemplate { application: "shop".into(), template, region: "local".into() };
    assert_eq!(site.perform(&undo, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    assert!(!there.load(Ordering::Relaxed), "it is left");
}

#[tokio::test]
async fn a_swap_back_that_is_refused_is_tried_again_after_another_look() {
    let mut swaps = 0;
    let (sdk, world) = world(move |fields| match fields["Action"].as_str() {
        "SwapEnvironmentCNAMEs" => {
            swaps += 1;
            match swaps {
                1 => error("InvalidParameterValue", "Environment e-green is in an invalid state. Must be Ready."),
                _ => ok("SwapEnvironmentCNAMEs", ""),
            }
        }
        "DescribeEnvironments" => {
            let (green, blue) = if swaps < 2 { ("shop", "shop-x") } else { ("shop-x", "shop") };
            environments(&[environment("e-green", green, ""), environment("e-blue", blue, "")])
        }
        action => ok(action, "<Events/>"),
    })
    .await;
    let site = site(&sdk);
    let back =
        Undo::SwapBack { cname: LIVE.into(), from: "e-green".into(), back: "e-blue".into(), region: "local".into() };
    assert_eq!(site.perform(&back, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    assert_eq!(count(&world, "SwapEnvironmentCNAMEs"), 2);
    assert_eq!(site.perform(&back, &Receipt::default()).await.map_err(|fault| fault.to_string()), Ok(()));
    assert_eq!(count(&world, "SwapEnvironmentCNAMEs"), 2, "a second time changes nothing");
}

#[tokio::test]
async fn another_sites_live_environment_of_the_same_stem_is_not_cleaned_up() {
    let (sdk, world) = world(move |fields| match fields["Action"].as_str() {
        "DescribeEnvironments" => environments(&[
            environment("shop-0b0b0b0b", "shop", ""),
            environment("e-blue", "shop-0b0b0b0b", ""),
            environment("shop-0c0c0c0c", "shop-prod", ""),
        ]),
        "ListTagsForResource" => {
            let tag = |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
            let tags = [
                tag("beanline:run", "run-0"),
                tag("beanline:expires", "1"),
                tag("beanline:live", "shop-prod.local.elasticbeanstalk.com"),
            ];
            ok("ListTagsForResource", &format!("<ResourceTags>{}</ResourceTags>", tags.concat()))
        }
        "TerminateEnvironment" => error("InvalidParameterValue", "No Environment found for EnvironmentId = 'x'."),
        action => ok(action, "<Events/>"),
    })
    .await;
    let site = site(&sdk);
    let candidate = Candidate {
        environment_id: "shop-0b0b0b0b".into(),
        name: "shop-0b0b0b0b".into(),
        cname: "shop-0b0b0b0b.local.elasticbeanstalk.com".into(),
        version_label: "2".into(),
        standing: Standing::Apart,
    };
    let survey = survey("shop-0b0b0b0b");
    assert_eq!(staged(async |cx| site.clean_up(cx, &survey, &candidate).await).await.0, Ok(()));
    assert_eq!(count(&world, "TerminateEnvironment"), 0);
}

#[tokio::test]
async fn keep_failed_keeps_what_this_run_made_and_says_how_to_remove_it() {
    let (sdk, world) = world(|fields| match fields["Action"].as_str() {
        "DescribeEnvironments" => environments(&[
            environment("theirs", "theirs", "beanline run run-2; revision 1"),
            // Live by now: the swap back comes before its end, or does not take place.
            environment("ours", "shop", "beanline run run-1; revision 1"),
        ]),
        action => ok(action, ""),
    })
    .await;
    let mut site = site(&sdk);
    assert_eq!(site.keeps(&end("ours")).await, None, "it was not asked for");
    site.plan.keep_failed = true;
    let Some(Fact::Kept { what, command, .. }) = site.keeps(&end("ours")).await else { panic!("it was not kept") };
    assert_eq!(what, "environment ours (ours)");
    assert_eq!(command, Some(end("ours").command()));
    assert_eq!(site.keeps(&end("theirs")).await, None);
    assert_eq!(site.keeps(&end("never-made")).await, None);
    let application = Undo::RemoveApplication { application: "shop".into(), region: "local".into() };
    assert!(site.keeps(&application).await.is_some());
    let template =
        Undo::RemoveTemplate { application: "shop".into(), template: "beanline-run-1".into(), region: "local".into() };
    assert_eq!(site.keeps(&template).await, None);
    assert_eq!(count(&world, "TerminateEnvironment"), 0);
}
