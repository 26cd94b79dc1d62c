//! Acceptance tests of every kind against the image, and tests that print what would hurt whoever shows it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use super::support::{App, World, docker};

const ONE: &str = "9393939393939393939393939393939393939393";
const TWO: &str = "9494949494949494949494949494949494949494";

/// The inputs of a run that only tests, with others over them.
fn testing<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let cut = ["cloud", "image", "application", "environment", "create", "instance_profile", "healthy_for"];
    let cut = cut.into_iter().chain(["test_command", "test_reports", "acceptance_http", "acceptance_command"]);
    let cut = cut.filter(|name| !more.iter().any(|(other, _)| other == name)).map(|name| (name, ""));
    cut.chain([("run", "test")]).chain(more.iter().copied()).collect()
}

#[test]
fn checks_ask_for_statuses_headers_bodies_and_json() {
    let Some(world) = World::new() else { return };
    let status = r#"{"status": "ok", "items": [{"id": 7, "name": "tea"}]}"#;
    world.app(&App::version("one").file("www/status.json", status));
    let right = "GET /status.json 2xx json $.status is \"ok\" json $.items[?@.id == 7].name is 'tea'\n  within 30s\n\
        # A page that is not there.\nGET /none 404,410 json-free\n";
    world.ship(ONE, &testing(&[("acceptance_http", right)])).expect(2).says("line 4").says("write one of: has");
    let right = right.replace("json-free", "has not 'tea' header \"Content-Type\" has 'html'");
    let run = world.ship(ONE, &testing(&[("acceptance_http", &right)])).expect(0);
    run.says("GET /status.json 2xx passed: 200")
        .says("GET /none 404,410 passed: 404")
        .says("2 acceptance checks passed");

    let wrong = "GET /status.json 200 json $.status is 'down' json $.none exists\nGET / 3xx\nGET / 200 is 'one'";
    let run = world.ship(ONE, &testing(&[("acceptance_http", wrong)])).expect(12);
    run.says("2 of 3 acceptance checks did not pass")
        .says("`$.status` is not `down`: it finds `\"ok\"`; `$.none` is not there")
        .says("`GET / 3xx`: it answered 200")
        .says("GET / 200 passed");

    let never = [("acceptance_http", "GET / 200"), ("port", "8099"), ("ready_timeout", "2s")];
    world.ship(ONE, &testing(&never)).expect(12).says("app:8099 takes no connection").says("0.0.0.0");
    world.end();
}

