//! What the log of each CI understands besides text: folds, errors, warnings, and texts to hide.

use crate::report::clean::without_commands;

/// Whose log it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Text alone: a terminal, a file, or a CI without folds.
    #[default]
    Plain,
    /// The Actions runner ("Workflow commands for GitHub Actions").
    GitHub,
    /// GitLab's runner ("Custom collapsible sections" in its documentation of job logs).
    GitLab,
    /// Buildkite ("Managing log output"): a headline folds everything up to the next one.
    Buildkite,
    /// Travis CI, whose folds only its own build script describes.
    Travis,
    /// Azure Pipelines ("Logging commands").
    Azure,
    /// TeamCity ("Service messages").
    TeamCity,
}

impl Dialect {
    /// That of a CI, by its name.
    pub fn of(vendor: Option<&str>) -> Self {
        match vendor {
            Some("GitHub Actions") => Dialect::GitHub,
            Some("GitLab CI") => Dialect::GitLab,
            Some("Buildkite") => Dialect::Buildkite,
            Some("Travis CI") => Dialect::Travis,
            Some("Azure Pipelines") => Dialect::Azure,
            Some("TeamCity") => Dialect::TeamCity,
            _ => Dialect::Plain,
        }
    }

    /// The line that begins a fold, if there are folds; `now` is Unix time in seconds.
    pub fn opens(self, title: &str, now: i64) -> Option<String> {
        match self {
            Dialect::Plain => None,
            Dialect::GitHub => Some(command("group", None, title)),
            Dialect::GitLab => Some(format!("\u{1b}[0Ksection_start:{now}:{}\r\u{1b}[0K{title}", id(title))),
            Dialect::Buildkite => Some(format!("--- {title}")),
            Dialect::Travis => Some(format!("travis_fold:start:{}\r\u{1b}[0K{title}", id(title))),
            Dialect::Azure => Some(format!("##[group]{title}")),
            Dialect::TeamCity => Some(format!("##teamcity[blockOpened name='{}']", teamcity(title))),
        }
    }

    /// The line that ends the fold of that title.
    pub fn closes(self, title: &str, now: i64) -> Option<String> {
        match self {
            Dialect::Plain | Dialect::Buildkite => None,
            Dialect::GitHub => Some("::endgroup::".to_owned()),
            Dialect::GitLab => Some(format!("\u{1b}[0Ksection_end:{now}:{}\r\u{1b}[0K", id(title))),
            Dialect::Travis => Some(format!("travis_fold:end:{}\r\u{1b}[0K", id(title))),
            Dialect::Azure => Some("##[endgroup]".to_owned()),
            Dialect::TeamCity => Some(format!("##teamcity[blockClosed name='{}']", teamcity(title))),
        }
    }

    /// A line of the whole width above what a fold does not take in: where headlines fold, the end of the run would
    /// else be hidden under the last one.
    pub fn unfolds(self, title: &str) -> Option<String> {
        (self == Dialect::Buildkite).then(|| format!("+++ {title}"))
    }

    /// What marks an error beside the text of the log.
    pub fn error(self, title: &str, text: &str) -> Option<String> {
        let text = without_commands(text);
        match self {
            Dialect::GitHub => Some(command("error", Some(title), &text)),
            Dialect::Azure => Some(format!("##vso[task.logissue type=error]{}", azure(&format!("{title}: {text}")))),
            Dialect::TeamCity => Some(message(&format!("{title}: {text}"), "ERROR")),
            // The fold of a stage that failed is opened.
            Dialect::Buildkite => Some("^^^ +++".to_owned()),
            Dialect::Plain | Dialect::GitLab | Dialect::Travis => None,
        }
    }

    /// What stands for a warning instead of a line of ours.
    pub fn warning(self, title: &str, text: &str) -> Option<String> {
        let text = without_commands(text);
        match self {
            Dialect::GitHub => Some(command("warning", Some(title), &text)),
            Dialect::Azure => Some(format!("##vso[task.logissue type=warning]{}", azure(&text))),
            Dialect::TeamCity => Some(message(&text, "WARNING")),
            Dialect::Plain | Dialect::GitLab | Dialect::Travis | Dialect::Buildkite => None,
        }
    }

