//! Where secrets stand in a line: whole, or a part of one that was cut in two.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::SHORTEST;

/// What is shown in a secret's place.
const STARS: &str = "***";

/// A part of a secret this long, in bytes, is hidden at the edge of a line: programs wrap base64, and the last lines of
/// a log may begin in the middle of a secret.
const PART: usize = 12;

/// A line this long may be a piece that was cut anywhere; whoever reads output cuts it after 8 KiB at the earliest.
const PERHAPS_CUT: usize = 4096;

/// What stands where a text was shortened.
const ELLIPSIS: &str = "…";

/// Ends of lines that are remembered: several programs may write at once.
const REMEMBERED: usize = 8;

/// Beginnings of secrets in which the last lines ended.
#[derive(Debug, Default)]
pub(super) struct Openings(VecDeque<String>);

/// All forms of all secrets, ready to be found.
#[derive(Debug)]
pub(super) struct Search {
    /// `None` when the search could not be set up: everything is hidden then.
    whole: Option<AhoCorasick>,
    /// The forms, sorted.
    forms: Vec<String>,
    /// Each form from its end to its beginning, sorted.
    backwards: Vec<Vec<u8>>,
    /// Bytes of the longest form.
    longest: usize,
}

impl Search {
    pub(super) fn new(forms: &BTreeSet<String>) -> Self {
        let mut backwards: Vec<Vec<u8>> = forms.iter().map(|form| form.bytes().rev().collect()).collect();
        backwards.sort_unstable();
        Self {
            // A table of all states would be large for a long secret, such as a key.
            whole: AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(forms).ok(),
            // A set of texts has the order of their bytes.
            forms: forms.iter().cloned().collect(),
            backwards,
            longest: forms.iter().map(String::len).max().unwrap_or_default(),
        }
    }

    /// Whether any form stands in there.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole.is_match(bytes))
    }

    /// The line without secrets, and without what the lines before began.
    pub(super) fn line(&self, line: &str, openings: &mut Openings) -> String {
        let Some(whole) = &self.whole else { return STARS.to_owned() };
        if self.forms.is_empty() || line.is_empty() {
            return line.to_owned();
        }
        let mut hidden: Vec<Range<usize>> = whole.find_overlapping_iter(line).map(|found| found.range()).collect();
        hidden.extend(self.parts(line));
        hidden.extend(self.continued(whole, line, openings));
        replaced(line, hidden)
    }

    /// Parts of secrets at the edges of a line, long enough to be no accident, and before an ellipsis.
    fn parts(&self, line: &str) -> Vec<Range<usize>> {
        let bytes = line.as_bytes();
        let head: Vec<u8> = bytes.iter().take(self.longest).rev().copied().collect();
        let closing = Some(edge(&self.backwards, &head)).filter(|length| *length >= PART);
        let mut hidden: Vec<Range<usize>> = closing.map(|length| 0..length).into_iter().collect();
        for (at, _) in line.match_indices(ELLIPSIS) {
            let length = edge(&self.forms, self.tail(&bytes[..at]));
            hidden.extend((length >= SHORTEST).then_some(at - length..at));
        }
        let bare = line.trim();
        if bare.len() >= PART && self.forms.iter().any(|form| form.len() > bare.len() && form.contains(bare)) {
            hidden.push(0..bytes.len());
        }
        hidden
    }

    /// What continues a secret that a line before began. Remembers what this one begins, and hides that as well where it
    /// is long enough, or the line perhaps was cut.
    fn continued(&self, whole: &AhoCorasick, line: &str, openings: &mut Openings) -> Vec<Range<usize>> {
        let mut hidden = Vec::new();
        let mut begun = edge(&self.forms, self.tail(line.as_bytes()));
        let mut opening = line[line.len() - begun..].to_owned();
        let least = if line.len() >= PERHAPS_CUT { 1 } else { PART };
        if begun >= least {
            hidden.push(line.len() - begun..line.len());
        }
        for before in &openings.0 {
            let joined = format!("{before}{}", head(line, self.longest));
            let ends = whole.find_overlapping_iter(&joined).filter(|found| found.start() < before.len());
            hidden.extend(ends.filter(|found| found.end() > before.len()).map(|found| 0..found.end() - before.len()));
            let reaches = edge(&self.forms, self.tail(joined.as_bytes()));
            if joined.len() == before.len() + line.len() && reaches > line.len() && reaches > begun {
                hidden.extend((reaches >= least).then_some(0..line.len()));
                opening = joined[joined.len() - reaches..].to_owned();
                begun = reaches;
            }
        }
        openings.remember(opening);
        hidden
    }

    /// The end of a text in which a secret may begin.
    fn tail<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[text.len().saturating_sub(self.longest)..]
    }
}

impl Openings {
    fn remember(&mut self, opening: String) {
        if opening.is_empty() || self.0.contains(&opening) {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(opening);
    }
}

/// Bytes of the longest end of `text` that is the beginning of a form, and not all of it.
fn edge(sorted: &[impl AsRef<[u8]>], text: &[u8]) -> usize {
    let begins = |end: &&[u8]| {
        let first = sorted.partition_point(|form| form.as_ref() < *end);
        // The first may be the very same text; forms that go on come behind it.
        let next = sorted.iter().skip(first).take(2).map(AsRef::as_ref);
        next.into_iter().any(|form| form.len() > end.len() && form.starts_with(end))
    };
    (0..text.len()).map(|at| &text[at..]).find(begins).map_or(0, <[u8]>::len)
}

/// The beginning of a text: at most so many bytes.
fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The line with each of these places replaced; places that touch become one.
fn replaced(line: &str, mut hidden: Vec<Range<usize>>) -> String {
    hidden.sort_unstable_by_key(|range| range.start);
    let mut out = String::with_capacity(line.len());
    let mut shown = 0;
    for (number, range) in hidden.iter().enumerate() {
        if range.start > shown || number == 0 {
            out.push_str(&line[shown..range.start.max(shown)]);
            out.push_str(STARS);
        }
        shown = shown.max(range.end);
    }
    out.push_str(&line[shown..]);
    out
}
