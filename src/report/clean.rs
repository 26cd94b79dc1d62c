//! Makes text from elsewhere safe to print: no escape codes, no control characters, no forged commands, no endless lines.

/// Lines of the log are cut after this many characters.
pub const LONGEST_LINE: usize = 2_000;

/// One line as a terminal would finally show it, without escape codes and control characters.
///
/// After a carriage return a terminal overwrites, so the last piece that is not empty stays. The Actions runner takes a
/// carriage return for the end of a line, so none may be left: what follows it could forge a command.
pub fn line(text: &str) -> String {
    let bare = without_escapes(text);
    let shown = bare.split(['\r', '\n']).rfind(|piece| !piece.trim().is_empty()).unwrap_or_default();
    shown.chars().filter(|c| is_shown(*c)).collect()
}

/// Text of several lines, each of them cleaned; empty lines at both ends are gone.
pub fn lines(text: &str) -> Vec<String> {
    let bare = without_escapes(text);
    let cleaned: Vec<String> = bare.trim().split('\n').map(|piece| line(piece).trim_end().to_owned()).collect();
    if cleaned.iter().all(String::is_empty) { Vec::new() } else { cleaned }
}

/// What begins a command anywhere in a line, in letters of either case: the old form of a workflow command, which the
/// Actions runner and Azure's agent know, Azure's own form, and TeamCity's.
const COMMANDS: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// Breaks what would count as a command anywhere in a line.
pub fn without_commands(text: &str) -> String {
    with_hashes(text, "# ")
}

/// JSON text in which nothing counts as a command. A `#` is part of a string there, and may be written as its code:
/// whoever reads it sees the same.
pub fn json_without_commands(text: &str) -> String {
    with_hashes(text, "\\u0023")
}

/// The text with `hash` for the first letter of each command.
fn with_hashes(text: &str, hash: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let begins = |at: &usize| COMMANDS.iter().any(|begin| lower[*at..].starts_with(begin));
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for at in text.match_indices('#').map(|(at, _)| at).filter(begins) {
        out.push_str(&text[from..at]);
        out.push_str(hash);
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out
}

/// Cuts a line that is too long for a log, and says how much is missing.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_LINE) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
    }
}

/// Control characters, line separators and characters that reverse the direction of text are not shown.
fn is_shown(c: char) -> bool {
    let turns_text = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c == '\t' || !(c.is_control() || turns_text || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// Removes ECMA-48 sequences: CSI up to its final byte, strings such as OSC up to BEL or ST, and two-character ones.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let introducer = match c {
            '\u{1b}' => rest.next(),
            '\u{9b}' => Some('['),
            '\u{9d}' => Some(']'),
            _ => {
                out.push(c);
                continue;
            }
        };
        match introducer {
            Some('[') => while rest.next_if(|c| !('\u{40}'..='\u{7e}').contains(c) && *c != '\n').is_some() {},
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while rest.next_if(|c| !matches!(c, '\u{07}' | '\u{1b}' | '\u{9c}' | '\n')).is_some() {}
                if rest.next_if_eq(&'\u{1b}').is_some() {
                    // What follows is the `\` of the string terminator.
                    rest.next_if_eq(&'\\');
                    continue;
                }
            }
            Some(c) if (' '..='/').contains(&c) => while rest.next_if(|c| (' '..='/').contains(c)).is_some() {},
            _ => continue,
        }
        // The final byte of the sequence; a line end is not one.
        rest.next_if(|c| *c != '\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, cut, line, lines, without_commands};

    #[test]
    fn escape_codes_and_control_characters_are_gone() {
        assert_eq!(line("\u{1b}[1;31mred\u{1b}[0m and \u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\"), "red and link");
        assert_eq!(line("bell\u{7} null\0 \u{9b}31mc1 \u{202e}turned\u{1b}(Bx"), "bell null c1 turnedx");
        assert_eq!(line("tab\tstays"), "tab\tstays");
    }

    #[test]
    fn a_progress_bar_shows_its_last_state_and_cannot_start_a_line() {
        assert_eq!(line("10%\r50%\r100%\r"), "100%");
        assert_eq!(line("fine\r::error::forged"), "::error::forged");
        assert_eq!(lines("one\r\ntwo\u{1b}[0m\n\n"), ["one", "two"]);
        assert!(lines(" \n \n").is_empty());
    }

    #[test]
    fn the_old_command_form_is_broken_and_long_lines_are_cut() {
        assert_eq!(without_commands("x ##[set-env name=A]b"), "x # #[set-env name=A]b");
        assert_eq!(without_commands("é###VSO[a]b ## #[c]"), "é## #VSO[a]b ## #[c]");
        let long = "é".repeat(LONGEST_LINE + 3);
        assert!(cut(&long).ends_with("é… (3 more characters)"));
        assert_eq!(cut("short"), "short");
    }
}
