//! `.dockerignore`, read as docker reads it (docs.docker.com, "Build context", and Go's `filepath.Match`).

use std::path::{Component, Path};

use globset::{Glob, GlobBuilder, GlobSet};

/// Patterns in the order of the file; the last that matches wins.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    /// Those of all rules, so that a path is held against them once.
    globs: GlobSet,
    /// To which rule each glob belongs.
    rule_of: Vec<usize>,
    rules: Vec<Rule>,
    /// Whether what no rule matches stays out.
    closed: bool,
}

#[derive(Debug)]
struct Rule {
    /// The pattern's parts, when it keeps what it matches.
    keeps: Option<Vec<String>>,
}

/// The last rule that matches a path or a directory it lies in. What a directory got is handed on to what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match(Option<usize>);

/// Rules on their way into one set.
#[derive(Default)]
struct Gathered {
    globs: Vec<Glob>,
    rule_of: Vec<usize>,
    rules: Vec<Rule>,
}

impl Gathered {
    fn add(&mut self, pattern: &str, keeps: bool) -> Result<(), globset::Error> {
        let parts = clean(pattern);
        let glob = |glob: &String| GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
        for glob in globs_of(&parts).iter().map(glob).collect::<Result<Vec<_>, _>>()? {
            self.globs.push(glob);
            self.rule_of.push(self.rules.len());
        }
        self.rules.push(Rule { keeps: keeps.then_some(parts) });
        Ok(())
    }

    fn done(self, closed: bool) -> Result<Ignore, globset::Error> {
        Ok(Ignore { globs: GlobSet::new(self.globs)?, rule_of: self.rule_of, rules: self.rules, closed })
    }
}

impl Ignore {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A sentence with the number of the line that is no pattern.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut gathered = Gathered::default();
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let refused = |why: String| format!("line {} is no pattern: {why}", at + 1);
            let (pattern, keeps) = signed(line);
            if pattern.is_empty() {
                return Err(refused("`!` stands alone".into()));
            }
            gathered.add(pattern, keeps).map_err(|error| refused(error.to_string()))?;
        }
        gathered.done(false).map_err(|error| format!("its patterns are too many: {error}"))
    }

    /// Takes the patterns that the daemon read out of such a file.
    ///
    /// # Errors
    /// One of them is no pattern.
    pub(super) fn of(patterns: &[String]) -> Result<Self, globset::Error> {
        let mut gathered = Gathered::default();
        for (pattern, keeps) in patterns.iter().map(|pattern| signed(pattern)) {
            gathered.add(pattern, keeps)?;
        }
        gathered.done(false)
    }

    /// Leaves out all that no pattern matches. What is no pattern matches nothing: the daemon looks for it and says so.
    ///
    /// # Errors
    /// They are too many.
    pub(super) fn all_but(patterns: &[String]) -> Result<Self, globset::Error> {
        let mut gathered = Gathered::default();
        for pattern in patterns {
            // A rule that is not there keeps nothing.
            let _ = gathered.add(pattern, true);
        }
        gathered.done(true)
    }

    /// Holds a path, relative to the context, against the rules; `within` is what its directory got.
    pub(super) fn hold(&self, path: &Path, within: Match) -> Match {
        let own = self.globs.matches(path).into_iter().filter_map(|glob| self.rule_of.get(glob).copied()).max();
        within.max(Match(own))
    }

    /// Whether a path that got this stays out of the context.
    pub(super) fn excludes(&self, found: Match) -> bool {
        match found.0.and_then(|rule| self.rules.get(rule)) {
            Some(rule) => rule.keeps.is_none(),
            None => self.closed,
        }
    }

    /// Whether a `!` rule might match something inside an excluded directory, which must then be walked.
    pub(super) fn may_keep_below(&self, directory: &Path) -> bool {
        let names: Vec<_> = directory
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.to_string_lossy()),
                _ => None,
            })
            .collect();
        let possible = |parts: &Vec<String>| {
            for (part, name) in parts.iter().zip(&names) {
                if part.contains("**") {
                    return true;
                }
                if !part.contains(['*', '?', '[', '\\']) && part != name {
                    return false;
                }
            }
            true
        };
        self.rules.iter().filter_map(|rule| rule.keeps.as_ref()).any(possible)
    }
}

/// A pattern without its sign, and whether the sign was the `!` that keeps.
fn signed(pattern: &str) -> (&str, bool) {
    match pattern.trim().strip_prefix('!') {
        Some(rest) => (rest.trim(), true),
        None => (pattern.trim(), false),
    }
}

/// A pattern's parts: `./a//b/../c/` is `a`, `c`. What climbs out of the context can match nothing in it.
fn clean(pattern: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| last != "..") => {
                parts.pop();
            }
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

/// The globs that together mean what docker's pattern means. Ours know `**` only as a whole part and have braces;
/// docker's `**` may stand anywhere, and braces are letters.
fn globs_of(parts: &[String]) -> Vec<String> {
    let mut globs = vec![String::new()];
    let mut after_stars = false;
    for (at, part) in parts.iter().enumerate() {
        let stars = part.len() > 1 && part.bytes().all(|byte| byte == b'*');
        if stars && after_stars {
            continue;
        }
        after_stars = stars;
        let choices = if stars { vec!["**".to_owned()] } else { choices(part) };
        let slash = if at == 0 { "" } else { "/" };
        globs = globs.iter().flat_map(|glob| choices.iter().map(move |part| format!("{glob}{slash}{part}"))).collect();
    }
    globs.retain(|glob| !glob.is_empty());
    globs
}

