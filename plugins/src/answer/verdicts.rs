//! What a sampler says of rows or traces.

use traceweir_plugin::codes::{layout, verdict};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Fault;
use super::sections::{Section, u64_at};
use crate::batch::Batch;
use crate::draft::Draft;
use crate::projection::Owner;

/// A verdict for each row, or each trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdicts<'a> {
    verdicts: &'a [u8],
    probabilities: &'a [u8],
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Drop,
    Keep,
    Probability(f64),
}

impl<'a> Verdicts<'a> {
    /// Reads the two sections.
    pub(super) fn read(
        verdicts: &Section<'a>,
        probabilities: Option<&Section<'a>>,
        entries: usize,
    ) -> Result<Self, Fault> {
        let short = |section: &Section<'_>| {
            section.fault(format!("has {} bytes for {entries} entries", section.bytes.len()))
        };
        if verdicts.layout != layout::U8 {
            return Err(verdicts.fault(format!("type is {}", verdicts.layout)));
        }
        let of = verdicts.bytes.get(..entries).ok_or_else(|| short(verdicts))?;
        if let Some(entry) = of.iter().position(|of| *of > verdict::PROBABILITY) {
            return Err(verdicts.fault(format!("entry {entry} is no verdict")));
        }
        let mut read = Self { verdicts: of, probabilities: &[] };
        if !of.contains(&verdict::PROBABILITY) {
            return Ok(read);
        }
        let section = probabilities
            .ok_or_else(|| verdicts.fault("an entry goes by its probability, and there is none"))?;
        if section.layout != layout::F64 {
            return Err(section.fault(format!("type is {}", section.layout)));
        }
        read.probabilities = section.bytes.get(..8 * entries).ok_or_else(|| short(section))?;
        let wrong = |entry: &usize| matches!(read.get(*entry), Verdict::Probability(of) if !(0.0..=1.0).contains(&of));
        match (0..entries).find(wrong) {
            Some(entry) => Err(section.fault(format!("entry {entry} is not within 0 and 1"))),
            None => Ok(read),
        }
    }

    pub(super) fn get(&self, entry: usize) -> Verdict {
        match self.verdicts.get(entry) {
            Some(&verdict::KEEP) => Verdict::Keep,
            Some(&verdict::PROBABILITY) => {
                let bits = u64_at(self.probabilities, 8 * entry).unwrap_or_default();
                Verdict::Probability(f64::from_bits(bits))
            }
            _ => Verdict::Drop,
        }
    }

    fn are_all_the_same(&self) -> bool {
        let Some(first) = self.verdicts.first() else { return true };
        let (probabilities, _) = self.probabilities.as_chunks::<8>();
        self.verdicts.iter().all(|of| of == first)
            && (*first != verdict::PROBABILITY
                || probabilities
                    .first()
                    .is_none_or(|first| probabilities.iter().all(|of| of == first)))
    }

    /// Holds rows of one trace against each other: the first one that says something else than another.
    pub(super) fn torn(&self, draft: &Draft, batch: &Batch) -> Option<usize> {
        if self.are_all_the_same() {
            return None;
        }
        // Rows and 1 by trace; at most half of it is in use.
        let mut table = vec![0u32; (2 * self.verdicts.len()).next_power_of_two()];
        let mask = table.len() - 1;
        let trace = |row: usize| draft.trace_id(batch.shape.place(Owner::Span, row));
        (0..self.verdicts.len()).find(|row| {
            let id = trace(*row);
            let mut at = narrow(xxh3_64_with_seed(id.as_bytes(), batch.seed())) & mask;
            while let Some(place) = table.get_mut(at) {
                let Some(known) = place.checked_sub(1) else {
                    *place = u32::try_from(row + 1).unwrap_or(u32::MAX);
                    return false;
                };
                if trace(known as usize) == id {
                    return self.get(known as usize) != self.get(*row);
                }
                at = (at + 1) & mask;
            }
            false
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the upper bits are not needed")]
const fn narrow(hash: u64) -> usize {
    hash as usize
}
