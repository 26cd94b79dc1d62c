//! Building, importing and naming images.

use std::path::PathBuf;

use super::*;
use crate::image::{Repository, Tag, TaggedRef};
use crate::inputs::Recipe;

/// A build context with busybox in it, removed with the value.
pub(super) struct Source(pub(super) PathBuf);

impl Source {
    /// One whose Dockerfile goes on from a stage with busybox in it.
    pub(super) fn with(dockerfile: &str) -> Self {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&root).unwrap();
        std::fs::copy(BUSYBOX, root.join("busybox")).unwrap();
        let base = "FROM scratch AS base\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n";
        std::fs::write(root.join("Dockerfile"), format!("{base}{dockerfile}")).unwrap();
        Self(root)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    pub(super) fn request(&self, source: &Source) -> BuildRequest {
        BuildRequest {
            recipe: Recipe { context: source.0.clone(), dockerfile: "Dockerfile".into(), ..Recipe::default() },
            labels: self.labels().into_iter().collect(),
            reference: format!("{}:1", self.name("built")),
            ..BuildRequest::default()
        }
    }

    async fn fault(&self, dockerfile: &str, change: impl FnOnce(&mut BuildRequest)) -> Fault {
        let source = Source::with(dockerfile);
        let mut request = self.request(&source);
        change(&mut request);
        self.docker.build(&request, &|_| ()).await.unwrap_err()
    }
}

#[tokio::test]
async fn an_image_is_built_with_arguments_secrets_and_labels_and_cached_the_second_time() {
    with_daemon(async |bench| {
        let source = Source::with(
            "ARG WHO\nRUN --mount=type=secret,id=token,required=true \
             echo hello $WHO && /bin/busybox wc -c </run/secrets/token\nEXPOSE 8080/tcp 53/udp\nWORKDIR /srv\n",
        );
        let mut request = bench.request(&source);
        request.recipe.args = vec![("WHO".into(), bench.id.clone())];
        request.recipe.secrets = vec![("token".into(), Secret::new("obvious-fake"))];
        let heard = Heard::default();
        let id = bench.docker.build(&request, &heard.line()).await.unwrap();
        let lines = heard.lines();
        let at = |part: &str| lines.iter().position(|line| line.contains(part));
        let said = lines.iter().position(|line| *line == format!("hello {}", bench.id));
        let counted = lines.iter().position(|line| line == "12");
        assert!(at("RUN --mount").is_some() && at("RUN --mount") < said && said < counted, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("RUN --mount") && line.contains(": done in ")), "{lines:#?}");

        let facts = bench.docker.image(&request.reference).await.unwrap().unwrap();
        assert_eq!((facts.id, facts.ports, facts.working_dir), (id.clone(), vec![8080], "/srv".to_owned()));
        assert_eq!(facts.labels, bench.labels());
        assert_eq!(format!("linux/{}", facts.architecture), bench.docker.platform());
        assert!(facts.bytes > 100_000 && !facts.has_healthcheck);

        let heard = Heard::default();
        assert_eq!(bench.docker.build(&request, &heard.line()).await.unwrap(), id);
        assert!(heard.lines().iter().any(|line| line.contains("RUN --mount") && line.ends_with(": CACHED")));
    })
    .await;
}

#[tokio::test]
async fn a_failing_step_is_reported_with_its_exit_code_and_its_own_last_lines() {
    with_daemon(async |bench| {
        let fault = bench.fault("RUN echo about to fail; exit 3\n", |_| ()).await;
        assert!(fault.to_string().ends_with("RUN echo about to fail; exit 3 ended with exit code 3"), "{fault}");
        assert_eq!(fault.last_lines(), ["about to fail"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_build_is_said_plainly() {
    with_daemon(async |bench| {
        let fault = bench.fault("RUNN x\n", |_| ()).await;
        assert!(fault.to_string().contains("the Dockerfile does not parse: line 4"), "{fault}");
        let fault = bench.fault("", |request| request.recipe.target = Some("nope".into())).await;
        assert!(fault.to_string().contains("nope") && fault.hints().len() == 1, "{fault}");
        let fault = bench
            .fault("RUN --mount=type=secret,id=other,required=true echo\n", |request| request.recipe.no_cache = true)
            .await;
        assert!(fault.to_string().contains("other") && fault.hints()[0].contains("build_secrets"), "{fault}");
        let fault = bench.fault("COPY missing /\n", |_| ()).await;
        assert!(fault.to_string().contains("missing"), "{fault}");
        let fault = bench.fault("FROM 127.0.0.1:1/base:1\n", |_| ()).await;
        assert!(fault.to_string().contains("could not load metadata for 127.0.0.1:1/base:1"), "{fault}");
        let fault = bench.fault("", |request| request.recipe.dockerfile = "absent".into()).await;
        assert!(fault.to_string().contains("there is no Dockerfile `absent`"), "{fault}");
    })
    .await;
}

#[tokio::test]
async fn an_executable_becomes_an_image_once() {
    with_daemon(async |bench| {
        // A copy of its own, so that its hash and so its image are this test's.
        let program = std::env::temp_dir().join(bench.name("program"));
        let mut bytes = std::fs::read(BUSYBOX).unwrap();
        bytes.extend_from_slice(bench.id.as_bytes());
        std::fs::write(&program, bytes).unwrap();
        let expiry = Labels::from([("io.beanline.expires".to_owned(), "9999999999".to_owned())]);
        let labels: Labels = bench.labels().into_iter().chain(expiry.clone()).collect();
        let own = bench.docker.import_executable(&program, &labels).await;
        let again = bench.docker.import_executable(&program, &labels).await;
        std::fs::remove_file(&program).unwrap();
        let own = own.unwrap();
        assert!(own.imported && own.reference.starts_with("beanline-own:"));
        assert_eq!(own, again.unwrap());
        let facts = bench.docker.image(&own.reference).await.unwrap().unwrap();
        bench.docker.remove_image(&own.reference).await.unwrap();
        // A container would inherit the others, and pass for the run's that imported the image.
        assert_eq!((facts.entrypoint, facts.labels), (vec!["/beanline".to_owned()], expiry));
    })
    .await;
}

#[tokio::test]
async fn names_come_and_go_and_what_is_not_there_is_no_error() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let id = bench.docker.image(&image).await.unwrap().unwrap().id;
        let name = TaggedRef {
            repository: Repository::parse(&bench.name("other"), "127.0.0.1:1").unwrap(),
            tag: Tag::parse("2").unwrap(),
        };
        bench.docker.tag(&image, &name).await.unwrap();
        assert_eq!(bench.docker.image(&name.to_string()).await.unwrap().unwrap().id, id);
        let refused = bench.docker.push(&name, None, &|_| ()).await.unwrap_err();
        assert!(refused.to_string().starts_with(&format!("could not push {name}: ")), "{refused}");

        let container = bench.docker.create(&bench.shell("user", &id.to_string(), "true")).await.unwrap();
        bench.docker.remove_image(&name.to_string()).await.unwrap();
        bench.docker.remove_image(&image).await.unwrap();
        assert!(bench.docker.image(&image).await.unwrap().is_some(), "the last name stays while a container uses it");
        assert!(bench.docker.container(&container).await.unwrap().is_some());
        bench.docker.remove_container(&container).await.unwrap();
        bench.docker.remove_image(&image).await.unwrap();
        bench.docker.remove_image(&image).await.unwrap();
        assert!(bench.docker.image(&image).await.unwrap().is_none());
        assert!(bench.docker.pull(&name.to_string(), None).await.is_err());
    })
    .await;
}
