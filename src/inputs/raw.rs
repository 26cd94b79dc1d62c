//! [`RawInputs`]: every input as text. Environment variables are told from one another here and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::definition::{ALIASES, INPUTS, SECRET, TOLD, Texts};
use super::files::{self, ReadFile};
use super::problem::Problem;

/// The two ways to write an input: as GitHub passes it to a container action, and everywhere else.
const PREFIXES: [&str; 2] = ["INPUT_", "BEANLINE_"];

/// What the environment says, before anything is made of it.
pub struct RawInputs {
    /// The text of each input.
    pub texts: Texts,
    /// The name under which each input was written.
    written: BTreeMap<&'static str, String>,
    /// All variables that are UTF-8.
    variables: BTreeMap<String, String>,
    /// What was wrong with names, files and bytes.
    problems: Vec<Problem>,
}

/// One variable that gives an input its text.
struct Source {
    variable: String,
    text: Result<String, String>,
    is_file: bool,
}

impl RawInputs {
    /// Reads the environment, and the files that `…_FILE` variables name. Never fails: what is wrong is kept for
    /// [`super::resolve::resolve`], which tells everything at once.
    pub fn read(environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        Self::read_with(environment, &files::read_text)
    }

    /// The same with another way to read files.
    pub fn read_with(environment: impl Iterator<Item = (OsString, OsString)>, read_file: ReadFile<'_>) -> Self {
        let mut variables = BTreeMap::new();
        let mut problems = Vec::new();
        let mut sources: BTreeMap<&'static str, Vec<Source>> = BTreeMap::new();
        for (name, value) in environment {
            let Ok(name) = name.into_string() else { continue };
            let value = value.into_string();
            match recognise(&name) {
                Recognised::Input(input, is_file) => {
                    let text = match &value {
                        Err(_) => Some(Err("holds bytes that are not UTF-8 text".to_owned())),
                        Ok(text) if text.trim().is_empty() => None,
                        Ok(path) if is_file => Some(read_named_file(input, path.trim(), read_file)),
                        Ok(text) => Some(Ok(text.trim().to_owned())),
                    };
                    if let Some(text) = text {
                        sources.entry(input).or_default().push(Source { variable: name.clone(), text, is_file });
                    }
                }
                // GitHub sends empty texts for what is not set; so may a compose file.
                Recognised::Unknown if value.as_ref().is_ok_and(|value| value.trim().is_empty()) => {}
                Recognised::Unknown => problems.push(unknown(&name)),
                Recognised::NotOurs => {}
            }
            if let Ok(value) = value {
                variables.insert(name, value);
            }
        }
        let mut written = BTreeMap::new();
        let mut texts = Vec::new();
        for (input, sources) in sources {
            let variable = sources.first().map(|source| source.variable.clone()).unwrap_or_default();
            match one_text(sources) {
                // An empty file is as absent as an empty variable.
                Ok(text) if text.is_empty() => continue,
                Ok(text) => texts.push((input.to_owned(), text)),
                Err(problem) => problems.push(problem),
            }
            written.insert(input, variable);
        }
        // Every field is an optional text, so there is nothing that could be missing or malformed.
        let texts = envy::from_iter(texts).unwrap_or_else(|error: envy::Error| {
            problems.push(Problem {
                input: "the environment".into(),
                wrong: error.to_string(),
                instead: "this is a fault of beanline; please report it".into(),
            });
            Texts::default()
        });
        Self { texts, written, variables, problems }
    }

    /// The environment's variables that are UTF-8, for what keeps its own name: `GITHUB_*`, `AWS_*`, `DOCKER_*`.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The name under which an input was written, if it was.
    pub fn written(&self, input: &str) -> Option<&str> {
        self.written.get(input).map(String::as_str)
    }

