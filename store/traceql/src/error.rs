//! The crate's one error: where a query is wrong, what is there, what should be, and the query as
//! it was probably meant.

use std::fmt;

use crate::Place;

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text is no query: answer 400 / INVALID_ARGUMENT.
    Syntax,
    /// The text is a query that means nothing, as of wrong types: answer 400 / INVALID_ARGUMENT.
    Meaning,
    /// The query is over one of [`crate::limit`]: answer 400 / INVALID_ARGUMENT.
    TooLarge,
}

/// Why a query is refused. Prints on one line, with everything that it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    place: Place,
    line: usize,
    column: usize,
    found: String,
    expected: String,
    correction: Option<String>,
}

/// The longest piece of a query that a message repeats, in characters.
const FOUND_CHARS_MAX: usize = 40;

impl Error {
    /// An error of a fault in a text.
    pub(crate) fn new(text: &str, fault: Fault, correction: Option<String>) -> Self {
        let start = fault.place.start as usize;
        let before = text.get(..start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let last = before.rsplit('\n').next().unwrap_or_default();
        let column = last.chars().count() + 1;
        let found = fault.found.unwrap_or_else(|| found(text, fault.place));
        let Fault { kind, place, expected, .. } = fault;
        Self { kind, place, line, column, found, expected, correction }
    }

    /// What the caller does next.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes of the query that are wrong; empty at its end.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The line that they start in, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Where in the line they start: characters, from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What is there.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What should be there.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The whole query as it was probably meant, where that can be told. It parses.
    #[must_use]
    pub fn correction(&self) -> Option<&str> {
        self.correction.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, found, expected, .. } = self;
        write!(f, "line {line}, column {column}: found {found}, expected {expected}")?;
        match &self.correction {
            Some(correction) => write!(f, "; did you mean: {correction}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// What a message repeats of the query.
fn found(text: &str, place: Place) -> String {
    let piece = text.get(place.range()).unwrap_or_default();
    if piece.is_empty() {
        return "the end of the query".to_owned();
    }
    let short: String = piece.chars().take(FOUND_CHARS_MAX).collect();
    let more = if short.len() < piece.len() { "…" } else { "" };
    format!("`{short}{more}`")
}

/// A fault as the parts of this crate tell it: the text is not at hand there.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    /// Where the text at the place does not tell it.
    pub(crate) found: Option<String>,
    pub(crate) expected: String,
    /// Changes to the text that make it what was probably meant, here at least; in the order of
    /// the text.
    pub(crate) edits: Vec<Edit>,
}

/// Puts a text in place of another.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn syntax(place: Place, expected: impl Into<String>) -> Self {
        let kind = Kind::Syntax;
        Self { kind, place, found: None, expected: expected.into(), edits: Vec::new() }
    }

    pub(crate) fn meaning(place: Place, expected: impl Into<String>) -> Self {
        Self { kind: Kind::Meaning, ..Self::syntax(place, expected) }
    }

    pub(crate) fn too_large(place: Place, found: &str, expected: impl Into<String>) -> Self {
        Self { kind: Kind::TooLarge, ..Self::syntax(place, expected) }.instead(found)
    }

    /// Says that this was found, instead of the text at the place.
    pub(crate) fn instead(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Says how to make it right: this in place of what is there.
    pub(crate) fn replace(self, text: impl Into<String>) -> Self {
        let place = self.place;
        self.edit(place, text)
    }

    /// Says how to make it right: one more change.
    pub(crate) fn edit(mut self, place: Place, text: impl Into<String>) -> Self {
        self.edits.push(Edit { place, text: text.into() });
        self
    }

    /// Says how to make it right: this at a byte.
    pub(crate) fn insert(self, at: u32, text: impl Into<String>) -> Self {
        self.edit(Place { start: at, end: at }, text)
    }
}
