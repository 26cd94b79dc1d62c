use std::sync::Arc;
use std::time::Duration;

use super::{Console, Dialect};
use crate::engine::event::{End, Event, EventKind, Stage};
use crate::engine::retry::pause;
use crate::inputs::Secret;
use crate::report::ConsoleStyle;
use crate::report::feed::feed;
use crate::report::rehearsal::*;

const GITHUB: ConsoleStyle = ConsoleStyle { colour: false, dialect: Dialect::GitHub, json: false, live: false };

fn line(stage: Stage, text: &str) -> EventKind {
    EventKind::StageLine { key: stage.into(), line: text.to_owned() }
}

async fn log(style: ConsoleStyle, kinds: Vec<EventKind>) -> String {
    let mut plan = plan(None);
    plan.masks.push(Secret::new("hunter2 % and\nmore of it"));
    reported(&plan, style, async |events| kinds.into_iter().for_each(|kind| events.emit(kind))).await
}

#[tokio::test]
async fn a_run_reads_from_its_stages_to_its_result() {
    let said = log(ConsoleStyle::default(), deployed()).await;
    let end = said.split_once("\nstage").unwrap().1;
    assert_eq!(
        format!("stage{}", end.split(" after").next().unwrap()),
        "\
stage                   result  took
check                   passed   3 s
build                   passed   3 s
unit test               passed   3 s
acceptance (container)  passed   3 s
push                    passed   3 s
deploy                  passed   3 s
acceptance (candidate)  passed   3 s
promote                 passed   3 s
acceptance (live)       passed   3 s
clean up                passed   3 s

facts
  image        reg.example/shop:42
  digest       sha256:aaaa
  version      42
  environment  shop-b (e-2)
  URL          http://shop.local/
  previous     shop-a with version 41
  kept         environment shop-a: for a roll-back, until the next deployment; remove it with: \
aws elasticbeanstalk terminate-environment --environment-name shop-a

outputs
  image                 reg.example/shop
  tag                   42
  digest                sha256:aaaa
  version_label         42
  environment_name      shop-b
  environment_id        e-2
  environment_url       http://shop.local/
  previous_environment  shop-a
  previous_version      41
  result                deployed

live serves version 42 at http://shop.local/
result: deployed (exit code 0)"
    );
}

#[tokio::test]
async fn a_child_cannot_forge_a_command() {
    let forged = [
        "::set-output name=a::b",
        "  ::error::x",
        "fine\r::add-mask::x",
        "a ##[error]b",
        "a ##vso[task.setsecret]b",
        "##teamcity[buildStop]",
        "\u{1b}[0m::warning::x",
        "\u{feff}::warning::y",
    ];
    let mut kinds = vec![start(), begin(Stage::Build)];
    kinds.extend(forged.map(|text| line(Stage::Build, text)));
    kinds.push(EventKind::StageNote { key: Stage::Build.into(), text: "two\n::error::lines".to_owned() });
    kinds.push(finish(End::Failed(Stage::Build), Vec::new()));
    let said = log(GITHUB, kinds).await;
    let commands: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert_eq!(commands, ["::add-mask::hunter2 %25 and", "::add-mask::more of it", "::group::build"]);
    assert!(
        !["##[", "##vso[", "##teamcity["].iter().any(|forged| said.contains(forged))
            && !said.contains(['\r', '\u{1b}', '\u{feff}']),
        "{said}"
    );
    assert!(said.contains("  | ::set-output name=a::b"), "{said}");
}

#[tokio::test]
async fn a_secret_that_is_learnt_is_told_to_the_runner_before_it_might_be_shown() {
    let learnt = || EventKind::SecretLearnt { secret: Secret::new("login-of-ecr") };
    let end = || finish(End::Failed(Stage::Check), Vec::new());
    let told = || vec![start(), begin(Stage::Check), learnt(), line(Stage::Check, "with login-of-ecr"), end()];
    let said = log(GITHUB, told()).await;
    let (before, after) = said.split_once("::add-mask::login-of-ecr\n").unwrap();
    assert!(!before.contains("login-of-ecr") && after.contains("with ***"), "{said}");
    let said = log(ConsoleStyle::default(), told()).await;
    assert!(!said.contains("login-of-ecr") && said.contains("with ***"), "{said}");
}

#[tokio::test]
async fn groups_and_errors_are_for_the_actions_runner_alone() {
    let mut kinds = failing(Stage::UnitTest);
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    let said = log(GITHUB, kinds).await;
    assert_eq!(said.matches("::group::").count(), said.matches("::endgroup::").count());
    let error = "::error title=shop / unit test::the environment did not become healthy: instance i-1 answers 502\n";
    assert!(said.contains(error), "{said}");
    let mut kinds = failing(Stage::UnitTest);
    kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
    assert!(!log(ConsoleStyle::default(), kinds).await.contains("::"));
}

