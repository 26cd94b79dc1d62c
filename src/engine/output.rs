//! How much of a stage's output goes on to the report: its head as it comes, its tail when the stage ends. What a program
//! prints is bounded by nobody else, and logs of CIs are cut where it hurts most, at their end.

use std::collections::VecDeque;

/// Lines and bytes of a stage's output that are passed on as they come.
const HEAD: Measure = Measure { lines: 20_000, bytes: 2 << 20 };

/// Lines and bytes of its end that are passed on when it is over.
const TAIL: Measure = Measure { lines: 1_000, bytes: 256 << 10 };

/// An amount of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    pub lines: u64,
    pub bytes: u64,
}

impl Measure {
    fn add(&mut self, line: &str) {
        self.lines += 1;
        self.bytes += line.len() as u64 + 1;
    }

    fn subtract(&mut self, line: &str) {
        self.lines -= 1;
        self.bytes -= line.len() as u64 + 1;
    }

    fn is_over(self, limit: Self) -> bool {
        self.lines > limit.lines || self.bytes > limit.bytes
    }
}

/// The output of one stage.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Measure,
    /// Whether the head is over.
    is_long: bool,
    tail: VecDeque<String>,
    tail_size: Measure,
    left_out: Measure,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is passed on.
    Shown(String),
    /// It is kept, as the first of those that may be left out.
    First,
    /// It is kept, for now.
    Kept,
}

impl Output {
    /// Takes the next line.
    pub(super) fn take(&mut self, line: String) -> Taken {
        if !self.is_long {
            self.head.add(&line);
            if !self.head.is_over(HEAD) {
                return Taken::Shown(line);
            }
        }
        self.tail_size.add(&line);
        self.tail.push_back(line);
        while self.tail_size.is_over(TAIL) {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_size.subtract(&oldest);
            self.left_out.add(&oldest);
        }
        if std::mem::replace(&mut self.is_long, true) { Taken::Kept } else { Taken::First }
    }

    /// What was left out, and the lines after it.
    pub(super) fn end(&mut self) -> (Measure, VecDeque<String>) {
        (std::mem::take(&mut self.left_out), std::mem::take(&mut self.tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_output_head_and_tail_are_passed_on_and_the_rest_is_counted() {
        let mut output = Output::default();
        let total = 100_000;
        let shown = (0..total).map(|number| output.take(format!("line {number}")));
        let taken: Vec<Taken> = shown.collect();
        let shown = taken.iter().filter(|taken| matches!(taken, Taken::Shown(_))).count() as u64;
        assert_eq!((shown, taken.iter().filter(|taken| **taken == Taken::First).count()), (HEAD.lines, 1));
        let (left_out, tail) = output.end();
        assert_eq!(shown + left_out.lines + tail.len() as u64, total);
        assert_eq!(tail.back().map(String::as_str), Some("line 99999"));
        assert_eq!(output.end(), (Measure::default(), VecDeque::new()));
    }

    #[test]
    fn long_lines_count_by_their_bytes() {
        let mut output = Output::default();
        let long = "x".repeat(8 << 10);
        let shown = (0..10_000).filter(|_| matches!(output.take(long.clone()), Taken::Shown(_))).count();
        assert!(shown as u64 * 8 <= HEAD.bytes >> 10 && shown > 200, "{shown}");
        let (left_out, tail) = output.end();
        assert!(tail.iter().map(|line| line.len() as u64 + 1).sum::<u64>() <= TAIL.bytes);
        assert_eq!(left_out.lines, 10_000 - (shown + tail.len()) as u64);
    }

    #[test]
    fn a_short_output_is_passed_on_as_it_is() {
        let mut output = Output::default();
        assert_eq!(output.take("one".into()), Taken::Shown("one".into()));
        assert_eq!(output.end(), (Measure::default(), VecDeque::new()));
    }
}
