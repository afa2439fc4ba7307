//! The whole query as it was probably meant: the changes that faults bring, until none is left.

use crate::error::{Edit, Fault};
use crate::read;

/// After so many changes a text was no query from the start.
const ROUNDS_MAX: usize = 24;

/// Longer texts were not written by hand.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// The text with all its faults put right; nothing where that cannot be told. It parses.
pub(crate) fn corrected(text: &str, fault: &Fault) -> Option<String> {
    let mut text = text.to_owned();
    let mut edits = fault.edits.clone();
    for _ in 0..ROUNDS_MAX {
        if edits.is_empty() || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        text = apply(&text, edits)?;
        edits = match read(&text) {
            Ok(_) => return Some(text),
            Err(next) => next.edits,
        };
    }
    None
}

/// The text with the changes made; nothing where they overlap.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.place.start, edit.place.end));
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    for edit in &edits {
        let range = edit.place.range();
        out.push_str(text.get(at..range.start)?);
        out.push_str(&edit.text);
        at = range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}
