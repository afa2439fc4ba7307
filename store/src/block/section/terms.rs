//! Which row groups can hold a value: sorted terms with postings, and filters where values rarely
//! repeat. Also which rows of an L0 file are whose.

use model::TenantId;
use model::wire::put_varint;
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter as _, FilterRef as _};
use xxhash_rust::xxh3::xxh3_64;

use super::{Cursor, damaged};
use crate::error::Error;

/// The bytes of a terms section: terms ascending, each with the row groups that hold it, ascending.
#[must_use]
pub fn encode<'a>(terms: impl ExactSizeIterator<Item = (&'a [u8], &'a [u32])>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, terms.len() as u64);
    let mut before: &[u8] = &[];
    for (term, row_groups) in terms {
        let shared = before.iter().zip(term).take_while(|(a, b)| a == b).count();
        let (_, suffix) = term.split_at(shared);
        put_varint(&mut out, shared as u64);
        put_varint(&mut out, suffix.len() as u64);
        out.extend_from_slice(suffix);
        put_varint(&mut out, row_groups.len() as u64);
        let mut last = 0;
        for row_group in row_groups {
            put_varint(&mut out, u64::from(row_group - last));
            last = *row_group;
        }
        before = term;
    }
    out
}

/// Calls `each` with every term and its row groups, in order, while it returns true.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode(bytes: &[u8], mut each: impl FnMut(&[u8], &[u32]) -> bool) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "terms");
    let (mut term, mut row_groups) = (Vec::new(), Vec::new());
    for _ in 0..cursor.count()? {
        let (shared, suffix) = (cursor.number()?, cursor.number()?);
        if shared as usize > term.len() {
            return Err(cursor.fault());
        }
        term.truncate(shared as usize);
        term.extend_from_slice(cursor.bytes(suffix as usize)?);
        row_groups.clear();
        let mut last = 0u32;
        for _ in 0..cursor.count()? {
            last = last.checked_add(cursor.number()?).ok_or_else(|| cursor.fault())?;
            row_groups.push(last);
        }
        if !each(&term, &row_groups) {
            return Ok(());
        }
    }
    Ok(())
}

/// The hash of a value in filters.
#[must_use]
pub fn hash(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// The filter of one row group's values (binary fuse, 8 bits: 0.4 % false positives;
/// arxiv.org/abs/2201.01174).
#[derive(Debug)]
pub struct Filter {
    /// The row group.
    pub row_group: u32,
    descriptor: [u8; DESCRIPTOR],
    /// Empty in a filter that lets everything pass.
    fingerprints: Vec<u8>,
}

/// Seed, length of a segment, its mask, and where the last segment begins that a hash can begin in.
const DESCRIPTOR: usize = <BinaryFuse8 as DmaSerializable>::DESCRIPTOR_LEN;

impl Filter {
    /// A filter of these hashes, which it sorts. Where none can be built (a set made to resist),
    /// everything passes.
    #[must_use]
    pub fn build(row_group: u32, hashes: &mut Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        let mut filter = Self::any(row_group);
        if let Ok(fuse) = BinaryFuse8::try_from(hashes.as_slice()) {
            fuse.dma_copy_descriptor_to(&mut filter.descriptor);
            filter.fingerprints = fuse.fingerprints.into_vec();
        }
        filter
    }

    /// A filter that lets everything pass.
    #[must_use]
    pub const fn any(row_group: u32) -> Self {
        Self { row_group, descriptor: [0; DESCRIPTOR], fingerprints: Vec::new() }
    }

    /// Whether the row group may hold a value of this hash.
    #[must_use]
    pub fn may_hold(&self, hash: u64) -> bool {
        self.fingerprints.is_empty()
            || BinaryFuse8Ref::from_dma(&self.descriptor, &self.fingerprints).contains(&hash)
    }

    /// Appends the filter to those of a section.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.row_group));
        put_varint(out, self.fingerprints.len() as u64);
        if !self.fingerprints.is_empty() {
            out.extend_from_slice(&self.descriptor);
            out.extend_from_slice(&self.fingerprints);
        }
    }

    /// Whether every look-up stays within the fingerprints: one reads up to two segments past the
    /// last one that a hash can begin in.
    fn is_sound(&self) -> bool {
        let word = |at: usize| {
            let bytes = self.descriptor.get(at..).and_then(<[u8]>::first_chunk::<4>);
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let (length, mask, begins) = (word(8), word(12), word(16));
        let reach = u64::from(begins) + 2 * u64::from(length);
        length.is_power_of_two() && mask == length - 1 && reach <= self.fingerprints.len() as u64
    }
}

/// The bytes of a section of so many filters, each as [`Filter::encode`] wrote it.
#[must_use]
pub fn encode_filters(count: u64, filters: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(filters.len() + 5);
    put_varint(&mut out, count);
    out.extend_from_slice(filters);
    out
}

/// Reads a filters section.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_filters(bytes: &[u8]) -> Result<Vec<Filter>, Error> {
    let mut cursor = Cursor::new(bytes, "filters");
    let mut filters = Vec::new();
    for _ in 0..cursor.count()? {
        let (row_group, len) = (cursor.number()?, cursor.count()?);
        let mut filter =
            Filter { row_group, descriptor: [0; DESCRIPTOR], fingerprints: Vec::new() };
        if len > 0 {
            filter.descriptor.copy_from_slice(cursor.bytes(DESCRIPTOR)?);
            filter.fingerprints = cursor.bytes(len)?.to_vec();
            if !filter.is_sound() {
                return Err(cursor.fault());
            }
        }
        filters.push(filter);
    }
    Ok(filters)
}

/// A tenant's rows in an L0 file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whose they are.
    pub tenant: TenantId,
    /// The first.
    pub first_row: u32,
    /// How many.
    pub rows: u32,
    /// When the tenant's first and last request was received, in nanoseconds.
    pub received: (u64, u64),
}

/// The bytes of the tenants section.
#[must_use]
pub fn encode_tenants(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, runs.len() as u64);
    for Run { tenant, first_row, rows, received } in runs {
        let name = tenant.as_str().as_bytes();
        put_varint(&mut out, name.len() as u64);
        out.extend_from_slice(name);
        for number in [u64::from(*first_row), u64::from(*rows), received.0, received.1] {
            put_varint(&mut out, number);
        }
    }
    out
}

/// Reads the tenants section.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_tenants(bytes: &[u8]) -> Result<Vec<Run>, Error> {
    let mut cursor = Cursor::new(bytes, "tenants");
    let mut runs = Vec::new();
    for _ in 0..cursor.count()? {
        let len = cursor.count()?;
        let name = std::str::from_utf8(cursor.bytes(len)?).unwrap_or_default();
        let tenant = TenantId::parse(name).map_err(|fault| damaged(format!("tenants: {fault}")))?;
        let (first_row, rows) = (cursor.number()?, cursor.number()?);
        let received = (cursor.varint()?, cursor.varint()?);
        runs.push(Run { tenant, first_row, rows, received });
    }
    Ok(runs)
}
