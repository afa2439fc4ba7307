//! Which rows of a batch belong together: those of one trace, and those of a span and its parent.
//!
//! Ids are random, so a few of their bits say where they stand in a table, and spans of a trace mostly stand one after
//! the other, so most rows need no table at all. Nothing is hashed, and nothing is allocated per row.

use crate::codes::NONE;

/// Which rows of a batch are of the same trace: traces are numbered in the order in which they first occur.
#[derive(Clone, Debug)]
pub struct TraceGroups {
    of: Vec<u32>,
    len: usize,
}

impl TraceGroups {
    pub(crate) fn new(ids: &[[u8; 16]]) -> Self {
        let mut table = Table::new(ids.len());
        // Where each trace first occurs.
        let mut firsts: Vec<u32> = Vec::new();
        let mut of = Vec::with_capacity(ids.len());
        let mut last: Option<(&[u8; 16], u32)> = None;
        for (row, id) in ids.iter().enumerate() {
            let trace = match last {
                Some((same, trace)) if same == id => trace,
                _ => {
                    let next = number(firsts.len());
                    let is_it = |trace: u32| {
                        let first = firsts.get(trace as usize);
                        first.and_then(|first| ids.get(*first as usize)) == Some(id)
                    };
                    let trace = table.find_or_put(spread(id), next, is_it);
                    if trace == next {
                        firsts.push(number(row));
                    }
                    trace
                }
            };
            last = Some((id, trace));
            of.push(trace);
        }
        Self { of, len: firsts.len() }
    }

    /// How many traces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The trace of each row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        self.of.iter().map(|trace| *trace as usize)
    }

    /// Gives each trace `start`, and then what `join` makes of that and each of its rows: samplers find by it what all
    /// rows of a trace have in common.
    pub fn fold<T: Clone>(&self, start: T, mut join: impl FnMut(&mut T, usize)) -> Vec<T> {
        let mut traces = vec![start; self.len];
        for (row, trace) in self.iter().enumerate() {
            if let Some(value) = traces.get_mut(trace) {
                join(value, row);
            }
        }
        traces
    }
}

/// Which row of a batch has the parent of each row. Most traces are scattered over batches, so many rows have none.
#[derive(Clone, Debug)]
pub struct Parents {
    of: Vec<u32>,
}

/// What `inherit` knows of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    Now,
    Done,
}

impl Parents {
    pub(crate) fn new(traces: &[[u8; 16]], ids: &[[u8; 8]], parents: &[[u8; 8]]) -> Self {
        let mut table = Table::new(ids.len());
        let keys = || traces.iter().zip(ids);
        let is = |row: u32, key: (&[u8; 16], &[u8; 8])| {
            let row = row as usize;
            ids.get(row) == Some(key.1) && traces.get(row) == Some(key.0)
        };
        for (row, key) in keys().enumerate() {
            // Of two spans with one id the first is the parent.
            table.find_or_put(u64::from_le_bytes(*key.1), number(row), |there| is(there, key));
        }
        let of = traces.iter().zip(parents).map(|key| match *key.1 {
            [0, 0, 0, 0, 0, 0, 0, 0] => NONE,
            parent => table.find(u64::from_le_bytes(parent), |there| is(there, key)),
        });
        Self { of: of.collect() }
    }

    /// The row of the parent of a row.
    #[must_use]
    pub fn of(&self, row: usize) -> Option<usize> {
        let parent = *self.of.get(row)?;
        (parent != NONE).then_some(parent as usize)
    }

    /// Gives each row what its parent has by then, and where that has nothing, leaves it what it has: so what a row
    /// has holds for all that hangs below it, and what is above wins. Of spans that are their own ancestors one is
    /// taken for the highest. Takes linear time, however deep the spans hang.
    pub fn inherit<T: Copy>(&self, values: &mut [Option<T>]) {
        let mut visits = vec![Visit::Not; values.len()];
        let mut path = Vec::new();
        for start in 0..values.len() {
            // Up to whoever is done, has no parent, or closes a circle; and down again.
            let mut at = Some(start);
            while let Some(row) = at.filter(|row| visits.get(*row) == Some(&Visit::Not)) {
                visits[row] = Visit::Now;
                path.push(row);
                at = self.of(row);
            }
            let mut above =
                at.filter(|row| visits.get(*row) == Some(&Visit::Done)).and_then(|row| values[row]);
            while let Some(row) = path.pop() {
                above = above.or(values[row]);
                values[row] = above;
                visits[row] = Visit::Done;
            }
        }
    }
}

/// Numbers, found by some bits of what they stand for: a power of two of places, at most half of them taken.
struct Table {
    places: Vec<u32>,
    shift: u32,
}

