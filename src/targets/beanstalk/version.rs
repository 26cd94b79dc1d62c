//! The application, and the version in it that names the image.

use aws_sdk_elasticbeanstalk::types::S3Location;
use aws_sdk_s3::primitives::ByteStream;

use super::api::Version;
use super::bundle::{Bundle, Names, Zip};
use super::call::{Told, again, looked_up, refused, while_doing};
use super::names::cut;
use super::platform::{Environment, Status};
use super::undo::gone_is_fine;
use super::{Beanstalk, ImageToDeploy, Survey};
use crate::engine::StageCx;
use crate::engine::event::Fact;
use crate::engine::retry::Failure;
use crate::engine::undo::Undo;
use crate::fault::Fault;
use crate::image::{Digest, TaggedRef};
use crate::inputs::Strategy;

/// A bundle that is packed.
struct Parcel {
    /// The name that it has for the image.
    name: TaggedRef,
    zip: Zip,
    /// Where it is kept.
    key: String,
}

/// Longest description that the platform takes.
const DESCRIPTION: usize = 200;

impl Beanstalk {
    /// Makes the application. It is undone only when this run made it.
    pub(super) async fn make_application(&self, cx: &StageCx) -> Result<(), Fault> {
        let name = &self.plan.application;
        let undo = self.application_undo();
        self.register(cx, &undo).await?;
        let description = application_description(&self.context.run_id);
        let made = looked_up(Some(cx), "CreateApplication", async |_| {
            if let Some((_, known)) = self.api.applications_described().await?.into_iter().find(|a| a.0 == *name) {
                // With our own words on it, it is the one whose answer was lost.
                return Ok(self.made_application(&known));
            }
            let request = self.api.beanstalk.create_application().application_name(name).description(&description);
            self.hold().await?;
            match request.send().await.map_err(|e| refused("CreateApplication", e)) {
                // Somebody was faster, or our first answer was lost: the next look tells.
                Err(error) if error.says("already exists") => Err(error.into_passing()),
                answer => Ok(answer.map(|_| true)?),
            }
        });
        match made.await.map_err(|fault| while_doing(format!("could not make application {name}"), fault))? {
            true => cx.note(format!("application {name} was made")),
            false => self.unregister(cx, &undo).await?,
        }
        Ok(())
    }

    /// Whether these words about an application are this run's, or those of a run whose work it has taken over.
    pub(super) fn made_application(&self, words: &str) -> bool {
        let is_of = |run: &str| words == application_description(run);
        is_of(&self.context.run_id) || self.adopted.borrow().iter().any(|run| is_of(run))
    }

    pub(super) fn application_undo(&self) -> Undo {
        Undo::RemoveApplication { application: self.plan.application.clone(), region: self.region.clone() }
    }

    /// Uploads the bundle and makes the version, or takes the one that is there when it names the same image.
    ///
    /// Neither has an undo: versions with their bundles are handed over, and a label is used up once it was there.
    pub(super) async fn make_version(&self, cx: &StageCx, image: &ImageToDeploy, bundle: &Bundle) -> Result<(), Fault> {
        let (application, label) = (&self.plan.application, self.label());
        let what = |fault| while_doing(format!("could not make version {label} of application {application}"), fault);
        let ask = async || self.api.version(application, label).await;
        let known = again(Some(cx), "DescribeApplicationVersions", ask).await.map_err(what)?;
        let mut replaced = None;
        if let Some(version) = known {
            let parcels = self.parcels(image, bundle, &version.bucket)?;
            match same_image(label, &version, &parcels, &image.digest) {
                Ok(parcel) => return self.take_version(cx, image, bundle, &version, parcel).await.map_err(what),
                Err(differs) => self.replace_version(cx, differs).await?,
            }
            replaced = recorded_digest(&version.description);
        }
        self.make_anew(cx, image, bundle, replaced.as_ref()).await.map_err(what)
    }

    /// Takes the version that is there. Its bundle is sent again: scaling out needs it, and the same bytes change nothing.
    async fn take_version(
        &self,
        cx: &StageCx,
        image: &ImageToDeploy,
        bundle: &Bundle,
        version: &Version,
        parcel: &Parcel,
    ) -> Result<(), Fault> {
        self.pin_again(cx, image, &parcel.name).await?;
        self.send(cx, image, bundle, &version.bucket, parcel).await?;
        if version.status.eq_ignore_ascii_case("PROCESSING") {
            self.processed(cx).await?;
        }
        self.pulled_as.replace(Some(parcel.name.clone()));
        cx.fact(Fact::Version { label: self.label().to_owned(), reused: true });
        Ok(())
    }