/// One part: braces made letters, and every `**` inside it either within a name or across directories.
fn choices(part: &str) -> Vec<String> {
    let mut choices = vec![String::new()];
    let mut push = |texts: &[&str]| {
        choices = choices.iter().flat_map(|done| texts.iter().map(move |text| format!("{done}{text}"))).collect();
    };
    let mut letters = part.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let escaped = letters.next().map_or("\\\\".to_owned(), |next| format!("\\{next}"));
                push(&[&escaped]);
            }
            '*' if !in_class && letters.peek() == Some(&'*') => {
                while letters.next_if_eq(&'*').is_some() {}
                push(&["*", "*/**/*"]);
            }
            '{' | '}' if !in_class => push(&[&format!("[{letter}]")]),
            letter => {
                in_class = (in_class || letter == '[') && letter != ']';
                push(&[letter.encode_utf8(&mut [0; 4])]);
            }
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a path stays out when the directories that it lies in were asked about first.
    fn excluded(ignore: &Ignore, path: &str) -> bool {
        let mut above: Vec<_> = Path::new(path).ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        ignore.excludes(above.into_iter().fold(Match::default(), |within, path| ignore.hold(path, within)))
    }

    #[test]
    fn paths_are_excluded_as_docker_excludes_them() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("node_modules", &["node_modules", "node_modules/a/b"], &["src/node_modules", "node_modules2"]),
            ("**/node_modules", &["node_modules/x", "a/b/node_modules"], &["a/node_modules2"]),
            ("*.md\n!README.md", &["CHANGES.md"], &["README.md", "docs/CHANGES.md"]),
            ("!README.md\n*.md", &["README.md"], &[]),
            ("/target/", &["target", "target/debug"], &["a/target"]),
            ("./a//b/../c", &["a/c", "a/c/d"], &["a/b"]),
            ("*/temp*", &["a/temp", "a/temporary/x"], &["temp", "a/b/temp"]),
            ("temp?", &["temp1"], &["temp", "temp12"]),
            ("docs/**", &["docs/a", "docs/a/b"], &["docs"]),
            ("**", &["a", "a/b"], &[]),
            ("**\n!src", &["a"], &["src", "src/a/b"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a/xb"]),
            ("**.log", &["x.log", "a/b/x.log"], &["x.logs"]),
            ("a**b", &["ab", "axb", "a1/b", "a1/2/3b"], &["b", "xab"]),
            ("build**", &["build", "build2/x", "build/x"], &["xbuild"]),
            ("{a,b}", &["{a,b}"], &["a", "b"]),
            ("[a-c]x", &["ax", "cx/y"], &["dx"]),
            ("[^a]x", &["bx"], &["ax"]),
            ("\\!x", &["!x"], &["x"]),
            ("# x\n #y\n\n  \nz", &["#y", "z"], &["# x", "x"]),
            ("\u{feff}x", &["x"], &[]),
            (".", &[], &["a"]),
            ("/", &[], &["a"]),
            ("../x", &[], &["x"]),
            ("a\n!a/keep\n", &["a", "a/x"], &["a/keep", "a/keep/x"]),
            ("a\n! a/keep\na/keep/not", &["a/keep/not"], &["a/keep/x"]),
            (".git", &[".git/HEAD"], &[".gitignore"]),
        ];
        for (text, out, kept) in cases {
            let ignore = Ignore::parse(text).unwrap();
            out.iter().for_each(|path| assert!(excluded(&ignore, path), "{text}: {path} should be out"));
            kept.iter().for_each(|path| assert!(!excluded(&ignore, path), "{text}: {path} should be kept"));
        }
    }

    #[test]
    fn an_excluded_directory_is_walked_only_where_an_exception_may_match() {
        let ignore = Ignore::parse("*\n!src/*.rs\n!docs/a").unwrap();
        for (directory, walked) in [("src", true), ("docs", true), ("docs/b", false), ("node_modules", false)] {
            assert_eq!(ignore.may_keep_below(Path::new(directory)), walked, "{directory}");
        }
        assert!(Ignore::parse("*\n!**/x").unwrap().may_keep_below(Path::new("a/b")));
    }

    #[test]
    fn the_daemon_may_ask_for_some_paths_only() {
        let only = Ignore::all_but(&["src/*.rs".to_owned(), "[".to_owned(), "/docs".to_owned()]).unwrap();
        for (path, out) in [("src/a.rs", false), ("src", true), ("docs/a/b", false), ("[", true), ("x", true)] {
            assert_eq!(excluded(&only, path), out, "{path}");
        }
        assert!(only.may_keep_below(Path::new("src")) && !only.may_keep_below(Path::new("x")));
        let sent = Ignore::of(&["#a".to_owned(), "*.md".to_owned(), "!b.md".to_owned()]).unwrap();
        assert!(excluded(&sent, "#a") && excluded(&sent, "c.md") && !excluded(&sent, "b.md"));
    }

    #[test]
    fn a_bad_line_is_named() {
        assert!(Ignore::parse("a\n[b").unwrap_err().starts_with("line 2 is no pattern"));
        assert!(Ignore::parse("!").unwrap_err().contains("stands alone"));
    }
}
