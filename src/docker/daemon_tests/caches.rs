//! A cache that lies in a registry.

use std::net::TcpListener;
use std::process::Stdio;

use super::builds::Source;
use super::*;
use crate::image::{Repository, Tag, TaggedRef};

/// Debian's registry, which `make test` sees to.
const PROGRAM: &str = "docker-registry";

/// Starts a registry with its files in a directory, and gives its address.
async fn registry(directory: &std::path::Path) -> Option<(String, tokio::process::Child)> {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = directory.join("registry.yml");
    let data = directory.join("registry");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
        data.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = tokio::process::Command::new(PROGRAM);
    command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.kill_on_drop(true).spawn().ok()?;
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Some((address.to_string(), child));
        }
        crate::engine::retry::pause(Duration::from_millis(20)).await;
    }
    panic!("{PROGRAM} does not listen on {address}");
}

#[tokio::test]
async fn an_image_carries_its_cache_to_the_registry_and_one_that_is_not_there_is_a_note() {
    with_daemon(async |bench| {
        let source = Source::with(&format!("RUN echo {}\n", bench.id));
        std::fs::write(source.0.join(".dockerignore"), "registry*\n").unwrap();
        let Some((host, _registry)) = registry(&source.0).await else { return skipped("no docker-registry") };
        let name = |path: &str| TaggedRef {
            repository: Repository::parse(path, &host).unwrap(),
            tag: Tag::parse("1").unwrap(),
        };
        let mut request = bench.request(&source);
        request.recipe.session.inline_cache = true;
        let id = bench.docker.build(&request, &|_| ()).await.unwrap();
        let pushed = name("shop");
        bench.docker.tag(&id.to_string(), &pushed).await.unwrap();
        bench.docker.push(&pushed, None, &|_| ()).await.unwrap();
        bench.docker.remove_image(&pushed.to_string()).await.unwrap();

        request.recipe.session.cache_from = vec![pushed.to_string(), name("none").to_string()];
        let heard = Heard::default();
        bench.docker.build(&request, &heard.line()).await.unwrap();
        assert!(heard.has(&format!("importing cache manifest from {pushed}: done")), "{:#?}", heard.lines());
        assert!(
            heard.has(&format!("importing cache manifest from {}: not used", name("none"))),
            "{:#?}",
            heard.lines()
        );

        // With the cache in it, it is another configuration than without.
        request.recipe.session.inline_cache = false;
        request.recipe.session.cache_from.clear();
        assert_ne!(bench.docker.build(&request, &|_| ()).await.unwrap(), id);
    })
    .await;
}
