//! Unit tests that fail, in an image of their own: what the log, the check run and the lines of code say.

use super::support::{App, Run, World, check_runs};

const ONE: &str = "7171717171717171717171717171717171717171";

/// A shipped stage, and others for tests: with a user of its own, and without a shell.
const STAGES: &str = "
FROM app AS test
COPY passwd /etc/passwd
WORKDIR /srv
RUN chown 1000:1001 /srv
USER app
ENTRYPOINT [\"/bin/false\"]
FROM app AS bare
RUN [\"/bin/busybox\", \"rm\", \"/bin/sh\"]
";

/// Writes next to itself, as test tools do, and leaves a report as pytest does.
const RUN: &str = r#"
echo "in $(pwd) as $(id -u):$(id -g) with $TOKEN"
echo cached > tests/cache || exit 9
mkdir reports
cat > reports/junit.xml <<'XML'
<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" tests="3" time="0.6">
<testcase classname="tests.test_cart" name="test_adds" time="0.500" /><testcase classname="tests.test_cart"
name="test_discounts" time="0.100"><failure message="assert 3 == 4">def test_discounts():
&gt;       assert total([1, 2]) == 4
E       assert 3 == 4

tests/test_cart.py:2: AssertionError</failure></testcase>
<testcase classname="tests.test_cart" name="test_prints" time="0.000"><skipped message="no printer"/></testcase>
</testsuite></testsuites>
XML
echo '<testsuite><testcase' > reports/broken.xml
"#;

fn test(world: &World, more: &[(&str, &str)]) -> Run {
    let usual = [
        ("run", "test"),
        ("build_target", "app"),
        ("test_target", "test"),
        ("test_command", "sh tests/run.sh; exit 1"),
        ("test_files", "tests"),
        ("test_env", "TOKEN=obvious"),
        ("test_reports", "reports/*.xml"),
        ("acceptance_command", ""),
    ];
    let kept: Vec<_> = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name)).copied().collect();
    world.ship_with(ONE, &[&kept, more].concat(), &[("SECRET_TOKEN", "obvious-fake")])
}

#[test]
fn failing_tests_are_told_with_the_lines_where_they_failed() {
    let Some(world) = World::new() else { return };
    let context = world.app(&App::version("one"));
    let dockerfile = std::fs::read_to_string(context.join("Dockerfile")).unwrap();
    let dockerfile = dockerfile.replace("FROM scratch", "FROM scratch AS app") + STAGES;
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(context.join("passwd"), "root:x:0:0::/:\napp:x:1000:1001::/srv:\n").unwrap();
    std::fs::create_dir(world.path("tests")).unwrap();
    std::fs::write(world.path("tests/run.sh"), RUN).unwrap();
    std::fs::write(world.path("tests/test_cart.py"), "def test_discounts():\n    assert total([1, 2]) == 4\n").unwrap();

    let failed = test(&world, &[]).expect(11).says("in /srv as 1000:1001 with obvious");
    let failed = failed.says("1 of 2 tests failed, 1 skipped, taking 600 ms together");
    let failed = failed.says("failed: tests.test_cart.test_discounts (100 ms) at tests/test_cart.py:2");
    let failed = failed.says("slow: tests.test_cart.test_adds (500 ms)").says("not on the shipped bytes");
    failed
        .says("reports/broken.xml could not be read to its end")
        .says("because: `sh tests/run.sh; exit 1` exited with 1");
    let run = &check_runs(&world.github, ONE)["shop / unit test"];
    let [remark] = run.output.annotations.as_slice() else { panic!("one remark: {:?}", run.output.annotations) };
    let remark = serde_json::to_value(remark).unwrap();
    assert_eq!((&remark["path"], &remark["start_line"]), (&"tests/test_cart.py".into(), &2.into()));
    assert_eq!(
        (&remark["title"], &remark["message"]),
        (&"tests.test_cart.test_discounts".into(), &"assert 3 == 4".into())
    );

    // A command that hides what failed does not pass; what has no time or memory left is told with what it reported.
    test(&world, &[("test_command", "sh tests/run.sh")]).expect(11).says("its report has failing tests");
    let slow = [("test_command", "sh tests/run.sh; sleep 60"), ("test_timeout", "5s")];
    test(&world, &slow).expect(124).says("did not end within 5 s").says("because: tests.test_cart.test_discounts at");
    let greedy = [("test_command", "sh tests/run.sh; tail /dev/zero"), ("test_memory", "16m")];
    test(&world, &greedy).expect(11).says("ran out of memory").says("raise `test_memory`").says("1 of 2 tests failed");

    // The whole of a secret is hidden, and an image without a shell is told from one without the program.
    let secret = [("test_env", "SECRET_TOKEN"), ("test_command", "echo $SECRET_TOKEN")];
    let bare = [("test_target", "bare"), ("test_files", "")];
    test(&world, &[&secret[..], &[("test_reports", "")]].concat()).expect(0).says("| ***").never_says("obvious-fake");
    test(&world, &[&bare[..], &[("test_command", "true")]].concat())
        .expect(11)
        .says("write the command as a JSON array")
        .never_says("no test report");
    let exec = [("test_command", r#"["/bin/busybox", "true"]"#)];
    test(&world, &[&bare[..], &exec].concat()).expect(0).says("there is no test report at /reports");
    let nobody = [("acceptance_http", "")];
    test(&world, &nobody).expect(2).says("no acceptance test runs against a container");
    world.end();
}
