//! The version's label, which may wait for the bundle.

use super::bundle::{Bundle, Names};
use super::{Beanstalk, ImageToDeploy, names};
use crate::fault::Fault;
use crate::image::{Tag, TaggedRef};

/// Stands in `version_label` for the bundle's short hash.
const HASH: &str = "{bundle}";

impl Beanstalk {
    /// The label of the version that is deployed. Where the bundle's hash is asked for, it is known from
    /// [`Beanstalk::bundle_of`] on.
    pub(super) fn label(&self) -> &str {
        self.label.get().unwrap_or(&self.plan.version_label)
    }

    /// Whether nobody can know the label yet.
    pub(super) fn label_is_open(&self) -> bool {
        self.label().contains(HASH)
    }

    /// Reads what goes to the instances, and settles the label by it.
    ///
    /// # Errors
    /// The bundle cannot be read, or is not what it must be.
    pub(super) fn bundle_of(&self, image: &ImageToDeploy) -> Result<Bundle, Fault> {
        let bundle = Bundle::read(self.plan.bundle.as_deref())?;
        if self.label_is_open() {
            let label = self.plan.version_label.replace(HASH, &hash(&bundle, image)?);
            names::legal_label(&label).map_err(Fault::new)?;
            // Set once: a run deploys one image.
            let _ = self.label.set(label);
        }
        Ok(bundle)
    }
}

/// The bundle's short hash. The name that instances pull holds the label, so that the image's digest stands for it here:
/// same files and same image, same hash, whatever the tag.
fn hash(bundle: &Bundle, image: &ImageToDeploy) -> Result<String, Fault> {
    let tag = Tag::parse(image.digest.short()).map_err(Fault::new)?;
    let name = TaggedRef { repository: image.image.repository.clone(), tag };
    let names = Names {
        image: &name,
        known_as: &image.image,
        digest: &image.digest,
        port: image.port,
        version_label: "",
        bucket: "",
    };
    Ok(bundle.pack(&names, None)?.digest.short().to_owned())
}