    async fn make_anew(
        &self,
        cx: &StageCx,
        image: &ImageToDeploy,
        bundle: &Bundle,
        replaced: Option<&Digest>,
    ) -> Result<(), Fault> {
        let bucket = match &self.plan.bucket {
            Some(bucket) => bucket.clone(),
            None => self.storage_location(Some(cx)).await?,
        };
        let name = self.pin(cx, image, replaced).await?;
        let parcel = self.parcel(image, bundle, &bucket, name)?;
        self.send(cx, image, bundle, &bucket, &parcel).await?;
        let reused = self.create_version(cx, image, bundle, &bucket, &parcel).await?;
        if bundle.has_extensions() && !reused {
            self.processed(cx).await?;
        }
        self.hand_over_tag(cx, image).await?;
        self.pulled_as.replace(Some(parcel.name));
        cx.fact(Fact::Version { label: self.label().to_owned(), reused });
        Ok(())
    }

    /// The bundle under every name that it may give the image, the best first.
    fn parcels(&self, image: &ImageToDeploy, bundle: &Bundle, bucket: &str) -> Result<Vec<Parcel>, Fault> {
        self.names_of(image).into_iter().map(|name| self.parcel(image, bundle, bucket, name)).collect()
    }

    fn parcel(&self, image: &ImageToDeploy, bundle: &Bundle, bucket: &str, name: TaggedRef) -> Result<Parcel, Fault> {
        let names = Names {
            image: &name,
            known_as: &image.image,
            digest: &image.digest,
            port: image.port,
            version_label: self.label(),
            bucket,
        };
        let zip = bundle.pack(&names, self.login_of(image, bundle, bucket).as_ref())?;
        let key = object_key(&self.plan.application, self.label(), &zip.digest);
        Ok(Parcel { name, zip, key })
    }

    /// Sends the bundle, after the login that it names.
    async fn send(
        &self,
        cx: &StageCx,
        image: &ImageToDeploy,
        bundle: &Bundle,
        bucket: &str,
        parcel: &Parcel,
    ) -> Result<(), Fault> {
        if let (Some(login), Some(place)) = (&image.home.login, self.login_of(image, bundle, bucket)) {
            self.write_login(cx, login, &place).await?;
        }
        self.upload(cx, bucket, parcel).await
    }

    /// Makes room for a version that nobody runs and that never passed everything: a run that did not reach its end left
    /// it, and the same commit was built again. Any other is refused, with `differs`.
    ///
    /// The version has no undo: this run makes it anew, and the one before was of no use to anybody.
    async fn replace_version(&self, cx: &StageCx, differs: Fault) -> Result<(), Fault> {
        let (application, label) = (&self.plan.application, self.label());
        let ask = async || self.api.environments(Some(application), &[]).await;
        let all = again(Some(cx), "DescribeEnvironments", ask).await?;
        let runs_it = |e: &&Environment| e.version_label == label && e.status != Status::Terminated;
        if all.iter().find(runs_it).is_some() || !self.may_replace_versions().await {
            return Err(differs);
        }
        cx.note(format!(
            "version {label} is there with another image, and nobody ever ran it in earnest: it is replaced"
        ));
        self.delete_version(cx, label, false).await
    }

    /// Deletes a version, perhaps with its bundle. What is not there is deleted.
    pub(super) async fn delete_version(&self, cx: &StageCx, label: &str, with_bundle: bool) -> Result<(), Fault> {
        again(Some(cx), "DeleteApplicationVersion", async || {
            self.hold().await?;
            let request = self.api.beanstalk.delete_application_version().application_name(&self.plan.application);
            let answer = request.version_label(label).delete_source_bundle(with_bundle).send().await;
            gone_is_fine(answer.map(drop).map_err(|e| refused("DeleteApplicationVersion", e)))
        })
        .await
    }

    /// The digest of the image whose tag must not be moved: that of our label's version, if it has been released, or that
    /// of live's version, if its instances pull `name`.
    ///
    /// # Errors
    /// Elastic Beanstalk or ECR cannot be asked.
    pub async fn released(&self, cx: &StageCx, survey: &Survey, name: &TaggedRef) -> Result<Option<Digest>, Fault> {
        match self.released_as_ours(cx, survey).await? {
            None => self.pulled_by_live(cx, survey, name).await,
            ours => Ok(ours),
        }
    }

