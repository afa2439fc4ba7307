//! Rows that repeat a span which is there already.
//!
//! Fed with the rows of one trace in the order of their identities; tells which of them stay and
//! counts the others: the same content again, or other content under one identity.

use model::batch::Batch;

use super::{Ordered, Place};

/// Which rows of a trace are repeated, by their place in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    /// A bit for each row.
    bits: Vec<u64>,
    /// The row that stays, of the identity that was met last.
    first: Option<u128>,
    encoded: [Vec<u8>; 2],
    duplicates: u64,
    conflicts: u64,
}

impl Repeated {
    /// Starts over with a trace of so many rows.
    pub(super) fn reset(&mut self, rows: usize) {
        self.bits.clear();
        self.bits.resize(rows.div_ceil(64), 0);
        self.first = None;
        (self.duplicates, self.conflicts) = (0, 0);
    }

    /// Takes the next identities, ascending: keys as [`identity`] makes them.
    pub(super) fn find(&mut self, sources: &[&Batch], places: &[Place], identities: &[u128]) {
        let at = |key: u128| {
            let Place { source, row } = places[arrival(key)];
            (sources[source as usize], row)
        };
        for key in identities {
            let Some(first) = self.first.filter(|first| first >> 32 == key >> 32) else {
                self.first = Some(*key);
                continue;
            };
            self.bits[arrival(*key) / 64] |= 1 << (arrival(*key) % 64);
            if same_content(at(first), at(*key), &mut self.encoded) {
                self.duplicates += 1;
            } else {
                self.conflicts += 1;
            }
        }
    }

    /// Adds what was found to the counts.
    pub(super) fn settle(&self, out: &mut Ordered) {
        out.duplicates += self.duplicates;
        out.conflicts += self.conflicts;
    }

    /// How many rows are repeated.
    pub(super) fn len(&self) -> usize {
        self.bits.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether a row repeats one that came before.
    pub(super) fn contains(&self, arrival: usize) -> bool {
        self.bits[arrival / 64] >> (arrival % 64) & 1 == 1
    }

    /// The rows that stay.
    pub(super) fn kept<'p>(
        &self,
        places: &'p [Place],
    ) -> impl Iterator<Item = Place> + use<'_, 'p> {
        let rows = places.iter().enumerate();
        rows.filter(|(arrival, _)| !self.contains(*arrival)).map(|(_, place)| *place)
    }
}

/// A key by which the rows of one span stand together, the first one first.
#[inline]
pub(super) fn identity(id: u64, kind: u32, arrival: u32) -> u128 {
    u128::from(id) << 64 | u128::from(kind) << 32 | u128::from(arrival)
}

/// The place in the order of arrival, which every key ends with.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits of the key")]
pub(super) fn arrival(key: u128) -> usize {
    key as u32 as usize
}

/// Whether two rows are the same span with the same content, resource and scope included; with
/// buffers.
///
/// Cost: both spans are encoded where their times, resources and scopes are the same.
pub(super) fn same_content(a: (&Batch, u32), b: (&Batch, u32), encoded: &mut [Vec<u8>; 2]) -> bool {
    if a.0.start(a.1) != b.0.start(b.1) || a.0.end(a.1) != b.0.end(b.1) {
        return false;
    }
    if !same_surroundings(a, b) {
        return false;
    }
    let [left, right] = encoded;
    left.clear();
    right.clear();
    a.0.put_span(left, a.1);
    b.0.put_span(right, b.1);
    left == right
}

/// Whether two rows have the same resource and the same scope.
fn same_surroundings(a: (&Batch, u32), b: (&Batch, u32)) -> bool {
    let (left, right) = (a.0.columns(), b.0.columns());
    let codes = |(_, row): (&Batch, u32), of: &model::batch::Columns<'_>| {
        (of.resource[row as usize], of.scope[row as usize])
    };
    let (from, to) = (codes(a, &left), codes(b, &right));
    // A batch gives equal values the same number.
    std::ptr::eq(a.0, b.0) && from == to
        || left.resources.get(from.0) == right.resources.get(to.0)
            && left.scopes.get(from.1) == right.scopes.get(to.1)
}
