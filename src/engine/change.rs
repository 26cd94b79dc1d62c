//! What a run would change, as data: a dry run names each in order, and some runs say them before they begin.

use super::undo::Undo;

/// One change. What only the run itself will find out stands in braces: `{digest}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A repository is made in the registry, if it is missing.
    MakeRepository { repository: String },
    /// The image gets its tag in the registry.
    Push { image: String, digest: String },
    /// The image gets a further name in the registry.
    Tag { image: String },
    /// An application is made.
    MakeApplication { application: String },
    /// An application version is made, from this bundle.
    MakeVersion { application: String, label: String, bundle: String },
    /// A version that is there already is used.
    ReuseVersion { label: String },
    /// An environment's settings are copied for the time that the candidate is made in.
    MakeTemplate { of: String },
    /// An environment is made.
    MakeEnvironment { name: String, cname: String, label: String },
    /// An environment gets another version.
    Update { environment: String, label: String },
    /// An environment gets the settings of the inputs.
    Configure { environment: String, settings: Vec<String> },
    /// A CNAME changes hands.
    Swap { cname: String, from: String, to: String },
    /// A candidate is left to wait for its promotion.
    Wait { environment: String },
    /// Something is removed; why.
    Remove { undo: Undo, why: String },
    /// A version that nobody needs any more goes, with its bundle and its tag.
    DeleteVersion { application: String, label: String },
    /// What runs left on the docker engine goes, as far as it has expired.
    Sweep,
}

impl Change {
    /// The same with every text of others changed by `t`.
    pub fn map(self, t: impl Fn(String) -> String, undo: impl Fn(Undo) -> Undo) -> Self {
        match self {
            Change::MakeRepository { repository } => Change::MakeRepository { repository: t(repository) },
            Change::Push { image, digest } => Change::Push { image: t(image), digest: t(digest) },
            Change::Tag { image } => Change::Tag { image: t(image) },
            Change::MakeApplication { application } => Change::MakeApplication { application: t(application) },
            Change::MakeVersion { application, label, bundle } => {
                Change::MakeVersion { application: t(application), label: t(label), bundle: t(bundle) }
            }
            Change::ReuseVersion { label } => Change::ReuseVersion { label: t(label) },
            Change::MakeTemplate { of } => Change::MakeTemplate { of: t(of) },
            Change::MakeEnvironment { name, cname, label } => {
                Change::MakeEnvironment { name: t(name), cname: t(cname), label: t(label) }
            }
            Change::Update { environment, label } => Change::Update { environment: t(environment), label: t(label) },
            Change::Configure { environment, settings } => {
                Change::Configure { environment: t(environment), settings: settings.into_iter().map(&t).collect() }
            }
            Change::Swap { cname, from, to } => Change::Swap { cname: t(cname), from: t(from), to: t(to) },
            Change::Wait { environment } => Change::Wait { environment: t(environment) },
            Change::Remove { undo: it, why } => Change::Remove { undo: undo(it), why: t(why) },
            Change::DeleteVersion { application, label } => {
                Change::DeleteVersion { application: t(application), label: t(label) }
            }
            Change::Sweep => Change::Sweep,
        }
    }
}
