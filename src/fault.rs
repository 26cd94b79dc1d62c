//! [`Fault`]: what failed, why, and what to try. The only error that a stage returns.

use std::error::Error;
use std::fmt;

/// An error for the person who reads it at night.
///
/// `what` is a lower-case fragment without its cause (`could not push shop:1f0c2aa`); causes follow one by one, then the
/// last lines of whatever produced them, then what to do. The state of the world is said by the report, which knows it.
#[derive(Clone)]
pub struct Fault {
    what: String,
    causes: Vec<String>,
    lines: Vec<String>,
    hints: Vec<String>,
    timed_out: bool,
    // In a box: errors travel by value, and few have one.
    spot: Option<Box<Spot>>,
}

/// Where in what the user wrote something went wrong, as whoever found it names the place. A stage, which knows the file,
/// makes a line of the repository of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A step, by the name that it has for whoever carries it out.
    Step(String),
    /// A line, counted from 1.
    Line(u32),
}

impl Fault {
    /// A fault that says what could not be done.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            causes: Vec::new(),
            lines: Vec::new(),
            hints: Vec::new(),
            timed_out: false,
            spot: None,
        }
    }

    /// A fault whose reason is that a time limit was reached.
    pub fn timed_out(what: impl Into<String>) -> Self {
        Self { timed_out: true, ..Self::new(what) }
    }

    /// Adds an error and everything behind it as causes, leaving out links of the chain that repeat one another.
    pub fn because(mut self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        let mut link: Option<&(dyn Error + 'static)> = Some(error.as_ref());
        while let Some(cause) = link {
            self = self.cause(cause.to_string());
            link = cause.source();
        }
        self
    }

    /// Adds one cause as text. A text that a cause already contains is left out.
    pub fn cause(mut self, text: impl Into<String>) -> Self {
        let text = text.into().trim().to_owned();
        if !text.is_empty() && !self.causes.iter().any(|known| known.contains(&text)) {
            self.causes.push(text);
        }
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Adds the last lines of the thing that failed: a build step, a test, an application's log.
    pub fn lines(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.lines.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Says where in what the user wrote it is.
    pub fn at(mut self, spot: Spot) -> Self {
        self.spot = Some(Box::new(spot));
        self
    }

    /// Where in what the user wrote it is, if that is known.
    pub fn spot(&self) -> Option<&Spot> {
        self.spot.as_deref()
    }

    /// What could not be done.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// The last lines of the thing that failed.
    pub fn last_lines(&self) -> &[String] {
        &self.lines
    }

    /// What to do.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Whether a time limit was the reason.
    pub fn is_time_out(&self) -> bool {
        self.timed_out
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Fault {}

/// The beginning of a long text, so many letters of it. The dots behind it tell the mask that a secret may end there in its
/// middle.
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn a_cause_that_repeats_its_wrapper_is_left_out() {
        let inner = std::io::Error::other("connection refused");
        let fault = Fault::new("could not reach the registry").cause("send: connection refused").because(inner);
        assert_eq!(fault.causes(), ["send: connection refused"]);
        assert_eq!(fault.to_string(), "could not reach the registry: send: connection refused");
    }
}
