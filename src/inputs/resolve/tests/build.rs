//! How the image is built, and where it says that it comes from.

use chrono::{DateTime, Utc};

use super::*;
use crate::inputs::Origin;

/// The plan in a directory whose `.git` says where it was cloned from.
fn origin_of(more: &[(&str, &str)], ci: &CiFacts) -> Option<Origin> {
    let variables = [NEEDED, &[("BEANLINE_CONTEXT", "/r/app")], more].concat();
    let raw = RawInputs::read(variables.iter().map(|(name, value)| (name.into(), value.into())));
    let read_file = |path: &Path| match path.to_str() {
        Some("/r/.git/HEAD") => Ok(SHA.to_owned()),
        Some("/r/.git/config") => {
            Ok("[remote \"origin\"]\nurl = https://me:obvious-fake@git.example/team/shop.git".into())
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let plan = resolve(&raw, &Surroundings { ci, local_registry: "127.0.0.1:5000", read_file: &read_file });
    plan.unwrap_or_else(|problems| panic!("{problems:?}")).build.origin
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

#[test]
fn the_page_of_the_repository_comes_from_the_ci_else_from_git() {
    let source = |more: &[(&str, &str)], ci: &CiFacts| origin_of(more, ci).and_then(|origin| origin.source);
    let nobody = CiFacts::default();
    assert_eq!(source(&[], &nobody).as_deref(), Some("https://git.example/team/shop"));
    let github = CiFacts { repository: Some("octo/shop".into()), ..CiFacts::default() };
    let server = [("GITHUB_SERVER_URL", "https://ghe.example"), ("GITHUB_REPOSITORY", "octo/shop")];
    assert_eq!(source(&server, &github).as_deref(), Some("https://ghe.example/octo/shop"));
    let circle = CiFacts { vendor: Some("CircleCI"), ..CiFacts::default() };
    let url = [("CIRCLE_REPOSITORY_URL", "git@github.com:octo/shop.git")];
    assert_eq!(source(&url, &circle).as_deref(), Some("https://github.com/octo/shop"));
    assert_eq!(source(&url, &nobody).as_deref(), Some("https://git.example/team/shop"), "it is not that CI");
}

#[test]
fn an_image_is_created_when_its_commit_was() {
    let created = |more: &[(&str, &str)]| origin_of(more, &CiFacts::default()).and_then(|origin| origin.created);
    assert_eq!(created(&[]), None);
    assert_eq!(created(&[("SOURCE_DATE_EPOCH", "1700000000")]), time(1_700_000_000));
    let gitlab = |sha| [("CI_COMMIT_SHA", sha), ("CI_COMMIT_TIMESTAMP", "2023-11-15T00:13:20+02:00")];
    assert_eq!(created(&gitlab(SHA)), time(1_700_000_000));
    assert_eq!(created(&gitlab("0000000000")), None, "another commit is built");
}

#[test]
fn labels_by_default_can_be_switched_off() {
    let plan = plan(&[("BEANLINE_LABELS", "none\nteam=shop")]);
    assert_eq!((plan.build.origin, plan.build.labels), (None, vec![("team".to_owned(), "shop".to_owned())]));
    let problem = only_problem(&[("BEANLINE_LABELS", "none"), ("BEANLINE_BUILD", "if-missing")]);
    assert!(problem.contains("build=if-missing"), "{problem}");
    assert!(only_problem(&[("BEANLINE_LABELS", "none\nbare")]).contains("line 2"));
}

#[test]
fn a_cache_archive_is_a_file() {
    assert_eq!(plan(&[("BEANLINE_CACHE_ARCHIVE", ".cache/a.tar")]).build.cache_archive, Some(".cache/a.tar".into()));
    for wrong in ["https://x/a.tar", "cache/", "a\tb"] {
        assert!(only_problem(&[("BEANLINE_CACHE_ARCHIVE", wrong)]).ends_with("write the path of a file"), "{wrong}");
    }
}
