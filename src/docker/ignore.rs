//! `.dockerignore`, read as docker reads it (docs.docker.com, "Build context", and moby/patternmatcher).

mod pattern;

use std::path::{Component, Path};

use regex::{Regex, RegexSet};

use pattern::expression;

/// Patterns in the order of the file; the last that matches wins.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    /// One for each rule, in one set, so that a path is held against them once.
    expressions: RegexSet,
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
    expressions: Vec<String>,
    rules: Vec<Rule>,
}

impl Gathered {
    fn add(&mut self, pattern: &str, keeps: bool) -> Result<(), String> {
        let parts = clean(pattern);
        // The context itself, which is always sent.
        if parts.is_empty() {
            return Ok(());
        }
        let expression = expression(&parts.join("/"))?;
        // Each on its own first: the set would not say which of them is wrong.
        Regex::new(&expression).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it takes too much memory".to_owned(),
            _ => "a class `[…]` or an escape in it means nothing".to_owned(),
        })?;
        self.expressions.push(expression);
        self.rules.push(Rule { keeps: keeps.then_some(parts) });
        Ok(())
    }

    fn done(self, closed: bool) -> Result<Ignore, String> {
        let expressions = RegexSet::new(self.expressions);
        let expressions = expressions.map_err(|_| "its patterns together take too much memory".to_owned())?;
        Ok(Ignore { expressions, rules: self.rules, closed })
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
            gathered.add(pattern, keeps).map_err(refused)?;
        }
        gathered.done(false)
    }

    /// Takes the patterns that the daemon read out of such a file.
    ///
    /// # Errors
    /// One of them is no pattern.
    pub(super) fn of(patterns: &[String]) -> Result<Self, String> {
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
    pub(super) fn all_but(patterns: &[String]) -> Result<Self, String> {
        let mut gathered = Gathered::default();
        for pattern in patterns {
            // A rule that is not there keeps nothing.
            let _ = gathered.add(pattern, true);
        }
        gathered.done(true)
    }

    /// Holds a path, relative to the context, against the rules; `within` is what its directory got.
    pub(super) fn hold(&self, path: &Path, within: Match) -> Match {
        let own = self.expressions.matches(&path.to_string_lossy()).into_iter().max();
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
                // These may stand for a slash, and more than one part.
                if part.contains("**") || part.contains(['[', ']', '\\', '^']) {
                    return true;
                }
                if !part.contains(['*', '?']) && part != name {
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
            ("a**b", &["ab", "a/b", "a1/b", "a1/2/b/c"], &["axb", "a1/2/3b", "b", "xab"]),
            ("**b", &["b", "ab", "a/b", "a/xb/c"], &["bx"]),
            ("**b?", &["bx", "a/bx"], &["abx", "b"]),
            ("a/**b", &["a/b", "a/x/b"], &["a/xb", "ab"]),
            ("a/**/**/b", &["a/b", "a/x/y/b"], &["a/xb"]),
            ("a?b", &["aéb", "axb"], &["a/b", "ab"]),
            ("caf?", &["café"], &["caf"]),
            ("build**", &["build", "build2/x", "build/x"], &["xbuild"]),
            ("{a,b}", &["{a,b}"], &["a", "b"]),
            ("[a-c]x", &["ax", "cx/y"], &["dx"]),
            ("[^a]x", &["bx", "éx"], &["ax"]),
            ("[!a]x", &["ax", "!x"], &["bx"]),
            ("[a&&b]x", &["ax", "&x"], &["cx"]),
            ("[[]x", &["[x"], &["]x"]),
            ("[\\]a]x", &["]x", "ax"], &["bx"]),
            ("[a\\-c]x", &["-x"], &["bx"]),
            ("[[:digit:]]x", &["1x"], &["dx", ":]x"]),
            ("a]b", &["a]b"], &["ab"]),
            ("\\*", &["*"], &["a"]),
            ("a\\.b", &["a.b"], &["axb"]),
            ("^a", &["^a"], &["a"]),
            ("(a|b)+$", &["(a|b)+$"], &["a", "b"]),
            ("a.b*", &["a.bc"], &["axbc"]),
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
        for pattern in
            ["[]a]x", "[a-]x", "[-a]x", "[]", "[^]", "[a", "[a-", "[a\\", "x\\", "[z-a]", "\\e", "a*[", "[[:no:]]"]
        {
            assert!(Ignore::parse(&format!("# x\n!{pattern}")).unwrap_err().starts_with("line 2 is"), "{pattern}");
            assert!(Ignore::of(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_their_number() {
        let ignore = Ignore::parse(&format!("a{}", "**a".repeat(20))).unwrap();
        assert!(excluded(&ignore, &"a".repeat(21)) && !excluded(&ignore, &"a".repeat(20)));
        assert!(!excluded(&ignore, &"a/".repeat(20)) && excluded(&ignore, &"a/".repeat(22)));
        let long = Ignore::parse(&format!("x\n{}", "**a".repeat(100_000))).unwrap_err();
        assert!(long.starts_with("line 2 is no pattern: it takes too much memory"), "{long}");
        let lines: String = (0..300).map(|number| format!("**/*.{number}\n")).collect();
        assert!(excluded(&Ignore::parse(&lines).unwrap(), "x/y.299"));
    }
}
