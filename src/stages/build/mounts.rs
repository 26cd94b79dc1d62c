//! The secrets that a Dockerfile mounts, against those that were given: asked before anything is built.

use super::dockerfile::{Dockerfile, mounts};

/// A secret that a step mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mounted {
    line: u32,
    id: String,
    required: bool,
}

/// What is to be said of a build's secrets. Each has the line of the Dockerfile it is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Steps that cannot succeed: their secret is required, and was not given.
    pub missing: Vec<(u32, String)>,
    /// Steps that would run without what they may need.
    pub warnings: Vec<(u32, String)>,
    /// Secrets that were given, and that no step mounts.
    pub unused: Vec<String>,
}

/// Compares what a build of `target` mounts with the ids that were given.
pub fn compare(file: &Dockerfile, target: Option<&str>, given: &[&str]) -> Findings {
    let needed = file.needed(target);
    // A target that is not there is BuildKit's to refuse.
    if needed.is_empty() {
        return Findings::default();
    }
    let mut mounted = mounted(file, &file.perhaps_needed(target));
    // What may not be built at all cannot be missed.
    let is_built =
        |line: u32| needed.iter().flat_map(|number| &file.stages[*number].instructions).any(|one| one.line == line);
    mounted.iter_mut().for_each(|one| one.required &= is_built(one.line) || given.contains(&one.id.as_str()));
    let mut findings = Findings::default();
    for Mounted { line, id, required } in &mounted {
        match (given.contains(&id.as_str()), required) {
            (true, true) => {}
            (false, true) => findings.missing.push((*line, id.clone())),
            (true, false) => findings.warnings.push((
                *line,
                format!(
                    "the secret {id} is mounted without `required=true`: wherever it is not given the step runs without \
                     it, and what it leaves is cached as if all were well"
                ),
            )),
            (false, false) => findings.warnings.push((
                *line,
                format!(
                    "the secret {id} is mounted and not given: the step runs without it; give it in `build_secrets`, and \
                     write `required=true` if the step needs it"
                ),
            )),
        }
    }
    let is_mounted = |id: &&&str| mounted.iter().any(|mounted| mounted.id == ***id || mounted.id.contains('$'));
    findings.unused = given.iter().filter(|id| !is_mounted(id)).map(|id| (*id).to_owned()).collect();
    // An id that is put together from arguments cannot be known here.
    findings.missing.retain(|(_, id)| !id.contains('$'));
    findings.warnings.retain(|(_, text)| !text.contains("secret $"));
    findings
}

fn mounted(file: &Dockerfile, needed: &[usize]) -> Vec<Mounted> {
    let mut found = Vec::new();
    for instruction in needed.iter().flat_map(|number| &file.stages[*number].instructions) {
        for mount in mounts(instruction).filter(|mount| mount.get("type") == Some("secret")) {
            // Without an id, the file's name is it; without both there is nothing to ask for
            // (docs.docker.com, "RUN --mount=type=secret").
            let target = ["target", "dst", "destination"].into_iter().find_map(|name| mount.get(name));
            let file_name = target.and_then(|target| target.rsplit('/').next());
            let Some(id) = mount.get("id").or(file_name).filter(|id| !id.is_empty()) else { continue };
            let required = mount.get("required").is_some_and(|value| !matches!(value, "false" | "0" | "f" | "F"));
            let mounted = Mounted { line: instruction.line, id: id.to_owned(), required };
            if !found.contains(&mounted) {
                found.push(mounted);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str, given: &[&str]) -> Findings {
        compare(&Dockerfile::read(text), None, given)
    }

    #[test]
    fn a_required_secret_that_is_not_given_is_missing_and_others_are_warned_about() {
        let text = "FROM a\nRUN --mount=type=secret,id=npm,required=true x\nRUN --mount=type=secret,id=pip x\n\
                    RUN --mount=type=secret,target=/root/.netrc,required \\\n --mount=type=cache,target=/c x\n";
        let given_all = findings(text, &["npm", "pip", ".netrc", "spare"]);
        assert!(given_all.missing.is_empty());
        assert_eq!(given_all.warnings.len(), 1);
        assert!(given_all.warnings[0].0 == 3 && given_all.warnings[0].1.contains("pip is mounted without"));
        assert_eq!(given_all.unused, ["spare"]);

        let given_none = findings(text, &[]);
        assert_eq!(given_none.missing, [(2, "npm".to_owned()), (4, ".netrc".to_owned())]);
        assert!(given_none.warnings[0].1.contains("pip is mounted and not given"));
    }

    #[test]
    fn stages_that_are_not_built_and_steps_for_later_do_not_count() {
        let text = "FROM a AS unused\nRUN --mount=type=secret,id=one,required=true x\nFROM b\n\
                    ONBUILD RUN --mount=type=secret,id=two,required=true x\nRUN echo --mount=type=secret,id=three\n";
        assert_eq!(findings(text, &[]), Findings::default());
        let target = compare(&Dockerfile::read(text), Some("unused"), &[]);
        assert_eq!(target.missing, [(2, "one".to_owned())]);
    }

    #[test]
    fn a_stage_that_arguments_may_name_is_only_warned_about() {
        let text = "ARG BASE=b\nFROM a AS lint\nRUN --mount=type=secret,id=one,required=true x\nFROM $BASE\n";
        let found = findings(text, &[]);
        assert_eq!((found.missing.len(), found.warnings.len()), (0, 1));
        assert_eq!(findings(text, &["one"]), Findings::default());
    }

    #[test]
    fn an_id_made_of_arguments_may_be_any() {
        let text = "FROM a\nARG ID\nRUN --mount=type=secret,id=$ID,required=true x\nRUN --mount=type=secret,id=$ID x\n";
        assert_eq!(findings(text, &["given"]), Findings::default());
    }
}
