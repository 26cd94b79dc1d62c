//! The environment, what CIs and docker leave in files, bundles, names of images.

use std::io;
use std::path::Path;

use beanline::image::{Digest, Repository, Tag};
use beanline::inputs::docker_config::DockerConfig;
use beanline::inputs::resolve::{Surroundings, report_alone, resolve};
use beanline::inputs::{CiFacts, RawInputs, Secret};
use beanline::local::control::beanstalk::bundle;
use beanline::targets::beanstalk::bundle::{Bundle, Names};

use super::driver::fuzz;

/// Variables, each ended by a NUL byte, as in `/proc/self/environ`.
fn inputs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let environment = text.split('\0').filter_map(|pair| pair.split_once('='));
    // What a file holds is as strange as everything else.
    let read_file = |path: &Path| match path.as_os_str().len() % 3 {
        0 => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(text.clone().into_owned()),
    };
    let raw = RawInputs::read_with(environment.map(|(name, value)| (name.into(), value.into())), &read_file);
    let ci = CiFacts::detect(raw.variables(), &read_file);
    let around = Surroundings { ci: &ci, local_registry: "127.0.0.1:5000", read_file: &read_file };
    report_alone(&raw, &around);
    match resolve(&raw, &around) {
        Ok(plan) => assert!(!plan.timeout.is_zero() && !plan.revision.is_empty()),
        Err(problems) => assert!(!problems.is_empty()),
    }
}

#[test]
fn fuzz_inputs() {
    let whole = b"BEANLINE_IMAGE=registry.example.com/shop\0BEANLINE_APPLICATION=shop\0BEANLINE_ENVIRONMENT=shop-live\0\
        BEANLINE_REVISION=1f0c2aa5d3b1e8c7f6a5b4c3d2e1f0a9b8c7d6e5\0AWS_REGION=eu-west-1\0BEANLINE_TEST_COMMAND=[\"a\"]\0\
        BEANLINE_ACCEPTANCE_HTTP=GET / 2xx has \"x\" json $.a[?@.b] is not [1]\n within 2s\0BEANLINE_ACCEPTANCE_IMAGE=a:1\0\
        BEANLINE_BUILD_SECRETS=a=b\nC\0C=d\0BEANLINE_TIMEOUT=1h30m";
    let github = b"GITHUB_ACTIONS=true\0GITHUB_EVENT_NAME=pull_request\0GITHUB_EVENT_PATH=/e\0INPUT_AWS-REGION=x\0\
        GITHUB_REF=refs/pull/1/merge\0GITHUB_REPOSITORY=a/b\0INPUT_TAG={branch}-{build}\0INPUT_IMAGE_FILE=/file";
    let local =
        b"BEANLINE_CLOUD=local\0BEANLINE_RUN=test\0BEANLINE_CONTEXT=/x\0BEANLINE_REPORT=checks\0BEANLINE_MASK=ab";
    fuzz(&[whole, github, local], inputs);
}

/// Services have names, images and an order, or there is something wrong with them.
fn services(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let set = [("BEANLINE_RUN", "test"), ("BEANLINE_SERVICES", &text), ("PW", "obvious-fake"), ("EMPTY", "")];
    let raw = RawInputs::read(set.map(|(name, value)| (name.into(), value.into())).into_iter());
    let read_file = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let around = Surroundings { ci: &CiFacts::default(), local_registry: "", read_file: &read_file };
    match resolve(&raw, &around) {
        Ok(plan) => {
            let names: Vec<&str> = plan.services.iter().map(|service| service.name.as_str()).collect();
            assert!(plan.services.iter().all(|service| !service.image.is_empty() && service.name != "app"));
            let mut wanted = plan.services.iter().flat_map(|service| &service.depends_on);
            assert!(wanted.all(|(name, _)| names.contains(&name.as_str())));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| !problem.to_string().contains("obvious-fake")));
        }
    }
}

#[test]
fn fuzz_services() {
    let whole = br#"
version: "3"
x-check: &check {interval: 1s, retries: 5}
services:
  db:
    image: postgres:${PG:-16}
    environment: {PW: , URL: "pg://${PW}@db/$$x", SIZE: 1.5}
    healthcheck: {<<: *check, test: [CMD, a], timeout: 1m30s, start_period: 500ms, disable: false}
    ports: ["127.0.0.1:5432:5432/tcp", 80-90, {target: 1, protocol: udp}]
    tmpfs: [/a, "/b:size=1m"]
    networks: {default: {aliases: [x]}}
    mem_limit: 64m
    labels: [a=b]
  cache: {image: redis, command: "a 'b c' ${PW:?x}", depends_on: {db: {condition: service_healthy}}, user: 9}
"#;
    let wrong = br#"{"a": {"build": ".", "depends_on": ["b"]}, "b": {"image": "${NO", "depends_on": ["a"], "x-y": 1}}"#;
    fuzz(&[whole, wrong], services);
}

