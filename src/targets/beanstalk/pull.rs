//! How instances get the image: the name in the bundle that they pull, and their login for its registry.
//!
//! Every instance pulls the name whenever it is launched, also months later. On ECR a version has a tag of its own, which
//! nobody else moves.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::bundle::{Authentication, Bundle};
use super::call::{ApiError, again, refused, while_doing};
use super::version::{owner, recorded_digest};
use super::{Beanstalk, ImageToDeploy, Survey};
use crate::docker::Login;
use crate::engine::StageCx;
use crate::fault::Fault;
use crate::image::{Digest, Repository, Tag, TaggedRef};
use crate::registry::{EcrRepository, Put};

/// What a version's own tag begins with: rules for the life of images in ECR may go by it.
const OWN_TAG: &str = "eb-";

/// The label of the version that a tag of ours belongs to.
pub(super) fn label_of(tag: &str) -> Option<&str> {
    tag.strip_prefix(OWN_TAG)
}

/// The tag of the version with this label.
pub(super) fn own_tag(label: &str) -> String {
    format!("{OWN_TAG}{label}")
}

impl Beanstalk {
    /// The name in the bundle of the version that this run has made or found; before that, `None`.
    pub fn pulled_as(&self) -> Option<TaggedRef> {
        self.pulled_as.borrow().clone()
    }

    /// The names that a bundle of this image may have, the best first: a tag of the version's own, where the registry is
    /// ECR, and the one that people use.
    pub(super) fn names_of(&self, image: &ImageToDeploy) -> Vec<TaggedRef> {
        let own = self.own_name(image).map(|(name, _)| name);
        own.into_iter().chain([image.image.clone()]).collect()
    }

