//! From what BuildKit calls a step to the line of the Dockerfile that it is.

use super::dockerfile::{Dockerfile, Instruction, Stage};

/// The line of the step that BuildKit names so: `[build 2/5] RUN make`, or an errand such as
/// `[internal] load metadata for docker.io/library/alpine:3`.
pub fn line_of(file: &Dockerfile, step: &str) -> Option<u32> {
    if let Some(image) = step.strip_prefix("[internal] load metadata for ") {
        return from_of(file, image.trim());
    }
    let (place, said) = step.strip_prefix('[')?.split_once("] ")?;
    let mut words: Vec<&str> = place.split_whitespace().collect();
    let (number, total) = words.pop()?.split_once('/')?;
    let from_the_end = total.parse::<usize>().ok()?.checked_sub(number.parse().ok()?)?;
    // Before the stage's name there may be a platform.
    let stage = stage(file, words.into_iter().rfind(|word| !word.contains('/')))?;
    let steps: Vec<&Instruction> = stage.instructions.iter().filter(|one| makes_a_step(&one.keyword)).collect();
    let by_number = steps.iter().rev().nth(from_the_end).copied();
    let same: Vec<&Instruction> = steps.iter().copied().filter(|one| is_said(one, said)).collect();
    let found = match same.as_slice() {
        [] => by_number.filter(|one| said.split_whitespace().next() == Some(one.keyword.as_str())),
        [only] => Some(*only),
        // The same instruction stands there several times.
        several => by_number.filter(|one| several.contains(one)).or(several.first().copied()),
    };
    // What stands nowhere came with the base image, which keeps steps for later with `ONBUILD`.
    found.or(stage.instructions.first()).map(|one| one.line)
}

/// Instructions that BuildKit counts as steps; the others change only the image's configuration.
fn makes_a_step(keyword: &str) -> bool {
    matches!(keyword, "FROM" | "RUN" | "COPY" | "ADD" | "WORKDIR")
}

/// The stage of that name. The only stage of a file has no name in BuildKit's words; one without `AS` among several is
/// `stage-0`, `stage-1`, …
fn stage<'a>(file: &'a Dockerfile, name: Option<&str>) -> Option<&'a Stage> {
    let Some(name) = name else { return file.stages.last() };
    let numbered = || name.strip_prefix("stage-").and_then(|number| file.stages.get(number.parse::<usize>().ok()?));
    let named = file.stages.iter().rfind(|stage| stage.name.as_deref() == Some(&name.to_ascii_lowercase()));
    named.or_else(numbered)
}

/// Whether BuildKit's words for a step are those of an instruction, whose variables it has filled in by then.
fn is_said(written: &Instruction, said: &str) -> bool {
    let (keyword, said) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
    if keyword != written.keyword {
        return false;
    }
    let (said, is_cut) = match said.strip_suffix(" …") {
        Some(said) => (said, true),
        None => (said, false),
    };
    let (written, said) = (plain(&written.rest), plain(said));
    let mut pieces = pieces(&written).into_iter();
    let Some(mut rest) = pieces.next().and_then(|first| said.strip_prefix(first)) else {
        return is_cut && written.starts_with(&said);
    };
    let mut last = None;
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return is_cut };
        (rest, last) = (behind, Some(piece));
    }
    // A here-document's first words are shown behind it by newer versions.
    is_cut
        || rest.is_empty()
        || last == Some("")
        || rest.starts_with(" (")
        || last.is_some_and(|end| rest.ends_with(end))
}

/// A text without what BuildKit leaves out or writes in another way: quotes, escapes, the number of spaces.
fn plain(text: &str) -> String {
    let text: String = text.chars().filter(|c| !matches!(c, '"' | '\'' | '\\' | '`')).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands between the variables of a text.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        pieces.push(before);
        rest = match behind.strip_prefix('{') {
            Some(inner) => inner.split_once('}').map_or("", |(_, rest)| rest),
            None => behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
    pieces.push(rest);
    pieces
}

/// The `FROM` of an image that could not be looked at. BuildKit writes its name in full.
fn from_of(file: &Dockerfile, image: &str) -> Option<u32> {
    let is_it = |base: &str| {
        let tagged = if base.rsplit('/').next().unwrap_or(base).contains([':', '@']) {
            base.to_owned()
        } else {
            format!("{base}:latest")
        };
        ["", "docker.io/", "docker.io/library/"].iter().any(|prefix| format!("{prefix}{tagged}") == image)
    };
    let is_image = |stage: &&Stage| file.find(&stage.base).is_none() && stage.base != "scratch";
    let images: Vec<&Stage> = file.stages.iter().filter(is_image).collect();
    let found = images.iter().find(|stage| is_it(&stage.base));
    // A name that is put together from arguments, if it is the only one.
    let argued: Vec<_> = images.iter().filter(|stage| stage.base.contains('$')).collect();
    let only = || Some(argued.as_slice()).filter(|argued| argued.len() == 1).map(|argued| argued[0]);
    found.or_else(only)?.instructions.first().map(|from| from.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "ARG BASE=alpine\nFROM golang:1 AS build\nWORKDIR /src\nCOPY go.mod .\nARG V\n\
                        RUN go build -o \"/out/$V\" \\\n  ./...\nRUN true\nRUN <<EOF\nset -e\nEOF\n\
                        FROM ${BASE}:3\nCOPY --from=build /out /out\nRUN true\nRUN true\nRUN [\"/out/x\", \"--help\"]\n";

    #[test]
    fn a_step_is_found_by_its_words_and_by_its_number() {
        let file = Dockerfile::read(FILE);
        let cases = [
            ("[build 2/6] WORKDIR /src", 3),
            ("[build 3/6] COPY go.mod .", 4),
            ("[build 4/6] RUN go build -o \"/out/1.2\"   ./...", 6),
            ("[linux/arm64 build 4/6] RUN go build -o /out/1.2 ./...", 6),
            ("[build 5/6] RUN true", 8),
            ("[build 6/6] RUN <<EOF …", 9),
            ("[build 6/6] RUN <<EOF (set -e...)", 9),
            ("[stage-1 2/5] COPY --from=build /out /out", 13),
            ("[stage-1 3/5] RUN true", 14),
            ("[stage-1 4/5] RUN true", 15),
            ("[stage-1 5/5] RUN [\"/out/x\", \"--help\"]", 16),
            ("[build 1/6] FROM docker.io/library/golang:1@sha256:00", 2),
            ("[internal] load metadata for docker.io/library/golang:1", 2),
            ("[internal] load metadata for docker.io/library/alpine:3", 12),
        ];
        for (step, line) in cases {
            assert_eq!(line_of(&file, step), Some(line), "{step}");
        }
    }

    #[test]
    fn a_step_of_the_base_image_is_the_line_that_names_the_image() {
        let file = Dockerfile::read("FROM team/base:1\nCOPY a /\n");
        assert_eq!(line_of(&file, "[2/3] RUN npm install"), Some(1));
        assert_eq!(line_of(&file, "[3/3] COPY a /"), Some(2));
    }

    #[test]
    fn what_is_no_step_has_no_line() {
        let file = Dockerfile::read(FILE);
        for step in ["exporting to image", "[internal] load build context", "[x 1/2] RUN a", "[1/0] RUN", "[", "[] "] {
            assert_eq!(line_of(&file, step), None, "{step}");
        }
        assert_eq!(line_of(&Dockerfile::default(), "[1/2] RUN x"), None);
    }
}
