//! Every page can be found and leads somewhere; what pages say of the source stands in the source.

use std::fs;
use std::path::{Path, PathBuf};

use super::tables::between;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory that ends so.
pub fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every page for people, with its text.
pub fn pages() -> Vec<(PathBuf, String)> {
    let top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name));
    let all = top.into_iter().chain(files(&root().join("docs"), ".md"));
    all.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// Where the links of a page lead that stay in the repository: file and anchor.
fn links(page: &Path, text: &str) -> Vec<(PathBuf, Option<String>)> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inside = targets.filter(|target| !target.contains("://") && !target.contains(' '));
    inside
        .map(|target| {
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
            (path, anchor.map(str::to_owned))
        })
        .collect()
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    for (page, text) in pages() {
        for (target, wanted) in links(&page, &text) {
            assert!(target.exists(), "{}: there is no {}", page.display(), target.display());
            let Some(wanted) = wanted else { continue };
            let headings = fs::read_to_string(&target).unwrap();
            let mut anchors = headings.lines().filter(|line| line.starts_with('#')).map(anchor);
            assert!(anchors.any(|anchor| anchor == wanted), "{}: no heading #{wanted}", page.display());
        }
    }
}

#[test]
fn every_page_can_be_reached_from_the_readme_in_two_steps() {
    let linked = |page: &str| {
        let page = root().join(page);
        let text = fs::read_to_string(&page).unwrap();
        links(&page, &text).into_iter().map(|(path, _)| path.canonicalize().unwrap()).collect::<Vec<_>>()
    };
    let (front, index) = (linked("README.md"), linked("docs/README.md"));
    assert!(front.contains(&root().join("docs/README.md").canonicalize().unwrap()), "README.md links docs/README.md");
    for (page, _) in pages() {
        let page = page.canonicalize().unwrap();
        let is_the_front = page == root().join("README.md").canonicalize().unwrap();
        assert!(is_the_front || front.contains(&page) || index.contains(&page), "nothing leads to {}", page.display());
    }
}

#[test]
fn every_page_names_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let examples = files(&root().join("examples/ci"), "").into_iter();
    let others = [root().join("action.yml")].into_iter().chain(examples);
    let texts = others.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).chain(pages());
    for (page, text) in texts {
        for mark in ["ghcr.io/beanline/beanline:", "beanline/beanline@v"] {
            for rest in text.split(mark).skip(1) {
                let named: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                assert_eq!(named.trim_end_matches('.'), version, "{}: {mark}{named}", page.display());
            }
        }
    }
}

#[test]
fn every_make_target_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for (page, text) in pages() {
        for rest in text.split("`make ").skip(1) {
            let target: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(makefile.contains(&format!("\n{target}:")), "{}: make {target}", page.display());
        }
    }
}

#[test]
fn every_error_on_the_page_of_troubles_is_in_the_source() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let sources: String =
        files(&root().join("src"), ".rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // A long text goes on in the next line of the source.
    let mut parts = sources.split("\\\n");
    let mut source = parts.next().unwrap().to_owned();
    parts.for_each(|part| source += part.trim_start());
    let rows: Vec<_> = between(&page, "## Before", "<!-- end of texts -->").lines().collect();
    let texts: Vec<_> = rows.iter().filter_map(|row| row.strip_prefix("| `")?.split("` |").next()).collect();
    assert!(texts.len() > 30, "{}", texts.len());
    for text in texts {
        assert!(source.contains(text), "no source says `{text}`");
    }
}

#[test]
fn every_promise_has_tests_that_are_there() {
    let page = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let rows: Vec<_> = between(&page, "| promise |", "<!-- end of promises -->").lines().skip(1).collect();
    assert!(rows.len() >= 10);
    for row in rows {
        let mut source = None;
        let mut count = 0;
        for word in row.rsplit_once(" | ").unwrap().1.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                source = Some(fs::read_to_string(root().join(word)).unwrap());
            } else {
                let test = format!("fn {word}()");
                assert!(source.as_ref().is_some_and(|source| source.contains(&test)), "{row}: {test} is not there");
                count += 1;
            }
        }
        assert!(count > 0, "{row}");
    }
}