fn ci_payload(bytes: &[u8]) {
    let payload = String::from_utf8_lossy(bytes);
    for event in ["pull_request", "pull_request_target", "workflow_run", "check_suite", "issue_comment", "push"] {
        let told = [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", event), ("GITHUB_EVENT_PATH", "/event")];
        let variables = told.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let facts = CiFacts::detect(&variables, &|_| Ok(payload.clone().into_owned()));
        assert!(facts.sha.is_none_or(|sha| sha.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}

#[test]
fn fuzz_ci_payloads() {
    let pull_request = br#"{"number":1,"pull_request":{"number":1,"head":{"sha":"aaaabbbbccccddddeeeeffff0000111122223333",
        "repo":{"full_name":"a/b"}},"base":{"repo":{"full_name":"a/b"}}},"repository":{"fork":true,"full_name":"a/b"}}"#;
    let workflow = br#"{"workflow_run":{"head_sha":"aaaabbbbccccddddeeeeffff0000111122223333","head_branch":"b",
        "pull_requests":[{"head":{"ref":"b","sha":"aaaa"}}],"head_repository":{"full_name":"a/b"}}}"#;
    let comment = br#"{"issue":{"number":4,"pull_request":{}},"check_suite":{"head_sha":"aaaabbbb"}}"#;
    fuzz(&[pull_request, workflow, comment], ci_payload);
}

/// A configuration that is refused is not shown.
fn docker_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match DockerConfig::parse(&text) {
        Ok(config) => {
            for host in ["docker.io", "quay.io", "127.0.0.1:5000", ""] {
                config.entry(host);
            }
            assert!(config.secrets().iter().all(Secret::is_masked));
        }
        Err(told) => assert!(!told.contains("obvious-fake") && told.len() < 60, "{told}"),
    }
}

#[test]
fn fuzz_docker_config() {
    let logins =
        br#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6b2J2aW91cy1mYWtl"},"quay.io":{"username":"me",
        "password":"obvious-fake"}},"credsStore":"desktop","credHelpers":{"a.example.com":"ecr-login"}}"#;
    fuzz(&[logins, br#"{"auths":null,"HttpHeaders":{"a":"obvious-fake"}}"#], docker_config);
}

/// Whatever names an image and a port to the platform, or is refused.
fn dockerrun(bytes: &[u8]) {
    if let Ok(bundle) = bundle::read(bytes, &bundle::Properties::new()) {
        let image = &bundle.service.image;
        assert!(image.reference().starts_with(&image.name));
        image.is_always_pulled();
    }
    let _ = bundle::login(bytes, "quay.io/team/shop:1");
}

#[test]
fn fuzz_dockerrun_and_bundles() {
    let image = beanline::image::TaggedRef {
        repository: Repository::parse("127.0.0.1:5000/shop", "docker.io").unwrap(),
        tag: Tag::parse("1").unwrap(),
    };
    let digest = Digest::of(b"image");
    let (known_as, version_label, bucket) = (&image, "1", "b");
    let names = Names { image: &image, known_as, digest: &digest, port: 8080, version_label, bucket };
    let zip = Bundle::default().pack(&names, None).unwrap();
    let plain = br#"{"AWSEBDockerrunVersion":"1","Image":{"Name":"quay.io/team/shop:1","Update":"true"},"Ports":
        [{"ContainerPort":8080,"HostPort":"80"}],"Authentication":{"Bucket":"b","Key":"k"},"Logging":"/var/log"}"#;
    let login = br#"{"auths":{"quay.io":{"auth":"bWU6b2J2aW91cy1mYWtl"}}}"#;
    let compose = b"services: {web: {image: \"shop:${TAG:-1}\", ports: ['80:8080'], env_file: .env}}";
    fuzz(&[plain, login, compose, &zip.bytes], dockerrun);
}

/// What is read is written the same, and read again.
fn image_names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(repository) = Repository::parse(&text, "docker.io") {
        let again = Repository::parse(&repository.to_string(), "docker.io").unwrap();
        assert_eq!(again, repository);
    }
    assert!(Tag::parse(&text).is_ok_and(|tag| tag.as_str() == text) || Tag::parse(&text).is_err());
    assert!(Digest::parse(&text).is_ok_and(|digest| digest.as_str() == text) || Digest::parse(&text).is_err());
}

#[test]
fn fuzz_image_names() {
    let digest = b"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let ecr = b"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop";
    fuzz(&[b"shop", b"docker.io/library/shop", b"127.0.0.1:5000/a/b-c_d", ecr, b"v1.2-x", digest], image_names);
}
