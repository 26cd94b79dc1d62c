//! A build's cache that travels as a file.

use bollard::query_parameters::PruneBuildOptions;
use http_body_util::BodyExt;

use super::*;
use crate::inputs::{Recipe, SessionPlan};

impl Bench {
    /// Forgets the daemon's cache of the steps whose command holds a text of this test's own.
    async fn forget(&self, text: &str) {
        // The client reads newer answers than this one alone.
        let asked = http::Request::get("/system/df").body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let answer =
            self.docker.wire.clone().send(asked).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let usage: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        let records = usage["BuildCache"].as_array().unwrap().iter();
        let ours = records.filter(|record| record["Description"].as_str().unwrap().contains(text));
        let ids: Vec<_> = ours.map(|record| record["ID"].as_str().unwrap().to_owned()).collect();
        assert!(!ids.is_empty());
        for id in ids {
            let filters = HashMap::from([("id".to_owned(), vec![id.clone()])]);
            let options = PruneBuildOptions { all: Some(true), filters: Some(filters), ..Default::default() };
            let pruned = self.docker.client.prune_build(Some(options)).await.unwrap();
            assert_eq!(pruned.caches_deleted, Some(vec![id]));
        }
    }

    /// What an image's layers hold.
    async fn layers(&self, image: &str) -> Option<Vec<String>> {
        self.docker.client.inspect_image(image).await.unwrap().root_fs.and_then(|root| root.layers)
    }

    async fn named(&self, reference: &str) -> Option<String> {
        self.docker.image(reference).await.unwrap().map(|image| image.id.to_string())
    }
}

#[tokio::test]
async fn what_a_build_did_is_found_again_in_a_file_when_the_daemon_has_forgotten_it() {
    with_daemon(async |bench| {
        let root = std::env::temp_dir().join(bench.name("cached"));
        std::fs::create_dir(&root).unwrap();
        std::fs::copy(BUSYBOX, root.join("busybox")).unwrap();
        let slow = format!("cat /proc/sys/kernel/random/uuid > /id && echo {}", bench.id);
        let text = format!(
            "FROM scratch AS tools\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENV PATH=/bin\n\
             RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nRUN {slow}\nFROM scratch\nCOPY --from=tools /id /id\n"
        );
        std::fs::write(root.join("Dockerfile"), text).unwrap();
        let recipe = Recipe {
            context: root.clone(),
            dockerfile: "Dockerfile".into(),
            session: SessionPlan { inline_cache: true, ..SessionPlan::default() },
            ..Recipe::default()
        };
        let request = |target: Option<&str>, name: &str| BuildRequest {
            recipe: Recipe { target: target.map(str::to_owned), ..recipe.clone() },
            labels: bench.labels().into_iter().collect(),
            reference: format!("{}:1", bench.name(name)),
            ..BuildRequest::default()
        };
        let (app, tools) = (request(None, "app"), request(Some("tools"), "tools"));
        let built = bench.docker.build(&app, &|_| ()).await.unwrap();
        let staged = bench.docker.build(&tools, &|_| ()).await.unwrap();
        let layers = bench.layers(built.as_str()).await;
        let file = root.join("kept/cache.tar");
        let bytes = bench.docker.save(&[&app.reference, &tools.reference], &file).await.unwrap();
        assert_eq!(bytes, std::fs::metadata(&file).unwrap().len());
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the file");

        for reference in [&app.reference, &tools.reference] {
            bench.docker.remove_image(reference).await.unwrap();
        }
        bench.forget(&bench.id).await;
        let archive = Archive::look(&file).await.unwrap().unwrap();
        let held: Vec<_> = archive.images.iter().map(ToString::to_string).collect();
        assert!(held.len() == 2 && held.contains(&built.to_string()) && held.contains(&staged.to_string()), "{held:?}");
        let names: Vec<String> = (0..2).map(|number| format!("{}:{number}", bench.name("loaded"))).collect();
        bench.docker.load(&archive, names.clone()).await.unwrap();
        assert_eq!(bench.named(&names[0]).await.as_ref(), held.first());
        assert!(bench.named(&app.reference).await.is_none(), "the file gives no names of its own");

        let heard = Heard::default();
        let mut again = app.clone();
        again.recipe.session.cache_from = names;
        let rebuilt = bench.docker.build(&again, &heard.line()).await.unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert!(heard.lines().iter().any(|line| line.contains(&slow) && line.ends_with(": CACHED")), "{:#?}", heard.lines());
        // What the step drew at random is what it drew the first time.
        assert_eq!(bench.layers(rebuilt.as_str()).await, layers);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_leaves_no_name() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let file = std::env::temp_dir().join(bench.name("damaged.tar"));
        bench.docker.save(&[&image], &file).await.unwrap();
        let refused = Archive::look(&file).await.unwrap_err();
        assert!(refused.to_string().contains("no image in it carries a build cache"), "{refused}");

        // Cut in the middle of a layer: the list, which comes after it, is gone.
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        let refused = Archive::look(&file).await.unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert!(refused.to_string().starts_with(&format!("could not use {}", file.display())), "{refused}");

        let gone = bench.docker.save(&["beanline-test-nowhere:1"], &file).await.unwrap_err();
        assert!(gone.to_string().contains("could not write") && !file.exists(), "{gone}");
    })
    .await;
}
