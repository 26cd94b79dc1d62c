//! Trouble on the way, with the real SDK: what is repeated, for how long, and what ends a wait.

use super::super::call::refused;
use super::super::operation::{Kind, Operation};
use super::super::pace::Pace;
use super::super::verdict::Demand;
use super::super::wait::conclude;
use super::super::watcher::Watcher;
use super::*;
use crate::inputs::Health;

#[tokio::test]
async fn credentials_that_expire_in_mid_wait_end_it_at_once_and_say_how_to_go_on() {
    let mut looks = 0;
    let (sdk, _) = world(move |fields| match fields["Action"].as_str() {
        "DescribeEnvironments" => {
            looks += 1;
            match looks {
                1 => environments(&[environment("e-green", "shop-x", "")]),
                _ => error("ExpiredToken", "The security token included in the request is expired"),
            }
        }
        action => ok(action, "<Events/>"),
    })
    .await;
    let watcher = Watcher::start(site(&sdk).api, Pace::of("local"), Clock::new());
    let operation = Operation {
        kind: Kind::Create { label: "3".into() },
        environment_id: "e-green".into(),
        environment: "shop-0b0b0b0b".into(),
        request_id: None,
        anchor: None,
    };
    let second = Duration::from_secs(1);
    let demand = Demand {
        minimum_health: Health::Green,
        healthy_for: second,
        health_timeout: 60 * second,
        late_events: second,
        rolled_back_after: 30 * second,
        unconfirmed_after: 60 * second,
    };
    let began = tokio::time::Instant::now();
    let fault = conclude(&watcher, None, &operation, &demand, 60 * second).await.unwrap_err();
    assert!(began.elapsed() < 10 * second, "{:?}", began.elapsed());
    assert!(fault.what().contains("goes on to") && fault.what().ends_with("without us"), "{fault}");
    assert!(fault.to_string().contains("their session is over: ExpiredToken"), "{fault}");
    assert!(fault.hints()[0].contains("run again with fresh credentials"), "{:?}", fault.hints());
}

#[tokio::test]
async fn an_expired_session_is_not_asked_twice_and_a_busy_service_is() {
    let mut calls = 0;
    let (sdk, world) = world(move |_| {
        calls += 1;
        match calls {
            1 => (503, String::new()),
            2 => (500, String::new()),
            3 => error("RequestLimitExceeded", "Request limit exceeded."),
            _ => error("ExpiredToken", "The security token included in the request is expired"),
        }
    })
    .await;
    let api = site(&sdk).api;
    let fault = again(None, "DescribeApplications", async || api.applications().await).await.unwrap_err();
    assert_eq!(fault.what(), "AWS no longer accepts our credentials: their session is over");
    assert_eq!(world.lock().unwrap().asked.len(), 4);
}

#[tokio::test]
async fn a_line_that_closes_before_the_answer_passes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sdk, _) = world(|_| ok("DescribeApplications", "<Applications/>")).await;
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream)
        }
    });
    let closed = sdk.into_builder().endpoint_url(endpoint).build();
    let answer = site(&closed).api.beanstalk.describe_applications().send().await;
    let error = refused("DescribeApplications", answer.unwrap_err());
    assert!(error.passing && !error.busy && !error.throttled);
}
