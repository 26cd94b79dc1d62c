//! Images: looked at, named, pulled, imported, removed.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions, TagImageOptions};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

use super::again::{again, failure, is_labelled, or_none};
use super::refusal::{refused, status};
use super::{Docker, ImageFacts, ImageStore, Labels, Login};
use crate::engine::retry::{Attempts, Failure, Policy};
use crate::fault::Fault;
use crate::image::{Digest, Repository, TaggedRef};

/// The name under which docker keeps Docker Hub's login.
const DOCKER_HUB_LOGIN: &str = "https://index.docker.io/v1/";

/// How long an image may be in use by a container that is being removed.
const FREED_WITHIN: Duration = Duration::from_secs(10);

impl Docker {
    /// What the daemon knows about an image; `None` when it has no such image.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>, Fault> {
        let found = again(format!("could not inspect image {reference}"), |_| async move {
            or_none(self.client.inspect_image(reference).await)
        });
        found.await?.map(|image| ImageFacts::read(reference, image)).transpose()
    }

    /// How the daemon keeps images.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn image_store(&self) -> Result<ImageStore, Fault> {
        let what = "could not ask the docker daemon how it keeps images";
        let info = again(what, |_| async move { self.client.info().await }).await?;
        Ok(ImageStore::read(&info.driver_status.unwrap_or_default()))
    }

    /// Gives an image a further name.
    ///
    /// # Errors
    /// The daemon has no such image, or refuses.
    pub async fn tag(&self, image: &str, reference: &TaggedRef) -> Result<(), Fault> {
        let options =
            &TagImageOptions { repo: Some(reference.repository.to_string()), tag: Some(reference.tag.to_string()) };
        // Done twice, it is done once.
        again(format!("could not name image {image} {reference}"), |_| async move {
            self.client.tag_image(image, Some(options.clone())).await
        })
        .await
    }

    /// Pulls an image by any name that docker understands, and gives its id.
    ///
    /// # Errors
    /// The registry refuses, or the daemon could not be asked.
    pub async fn pull(&self, reference: &str, login: Option<&Login>) -> Result<Digest, Fault> {
        let what = format!("could not pull {reference}");
        let options = &CreateImageOptions { from_image: Some(with_tag(reference)), ..Default::default() };
        let pulled = self.patiently(&what, || async move {
            {
                let mut answers = self.client.create_image(Some(options.clone()), None, login.map(credentials));
                while answers.try_next().await?.is_some() {}
                Ok(())
            }
        });
        pulled.await?;
        let image = self.image(reference).await?;
        Ok(image.ok_or_else(|| Fault::new(what).cause("the image is not there after the pull"))?.id)
    }

    /// Takes a name off an image; the image goes with its last name. One that is not there is removed; the last name of
    /// one that a container uses stays, for whoever removes the container.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn remove_image(&self, reference: &str) -> Result<(), Fault> {
        let removed = again(format!("could not remove image {reference}"), |_| async move {
            match self.client.remove_image(reference, None::<RemoveImageOptions>, None).await {
                Err(used) if status(&used) == Some(409) => Ok(()),
                removed => or_none(removed).map(|_| ()),
            }
        });
        removed.await
    }

    /// [`Docker::remove_image`] of an image whose containers are being removed: the daemon may still be at it, so that it is
    /// asked for again, for some seconds.
    ///
    /// # Errors
    /// A container uses it still; the daemon refuses.
    pub async fn remove_freed_image(&self, reference: &str) -> Result<(), Fault> {
        let what = format!("could not remove image {reference}");
        let mut attempts = Attempts::new(Policy::within(FREED_WITHIN));
        loop {
            match or_none(self.client.remove_image(reference, None::<RemoveImageOptions>, None).await) {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let failed = match status(&error) {
                        Some(409) => Failure::Passing(refused(&what, error)),
                        _ => failure(&what, error, attempts.number()),
                    };
                    attempts.after(failed, |_| ()).await?;
                }
            }
        }
    }

    /// All names of images that begin with `prefix`, such as `127.0.0.1:5000/`.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub async fn references_in(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let listed =
            again("could not list images", |_| async move { self.client.list_images(None::<ListImagesOptions>).await });
        let names = listed.await?.into_iter().flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests));
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    /// Makes an image out of a tar file, `FROM scratch`. A name that was on another image moves.
    ///
    /// # Errors
    /// The tar file is not one, or the daemon refuses.
    pub async fn import(&self, tar: Bytes, reference: &str, labels: &Labels, entrypoint: &[&str]) -> Result<(), Fault> {
        let tar = &tar;
        again(format!("could not import {reference}"), |attempt| async move {
            // Sent twice, the first image would be left without a name.
            if attempt > 1 && self.has_imported(reference, labels).await? {
                return Ok(());
            }
            let whole = futures_util::stream::iter([Ok(tar.clone())]);
            self.import_stream(whole, reference, labels, entrypoint).await
        })
        .await
    }

    /// Whether a name is on an image with these labels.
    pub(super) async fn has_imported(&self, reference: &str, labels: &Labels) -> Result<bool, Error> {
        let found = or_none(self.client.inspect_image(reference).await)?;
        let known = found.map(|image| image.config.and_then(|config| config.labels));
        Ok(known.is_some_and(|known| is_labelled(known.as_ref(), labels)))
    }

    /// [`Docker::import`] of a tar file that is made while it is sent; sent once.
    pub(super) async fn import_stream(
        &self,
        tar: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        reference: &str,
        labels: &Labels,
        entrypoint: &[&str],
    ) -> Result<(), Error> {
        let (repo, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let options = CreateImageOptions {
            from_src: Some("-".into()),
            repo: Some(repo.to_owned()),
            tag: Some(tag.to_owned()),
            changes: changes(labels, entrypoint),
            ..Default::default()
        };
        let body = bollard::body_try_stream(tar);
        let mut answers = self.client.create_image(Some(options), Some(body), None);
        while answers.try_next().await?.is_some() {}
        Ok(())
    }
}