    /// What was wrong with names, files and bytes.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// What a variable's name means.
enum Recognised {
    /// An input, or the path of a file with its text.
    Input(&'static str, bool),
    /// Starts like ours, and is none of ours.
    Unknown,
    /// Somebody else's.
    NotOurs,
}

fn recognise(variable: &str) -> Recognised {
    let Some((prefix, rest)) = PREFIXES.iter().find_map(|p| Some((*p, variable.strip_prefix(p)?))) else {
        return Recognised::NotOurs;
    };
    // Ours are upper case, as the runner makes them.
    match rest.bytes().any(|b| b.is_ascii_lowercase()) {
        true if prefix == "BEANLINE_" => return Recognised::Unknown,
        false if !TOLD.contains(&variable) => {}
        _ => return Recognised::NotOurs,
    }
    let name = rest.to_ascii_lowercase();
    if let Some(input) = canonical(&name) {
        return Recognised::Input(input, false);
    }
    match name.strip_suffix("_file").and_then(canonical) {
        Some(input) => Recognised::Input(input, true),
        // Other actions' inputs reach us too when a job's environment is handed on; GitHub itself warns about ours.
        None if prefix == "INPUT_" => Recognised::NotOurs,
        None => Recognised::Unknown,
    }
}

fn canonical(name: &str) -> Option<&'static str> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, input)| input);
    INPUTS.iter().find(|input| input.name == name).map(|input| input.name)
}

fn read_named_file(input: &str, path: &str, read_file: ReadFile<'_>) -> Result<String, String> {
    let named = match SECRET.contains(&input) {
        // It may be the secret itself, written where its file's path belongs.
        true => "a file".to_owned(),
        false => format!("the file {}", super::problem::shown(path)),
    };
    let read = read_file(Path::new(path)).map(|text| text.trim().to_owned());
    read.map_err(|error| format!("names {named}, which could not be read ({error})"))
}

/// The one text that all sources of an input agree on.
fn one_text(sources: Vec<Source>) -> Result<String, Problem> {
    let names = sources.iter().map(|source| source.variable.as_str()).collect::<Vec<_>>().join(" and ");
    let mixed = sources.iter().any(|source| source.is_file) && sources.iter().any(|source| !source.is_file);
    if mixed {
        let instead = "set one of them: the text itself, or the path of a file with it".into();
        return Err(Problem { input: names, wrong: "are both set".into(), instead });
    }
    let mut agreed: Option<String> = None;
    for source in sources {
        let text = source.text.map_err(|wrong| Problem {
            input: source.variable,
            wrong,
            instead: if source.is_file { "name a readable text file" } else { "write it as UTF-8" }.into(),
        })?;
        if agreed.as_ref().is_some_and(|agreed| *agreed != text) {
            let instead = "set one of them, or both to the same".into();
            return Err(Problem { input: names, wrong: "are both set and differ".into(), instead });
        }
        agreed = Some(text);
    }
    Ok(agreed.unwrap_or_default())
}

fn unknown(variable: &str) -> Problem {
    let name = variable.trim_start_matches("BEANLINE_").to_ascii_lowercase();
    let (name, file) = name.strip_suffix("_file").map_or((name.as_str(), ""), |name| (name, "_FILE"));
    let nearest = INPUTS.iter().map(|input| (distance(name, input.name), input.name)).min();
    let instead = match nearest {
        Some((distance, input)) if distance <= (name.len() / 3).max(2) => {
            format!("did you mean BEANLINE_{}{file}?", input.to_ascii_uppercase())
        }
        _ => "`beanline --help` lists every input".to_owned(),
    };
    Problem { input: variable.to_owned(), wrong: "is not an input".into(), instead }
}

/// How many letters must be put in, taken out or replaced to get from one word to the other (Levenshtein's distance).
pub(super) fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (b, above) in to.bytes().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> RawInputs {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        RawInputs::read_with(environment, &|path| match path.to_str() {
            Some("/run/secrets/token") => Ok("obvious-fake\n".to_owned()),
            Some("/run/secrets/empty") => Ok("\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        })
    }

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        read(variables).problems().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn both_prefixes_are_read_trimmed_and_empty_is_absent() {
        let raw = read(&[("INPUT_IMAGE", " shop \n"), ("BEANLINE_TAG", "1"), ("INPUT_TAG", ""), ("INPUT_NAME", " ")]);
        assert_eq!(raw.texts.image.as_deref(), Some("shop"));
        assert_eq!(raw.texts.tag.as_deref(), Some("1"));
        assert_eq!(raw.texts.name, None);
        assert_eq!(raw.written("tag"), Some("BEANLINE_TAG"));
        assert!(raw.problems().is_empty());
    }

    #[test]
    fn two_that_differ_are_a_problem_that_names_both() {
        assert!(problems(&[("INPUT_TAG", "1"), ("BEANLINE_TAG", "1")]).is_empty());
        let problems = problems(&[("INPUT_TAG", "1"), ("BEANLINE_TAG", "2")]);
        assert_eq!(
            problems,
            ["INPUT_TAG and BEANLINE_TAG are both set and differ: set one of them, or both to the same"]
        );
    }

    #[test]
    fn an_input_may_stand_in_a_file() {
        let raw = read(&[("BEANLINE_GITHUB_TOKEN_FILE", "/run/secrets/token")]);
        assert_eq!(raw.texts.github_token.as_deref(), Some("obvious-fake"));
        let both = problems(&[("BEANLINE_GITHUB_TOKEN_FILE", "/run/secrets/token"), ("INPUT_GITHUB_TOKEN", "x")]);
        assert!(both[0].starts_with("BEANLINE_GITHUB_TOKEN_FILE and INPUT_GITHUB_TOKEN are both set"), "{both:?}");
        let missing = problems(&[("BEANLINE_TAG_FILE", "/nowhere")]);
        assert!(missing[0].starts_with("BEANLINE_TAG_FILE names the file `/nowhere`"), "{missing:?}");
        let slip = problems(&[("BEANLINE_GITHUB_TOKEN_FILE", "ghs_obviousfake")]);
        assert!(slip[0].contains("names a file") && !slip[0].contains("ghs_"), "{slip:?}");
        let empty = read(&[("BEANLINE_IMAGE_FILE", "/run/secrets/empty")]);
        assert!(empty.texts.image.is_none() && empty.written("image").is_none() && empty.problems().is_empty());
    }

    #[test]
    fn aliases_mean_the_same() {
        for (alias, input) in ALIASES {
            for prefix in PREFIXES {
                let name = format!("{prefix}{}", alias.to_ascii_uppercase());
                let raw = read(&[(&name, "shop")]);
                assert_eq!((raw.texts.get(input), raw.written(input)), (Some("shop"), Some(name.as_str())));
            }
        }
        let both = problems(&[("INPUT_REGION", "eu-west-1"), ("INPUT_AWS-REGION", "eu-west-2")]);
        assert_eq!(both.len(), 1, "{both:?}");
    }

    #[test]
    fn an_unknown_variable_of_ours_is_a_problem_with_the_nearest_name() {
        assert_eq!(
            problems(&[("BEANLINE_IMGE", "x")]),
            ["BEANLINE_IMGE is not an input: did you mean BEANLINE_IMAGE?"]
        );
        let near =
            [("BEANLINE_image", "BEANLINE_IMAGE?"), ("BEANLINE_GITHUB_TOKN_FILE", "BEANLINE_GITHUB_TOKEN_FILE?")];
        for (name, meant) in near {
            assert!(problems(&[(name, "x")])[0].ends_with(meant), "{name}");
        }
        assert!(problems(&[("BEANLINE_QQQQQQQQQQQQ", "x")])[0].ends_with("`beanline --help` lists every input"));
        let others = [("INPUT_WHO-TO-GREET", "x"), ("BEANLINE_PLACE", "live"), ("BEANLINE_NOTHING", ""), ("PATH", "/")];
        assert!(problems(&others).is_empty());
    }

    #[test]
    fn bytes_that_are_not_text_never_stop_us() {
        let bytes = || OsString::from_vec(vec![0xff, 0xfe]);
        let environment = [("PATH".into(), bytes()), (bytes(), "x".into()), ("INPUT_TAG".into(), bytes())];
        let raw = RawInputs::read(environment.into_iter());
        assert_eq!(raw.problems().len(), 1);
        assert_eq!(raw.problems()[0].input, "INPUT_TAG");
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("tag", "tag")), (3, 3, 0));
    }
}
