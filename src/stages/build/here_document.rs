//! The here-documents that an instruction begins, found as BuildKit finds them (moby/buildkit,
//! `frontend/dockerfile/parser` and `shell`): it splits the line into words first, and `<<` must begin one.

use std::iter::Peekable;
use std::str::Chars;

use super::dockerfile::Instruction;

/// One here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HereDocument {
    /// The line that ends it.
    end: String,
    /// Whether tabs may stand before that line.
    indented: bool,
}

impl HereDocument {
    /// Whether a line ends it.
    pub fn is_end(&self, line: &str) -> bool {
        let line = line.trim_end_matches('\r');
        if self.indented { line.trim_start_matches('\t') == self.end } else { line == self.end }
    }
}

/// The here-documents that an instruction begins, in order.
pub fn here_documents(instruction: &Instruction) -> Vec<HereDocument> {
    let is_of = |keyword: &str| matches!(keyword, "RUN" | "COPY" | "ADD");
    let inner = instruction.rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let kept_for_later = instruction.keyword == "ONBUILD" && is_of(&inner);
    if !(is_of(&instruction.keyword) || kept_for_later) || !instruction.rest.contains("<<") {
        return Vec::new();
    }
    // A quote without its end makes no words at all.
    words(&instruction.rest).unwrap_or_default().iter().filter_map(|word| here_document(word)).collect()
}

fn here_document(word: &str) -> Option<HereDocument> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (indented, end) = word.strip_prefix('-').map_or((false, word), |end| (true, end));
    let end = plain(end.trim_start());
    (!end.is_empty() && !word.contains('<')).then_some(HereDocument { end, indented })
}

/// A text's words with their quotes and escapes; `None` for a quote or `${` that does not end.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            sign if sign.is_whitespace() => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            '\\' => {
                word.push(sign);
                word.extend(signs.next());
                continue;
            }
            _ => word.push(sign),
        }
        match sign {
            '\'' | '"' => quoted(sign, &mut signs, &mut word)?,
            '$' if signs.peek() == Some(&'{') => quoted('}', &mut signs, &mut word)?,
            // Newer versions let spaces stand before the end's name.
            '<' if word.ends_with("<<") => {
                while let Some(space) = signs.next_if(|sign| sign.is_whitespace()) {
                    word.push(space);
                }
            }
            _ => {}
        }
    }
    words.push(word);
    Some(words)
}

/// Takes what stands up to `end`, which nothing but a backslash can escape, and not within single quotes.
fn quoted(end: char, signs: &mut Peekable<Chars<'_>>, word: &mut String) -> Option<()> {
    loop {
        let sign = signs.next()?;
        word.push(sign);
        if sign == end {
            return Some(());
        }
        if sign == '\\' && end != '\'' {
            word.extend(signs.next());
        }
    }
}

/// A word without its quotes and escapes.
fn plain(word: &str) -> String {
    let (mut plain, mut within) = (String::new(), None);
    let mut signs = word.chars().peekable();
    while let Some(sign) = signs.next() {
        match (sign, within) {
            ('\'' | '"', None) => within = Some(sign),
            (sign, Some(quote)) if sign == quote => within = None,
            ('\\', None) => plain.extend(signs.next()),
            ('\\', Some('"')) => plain.push(signs.next_if(|next| matches!(next, '"' | '$' | '\\')).unwrap_or(sign)),
            (sign, _) => plain.push(sign),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(rest: &str) -> Vec<(String, bool)> {
        let instruction = Instruction { line: 1, keyword: "RUN".into(), rest: rest.into() };
        here_documents(&instruction).into_iter().map(|one| (one.end, one.indented)).collect()
    }

    #[test]
    fn only_a_word_of_its_own_begins_one() {
        let cases: &[(&str, &[(&str, bool)])] = &[
            ("<<EOF sh", &[("EOF", false)]),
            ("cat 3<<-'A B' << \"C\"", &[("A B", true), ("C", false)]),
            ("<<E\\OF <<$X ${Y:-a}", &[("EOF", false), ("$X", false)]),
            ("echo \"usage: cat <<name >file\"", &[]),
            ("echo 'a <<b' \"c \\\" <<d\" e\\ <<f", &[]),
            ("cat <<<word $((1<<2)) <<", &[]),
            ("echo it's <<EOF", &[]),
            ("echo ${x <<EOF", &[]),
        ];
        for (rest, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(end, indented)| ((*end).to_owned(), *indented)).collect();
            assert_eq!(ends(rest), expected, "{rest}");
        }
    }
}
