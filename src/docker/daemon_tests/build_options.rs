//! What the inputs of a build change in the image.

use super::*;
use crate::image::{Repository, Tag, TaggedRef};
use crate::inputs::Recipe;

impl Bench {
    /// Builds a Dockerfile in a directory with busybox in it.
    async fn built(&self, dockerfile: &str, change: impl FnOnce(&mut Recipe)) -> Result<ImageFacts, Fault> {
        let root = std::env::temp_dir().join(format!("beanline-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&root).unwrap();
        std::fs::copy(BUSYBOX, root.join("busybox")).unwrap();
        std::fs::write(root.join("Dockerfile"), dockerfile).unwrap();
        let mut recipe = Recipe { context: root.clone(), dockerfile: "Dockerfile".into(), ..Recipe::default() };
        change(&mut recipe);
        let request = BuildRequest {
            recipe,
            labels: self.labels().into_iter().collect(),
            reference: format!("{}:1", self.name("option")),
            ..BuildRequest::default()
        };
        let built = self.docker.build(&request, &|_| ()).await;
        std::fs::remove_dir_all(&root).unwrap();
        Ok(self.docker.image(built?.as_str()).await?.unwrap())
    }
}

const RANDOM: &str = "FROM scratch AS base\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n\
                      RUN /bin/busybox cat /proc/sys/kernel/random/uuid > /id\n";

#[tokio::test]
async fn a_target_is_built_and_what_comes_after_it_is_not() {
    with_daemon(async |bench| {
        let text = "FROM scratch AS one\nWORKDIR /one\nFROM one AS two\nWORKDIR /two\nFROM two\nRUN exit 1\n";
        let facts = bench.built(text, |recipe| recipe.target = Some("two".into())).await.unwrap();
        assert_eq!(facts.working_dir, "/two");
    })
    .await;
}

#[tokio::test]
async fn without_the_cache_a_step_is_done_again() {
    with_daemon(async |bench| {
        let text = format!("{RANDOM}LABEL test={}\n", bench.id);
        let first = bench.built(&text, |_| ()).await.unwrap().id;
        assert_eq!(bench.built(&text, |_| ()).await.unwrap().id, first);
        assert_ne!(bench.built(&text, |recipe| recipe.no_cache = true).await.unwrap().id, first);
    })
    .await;
}

#[tokio::test]
async fn a_base_image_that_is_here_is_asked_for_anew_only_when_that_is_wanted() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        // Nobody answers there.
        let repository = Repository::parse(&format!("127.0.0.1:1/{}", bench.name("base")), "127.0.0.1:1").unwrap();
        let base = TaggedRef { repository, tag: Tag::parse("1").unwrap() };
        bench.docker.tag(&image, &base).await.unwrap();
        let text = format!("FROM {base}\nENV A=b\n");
        let here = bench.built(&text, |_| ()).await;
        let anew = bench.built(&text, |recipe| recipe.pull = true).await;
        bench.docker.remove_image(&base.to_string()).await.unwrap();
        assert!(here.is_ok(), "{}", here.unwrap_err());
        let refused = anew.unwrap_err();
        assert!(refused.to_string().contains(&format!("could not load metadata for {base}")), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn an_image_is_made_for_the_platform_that_is_asked_for() {
    with_daemon(async |bench| {
        let other = if bench.docker.platform() == "linux/arm64" { "amd64" } else { "arm64" };
        let text = "FROM scratch\nCOPY busybox /bin/busybox\n";
        let facts = bench.built(text, |recipe| recipe.platform = Some(format!("linux/{other}"))).await.unwrap();
        assert_eq!(facts.architecture, other);
    })
    .await;
}
