//! Text becomes a [`Plan`]: every input is looked at, and everything that is wrong is told at once.

mod beanstalk;
mod build_secrets;
mod build_session;
mod bundle;
mod commit;
mod image;
mod labels;
mod lists;
mod reading;
mod registry;
mod report;
mod run;
mod services;
mod settings;
mod tags;
mod tests_of_image;
mod unit_test;

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::definition::INPUTS;
use super::files::ReadFile;
use super::problem::{Problem, Wrong};
use super::raw::RawInputs;
use super::{AwsPlan, CiFacts, CloudKind, Plan, ReportPlan, RunKind, SitePlan};
use reading::Reading;

/// What a plan depends on besides the inputs.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What the CI tells unasked.
    pub ci: &'a CiFacts,
    /// The registry of the local cloud, `127.0.0.1:PORT`: where an image without a host lives with `cloud=local`.
    pub local_registry: &'a str,
    /// How files are read: docker's configuration, `.git`.
    pub read_file: ReadFile<'a>,
}

/// Where the APIs are, asked before the plan is made because the local cloud has to be there first. An unreadable text
/// is `aws` here and a problem in [`resolve`].
pub fn cloud(raw: &RawInputs) -> CloudKind {
    run::cloud(&mut Reading::new(raw, false))
}

/// The form of the log, which is needed even to tell what is wrong with the inputs.
pub fn log_is_json(raw: &RawInputs) -> bool {
    run::log_is_json(&mut Reading::new(raw, false))
}

/// Where a run whose inputs are wrong may be reported.
pub fn report_alone(raw: &RawInputs, around: &Surroundings<'_>) -> ReportPlan {
    let mut reading = Reading::new(raw, around.ci.is_github_actions);
    let commit = commit::resolve(&mut reading, around);
    report::resolve(&mut reading, &commit.ci, around)
}

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong, sorted by the name of the input. No problem holds a secret's value.
pub fn resolve(raw: &RawInputs, around: &Surroundings<'_>) -> Result<Plan, Vec<Problem>> {
    let mut reading = Reading::new(raw, around.ci.is_github_actions);
    refuse_what_is_not_built(&mut reading);
    let cloud = run::cloud(&mut reading);
    let commit = commit::resolve(&mut reading, around);
    let (run, note) = run::kind(&mut reading, &commit.ci);
    let timeout = run::timeout(&mut reading);
    let dry_run = run::dry_run(&mut reading);
    run::log_is_json(&mut reading);
    let name = run::name(&mut reading, &commit.directory);
    let needs = Needs::of(run);

    let default_host = match cloud {
        CloudKind::Aws => crate::image::Repository::DOCKER_HUB,
        CloudKind::Local => around.local_registry,
    };
    let image = image::resolve(&mut reading, &commit, &needs, default_host, &name);
    let build = image::build(&mut reading, around, &commit);
    let services = services::resolve(&mut reading);
    let acceptance = tests_of_image::acceptance(&mut reading);
    let unit_test = unit_test::resolve(&mut reading, &acceptance);
    let app = tests_of_image::app(&mut reading);
    let registry = registry::resolve(&mut reading, around, run);
    let tag = image.as_ref().map(|image| image.tag.as_str());
    let beanstalk = beanstalk::resolve(&mut reading, &needs, tag, &app);
    let region = run::region(&mut reading, cloud, &needs, around);
    let run_id: String = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
    let role = run::role(&mut reading, &run_id);
    let report = report::resolve(&mut reading, &commit.ci, around);
    let untold = report::untold(&reading, &commit.ci, &report);

    let problems = reading.into_problems();
    let Some(image) = image.filter(|_| problems.is_empty()) else { return Err(problems) };
    let revision = commit.revision.unwrap_or_else(|| UNKNOWN_REVISION.to_owned());
    let sites: Vec<SitePlan> = beanstalk.into_iter().map(SitePlan::Beanstalk).collect();
    Ok(Plan {
        run_id,
        run_key: run_key(&sites, &revision, &image),
        run,
        cloud,
        name,
        timeout,
        dry_run,
        ci: commit.ci,
        revision,
        image,
        build,
        unit_test,
        services,
        acceptance,
        app,
        registry,
        sites,
        aws: AwsPlan { region, role },
        report,
        notes: note.into_iter().chain(untold).collect(),
    })
}

/// The revision of a run that needs none: tests outside any repository, or a tag that is written out.
const UNKNOWN_REVISION: &str = "unknown";

/// What a part of the story cannot do without.
struct Needs {
    image: bool,
    site: bool,
}

impl Needs {
    fn of(run: RunKind) -> Self {
        match run {
            RunKind::Pipeline | RunKind::Deploy | RunKind::Check => Self { image: true, site: true },
            RunKind::Push => Self { image: true, site: false },
            RunKind::Test => Self { image: false, site: false },
            RunKind::Promote | RunKind::Rollback | RunKind::Cleanup | RunKind::Configure => {
                Self { image: false, site: true }
            }
        }
    }
}

/// Refuses inputs that are set and have no effect yet. What only switches them off is no lie, and passes.
fn refuse_what_is_not_built(reading: &mut Reading<'_>) {
    for input in INPUTS.iter().filter(|input| !input.built) {
        let text = reading.raw.texts.get(input.name);
        if text.is_some_and(|text| !matches!(text, "none" | "false")) {
            let wrong = match input.name {
                "build_contexts" => build_session::no_contexts(),
                name => Wrong::new(format!("is set, but `{name}` is not built yet"), "leave it out"),
            };
            reading.problem(input.name, wrong);
        }
    }
}

/// A hash of what the run is about. Secret values are left out: the key is written where many can read it.
fn run_key(sites: &[SitePlan], revision: &str, image: &super::ImagePlan) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(revision);
    add(&image.repository.to_string());
    add(image.tag.as_str());
    for SitePlan::Beanstalk(site) in sites {
        [&site.application, &site.live, &site.version_label, &site.ready_path].into_iter().for_each(|text| add(text));
        add(&site.port.unwrap_or_default().to_string());
        if site.strategy != super::Strategy::BlueGreen {
            add(site.strategy.word());
        }
        for setting in &site.option_settings {
            [&setting.namespace, &setting.option].into_iter().for_each(|text| add(text));
            add(setting.resource.as_deref().unwrap_or_default());
            add(if setting.value.is_masked() { "" } else { setting.value.reveal() });
        }
        for (name, arn) in &site.environment_secrets {
            [name, arn].into_iter().for_each(|text| add(text));
        }
        for setting in [&site.solution_stack, &site.instance_profile, &site.service_role, &site.key_pair] {
            add(setting.as_deref().unwrap_or_default());
        }
        for (name, value) in &site.environment_variables {
            add(name);
            add(if value.is_masked() { "" } else { value.reveal() });
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A path as an absolute one, as far as the process knows where it is.
fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests;