    fn own_name<'a>(&self, image: &'a ImageToDeploy) -> Option<(TaggedRef, &'a EcrRepository)> {
        let ecr = image.home.ecr.as_ref()?;
        let tag = Tag::parse(&own_tag(self.label())).ok()?;
        Some((TaggedRef { repository: image.image.repository.clone(), tag }, ecr))
    }

    /// Gives the image the tag of the version that is to be made, and says by which name the bundle is to name it.
    /// `replaced` is the digest of the version before, whose tag it was. The undo stands until the version names the tag.
    ///
    /// # Errors
    /// The tag is that of another image, or the name that people use is by now.
    pub(super) async fn pin(
        &self,
        cx: &StageCx,
        image: &ImageToDeploy,
        replaced: Option<&Digest>,
    ) -> Result<TaggedRef, Fault> {
        let Some((name, ecr)) = self.own_name(image) else {
            cx.note(format!(
                "{} is not ECR: the bundle names {}; instances that are launched later pull what the tag names then",
                image.image.repository.host(),
                image.image
            ));
            return Ok(image.image.clone());
        };
        match self.ecr.digest(ecr, name.tag.as_str()).await? {
            Some(held) if held == image.digest => return Ok(name),
            Some(held) if Some(&held) != replaced => return Err(is_anothers(ecr, &name, &held, &image.digest)),
            _ => {}
        }
        let undo = ecr.remove_tag(name.tag.as_str());
        self.register(cx, &undo).await?;
        // Before it is sent: this may be dropped at any await, and the tag is given nevertheless.
        self.asked_tag.replace(Some(name.tag.to_string()));
        let put = self.put_tag(image, ecr, &name).await?;
        self.asked_tag.replace(None);
        let Put::Denied { why, statement } = put else {
            cx.note(format!("{} is {name}: a tag for this version alone", image.digest));
            return Ok(name);
        };
        self.unregister(cx, &undo).await?;
        cx.warn(format!(
            "the version gets no tag of its own in ECR ({why}): the bundle names {}, and instances that are launched \
             later pull what that tag names then; allow the caller to give it one: {statement}",
            image.image
        ));
        self.still_names(ecr, image).await?;
        Ok(image.image.clone())
    }

    /// The version that was made names the tag from now on: the two go together.
    pub(super) async fn hand_over_tag(&self, cx: &StageCx, image: &ImageToDeploy) -> Result<(), Fault> {
        match self.own_name(image) {
            Some((name, ecr)) => self.unregister(cx, &ecr.remove_tag(name.tag.as_str())).await,
            None => Ok(()),
        }
    }

    /// Sees to it that the name in the bundle of a version that is there still names the image. A tag that is missing is
    /// given again, without an undo: it belongs to that version.
    ///
    /// # Errors
    /// It names another, or cannot be given again.
    pub(super) async fn pin_again(&self, cx: &StageCx, image: &ImageToDeploy, name: &TaggedRef) -> Result<(), Fault> {
        let Some(ecr) = &image.home.ecr else { return Ok(()) };
        if *name == image.image {
            return self.still_names(ecr, image).await;
        }
        match self.ecr.digest(ecr, name.tag.as_str()).await? {
            Some(held) if held == image.digest => return Ok(()),
            Some(held) => return Err(is_anothers(ecr, name, &held, &image.digest)),
            None => {}
        }
        match self.put_tag(image, ecr, name).await? {
            Put::Done => {
                cx.note(format!("{name} was gone, and names the image again"));
                Ok(())
            }
            Put::Denied { why, statement } => {
                Err(Fault::new(format!("the version's bundle names {name}, which is gone"))
                    .cause(why)
                    .hint(format!("allow the caller to give the tag again: {statement}")))
            }
        }
    }

    /// The digest of live's image, if live was deployed by this name and its version has no tag of its own: its instances
    /// pull the name whenever they are launched.
    ///
    /// # Errors
    /// Elastic Beanstalk or ECR cannot be asked.
    pub async fn pulled_by_live(
        &self,
        cx: &StageCx,
        survey: &Survey,
        name: &TaggedRef,
    ) -> Result<Option<Digest>, Fault> {
        let Some(live) = &survey.live else { return Ok(None) };
        let ask = async || self.api.version(&self.plan.application, &live.version_label).await;
        let version = again(Some(cx), "DescribeApplicationVersions", ask).await?;
        let Some(version) = version.filter(|version| version.description.starts_with(&format!("{name}@"))) else {
            return Ok(None);
        };
        let digest = recorded_digest(&version.description);
        let own = match EcrRepository::of(&name.repository, &self.region) {
            Some(ecr) => self.ecr.digest(&ecr, &own_tag(&live.version_label)).await?,
            None => None,
        };
        Ok(digest.filter(|digest| own.as_ref() != Some(digest)))
    }

    async fn put_tag(&self, image: &ImageToDeploy, ecr: &EcrRepository, name: &TaggedRef) -> Result<Put, Fault> {
        let hold = async || self.hold().await.map_err(ApiError::into_fault);
        self.ecr.put(ecr, &image.digest, name.tag.as_str(), hold).await
    }

    /// The name that people use is in the bundle: it must name the image. Who may not ask finds out after the deployment.
    async fn still_names(&self, ecr: &EcrRepository, image: &ImageToDeploy) -> Result<(), Fault> {
        match self.ecr.digest(ecr, image.image.tag.as_str()).await? {
            Some(held) if held != image.digest => {
                Err(Fault::new(format!("{} no longer names the tested image", image.image))
                    .cause(format!("tested: {}", image.digest))
                    .cause(format!("in the registry now: {held}"))
                    .hint("something else pushes to this tag; use a tag that belongs to one commit"))
            }
            _ => Ok(()),
        }
    }

    /// Where the instances' login lies, if they need one: not on ECR, where they log in by their own rights, and not when
    /// the bundle names a login.
    pub(super) fn login_of(&self, image: &ImageToDeploy, bundle: &Bundle, bucket: &str) -> Option<Authentication> {
        let login = image.home.login.as_ref().filter(|_| !bundle.has_login())?;
        let key = login_key(&self.plan.application, login);
        Some(Authentication { bucket: bucket.to_owned(), key })
    }

    /// Writes the instances' login where they look for it. It is handed over and has no undo: every instance that is ever
    /// launched reads it, also one of an earlier version.
    pub(super) async fn write_login(
        &self,
        cx: &StageCx,
        login: &Login,
        Authentication { bucket, key }: &Authentication,
    ) -> Result<(), Fault> {
        let body = nodes_login(login);
        let sent = again(Some(cx), "PutObject", async || {
            let request = self.api.s3.put_object().bucket(bucket).key(key).content_type("application/json");
            let request = request.set_expected_bucket_owner(owner(bucket, &self.region).map(str::to_owned));
            let request = request.server_side_encryption(ServerSideEncryption::Aes256);
            self.hold().await?;
            let answer = request.body(ByteStream::from(body.clone().into_bytes())).send().await;
            answer.map(drop).map_err(|e| refused("PutObject", e))
        });
        let what = || format!("could not write the instances' login to s3://{bucket}/{key}");
        sent.await.map_err(|fault| while_doing(what(), fault))?;
        cx.note(format!(
            "instances log in to {} with s3://{bucket}/{key}; their instance profile needs s3:GetObject on it",
            login.host
        ));
        Ok(())
    }
}

