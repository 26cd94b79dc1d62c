//! A Dockerfile's instructions with their lines, as far as they have to be known outside of BuildKit: which line a step
//! is, and which secrets a build will ask for.
//!
//! It never refuses a file: that is BuildKit's part, whose parser it follows in what it reads (moby/buildkit,
//! `frontend/dockerfile/parser`): the escape directive, continuation lines, comments between them, here-documents.

use std::collections::BTreeMap;
use std::path::Path;

use super::here_document::here_documents;
use crate::inputs::files::read_bytes;

/// A Dockerfile with more instructions, or longer in bytes, is BuildKit's alone to read: it has no lines here.
const MOST_INSTRUCTIONS: usize = 10_000;
const LONGEST: usize = 4 << 20;

/// Here-documents without an end that are looked for: BuildKit refuses the first, and each costs a reading to the end.
const MOST_UNENDED: usize = 100;

/// One instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Its first line, counted from 1.
    pub line: u32,
    /// Its keyword in upper case.
    pub keyword: String,
    /// What follows the keyword, continuation lines joined, without here-documents.
    pub rest: String,
}

impl Instruction {
    /// The flags before the arguments, such as `--mount=type=secret,id=npm`: names without dashes, and values.
    pub fn flags(&self) -> impl Iterator<Item = (&str, &str)> {
        let words = self.rest.split_whitespace().map_while(|word| word.strip_prefix("--"));
        words.take_while(|word| !word.is_empty()).map(|word| word.split_once('=').unwrap_or((word, "")))
    }

    /// The arguments behind the flags.
    fn arguments(&self) -> impl Iterator<Item = &str> {
        self.rest.split_whitespace().skip_while(|word| word.starts_with("--"))
    }
}

/// A stage: `FROM` and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// The name that `AS` gives it, in lower case.
    pub name: Option<String>,
    /// What it begins with: an image, or the name of an earlier stage.
    pub base: String,
    /// Its instructions; the first is `FROM`.
    pub instructions: Vec<Instruction>,
}

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its stages, in order.
    pub stages: Vec<Stage>,
    /// The number of the last stage of each name.
    by_name: BTreeMap<String, usize>,
}

impl Dockerfile {
    /// Reads the file at a path. What cannot be read has no stages.
    pub fn at(path: &Path) -> Self {
        let bytes = read_bytes(path).ok().filter(|bytes| bytes.len() <= LONGEST);
        Self::read(&String::from_utf8_lossy(&bytes.unwrap_or_default()))
    }

    /// Reads a file's text.
    pub fn read(text: &str) -> Self {
        let mut stages: Vec<Stage> = Vec::new();
        for instruction in instructions(text).unwrap_or_default() {
            if instruction.keyword == "FROM" {
                let words: Vec<&str> = instruction.arguments().collect();
                let base = words.first().copied().unwrap_or_default().to_owned();
                let name = match words.as_slice() {
                    [_, word, name, ..] if word.eq_ignore_ascii_case("as") => Some(name.to_ascii_lowercase()),
                    _ => None,
                };
                stages.push(Stage { name, base, instructions: vec![instruction] });
            } else if let Some(stage) = stages.last_mut() {
                stage.instructions.push(instruction);
            }
            // What stands before the first stage makes no step.
        }
        let named = stages.iter().enumerate().filter_map(|(number, stage)| Some((stage.name.clone()?, number)));
        let by_name = named.collect();
        Self { stages, by_name }
    }

    /// The stage of that name or number; the last of a name counts.
    pub fn find(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        self.by_name.get(&name).copied().or_else(|| name.parse().ok().filter(|number| *number < self.stages.len()))
    }

    /// The stages that a build of `target` (the last stage, if absent) is known to need, in order.
    pub fn needed(&self, target: Option<&str>) -> Vec<usize> {
        self.reached(target, false)
    }

    /// The stages that it may need: where a name is put together from arguments, any earlier stage may be meant.
    pub fn perhaps_needed(&self, target: Option<&str>) -> Vec<usize> {
        self.reached(target, true)
    }

