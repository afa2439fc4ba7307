//! A column of a row group as the cache keeps it: decoded, in as few bytes as its codes take.

use std::ops::Range;
use std::sync::Arc;

use super::leaf::Values;
use crate::block::page::{Owned, count_of};
use crate::block::section::damaged;
use crate::error::Error;

/// See the module.
#[derive(Debug)]
pub(in crate::block) struct Kept {
    /// Without its values.
    frame: Values,
    values: Small,
}

#[derive(Debug)]
enum Small {
    Codes8(Vec<u8>),
    Codes16(Vec<u16>),
    Words8(Vec<u8>),
    Words16(Vec<u16>),
    Other(Owned),
}

impl Kept {
    /// Keeps what was read.
    pub(in crate::block) fn new(values: &Values) -> Self {
        // What codes stand for is looked up once, and not each time.
        let resolved = values.resolved();
        let values = resolved.as_ref().unwrap_or(values);
        let small = match values.owned() {
            Owned::Codes(codes) => narrow(codes)
                .map(Small::Codes8)
                .or_else(|| narrow(codes).map(Small::Codes16))
                .unwrap_or_else(|| Small::Other(Owned::Codes(codes.clone()))),
            Owned::Words32(words) => narrow(words)
                .map(Small::Words8)
                .or_else(|| narrow(words).map(Small::Words16))
                .unwrap_or_else(|| Small::Other(Owned::Words32(words.clone()))),
            other => Small::Other(other.clone()),
        };
        let frame = values.with(values.rep.clone(), values.def.clone(), Owned::Bools(Vec::new()));
        Self { frame, values: small }
    }

    /// What was read: of all rows, or of some ranges of them, which ascend.
    ///
    /// # Errors
    /// `Corrupt` where it has fewer rows.
    pub(in crate::block) fn values(&self, rows: Option<&[Range<u32>]>) -> Result<Values, Error> {
        let short = || damaged("a column has fewer rows than its row group");
        let Some(rows) = rows else {
            let owned = self.values.all(None).ok_or_else(short)?;
            let (rep, def) = (self.frame.rep.clone(), self.frame.def.clone());
            return Ok(self.frame.with(rep, def, owned));
        };
        let Values { rep, def, .. } = &self.frame;
        let entries = entry_ranges(rep, rows);
        let taken = |levels: &[u8]| match levels.is_empty() {
            true => Some(Vec::new()),
            false => take(levels, &entries),
        };
        let values = if def.is_empty() {
            entries.clone()
        } else {
            value_ranges(def, self.frame.max_def(), &entries).ok_or_else(short)?
        };
        let owned = self.values.all(Some((&values, self.frame.width()))).ok_or_else(short)?;
        let levels = taken(rep).zip(taken(def)).ok_or_else(short)?;
        Ok(self.frame.with(levels.0, levels.1, owned))
    }

    /// Heap bytes held.
    pub(in crate::block) fn heap_bytes(&self) -> usize {
        let values = match &self.values {
            Small::Codes8(values) | Small::Words8(values) => values.capacity(),
            Small::Codes16(values) | Small::Words16(values) => values.capacity() * 2,
            Small::Other(values) => values.heap_bytes(),
        };
        let dictionary = self.frame.dictionary().map_or(0, |all: &Arc<Owned>| all.heap_bytes());
        values + dictionary + self.frame.rep.capacity() + self.frame.def.capacity()
    }
}

/// Ranges of values, and how many bytes one of a fixed length takes.
type Ranges<'r> = (&'r [Range<usize>], usize);

impl Small {
    /// The values, all or some; `None` where some are not there.
    fn all(&self, some: Option<Ranges<'_>>) -> Option<Owned> {
        Some(match self {
            Self::Codes8(codes) => Owned::Codes(wide(codes, some)?),
            Self::Codes16(codes) => Owned::Codes(wide(codes, some)?),
            Self::Words8(words) => Owned::Words32(wide(words, some)?),
            Self::Words16(words) => Owned::Words32(wide(words, some)?),
            Self::Other(values) => match some {
                None => values.clone(),
                Some(some) => picked(values, some)?,
            },
        })
    }
}

fn picked(values: &Owned, (ranges, width): Ranges<'_>) -> Option<Owned> {
    Some(match values {
        Owned::Bools(values) => Owned::Bools(take(values, ranges)?),
        Owned::Words32(values) => Owned::Words32(take(values, ranges)?),
        Owned::Words(values) => Owned::Words(take(values, ranges)?),
        Owned::Codes(values) => Owned::Codes(take(values, ranges)?),
        Owned::Fixed(bytes) => {
            let ranges = ranges.iter().map(|range| range.start * width..range.end * width);
            Owned::Fixed(take(bytes, &ranges.collect::<Vec<_>>())?)
        }
        Owned::Texts { ends, bytes } => {
            let (mut own_ends, mut own) = (Vec::new(), Vec::new());
            for at in ranges.iter().cloned().flatten() {
                let start = match at.checked_sub(1) {
                    Some(before) => *ends.get(before)? as usize,
                    None => 0,
                };
                own.extend_from_slice(bytes.get(start..*ends.get(at)? as usize)?);
                own_ends.push(u32::try_from(own.len()).ok()?);
            }
            Owned::Texts { ends: own_ends, bytes: own }
        }
    })
}

