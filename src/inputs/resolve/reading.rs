//! [`Reading`]: how inputs are asked for, so that every problem is kept and none stops the others.

use super::super::definition::{self, Fallback};
use super::super::problem::{Problem, Wrong, shown};
use super::super::raw::RawInputs;

/// One input's name and text.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub name: &'static str,
    pub text: Option<&'a str>,
}

/// The field of that name: a misspelt one does not compile.
macro_rules! field {
    ($raw:expr, $name:ident) => {
        $crate::inputs::resolve::reading::Field { name: stringify!($name), text: $raw.texts.$name.as_deref() }
    };
}
pub(super) use field;

/// A word of a closed set; without a value, it is one that is not built yet.
pub(super) type Words<'w, T> = &'w [(&'w str, Option<T>)];

/// Reads inputs and keeps what is wrong with them.
pub(super) struct Reading<'a> {
    pub raw: &'a RawInputs,
    problems: Vec<Problem>,
    on_github: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(raw: &'a RawInputs, on_github: bool) -> Self {
        Self { raw, problems: raw.problems().to_vec(), on_github }
    }

    /// Everything that is wrong, in the order of the names, each thing once.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems.dedup();
        self.problems
    }

    /// The name of an input as the user wrote it, or would write it here.
    pub(super) fn variable(&self, name: &str) -> String {
        match self.raw.written(name) {
            Some(written) => written.to_owned(),
            None if self.on_github => format!("INPUT_{}", name.to_ascii_uppercase()),
            None => format!("BEANLINE_{}", name.to_ascii_uppercase()),
        }
    }

    /// Keeps a problem with an input.
    pub(super) fn problem(&mut self, name: &str, wrong: Wrong) {
        let input = self.variable(name);
        self.problem_with(input, wrong);
    }

    /// Whether something is wrong with an input, as far as it has been read.
    pub(super) fn has_problem(&self, name: &str) -> bool {
        let input = self.variable(name);
        self.problems.iter().any(|problem| problem.input == input)
    }

    /// Keeps a problem with a variable that is no input.
    pub(super) fn problem_with(&mut self, variable: impl Into<String>, wrong: Wrong) {
        self.problems.push(Problem { input: variable.into(), wrong: wrong.wrong, instead: wrong.instead });
    }

    /// The value of an input, if it is there and right.
    pub(super) fn value<T>(&mut self, field: Field<'_>, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        match parse(field.text?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problem(field.name, wrong);
                None
            }
        }
    }

    /// The value of an input, or of its default. `otherwise` stands in after a problem, when nobody reads it any more.
    pub(super) fn value_or<T>(
        &mut self,
        field: Field<'_>,
        otherwise: T,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> T {
        let fallback = match definition::find(field.name).map(|input| input.fallback) {
            Some(Fallback::Is(text)) => Some(text),
            _ => None,
        };
        let field = Field { text: field.text.or(fallback), ..field };
        self.value(field, parse).unwrap_or(otherwise)
    }

    /// The value of an input that this run cannot do without.
    pub(super) fn required<T>(
        &mut self,
        field: Field<'_>,
        instead: &str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        if field.text.is_none() && self.raw.written(field.name).is_none() {
            self.problem(field.name, Wrong::new("is missing", instead));
        }
        self.value(field, parse)
    }
}

/// The value behind a word of a closed set.
pub(super) fn word<T: Copy>(name: &str, words: Words<'_, T>) -> impl Fn(&str) -> Result<T, Wrong> {
    move |text| {
        let known = words.iter().find(|(word, _)| *word == text);
        if let Some((_, Some(value))) = known {
            return Ok(*value);
        }
        let built: Vec<&str> = words.iter().filter(|(_, value)| value.is_some()).map(|(word, _)| *word).collect();
        let instead = match built.as_slice() {
            [only] => format!("write {only}, or leave it out"),
            [most @ .., last] => format!("write {} or {last}", most.join(", ")),
            [] => "leave it out".to_owned(),
        };
        Err(match known {
            Some((word, _)) => Wrong::new(format!("is `{word}`, but `{name}={word}` is not built yet"), instead),
            None => Wrong::new(format!("is {}", shown(text)), instead),
        })
    }
}