#[tokio::test]
async fn every_fold_of_every_ci_is_closed_and_an_error_is_marked() {
    let run = || {
        let mut kinds = failing(Stage::UnitTest);
        kinds.push(finish(End::Failed(Stage::UnitTest), Vec::new()));
        kinds
    };
    let said = async |dialect| log(ConsoleStyle { colour: false, dialect, json: false, live: false }, run()).await;
    for (dialect, opens, closes) in [
        (Dialect::GitLab, "section_start:", "section_end:"),
        (Dialect::Travis, "travis_fold:start:", "travis_fold:end:"),
        (Dialect::Azure, "##[group]", "##[endgroup]"),
        (Dialect::TeamCity, "##teamcity[blockOpened ", "##teamcity[blockClosed "),
    ] {
        let said = said(dialect).await;
        let (opened, closed) = (said.matches(opens).count(), said.matches(closes).count());
        assert!(opened > 0 && opened == closed, "{said}");
    }
    assert!(said(Dialect::Azure).await.contains("##vso[task.logissue type=error]shop / unit test: the environment"));
    let buildkite = said(Dialect::Buildkite).await;
    assert!(buildkite.contains("--- unit test\n") && buildkite.contains("^^^ +++\n"), "{buildkite}");
    assert!(buildkite.contains("+++ result\n\nstage"), "{buildkite}");
}

#[tokio::test]
async fn of_stages_side_by_side_each_line_says_whose_it_is() {
    let (unit, acceptance) = (Stage::UnitTest, Stage::AcceptanceContainer);
    let mut kinds = vec![start(), begin(unit), begin(acceptance), line(unit, "one"), line(acceptance, "two")];
    kinds.push(end(unit, crate::engine::event::Outcome::Passed));
    kinds.push(line(acceptance, "three"));
    kinds.push(end(acceptance, crate::engine::event::Outcome::Passed));
    kinds.push(finish(End::Tested, Vec::new()));
    let said = log(GITHUB, kinds).await;
    for part in [
        "::group::unit test\n",
        " unit test  | one\n",
        " acceptance (container)  | two\n",
        "::endgroup::\n",
        "✓ unit test passed in 3 s\n",
        "::group::acceptance (container), continued\n",
        "   | three\n",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    assert_eq!(said.matches("::endgroup::").count(), 2);
}

#[tokio::test]
async fn a_silent_stage_is_said_to_be_still_running() {
    let mut console = Console::new(ConsoleStyle::default(), "shop", &[]);
    console.silence = Duration::from_millis(5);
    let (feed, feeding) = feed();
    let kept = Kept::default();
    let task = tokio::spawn(console.run(kept.clone(), feeding));
    for kind in [start(), begin(Stage::Deploy)] {
        feed.event(&Arc::new(Event { elapsed: Duration::ZERO, kind }));
    }
    while kept.text().matches("deploy is still running, for").count() < 2 {
        pause(Duration::from_millis(5)).await;
    }
    drop(feed);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn colours_are_for_terminals_alone() {
    let coloured = ConsoleStyle { colour: true, dialect: Dialect::Plain, json: false, live: false };
    assert!(log(coloured, deployed()).await.contains("\u{1b}[32m✓ build passed in 3 s\u{1b}[0m"));
    assert!(!log(ConsoleStyle::default(), deployed()).await.contains('\u{1b}'));
}

#[tokio::test]
async fn a_log_for_programs_is_json_from_the_first_line_to_the_last() {
    let said = log(ConsoleStyle { json: true, ..GITHUB }, deployed()).await;
    let events: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "run_started");
    assert_eq!(events.last().unwrap()["result"], "deployed");
}

#[tokio::test]
async fn a_log_for_programs_has_a_heartbeat_too() {
    let mut console = Console::new(ConsoleStyle { json: true, ..GITHUB }, "shop", &[]);
    console.silence = Duration::from_millis(5);
    let (feed, feeding) = feed();
    let kept = Kept::default();
    let task = tokio::spawn(console.run(kept.clone(), feeding));
    for kind in [start(), begin(Stage::Deploy)] {
        feed.event(&Arc::new(Event { elapsed: Duration::ZERO, kind }));
    }
    while !kept.text().contains(r#""event":"still_running""#) {
        pause(Duration::from_millis(5)).await;
    }
    drop(feed);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_watches_sees_what_runs_and_nothing_of_it_stays() {
    let watched = ConsoleStyle { live: true, ..ConsoleStyle::default() };
    let said = log(watched, deployed()).await;
    assert!(said.contains("\u{1b}[?7l   0:00 build 0:00 (1 of 10 stages done)\u{1b}[?7h"), "{said:?}");
    // As a terminal shows it: what stands before an erased line is gone.
    let left: Vec<&str> = said.split('\n').map(|line| line.rsplit("\r\u{1b}[2K").next().unwrap_or(line)).collect();
    assert!(!left.join("\n").contains("stages done"), "{left:?}");
    assert!(left.join("\n").contains("result: deployed (exit code 0)"));
    assert!(!log(ConsoleStyle::default(), deployed()).await.contains("stages done"));
}