/// The entries of ranges of rows: where the column is in no list, the same.
fn entry_ranges(rep: &[u8], rows: &[Range<u32>]) -> Vec<Range<usize>> {
    let same = || rows.iter().map(|rows| rows.start as usize..rows.end as usize).collect();
    if rep.is_empty() {
        return same();
    }
    let mut begins = rep.iter().enumerate().filter(|(_, level)| **level == 0).map(|(at, _)| at);
    let mut seen = 0;
    // Where a row begins; rows are asked for in order.
    let (mut last, mut begin) = (None, |row: u32, last: &mut Option<usize>| {
        while seen <= row {
            *last = begins.next();
            seen += 1;
        }
        last.unwrap_or(rep.len())
    });
    let ranges = rows.iter().filter(|rows| !rows.is_empty());
    ranges.map(|rows| begin(rows.start, &mut last)..begin(rows.end, &mut last)).collect()
}

/// The values of ranges of entries.
fn value_ranges(def: &[u8], max: u8, entries: &[Range<usize>]) -> Option<Vec<Range<usize>>> {
    let (mut at, mut seen) = (0, 0);
    let ranges = entries.iter().map(|range| {
        seen += count_of(def.get(at..range.start)?, max);
        let first = seen;
        seen += count_of(def.get(range.clone())?, max);
        at = range.end;
        Some(first..seen)
    });
    ranges.collect()
}

fn take<T: Copy>(all: &[T], ranges: &[Range<usize>]) -> Option<Vec<T>> {
    let mut taken = Vec::with_capacity(ranges.iter().map(ExactSizeIterator::len).sum());
    for range in ranges {
        taken.extend_from_slice(all.get(range.clone())?);
    }
    Some(taken)
}

/// The same numbers in fewer bytes, where they fit.
fn narrow<T: TryFrom<u32>>(numbers: &[u32]) -> Option<Vec<T>> {
    let max = numbers.iter().copied().max().unwrap_or(0);
    T::try_from(max).ok()?;
    numbers.iter().map(|number| T::try_from(*number).ok()).collect()
}

fn wide<T: Copy + Into<u32>>(numbers: &[T], some: Option<Ranges<'_>>) -> Option<Vec<u32>> {
    let Some((ranges, _)) = some else {
        return Some(numbers.iter().map(|number| (*number).into()).collect());
    };
    let mut taken = Vec::with_capacity(ranges.iter().map(ExactSizeIterator::len).sum());
    for range in ranges {
        taken.extend(numbers.get(range.clone())?.iter().map(|number| (*number).into()));
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_rows_are_ranges_of_entries_and_of_values() {
        // Rows: three entries, one, none (an entry without an element), two.
        let rep = [0, 1, 1, 0, 0, 0, 1];
        let def = [2, 1, 2, 2, 0, 1, 2];
        assert_eq!(entry_ranges(&rep, &[0..1, 2..4]), [0..3, 4..7]);
        assert_eq!(entry_ranges(&rep, &[1..2, 2..3, 3..4]), [3..4, 4..5, 5..7]);
        assert_eq!(entry_ranges(&[], &[1..2, 5..9]), [1..2, 5..9]);
        assert_eq!(value_ranges(&def, 2, &[0..3, 4..7]), Some(vec![0..2, 3..4]));
        assert_eq!(value_ranges(&def, 2, &[0..1, 6..9]), None);
        let texts = Owned::Texts { ends: vec![1, 1, 3], bytes: b"abc".to_vec() };
        let some = picked(&texts, (&[0..1, 2..3], 1));
        assert_eq!(some, Some(Owned::Texts { ends: vec![1, 3], bytes: b"abc".to_vec() }));
        assert_eq!(picked(&texts, (&[0..1, 2..4], 1)), None);
    }

    #[test]
    fn numbers_are_kept_in_as_few_bytes_as_they_take() {
        assert_eq!(narrow::<u8>(&[0, 255]), Some(vec![0, 255]));
        assert_eq!(narrow::<u8>(&[0, 256]), None);
        assert_eq!(narrow::<u16>(&[65_535]), Some(vec![65_535]));
        assert_eq!(narrow::<u16>(&[65_536]), None);
        assert_eq!(wide(&[7u8, 255], None), Some(vec![7, 255]));
    }
}