    fn reached(&self, target: Option<&str>, perhaps: bool) -> Vec<usize> {
        let last = self.stages.len().checked_sub(1);
        let Some(first) = target.map_or(last, |name| self.find(name)) else { return Vec::new() };
        let (mut needed, mut open) = (vec![false; self.stages.len()], vec![first]);
        // All stages below this one are open or done.
        let mut below = 0;
        while let Some(number) = open.pop() {
            if std::mem::replace(&mut needed[number], true) {
                continue;
            }
            let (known, argued) = self.bases(number);
            open.extend(known);
            if perhaps && argued && number > below {
                open.extend(below..number);
                below = number;
            }
        }
        (0..needed.len()).filter(|number| needed[*number]).collect()
    }

    /// The earlier stages that one is made of, and whether arguments name others.
    fn bases(&self, number: usize) -> (Vec<usize>, bool) {
        let stage = &self.stages[number];
        let mut names = vec![stage.base.as_str()];
        for instruction in &stage.instructions {
            names.extend(instruction.flags().filter(|(name, _)| *name == "from").map(|(_, value)| value));
            names.extend(mounts(instruction).filter_map(|mount| mount.get("from")));
        }
        let (argued, plain): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| name.contains('$'));
        let known = plain.into_iter().filter_map(|name| self.find(name)).filter(|found| *found < number);
        (known.collect(), !argued.is_empty())
    }
}

/// The options of one `--mount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a>(Vec<(String, &'a str)>);

impl<'a> Mount<'a> {
    /// An option's value; empty when it stands alone.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// The mounts of a `RUN`, also of one that `ONBUILD` keeps for later: that one is not of this build.
pub fn mounts(instruction: &Instruction) -> impl Iterator<Item = Mount<'_>> {
    let flags = instruction.flags().filter(|_| instruction.keyword == "RUN");
    flags.filter(|(name, _)| *name == "mount").map(|(_, value)| {
        let options = value.trim_matches(['"', '\'']).split(',').map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            (name.trim().to_ascii_lowercase(), value.trim().trim_matches(['"', '\'']))
        });
        Mount(options.collect())
    })
}