/// Dockerfile lines that an import applies.
fn changes(labels: &Labels, entrypoint: &[&str]) -> Vec<String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let sorted: BTreeMap<_, _> = labels.iter().collect();
    let labels = sorted.iter().map(|(name, value)| format!("LABEL {}={}", quoted(name), quoted(value)));
    let entrypoint = entrypoint.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ");
    labels.chain([format!("ENTRYPOINT [{entrypoint}]")]).collect()
}

/// A name without tag or digest means `latest`; the API would pull every tag.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

pub(super) fn credentials(login: &Login) -> DockerCredentials {
    let serveraddress = Some(if is_docker_hub(&login.host) { DOCKER_HUB_LOGIN.into() } else { login.host.clone() });
    let password = Some(login.password.reveal().to_owned());
    match login.is_identity_token() {
        true => DockerCredentials { identitytoken: password, serveraddress, ..Default::default() },
        false => {
            let username = Some(login.username.clone());
            DockerCredentials { username, password, serveraddress, ..Default::default() }
        }
    }
}

/// Whether a registry's host, or the name a login is kept under, is Docker Hub's.
pub(super) fn is_docker_hub(host: &str) -> bool {
    host == DOCKER_HUB_LOGIN || Repository::usual_host(host) == Repository::DOCKER_HUB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_labelled_and_has_its_entrypoint_in_exec_form() {
        let labels = Labels::from([("b".into(), "say \"x\"".into()), ("a".into(), "1".into())]);
        let expected = ["LABEL \"a\"=\"1\"", "LABEL \"b\"=\"say \\\"x\\\"\"", "ENTRYPOINT [\"/x\", \"run\"]"];
        assert_eq!(changes(&labels, &["/x", "run"]), expected);
    }

    #[test]
    fn a_name_without_a_tag_means_latest() {
        let cases = [
            ("shop", "shop:latest"),
            ("127.0.0.1:5000/shop", "127.0.0.1:5000/shop:latest"),
            ("shop:1", "shop:1"),
            ("shop@sha256:00", "shop@sha256:00"),
        ];
        cases.iter().for_each(|(given, pulled)| assert_eq!(with_tag(given), *pulled));
    }

    #[test]
    fn docker_hub_s_login_goes_under_the_name_that_docker_knows() {
        let login = |host: &str| Login {
            host: host.into(),
            username: "me".into(),
            password: crate::inputs::Secret::new("obvious-fake"),
        };
        assert_eq!(credentials(&login("docker.io")).serveraddress.as_deref(), Some(DOCKER_HUB_LOGIN));
        assert_eq!(credentials(&login("quay.io")).serveraddress.as_deref(), Some("quay.io"));
        let token = credentials(&Login { username: Login::IDENTITY_TOKEN.into(), ..login("shop.azurecr.io") });
        assert_eq!((token.identitytoken.as_deref(), token.username), (Some("obvious-fake"), None));
    }
}
