//! One pattern as the regular expression that docker makes of it (moby/patternmatcher), after the check that docker makes
//! first (Go's `filepath.Match`). Where the two disagree, as about `[*]` or `\d`, the regular expression counts there too.

/// What docker takes a pattern for. Only the last is a regular expression there, and the others mean more than it would:
/// `**.log` is every name with that end, while `**.lo?` is whole names.
#[derive(Clone, Copy)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Expression,
}

/// The names of classes such as `[[:alpha:]]` (Go's `regexp/syntax`).
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// The regular expression of a cleaned pattern.
///
/// # Errors
/// A few words: it is none.
pub(super) fn expression(pattern: &str) -> Result<String, String> {
    check(pattern).ok_or("it ends within an escape or a class `[…]`, or a class is empty or has a bare `-` or `]`")?;
    let (kind, text) = written(pattern);
    Ok(match kind {
        Kind::Exact => format!("^{}$", regex::escape(pattern)),
        Kind::Prefix => format!("^{}", regex::escape(pattern.trim_end_matches('*'))),
        Kind::Suffix => match &pattern[2..] {
            end if end.starts_with('/') => format!("(?:^|/){}$", regex::escape(&end[1..])),
            end => format!("{}$", regex::escape(end)),
        },
        Kind::Expression => translated(&text)?,
    })
}

/// Holds a pattern against the grammar of `filepath.Match`.
fn check(pattern: &str) -> Option<()> {
    let mut rest = pattern;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        match sign {
            '\\' => rest = &rest[rest.chars().next()?.len_utf8()..],
            '[' => rest = behind_class(rest)?,
            _ => {}
        }
    }
    Some(())
}

/// What stands behind a class, of which the first bracket is read.
fn behind_class(text: &str) -> Option<&str> {
    let member = |text: &'_ str| -> Option<usize> {
        let escape = usize::from(text.starts_with('\\'));
        let sign = text[escape..].chars().next().filter(|sign| escape > 0 || !matches!(sign, '-' | ']'))?;
        Some(escape + sign.len_utf8())
    };
    let mut rest = text.strip_prefix('^').unwrap_or(text);
    loop {
        rest = &rest[member(rest)?..];
        if let Some(end) = rest.strip_prefix('-') {
            rest = &end[member(end)?..];
        }
        if let Some(behind) = rest.strip_prefix(']') {
            return Some(behind);
        }
    }
}

/// What docker hands to Go's regular expressions. It does so sign by sign and knows no classes: what stands in one is
/// rewritten as well.
fn written(pattern: &str) -> (Kind, String) {
    let (mut kind, mut text) = (Kind::Exact, "^".to_owned());
    let mut signs = pattern.chars().peekable();
    while let Some(sign) = signs.next() {
        let at_start = text.len() == 1;
        let (special, meant) = match sign {
            '*' if signs.next_if_eq(&'*').is_some() => {
                let _ = signs.next_if_eq(&'/');
                let is_last = signs.peek().is_none();
                kind = match kind {
                    _ if at_start => Kind::Suffix,
                    Kind::Exact if is_last => Kind::Prefix,
                    _ => Kind::Expression,
                };
                text.push_str(if is_last { ".*" } else { "(.*/)?" });
                continue;
            }
            '*' => (true, "[^/]*".to_owned()),
            '?' => (true, "[^/]".to_owned()),
            '\\' => (true, format!("\\{}", signs.next().map_or_else(String::new, String::from))),
            '[' | ']' => (true, sign.to_string()),
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => (false, format!("\\{sign}")),
            sign => (false, sign.to_string()),
        };
        text.push_str(&meant);
        if special {
            kind = Kind::Expression;
        }
    }
    text.push('$');
    (kind, text)
}

/// Go's regular expression as one of ours, whose classes have operators, nest, and know more letters.
fn translated(text: &str) -> Result<String, String> {
    let mut ours = String::new();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        match sign {
            '\\' => ours.push_str(&escaped(&mut rest)?),
            '[' => ours.push_str(&class(&mut rest)?),
            sign => ours.push(sign),
        }
    }
    Ok(ours)
}

/// What an escaped letter means: to Go, classes of ASCII, some control characters and places.
fn escaped(rest: &mut &str) -> Result<String, String> {
    let Some(sign) = rest.chars().next() else { return Ok("\\\\".to_owned()) };
    *rest = &rest[sign.len_utf8()..];
    Ok(match sign {
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        's' => "[\\t\\n\\f\\r ]".to_owned(),
        'S' => "[^\\t\\n\\f\\r ]".to_owned(),
        'w' => "[0-9A-Za-z_]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' | 'A' | 'z' | 'b' | 'B' => format!("\\{sign}"),
        sign if sign.is_ascii() && !sign.is_ascii_alphanumeric() => literal(sign),
        sign => return Err(format!("`\\{sign}` means nothing")),
    })
}

/// A class, of which the first bracket is read.
fn class(rest: &mut &str) -> Result<String, String> {
    let mut ours = "[".to_owned();
    if let Some(negated) = rest.strip_prefix('^') {
        *rest = negated;
        ours.push('^');
    }
    let mut is_first = true;
    loop {
        if let Some(behind) = rest.strip_prefix(']').filter(|_| !is_first) {
            *rest = behind;
            return Ok(ours + "]");
        }
        is_first = false;
        if let Some((name, behind)) = rest.strip_prefix("[:").and_then(|name| name.split_once(":]")) {
            if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(format!("there is no class `[:{name}:]`"));
            }
            ours.push_str(&format!("[:{name}:]"));
            *rest = behind;
            continue;
        }
        ours.push_str(&member(rest)?);
        if let Some(end) = rest.strip_prefix('-').filter(|end| !end.starts_with(']')) {
            *rest = end;
            ours.push('-');
            ours.push_str(&member(rest)?);
        }
    }
}

/// One letter of a class.
fn member(rest: &mut &str) -> Result<String, String> {
    let sign = rest.chars().next().ok_or("a class does not end")?;
    *rest = &rest[sign.len_utf8()..];
    if sign == '\\' { escaped(rest) } else { Ok(literal(sign)) }
}

/// A letter that is no operator, wherever it stands.
fn literal(sign: char) -> String {
    format!("\\x{{{:x}}}", u32::from(sign))
}
