//! A line of a check on its way to words, quoted texts, paths and values.

use serde_json::Value;

/// What is left of a line.
pub(super) struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self(line.trim())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a quoted text comes next.
    pub(super) fn is_quoted(&self) -> bool {
        self.0.starts_with(['"', '\''])
    }

    /// The next word, up to white space or a quote; empty at the end.
    pub(super) fn word(&mut self) -> &'a str {
        let end = self.0.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(self.0.len());
        self.split(end)
    }

    /// What comes before the next white space; empty at the end.
    pub(super) fn token(&mut self) -> &'a str {
        self.split(self.0.find(char::is_whitespace).unwrap_or(self.0.len()))
    }

    /// Takes the next word if it is this one.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let mut ahead = Self(self.0);
        let is_next = ahead.word() == word;
        if is_next {
            *self = ahead;
        }
        is_next
    }

    /// A text between double quotes, in which `\"`, `\\`, `\n` and `\t` stand for one letter, or between single quotes,
    /// in which all stands for itself.
    pub(super) fn quoted(&mut self) -> Option<String> {
        let quote = self.0.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let mut plain = String::new();
        let mut letters = self.0.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' if quote == '"' => plain.push(match letters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    same @ ('"' | '\\') => same,
                    _ => return None,
                }),
                letter if letter == quote => {
                    self.cut(at + 1)?;
                    return Some(plain);
                }
                letter => plain.push(letter),
            }
        }
        None
    }

    /// A path into JSON: up to white space outside of brackets, parentheses and quotes.
    pub(super) fn json_path(&mut self) -> &'a str {
        let (mut depth, mut quote, mut is_escaped) = (0_usize, None, false);
        let end = self.0.find(|c: char| {
            match (quote, c) {
                (Some(_), _) if is_escaped => is_escaped = false,
                (Some(_), '\\') => is_escaped = true,
                (Some(open), _) if open == c => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '[' | '(') => depth += 1,
                (None, ']' | ')') => depth = depth.saturating_sub(1),
                (None, c) => return c.is_whitespace() && depth == 0,
            }
            false
        });
        self.split(end.unwrap_or(self.0.len()))
    }

    /// A JSON value, or a text between single quotes.
    pub(super) fn value(&mut self) -> Option<Value> {
        if self.0.starts_with('\'') {
            return self.quoted().map(Value::String);
        }
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let end = values.byte_offset();
        self.cut(end)?;
        Some(value)
    }

    /// Ends a text or a value, behind which only white space may stand.
    fn cut(&mut self, end: usize) -> Option<()> {
        let is_apart = self.0[end..].chars().next().is_none_or(char::is_whitespace);
        self.split(end);
        is_apart.then_some(())
    }

    fn split(&mut self, end: usize) -> &'a str {
        let (front, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        front
    }
}
