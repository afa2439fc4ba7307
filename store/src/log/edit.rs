//! What was decided about a request's spans on the way in, kept beside the body as received.
//!
//! Replay applies edits and decides nothing anew. Each kind is a tagged section, so that a kind
//! which this version does not know is noticed and refused, never skipped.

use model::wire::{put_varint, take_varint};

use crate::error::{Error, Kind};

const REFUSED_ROWS: u8 = 1;

/// The edits of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Spans that were not stored.
    pub refused: Rows,
}

/// An ascending set of rows: spans of a request, counted over all resources and scopes from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(Vec<(u64, u64)>);

impl Rows {
    /// Adds a row that is behind all others; one that is not is left out.
    pub fn push(&mut self, row: u64) {
        match self.0.last_mut() {
            Some((_, end)) if row == *end => *end = row.saturating_add(1),
            Some((_, end)) if row < *end => {}
            _ => self.0.push((row, row.saturating_add(1))),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Whether the row is one of them; O(log runs).
    #[must_use]
    pub fn contains(&self, row: u64) -> bool {
        let behind = self.0.partition_point(|(start, _)| *start <= row);
        behind.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|(_, end)| row < *end)
    }

    /// Runs of adjacent rows as (first row, row behind the last), ascending.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }
}

impl FromIterator<u64> for Rows {
    fn from_iter<I: IntoIterator<Item = u64>>(rows: I) -> Self {
        let mut set = Self::default();
        rows.into_iter().for_each(|row| set.push(row));
        set
    }
}

impl Edits {
    /// The most bytes that the edits of a body of `raw_len` bytes take: a run of refused rows is
    /// two varints, and the rows that part two runs were stored, so they had ids (30 bytes).
    pub(crate) fn bytes_max(raw_len: u64) -> u64 {
        raw_len / 16 + 64
    }

    /// Sections of kind, length in bytes, and content; nothing where there is nothing to say.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.refused.is_empty() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        let mut from = 0;
        for (start, end) in self.refused.runs() {
            put_varint(&mut rows, start - from);
            put_varint(&mut rows, end - start);
            from = end;
        }
        let mut section = vec![REFUSED_ROWS];
        put_varint(&mut section, rows.len() as u64);
        section.append(&mut rows);
        section
    }

    /// # Errors
    /// `Refused` for a kind that only a newer version knows, `Corrupt` for bytes that no version
    /// wrote.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = || Error::new(Kind::Corrupt, "edits are not what was written");
        let mut edits = Self::default();
        while let Some((kind, rest)) = bytes.split_first() {
            bytes = rest;
            let len = take_varint(&mut bytes).and_then(|len| usize::try_from(len).ok());
            let section = len.and_then(|len| bytes.split_off(..len)).ok_or_else(corrupt)?;
            match *kind {
                REFUSED_ROWS => edits.refused = decode_rows(section).ok_or_else(corrupt)?,
                other => {
                    let message = format!("edit of kind {other} was written by a newer version");
                    return Err(Error::new(Kind::Refused, message));
                }
            }
        }
        Ok(edits)
    }
}

fn decode_rows(mut bytes: &[u8]) -> Option<Rows> {
    let mut runs = Vec::new();
    let mut from = 0u64;
    while !bytes.is_empty() {
        let start = from.checked_add(take_varint(&mut bytes)?)?;
        let end = start.checked_add(take_varint(&mut bytes)?)?;
        if start == end || (start == from && !runs.is_empty()) {
            return None;
        }
        runs.push((start, end));
        from = end;
    }
    Some(Rows(runs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn edits_come_back(gaps in prop::collection::vec(0u64..300, 0..80)) {
            let mut row = 0;
            let rows: Vec<u64> = gaps.iter().map(|gap| { row += gap + 1; row - 1 }).collect();
            let edits = Edits { refused: rows.iter().copied().collect() };
            prop_assert_eq!(edits.refused.count(), rows.len() as u64);
            for row in 0..row + 3 {
                prop_assert_eq!(edits.refused.contains(row), rows.contains(&row));
            }
            prop_assert_eq!(Edits::decode(&edits.encode()).unwrap(), edits);
        }

        #[test]
        fn any_bytes_give_edits_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(edits) = Edits::decode(&bytes) {
                prop_assert!(edits.refused.runs().all(|(start, end)| start < end));
            }
        }
    }

    #[test]
    fn edits_fit_the_bound_at_their_worst() {
        // Every second span is refused; a refused one takes 2 bytes of the body, a stored one 30.
        let rows: Rows = (0..200_000).filter(|row| row % 2 == 0).collect();
        let raw_len = 100_000 * 32;
        assert!((Edits { refused: rows }).encode().len() as u64 <= Edits::bytes_max(raw_len));
    }

    #[test]
    fn an_unknown_kind_is_a_newer_versions() {
        assert_eq!(Edits::decode(&[9, 1, 0]).unwrap_err().kind(), Kind::Refused);
        assert_eq!(Edits::decode(&[9, 5, 0]).unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn a_row_out_of_order_is_left_out() {
        let rows: Rows = [5, 6, 3, 6, 9].into_iter().collect();
        assert_eq!(rows.runs().collect::<Vec<_>>(), [(5, 7), (9, 10)]);
    }
}