    /// The digest that the version of our label names, if it has been released: live runs it, or a deployment of it has
    /// passed everything. Its tag must not be moved: nodes of live pull it whenever they are replaced.
    async fn released_as_ours(&self, cx: &StageCx, survey: &Survey) -> Result<Option<Digest>, Fault> {
        let (application, label) = (&self.plan.application, self.label());
        // A label that waits for the bundle's hash is that of no other image.
        if !survey.application_exists || self.label_is_open() {
            return Ok(None);
        }
        let ask = async || self.api.version(application, label).await;
        let Some(version) = again(Some(cx), "DescribeApplicationVersions", ask).await? else { return Ok(None) };
        let is_live = survey.live.as_ref().is_some_and(|live| live.version_label == label);
        // Whom a version alone was made for, no journal knows.
        let is_for_others = self.plan.strategy == Strategy::VersionOnly;
        let is_released = is_live || is_for_others || self.was_good(&version.bucket, survey.site_name()).await;
        Ok(recorded_digest(&version.description).filter(|_| is_released))
    }

    /// Elastic Beanstalk's own bucket, which is made if it is not there: every account has one, so there is no undo.
    pub(super) async fn storage_location(&self, told: Told<'_>) -> Result<String, Fault> {
        let bucket = again(told, "CreateStorageLocation", async || {
            let answer = self.api.beanstalk.create_storage_location().send().await;
            Ok(answer.map_err(|e| refused("CreateStorageLocation", e))?.s3_bucket().unwrap_or_default().to_owned())
        });
        match bucket.await? {
            empty if empty.is_empty() => Err(Fault::new("CreateStorageLocation named no bucket")),
            bucket => Ok(bucket),
        }
    }

    async fn upload(&self, cx: &StageCx, bucket: &str, Parcel { zip, key, .. }: &Parcel) -> Result<(), Fault> {
        let sent = again(Some(cx), "PutObject", async || {
            let request = self.api.s3.put_object().bucket(bucket).key(key).content_type("application/zip");
            let request = request.set_expected_bucket_owner(owner(bucket, &self.region).map(str::to_owned));
            self.hold().await?;
            let answer = request.body(ByteStream::from(zip.bytes.clone())).send().await;
            answer.map(drop).map_err(|e| refused("PutObject", e))
        });
        sent.await.map_err(|fault| while_doing(format!("could not upload the bundle to s3://{bucket}/{key}"), fault))
    }

    /// `true` when the same version turned out to be there already.
    async fn create_version(
        &self,
        cx: &StageCx,
        image: &ImageToDeploy,
        bundle: &Bundle,
        bucket: &str,
        parcel: &Parcel,
    ) -> Result<bool, Fault> {
        let (application, label) = (&self.plan.application, self.label());
        let description = self.description(image);
        looked_up(Some(cx), "CreateApplicationVersion", async |attempt| {
            if attempt > 1
                && let Some(version) = self.api.version(application, label).await?
            {
                same_image(label, &version, std::slice::from_ref(parcel), &image.digest)?;
                // With our own words on it, it is the one whose answer was lost.
                return Ok(version.description != description);
            }
            let request = self.api.beanstalk.create_application_version().application_name(application);
            let request = request.version_label(label).description(&description);
            let request = request.source_bundle(S3Location::builder().s3_bucket(bucket).s3_key(&parcel.key).build());
            // Who does not ask for it gets a version whose `.ebextensions` are looked at on the instances.
            let request = request.set_process(bundle.has_extensions().then_some(true));
            self.hold().await?;
            match request.send().await.map_err(|e| refused("CreateApplicationVersion", e)) {
                Err(error) if error.says("already exists") => Err(error.into_passing()),
                answer => Ok::<_, Failure>(answer.map(|_| false)?),
            }
        })
        .await
    }

    /// `repository:tag@digest`, then what is nice to know, as much as there is room for.
    fn description(&self, image: &ImageToDeploy) -> String {
        // The digest tells images apart: it is never what is cut off.
        let (name, digest) = (image.image.to_string(), image.digest.as_str());
        let mut text = format!("{}@{digest}", cut(&name, DESCRIPTION - 1 - digest.len()));
        let more = [
            Some(format!(" revision {}", self.context.revision)),
            self.context.run_url.as_ref().map(|url| format!(" {url}")),
        ];
        for part in more.into_iter().flatten() {
            if text.len() + part.len() <= DESCRIPTION {
                text.push_str(&part);
            }
        }
        text
    }
}

fn application_description(run: &str) -> String {
    format!("made by beanline, run {run}")
}

