//! Which rows belong to a trace: an entry per trace, and its rows as a chain from the last one.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::column::count;
use crate::{Nanos, TimeRange, TraceId};

/// One trace's rows in a batch.
#[derive(Clone, Debug)]
pub struct TraceEntry {
    /// Its id.
    pub id: TraceId,
    /// Whose it is.
    pub tenant: u16,
    /// How many rows.
    pub rows: u32,
    /// The first row.
    pub first_row: u32,
    /// The last row; [`Batch::trace_rows`] follows the chain from here.
    last_row: u32,
    /// From the first to the last *effective* start.
    pub starts: TimeRange,
}

/// No row.
const NONE: u32 = u32::MAX;

/// The traces of a batch, by tenant and id.
#[derive(Debug)]
pub(super) struct TraceIndex {
    entries: Vec<TraceEntry>,
    by_id: HashTable<u32>,
    /// The row of the same trace before each row.
    previous: Vec<u32>,
    seed: u64,
}

impl TraceIndex {
    pub(super) fn new(seed: u64) -> Self {
        Self { entries: Vec::new(), by_id: HashTable::new(), previous: Vec::new(), seed }
    }

    pub(super) fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    /// The rows of a trace, last one first.
    pub(super) fn rows(&self, tenant: u16, id: TraceId) -> impl Iterator<Item = u32> {
        let same = |i: &u32| self.entries[*i as usize].is(tenant, id);
        let entry = self.by_id.find(hash(self.seed, tenant, id), same);
        self.chain(entry.map(|entry| self.entries[*entry as usize].last_row))
    }

    /// The rows of an entry, last one first.
    pub(super) fn rows_of(&self, entry: &TraceEntry) -> impl Iterator<Item = u32> {
        self.chain(Some(entry.last_row))
    }

    fn chain(&self, last: Option<u32>) -> impl Iterator<Item = u32> {
        std::iter::successors(last, |row| {
            self.previous.get(*row as usize).copied().filter(|row| *row != NONE)
        })
    }

    /// Adds the next row.
    pub(super) fn add(&mut self, tenant: u16, id: TraceId, row: u32, start: Nanos) {
        let hashed = hash(self.seed, tenant, id);
        let entries = &mut self.entries;
        let known = self.by_id.find(hashed, |i| entries[*i as usize].is(tenant, id)).copied();
        if let Some(known) = known {
            let entry = &mut entries[known as usize];
            self.previous.push(entry.last_row);
            entry.last_row = row;
            entry.rows += 1;
            entry.starts.start = entry.starts.start.min(start);
            entry.starts.end = entry.starts.end.max(start);
            return;
        }
        let new = count(entries.len());
        let starts = TimeRange { start, end: start };
        entries.push(TraceEntry { id, tenant, rows: 1, first_row: row, last_row: row, starts });
        self.previous.push(NONE);
        let (entries, seed) = (&self.entries, self.seed);
        self.by_id.insert_unique(hashed, new, |i| {
            let entry = &entries[*i as usize];
            hash(seed, entry.tenant, entry.id)
        });
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * (size_of::<TraceEntry>() + 6) + self.previous.capacity() * 4
    }
}

impl TraceEntry {
    fn is(&self, tenant: u16, id: TraceId) -> bool {
        self.id == id && self.tenant == tenant
    }
}

/// Does not lean on the high half of the id, which 64-bit senders leave zero.
#[inline]
fn hash(seed: u64, tenant: u16, id: TraceId) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), seed ^ u64::from(tenant))
}
