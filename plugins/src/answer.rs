//! What a plugin answers: a buffer of edits or verdicts, held against the batch that it answers and against what the
//! plugin may write, once and as a whole; then it is known to be right, and applied to the draft.

mod apply;
mod decode;
mod sampling;
mod sections;
mod told;
mod values;
mod verdicts;

use std::fmt;

use traceweir_plugin::codes::answer;

pub use apply::{Kept, Outcome, Reason};
pub(crate) use told::Said;

use crate::projection::{Keys, Owner};
use sections::Texts;
use values::Values;

/// Most keys that one answer renames of one owner.
pub(crate) const RENAMES_MAX: usize = 256;

/// Why an answer is refused; nothing of it is applied then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The section, such as `set[3]`, or `header`.
    pub section: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.section, self.message)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn new(section: impl Into<String>, message: impl Into<String>) -> Self {
        Self { section: section.into(), message: message.into() }
    }

    /// In a section of this kind and argument.
    #[cold]
    fn of((kind, argument): (u16, u32), message: impl Into<String>) -> Self {
        Self::new(format!("{}[{argument}]", name(kind)), message)
    }
}

/// What sections are called.
const fn name(kind: u16) -> &'static str {
    match kind {
        answer::KEEP => "keep",
        answer::REASON => "reason",
        answer::VERDICT => "verdict",
        answer::PROBABILITY => "probability",
        answer::RENAME => "rename",
        answer::DELETE_KEYS => "delete-keys",
        answer::SET_PAIRS => "set-pairs",
        answer::SET => "set",
        answer::ADD_OWNER => "add-owner",
        answer::ADD_KEY => "add-key",
        answer::ADD => "add",
        answer::COUNT => "count",
        answer::DELETE_STARTS => "delete-starts",
        _ => "section",
    }
}

/// How much an answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes of the buffer.
    pub answer_bytes_max: usize,
    /// Most bytes that all it sets and adds takes: one text may be said to be that of many rows.
    pub written_bytes_max: usize,
}

/// An answer that was found to be right.
#[derive(Debug, Default)]
pub struct Edits<'a> {
    /// A bit for each row that stays.
    keep: Option<&'a [u8]>,
    verdicts: Option<verdicts::Verdicts<'a>>,
    reasons: Option<Texts<'a>>,
    renames: Vec<Renames<'a>>,
    deletions: Vec<Deletions<'a>>,
    pairs: Vec<(usize, Values<'a>)>,
    sets: Vec<Set<'a>>,
    additions: Vec<Additions<'a>>,
    counts: &'a [u8],
    /// Bytes that it writes at most.
    written: usize,
}

/// From, to, from, to.
#[derive(Debug)]
struct Renames<'a> {
    owner: Owner,
    replace: bool,
    keys: Texts<'a>,
}

/// Attributes that go from everybody.
#[derive(Debug)]
struct Deletions<'a> {
    owner: Owner,
    /// Texts are what keys begin with.
    by_start: bool,
    texts: Texts<'a>,
}

impl Deletions<'_> {
    /// Whether attributes by a key go; for one key, where [`Self::keys`] is for many.
    fn has(&self, key: &[u8]) -> bool {
        let mut texts = (0..self.texts.entries).filter_map(|entry| self.texts.get(entry));
        match self.by_start {
            true => texts.any(|start| key.starts_with(start)),
            false => texts.any(|text| text == key),
        }
    }

    /// What goes.
    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        for text in (0..self.texts.entries).map(|entry| self.texts.get(entry).unwrap_or_default()) {
            match self.by_start {
                true => keys.insert_start(text, 0),
                false => keys.insert(text, 0),
            }
        }
        keys.seal();
        keys
    }
}

/// New values of a field.
#[derive(Debug)]
struct Set<'a> {
    /// Its place in `writes`.
    field: usize,
    /// Of spans: each resource says it for all its spans.
    by_resource: bool,
    values: Values<'a>,
}

impl Set<'_> {
    /// Entries that have the same number have the same value; none where that is not known.
    fn number(&self, entry: usize) -> Option<usize> {
        if self.by_resource { Some(entry) } else { self.values.number(entry) }
    }
}

/// New attributes.
#[derive(Debug)]
struct Additions<'a> {
    owner: Owner,
    owners: &'a [u8],
    keys: Texts<'a>,
    values: Values<'a>,
}

impl Additions<'_> {
    /// Who gets the attribute.
    fn owner_of(&self, entry: usize) -> usize {
        let number = self.owners.get(4 * entry..).and_then(<[u8]>::first_chunk);
        number.map_or(usize::MAX, |number| u32::from_le_bytes(*number) as usize)
    }
}

/// Whose attributes an argument names.
fn owner_of(argument: u32) -> Option<Owner> {
    Owner::ALL.get(argument as usize).copied()
}