/// Where a bundle is kept: the same bytes at the same place.
fn object_key(application: &str, label: &str, bundle: &Digest) -> String {
    format!("{application}/{label}-{}.zip", bundle.short())
}

/// The account that must own Elastic Beanstalk's own bucket, which is part of its name. Such names can be taken by
/// strangers before their time. The embedded cloud's bucket has no owner to tell.
pub(super) fn owner<'a>(bucket: &'a str, region: &str) -> Option<&'a str> {
    let account = bucket.strip_prefix("elasticbeanstalk-")?.strip_prefix(region)?.strip_prefix('-')?;
    (region != "local" && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

/// A label cannot be given twice: the version that has it must name the same image, by the same bundle, under one of the
/// names that it may have. Returns that one.
fn same_image<'a>(label: &str, version: &Version, parcels: &'a [Parcel], digest: &Digest) -> Result<&'a Parcel, Fault> {
    let differs = |theirs: &str, ours: &str| {
        Fault::new(format!("version {label} is there already with another image"))
            .cause(format!("it has {theirs}, this run has {ours}"))
            .cause("a commit that is built again seldom gives the same bytes")
            .hint("set build to if-missing, so that the image that was tested and pushed first is taken")
            .hint("or give this one another version_label, and another tag if the label is the tag")
    };
    if version.status.eq_ignore_ascii_case("FAILED") {
        return Err(Fault::new(format!(
            "version {label} is there already and cannot be deployed: its bundle was refused"
        ))
        .hint("give this version another label (version_label)"));
    }
    if let Some(known) = recorded_digest(&version.description)
        && known != *digest
    {
        return Err(differs(known.as_str(), digest.as_str()));
    }
    parcels.iter().find(|parcel| parcel.key == version.key).ok_or_else(|| {
        let ours = parcels.first().map_or("none", |parcel| &parcel.key);
        Fault::new(format!("version {label} is there already with another bundle"))
            .cause(format!("it has {}, this run has {ours}", version.key))
            .hint("give this one another version_label, such as {tag}-{bundle}")
    })
}

/// The digest in a description of ours, if it was not cut off.
pub(super) fn recorded_digest(description: &str) -> Option<Digest> {
    let (_, rest) = description.split_once("@sha256:")?;
    Digest::parse(&format!("sha256:{}", rest.get(..64)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Repository, Tag};

    fn version(key: &str, description: &str, status: &str) -> Version {
        let (label, bucket) = ("1.0".into(), "b".into());
        Version { label, bucket, key: key.into(), description: description.into(), status: status.into(), created: 0 }
    }

    fn parcel(tag: &str) -> Parcel {
        let repository = Repository::parse("registry.test/shop", "docker.io").unwrap();
        let digest = Digest::of(tag.as_bytes());
        let key = object_key("shop", "1.0", &digest);
        let name = TaggedRef { repository, tag: Tag::parse(tag).unwrap() };
        Parcel { name, zip: Zip { bytes: Vec::new(), digest }, key }
    }

    #[test]
    fn a_label_that_is_there_is_reused_only_for_the_same_image() {
        let (digest, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let parcels = [parcel("eb-1.0"), parcel("1.0")];
        let same = |version: &Version, digest: &Digest| {
            same_image("1.0", version, &parcels, digest).map(|parcel| parcel.name.tag.to_string())
        };
        let ours = format!("r/shop:1.0@{digest} revision 1f0c2aa");
        for parcel in &parcels {
            let found = same(&version(&parcel.key, &ours, "UNPROCESSED"), &digest).unwrap();
            assert_eq!(found, parcel.name.tag.as_str());
        }
        let key = &parcels[1].key;
        assert!(same(&version(key, "cut off@sha256:12", "PROCESSED"), &digest).is_ok());
        let moved = same(&version(key, &ours, "PROCESSED"), &other).unwrap_err();
        assert!(moved.to_string().contains(digest.as_str()) && moved.to_string().contains(other.as_str()));
        assert!(same(&version("shop/1.0.zip", "", ""), &digest).is_err());
        assert!(same(&version(key, &ours, "FAILED"), &digest).is_err());
    }

    #[test]
    fn the_bucket_must_belong_to_the_account_in_its_name() {
        assert_eq!(owner("elasticbeanstalk-eu-west-1-123456789012", "eu-west-1"), Some("123456789012"));
        assert_eq!(owner("elasticbeanstalk-local-000000000000", "local"), None);
        assert_eq!(owner("my-bundles", "eu-west-1"), None);
    }
}