    /// What has the CI hide a line of text wherever it shows.
    pub fn hides(self, text: &str) -> Option<String> {
        match self {
            Dialect::GitHub => Some(command("add-mask", None, text)),
            Dialect::Azure => Some(format!("##vso[task.setsecret]{}", azure(text))),
            _ => None,
        }
    }
}

/// A workflow command for the Actions runner, with its data and its title escaped.
fn command(name: &str, title: Option<&str>, data: &str) -> String {
    let data = data.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let title = title.map(|title| {
        let title = title.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        format!(" title={}", title.replace(':', "%3A").replace(',', "%2C"))
    });
    format!("::{name}{}::{data}", title.unwrap_or_default())
}

/// Names of folds are letters, digits, `_`, `.` and `-`.
fn id(title: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let all: String = title.chars().map(word).collect();
    format!("beanline_{}", all.trim_matches('_'))
}

fn azure(text: &str) -> String {
    text.replace('%', "%AZP25").replace('\r', "%0D").replace('\n', "%0A")
}

fn message(text: &str, status: &str) -> String {
    format!("##teamcity[message text='{}' status='{status}']", teamcity(text))
}

fn teamcity(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("|n"),
            '\r' => out.push_str("|r"),
            '|' | '\'' | '[' | ']' => out.extend(['|', c]),
            c if c.is_ascii() => out.push(c),
            c => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("|0x{unit:04x}")));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ci_gets_its_own_folds() {
        let fold = |dialect: Dialect| {
            let title = "acceptance (live)";
            [dialect.opens(title, 7), dialect.closes(title, 9)].map(Option::unwrap_or_default)
        };
        assert_eq!(fold(Dialect::GitHub), ["::group::acceptance (live)", "::endgroup::"]);
        assert_eq!(
            fold(Dialect::GitLab),
            [
                "\u{1b}[0Ksection_start:7:beanline_acceptance__live\r\u{1b}[0Kacceptance (live)",
                "\u{1b}[0Ksection_end:9:beanline_acceptance__live\r\u{1b}[0K"
            ]
        );
        assert_eq!(fold(Dialect::Buildkite), ["--- acceptance (live)", ""]);
        assert_eq!(
            fold(Dialect::Travis),
            [
                "travis_fold:start:beanline_acceptance__live\r\u{1b}[0Kacceptance (live)",
                "travis_fold:end:beanline_acceptance__live\r\u{1b}[0K"
            ]
        );
        assert_eq!(fold(Dialect::Azure), ["##[group]acceptance (live)", "##[endgroup]"]);
        let opened = "##teamcity[blockOpened name='acceptance (live)']";
        assert_eq!(fold(Dialect::TeamCity), [opened, "##teamcity[blockClosed name='acceptance (live)']"]);
        assert_eq!(fold(Dialect::Plain), ["", ""]);
    }

    #[test]
    fn errors_are_escaped_as_each_reads_them() {
        let error = |dialect: Dialect| dialect.error("shop / build", "50% [done]\n##[x] it's").unwrap_or_default();
        assert_eq!(error(Dialect::GitHub), "::error title=shop / build::50%25 [done]%0A# #[x] it's");
        assert_eq!(error(Dialect::Azure), "##vso[task.logissue type=error]shop / build: 50%AZP25 [done]%0A# #[x] it's");
        let teamcity = "##teamcity[message text='shop / build: 50% |[done|]|n# #|[x|] it|'s' status='ERROR']";
        assert_eq!(error(Dialect::TeamCity), teamcity);
        assert_eq!(Dialect::TeamCity.warning("x", "ü").unwrap_or_default().matches("|0x00fc").count(), 1);
        assert_eq!(error(Dialect::GitLab), "");
    }

    #[test]
    fn a_ci_without_folds_is_spoken_to_in_plain_text() {
        assert_eq!(Dialect::of(Some("Jenkins")), Dialect::Plain);
        assert_eq!(Dialect::of(None), Dialect::Plain);
        assert_eq!(Dialect::of(Some("Travis CI")), Dialect::Travis);
    }
}
