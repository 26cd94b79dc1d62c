//! Services: a real PostgreSQL and a real Redis beside the tests, each stage with its own.

use std::path::PathBuf;

use super::support::{Run, ServiceImages, World, docker};

const POSTGRES_PASSWORD: &str = "obvious-fake-postgres";
const REDIS_PASSWORD: &str = "obvious-fake-redis";

/// A database that is healthy by its check, a table that is made in it, and a cache that is ready when it takes connections.
fn services(images: &ServiceImages) -> String {
    format!(
        r#"
version: "3"
services:
  db:
    image: {}
    environment: [POSTGRES_PASSWORD, PGDATA=/fast/data]
    tmpfs: /fast:uid=999,size=512m
    healthcheck: {{test: pg_isready -h 127.0.0.1, interval: 500ms, timeout: 5s, retries: 120}}
  seed:
    image: {}
    environment: {{PGPASSWORD: "${{POSTGRES_PASSWORD:?the database's}}"}}
    entrypoint: psql -h db -U postgres -c
    command: ["create table visits (at timestamp)"]
    depends_on: {{db: {{condition: service_healthy}}}}
  cache:
    image: {}
    command: --requirepass ${{REDIS_PASSWORD}} --port 6379
    ports: ["16379:6379"]
    networks: {{default: {{aliases: [redis]}}}}
    depends_on: {{seed: {{condition: service_completed_successfully}}}}
"#,
        images.postgres, images.postgres, images.redis
    )
}

/// Leaves a table and a key behind, which must not reach other tests.
const UNIT_TEST: &str = r#"set -e
psql -v ON_ERROR_STOP=1 -h db -U postgres -At -c 'create table basket (item text)' \
    -c "insert into basket values ('tea') returning 'the unit test sees ' || item"
printf 'AUTH %s\r\nSET drink tea\r\nGET drink\r\nQUIT\r\n' "$REDIS_PASSWORD" | nc redis 6379
"#;

/// The application shows at its start what it found in the database and the cache.
const APPLICATION: &str = r#"set -e
psql -v ON_ERROR_STOP=1 -h db -U postgres -At -c "select 'visits: ' || count(*) from visits" \
    -c "select 'a basket of others: ' || (to_regclass('basket') is not null)" > /www/index.html
printf 'AUTH %s\r\nEXISTS drink\r\nQUIT\r\n' "$REDIS_PASSWORD" | nc cache 6379 >> /www/index.html
exec httpd -f -p 8080 -h /www
"#;

/// Writes an application whose image is made of the database's, for its client.
fn application(world: &World, images: &ServiceImages) -> PathBuf {
    let context = world.path("app");
    std::fs::create_dir_all(context.join("www")).unwrap();
    let dockerfile = format!(
        "FROM {}\nUSER 0\nENTRYPOINT []\nCOPY . /\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\nCMD [\"sh\", \"/start.sh\"]\n",
        images.postgres
    );
    for (name, text) in
        [("Dockerfile", &*dockerfile), ("test.sh", UNIT_TEST), ("start.sh", APPLICATION), ("www/ping", "ok\n")]
    {
        std::fs::write(context.join(name), text).unwrap();
    }
    context
}

fn run(world: &World, images: &ServiceImages, more: &[(&str, &str)]) -> Run {
    let (context, services) = (application(world, images), services(images));
    let usual = [
        ("run", "test"),
        ("context", context.to_str().unwrap()),
        ("services", &*services),
        ("test_command", "sh /test.sh"),
        ("test_env", "PGPASSWORD\nREDIS_PASSWORD"),
        ("app_env", "PGPASSWORD\nREDIS_PASSWORD"),
        ("port", "8080"),
        ("acceptance_http", "GET / 200 has \"visits: 0\"\nGET / 200 has \"a basket of others: false\""),
        ("acceptance_command", "wget -q -O - $BEANLINE_APP_URL && printf 'PING\\r\\nQUIT\\r\\n' | nc redis 6379"),
    ];
    let kept = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    let inputs: Vec<(&str, &str)> = kept.chain(more).copied().collect();
    let passwords = [
        ("POSTGRES_PASSWORD", POSTGRES_PASSWORD),
        ("PGPASSWORD", POSTGRES_PASSWORD),
        ("REDIS_PASSWORD", REDIS_PASSWORD),
    ];
    let run = world.beanline_with(&[], &inputs, &passwords);
    world.assert_no_run_is_left();
    run.never_says(POSTGRES_PASSWORD).never_says(REDIS_PASSWORD)
}

#[test]
fn tests_and_application_meet_a_real_database_and_a_real_cache() {
    let Some(world) = World::new() else { return };
    let Some(images) = ServiceImages::load() else { return };
    let told = run(&world, &images, &[]).expect(0).says("the unit test sees tea").says("service db is healthy");
    let told = told.says("service seed has ended well").says("service cache takes connections");
    // Each stage has its own: the application finds an empty key beside the table that was made for it.
    told.says("visits: 0").says("NOAUTH").never_says("a basket of others: true");

    // A database that refuses says so in its own words, below those of the test.
    let nonsense = [("test_command", "psql -h db -U postgres -c 'select nonsense'"), ("acceptance_on", "none")];
    let told = run(&world, &images, &nonsense).expect(11).says("the last lines of service db:");
    told.says("STATEMENT:  select nonsense").says("the last lines of service cache:");
    drop(images);
    world.end();
}

#[test]
fn services_that_do_not_come_up_stop_the_run_with_their_own_words() {
    let Some(world) = World::new() else { return };
    let Some(images) = ServiceImages::load() else { return };
    let root = format!("db: {{image: {}, user: root, environment: [POSTGRES_PASSWORD]}}", images.postgres);
    let told = run(&world, &images, &[("services", &root), ("acceptance_on", "none")]).expect(11);
    told.says("service db ended before the tests began").says("cannot be run as root");

    // Nothing is pulled, built or started for services that cannot be what they are asked to be.
    let mounts = format!("db: {{image: {}, volumes: ['data:/data'], restart: always, imagee: x}}", images.postgres);
    let told = run(&world, &images, &[("services", &mounts)]).expect(2);
    let told = told.says("BEANLINE_SERVICES has `db.volumes`, which is not supported").says("use tmpfs");
    told.says("`db.restart`").says("did you mean image?").says("nothing was changed");

    let nowhere = run(&world, &images, &[("services", "db: {image: '127.0.0.1:1/none:1'}")]).expect(10);
    nowhere.says("could not pull 127.0.0.1:1/none:1").says("image of service db");
    drop(images);
    world.end();
}

#[test]
fn a_run_that_is_interrupted_takes_its_services_with_it() {
    let Some(world) = World::new() else { return };
    let Some(images) = ServiceImages::load() else { return };
    let context = application(&world, &images);
    let services = format!(
        "db: {{image: {}, environment: [POSTGRES_PASSWORD], healthcheck: {{test: 'false', interval: 1s, retries: 999}}}}",
        images.postgres
    );
    let inputs = [("run", "test"), ("context", context.to_str().unwrap()), ("services", &services), ("port", "8080")];
    let inputs = [&inputs[..], &[("test_command", "true")]].concat();
    let mut running = world.start(&[], &inputs, &[("POSTGRES_PASSWORD", POSTGRES_PASSWORD)]);
    let filter = format!("ancestor={}", images.postgres);
    running.wait_for("a database for each stage", || {
        docker(&["ps", "-q", "--filter", &filter, "--filter", "label=io.beanline.run"]).unwrap().lines().count() == 2
    });
    running.signal("INT");
    running.end().says("cancelled");
    drop(images);
    world.end();
}