/// Where a login lies: a place for each registry and user, so that none takes another's.
fn login_key(application: &str, Login { host, username, .. }: &Login) -> String {
    let user = Digest::of(username.as_bytes());
    format!("{application}/beanline/registry-auth-{}-{}.json", host.replace(':', "-"), user.short())
}

/// A login as docker writes it, and the platform reads it (developer guide, "Using images from a private repository").
fn nodes_login(login: &Login) -> String {
    // Docker Hub has one name in references, and another here.
    let host = if login.host == Repository::DOCKER_HUB { "https://index.docker.io/v1/" } else { &login.host };
    let auth = STANDARD.encode(format!("{}:{}", login.username, login.password.reveal()));
    json!({ "auths": { host: { "auth": auth } } }).to_string()
}

fn is_anothers(ecr: &EcrRepository, name: &TaggedRef, held: &Digest, ours: &Digest) -> Fault {
    Fault::new(format!("{name} names another image already"))
        .cause(format!("it names {held}, this run deploys {ours}"))
        .cause("the tag belongs to a version with this label, here or in another application or region")
        .hint("give this version another label (version_label)")
        .hint(format!(
            "or take the tag away, if no environment runs that image: {}",
            ecr.remove_tag(name.tag.as_str()).command()
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Secret;

    #[test]
    fn the_login_has_the_shape_that_docker_writes() {
        let login =
            |host: &str| Login { host: host.into(), username: "me".into(), password: Secret::new("obvious-fake") };
        assert_eq!(nodes_login(&login("quay.io")), r#"{"auths":{"quay.io":{"auth":"bWU6b2J2aW91cy1mYWtl"}}}"#);
        assert!(nodes_login(&login("docker.io")).starts_with(r#"{"auths":{"https://index.docker.io/v1/":"#));
    }

    #[test]
    fn each_registry_and_user_has_a_place_for_the_login() {
        let key = |host: &str, user: &str| {
            let password = Secret::new("obvious-fake");
            login_key("shop", &Login { host: host.into(), username: user.into(), password })
        };
        assert!(key("quay.io:5000", "me").starts_with("shop/beanline/registry-auth-quay.io-5000-"));
        assert_eq!(key("quay.io", "me"), key("quay.io", "me"));
        assert!(key("quay.io", "me") != key("ghcr.io", "me") && key("quay.io", "me") != key("quay.io", "you"));
    }

    #[test]
    fn a_tag_of_ours_tells_its_version() {
        assert_eq!(label_of(&own_tag("1.0")), Some("1.0"));
        assert_eq!(label_of("1.0"), None);
    }
}
