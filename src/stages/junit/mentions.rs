//! Places in code that a failure's text mentions: stack frames and the like, of any language.

/// Mentions that are kept of one failure.
const MOST: usize = 16;

/// Bytes of a path; what is longer is none of a repository.
pub(super) const LONGEST_PATH: usize = 500;

/// A line's number beyond this is no line.
const LAST_LINE: u32 = 10_000_000;

/// Endings of source files, by which a bare name is told from a host: `shop.local:80`.
const ENDINGS: [&str; 43] = [
    "rs", "py", "pyx", "js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "vue", "svelte", "rb", "go", "php",
    "java", "kt", "kts", "scala", "groovy", "clj", "cs", "fs", "vb", "c", "cc", "cpp", "cxx", "h", "hpp", "m", "swift",
    "dart", "ex", "exs", "erl", "lua", "pl", "t", "jl", "sh", "bats",
];

/// Directories of what is not the project's own.
const FOREIGN: [&str; 16] = [
    "/node_modules/",
    "/site-packages/",
    "/dist-packages/",
    "/.cargo/registry/",
    "/rustc/",
    "/go/pkg/mod/",
    "/usr/lib/",
    "/usr/local/lib/",
    "/usr/local/go/",
    "/usr/share/",
    "/usr/local/bundle/",
    "/gems/",
    "/vendor/",
    "/.pnpm/",
    "/.yarn/",
    "/library/std/src/",
];

/// A file as the tests knew it, and a line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The file's path, as far as it is known: from the root of a container, or from a directory in it.
    path: String,
    /// The line, from 1 on.
    line: u32,
}

impl Mention {
    pub fn new(path: &str, line: u32) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
        Self { path: parts.join("/"), line }
    }

    /// Whether it is in the file that `path` may be another name of.
    pub(super) fn is_in(&self, path: &str) -> bool {
        path.rsplit('/').next() == Some(self.file_name())
    }

    /// The file's name without its directories.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The line, from 1 on.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// How many parts from the end on a path of the repository has in common with it.
    pub fn parts_in_common_with(&self, path: &str) -> usize {
        self.path.rsplit('/').zip(path.rsplit('/')).take_while(|(ours, theirs)| ours == theirs).count()
    }
}

/// Whether a text looks like the path of a source file.
pub(super) fn is_file(text: &str) -> bool {
    let ending = text.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ENDINGS.contains(&ending)) && !text.contains(char::is_whitespace) && text.contains('/')
}

/// The project's own places in a message and the lines after it, most likely first: of Python's traces the last is where
/// it broke, of all others the first.
pub(super) fn find(message: &str, lines: &[String], package: Option<&str>) -> Vec<Mention> {
    let mut found = Vec::new();
    for line in lines.iter().map(String::as_str).chain(message.lines()) {
        for (path, number) in in_line(line) {
            let path = match package {
                Some(package) if path.ends_with(".go") && !path.contains('/') => format!("{package}/{path}"),
                _ => path,
            };
            let mention = Mention::new(&path, number);
            if path.len() <= LONGEST_PATH && !is_foreign(&path) && !found.contains(&mention) {
                found.push(mention);
            }
        }
        // A trace of endless recursion: its end is as good as its beginning.
        if found.len() >= 4 * MOST {
            found.drain(MOST..3 * MOST);
        }
    }
    if found.first().is_some_and(|first| first.file_name().ends_with(".py")) {
        found.reverse();
    }
    found.truncate(MOST);
    found
}

fn is_foreign(path: &str) -> bool {
    // A relative path may begin in such a directory.
    let rooted = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    FOREIGN.iter().any(|directory| rooted.contains(directory))
}

/// The places that one line mentions.
fn in_line(line: &str) -> Vec<(String, u32)> {
    // Python: `File "/app/cart.py", line 12, in adds`. .NET: ` in /app/Cart.cs:line 12`.
    if let Some(place) = between(line, "File \"", "\", line ").or_else(|| between(line, " in /", ":line ")) {
        return vec![place];
    }
    let ends_word = |c: char| c.is_whitespace() || "()[]{}<>'\"`,;│|".contains(c);
    let mut found: Vec<(String, u32)> = line.split(ends_word).filter_map(place).collect();
    // Java: `at com.example.shop.CartTest.adds(CartTest.java:14)`; the file lies in the package's directory.
    if let [(file, _)] = found.as_mut_slice()
        && !file.contains('/')
        && let Some((method, _)) = line.trim().strip_prefix("at ").and_then(|rest| rest.split_once('('))
    {
        let class = method.rsplit('/').next().unwrap_or(method).rsplit_once('.').map(|(class, _)| class);
        if let Some((package, _)) = class.and_then(|class| class.rsplit_once('.')) {
            *file = format!("{}/{file}", package.replace('.', "/"));
        }
    }
    found
}