/// `None` for more than [`MOST_INSTRUCTIONS`].
fn instructions(text: &str) -> Option<Vec<Instruction>> {
    let escape = escape(text);
    let (mut found, mut unended) = (Vec::new(), 0);
    let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
    while let Some((line, first)) = lines.next() {
        let first = first.trim();
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let (part, mut goes_on) = continued(first, escape);
        let mut whole = part.to_owned();
        while goes_on {
            let Some((_, next)) = lines.next() else { break };
            // Comments and empty lines between the lines of one instruction are no part of it, and do not end it.
            if next.trim().is_empty() || next.trim_start().starts_with('#') {
                continue;
            }
            let (part, more) = continued(next, escape);
            whole.push_str(part);
            goes_on = more;
        }
        let (keyword, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let instruction = Instruction { line, keyword: keyword.to_ascii_uppercase(), rest: rest.trim().to_owned() };
        for document in here_documents(&instruction) {
            let mut behind = lines.clone();
            if unended < MOST_UNENDED && behind.any(|(_, text)| document.is_end(text)) {
                lines = behind;
            } else {
                unended += 1;
            }
        }
        found.push(instruction);
        if found.len() > MOST_INSTRUCTIONS {
            return None;
        }
    }
    Some(found)
}

/// The character that lets an instruction go on in the next line: `\`, unless a directive at the top says otherwise.
fn escape(text: &str) -> char {
    let comments = text.trim_start_matches('\u{feff}').lines().map_while(|line| line.trim().strip_prefix('#'));
    // The first comment that is no directive ends them.
    let mut directives = comments.map_while(|comment| comment.split_once('='));
    let set = directives.find(|(name, _)| name.trim().eq_ignore_ascii_case("escape"));
    set.and_then(|(_, value)| value.trim().chars().next()).unwrap_or('\\')
}

/// A line without the character that continues it, and whether it has one.
fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(text) if !text.ends_with(escape) => (text, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(text: &str) -> Vec<(u32, String, String)> {
        let all = Dockerfile::read(text).stages.into_iter().flat_map(|stage| stage.instructions);
        all.map(|one| (one.line, one.keyword, one.rest)).collect()
    }

    fn one(line: u32, keyword: &str, rest: &str) -> (u32, String, String) {
        (line, keyword.to_owned(), rest.to_owned())
    }

    #[test]
    fn continuation_lines_and_comments_between_them_are_one_instruction() {
        let text = "\u{feff}# a comment\nARG A=1\nfrom scratch as App\n\nRUN one && \\\n  # why\n\n  two \\ \n  three\nCOPY a b\n";
        let expected =
            [one(3, "FROM", "scratch as App"), one(5, "RUN", "one &&   two   three"), one(10, "COPY", "a b")];
        assert_eq!(keywords(text), expected);
        assert_eq!(Dockerfile::read(text).stages[0].name.as_deref(), Some("app"));
    }

    #[test]
    fn the_escape_directive_counts_at_the_top_only() {
        let top = "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN dir C:\\\nRUN a `\n b\n";
        assert_eq!(keywords(top), [one(3, "FROM", "a"), one(4, "RUN", "dir C:\\"), one(5, "RUN", "a  b")]);
        let late = "# hello\n# escape=`\nFROM a\nRUN a \\\n b\n";
        assert_eq!(keywords(late)[1], one(4, "RUN", "a  b"));
    }

    #[test]
    fn here_documents_are_skipped_to_their_end() {
        let text = "FROM a\nRUN <<EOF sh\nCOPY not an instruction\nEOF\nCOPY <<-'ONE' <<\"TWO\" /etc/\nFROM b\n\tONE\n\
                    RUN x\nTWO\nRUN cat <<<word\nENV A=<<EOF\nUSER me\n";
        let lines: Vec<_> = keywords(text).into_iter().map(|(line, keyword, _)| (line, keyword)).collect();
        let expected = [(1, "FROM"), (2, "RUN"), (5, "COPY"), (10, "RUN"), (11, "ENV"), (12, "USER")];
        assert_eq!(lines, expected.map(|(line, keyword)| (line, keyword.to_owned())));
    }

    #[test]
    fn what_only_looks_like_a_here_document_hides_nothing() {
        let text = "FROM a\nRUN echo \"usage: cat <<name >file\"\nRUN cat <<NEVER\nRUN x <<A 'b c' <<\"B C\"\n1\nA\n2\nB C\nUSER me\n";
        let lines: Vec<_> = keywords(text).into_iter().map(|(line, keyword, _)| (line, keyword)).collect();
        let expected = [(1, "FROM"), (2, "RUN"), (3, "RUN"), (4, "RUN"), (9, "USER")];
        assert_eq!(lines, expected.map(|(line, keyword)| (line, keyword.to_owned())));
    }

    #[test]
    fn a_file_that_nobody_wrote_is_not_read() {
        let of = |count: usize| Dockerfile::read(&"FROM $a\n".repeat(count));
        assert_eq!(of(MOST_INSTRUCTIONS).perhaps_needed(None).len(), MOST_INSTRUCTIONS);
        assert_eq!(of(30_000), Dockerfile::default());
    }

    #[test]
    fn only_the_stages_that_lead_to_the_target_are_needed() {
        let text = "FROM a AS base\nFROM base AS tools\nFROM b AS unused\nFROM base AS build\nCOPY --from=1 /x /\n\
                    FROM scratch\nRUN --mount=type=bind,from=build,target=/x cp /x /y\nFROM c AS lint\n";
        let file = Dockerfile::read(text);
        assert_eq!(file.needed(Some("4")), [0, 1, 3, 4]);
        assert_eq!(file.needed(Some("Tools")), [0, 1]);
        assert_eq!(file.needed(None), [5]);
        assert_eq!(file.needed(Some("nowhere")), Vec::<usize>::new());
        let argued = Dockerfile::read("ARG B=x\nFROM a AS x\nFROM a AS y\nFROM $B\n");
        assert_eq!((argued.needed(None), argued.perhaps_needed(None)), (vec![2], vec![0, 1, 2]));
    }

    #[test]
    fn nonsense_is_read_without_an_end_of_the_world() {
        for text in
            ["", "\\", "RUN", "FROM", "FROM a\nRUN <<", "FROM a\nRUN <<EOF", "FROM a\nRUN --mount=", "FROM a AS"]
        {
            let file = Dockerfile::read(text);
            file.stages.iter().flat_map(|stage| &stage.instructions).for_each(|one| assert!(mounts(one).count() < 2));
        }
    }
}