impl Table {
    fn new(entries: usize) -> Self {
        let bits = (entries.max(4) * 2).next_power_of_two().trailing_zeros();
        Self { places: vec![NONE; 1 << bits], shift: u64::BITS - bits }
    }

    /// The place where a number is that stands for the same, or where it would be put.
    fn place(&self, bits: u64, is_it: impl Fn(u32) -> bool) -> usize {
        // Ids that are counted up instead of drawn differ in their last bits alone: a product spreads them.
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "the bits that the shift leaves")]
        let mut at = (bits.wrapping_mul(ODD) >> self.shift) as usize;
        while self.places[at] != NONE && !is_it(self.places[at]) {
            at = (at + 1) & (self.places.len() - 1);
        }
        at
    }

    fn find(&self, bits: u64, is_it: impl Fn(u32) -> bool) -> u32 {
        self.places[self.place(bits, is_it)]
    }

    /// The number that stands for the same, or `new`, which is put there.
    fn find_or_put(&mut self, bits: u64, new: u32, is_it: impl Fn(u32) -> bool) -> u32 {
        let at = self.place(bits, is_it);
        if self.places[at] == NONE {
            self.places[at] = new;
        }
        self.places[at]
    }
}

/// The bits of a trace id that are random: its second half, by the W3C; all of it, to be sure.
fn spread(id: &[u8; 16]) -> u64 {
    let [first, second] = id.as_chunks::<8>().0 else { return 0 };
    u64::from_le_bytes(*first).rotate_left(32) ^ u64::from_le_bytes(*second)
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(number: u128) -> [u8; 16] {
        number.to_be_bytes()
    }

    fn span(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    #[test]
    fn traces_are_numbered_in_the_order_in_which_they_first_occur() {
        // Runs, a trace that comes again, ids that differ in the first half alone, and zeros.
        let ids = [7, 7, 9, 7, 0, 7 << 64, 9, 9, 7 << 64, 0].map(trace);
        let groups = TraceGroups::new(&ids);
        assert_eq!(groups.iter().collect::<Vec<_>>(), [0, 0, 1, 0, 2, 3, 1, 1, 3, 2]);
        assert_eq!((groups.len(), groups.is_empty()), (4, false));
        let rows = groups.fold(0, |rows, _| *rows += 1);
        assert_eq!(rows, [3, 3, 2, 2]);
        assert!(TraceGroups::new(&[]).is_empty());
    }

    #[test]
    fn many_traces_are_told_apart() {
        let ids: Vec<_> = (0..5_000_u128).map(|i| trace(i % 1_250)).collect();
        let groups = TraceGroups::new(&ids);
        assert_eq!(groups.len(), 1_250);
        assert!(groups.iter().enumerate().all(|(row, of)| of == row % 1_250));
    }

    #[test]
    fn parents_are_of_the_same_trace() {
        let traces = [1, 1, 1, 2, 2].map(trace);
        let ids = [10, 11, 12, 10, 11].map(span);
        let parents = [0, 10, 11, 0, 12].map(span);
        let parents = Parents::new(&traces, &ids, &parents);
        let of: Vec<_> = (0..6).map(|row| parents.of(row)).collect();
        assert_eq!(of, [None, Some(0), Some(1), None, None, None]);
    }

    #[test]
    fn what_a_row_has_holds_for_all_below_it() {
        // 3 is the root, 1 hangs below it, 0 below that, 2 beside them.
        let traces = [trace(1); 4];
        let parents = Parents::new(&traces, &[4, 3, 2, 1].map(span), &[3, 1, 1, 0].map(span));
        let inherited = |mut values: [Option<u8>; 4]| {
            parents.inherit(&mut values);
            values
        };
        assert_eq!(inherited([None, Some(1), None, None]), [Some(1), Some(1), None, None]);
        assert_eq!(inherited([Some(9), Some(1), None, Some(2)]), [Some(2); 4]);
        assert_eq!(inherited([None; 4]), [None; 4]);
    }

    #[test]
    fn a_circle_ends() {
        let traces = [trace(1); 3];
        let parents = Parents::new(&traces, &[1, 2, 3].map(span), &[2, 1, 3].map(span));
        let mut values = [None, Some(2), Some(3)];
        parents.inherit(&mut values);
        assert_eq!(values[2], Some(3));
    }

    #[test]
    fn a_chain_of_many_spans_needs_no_stack() {
        let ids: Vec<_> = (1..=100_000).map(span).collect();
        let parents: Vec<_> = (2..=100_001).map(span).collect();
        let parents = Parents::new(&vec![trace(1); ids.len()], &ids, &parents);
        let mut values = vec![None; ids.len()];
        *values.last_mut().unwrap() = Some(());
        parents.inherit(&mut values);
        assert!(values.iter().all(Option::is_some));
    }
}
