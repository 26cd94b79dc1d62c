//! Tests against the docker daemon of this machine. Without one they say so and pass.

mod build_caches;
mod build_options;
mod builds;
mod caches;
mod classic;
mod containers;
mod files;
mod reach;
mod ssh;
mod sync;

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};
use bytes::Bytes;
use futures_util::FutureExt;

use super::*;

/// A static program with every command in it, which images here are made of.
const BUSYBOX: &str = "/bin/busybox";

/// What one test may use. Everything it makes carries its label, and is removed when it ends, however it ends.
struct Bench {
    docker: Docker,
    id: String,
}

/// Runs a test that needs a daemon and busybox.
async fn with_daemon(test: impl AsyncFnOnce(&Bench)) {
    let bench = match Docker::connect(&DaemonEnv::default()).await {
        Ok(docker) => Bench { docker, id: uuid::Uuid::new_v4().simple().to_string() },
        Err(_) => return skipped("no docker daemon"),
    };
    if !std::path::Path::new(BUSYBOX).exists() {
        return skipped("no static busybox");
    }
    let outcome = AssertUnwindSafe(test(&bench)).catch_unwind().await;
    bench.remove_everything().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must not look as if it had")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}

impl Bench {
    fn label(&self) -> String {
        format!("io.beanline.run={}", self.id)
    }

    fn labels(&self) -> Labels {
        Labels::from([("io.beanline.run".into(), self.id.clone())])
    }

    /// A name of this test's own.
    fn name(&self, what: &str) -> String {
        format!("beanline-test-{what}-{}", &self.id[..12])
    }

    /// An image with busybox as `/bin/busybox` and `/bin/sh`, imported.
    async fn image(&self) -> String {
        let reference = format!("{}:1", self.name("image"));
        let mut tar = ::tar::Builder::new(Vec::new());
        tar.append_path_with_name(BUSYBOX, "bin/busybox").unwrap();
        let mut link = ::tar::Header::new_gnu();
        link.set_entry_type(::tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "bin/sh", "busybox").unwrap();
        let tar = Bytes::from(tar.into_inner().unwrap());
        self.docker.import(tar, &reference, &self.labels(), &["/bin/busybox", "sh", "-c"]).await.unwrap();
        reference
    }

    /// A container that will run a shell command.
    fn shell(&self, what: &str, image: &str, command: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(what),
            image: image.to_owned(),
            command: Some(vec![command.to_owned()]),
            labels: self.labels(),
            ..ContainerSpec::default()
        }
    }

    async fn remove_everything(&self) {
        let label = self.label();
        for container in self.docker.containers_labelled(&label).await.unwrap() {
            self.docker.remove_container(&container.id).await.unwrap();
        }
        for network in self.docker.networks_labelled(&label).await.unwrap() {
            self.docker.remove_network(&network).await.unwrap();
        }
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListImagesOptions { all: true, filters: Some(filters), ..Default::default() };
        for image in self.docker.client.list_images(Some(options)).await.unwrap() {
            let force = RemoveImageOptions { force: true, ..Default::default() };
            self.docker.client.remove_image(&image.id, Some(force), None).await.unwrap();
        }
    }
}

/// Lines as they come.
#[derive(Default)]
struct Heard(RefCell<Vec<String>>);

impl Heard {
    fn line(&self) -> impl Fn(String) {
        |text| self.0.borrow_mut().push(text)
    }

    fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    fn has(&self, part: &str) -> bool {
        self.0.borrow().iter().any(|line| line.contains(part))
    }
}
