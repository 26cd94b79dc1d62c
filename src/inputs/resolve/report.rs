//! How the run is reported, and everything that must not be shown in it.

use std::path::{Path, PathBuf};

use super::Surroundings;
use super::build_secrets;
use super::commit::{asked_for, is_whole};
use super::lists::{Kind, secret_values};
use super::reading::{Reading, field, word};
use crate::inputs::ci::Needed;
use crate::inputs::problem::Wrong;
use crate::inputs::values::{self, lines};
use crate::inputs::{CiFacts, GithubPlan, ReportKind, ReportPlan, Secret};

/// Variables of others whose values are credentials: the AWS SDK's, and what the runner gives to an action.
const CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

/// What clients of the local cloud have for a credential; everybody may know it.
const OPEN_CREDENTIAL: &str = "local";

/// Variables of the AWS SDK that name a file with a token in it.
const TOKEN_FILES: &[&str] = &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];

/// Shorter texts are not masked: they would be found everywhere.
const SHORTEST_MASK: usize = 4;

pub(super) fn resolve(reading: &mut Reading<'_>, ci: &CiFacts, around: &Surroundings<'_>) -> ReportPlan {
    let words = [
        ("auto", Some(ReportKind::Auto)),
        ("checks", Some(ReportKind::Checks)),
        ("log", Some(ReportKind::Log)),
        ("none", Some(ReportKind::None)),
        ("statuses", Some(ReportKind::Statuses)),
    ];
    let kind = reading.value_or(field!(reading.raw, report), ReportKind::Auto, word("report", &words));
    let wants_checks = match kind {
        // What imitates GitHub Actions has no check runs.
        ReportKind::Auto => ci.is_github_actions || ci.event.is_none(),
        ReportKind::Checks | ReportKind::Statuses => true,
        ReportKind::Log | ReportKind::None => false,
    };
    let file = |name: &str| reading.raw.variables().get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let (summary_file, output_file) = (file("GITHUB_STEP_SUMMARY"), file("GITHUB_OUTPUT"));
    let deployment = reading.value(field!(reading.raw, deployment), values::line);
    ReportPlan {
        kind,
        deployment,
        github: if wants_checks { github(reading, ci, kind) } else { None },
        summary_file: summary_file.filter(|_| kind != ReportKind::None),
        output_file,
        report_dir: reading.value(field!(reading.raw, report_dir), values::line).map(PathBuf::from),
        masks: masks(reading, around),
    }
}

fn github(reading: &mut Reading<'_>, ci: &CiFacts, kind: ReportKind) -> Option<GithubPlan> {
    let api_url = reading.raw.variables().get("GITHUB_API_URL").map(|url| url.trim().trim_end_matches('/'));
    let api_url = api_url.filter(|url| !url.is_empty()).unwrap_or("https://api.github.com").to_owned();
    if api_url.parse::<http::Uri>().ok().is_none_or(|uri| uri.host().is_none() || uri.scheme().is_none()) {
        let instead = "write a URL such as https://github.example.com/api/v3, or unset it";
        reading.problem("github_token", Wrong::new("cannot be used: GITHUB_API_URL is no URL", instead));
        return None;
    }
    let token = field!(reading.raw, github_token).text.map(Secret::new);
    let sha = ci.sha.clone().filter(|sha| is_whole(sha));
    let cloud_has_its_own = super::run::cloud(&mut Reading::new(reading.raw, false)) == crate::inputs::CloudKind::Local;
    let asked = matches!(kind, ReportKind::Checks | ReportKind::Statuses);
    if asked && !(token.is_none() && cloud_has_its_own) {
        let missing =
            [("github_token", token.is_none(), "write a token with checks: write, or statuses: write for statuses")];
        let missing = missing.map(|(name, is_missing, instead)| (name, is_missing, instead.to_owned()));
        for (name, is_missing, instead) in missing.into_iter().chain(facts(reading, ci)) {
            if is_missing && reading.raw.written(name).is_none() {
                reading.problem(name, Wrong::new("is missing, and `report` needs it", instead));
            }
        }
    }
    Some(GithubPlan { api_url, token: token?, repository: ci.repository.clone()?, sha: sha? })
}

/// What a report to GitHub needs to know of the run: the input for it, whether it is missing, and what to do then.
fn facts(reading: &Reading<'_>, ci: &CiFacts) -> [(&'static str, bool, String); 2] {
    let repository = asked_for("write owner/name", Needed::Repository, ci, reading);
    let sha = asked_for("write the whole commit that is reported on", Needed::Commit, ci, reading);
    let is_whole = ci.sha.as_deref().is_some_and(is_whole);
    [("repository", ci.repository.is_none(), repository), ("sha", !is_whole, sha)]
}

/// Why GitHub is told nothing although there is a token for it, if so.
pub(super) fn untold(reading: &Reading<'_>, ci: &CiFacts, report: &ReportPlan) -> Option<String> {
    let is_meant = matches!(report.kind, ReportKind::Auto) && report.github.is_none();
    if !is_meant || ci.event.is_some() && !ci.is_github_actions || reading.raw.texts.github_token.is_none() {
        return None;
    }
    let missing: Vec<String> = facts(reading, ci)
        .into_iter()
        .filter(|(_, is_missing, _)| *is_missing)
        .map(|(name, _, instead)| format!("`{name}` is not known here: {instead}"))
        .collect();
    (!missing.is_empty()).then(|| format!("GitHub is told nothing of this run, since {}", missing.join("; and ")))
}

/// Every secret in the inputs and in the variables we read, whatever else is wrong.
fn masks(reading: &mut Reading<'_>, around: &Surroundings<'_>) -> Vec<Secret> {
    let (texts, variables) = (&reading.raw.texts, reading.raw.variables());
    if lines(texts.mask.as_deref().unwrap_or_default()).any(|text| text.chars().count() < SHORTEST_MASK) {
        let wrong =
            Wrong::new("has a text of fewer than 4 characters, which would hide half of the log", "leave it out");
        reading.problem("mask", wrong);
    }
    let mut masks: Vec<Secret> = lines(texts.mask.as_deref().unwrap_or_default()).map(Secret::new).collect();
    masks.extend([&texts.github_token, &texts.registry_password].into_iter().flatten().map(Secret::new));
    let credentials = CREDENTIALS.iter().filter_map(|name| variables.get(*name));
    masks.extend(credentials.filter(|text| *text != OPEN_CREDENTIAL).map(Secret::new));
    let read = |path: &String| (around.read_file)(Path::new(path)).ok();
    masks.extend(TOKEN_FILES.iter().filter_map(|name| read(variables.get(*name)?)).map(Secret::new));
    masks.extend(build_secrets::values(texts.build_secrets.as_deref(), variables, around.read_file));
    for list in [&texts.test_env, &texts.app_env, &texts.environment_variables] {
        masks.extend(secret_values(list.as_deref(), Kind::Environment, variables));
    }
    masks.extend(super::settings::secret_values(texts.option_settings.as_deref(), variables));
    masks.extend(super::services::secret_values(texts.services.as_deref(), variables));
    masks.extend(super::registry::secrets(variables, around));
    masks.retain(|mask| !mask.reveal().trim().is_empty());
    masks.sort_by(|a, b| a.reveal().cmp(b.reveal()));
    masks.dedup();
    masks
}