#[test]
fn a_test_program_runs_in_an_image_of_its_own_with_files_that_it_may_read() {
    let Some(world) = World::new() else { return };
    let context = world.app(&App::version("one"));
    let (tar, image) = (world.path("tests.tar"), format!("beanline-story-tests:{}", std::process::id()));
    let packed = Command::new("tar").arg("-C").arg(&context).arg("-cf").arg(&tar).arg("bin").status().unwrap();
    assert!(packed.success());
    let import = ["import", "--change", "USER 1000", "--change", "WORKDIR /work", tar.to_str().unwrap(), &image];
    docker(&import).unwrap();
    // Nobody but their owner may read them here.
    std::fs::create_dir(world.path("checks")).unwrap();
    std::fs::write(
        world.path("checks/check.sh"),
        "echo \"$BEANLINE_PLACE has $(busybox wget -q -O - $BEANLINE_APP_URL/)\"; busybox id -u\n",
    )
    .unwrap();
    std::fs::set_permissions(world.path("checks/check.sh"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(world.path("checks"), PermissionsExt::from_mode(0o700)).unwrap();

    let with = |command| testing(&[("acceptance_image", image.as_str()), ("acceptance_files", "checks"), command]);
    let run = world.ship(ONE, &with(("acceptance_command", "sh checks/check.sh"))).expect(12);
    run.says("the image has no shell").says("JSON array");
    let exec = "[\"/bin/busybox\", \"sh\", \"checks/check.sh\"]";
    let run = world.ship(ONE, &with(("acceptance_command", exec)));
    docker(&["rmi", &image]).unwrap();
    run.expect(0).says("container has one").says("1000");

    // A stage of its own in the same Dockerfile, which is not what is shipped.
    let dockerfile = std::fs::read_to_string(context.join("Dockerfile")).unwrap();
    let staged = format!("FROM scratch AS checks\nCOPY bin /bin\nCOPY test.sh /only-here\n{dockerfile}");
    std::fs::write(context.join("Dockerfile"), staged).unwrap();
    let command = "[\"/bin/busybox\", \"sh\", \"-c\", \"test -e /only-here && \
        echo $BEANLINE_PLACE has $(busybox wget -q -O - $BEANLINE_APP_URL)\"]";
    let staged = [("acceptance_target", "checks"), ("acceptance_command", command)];
    let run = world.ship(TWO, &staged).expect(0).says("image for the acceptance tests from the stage `checks`");
    run.says("container has one").says("live has one");
    let nowhere = testing(&[("acceptance_target", "nowhere"), ("acceptance_command", command)]);
    world.ship(ONE, &nowhere).expect(10).says("nowhere");

    let both = [("acceptance_image", "python"), ("acceptance_target", "test"), ("acceptance_command", "true")];
    world.ship(ONE, &testing(&both)).expect(2).says("ACCEPTANCE_IMAGE is set, and so is acceptance_target");
    let alone = [("acceptance_image", "Python:3"), ("acceptance_files", "checks")];
    let run = world.ship(ONE, &testing(&alone)).expect(2);
    run.says("ACCEPTANCE_IMAGE is `Python:3`").says("ACCEPTANCE_FILES is set, but there is no acceptance_command");
    world.end();
}

/// What a program prints to be taken for a command by one CI or another.
const FORGED: [&str; 6] = [
    "::error::forged",
    "::add-mask::forged",
    "##vso[task.setvariable variable=A]forged",
    "##[set-env name=A]forged",
    "##teamcity[message text='forged']",
    "\\033[0Ksection_start:1:forged\\r\\033[0Kforged",
];

/// The most memory of its own that a process had, in KiB, looked at until it has ended. Its executable, of which a build
/// for tests has much more than another, is not counted.
fn peak_of(id: u32) -> u64 {
    let mut peak = 0;
    while let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) {
        let Some(line) = status.lines().find_map(|line| line.strip_prefix("RssAnon:")) else { break };
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    peak
}

#[test]
fn what_tests_print_takes_little_memory_and_cannot_command_a_ci() {
    let Some(world) = World::new() else { return };
    let mut printing = format!("echo the beginning\nyes {} | head -c 1000000000\n", "0123456789".repeat(100));
    // One line without an end, in the middle of which a command would begin a line if it were cut there.
    printing += "echo; head -c 50000000 /dev/zero | tr '\\0' :\n";
    for forged in FORGED {
        writeln!(printing, "printf '\\n{forged}\\n'; printf '10%%\\r{forged}\\n'").unwrap();
    }
    printing += "printf '\\377\\376 \\033[31mred\\033[0m\\n'; echo the end\n";
    world.app(&App::version("one").file("test.sh", &printing));
    let inputs = testing(&[("test_command", "sh /test.sh")]);
    let github = [("GITHUB_ACTIONS", "true")];
    let run = world.begin_with(ONE, &inputs, &github);
    let peak = peak_of(run.id());
    let run = run.end_within(Duration::from_secs(600)).unwrap_or_else(|_| panic!("the run did not end"));
    let run = run.expect(0).says("the beginning").says("the end").says(" red").says("are left out here");
    assert!(run.output.len() < 8 << 20, "{} bytes", run.output.len());
    assert!(peak > 0 && peak < 24 << 10, "{peak} KiB");
    println!("peak memory: {peak} KiB, log: {} KiB", run.output.len() >> 10);
    assert_no_command(&run.output);

    // The same is as safe in the log for programs, and in the acceptance tests.
    let printing = printing.replace("1000000000", "10000").replace("50000000", "100000");
    world.app(&App::version("two").file("test.sh", &printing));
    let inputs =
        testing(&[("test_command", "sh /test.sh"), ("acceptance_command", "sh /test.sh"), ("log_format", "json")]);
    let run = world.ship_with(TWO, &inputs, &github).expect(0);
    assert_no_command(&run.output);
    for line in run.output.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    world.end();
}

#[track_caller]
fn assert_no_command(output: &str) {
    for line in output.lines() {
        let line = line.trim_start();
        let begins = ["::error::", "::add-mask::forged"].iter().any(|command| line.starts_with(command));
        let has = ["##vso[", "##[set", "##teamcity[", "\u{1b}[0Ksection_start:1:forged"];
        assert!(!begins && !has.iter().any(|command| line.contains(command)), "{line}");
    }
}
