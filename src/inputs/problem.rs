//! [`Problem`]: one thing that is wrong with the inputs.

use std::fmt;

use crate::fault::Fault;

/// One thing that is wrong with the inputs. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The variable's name as the user wrote it, or would write it.
    pub input: String,
    /// What is wrong with it, to be read after the name.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.input, self.wrong, self.instead)
    }
}

/// All problems as the one fault that ends a run before it began.
pub fn fault(problems: &[Problem]) -> Fault {
    let what = match problems.len() {
        1 => "could not use an input".to_owned(),
        count => format!("could not use {count} inputs"),
    };
    Fault::new(what).lines(problems.iter().map(Problem::to_string)).hint("`beanline --help` lists every input")
}

/// Why a text is not what an input takes, before it is known which input it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong, to be read after the input's name.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

impl Wrong {
    /// A wrong text and what to write instead.
    pub fn new(wrong: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), instead: instead.into() }
    }
}

/// A value as it may stand in a message: short, on one line, without control characters, in backticks.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut line: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() || c == '`' { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_on_one_short_line() {
        assert_eq!(shown("a\nb"), "`a\u{fffd}b`");
        assert_eq!(shown(&"x".repeat(70)).chars().count(), 63);
    }

    #[test]
    fn every_problem_is_a_line_of_the_fault() {
        let problem = |input: &str| Problem { input: input.into(), wrong: "is bad".into(), instead: "write 1".into() };
        let fault = fault(&[problem("BEANLINE_PORT"), problem("INPUT_TAG")]);
        assert_eq!(fault.what(), "could not use 2 inputs");
        assert_eq!(fault.last_lines(), ["BEANLINE_PORT is bad: write 1", "INPUT_TAG is bad: write 1"]);
    }
}
