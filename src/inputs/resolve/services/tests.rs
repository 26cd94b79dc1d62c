//! What services are read as, and every way to be refused.

use std::time::Duration;

use super::*;
use crate::inputs::{HealthCheck, PullPolicy};

fn variables() -> BTreeMap<String, String> {
    let pairs = [("PGPASSWORD", "obvious-fake-1"), ("REDIS_PASSWORD", "obvious-fake-2"), ("PG", "16"), ("EMPTY", "")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn services(text: &str) -> Vec<ServicePlan> {
    let (services, wrongs) = read(text, &variables());
    assert!(wrongs.is_empty(), "{wrongs:?}");
    services
}

fn problems(text: &str) -> Vec<String> {
    let (_, wrongs) = read(text, &variables());
    wrongs.into_iter().map(|wrong| format!("{}: {}", wrong.wrong, wrong.instead)).collect()
}

const WHOLE: &str = r#"
version: "3.9"
name: shop
x-check: &check {interval: 1s, timeout: 500ms, retries: "20", start_period: 1m30s}
services:
  db:
    image: postgres:${PG}
    pull_policy: always
    environment: {PGPASSWORD: , POSTGRES_DB: shop, SIZE: 1, DEBUG: true, LANG: no, URL: "pg://u:${PGPASSWORD}@db/$$x"}
    command: postgres -c "fsync = off" -p 5433
    expose: [5433]
    ports: ["15432:5432", {target: 9187, published: "9187", protocol: tcp}, "53:53/udp"]
    healthcheck: {<<: *check, test: pg_isready -U $$USER}
    tmpfs: /var/lib/postgresql/data:size=64m
    networks: {default: {aliases: [postgres, pg]}}
    hostname: database
    user: 999
    working_dir: /srv
    shm_size: 64mb
    mem_limit: 256m
    init: true
    labels: [a=1, b]
    x-note: nothing
  cache:
    image: redis
    entrypoint: []
    command: [redis-server, --requirepass, "${REDIS_PASSWORD}", --port, 6379]
    healthcheck: {disable: true}
    environment: [A=b=c, PGPASSWORD, "E=${EMPTY}"]
    restart:
  seed:
    image: seed
    depends_on: {db: {condition: service_healthy}, cache: {condition: service_started, required: true}}
  ready:
    image: seed
    entrypoint: sh -c
    depends_on: {seed: {condition: service_completed_successfully}}
  last: {image: x, depends_on: [ready, cache], networks: [default], tmpfs: [/a, "/b:mode=1777"]}
networks: {default: }
"#;

#[test]
fn a_whole_compose_file_is_read_as_compose_reads_it() {
    let services = services(WHOLE);
    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["cache", "db", "last", "ready", "seed"]);
    let [cache, db, last, ready, seed] = services.as_slice() else { panic!("five services") };
    let texts = |list: &[&str]| -> Vec<String> { list.iter().map(|text| (*text).to_owned()).collect() };
    assert_eq!((db.image.as_str(), db.pull), ("postgres:16", PullPolicy::Always));
    assert_eq!(db.command, Some(texts(&["postgres", "-c", "fsync = off", "-p", "5433"])));
    assert_eq!((db.ports.as_slice(), db.aliases.clone()), (&[5432, 5433, 9187][..], texts(&["postgres", "pg"])));
    let check = HealthCheck {
        test: texts(&["CMD-SHELL", "pg_isready -U $USER"]),
        interval: Some(Duration::from_secs(1)),
        timeout: Some(Duration::from_millis(500)),
        retries: Some(20),
        start_period: Some(Duration::from_secs(90)),
    };
    assert_eq!((check.longest(), db.health_check.as_ref()), (Duration::from_secs(120), Some(&check)));
    assert_eq!(db.tmpfs, [("/var/lib/postgresql/data".to_owned(), "size=64m".to_owned())]);
    assert_eq!((db.shm_size, db.memory, db.init), (Some(64 << 20), Some(256 << 20), Some(true)));
    let plain = [&db.hostname, &db.user, &db.working_dir].map(|text| text.as_deref().unwrap_or_default());
    assert_eq!(plain, ["database", "999", "/srv"]);
    assert_eq!(db.labels, [("a".to_owned(), "1".to_owned()), ("b".into(), String::new())]);

    assert_eq!((cache.entrypoint.clone(), cache.pull), (Some(Vec::new()), PullPolicy::Missing));
    let words = ["redis-server", "--requirepass", "obvious-fake-2", "--port", "6379"];
    assert_eq!(cache.command, Some(texts(&words)));
    assert_eq!(cache.health_check.as_ref().map(|check| check.test.clone()), Some(texts(&["NONE"])));
    assert_eq!(ready.entrypoint, Some(texts(&["sh", "-c"])));
    let wanted = [("cache".to_owned(), Condition::Started), ("db".into(), Condition::Healthy)];
    assert_eq!((seed.depends_on.as_slice(), seed.is_to_end, db.is_to_end), (&wanted[..], true, false));
    assert_eq!((last.depends_on.len(), last.tmpfs.len(), last.init), (2, 2, None));
}

#[test]
fn values_from_the_environment_are_secrets_and_others_are_not() {
    let services = services(WHOLE);
    let env = |at: usize| -> Vec<(&str, &str, bool)> {
        services[at].env.iter().map(|(key, value)| (key.as_str(), value.reveal(), value.is_masked())).collect()
    };
    assert_eq!(env(0), [("A", "b=c", false), ("E", "", false), ("PGPASSWORD", "obvious-fake-1", true)]);
    let database = [
        ("DEBUG", "true", false),
        ("LANG", "no", false),
        ("PGPASSWORD", "obvious-fake-1", true),
        ("POSTGRES_DB", "shop", false),
        ("SIZE", "1", false),
        ("URL", "pg://u:obvious-fake-1@db/$x", true),
    ];
    assert_eq!(env(1), database);
    let masks = |text: &str| -> Vec<String> {
        let mut masks: Vec<_> =
            secret_values(Some(text), &variables()).iter().map(|secret| secret.reveal().to_owned()).collect();
        masks.sort();
        masks.dedup();
        masks
    };
    assert_eq!(masks(WHOLE), ["obvious-fake-1", "obvious-fake-2", "pg://u:obvious-fake-1@db/$x"]);
    let broken = "db: {image: 'x:${PG}', volumes: [a], command: 'x ${PGPASSWORD}', user: '${NO}'}";
    assert_eq!(masks(broken), ["obvious-fake-1"], "also when something else is wrong");
}

/// What is wrong with `db`, a service that has an image and this.
fn only_problem(more: &str) -> String {
    let problems = problems(&format!("db:\n  image: postgres\n  {more}\n"));
    assert_eq!(problems.len(), 1, "{more}: {problems:?}");
    problems.concat()
}

#[test]
fn what_is_not_supported_is_refused_by_its_name_with_what_to_do() {
    let mount = "nothing is mounted, and data goes with the container; use tmpfs to keep it in memory, and put files into \
                 the image";
    let cases = [
        ("volumes: [data:/var/lib]", format!("has `db.volumes`, which is not supported: leave it out: {mount}")),
        (
            "build: .",
            "has `db.build`, which is not supported: name an image that is in a registry or on the engine; here only the \
             one under test is built"
                .into(),
        ),
        (
            "restart: always",
            "has `db.restart`, which is not supported: leave it out: a service that ends is an error, with its last lines"
                .into(),
        ),
        ("sysctls: {a: 1}", "has `db.sysctls`, which is not supported: leave it out".into()),
        ("enviroment: {A: b}", "has `db.enviroment`, which compose does not know: did you mean environment?".into()),
        (
            "healthcheck: {test: x, intervall: 1s}",
            "has `db.healthcheck.intervall`, which is not known there: did you mean interval?".into(),
        ),
        (
            "healthcheck: {start_interval: 1s}",
            "has `db.healthcheck.start_interval`, which older engines do not know: leave it out, and write a short \
             interval"
                .into(),
        ),
        (
            "networks: [backend]",
            "has `db.networks.backend`, which is not supported: leave it out: there is one network, which compose calls \
             default; it may have aliases"
                .into(),
        ),
        (
            "networks: {default: {ipv4_address: 10.0.0.2}}",
            "has `db.networks.default.ipv4_address`, which is not known there: known are aliases".into(),
        ),
        ("ports: [{targt: 1}]", "has `db.ports.targt`, which is not known there: did you mean target?".into()),
    ];
    cases.iter().for_each(|(given, told)| assert_eq!(only_problem(given), *told));
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_place() {
    let cases = [
        ("ports: [http]", "has `db.ports` with `http`: write a port of the container, such as 5432 or 5432/tcp"),
        ("mem_limit: 1m", "has `db.mem_limit` with `1m`: write a size such as 256m or 1g, at least 6m"),
        ("shm_size: lots", "has `db.shm_size` with `lots`: write a size such as 256m or 1g"),
        ("tmpfs: data", "has `db.tmpfs` with `data`: write an absolute path, such as /data"),
        (
            "healthcheck: {interval: 5}",
            "has `db.healthcheck.interval` with `5`: write a time such as 500ms, 2s or 1m30s",
        ),
        (
            "healthcheck: {test: [pg_isready]}",
            "has `db.healthcheck.test`, which does not begin with CMD, CMD-SHELL or NONE: write [\"CMD\", program, \
             argument…], [\"CMD-SHELL\", text], text alone, or [\"NONE\"]",
        ),
        (
            "command: postgres 'x",
            "has `db.command`, whose quotes do not match: write it as a list: [\"program\", \"argument\"]",
        ),
        (
            "environment: [NOT_THERE]",
            "has `db.environment` with `NOT_THERE` without a value, and no variable of that name is set: write NAME: \
             value, or set the variable (docker run -e NAME)",
        ),
        (
            "environment: [sEcr3tInTheWrongPlace]",
            "has `db.environment` with a name without a value, and no variable of that name is set: write NAME: value, or \
             set the variable (docker run -e NAME)",
        ),
        (
            "environment: {A: {b: c}}",
            "has `db.environment` in a form that compose does not have: see docs/services.md for what it may be",
        ),
        (
            "depends_on: {db2: {condition: soon}}",
            "has `db.depends_on.db2` with the condition `soon`: write service_started, service_healthy or \
             service_completed_successfully",
        ),
        (
            "depends_on: [db2]",
            "has `db.depends_on` with `db2`, which is no service here: write the name of another service",
        ),
        ("depends_on: [db]", "has services that wait for each other by depends_on: db: let one of them start first"),
        (
            "command: 'x ${NOT_THERE}'",
            "wants the variable NOT_THERE in `db.command`, which is not set: set it (docker run -e NOT_THERE), write \
             ${NOT_THERE:-default}, or $$ for a dollar sign",
        ),
        (
            "command: 'x ${NO:?the password of the database}'",
            "wants the variable NO in `db.command`, which is missing: it says `the password of the database`",
        ),
        (
            "labels: {io.beanline.run: x}",
            "has `db.labels` that begin with io.beanline.: leave them out: they are this program's own",
        ),
        (
            "networks: {default: {aliases: [app]}}",
            "has `db.networks.default.aliases` with `app`: leave it out: tests call the application itself so",
        ),
        ("hostname: app", "has `db.hostname` with `app`: leave it out: tests call the application itself so"),
        ("pull_policy: build", "has `db.pull_policy` build: write missing, always or never: services are not built"),
    ];
    cases.iter().for_each(|(given, told)| assert_eq!(only_problem(given), *told));
}

#[test]
fn no_problem_shows_the_value_of_a_variable() {
    for (given, told) in [
        ("mem_limit: '${PGPASSWORD}'", "has `db.mem_limit` with `***`: write a size such as 256m or 1g, at least 6m"),
        ("shm_size: 'x${PGPASSWORD}'", "has `db.shm_size` with `***`: write a size"),
        ("ports: ['80:${PGPASSWORD}']", "has `db.ports` with `***`: write a port"),
        ("ports: [{target: '${PGPASSWORD}'}]", "has `db.ports` with `***`: write a port"),
        ("expose: ['$PGPASSWORD']", "has `db.expose` with `***`: write a port"),
        ("tmpfs: '${COLON}'", "has `db.tmpfs` with `***`: write an absolute path"),
        ("tmpfs: 'data:${COLON}'", "has `db.tmpfs` with `***`: write an absolute path"),
        ("healthcheck: {interval: '${PGPASSWORD}'}", "has `db.healthcheck.interval` with `***`: write a time"),
        ("environment: ['${UPPER}']", "has `db.environment` with `***` without a value"),
        ("depends_on: ['${PGPASSWORD}']", "has `db.depends_on` with `***`, which is no service here"),
        ("depends_on: {x: {condition: '${LONG}'}}", "has `db.depends_on.x` with the condition `***`: write"),
    ] {
        let mut variables = variables();
        let more =
            [("COLON", "obvious:fake".to_owned()), ("UPPER", "FAKE_1".into()), ("LONG", "obvious-fake ".repeat(9))];
        variables.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let (_, wrongs) = read(&format!("db: {{image: postgres, {given}}}"), &variables);
        let problem = wrongs.iter().map(|wrong| format!("{}: {}", wrong.wrong, wrong.instead)).next().unwrap();
        assert!(problem.starts_with(told), "{given}: {problem}");
    }
    assert!(only_problem("mem_limit: 1m\n  user: '${PG}'").contains("with `1m`"), "what stands in the text is shown");
}

#[test]
fn what_is_wrong_with_the_whole_is_told() {
    let cases = [
        ("docker-compose.yml", "is no mapping of services"),
        ("{}", "has no service"),
        ("services: {}", "has no service"),
        ("db: {image: a}\ndb: {image: b}", "has a key in line 2 that stood there before"),
        ("db: [", "cannot be read as YAML in line"),
        ("db: {image: x, ports: !reset [1]}", "cannot be read as YAML in line 1"),
        ("db: postgres", "has the service `db`, which is no mapping"),
        ("db:", "has the service `db`, which names no image"),
        ("app: {image: x}", "has a service with the name `app`"),
        ("'../x': {image: x}", "has a service with the name `../x`"),
        ("services: {db: {image: x}}\nvolumes: {data: {driver: x}}", "has volumes, which is not supported"),
        ("a: {image: x, depends_on: [b]}\nb: {image: x, depends_on: [a]}", "has services that wait for each other"),
    ];
    for (given, told) in cases {
        let problems = problems(given);
        assert!(problems.len() == 1 && problems[0].starts_with(told), "{given}: {problems:?}");
    }
    let all = problems(
        "services:\n  db: {image: x, volumes: [a], restart: always}\n  cache: {imag: y}\nvolumes: {a: }\nnetworks: {b: }",
    );
    assert_eq!(all.len(), 5, "everything is told at once: {all:?}");
}