fn between(line: &str, before: &str, after: &str) -> Option<(String, u32)> {
    let (_, rest) = line.split_once(before)?;
    let (path, rest) = rest.split_once(after)?;
    let root = if before.ends_with('/') { "/" } else { "" };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    Some((format!("{root}{path}"), line_number(&rest[..digits])?))
}

fn line_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|line| (1..=LAST_LINE).contains(line))
}

/// `src/cart.rs:12:5`, `file:///app/cart.test.mjs:6:12`, `cart_test.go:12:` as file and line.
fn place(word: &str) -> Option<(String, u32)> {
    let word = word.strip_prefix("file://").unwrap_or(word);
    let (path, rest) = word.split_once(':')?;
    let line = line_number(rest.split(':').next()?)?;
    let ending = path.rsplit('/').next()?.rsplit_once('.').map(|(_, ending)| ending)?;
    let is_ending = (1..=8).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_place = ENDINGS.contains(&ending) || path.contains('/') && ending.bytes().any(|b| b.is_ascii_alphabetic());
    (is_ending && is_place && !path.contains('\\')).then(|| (path.to_owned(), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, package: Option<&str>) -> Option<(String, u32)> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        find("", &lines, package).first().map(|mention| (mention.path.clone(), mention.line))
    }

    #[test]
    fn frames_of_every_language_are_found() {
        let cases = [
            ("tests/test_a.py:3: in test_a\n    f()\nsrc/a.py:6: AssertionError", "src/a.py", 6),
            (
                "  File \"/app/a b.py\", line 12, in adds\n  File \"/usr/lib/python3/unittest/case.py\", line 9",
                "app/a b.py",
                12,
            ),
            ("at Object.toBe (/app/node_modules/x/y.js:1:2)\n at Object.x (/app/a.test.js:5:27)", "app/a.test.js", 5),
            ("at TestContext.<anonymous> (file:///app/cart.test.mjs:6:12)", "app/cart.test.mjs", 6),
            (" ❯ vit/cart.test.mjs:5:19", "vit/cart.test.mjs", 5),
            ("\tat app//com.shop.CartTest.adds(CartTest.java:14)", "com/shop/CartTest.java", 14),
            ("    cart_test.go:12: got 3, want 4", "example.com/shop/cart/cart_test.go", 12),
            (
                "thread 'x' panicked at src/lib.rs:10:9:\nat /rustc/5/library/core/src/panicking.rs:8:14",
                "src/lib.rs",
                10,
            ),
            ("/app/tests/CartTest.php:31", "app/tests/CartTest.php", 31),
            ("# ./spec/cart_spec.rb:9:in `block'", "spec/cart_spec.rb", 9),
            ("   at Shop.Cart.Adds() in /src/Shop/Cart.cs:line 21", "src/Shop/Cart.cs", 21),
            ("src/cart_test.cc:7: Failure", "src/cart_test.cc", 7),
        ];
        for (text, path, line) in cases {
            assert_eq!(first(text, Some("example.com/shop/cart")), Some((path.to_owned(), line)), "{text}");
        }
    }

    #[test]
    fn hosts_times_addresses_and_lines_that_cannot_be_are_no_places() {
        for text in ["shop.local:80", "12:30:01", "http://x/y:8080", "127.0.0.1:80", "src/x.rs:0", "x:1", "a/b.5:3"] {
            assert_eq!(first(text, None), None, "{text}");
        }
        assert_eq!(first("src/x.rs:99999999999", None), None);
    }

    #[test]
    fn a_trace_without_end_is_bounded() {
        let text: String = (1..10_000).map(|line| format!("at f (/app/a.js:{line}:1)\n")).collect();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let found = find("", &lines, None);
        assert_eq!((found.len(), found[0].line), (MOST, 1));
    }
}
